"""States of a partition's device columns: ``gpupipe.backends.states.gathering.gather``, to the bit."""

from collections.abc import Callable, Sequence

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.found import Asked, Counted, counted, find
from gpupipe.backends.gpu.keys import DeviceGroups
from gpupipe.backends.gpu.orders import MANY_GROUPS, binned, of_many, on_host
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.gpu.sums import sums_of_integers
from gpupipe.backends.gpu.values import entries_of
from gpupipe.backends.states import gathering
from gpupipe.backends.states.moments import INFINITE, arrays_of
from gpupipe.backends.states.state import Arrays, Groups, State
from gpupipe.errors import NonFiniteError
from gpupipe.kernels.gpu import bits
from gpupipe.kernels.gpu.batch import Column
from gpupipe.kernels.gpu.exact import integers_found
from gpupipe.kernels.gpu.extremes import extremes_found
from gpupipe.kernels.gpu.rows import is_float
from gpupipe.schema import String

_MOST_PAIRS = 1 << 24  # of a group and an entry: 64 MiB of counts

Wanted = tuple[str, DeviceColumn, DeviceGroups]


def gather(kind: str, column: DeviceColumn, by: DeviceGroups) -> State:
    """The state of `column` over the rows of one partition, grouped as `by` says; it has the bits of the host's.

    Raises:
        NonFiniteError: NaN among the values, or an infinity in moments.
        NotOnDevice: the host has to do it: infinities that are summed, integers of 64 bits without a sign, statistics
            of text other than counts and distinct values, more groups of text than a table is made for.
        DeviceMemoryError: the device has not so much memory.
    """
    return Gathered([(kind, column, by)]).state(0)


class Gathered:
    """The states of a partition's columns, worked out together: a few launches, however many they are.

    Args:
        wanted: (kind, column, groups) of each.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self._wanted = wanted
        self._asked: dict[tuple[int, int], Asked] = {}
        self._entries: dict[tuple[int, int], Counted] = {}
        for kind, column, by in wanted:
            self._ask(kind, column, by)
        if self._asked or self._entries:
            find(wanted[0][1].device, list(self._asked.values()), list(self._entries.values()))

    def _ask(self, kind: str, column: DeviceColumn, by: DeviceGroups) -> None:
        key, n_groups = (id(column), id(by)), len(by.rows)
        if not column.n_rows or not n_groups:
            return
        if column.values is None:
            if _why_not(kind, column, n_groups) is None and (kind != "values" or by.of_row is None):
                self._entries.setdefault(key, counted(column, by))
        elif kind != "values" and column.values.dtype != np.uint64 and not (kind == "order" and n_groups > MANY_GROUPS):
            if key not in self._asked:
                self._asked[key] = Asked(Column(column.values, column.valid, by.of_row, n_groups), by)
            self._asked[key].want(kind, is_float(column.values.dtype))

    def state(self, number: int) -> State:
        """The state of the numbered one; errors as :func:`gather` says."""
        kind, column, by = self._wanted[number]
        if not column.n_rows or not len(by.rows):
            return gathering.gather(kind, column.to_host(), on_host(by))
        key = id(column), id(by)
        if column.values is None:
            return _of_entries(kind, column, by, self._entries.get(key))
        if kind == "values":
            return State(kind, list(by.keys), by.rows, {}, entries_of(column, by))
        if column.values.dtype == np.uint64:
            raise NotOnDevice("64-bit integers without a sign are gathered on the host")
        if kind == "order":
            asked = self._asked.get(key)
            found = of_many(column, by) if asked is None or asked.order is None else binned(column, asked.order)
            return State(kind, list(by.keys), by.rows, {}, found)
        return State(kind, list(by.keys), by.rows, _ARRAYS[kind](self._asked[key]))


def refuse_nan(row: int | None) -> None:
    """Raise for the first row that has NaN, if there is one."""
    if row is not None:
        raise NonFiniteError(gathering.NAN).at(row)


def _first_infinite(asked: Asked) -> int | None:
    """The first row with an infinite value; where a row has NaN, the error that names it."""
    nan, infinite = bits.first_odd(asked.column.values, asked.column.valid, asked.column.groups)
    refuse_nan(nan)
    return infinite


def _count(asked: Asked) -> Arrays:
    if asked.ends is not None:
        refuse_nan(extremes_found(asked.column, asked.ends)[2])
    return {"n": asked.n}


def _extremes(asked: Asked) -> Arrays:
    assert asked.ends is not None
    least, greatest, nan = extremes_found(asked.column, asked.ends)
    refuse_nan(nan)
    return {"n": asked.n, "min": least, "max": greatest}


def _moments(asked: Asked) -> Arrays:
    if not is_float(asked.column.values.dtype):
        return _of_integers(asked, squares=True)
    assert asked.sums is not None
    of_floats = asked.sums.sums()
    if of_floats is None:
        infinite = _first_infinite(asked)
        assert infinite is not None
        raise NonFiniteError(INFINITE).at(infinite)
    return {"n": asked.n, **arrays_of(of_floats)}


def _sum(asked: Asked) -> Arrays:
    if not is_float(asked.column.values.dtype):
        return _of_integers(asked, squares=False)
    return _finite_sums(asked, squares=False)


def _tails(asked: Asked) -> Arrays:
    return _finite_sums(asked, squares=True)


def _of_integers(asked: Asked, *, squares: bool) -> Arrays:
    assert asked.integers is not None
    total, of_squares = integers_found(asked.column, asked.integers)
    return {"n": asked.n, **arrays_of(sums_of_integers((total, of_squares if squares else None)))}


def _finite_sums(asked: Asked, *, squares: bool) -> Arrays:
    assert asked.sums is not None
    found = asked.sums.sums()
    if found is None:
        _first_infinite(asked)
        raise NotOnDevice("infinite values among those that are summed are counted on the host")
    infinite = np.zeros((asked.column.n_groups, 2), np.int64)
    return {"n": asked.n, **arrays_of(found if squares else found.without_squares()), "infinite": infinite}


_ARRAYS: dict[str, Callable[[Asked], Arrays]] = {
    "count": _count, "sum": _sum, "moments": _moments, "tails": _tails, "extremes": _extremes,
}  # fmt: skip


def _why_not(kind: str, column: DeviceColumn, n_groups: int) -> str | None:
    """Why the host has to gather the state of a column with a dictionary."""
    assert column.entries is not None
    if kind == "values":
        return None
    if kind != "count" and column.dtype == String:
        return "statistics of text are gathered on the host"
    if n_groups * len(column.entries) > _MOST_PAIRS:
        return "a dictionary's entries, counted by so many groups, would be too large a table"
    return None


def _of_entries(kind: str, column: DeviceColumn, by: DeviceGroups, found: Counted | None) -> State:
    """The state of a column with a dictionary: each entry counts as often as rows of the group have it."""
    why = _why_not(kind, column, len(by.rows))
    if why is not None:
        raise NotOnDevice(why)
    if kind == "values":
        entries = entries_of(column, by, None if found is None else found.table[0])
        return State(kind, list(by.keys), by.rows, {}, entries)
    assert found is not None and column.entries is not None
    groups, entry = np.nonzero(found.table)
    values = column.known.take(entry)
    try:
        return gathering.gather(kind, values, Groups(groups, by.keys, by.rows), found.table[groups, entry])
    except NonFiniteError:
        raise NotOnDevice("a value that is NaN or infinite is told by the host, which knows its row") from None
