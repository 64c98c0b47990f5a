"""Mergeable states: what a scan keeps of a column, a group a row. Merging is stacking and combining equal groups.

A state is named arrays, each a row a group (``count``, ``sum``, ``moments``, ``extremes``), or a row for each distinct
value of a group (``values``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.columns import Column, Values, concat, taken_from
from gpupipe.errors import IntegerOverflowError, NonFiniteError
from gpupipe.schema import Boolean, Float64, Int64

Arrays = dict[str, Values]
_NAN = "NaN stands among the values. Use .nan_to_null() before, then .fill_null(…) if needed."
_INFINITE = "an infinite value has no place in a mean, a variance or a standard deviation. Clip it, or filter it out."


@dataclass(frozen=True, slots=True)
class StateKind:
    """How one kind of state is gathered and combined.

    Attributes:
        name: its name in the table of reductions.
        update: (values of valid rows, their groups, number of groups) -> arrays.
        combine: (arrays, the new group of each row, number of groups) -> arrays.
        invertible: whether a part can be taken out again by subtraction, to the bit; rounded sums lose what was below.
    """

    name: str
    update: Callable[[Column, Values, int], Arrays]
    combine: Callable[[Arrays, Values, int], Arrays]
    invertible: bool


@dataclass(slots=True, eq=False)
class State:
    """The state of one column over some rows.

    Attributes:
        kind: its kind.
        keys: the groups' keys (none: one group), sorted.
        rows: int64, the number of rows of each group, nulls included.
        arrays: the kind's arrays over groups; empty for ``values``.
        entries: for ``values``: the distinct values, by group, then value.
        entry_group, entry_count: for ``values``: the group of each entry, and how many rows have it.
    """

    kind: str
    keys: list[Column]
    rows: Values
    arrays: Arrays
    entries: Column | None = None
    entry_group: Values | None = None
    entry_count: Values | None = None

    @property
    def n_groups(self) -> int:
        return len(self.rows)


def _sums(values: Values, groups: Values, n_groups: int) -> Values:
    if n_groups == 1:
        return np.array([values.sum()])
    if values.dtype.kind == "f":
        return np.bincount(groups, weights=values, minlength=n_groups)
    total = np.zeros(n_groups, np.int64)
    np.add.at(total, groups, values)
    return total


def _counts(groups: Values, n_groups: int) -> Values:
    return np.array([len(groups)]) if n_groups == 1 else np.bincount(groups, minlength=n_groups)


def _update_count(column: Column, groups: Values, n_groups: int) -> Arrays:
    return {"n": _counts(groups, n_groups)}


def _update_sum(column: Column, groups: Values, n_groups: int) -> Arrays:
    values = column.values.astype(np.int64) if column.values.dtype.kind in "bi" else column.values
    _refuse_overflow(values)
    return {"n": _counts(groups, n_groups), "sum": _sums(values, groups, n_groups)}


def _update_moments(column: Column, groups: Values, n_groups: int) -> Arrays:
    values = column.values.astype(np.float64)
    if not np.isfinite(values).all():
        raise NonFiniteError(_INFINITE).at(int(np.flatnonzero(~np.isfinite(values))[0]))
    n = _counts(groups, n_groups)
    # From one of the values on, so that a constant column has a spread of exactly 0, whatever its value.
    pivot = values[:1] if n_groups == 1 and len(values) else np.zeros(n_groups)
    if n_groups > 1:
        pivot[groups[::-1]] = values[::-1]
    offset = values - (pivot[0] if n_groups == 1 else pivot[groups])
    shift = _sums(offset, groups, n_groups) / np.maximum(n, 1)
    centred = offset - (shift[0] if n_groups == 1 else shift[groups])
    # The second pass takes what rounding left of the mean back out (Chan, Golub, LeVeque 1983).
    rest = _sums(centred, groups, n_groups)
    m2 = _sums(centred * centred, groups, n_groups) - rest * rest / np.maximum(n, 1)
    return {"n": n, "mean": pivot + (shift + rest / np.maximum(n, 1)), "m2": np.maximum(m2, 0.0)}


def _update_extremes(column: Column, groups: Values, n_groups: int) -> Arrays:
    values = column.values.astype(np.int64) if column.values.dtype.kind == "b" else column.values
    low, high = _identity(values.dtype)
    least, greatest = np.full(n_groups, low, values.dtype), np.full(n_groups, high, values.dtype)
    if n_groups == 1 and len(values):
        least[0], greatest[0] = values.min(), values.max()
    elif len(values):
        np.minimum.at(least, groups, values)
        np.maximum.at(greatest, groups, values)
    return {"n": _counts(groups, n_groups), "min": least, "max": greatest}


def _identity(dtype: np.dtype[Any]) -> tuple[float | int, float | int]:
    if dtype.kind == "f":
        return np.inf, -np.inf
    bounds = np.iinfo(dtype)
    return int(bounds.max), int(bounds.min)


def _refuse_overflow(values: Values) -> None:
    if values.dtype.kind == "i" and float(np.abs(values.astype(np.float64)).sum()) >= 2.0**62:
        raise IntegerOverflowError("a sum of integers may leave int64. Cast the column to Float64 before summing.")


def _combine_sums(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    if "sum" in arrays:
        _refuse_overflow(arrays["sum"])
    return {name: _sums(array, groups, n_groups).astype(array.dtype) for name, array in arrays.items()}


def _combine_moments(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    """Pairwise-free form of Chan, Golub, LeVeque 1983: any number of parts at once."""
    n = _sums(arrays["n"], groups, n_groups).astype(np.int64)
    pivot = np.zeros(n_groups)
    filled = arrays["n"] > 0
    pivot[groups[filled][::-1]] = arrays["mean"][filled][::-1]
    offset = arrays["mean"] - pivot[groups]
    shift = _sums(arrays["n"] * offset, groups, n_groups) / np.maximum(n, 1)
    spread = arrays["m2"] + arrays["n"] * (offset - shift[groups]) ** 2
    return {"n": n, "mean": pivot + shift, "m2": _sums(spread, groups, n_groups)}


def _combine_extremes(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    low, high = _identity(arrays["min"].dtype)
    least = np.full(n_groups, low, arrays["min"].dtype)
    greatest = np.full(n_groups, high, arrays["max"].dtype)
    np.minimum.at(least, groups, arrays["min"])
    np.maximum.at(greatest, groups, arrays["max"])
    return {"n": _sums(arrays["n"], groups, n_groups).astype(np.int64), "min": least, "max": greatest}


def _no_arrays(*_: object) -> Arrays:
    return {}


_quiet = np.errstate(over="ignore", invalid="ignore")  # what leaves float64 is told of the finished value
KINDS = {
    kind.name: kind
    for kind in (
        StateKind("count", _update_count, _combine_sums, invertible=True),
        StateKind("sum", _quiet(_update_sum), _quiet(_combine_sums), invertible=False),
        StateKind("moments", _quiet(_update_moments), _quiet(_combine_moments), invertible=False),
        StateKind("extremes", _update_extremes, _combine_extremes, invertible=False),
        StateKind("values", _no_arrays, _no_arrays, invertible=True),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows of a partition by group.

    Attributes:
        of_row: int64 group of each row, -1 where a key is NaN; None: all rows are one group.
        keys: the groups' keys, sorted, nulls last; none for one group.
        rows: int64, how many rows each group has.
    """

    of_row: Values | None
    keys: list[Column]
    rows: Values


