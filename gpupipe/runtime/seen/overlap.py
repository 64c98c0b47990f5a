"""Whether rows are among those that a fit has seen.

Row by row, where it can be told: rows that stand in one place (`sources/origin.py`, `sources/addresses.py`) are the
same, and what a fit's steps chose of them is found by taking them through those steps again. Nothing is read unless
a source shares places with the fit's, and not even then where one split tells the two apart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from gpupipe.artifact.seen import FIT, Provenance, Seen
from gpupipe.backends.conform import as_planned
from gpupipe.columns import Frame, Values
from gpupipe.errors import DataError
from gpupipe.hints import place_of
from gpupipe.schema import DType, Schema
from gpupipe.sources.addresses import Located, Memory
from gpupipe.sources.join import Join
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.origin import Stretch, shared, together
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading
from gpupipe.sources.source import Source
from gpupipe.sources.steps import Identify, Split, Step

_COMPARED = 8  # columns by which a table is known again
_FEW = 64  # pairs of stretches that are looked at one by one


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rows of a source that a fit has seen: how many, for what, and where the first of them stands."""

    n_rows: int = 0
    use: str = FIT
    first: str = ""


def overlap(seen: Provenance, source: Source) -> Overlap:
    """The rows of a source that are known to have been seen."""
    count, use, first = 0, FIT, ""
    for index, (partition, found) in enumerate(_found(seen, source)):
        if found:
            both = kept_rows(source, index)
            both = both[_marked(found, source, partition)[both]]
            if len(both) and not count:
                use = _use_of(found, source, partition, int(both[0]))
                first = _place(partition, int(both[0]), source.label)
            count += len(both)
    return Overlap(count, use, first)


def rows_marked(seen: Provenance, source: Source) -> Values:
    """Of each row that a source keeps, whether it is known to have been seen; bool of shape (rows,)."""
    marks = []
    for index, (partition, found) in enumerate(_found(seen, source)):
        marks.append(_marked(found, source, partition)[kept_rows(source, index)])
    return np.concatenate(marks) if marks else np.zeros(0, bool)


Found = list[tuple[Seen, Stretch]]  # rows of a partition: their numbers in it, and the positions they had in the fit


def _found(seen: Provenance, source: Source) -> Iterator[tuple[Partition, Found]]:
    """For each partition, where a fit has listed rows of it: not what a split shows to be others."""
    finders = [(part, _finder(part)) for part in seen.parts]
    for partition in source.partitions:
        found = [(part, match) for part, find in finders for match in find(partition)]
        yield partition, [(part, match) for part, match in found if not _apart(part, match, source, partition)]


def _marked(found: Found, source: Source, partition: Partition) -> Values:
    marked = np.zeros(partition.n_rows, bool)
    for part, match in found:
        marked[_chosen(part, match, source, partition)] = True
    return marked


def kept_rows(source: Source, index: int) -> Values:
    """The numbers in a partition of the rows that the source keeps, int64."""
    partition = source.partitions[index]
    if not source.drops_rows:
        return np.arange(partition.n_rows)
    return (source.load(index, ()).positions - np.uint64(partition.first_row)).astype(np.int64)


def memory_of(source: Source) -> Memory | None:
    """The table in memory that a source scans; None where it reads files."""
    origin = source.partitions[0].origin() if source.partitions else None
    return origin[0] if origin is not None and isinstance(origin[0], Memory) else None


def _use_of(found: Found, source: Source, partition: Partition, row: int) -> str:
    uses = [part.use for part, match in found if row in _chosen(part, match, source, partition)]
    return FIT if FIT in uses else uses[0]


def _place(partition: Partition, row: int, label: str) -> str:
    place = partition.place(partition.first_row + row)
    told = place_of(place.file, place.row_group, place.line, place.row, None)
    return told if place.file else f"{told.lower()} of {label}"


def _finder(part: Seen) -> Callable[[Partition], Iterator[Stretch]]:
    """From a partition to the rows of it that `part` listed: their numbers in it, and the positions they had."""
    again: dict[Memory, list[Stretch]] = {}

    def find(partition: Partition) -> Iterator[Stretch]:
        origin = partition.origin()
        if origin is None:
            return
        holder, first = origin
        if isinstance(holder, ListedFile):
            known = part.files.of(holder)
        elif holder in part.tables:
            known = part.tables[holder]
        else:
            known = again[holder] if holder in again else again.setdefault(holder, _scanned_again(part, holder))
        here = Stretch(range(first, first + partition.n_rows), range(partition.n_rows))
        for there in known:
            if (match := shared(here, there)) is not None:
                yield match

    return find


