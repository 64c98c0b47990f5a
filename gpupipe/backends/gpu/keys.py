"""Keys of device columns: rows into groups, as ``gpupipe.backends.keys`` has them on the host, to the bit.

Numbers are told apart on the device and sorted on the host, which sees the distinct ones alone. Text goes by the ids of
its entries: the host ranks the entries that rows use, the device gives each row the rank of its entry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gpupipe.backends import keys as host
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Column, Values
from gpupipe.kernels.gpu import counting, lookup
from gpupipe.kernels.gpu import keys as kernels
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.numbers import Numbers

_DIRECT = 1 << 20  # numbers of a smaller range are counted, without a hash table: at most 8 MB
MOST_SLOTS = 1 << 27  # of a hash table: 1 GiB, and half of it for what is found by it


@dataclass(frozen=True, slots=True, eq=False)
class DeviceGroups:
    """Rows of a partition by group: ``gpupipe.backends.states.state.Groups`` with the rows' groups on a device.

    Attributes:
        of_row: int32 group of each row, -1 where a key is NaN; None: all rows are one group.
        keys: the groups' keys on the host, sorted, nulls last; none for one group.
        rows: int64 on the host, how many rows each group has.
    """

    of_row: DeviceArray | None
    keys: list[Column]
    rows: Values


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """The distinct keys of some rows.

    Attributes:
        keys: int64 on the host, sorted.
        places: finds the rank of a row's key.
        counted: int64 on the host, how many rows have each key, where that is known already.
    """

    keys: Values
    places: lookup.Places
    counted: Values | None = None

    def counts(self, numbers: Numbers) -> Values:
        """int64 on the host: how many rows have each key, of the rows that these are the keys of."""
        return rows_of(self.places.of(numbers), len(self.keys)) if self.counted is None else self.counted


def groups_of(columns: Sequence[DeviceColumn], n_rows: int) -> DeviceGroups:
    """The groups that keys make of `n_rows` rows: the host's ``groups_of``.

    Raises:
        NotOnDevice: more distinct keys than a hash table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    return groups_by(map(column_ranks, columns), n_rows)


def groups_by(ranks: Iterable[tuple[DeviceArray, Column]], n_rows: int) -> DeviceGroups:
    """The same, from what `column_ranks` gives of each column."""
    each = iter(ranks)
    first = next(each, None)
    if first is None:
        return DeviceGroups(None, [], np.array([n_rows]))
    of_row, keys = first[0], [first[1]]
    for inner, further in each:
        size = max(len(further), 1)
        pairs = Numbers(lookup.combine(of_row, inner, size), partial=True)
        found = distinct(pairs)
        keys = [key.take(found.keys // size) for key in keys] + [further.take(found.keys % size)]
        of_row = found.places.of(pairs)
    return DeviceGroups(of_row, keys, rows_of(of_row, len(keys[0])))


def rows_of(ranks: DeviceArray, n_ranks: int) -> Values:
    """int64 on the host: how many rows have each rank."""
    return counting.counts(Numbers(ranks, partial=True), 0, n_ranks)[:n_ranks]


def column_ranks(column: DeviceColumn, nulls: bool = True) -> tuple[DeviceArray, Column]:
    """(int32 rank of each row's value, nulls after all values and -1 for NaN; the distinct values, sorted, a null last
    if there is one): the host's ``column_ranks``.

    Args:
        nulls: whether null is a key; if not, its rank is -1 too.
    """
    if column.ids is not None:
        return _ranks_by_entry(column, nulls)
    numbers = numbers_of(column)
    extent = kernels.extent(numbers)
    found = distinct(numbers, extent)
    uniques = Column(column.dtype, host.from_ordered_bits(found.keys, column.dtype.storage))
    if extent.null is None or not nulls:
        return found.places.of(numbers), uniques
    return found.places.of(numbers, null=len(uniques)), host.with_null(uniques)


def numbers_of(column: DeviceColumn) -> Numbers:
    """What kernels of keys read of a column without ids."""
    assert column.values is not None
    return Numbers(column.values, column.valid)


def distinct(numbers: Numbers, extent: kernels.Extent | None = None) -> Distinct:
    """The distinct keys of all rows; without rows that have none.

    Raises:
        NotOnDevice: more than a hash table is made for.
    """
    extent = kernels.extent(numbers) if extent is None else extent
    if extent.span <= min(_DIRECT, 4 * len(numbers) + 1_024):
        low = extent.low or 0
        counted = counting.counts(numbers, low, extent.span)[:-1]
        present = np.flatnonzero(counted)
        places = _dense(numbers, low, extent.span, present)
        return Distinct(present + np.int64(low), places, counted[present])
    table = kernels.hashed(numbers, MOST_SLOTS)
    if table is None:
        raise NotOnDevice(f"its distinct values do not fit into a hash table of {MOST_SLOTS:,} slots")
    keys, slots = table.keys()
    order = np.argsort(keys)
    ranks = np.empty(len(keys), np.int32)
    ranks[order] = np.arange(len(keys), dtype=np.int32)
    return Distinct(keys[order], lookup.Hashed(table, table.by_slot(slots, ranks)))


def _dense(numbers: Numbers, low: int, span: int, present: Values) -> lookup.Dense:
    ranks = np.full(span, -1, np.int32)
    ranks[present] = np.arange(len(present), dtype=np.int32)
    return lookup.Dense(low, numbers.device.upload(ranks))


def used_entries(column: DeviceColumn) -> tuple[Column, Values, Values, int]:
    """Of a column with ids: (entries that rows use, their numbers, how many rows use each, how many rows are null)."""
    assert column.ids is not None and column.entries is not None
    size = len(column.entries)
    found = counting.counts(Numbers(column.ids, column.valid), 0, size)
    used = np.flatnonzero(found[:-1])
    entries = column.known if len(used) == size else column.known.take(used)
    return entries, used, found[used], int(found[-1])


def _ranks_by_entry(column: DeviceColumn, nulls: bool) -> tuple[DeviceArray, Column]:
    assert column.ids is not None and column.entries is not None
    entries, used, _, n_nulls = used_entries(column)
    inner, uniques = host.column_ranks(entries)
    n_values = len(uniques) if uniques.valid is None else len(uniques) - 1
    if not nulls:
        inner, uniques = np.where(inner < n_values, inner, -1), Column(uniques.dtype, uniques.values[:n_values])
    elif n_nulls and uniques.valid is None:
        uniques = host.with_null(uniques)
    ranks = np.full(len(column.entries), -1, np.int32)
    ranks[used] = inner
    places = lookup.Dense(0, column.device.upload(ranks))
    return places.of(Numbers(column.ids, column.valid), null=n_values if nulls else -1), uniques
