"""A merged state with too many groups, or distinct values, for memory: scattered over buckets in scratch files.

Which bucket a group or value is in depends on its hash alone, so that what belongs together meets there, whatever
partition it came from. Buckets are merged and finished one after the other; nobody can tell from the result.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.backends.categories import hash_column
from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.state import Entries, State
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import hashing
from gpupipe.runtime.spill import Spill, Spilled
from gpupipe.schema import Int64
from gpupipe.storage import failing, scratch_folder

BUCKETS = 64
_Place = tuple[str, int, int, int | None]
_ROWS, _GROUPS, _COUNTS = "rows of groups", "groups of entries", "counts of entries"


def nbytes(state: State) -> int:
    """The memory that a state takes."""
    columns = [*state.keys, *([] if state.entries is None else [state.entries.values])]
    arrays = [state.rows, *state.arrays.values()]
    if state.entries is not None:
        arrays += [state.entries.groups, state.entries.counts]
    return sum(array.nbytes for array in arrays) + sum(_column_bytes(column) for column in columns)


def _column_bytes(column: Column) -> int:
    valid = 0 if column.valid is None else column.valid.nbytes
    return valid + int(column.values.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Rows of a state, in a scratch file.

    Attributes:
        keys: the groups' keys.
        arrays: the number of rows and the kind's arrays.
        values, counted: of a state with entries: those, their groups and their counts.
        groups: for a state whose entries are scattered, and not its groups: those, in memory.
    """

    keys: list[Spilled]
    arrays: "_Packed"
    values: list[Spilled]
    counted: "_Packed"
    groups: State | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Packed:
    """Arrays of equal length, those of one type side by side in one column: fewer, larger pieces are written.

    Attributes:
        places: for each array its name, the number of its column, its first row there, and how many it takes; None:
            it has one dimension.
    """

    columns: list[Spilled]
    places: tuple[_Place, ...]


@dataclass(eq=False)
class Scattered:
    """The states of one column over some partitions, in buckets.

    Args:
        kind: the kind of state.
        n_keys: how many of the keys, the first ones, decide where a group is (folds do not); with none, the values of
            entries do.
        spill: the scratch files.
    """

    kind: str
    n_keys: int
    spill: Spill = field(default_factory=Spill)
    _buckets: list[list[_Chunk]] = field(default_factory=lambda: [[] for _ in range(BUCKETS)])

    def add(self, state: State) -> None:
        """Take in the state of further partitions; from one thread at a time.

        Raises:
            StorageError: it cannot be written.
        """
        with _told("written"):
            (self._add_groups if self.n_keys else self._add_entries)(state)

    def parts(self) -> Iterator[State]:
        """The merged state of each bucket: together they have every group (or entry) once.

        Raises:
            StorageError: one cannot be read.
        """
        for chunks in self._buckets:
            if chunks:
                yield merge([self._read(chunk) for chunk in chunks])

    def whole(self) -> State:
        """All buckets as one state, in memory."""
        return merge(list(self.parts()))

    def close(self) -> None:
        """Free the scratch files, those of all states that share them."""
        self.spill.close()

    # -- writing ------------------------------------------------------------------------------------------
    def _add_groups(self, state: State) -> None:
        hashes = _hash(state.keys[: self.n_keys])
        order, edges = _by_bucket(hashes)
        entries = state.entries
        if entries is not None:  # those of a group stand together, in the new order of groups
            place = np.empty(state.n_groups, np.int64)
            place[order] = np.arange(state.n_groups)
            moved = place[entries.groups]
            by_group = np.argsort(moved, kind="stable")
            bounds = np.searchsorted(moved[by_group], edges)
        for bucket in range(BUCKETS):
            chosen = order[edges[bucket] : edges[bucket + 1]]
            if not len(chosen):
                continue
            arrays = {name: array[chosen] for name, array in {_ROWS: state.rows, **state.arrays}.items()}
            keys, values, counted = [key.take(chosen) for key in state.keys], None, {}
            if entries is not None:
                rows = by_group[bounds[bucket] : bounds[bucket + 1]]
                values = entries.values.take(rows)
                counted = {_GROUPS: moved[rows] - edges[bucket], _COUNTS: entries.counts[rows]}
            self._write(bucket, keys, arrays, values, counted)

    def _add_entries(self, state: State) -> None:
        entries = state.entries
        assert entries is not None, "a state without keys and entries is small"
        order, edges = _by_bucket(_hash([entries.values]))
        for bucket in range(BUCKETS):
            rows = order[edges[bucket] : edges[bucket + 1]]
            # The numbers of rows are counted once, not in every bucket.
            counted = state.rows if bucket == 0 else np.zeros_like(state.rows)
            if bucket == 0 or len(rows):
                found = {_GROUPS: entries.groups[rows], _COUNTS: entries.counts[rows]}
                groups = State(state.kind, state.keys, counted, {})
                self._write(bucket, [], {}, entries.values.take(rows), found, groups)

    def _write(
        self,
        bucket: int,
        keys: list[Column],
        arrays: dict[str, Values],
        values: Column | None,
        counted: dict[str, Values],
        groups: State | None = None,
    ) -> None:
        blocks, places = _packed(arrays)
        more, others = _packed(counted)
        listed = [] if values is None else [values]
        written = iter(self.spill.write([*map(_without_dictionary, (*keys, *listed)), *blocks, *more]))
        chunk = _Chunk(
            keys=[next(written) for _ in keys],
            values=[next(written) for _ in listed],
            arrays=_Packed([next(written) for _ in blocks], places),
            counted=_Packed(list(written), others),
            groups=groups,
        )
        self._buckets[bucket].append(chunk)

    # -- reading ------------------------------------------------------------------------------------------
    def _read(self, chunk: _Chunk) -> State:
        with _told("read"):
            keys, values = ([self.spill.read(part) for part in parts] for parts in (chunk.keys, chunk.values))
            arrays, counted = self._unpacked(chunk.arrays), self._unpacked(chunk.counted)
        entries = Entries(values[0], counted[_GROUPS], counted[_COUNTS], in_order=False) if values else None
        if chunk.groups is not None:
            known = chunk.groups
            return State(known.kind, known.keys, known.rows, {}, entries)
        return State(self.kind, keys, arrays.pop(_ROWS), arrays, entries)

    def _unpacked(self, packed: _Packed) -> dict[str, Values]:
        blocks = [self.spill.read(column).values for column in packed.columns]
        found = {}
        for name, number, first, width in packed.places:
            block = blocks[number]
            found[name] = block[first] if width is None else np.ascontiguousarray(block[first : first + width].T)
        return found