def _scanned_again(part: Seen, memory: Memory) -> list[Stretch]:
    """The rows of a table that stand where those of the fit's stand in every column that can be compared."""
    if not part.columns or not all(place.is_alive for place in part.columns.values()):
        return []
    (listed,) = part.tables.values()
    first, *others = list(part.columns)[:_COMPARED]
    matches = _matched(part, memory, [first])[0]
    if not matches or any(match != matches for match in _matched(part, memory, others)):
        return []
    inside = [shared(Stretch(match.positions, match.rows), rows) for match in matches for rows in listed]
    return [match for match in inside if match is not None]


def _matched(part: Seen, memory: Memory, names: Sequence[str]) -> list[list[Stretch]]:
    """For each of the columns that are worth the time, the rows of it that stand where rows of the fit's stood."""
    here = memory.places(names)
    return [[] if place is None else in_both(place, part.columns[name]) for name, place in here.items()]


def in_both(here: Located, there: Located) -> list[Stretch]:
    """Rows of one column in memory that are rows of another."""
    if len(here.stretches) * len(there.stretches) <= _FEW:
        pairs = list(product(here.stretches, there.stretches))
    else:
        low, high = (np.array([end(s.rows[0], s.rows[-1]) for s in there.stretches], float) for end in (min, max))
        pairs = []
        for one in here.stretches:
            near = (low <= max(one.rows[0], one.rows[-1])) & (high >= min(one.rows[0], one.rows[-1]))
            pairs += [(one, there.stretches[at]) for at in np.flatnonzero(near)]
    return together(match for one, other in pairs if (match := shared(one, other)) is not None)


# -- what the fit's steps chose ---------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Again(Partition):
    """Rows of a partition at the positions that they had in another source."""

    partition: Partition
    match: Stretch
    types: Schema

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        frame = as_planned(self.partition.load(columns), self.types)
        rows = np.array(self.match.rows, np.int64)
        taken = frame if len(rows) == frame.n_rows and self.match.rows.step == 1 else frame.take(rows)
        positions = np.array(self.match.positions, np.uint64)
        return Reading(Frame(taken.columns, len(rows), positions, rows.astype(np.uint64)), 0)

    def column_bytes(self, columns: Sequence[str]) -> int:
        return self.partition.column_bytes(columns)


def _chosen(part: Seen, match: Stretch, source: Source, partition: Partition) -> Values:
    """The numbers in the partition of those rows that the fit's steps kept; none where that cannot be told."""
    if not part.steps:
        return np.array(match.rows, np.int64)
    types = Schema(part.types)
    if any(name not in source._listing.schema for name in types):
        return np.zeros(0, np.int64)
    again = _Again(0, len(match.rows), 0, partition, match, types)
    try:
        frame = Source(Listing(types, (again,), {}, source.label), part.steps).load(0, ())
    except DataError:  # columns of other types than the fit's: these rows are not known to be its
        return np.zeros(0, np.int64)
    return frame.positions.astype(np.int64)


def _apart(part: Seen, match: Stretch, source: Source, partition: Partition) -> bool:
    """Whether one split put the fit's rows on one side and the source's on the other: nothing need be read."""
    theirs = [step for step in source._steps if isinstance(step, Split)]
    for number, mine in enumerate(part.steps):
        if not isinstance(mine, Split):
            continue
        for other in theirs:
            same = (mine.share, mine.seed, mine.depth, mine.key) == (other.share, other.seed, other.depth, other.key)
            if same and mine.inside != other.inside and _of_one_value(part, number, other, match, source, partition):
                return True
    return False


def _of_one_value(
    part: Seen, number: int, other: Split, match: Stretch, source: Source, partition: Partition
) -> bool:
    """Whether two splits decide by the same number of a row: its position, or the same column of it."""
    before = part.steps[:number], source._steps[: source._steps.index(other)]
    names = [_identity(steps, other.key) for steps in before]
    if names[0] != names[1]:
        return False
    if names[0] is None:
        return match.positions.step == match.rows.step and match.positions[0] == partition.first_row + match.rows[0]
    joined = any(isinstance(step, Join) and names[0] in step.adds for steps in before for step in steps)
    return not joined and _type_of(source, names[0]) == part.types.get(names[0])


def _identity(steps: Sequence[Step], key: str | None) -> str | None:
    return key or next((step.name for step in reversed(steps) if isinstance(step, Identify)), None)


def _type_of(source: Source, name: str) -> DType | None:
    schema = source._listing.schema
    return schema[name].dtype if name in schema else None