def groups_of(keys: list[Column], n_rows: int) -> Groups:
    """The groups that `keys` make of `n_rows` rows. States with the same keys share them."""
    if not keys:
        return Groups(None, [], np.array([n_rows]))
    of_row, uniques = grouping.factorize(keys)
    known = of_row[of_row >= 0]
    return Groups(of_row, uniques, np.bincount(known, minlength=len(uniques[0])).astype(np.int64))


def gather(kind: str, column: Column, by: Groups) -> State:
    """The state of `column` over the rows of one partition, grouped as `by` says.

    Raises:
        NonFiniteError: NaN among the values, or an infinity in moments.
        IntegerOverflowError: a sum of integers that may leave int64.
    """
    n_groups = len(by.rows)
    seen = column.valid
    if by.of_row is not None and (by.of_row < 0).any():
        seen = by.of_row >= 0 if seen is None else seen & (by.of_row >= 0)
    groups = np.zeros(len(column), np.int64) if by.of_row is None else by.of_row
    rows = None if seen is None or seen.all() else np.flatnonzero(seen)
    if rows is not None:
        column, groups = column.take(rows), groups[rows]
    column = Column(column.dtype, column.values)
    with taken_from(rows):
        if (nan := grouping.is_nan(column)) is not None:
            raise NonFiniteError(_NAN).at(int(np.flatnonzero(nan)[0]))
        state = State(kind, list(by.keys), by.rows, KINDS[kind].update(column, groups, n_groups))
    return _with_entries(state, column, groups, None) if kind == "values" else state


