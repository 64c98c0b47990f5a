"""The state of distinct values: each with how many rows of the group have it."""

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.state import Arrays, Entries, StateKind
from gpupipe.columns import Column, Values
from gpupipe.schema import Boolean, Float64, Int64


def distinct(column: Column, groups: Values, times: Values | None) -> Entries:
    """The distinct values of each group and how often they occur, each row counted `times` (None: once)."""
    if column.dtype == Boolean:
        column = Column(Int64, column.values.astype(np.int64))
    if column.dtype.is_float and column.dtype != Float64:
        column = Column(Float64, column.values.astype(np.float64))
    if times is not None and (times == 0).any():
        column, groups, times = column.take(times > 0), groups[times > 0], times[times > 0]
    ids, (of_group, values) = grouping.factorize([Column(Int64, groups), column])
    weights = np.ones(len(ids), np.int64) if times is None else times
    return Entries(Column(values.dtype, values.values), of_group.values, total(weights, ids, len(of_group)))


def no_arrays(*_: object) -> Arrays:
    """What a kind that keeps entries alone has besides."""
    return {}


VALUES = StateKind("values", no_arrays, no_arrays, invertible=True, stack=no_arrays, entries=distinct)
