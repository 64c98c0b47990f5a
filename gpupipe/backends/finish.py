"""From a merged state to a reduction's values. One function a reduction, of its name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpupipe.arrow_arrays import array_of, filled
from gpupipe.backends.exact import rational
from gpupipe.backends.exact.number import Exact
from gpupipe.backends.states.integers import total as total_of
from gpupipe.backends.states.orders import neighbours
from gpupipe.backends.states.state import Entries, State
from gpupipe.backends.states.values import frequent, in_order, order_of
from gpupipe.columns import Column, Values
from gpupipe.errors import IntegerOverflowError, InternalError, NonFiniteError
from gpupipe.expr.node import Node
from gpupipe.schema import Boolean, DType, Float64, Int64, String


def _column(dtype: DType, values: Values, valid: Values) -> Column:
    if dtype == Boolean:
        values = values.astype(bool)
    return Column(dtype, values, None if valid.all() else valid)


def count(state: State, node: Node, dtype: DType) -> Column:
    return Column(Int64, state.arrays["n"].astype(np.int64))


def null_count(state: State, node: Node, dtype: DType) -> Column:
    return Column(Int64, state.rows - state.arrays["n"].astype(np.int64))


def total(state: State, node: Node, dtype: DType) -> Column:
    if dtype != Float64:
        return Column(dtype, _within_int64(rational.total_of(state)))
    sums = rational.totals(rational.total_of(state))
    plus, minus = (state.arrays.get("infinite", np.zeros((state.n_groups, 2))) > 0).T
    if (plus & minus).any():
        raise NonFiniteError("infinities of both signs have no sum. Clip them, or filter them out.")
    _within_float64(Column(Float64, sums, ~(plus | minus)))
    return Column(dtype, np.where(plus, np.inf, np.where(minus, -np.inf, sums)))


def _within_int64(numbers: Exact) -> Values:
    values, exact = rational.small(numbers)
    exact &= np.abs(values) < 2.0**63
    whole = np.where(exact, values, 0.0).astype(np.int64)
    for group in np.flatnonzero(~exact).tolist():
        value, exponent = rational.number(numbers, group)
        value <<= exponent
        if not -(2**63) <= value < 2**63:
            raise IntegerOverflowError(
                "the sum of its integers leaves int64. Cast the column to Float64 before summing."
            )
        whole[group] = value
    return whole


def mean(state: State, node: Node, dtype: DType) -> Column:
    n = state.arrays["n"]
    return _within_float64(_column(Float64, rational.means(n, rational.total_of(state)), n > 0))


def var(state: State, node: Node, dtype: DType) -> Column:
    return _spread(rational.variances, state, node)


def std(state: State, node: Node, dtype: DType) -> Column:
    return _spread(rational.deviations, state, node)


def _spread(of: Callable[[Values, Exact, Exact, int], Values], state: State, node: Node) -> Column:
    n, ddof = state.arrays["n"], int(node["ddof"])
    values = of(n, rational.total_of(state), rational.squares_of(state), ddof)
    return _within_float64(_column(Float64, values, n > ddof))


def _within_float64(column: Column) -> Column:
    usable = column.values if column.valid is None else column.values[column.valid]
    if np.isfinite(usable).all():
        return column
    raise NonFiniteError(
        "it is beyond float64: the values are too large, or too far apart. Clip them, or divide them first."
    )


def least(state: State, node: Node, dtype: DType) -> Column:
    return _extreme(state, "min", dtype)


def greatest(state: State, node: Node, dtype: DType) -> Column:
    return _extreme(state, "max", dtype)


def _extreme(state: State, name: str, dtype: DType) -> Column:
    with np.errstate(invalid="ignore"):  # the infinity of a group without a value
        values = state.arrays[name].astype(_register(dtype))
    return _column(dtype, values, state.arrays["n"] > 0)


def _register(dtype: DType) -> Any:
    if dtype.is_temporal:
        return dtype.storage
    return np.float64 if dtype.is_float else np.int64


def _entries(state: State) -> Entries:
    if state.entries is None:
        raise AssertionError("a state of values without entries")
    return in_order(state.entries)


def _counts(state: State) -> Values:
    entries = _entries(state)
    return total_of(entries.counts, entries.groups, state.n_groups)


def _listed(state: State) -> tuple[Column, Values, Values]:
    entries = _entries(state)
    return entries.values, entries.groups, entries.counts


class OrderStatistics(NamedTuple):
    """The two values of each group that a quantile lies between, and how far from the first one to the second.

    Attributes:
        low, high: of the type of the values, null where a group has none.
        fraction: float64, from 0 up to 1, without 1.
    """

    low: Column
    high: Column
    fraction: Values


def order_statistics(state: State, q: float, *, mirrored: bool = False) -> OrderStatistics:
    """What the quantile `q` of each group comes from (Hyndman and Fan 1996, type 7).

    Args:
        mirrored: take them of the values in falling order, so that a decreasing function of them makes what the same
            call would give of the function's values.
    """
    if state.kind == "order":
        raise InternalError("A quantile was asked of bins that nobody has settled. Please report this.")
    entries = _entries(state)
    n = _counts(state)
    low, high, fraction = neighbours(n, q)
    if mirrored:
        low, high = n - 1 - low, n - 1 - high
    # Ranks are looked up among all entries: those of earlier groups count as below.
    running, before = np.cumsum(entries.counts), np.cumsum(n) - n
    values = entries.values.values if len(entries) else np.zeros(1, entries.values.dtype.storage)
    first, second = (values[_entry_at(running, before + rank)] for rank in (low, high))
    dtype = entries.values.dtype
    return OrderStatistics(_column(dtype, first, n > 0), _column(dtype, second, n > 0), fraction)


def quantile(state: State, node: Node, dtype: DType) -> Column:
    """Interpolated last, as numpy.quantile interpolates."""
    low, high, fraction = order_statistics(state, float(node.get("q", 0.5)))
    first, second = (end.values.astype(np.float64) for end in (low, high))
    return Column(Float64, interpolated(first, second, fraction), low.valid)


def _entry_at(running: Values, rank: Values) -> Values:
    return np.clip(np.searchsorted(running, rank, side="right"), 0, max(len(running) - 1, 0))


def interpolated(low: Values, high: Values, fraction: Values) -> Values:
    """Between two order statistics, from the nearer end, as NumPy does, so that equal ends give themselves."""
    with np.errstate(invalid="ignore", over="ignore"):
        gap = high - low
        near_low, near_high = low + gap * fraction, high - gap * (1 - fraction)
        apart = low * (1 - fraction) + high * fraction  # where the gap is beyond float64, and they are not
    between = np.where(fraction >= 0.5, near_high, near_low)
    between = np.where(np.isinf(gap) & np.isfinite(low) & np.isfinite(high), apart, between)
    return np.where((low == high) | (fraction == 0), low, between)


def mode(state: State, node: Node, dtype: DType) -> Column:
    entries, groups, counts = _listed(state)
    best = np.zeros(state.n_groups, np.int64)
    np.maximum.at(best, groups, counts)
    chosen = np.full(state.n_groups, -1, np.int64)
    winners = np.flatnonzero(counts == best[groups])
    chosen[groups[winners[::-1]]] = winners[::-1]  # the first, and so the least, of those that tie
    valid = chosen >= 0
    if entries.dtype == String:
        strings = filled(entries.values.take(array_of(chosen, valid)))
        return Column(String, strings, None if valid.all() else valid)
    padded = np.append(entries.values, entries.values.dtype.type(0))
    return _column(dtype, padded[chosen], valid)


def n_unique(state: State, node: Node, dtype: DType) -> Column:
    assert state.entries is not None
    return Column(Int64, np.bincount(state.entries.groups, minlength=state.n_groups).astype(np.int64))


def vocabulary(state: State, node: Node, dtype: DType) -> tuple[Column, Values]:
    """The entries kept and their counts: by count descending, ties by value; or by value where asked."""
    assert state.entries is not None
    often = frequent(state.entries, node["min_count"], node["max_size"])
    by_value = order_of(often)
    by_count = np.argsort(-often.counts[by_value], kind="stable")[: node["max_size"]]
    kept = by_value[np.sort(by_count) if node["order"] == "value" else by_count]
    column = often.values.take(kept)
    if dtype == Boolean:
        column = Column(Boolean, column.values.astype(bool))
    return Column(dtype, column.values), often.counts[kept]


def place(state: State, node: Node) -> tuple[Column, tuple[Column, ...]]:
    """(place of every entry kept in the vocabulary of its group, from 0; the group's keys, then the entry)."""
    entries, groups, counts = _listed(state)
    by_count = np.lexsort((np.arange(len(counts)), -counts, groups))
    kept = by_count[counts[by_count] >= node["min_count"]]
    rank = _within(groups[kept])
    if node["max_size"] is not None:
        kept = kept[rank < node["max_size"]]
    if node["order"] == "value":
        kept = np.sort(kept)  # entries stand by group, then by value
    keys = [key.take(groups[kept]) for key in state.keys]
    return Column(Int64, _within(groups[kept])), (*keys, entries.take(kept))


def _within(groups: Values) -> Values:
    """The position of each row among those of its group, where groups stand together."""
    first = np.searchsorted(groups, groups, side="left")
    return np.arange(len(groups)) - first


FINISH: dict[str, Callable[[State, Node, DType], Column]] = {
    "count": count,
    "null_count": null_count,
    "sum": total,
    "mean": mean,
    "std": std,
    "var": var,
    "min": least,
    "max": greatest,
    "median": quantile,
    "quantile": quantile,
    "mode": mode,
    "n_unique": n_unique,
}
