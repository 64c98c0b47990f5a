"""A fitted pipeline as an artifact, and back."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, values_of
from gpupipe.artifact import format as artifact
from gpupipe.artifact.manifest import plain
from gpupipe.artifact.seen import NOTHING_SEEN, Provenance, load_seen
from gpupipe.backends.backend import Backend, backend_for
from gpupipe.backends.conform import conform
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.compiler.document import fitted_document, load_fitted, load_plan, plan_document, state_digest
from gpupipe.compiler.plan import Plan
from gpupipe.errors import ArtifactCorruptError, ArtifactError, GpupipeError, MissingDependencyError
from gpupipe.expr.node import Node, walk
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import model_output, takes_nan
from gpupipe.schema import Schema, String
from gpupipe.sources.border import to_arrow, to_column

KIND = "gpupipe.pipeline"
SEEN = "seen"  # the note of the rows that the fit has seen
MAX_MESSAGE = 2_000  # characters
FEW_WORDS, MAX_WORDS = 8, 2**27  # bytes of text, times the square of the most words in a run
MAX_PROBE, MAX_TEXT = 1024, 2**24  # rows, of which a few are kept; bytes in a column of text


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """All of a fitted pipeline that outlives the run.

    Attributes:
        features: the fitted features.
        model: the model; None for a pipeline that only transforms.
        target, weights: their expressions, or None.
        task: ``"classification"``, ``"regression"`` or None.
        probe: a few training rows, scored when saved and again when loaded; None: none.
        notes: lineage and evaluation, plain JSON, for people.
        groups: the expression of what a ranker's rows are ranked in, or None.
        seen: which rows the fit has seen, for an evaluation to know them again.
    """

    features: FittedFeatures
    model: Model | None
    target: Node | None
    weights: Node | None
    task: str | None
    probe: Frame | None
    notes: Mapping[str, Any]
    groups: Node | None = None
    seen: Provenance = NOTHING_SEEN

    @property
    def learned_from(self) -> Provenance:
        """The rows that what it gives depends on: none where nothing was learned."""
        return self.seen if self.features.plan.slots or self.model is not None else NOTHING_SEEN

    def digest(self) -> str:
        """SHA-256 of the feature state: expressions, schema and learned values. The model has its own."""
        shapes, arrays = fitted_document(self.features.fitted)
        return state_digest(self._plan(), shapes, arrays)

    def _plan(self) -> dict[str, Any]:
        return plan_document(self.features.plan, self.target, self.weights, self.task, self.groups)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Publish it at `path` in one step; gives the artifact's digest.

        Raises:
            ArtifactExistsError: something stands there.
        """
        shapes, state = fitted_document(self.features.fitted)
        document: dict[str, Any] = {
            "kind": KIND,
            "plan": self._plan(),
            "statistics": shapes,
            "model": None,
            "outputs": self.features.names,
            "state_digest": state_digest(self._plan(), shapes, state),
            "notes": {**self.notes, **({SEEN: seen} if (seen := self.seen.noted()) else {})},
        }
        arrays: dict[str, Mapping[str, Any]] = {"state": state} if state else {}
        blobs: dict[str, bytes] = {}
        if self.model is not None:
            document["model"], model_arrays, parts = self.model.to_parts()
            document["model_digest"] = self.model.digest()
            blobs = {f"model.{name}": data for name, data in parts.items()}
            if model_arrays:
                arrays["model"] = model_arrays
        tables = {} if self.probe is None else {"probe": self._probe_table(self.probe)}
        return artifact.write(path, document=document, arrays=arrays, blobs=blobs, tables=tables, overwrite=overwrite)

    def _probe_table(self, probe: Frame) -> pa.Table:
        inputs = {f"in.{name}": _of_its_rows(to_arrow(probe[name])) for name in self.features.plan.columns}
        outputs = {f"out.{name}": array_of(v) for name, v in _probe_output(self.features, self.model, probe).items()}
        return pa.table({**inputs, **outputs})


def _of_its_rows(array: pa.Array) -> pa.Array:
    """The array without a dictionary, which would hold texts of rows that are not kept."""
    return array.dictionary_decode() if isinstance(array, pa.DictionaryArray) else array


def _probe_output(features: FittedFeatures, model: Model | None, frame: Frame) -> dict[str, Values]:
    """What probe rows give: every feature that is a number, and the sum of the model's outputs."""
    columns = features.columns(frame)
    numbers = [(at, c) for at, c in enumerate(columns) if isinstance(c.values, np.ndarray)]
    found = {f"f{at}": np.where(True if c.valid is None else c.valid, c.values, 0) for at, c in numbers}
    if model is not None:
        matrix = features.matrix(frame)
        if takes_nan(model) or np.isfinite(matrix).all():
            found["model"] = model_output(model, matrix).sum(axis=1)
    return found


def load(path: str | os.PathLike[str], device: str = "auto") -> Fit:
    """The fitted pipeline at `path`: every byte verified, every reference looked up, the probe rows scored again.

    Raises:
        ArtifactError: any of its kinds.
    """
    contents = artifact.read(path)
    document = contents.document
    if document.get("kind") != KIND:
        raise ArtifactCorruptError(f"{os.fspath(path)} is an artifact, but not of a gpupipe pipeline.")
    backend = backend_for(device)
    try:
        return _restored(contents, backend)
    except (MissingDependencyError, MemoryError):
        raise
    except ArtifactError as error:  # said by the artifact, in part
        raise type(error)(plain(str(error), MAX_MESSAGE)) from error
    except _WRONG as error:
        what = plain(repr(error), MAX_MESSAGE)
        raise ArtifactCorruptError(f"The artifact {os.fspath(path)} cannot be read: {what}.") from error


