"""What a row group's statistics can say about a filter without reading a row."""

import datetime as dt
import decimal
import math
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq

from gpupipe.sources.partition import Comparison

_EXACT = 2**53  # beyond it an integer compared as float64 may round to its neighbour
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)

# No value of a chunk with least `low` and greatest `high` satisfies `column op value`.
_NONE_SATISFIES: dict[str, Callable[[Any, Any, Any], bool]] = {
    "eq": lambda low, high, value: value < low or value > high,
    "lt": lambda low, high, value: low >= value,
    "le": lambda low, high, value: low > value,
    "gt": lambda low, high, value: high <= value,
    "ge": lambda low, high, value: high < value,
}


def rules_out(group: pq.RowGroupMetaData, leaves: Sequence[str], where: Sequence[Comparison]) -> bool:
    """Whether statistics prove that no row of the group satisfies every comparison (a null never does)."""
    return any(
        _chunk_rules_out(group.column(leaves.index(test.column)), test) for test in where if test.column in leaves
    )


def _chunk_rules_out(chunk: pq.ColumnChunkMetaData, test: Comparison) -> bool:
    statistics = chunk.statistics
    if statistics is None:
        return False
    if statistics.has_null_count and statistics.null_count == chunk.num_values:
        return True
    if not statistics.has_min_max:
        return False
    low, high = comparable(statistics.min), comparable(statistics.max)
    if not (_ordered(low, test.value) and _ordered(high, test.value)):
        return False
    return _NONE_SATISFIES[test.op](low, high, test.value)


def comparable(bound: Any) -> Any:
    """A statistic in the border's units: days, microseconds, float64 for decimals; None where it has none.

    >>> comparable(dt.date(1970, 1, 3)), comparable(decimal.Decimal("1.5"))
    (2, 1.5)
    """
    if isinstance(bound, dt.datetime):
        utc = bound.astimezone(dt.UTC).replace(tzinfo=None) if bound.tzinfo else bound
        return (utc - _EPOCH) // _MICROSECOND
    if isinstance(bound, dt.date):
        return (bound - _EPOCH.date()).days
    if isinstance(bound, dt.timedelta):
        return bound // _MICROSECOND
    if isinstance(bound, dt.time):
        return (dt.datetime.combine(_EPOCH.date(), bound) - _EPOCH) // _MICROSECOND
    return float(bound) if isinstance(bound, decimal.Decimal) else bound


def _ordered(bound: Any, value: Any) -> bool:
    """Whether Python orders the two just as the expression does, row by row."""
    if isinstance(bound, bool) or isinstance(value, bool):
        return isinstance(bound, bool) and isinstance(value, bool)
    if isinstance(bound, str) or isinstance(value, str):
        return isinstance(bound, str) and isinstance(value, str)
    if not isinstance(bound, int | float) or not isinstance(value, int | float):
        return False
    if math.isnan(bound) or math.isnan(value):
        return False
    return type(bound) is type(value) or (abs(bound) <= _EXACT and abs(value) <= _EXACT)
