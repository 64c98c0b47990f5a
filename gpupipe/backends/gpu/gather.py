"""States of a partition's device columns: ``gpupipe.backends.states.gathering.gather``, to the bit."""

from collections.abc import Callable, Sequence

import numpy as np

from gpupipe.backends.exact.totals import Sums
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import DeviceGroups
from gpupipe.backends.gpu.orders import binned, on_host
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.gpu.sums import Summed, summed, sums_of_floats, sums_of_integers
from gpupipe.backends.gpu.values import entries_of
from gpupipe.backends.states import gathering
from gpupipe.backends.states.moments import INFINITE, arrays_of
from gpupipe.backends.states.state import Arrays, Groups, State
from gpupipe.columns import Values
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import bits, extremes
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.rows import is_float
from gpupipe.schema import String

#: The kinds of state that are made of sums; tails are summed as floats whatever their type.
SUMMED = ("sum", "moments", "tails")

_MOST_PAIRS = 1 << 24  # of a group and an entry: 64 MiB of counts


class Ahead:
    """Sums of columns whose rows are all of one group, worked out together: a few launches, however many columns.

    Args:
        asked: (kind of state, column) of the states to come.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """

    def __init__(self, asked: Sequence[tuple[str, DeviceColumn]]) -> None:
        self._held: dict[int, tuple[DeviceColumn, Summed]] = {}
        for kind, column in asked:
            values = column.values
            as_floats = values is not None and (kind == "tails" or is_float(values.dtype))
            if values is None or not column.n_rows or not as_floats or kind not in SUMMED:
                continue
            known = self.of(column)
            squares = kind != "sum" or (known is not None and known.squares)
            self._held[id(column)] = (column, Summed(values, column.valid, squares))
        if self._held:
            summed([one for _, one in self._held.values()])

    def of(self, column: DeviceColumn) -> Summed | None:
        """The sums of a column; None where they were not asked for."""
        return self._held.get(id(column), (None, None))[1]


def gather(kind: str, column: DeviceColumn, by: DeviceGroups, ahead: Ahead | None = None) -> State:
    """The state of `column` over the rows of one partition, grouped as `by` says; it has the bits of the host's.

    Args:
        ahead: sums that are known already.

    Raises:
        NonFiniteError: NaN among the values, or an infinity in moments.
        NotOnDevice: the host has to do it: infinities that are summed, integers of 64 bits without a sign, statistics
            of text other than counts and distinct values, more groups of text than a table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    if not column.n_rows or not len(by.rows):
        return gathering.gather(kind, column.to_host(), on_host(by))
    if kind == "values":
        return State(kind, list(by.keys), by.rows, {}, entries_of(column, by))
    if column.values is None:
        return _by_entry(kind, column, by)
    if column.values.dtype == np.uint64:
        raise NotOnDevice("64-bit integers without a sign are gathered on the host")
    if kind == "order":
        return State(kind, list(by.keys), by.rows, {}, binned(column, by))
    of_all = None if ahead is None or by.of_row is not None else ahead.of(column)
    return State(kind, list(by.keys), by.rows, _ARRAYS[kind](_Rows(column, column.values, by, of_all)))


class _Rows:
    """A column without a dictionary, and its groups, as kernels take them; and its sums, if they are known."""

    def __init__(self, column: DeviceColumn, values: DeviceArray, by: DeviceGroups, of_all: Summed | None) -> None:
        self.values, self.valid, self.groups, self.rows = values, column.valid, by.of_row, by.rows
        self._of_all = of_all

    @property
    def n_groups(self) -> int:
        return len(self.rows)

    def counts(self) -> Values:
        """How many values each group has."""
        if self._of_all is not None and self._of_all.n_valid is not None:
            return np.array([self._of_all.n_valid])
        if self.groups is None:
            return np.array([bits.count(self.valid, len(self.values))])
        if self.valid is None:
            return self.rows.copy()
        return extremes.counts(self.groups, self.n_groups, valid=self.valid)[:, 0]

    def sums(self, *, squares: bool) -> Sums | None:
        """The sums of each group's values as floats; None where one is NaN or infinite."""
        if self._of_all is None or (squares and not self._of_all.squares):
            return sums_of_floats(self.values, self.valid, self.groups, self.rows, squares=squares)
        found = self._of_all.sums()
        return found if found is None or squares else Sums(found.total, None)

    def first_infinite(self) -> int | None:
        """The first row with an infinite value.

        Raises:
            NonFiniteError: a row has NaN.
        """
        nan, infinite = bits.first_odd(self.values, self.valid, self.groups)
        refuse_nan(nan)
        return infinite


def refuse_nan(row: int | None) -> None:
    """Raise for the first row that has NaN, if there is one."""
    if row is not None:
        raise NonFiniteError(gathering.NAN).at(row)


def _count(rows: _Rows) -> Arrays:
    rows.first_infinite()
    return {"n": rows.counts()}


def _extremes(rows: _Rows) -> Arrays:
    least, greatest, nan = extremes.extremes(rows.values, rows.groups, rows.n_groups, valid=rows.valid)
    refuse_nan(nan)
    return {"n": rows.counts(), "min": least, "max": greatest}


def _moments(rows: _Rows) -> Arrays:
    if not is_float(rows.values.dtype):
        found = sums_of_integers(rows.values, rows.valid, rows.groups, rows.n_groups, squares=True)
        return {"n": rows.counts(), **arrays_of(found)}
    of_floats = rows.sums(squares=True)
    if of_floats is None:
        infinite = rows.first_infinite()
        assert infinite is not None
        raise NonFiniteError(INFINITE).at(infinite)
    return {"n": rows.counts(), **arrays_of(of_floats)}


def _sum(rows: _Rows) -> Arrays:
    if not is_float(rows.values.dtype):
        found = sums_of_integers(rows.values, rows.valid, rows.groups, rows.n_groups, squares=False)
        return {"n": rows.counts(), **arrays_of(found)}
    return _finite_sums(rows, squares=False)


def _tails(rows: _Rows) -> Arrays:
    return _finite_sums(rows, squares=True)


def _finite_sums(rows: _Rows, *, squares: bool) -> Arrays:
    found = rows.sums(squares=squares)
    if found is None:
        rows.first_infinite()
        raise NotOnDevice("infinite values among those that are summed are counted on the host")
    return {"n": rows.counts(), **arrays_of(found), "infinite": np.zeros((rows.n_groups, 2), np.int64)}


_ARRAYS: dict[str, Callable[[_Rows], Arrays]] = {
    "count": _count, "sum": _sum, "moments": _moments, "tails": _tails, "extremes": _extremes,
}  # fmt: skip


def _by_entry(kind: str, column: DeviceColumn, by: DeviceGroups) -> State:
    """The state of a column with a dictionary: each entry counts as often as rows of the group have it."""
    entries, n_groups = column.entries, len(by.rows)
    assert entries is not None and column.ids is not None
    if kind != "count" and column.dtype == String:
        raise NotOnDevice("statistics of text are gathered on the host")
    if n_groups * len(entries) > _MOST_PAIRS:
        raise NotOnDevice("a dictionary's entries, counted by so many groups, would be too large a table")
    counts = extremes.counts(by.of_row, n_groups, valid=column.valid, ids=column.ids, n_entries=len(entries))
    groups, entry = np.nonzero(counts)
    values = entries.take(entry)
    try:
        return gathering.gather(kind, values, Groups(groups, by.keys, by.rows), counts[groups, entry])
    except NonFiniteError:
        raise NotOnDevice("a value that is NaN or infinite is told by the host, which knows its row") from None
