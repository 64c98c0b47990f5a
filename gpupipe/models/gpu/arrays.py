"""Matrices on a device as the libraries that train there take them: CuPy's views of the same memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.kernels.gpu.device import Device, DeviceArray


def as_cupy(X: DeviceArray) -> Any:
    """A view of the same memory, by the CUDA Array Interface; the work that fills it is waited for."""
    return optional.load("cupy").asarray(X)


def converted(X: DeviceArray, dtype: str, order: str) -> Any:
    """A CuPy array of these values: a view where the dtype is theirs, else a copy on the device in that order."""
    view = as_cupy(X)
    return view if np.dtype(dtype) == X.dtype else view.astype(dtype, order=order)


def uploaded(device: Device, values: NDArray[Any]) -> Any:
    """A CuPy array of host values: of one dimension, or (rows, columns)."""
    return as_cupy(device.upload(np.ascontiguousarray(values)))


def waited() -> None:
    """Wait for what CuPy was asked for: other libraries work in streams of their own."""
    optional.load("cupy").cuda.get_current_stream().synchronize()


def to_host(values: Any) -> NDArray[Any]:
    """NumPy's array of CuPy's, or of NumPy's."""
    return np.asarray(optional.load("cupy").asnumpy(values))
