"""A merged state with too many groups, or distinct values, for memory: scattered over buckets in scratch files.

Which bucket a group or value is in depends on its hash alone, so that what belongs together meets there, whatever
partition it came from. Buckets are merged and finished one after the other; nobody can tell from the result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
        names: of the arrays.
        keys, arrays: those and the number of rows; `entries`: values, groups and counts, if the state has them.
        groups: for a state whose entries are scattered, and not its groups: those, in memory.
    """

    names: tuple[str, ...]
    keys: list[Spilled]
    arrays: list[Spilled]
    entries: list[Spilled]
    groups: State | None = None


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
        """Free the scratch files."""
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
            found: list[Column] = []
            if entries is not None:
                rows = by_group[bounds[bucket] : bounds[bucket + 1]]
                found = [entries.values.take(rows), _held(moved[rows] - edges[bucket]), _held(entries.counts[rows])]
            names = tuple(state.arrays)
            arrays = [_held(state.rows[chosen]), *(_held(array[chosen]) for array in state.arrays.values())]
            self._write(bucket, names, [key.take(chosen) for key in state.keys], arrays, found)

    def _add_entries(self, state: State) -> None:
        entries = state.entries
        assert entries is not None, "a state without keys and entries is small"
        order, edges = _by_bucket(_hash([entries.values]))
        for bucket in range(BUCKETS):
            rows = order[edges[bucket] : edges[bucket + 1]]
            # The numbers of rows are counted once, not in every bucket.
            counted = state.rows if bucket == 0 else np.zeros_like(state.rows)
            if bucket == 0 or len(rows):
                found = [entries.values.take(rows), _held(entries.groups[rows]), _held(entries.counts[rows])]
                self._write(bucket, (), [], [], found, State(state.kind, state.keys, counted, {}))

    def _write(
        self,
        bucket: int,
        names: tuple[str, ...],
        keys: list[Column],
        arrays: list[Column],
        entries: list[Column],
        groups: State | None = None,
    ) -> None:
        written = self.spill.write([*(_plain(key) for key in keys), *arrays, *map(_plain, entries)])
        edge = len(keys) + len(arrays)
        chunk = _Chunk(names, written[: len(keys)], written[len(keys) : edge], written[edge:], groups)
        self._buckets[bucket].append(chunk)

    # -- reading ------------------------------------------------------------------------------------------
    def _read(self, chunk: _Chunk) -> State:
        with _told("read"):
            keys, arrays, entries = (
                [self.spill.read(part) for part in parts] for parts in (chunk.keys, chunk.arrays, chunk.entries)
            )
        found = None
        if entries:
            values, groups, counts = entries
            found = Entries(values, groups.values, counts.values, in_order=False)
        if chunk.groups is not None:
            known = chunk.groups
            return State(known.kind, known.keys, known.rows, {}, found)
        rows, *others = (np.ascontiguousarray(array.values.T) for array in arrays)
        return State(self.kind, keys, rows, dict(zip(chunk.names, others, strict=True)), found)


def _told(what: str) -> "failing":  # type: ignore[valid-type]
    return failing(f"Statistics of too many groups for memory could not be {what}", Path(scratch_folder()))


def _held(values: Values) -> Column:
    """An array of rows as a column; of several columns as a wide one."""
    return Column(Int64, np.ascontiguousarray(values.T))


def _plain(column: Column) -> Column:
    """Text without a dictionary, which may hold more than these rows."""
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
