"""What a fit has seen, and the errors about rows and keys to judge by that are among it (`overlap.py` finds them)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gpupipe.artifact.seen import FIT, VALIDATION, Keys, Provenance, Seen, kept_keys, sorted_once
from gpupipe.backends.categories import NULL_HASH
from gpupipe.columns import Values
from gpupipe.errors import LeakageError, counted
from gpupipe.expr.node import Node
from gpupipe.runtime.given import GIVEN_GROUPS
from gpupipe.runtime.seen.lineage import statistics_saw
from gpupipe.runtime.seen.overlap import Overlap, overlap
from gpupipe.sources.addresses import Memory
from gpupipe.sources.join import Dimension, Join
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.origin import FileRows, Stretch, together
from gpupipe.sources.partition import Partition
from gpupipe.sources.source import Source
from gpupipe.sources.steps import AtPositions, Head, Identify, Select, Split, Step

MAX_KEYS = 2**24  # 128 MiB of hashes


# -- what a fit has seen ----------------------------------------------------------------------------------
def seen_by(source: Source, read: Sequence[str], use: str = FIT) -> Seen:
    """The rows of a source, without reading them (but for a `head` after other steps, of its last partition).

    Args:
        read: those that the fit reads, by which a table is known again that is scanned again.
        use: what the rows are for.
    """
    files: dict[ListedFile, list[Stretch]] = {}
    tables: dict[Memory, list[Stretch]] = {}
    for index, partition in enumerate(source.partitions):
        stretch, origin = _stretch(partition, _height(source, index)), partition.origin()
        if isinstance(origin, tuple) and isinstance(origin[0], ListedFile):
            files.setdefault(origin[0], []).append(stretch)
        elif isinstance(origin, tuple):
            tables.setdefault(origin[0], []).append(stretch)
    steps = _that_choose(source._steps)
    types = {name: source._listing.schema[name].dtype for name in _needed(steps)}
    places = next(iter(tables)).places(read) if len(tables) == 1 else {}
    columns = {name: place for name, place in places.items() if place is not None}
    listed = {memory: together(rows) for memory, rows in tables.items()}
    return Seen(use, FileRows(files), listed, columns, steps, types)


def provenance(
    source: Source,
    validation: Source | None,
    read: Sequence[str],
    keys: tuple[str | None, Values | None] = (None, None),
) -> Provenance:
    """What a fit sees: its rows, those that its model stops early by, and the key's column and hashes."""
    parts = [seen_by(source, read)]
    if validation is not None:
        parts.append(seen_by(validation, read, VALIDATION))
    return Provenance(tuple(parts), _kept(keys))


def _kept(keys: tuple[str | None, Values | None]) -> Keys | None:
    name, hashes = keys
    return None if name is None or hashes is None else kept_keys(name, hashes[hashes != NULL_HASH], MAX_KEYS)


def provenance_at(
    source: Source, read: Sequence[str], positions: Sequence[Values], keys: tuple[str | None, Values]
) -> Provenance:
    """What a fit sees of a source: the rows at some positions alone, for which a bit a row is kept."""
    marked = np.zeros(source.n_rows or 0, bool)
    for some in positions:
        marked[some.astype(np.int64)] = True
    part = replace(seen_by(Source(source._listing), read), steps=(AtPositions(np.packbits(marked)),))
    return Provenance((part,), _kept(keys))


def merged(one: Provenance, other: Provenance) -> Provenance:
    """What both have seen."""
    keys = one.keys or other.keys
    if one.keys and other.keys and one.keys.name == other.keys.name:
        both = kept_keys(one.keys.name, np.concatenate([one.keys.hashes, other.keys.hashes]), MAX_KEYS)
        keys = Keys(both.name, both.hashes, both.whole and one.keys.whole and other.keys.whole)
    return Provenance((*one.parts, *other.parts), keys)


def keyed_by(source: Source, groups: Node | None = None) -> str | None:
    """The column that identities are made of: that of `groups`, else the source's key; None where there is none."""
    if groups is not None:
        return str(groups["name"]) if groups.op == "col" and groups["name"] != GIVEN_GROUPS else None
    return next((step.name for step in reversed(source._steps) if isinstance(step, Identify)), None)


def _stretch(partition: Partition, n_rows: int) -> Stretch:
    origin = partition.origin()
    first = 0 if origin is None else origin[1]
    return Stretch(range(first, first + n_rows), range(partition.first_row, partition.first_row + n_rows))


def _height(source: Source, index: int) -> int:
    """The partition's rows up to the last one that a `head` left: what it does is told by that."""
    partition = source.partitions[index]
    limits = [step.limits[index] for step in source._steps if isinstance(step, Head)]
    if not limits or min(limits) >= partition.n_rows:
        return partition.n_rows
    if min(limits) == 0:
        return 0
    positions = source.load(index, ()).positions
    return int(positions[-1]) - partition.first_row + 1 if len(positions) else 0


