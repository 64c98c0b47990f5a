"""The states of sums and of moments."""

import numpy as np

from gpupipe.backends.states.integers import counts
from gpupipe.backends.states.state import Arrays, StateKind
from gpupipe.columns import Column, Values
from gpupipe.errors import IntegerOverflowError, NonFiniteError

_INFINITE = "an infinite value has no place in a mean, a variance or a standard deviation. Clip it, or filter it out."


def _sums(values: Values, groups: Values, n_groups: int) -> Values:
    if n_groups == 1:
        return np.array([values.sum()])
    if values.dtype.kind == "f":
        return np.bincount(groups, weights=values, minlength=n_groups)
    total = np.zeros(n_groups, np.int64)
    np.add.at(total, groups, values)
    return total


def _update_sum(column: Column, groups: Values, n_groups: int, times: Values | None) -> Arrays:
    column, groups = repeated(column, groups, times)
    values = column.values.astype(np.int64) if column.values.dtype.kind in "bi" else column.values
    _refuse_overflow(values)
    return {"n": counts(groups, n_groups), "sum": _sums(values, groups, n_groups)}


def _update_moments(column: Column, groups: Values, n_groups: int, times: Values | None) -> Arrays:
    column, groups = repeated(column, groups, times)
    values = column.values.astype(np.float64)
    if not np.isfinite(values).all():
        raise NonFiniteError(_INFINITE).at(int(np.flatnonzero(~np.isfinite(values))[0]))
    n = counts(groups, n_groups)
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


def repeated(column: Column, groups: Values, times: Values | None) -> tuple[Column, Values]:
    """Each value as often as it counts."""
    if times is None:
        return column, groups
    at = np.repeat(np.arange(len(groups)), times)
    return column.take(at), groups[at]


_quiet = np.errstate(over="ignore", invalid="ignore")  # what leaves float64 is told of the finished value
SUM = StateKind("sum", _quiet(_update_sum), _quiet(_combine_sums), invertible=False)
MOMENTS = StateKind("moments", _quiet(_update_moments), _quiet(_combine_moments), invertible=False)
