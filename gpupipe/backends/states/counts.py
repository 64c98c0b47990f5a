"""The states of counts and of least and greatest values."""

from typing import Any

import numpy as np

from gpupipe.backends.states.integers import counts, total
from gpupipe.backends.states.state import Arrays, StateKind
from gpupipe.columns import Column, Values


def _update_count(
    column: Column, groups: Values, n_groups: int, times: Values | None, n: Values | None = None
) -> Arrays:
    return {"n": counts(groups, n_groups, times, n)}


def _combine_count(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    return {"n": total(arrays["n"], groups, n_groups)}


def _update_extremes(
    column: Column, groups: Values, n_groups: int, times: Values | None, n: Values | None = None
) -> Arrays:
    values = column.values.astype(np.int64) if column.values.dtype.kind == "b" else column.values
    if times is not None:
        values, groups, times = values[times > 0], groups[times > 0], times[times > 0]
    low, high = _identity(values.dtype)
    least, greatest = np.full(n_groups, low, values.dtype), np.full(n_groups, high, values.dtype)
    if n_groups == 1 and len(values):
        least[0], greatest[0] = values.min(), values.max()
    elif len(values):
        np.minimum.at(least, groups, values)
        np.maximum.at(greatest, groups, values)
    if values.dtype.kind == "f":  # -0.0 equals 0.0: which of them came first must not show
        least, greatest = least + values.dtype.type(0), greatest + values.dtype.type(0)
    return {"n": counts(groups, n_groups, times, n), "min": least, "max": greatest}


def _identity(dtype: np.dtype[Any]) -> tuple[float | int, float | int]:
    if dtype.kind == "f":
        return np.inf, -np.inf
    bounds = np.iinfo(dtype)
    return int(bounds.max), int(bounds.min)


def _combine_extremes(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    low, high = _identity(arrays["min"].dtype)
    least = np.full(n_groups, low, arrays["min"].dtype)
    greatest = np.full(n_groups, high, arrays["max"].dtype)
    np.minimum.at(least, groups, arrays["min"])
    np.maximum.at(greatest, groups, arrays["max"])
    return {"n": total(arrays["n"], groups, n_groups), "min": least, "max": greatest}


COUNT = StateKind("count", _update_count, _combine_count, invertible=True)
EXTREMES = StateKind("extremes", _update_extremes, _combine_extremes, invertible=False)
