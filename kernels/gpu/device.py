"""What kernels need of a device: memory, copies, launches. `cuda.py` is the one that a GPU is reached through."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One entry of a piece of CUDA C++.

    Attributes:
        source: the whole text, which includes nothing: a device compiles it once and keeps what came out.
        entry: the name of an ``extern "C" __global__`` function in it.

    Compiled with ``--std=c++17 --fmad=false``: no product and sum may become one rounding.
    """

    source: str = field(repr=False)
    entry: str


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """Values in a device's memory, C-contiguous, of one or two dimensions.

    Attributes:
        device: whose memory it is.
        pointer: the address of its first value.
        dtype: of its values.
        shape: (n,) or (rows, columns).
        owner: what keeps the memory alive; freed with its last holder.
    """

    device: "Device"
    pointer: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    owner: Any = field(repr=False)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """How many values there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """The bytes of all values."""
        return self.size * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> "DeviceArray":
        """The rows (of one dimension: the values) from `start` up to, without, `stop`; not copied."""
        width = 1 if len(self.shape) == 1 else self.shape[1]
        place = self.pointer + start * width * self.dtype.itemsize
        return DeviceArray(self.device, place, self.dtype, (stop - start, *self.shape[1:]), self.owner)

    def view(self, dtype: Any, shape: tuple[int, ...] | None = None) -> "DeviceArray":
        """The same bytes as values of another type."""
        kind = np.dtype(dtype)
        return DeviceArray(self.device, self.pointer, kind, shape or (self.nbytes // kind.itemsize,), self.owner)

    def to_host(self) -> Array:
        """A copy in this process's memory."""
        return self.device.download(self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What CuPy, cuDF, cuML and XGBoost take it by, without a copy (CUDA Array Interface, version 3)."""
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.pointer, False), "version": 3,
            "strides": None, "stream": self.device.stream,
        }  # fmt: skip


#: A pointer (0 for None), or a NumPy scalar, whose dtype must be that of the kernel's parameter.
Argument = DeviceArray | np.generic | None


class Device(Protocol):
    """One device. Threads may share it; the work of each thread is done in the order it was asked for.

    Attributes:
        name: as its maker calls it.
        launches: how many kernels were launched so far.
        stream: the number of the calling thread's stream, as the CUDA Array Interface has it; None: the work is done
            when a call returns.
        shared_bytes: the shared memory that a block may have.
        n_processors: how many multiprocessors there are.
    """

    name: str
    launches: int
    shared_bytes: int
    n_processors: int

    @property
    def stream(self) -> int | None: ...

    @property
    def free_bytes(self) -> int:
        """The bytes of its memory that nobody uses."""

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """Memory for values that are written before they are read; aligned to 256 bytes.

        Raises:
            DeviceMemoryError: the device has not so much.
        """

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """The same, all bytes 0."""

    def upload(self, values: Array) -> DeviceArray:
        """A copy of a contiguous host array."""

    def mark(self) -> Any:
        """All the work asked for so far, as something that can be waited for."""

    def download(self, array: DeviceArray, after: Any = None) -> Array:
        """A copy in this process's memory; waits for the work before it, or for that of a mark alone."""

    def launch(self, kernel: Kernel, grid: int, block: int, args: Sequence[Argument], shared: int = 0) -> None:
        """Run `grid` blocks of `block` threads.

        Args:
            args: the kernel's parameters, in order.
            shared: bytes of dynamic shared memory of a block.

        Raises:
            DeviceError: the launch failed, or the kernel.
            DeviceLostError: so badly that this process cannot use the device any more.
        """

    def release(self) -> None:
        """Give back memory that is kept for later arrays and held by none; before a second try."""

    def guarded(self, what: str) -> AbstractContextManager[None]:
        """Around calls of other libraries on this device: what they raise when it fails becomes a DeviceError.

        Args:
            what: what is being done, for the message.
        """
