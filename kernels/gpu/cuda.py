"""A real device, through CuPy: the only module that imports it for kernels.

All kernels, and all memory but that of uploads, are queued in the default stream: work is done in the order in which
it was asked for, by whatever thread, and cuDF, cuML and XGBoost, which use that stream too, come before or after.
Copies to and from the host go through lanes of their own (`staging.py`), so that the columns of the next partition
arrive while the kernels of this one run.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ... import optional
from .compiler import Compiler
from .device import Argument, Array, DeviceArray, Kernel
from .failures import Health
from .kept import Kept, default_folder
from .pool import set_up
from .staging import Lanes

_DEFAULT_STREAM = 1  # as the CUDA Array Interface writes it


class CudaDevice:
    """The current device of CUDA as a :class:`Device`.

    Args:
        kept: where compiled kernels are kept between processes; None: in the user's folder for caches.

    Attributes:
        name: as its maker calls it.
        capability: its compute capability, 90 for 9.0.
        launches: how many kernels were launched so far.
        shared_bytes: the shared memory that a block may have.
        n_processors: how many multiprocessors there are.
        allocator: where memory comes from, in words.
        health: whether it can still be used.
        compiler: makes kernels of sources.

    Raises:
        MissingDependencyError: CuPy is not installed.
        DeviceError: CUDA failed.
    """

    def __init__(self, kept: Kept | None = None) -> None:
        self._cupy: Any = optional.load("cupy")
        self._cuda = self._cupy.cuda
        with Health("The GPU").guarded("asking what it is"):
            self._describe()
        self.health = Health(self.name)
        self.launches = 0
        self._lock = threading.Lock()
        self._lanes = Lanes(self._cuda)
        self.compiler = Compiler(self._cuda, self.capability, Kept(default_folder()) if kept is None else kept)
        with self._working("setting up its memory"):
            self.allocator = set_up(self._cupy, self._device, self._cuda.runtime.memGetInfo()[0])

    def _describe(self) -> None:
        runtime = self._cuda.runtime
        number = runtime.getDevice()
        self._device = self._cuda.Device(number)
        self.name = runtime.getDeviceProperties(number)["name"].decode(errors="replace")
        attributes = self._device.attributes
        self.capability = int(self._device.compute_capability)
        self.shared_bytes = int(attributes["MaxSharedMemoryPerBlockOptin"])
        self.n_processors = int(attributes["MultiProcessorCount"])

    @property
    def stream(self) -> int:
        """CUDA's default stream: whoever takes an array puts its own work behind ours."""
        return _DEFAULT_STREAM

    @property
    def memory(self) -> tuple[int, int]:
        """(free, all) bytes of the device's memory."""
        with self._working("asking for its memory"):
            free, whole = self._cuda.runtime.memGetInfo()
            return int(free), int(whole)

    @property
    def free_bytes(self) -> int:
        """The bytes of its memory that nobody uses."""
        return self.memory[0]

    @contextlib.contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Failures of CUDA in calls of other libraries, inside, become ours; `what`: what is done, for the message."""
        with self._working(what):
            yield

    @contextlib.contextmanager
    def _working(self, what: str, asked: int | None = None) -> Iterator[None]:
        with self.health.guarded(what, asked), self._device:
            yield

    # -- memory -------------------------------------------------------------------------------------------
    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """Memory for values that are written before they are read; aligned to 256 bytes.

        Raises:
            DeviceMemoryError: the device has not so much.
        """
        kind, sizes = np.dtype(dtype), (shape,) if isinstance(shape, int) else tuple(shape)
        held = self._allocated(_bytes(sizes, kind), self._cuda.Stream.null)
        return DeviceArray(self, int(held.ptr), kind, sizes, held)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """The same, all bytes 0."""
        array = self.empty(shape, dtype)
        if array.nbytes:
            with self._working("filling memory"):
                self._cuda.runtime.memsetAsync(array.pointer, 0, array.nbytes, 0)
        return array

    def upload(self, values: Array) -> DeviceArray:
        """A copy of a host array; it is there when this returns, for any thread."""
        held = np.asarray(values, order="C")
        with self._working(f"copying {held.nbytes:,} bytes to it"), self._lanes.one() as lane:
            owner = _Uploaded(self._cuda, self._device, self._allocated(held.nbytes, lane.stream), lane.stream)
            if held.nbytes:
                lane.send(held.reshape(-1).view(np.uint8), owner.pointer)
        return DeviceArray(self, owner.pointer, held.dtype, held.shape, owner)

    def mark(self) -> Any:
        """All the work asked for so far, as something that can be waited for: an event."""
        with self._working("marking its work"):
            return _so_far(self._cuda)

    def download(self, array: DeviceArray, after: Any = None) -> Array:
        """A copy in this process's memory, of what the work asked for before (or up to a mark) leaves there."""
        values = np.empty(array.shape, array.dtype)
        if values.nbytes:
            with self._working(f"copying {values.nbytes:,} bytes from it"), self._lanes.one() as lane:
                lane.stream.wait_event(_so_far(self._cuda) if after is None else after)
                lane.fetch(array.pointer, values.reshape(-1).view(np.uint8))
        return values

    def release(self) -> None:
        """Give back memory that is kept for later arrays and held by none; before a second try."""
        with self._working("giving back memory"):
            self._device.synchronize()
            self._cupy.get_default_memory_pool().free_all_blocks()
            self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    def _allocated(self, size: int, stream: Any) -> Any:
        with self._working(f"asking for {size:,} bytes", size), stream:
            return self._cuda.alloc(max(size, 1))

    # -- kernels ------------------------------------------------------------------------------------------
    def launch(self, kernel: Kernel, grid: int, block: int, args: Sequence[Argument], shared: int = 0) -> None:
        """Run `grid` blocks of `block` threads; returns before they are done.

        Args:
            args: the kernel's parameters, in order.
            shared: bytes of dynamic shared memory of a block.

        Raises:
            DeviceError: the launch failed, or a kernel before it.
            DeviceLostError: so badly that this process cannot use the device any more.
        """
        if grid == 0:
            return
        with self._working(f"the kernel {kernel.entry}"), self._cuda.Stream.null:
            function = self.compiler.function(kernel, shared)
            function((grid,), (block,), tuple(map(_parameter, args)), shared_mem=shared)
        with self._lock:
            self.launches += 1

    def __repr__(self) -> str:
        return f"CudaDevice({self.name}, compute capability {self.capability / 10:.1f})"


class _Uploaded:
    """Memory that came from a lane's stream, and goes back to it only when the work that may read it is done."""

    def __init__(self, cuda: Any, device: Any, held: Any, stream: Any) -> None:
        self._cuda, self._device, self._held, self._stream = cuda, device, held, stream
        self.pointer = int(held.ptr)

    def __del__(self) -> None:
        try:  # without contextlib, which may be gone as the process ends
            with self._device:
                self._stream.wait_event(_so_far(self._cuda))
        except Exception:  # it is lost: nothing will read the memory
            pass


def _so_far(cuda: Any) -> Any:
    """An event that takes place when all is done that was asked of the default stream so far."""
    return cuda.Stream.null.record(cuda.Event(disable_timing=True))


def _bytes(shape: tuple[int, ...], kind: np.dtype[Any]) -> int:
    size = kind.itemsize
    for each in shape:
        size *= int(each)
    return size


def _parameter(argument: Argument) -> np.generic:
    if argument is None:
        return np.uint64(0)
    return np.uint64(argument.pointer) if isinstance(argument, DeviceArray) else argument