# What contents that make no sense raise, here or beneath; what the machine lacks is not among them.
_WRONG = (
    GpupipeError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, pa.ArrowException,
)  # fmt: skip


def _restored(contents: artifact.Contents, backend: Backend) -> Fit:
    document, state, table = contents.document, contents.arrays.get("state", {}), contents.tables.get("probe")
    _refuse_more(contents)
    plan, target, weights, groups = load_plan(document["plan"])
    names, notes = document["outputs"], document["notes"]
    if not isinstance(names, list) or not isinstance(notes, dict):
        raise ArtifactCorruptError("The artifact's outputs are no list, or its notes no object.")
    _refuse_wide(plan, len(names))
    features = FittedFeatures(plan, load_fitted(document["statistics"], state, plan), backend)
    if features.names != names:
        raise ArtifactCorruptError("The artifact's features are not those that its plan gives.")
    model = _model(document["model"], contents)
    if model is not None and list(model.feature_names) != names:
        raise ArtifactCorruptError("The artifact's model is not one of its features.")
    probe = _probe(table, plan.columns, plan.schema)
    task = document["plan"]["task"]
    lineage = {**{name: note for name, note in notes.items() if name != SEEN}, "digest": contents.digest}
    fit = Fit(features, model, target, weights, task, probe, lineage, groups, load_seen(notes.get(SEEN)))
    if probe is not None and table is not None:
        _refuse_long(plan, probe)
        _check(fit, probe, table)
    return fit


def _refuse_more(contents: artifact.Contents) -> None:
    """Every file has its place, and none is left over."""
    of_model = contents.document["model"] is not None
    allowed = {"state", "probe", "model"} if of_model else {"state", "probe"}
    blobs = {name for name in contents.blobs if not (of_model and name.startswith("model."))}
    if more := {*contents.arrays, *contents.tables, *blobs} - allowed:
        raise ArtifactCorruptError(f"The artifact holds files that its pipeline has no use for: {sorted(more)[:5]}.")


def _refuse_wide(plan: Plan, n_outputs: int) -> None:
    """A feature has as many columns as a parameter says: more than are named would be a number too large to make."""
    widest = max((n["n_features"] for n in walk(*plan.info) if n.op == "word_ngrams"), default=0)
    if widest > n_outputs:
        raise ArtifactCorruptError(f"The artifact names {n_outputs} outputs, and one feature has {widest} columns.")


def _refuse_long(plan: Plan, probe: Frame) -> None:
    """Runs of many words of a long text are far more text than it: runs of up to n are some n² / 2 times as much."""
    longest = max((n["high"] for n in walk(*plan.info) if n.op == "word_ngrams"), default=0)
    size = sum(c.values.nbytes for c in map(probe.__getitem__, probe.columns) if c.dtype == String)
    words = min(longest, size)
    if words > FEW_WORDS and words**2 * size > MAX_WORDS:
        raise ArtifactCorruptError(
            f"The artifact's probe has {size} bytes of text, and counts runs of {longest} words."
        )


def _model(document: Any, contents: artifact.Contents) -> Model | None:
    if document is None:
        return None
    blobs = {name.partition(".")[2]: data for name, data in contents.blobs.items()}
    return Model.from_parts(document, contents.arrays.get("model", {}), blobs)


def _probe(table: pa.Table | None, columns: list[str], schema: Schema) -> Frame | None:
    """The probe's rows as they were read for the fit, straight from Arrow: no value of them becomes an object."""
    if table is None:
        return None
    if table.num_rows > MAX_PROBE:
        raise ArtifactCorruptError(f"The artifact's probe has {table.num_rows} rows, and a few are written.")
    inputs = {name: conform(name, to_column(_plain_text(table.column(f"in.{name}")), name=name), schema[name].dtype)
              for name in columns}  # fmt: skip
    return Frame(inputs, table.num_rows, np.arange(table.num_rows, dtype=np.uint64))


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without a dictionary, one long text of which could stand for many rows."""
    if not pa.types.is_dictionary(column.type):
        return column
    size = sum(pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0 for chunk in column.chunks)
    if size > MAX_TEXT:
        raise ArtifactCorruptError(f"The artifact's probe has {size} bytes of text in one column of a few rows.")
    return column.cast(column.type.value_type)


def _check(fit: Fit, probe: Frame, table: pa.Table) -> None:
    for name, values in _probe_output(fit.features, fit.model, probe).items():
        stored = values_of(table.column(f"out.{name}"))
        rounded = name == "model" and fit.model is not None and fit.model.form == "skops"  # by a matrix product
        if rounded and np.allclose(stored, values, rtol=1e-6, atol=1e-9):
            continue
        if not np.array_equal(stored, values, equal_nan=values.dtype.kind == "f"):
            raise ArtifactCorruptError(
                f"The artifact's probe rows score otherwise here than when it was saved (output {name}). Its files are "
                "whole: this machine or a library computes differently. Please report it."
            )
