"""How much memory results take: by that Dask knows what its workers hold."""

from typing import Any

from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame
from gpupipe.runtime.cache import column_bytes
from gpupipe.runtime.scattered import nbytes


def result_bytes(result: Any) -> int:
    """About how much memory a result takes."""
    if isinstance(result, State):
        return nbytes(result)
    if isinstance(result, Frame):
        return sum(column_size(result.resident(name)) for name in result.columns)
    if isinstance(result, Column):
        return column_bytes(result)
    if isinstance(result, dict):
        return sum(map(result_bytes, result.values()))
    if isinstance(result, list | tuple):
        return sum(map(result_bytes, result))
    return int(getattr(result, "nbytes", 64))


def column_size(column: AnyColumn) -> int:
    return column_bytes(column) if isinstance(column, Column) else column.device_bytes
