"""What users hold in a GPU's memory, told by its type, or as it shows itself: no package is imported to find out."""

import ctypes
from collections.abc import Mapping
from typing import Any

from gpupipe import optional

_READ_BY_CUDA = (2, 3, 13)  # ARROW_DEVICE_CUDA, _CUDA_HOST, _CUDA_MANAGED


class _ArrowDeviceArray(ctypes.Structure):
    """The beginning of what the Arrow C device interface shows."""

    _fields_ = (("array", ctypes.c_void_p * 10), ("device_id", ctypes.c_int64), ("device_type", ctypes.c_int32))


_pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def is_cudf(data: Any) -> bool:
    """Whether `data` is a frame or a column of cuDF."""
    return type(data).__module__.partition(".")[0] == "cudf"


def is_cupy(data: Any) -> bool:
    """Whether `data` is an array of CuPy."""
    return type(data).__module__.partition(".")[0] == "cupy"


def is_shown(data: Any) -> bool:
    """Whether `data` shows a table or a column in a GPU's memory by the Arrow C device interface.

    >>> is_shown({"a": [1]})
    False
    """
    if not hasattr(type(data), "__arrow_c_device_array__") or getattr(data, "is_cpu", False):
        return False  # the latter of what pyarrow has, nearly always
    shown = data.__arrow_c_device_array__()[1]
    told = _ArrowDeviceArray.from_address(_pointer_in(shown, b"arrow_device_array"))
    return bool(told.device_type in _READ_BY_CUDA)


def is_held(data: Any) -> bool:
    """Whether `data` is a table, a column or an array in a GPU's memory.

    >>> is_held([1])
    False
    """
    return is_cudf(data) or is_cupy(data) or is_shown(data)


def is_on_device(data: Any) -> bool:
    """Whether `data` is a table, or holds a column, in a GPU's memory.

    >>> is_on_device({"a": [1]}), is_on_device("a.parquet")
    (False, False)
    """
    if isinstance(data, Mapping):
        return any(is_held(values) for values in data.values())
    return is_held(data)


def from_device(values: Any) -> Any:
    """Values in this process's memory: those of cuDF, and those that Arrow shows, as Arrow's; CuPy's as NumPy's.

    Any others are left as they are. A frame's columns are named by what its labels say; its index is left out.

    >>> from_device([1, 2])
    [1, 2]
    """
    if is_cupy(values):
        return values.get()
    if is_shown(values):
        return optional.load("gpupipe.sources.arrow_device").on_host(values)
    if not is_cudf(values):
        return values
    return values.to_arrow(preserve_index=False) if hasattr(values, "columns") else values.to_arrow()
