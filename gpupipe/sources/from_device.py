"""What users hold in a GPU's memory, told by its type: no package is imported to find out."""

from collections.abc import Mapping
from typing import Any


def is_cudf(data: Any) -> bool:
    """Whether `data` is a frame or a column of cuDF."""
    return type(data).__module__.partition(".")[0] == "cudf"


def is_cupy(data: Any) -> bool:
    """Whether `data` is an array of CuPy."""
    return type(data).__module__.partition(".")[0] == "cupy"


def is_on_device(data: Any) -> bool:
    """Whether `data` is a table, or holds a column, in a GPU's memory.

    >>> is_on_device({"a": [1]}), is_on_device("a.parquet")
    (False, False)
    """
    if isinstance(data, Mapping):
        return any(is_cudf(values) or is_cupy(values) for values in data.values())
    return is_cudf(data) or is_cupy(data)


def from_device(values: Any) -> Any:
    """Values in this process's memory: of cuDF as Arrow's, of CuPy as NumPy's; any others as they are.

    A frame's columns are named by what its labels say; its index is left out.

    >>> from_device([1, 2])
    [1, 2]
    """
    if is_cupy(values):
        return values.get()
    if not is_cudf(values):
        return values
    return values.to_arrow(preserve_index=False) if hasattr(values, "columns") else values.to_arrow()