def _that_choose(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps that decide which rows there are; of a join a new one, which keeps no table in memory."""
    kept: list[Step] = []
    needed: set[str] = set()
    identity = False
    for step in reversed(steps):
        if isinstance(step, Head | Select) or (isinstance(step, Identify) and not identity):
            continue
        if isinstance(step, Join) and not step.drops_rows and step.adds.isdisjoint(needed):
            continue
        identity = (isinstance(step, Split) and step.key is None) or (identity and not isinstance(step, Identify))
        needed = step.needs(needed)
        kept.append(_afresh(step) if isinstance(step, Join) else step)
    return tuple(reversed(kept))


def _afresh(step: Join) -> Join:
    return Join(Dimension(step.dimension.source, step.dimension.keys), step.left_on, step.how, step.renamed)


def _needed(steps: Sequence[Step]) -> list[str]:
    needed: set[str] = set()
    for step in reversed(steps):
        needed = step.needs(needed)
    return sorted(needed)


# -- refusing ---------------------------------------------------------------------------------------------
_ANYWAY = "To judge by them all the same: evaluate(…, allow_overlap=True), or --allow-overlap."
_SEEN = {
    FIT: "were in the fit",
    VALIDATION: "told the model when to stop (validation=)",
}


def rows_seen(seen: Provenance, source: Source, *, allowed: bool = False) -> int:
    """How many rows of a source the fit has seen, as far as that is known.

    Raises:
        LeakageError: there are some, and they are not `allowed`.
    """
    found = overlap(seen, source)
    if found.n_rows and not allowed:
        raise LeakageError(
            f"{_some_of(found, source)}. What a model says of rows it has seen does not tell how it does on new ones. "
            "Split first: train, test = gp.scan(data).split(test=0.2), then fit(train) and evaluate(test); on the "
            f"command line, --split 0.2 of both. {_ANYWAY}"
        )
    return found.n_rows


def refuse_overlap(seen: Provenance, source: Source) -> None:
    """Refuse new rows for a fit to go on with that it has seen.

    Raises:
        LeakageError: some rows are known to have been seen.
    """
    found = overlap(seen, source)
    if found.n_rows:
        raise LeakageError(
            f"{_some_of(found, source)}, and would count twice. Give only the rows that came after the fit."
        )


def _some_of(found: Overlap, source: Source) -> str:
    total = source.count()
    some = f"All {counted(total, 'row')}" if found.n_rows == total else f"{found.n_rows:,} of the {total:,} rows"
    return f"{some} {_SEEN[found.use]}, the first being {found.first}"


def refuse_statistics(source: Source) -> None:
    """Refuse features that were made by statistics which have seen the rows to judge by.

    Raises:
        LeakageError: some are known to be.
    """
    count = statistics_saw(source)
    if count:
        raise LeakageError(
            f"{count:,} of the {source.count():,} rows came out of a transform whose statistics have seen them: its "
            "means, categories and encodings know the rows to judge by. Fit the features on the training rows alone; "
            f"declared beside the model they are: gp.Pipeline(features=…, model=…).fit(train). {_ANYWAY}"
        )


def refuse_keys(seen: Provenance, source: Source, row_ids: Values) -> None:
    """Refuse rows whose key the fit has seen, though the rows differ.

    Args:
        source: the rows to judge by.
        row_ids: their identities, as the source gives them.

    Raises:
        LeakageError: there are some.
    """
    found = keys_seen(seen, source, row_ids)
    if found:
        name = "" if seen.keys is None else seen.keys.name
        raise LeakageError(
            f"{found} of the key {name!r} in these rows were in the fit's rows too: rows of one key belong together, "
            f"and the model knows them. Split by the key: gp.scan(data).split(test=0.2, key={name!r}). {_ANYWAY}"
        )


def keys_seen(seen: Provenance, source: Source, row_ids: Values) -> str | None:
    """In words, how many of a source's keys the fit has seen; None where there is none, or no key."""
    keys = seen.keys
    if keys is None or (keyed_by(source) != keys.name and keys.name not in source.schema):
        return None
    if keyed_by(source) != keys.name:
        again = source.with_key(keys.name)
        row_ids = np.concatenate([again.load(index, ()).row_ids for index in range(len(again.partitions))])
    each = sorted_once(row_ids[row_ids != NULL_HASH])
    count = len(each) + len(keys.hashes) - len(sorted_once(np.concatenate([each, keys.hashes])))
    if not count:
        return None
    least = "" if keys.whole else "at least "
    return f"{least}{count:,} of the {counted(len(each), 'value')}"