def _with_entries(state: State, column: Column, groups: Values, counts: Values | None) -> State:
    if column.dtype == Boolean:
        column = Column(Int64, column.values.astype(np.int64))
    if column.dtype.is_float and column.dtype != Float64:
        column = Column(Float64, column.values.astype(np.float64))
    ids, (of_group, values) = grouping.factorize([Column(Int64, groups), column])
    weights = np.ones(len(ids), np.int64) if counts is None else counts
    state.entries = Column(values.dtype, values.values)
    state.entry_group = of_group.values
    state.entry_count = _sums_exact(weights, ids, len(of_group))
    return state


def _sums_exact(weights: Values, ids: Values, size: int) -> Values:
    total = np.zeros(size, np.int64)
    np.add.at(total, ids, weights)
    return total


def regroup(state: State, keys: list[Column], groups: Values, chosen: Values | None = None) -> State:
    """The state with its groups mapped to others (many may become one); rows of `chosen` alone, if given."""
    n_groups = len(keys[0]) if keys else 1
    kept = np.ones(state.n_groups, bool) if chosen is None else chosen
    arrays = {name: array[kept] for name, array in state.arrays.items()}
    rows = _sums_exact(state.rows[kept], groups[kept], n_groups)
    result = State(state.kind, keys, rows, KINDS[state.kind].combine(arrays, groups[kept], n_groups))
    if state.entries is None or state.entry_group is None or state.entry_count is None:
        return result
    wanted = kept[state.entry_group]
    moved = groups[state.entry_group[wanted]]
    return _with_entries(result, state.entries.take(wanted), moved, state.entry_count[wanted])


def stacked(states: list[State]) -> State:
    """The states one below the other: groups of equal keys still apart."""
    first = states[0]
    offsets = np.cumsum([0, *(state.n_groups for state in states)])
    keys = [concat([state.keys[index] for state in states]) for index in range(len(first.keys))]
    arrays = {name: np.concatenate([state.arrays[name] for state in states]) for name in first.arrays}
    result = State(first.kind, keys, np.concatenate([state.rows for state in states]), arrays)
    if first.entries is not None:
        result.entries = concat([state.entries for state in states if state.entries is not None])
        parts = [(state.entry_group, offset) for state, offset in zip(states, offsets, strict=False)]
        result.entry_group = np.concatenate([group + offset for group, offset in parts if group is not None])
        result.entry_count = np.concatenate([s.entry_count for s in states if s.entry_count is not None])
    return result


def merge(states: list[State]) -> State:
    """One state of all rows that `states` saw, combined in the order given."""
    if len(states) == 1:
        return states[0]
    whole = stacked(states)
    if not whole.keys:
        return regroup(whole, [], np.zeros(whole.n_groups, np.int64))
    groups, keys = grouping.factorize(whole.keys)
    return regroup(whole, keys, groups)


def without_fold(state: State) -> State:
    """The state of all folds together: the last key, the fold, is dropped."""
    if len(state.keys) == 1:
        return regroup(state, [], np.zeros(state.n_groups, np.int64))
    groups, keys = grouping.factorize(state.keys[:-1])
    return regroup(state, keys, groups)


def outside_fold(state: State, fold: int) -> State:
    """The state of the rows outside `fold`, which becomes the last key: what a row of that fold may know."""
    outside = state.keys[-1].values != fold
    groups = np.zeros(state.n_groups, np.int64)
    keys: list[Column] = []
    if len(state.keys) > 1:
        groups[outside], keys = grouping.factorize([key.take(outside) for key in state.keys[:-1]])
    part = regroup(state, keys, groups, outside)
    part.keys = [*keys, Column(Int64, np.full(part.n_groups, fold, np.int64))]
    return part