def split(state: State, n_keys: int, count: int) -> list[State]:
    """A state as several that merge to it, none of which shares a group (without keys: a value) with another; which one
    something is in depends on its hash alone.

    Args:
        n_keys: how many of the keys decide where a group is; with none, the values of entries do.
    """
    entries = state.entries
    if n_keys:
        part_of = _hash(state.keys[:n_keys]) % np.uint64(count)
        of_entry = None if entries is None else part_of[entries.groups]
        return [_groups_in(state, part_of == np.uint64(at), of_entry, at) for at in range(count)]
    assert entries is not None, "a state without keys and entries is small"
    part_of = _hash([entries.values]) % np.uint64(count)
    parts = []
    for at in range(count):
        rows = np.flatnonzero(part_of == np.uint64(at))
        kept = Entries(entries.values.take(rows), entries.groups[rows], entries.counts[rows], in_order=False)
        parts.append(State(state.kind, state.keys, state.rows if at == 0 else np.zeros_like(state.rows), {}, kept))
    return parts


def _groups_in(state: State, chosen: Values, of_entry: Values | None, at: int) -> State:
    groups, entries = np.flatnonzero(chosen), state.entries
    arrays = {name: array[groups] for name, array in state.arrays.items()}
    kept = None
    if entries is not None and of_entry is not None:
        rows = np.flatnonzero(of_entry == np.uint64(at))
        place = np.cumsum(chosen) - 1
        kept = Entries(entries.values.take(rows), place[entries.groups[rows]], entries.counts[rows], in_order=False)
    return State(state.kind, [key.take(groups) for key in state.keys], state.rows[groups], arrays, kept)


def _told(what: str) -> AbstractContextManager[None]:
    return failing(f"Statistics of too many groups for memory could not be {what}", scratch_folder())


def _packed(arrays: dict[str, Values]) -> tuple[list[Column], tuple[_Place, ...]]:
    """Arrays of equal length as columns to write, and where in them each one stands."""
    blocks: dict[np.dtype[Any], list[Values]] = {}
    places = []
    for name, array in arrays.items():
        block = blocks.setdefault(array.dtype, [])
        number, first = list(blocks).index(array.dtype), sum(len(rows) for rows in block)
        places.append((name, number, first, None if array.ndim == 1 else array.shape[1]))
        block.append(array[np.newaxis] if array.ndim == 1 else array.T)
    return [Column(Int64, np.concatenate(block)) for block in blocks.values()], tuple(places)


def _without_dictionary(column: Column) -> Column:
    """Text by itself: a dictionary may hold more than these rows."""
    if not column.is_dictionary:
        return column
    return Column(column.dtype, column.values.dictionary_decode(), column.valid)


def _hash(columns: Sequence[Column]) -> Values:
    """uint64 hash of each row, the same whatever represents it."""
    first, *others = (hash_column(column, 0) for column in columns)
    for other in others:
        first = hashing.mix(first, other)
    return np.asarray(first)


def _by_bucket(hashes: Values) -> tuple[Values, Values]:
    """(rows, those of one bucket together; where each bucket begins and the last ends)."""
    buckets = (hashes % np.uint64(BUCKETS)).astype(np.int16)
    order = np.argsort(buckets, kind="stable")
    edges = np.concatenate([[0], np.cumsum(np.bincount(buckets, minlength=BUCKETS))])
    return order.astype(np.int64), edges.astype(np.int64)
