"""A device whose memory is counted, and which may refuse some of it: for peaks, and for errors planted on real ones."""

import weakref
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import Argument, Array, Device, DeviceArray, Kernel


class Watched:
    """Another device, whose allocations are counted on the way.

    Args:
        device: who does the work.
        refused: the numbers of the allocations that fail, the first being 1.

    Attributes:
        allocations: how many there were.
        held, peak: bytes of arrays that are alive, and the most there were at once.
    """

    def __init__(self, device: Device, refused: Collection[int] = ()) -> None:
        self._device, self._refused = device, frozenset(refused)
        self.name, self.shared_bytes, self.n_processors = device.name, device.shared_bytes, device.n_processors
        self.allocations = self.held = self.peak = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """As the device's."""
        return self._counted(shape, dtype, lambda: self._device.empty(shape, dtype))

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """As the device's."""
        return self._counted(shape, dtype, lambda: self._device.zeros(shape, dtype))

    def upload(self, values: Array) -> DeviceArray:
        """As the device's."""
        return self._counted(values.shape, values.dtype, lambda: self._device.upload(values))

    def mark(self) -> Any:
        """As the device's."""
        return self._device.mark()

    def download(self, array: DeviceArray, after: Any = None) -> Array:
        """As the device's."""
        return self._device.download(self._inner(array), after)

    def launch(self, kernel: Kernel, grid: int, block: int, args: Sequence[Argument], shared: int = 0) -> None:
        """As the device's."""
        inner = [self._inner(each) if isinstance(each, DeviceArray) else each for each in args]
        self._device.launch(kernel, grid, block, inner, shared)

    def _inner(self, array: DeviceArray) -> DeviceArray:
        return DeviceArray(self._device, array.pointer, array.dtype, array.shape, array.owner)

    def release(self) -> None:
        """As the device's."""
        self._device.release()

    def guarded(self, what: str) -> AbstractContextManager[None]:
        """As the device's."""
        return self._device.guarded(what)

    def _counted(self, shape: int | tuple[int, ...], dtype: Any, make: Any) -> DeviceArray:
        self.allocations += 1
        if self.allocations in self._refused:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            raise DeviceMemoryError(f"Allocation {self.allocations}, of {size:,} bytes, is refused: a planted error.")
        found = make()
        owner = _Held(found.owner)
        self.held += found.nbytes
        self.peak = max(self.peak, self.held)
        weakref.finalize(owner, self._freed, found.nbytes)
        return DeviceArray(self, found.pointer, found.dtype, found.shape, owner)

    def _freed(self, size: int) -> None:
        self.held -= size


class _Held:
    """What keeps memory alive, and can be watched."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
