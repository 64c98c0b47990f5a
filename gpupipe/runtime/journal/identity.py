"""What a run is of, told so that a later process can say whether it is of the same, and if not, what has changed."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from gpupipe.compiler.document import plan_document
from gpupipe.compiler.plan import Plan
from gpupipe.errors import ParameterError, RunChangedError
from gpupipe.expr.node import Node, show
from gpupipe.models.estimators import describe
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.memory import TablePartition
from gpupipe.sources.parquet import ParquetPartition
from gpupipe.sources.snapshot import snapshot
from gpupipe.sources.source import Source

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_FOOTER = 8  # bytes at the end of a Parquet file: the length of its footer, and four letters
_SAY = (
    "Put it back as it was; or begin anew: give another folder, remove this one, or pass on_change='recompute' "
    "(--on-change recompute)."
)


def identity(
    plan: Plan, target: Node | None, model: Any, sources: Mapping[str, Source], **options: Any
) -> dict[str, Any]:
    """What a run is of, as JSON.

    Args:
        plan: of its features.
        model: an estimator, or None.
        sources: what it reads, by what it is for.
        options: what else its results depend on, as JSON.

    Raises:
        ParameterError: rows that no later process could know again.
    """
    told = plan_document(plan, target, plan.weights, None, plan.groups)
    found = {
        "gpupipe": metadata.version("gpupipe"),
        "plan": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
        "features": [f"{feature.name} = {show(feature.source)}" for feature in plan.features],
        "beside": {
            "target": None if target is None else show(target),
            "weights": None if plan.weights is None else show(plan.weights),
            "groups": None if plan.groups is None else show(plan.groups),
        },
        "schema": [[name, str(plan.schema[name].dtype)] for name in plan.fit_columns],
        "model": {} if model is None else _estimator(model),
        "options": options,
        "sources": {name: _rows(source, plan.fit_columns) for name, source in sources.items()},
    }
    kept: dict[str, Any] = json.loads(json.dumps(found))  # as it comes back from a file
    return kept


def _estimator(model: Any) -> dict[str, str]:
    """An estimator's class and parameters, as text."""
    found = {"class": describe(model).path}
    params = model.get_params() if hasattr(model, "get_params") else {}
    return found | {name: _as_text(value) for name, value in sorted(params.items())}


def _as_text(value: Any) -> str:
    """A parameter told without addresses, which are others in another process."""
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array of {value.dtype}, shape {value.shape}, SHA-256 {digest}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _ADDRESS.sub("", repr(value))


def _rows(source: Source, columns: Sequence[str]) -> dict[str, Any]:
    """The rows of a source: its files, and a digest of all that they follow from."""
    for partition in source.partitions:
        origin = partition.origin()
        if not isinstance(partition, TablePartition) and (origin is None or not isinstance(origin[0], ListedFile)):
            raise ParameterError(
                f"A run is kept of rows that a later process can read again, and those of {source.label} are in a "
                "GPU's memory or another program's. Write them to Parquet files and give these, or fit without run=."
            )
    named = [name for name in columns if name in source.schema]
    found = snapshot(source, named)
    parquet = [partition.file.path for partition in source.partitions if isinstance(partition, ParquetPartition)]
    digests = {os.path.abspath(path): _footer(path) for path in dict.fromkeys(parquet)}
    return {
        "files": [[path, size, changed, digests.get(path)] for path, size, changed in found.files],
        "digest": found.digest,
        "partitions": found.n_partitions,
        "rows": source.n_rows,
        "steps": [str(step) for step in source._steps],
    }


def _footer(path: str) -> str:
    """SHA-256 of a Parquet file's footer, which tells where every value stands, and what is least and greatest."""
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        file.seek(max(end - _FOOTER, 0))
        size = int.from_bytes(file.read(4), "little") + _FOOTER
        file.seek(max(end - size, 0))
        return hashlib.sha256(file.read(size)).hexdigest()


# -- what has changed -------------------------------------------------------------------------------------
def changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> RunChangedError | None:
    """The error that says what has changed since a run began; None: nothing has."""
    if was == now:
        return None
    found = next(_differences(was, now), "the pipeline is another")
    return RunChangedError(f"The run cannot be gone on with: {found}. {_SAY}")


def _differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if was["gpupipe"] != now["gpupipe"]:
        yield f"it was begun by gpupipe {was['gpupipe']}, and this is {now['gpupipe']}"
    yield from _features(was["features"], now["features"])
    for what, before in was["beside"].items():
        if (after := now["beside"][what]) != before:
            yield f"{what} was {before}, and is {after} now"
    yield from _by_name("the model's ", was["model"], now["model"])
    yield from _by_name("", was["options"], now["options"])
    for what in was["sources"].keys() | now["sources"].keys():
        yield from _source(what, was["sources"].get(what), now["sources"].get(what))
    yield from _by_name("the type of ", dict(was["schema"]), dict(now["schema"]))


def _features(was: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    for before, after in zip(was, now, strict=False):
        if before != after:
            yield f"a feature was {before}, and is {after} now"
    if len(was) > len(now):
        yield f"the feature {was[len(now)]} is not there any more"
    if len(now) > len(was):
        yield f"the feature {now[len(was)]} was not there"


def _by_name(whose: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield f"{whose}{name} was {was.get(name, 'not there')}, and is {now.get(name, 'not there')} now"


def _source(what: str, was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[str]:
    if was is None or now is None:
        yield f"the {what} rows {'were' if now is None else 'are'} given, and {'are' if now is None else 'were'} not"
        return
    before, after = ({path: rest for path, *rest in each["files"]} for each in (was, now))
    for path in dict.fromkeys([*before, *after]):
        if path not in after:
            yield f"the file {path} is not among the {what} rows any more"
        elif path not in before:
            yield f"the file {path} was not among the {what} rows"
        elif before[path] != after[path]:
            yield f"the file {path} was changed since ({before[path][0]:,} bytes then, {after[path][0]:,} now)"
    if was["steps"] != now["steps"]:
        yield f"the {what} rows went through {_listed(was['steps'])}, and go through {_listed(now['steps'])} now"
    if was["partitions"] != now["partitions"]:
        yield f"the {what} rows were cut into {was['partitions']:,} partitions, and are into {now['partitions']:,} now"
    if was["digest"] != now["digest"]:
        yield f"the {what} rows are others, or in another order"


def _listed(steps: Sequence[str]) -> str:
    return ", then ".join(steps) or "no step"


