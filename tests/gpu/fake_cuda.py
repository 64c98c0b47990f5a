"""CUDA without a GPU, for `CudaDevice`: work waits in streams until somebody waits for it; calls are held to CuPy's.

Nothing runs when it is asked for: a kernel or copy is done only when a host thread synchronizes with it, directly or
through an event. So what forgets to wait reads what was there before, and memory that was given to somebody else too
early is overwritten under the kernel that still reads it.
"""

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .api.fakes import Fakes, held_to

ATTRIBUTES = {"MaxSharedMemoryPerBlockOptin": 232448, "MultiProcessorCount": 132, "MemoryPoolsSupported": 1}


class Machine:
    """One GPU, its streams and its memory.

    Args:
        memory: its bytes.
        capability: as CuPy writes it.
        kernels: what each entry does, given its parameters (NumPy scalars), once its turn comes.

    Attributes:
        fails: (name of a call, how many times it still succeeds) -> what it raises then, until it is taken out.
        held: bytes that arrays hold.
        compiled, loaded: sources that were compiled, binaries that were loaded.
        launched: (entry, grid, block, shared) of each kernel, when it was asked for.
    """

    def __init__(
        self, memory: int = 1 << 30, capability: str = "90", kernels: dict[str, Callable[..., None]] | None = None
    ) -> None:
        self.memory, self.capability, self.kernels = memory, capability, kernels or {}
        self.fails: dict[str, BaseException] = {}
        self.held = 0
        self.compiled: list[tuple[str, tuple[str, ...]]] = []
        self.loaded: list[bytes] = []
        self.launched: list[tuple[str, Any, Any, int]] = []
        self.shared: dict[int, int] = {}
        self.lock = threading.RLock()
        self.current = threading.local()
        self.arenas: dict[tuple[int, int], list[Any]] = {}
        self.names = iter(range(1, 1 << 30))
        self.null = Stream(self, null=True)
        self.streams = {0: self.null}
        self.programs: dict[int, Any] = {}
        self.fakes = Fakes(self._behaviour())

    def _behaviour(self) -> dict[str, Any]:
        return {
            "cupy.cuda.is_available": lambda: True,
            "cupy.cuda.Device": lambda device=None: GPU(self),
            "cupy.cuda.Stream": lambda **options: self._stream(**options),
            "cupy.cuda.Stream.null": self.null,
            "cupy.cuda.Event": lambda **options: Event(),
            "cupy.cuda.Module": lambda: Module(self),
            "cupy.cuda.alloc": self.alloc,
            "cupy.cuda.alloc_pinned_memory": pinned,
            "cupy.cuda.get_allocator": lambda: _malloc,
            "cupy.cuda.set_allocator": lambda allocator: None,
            "cupy.get_default_memory_pool": lambda: Pool(self),
            "cupy.get_default_pinned_memory_pool": lambda: PinnedPool(),
            "cupy.cuda.runtime.getDevice": lambda: 0,
            "cupy.cuda.runtime.getDeviceProperties": lambda device: {"name": b"NVIDIA Fake"},
            "cupy.cuda.runtime.memGetInfo": lambda: (self.memory - self.held, self.memory),
            "cupy.cuda.runtime.memcpyAsync": self.copy,
            "cupy.cuda.runtime.memsetAsync": self.fill,
            "cupy.cuda.runtime.memcpyHostToDevice": 1,
            "cupy.cuda.runtime.memcpyDeviceToHost": 2,
            "cupy.cuda.runtime.driverGetVersion": lambda: 13000,
            "cupy.cuda.runtime.runtimeGetVersion": lambda: 13000,
            "cupy.cuda.driver.funcSetAttribute": self._allow,
            "cupy.cuda.driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": 8,
            "cupy.cuda.driver.CUDADriverError": CUDADriverError,
            "cupy.cuda.nvrtc.NVRTCError": NVRTCError,
            "cupy.cuda.nvrtc.getVersion": lambda: (13, 0),
            "cupy.cuda.nvrtc.getSupportedArchs": lambda: (75, 80, 86, 89, 90, 100, 120),
            "cupy.cuda.nvrtc.createProgram": self._program,
            "cupy.cuda.nvrtc.compileProgram": self._compile,
            "cupy.cuda.nvrtc.getCUBIN": lambda prog: self.programs[prog],
            "cupy.cuda.nvrtc.getPTX": lambda prog: self.programs[prog],
            "cupy.cuda.nvrtc.getProgramLog": lambda prog: "line 1: error",
            "cupy.cuda.nvrtc.destroyProgram": lambda prog: self.programs.pop(prog),
        }

    def step(self, name: str) -> None:
        """Raise what was planted for a call."""
        if name in self.fails:
            raise self.fails[name]

    # -- memory -------------------------------------------------------------------------------------------
    def alloc(self, size: int) -> Any:
        """Memory of the current stream's, what was freed there last first."""
        self.step("alloc")
        stream = getattr(self.current, "streams", [self.null])[-1]
        with self.lock:
            if self.held + size > self.memory:
                raise OutOfMemoryError(size, self.held)
            self.held += size
            free = self.arenas.setdefault((stream.ptr, size), [])
            block = free.pop() if free else np.full(size + 256, 0xA5, np.uint8)
        return Pointer(self, block, size, stream)

    def copy(self, dst: int, src: int, size: int, kind: int, stream: int) -> None:
        self.step("memcpyAsync")
        self.streams[stream]._ask(lambda: ctypes.memmove(dst, src, size))

    def fill(self, ptr: int, value: int, size: int, stream: int) -> None:
        self.streams[stream]._ask(lambda: ctypes.memset(ptr, value, size))

    def _stream(self, **options: Any) -> "Stream":
        made = Stream(self, **options)
        self.streams[made.ptr] = made
        return made

    # -- kernels ------------------------------------------------------------------------------------------
    def _program(self, src: str, name: str, headers: Any, include_names: Any) -> int:
        number = next(self.names)
        self.programs[number] = src
        return number

    def _compile(self, prog: int, options: Sequence[str]) -> None:
        source = self.programs[prog]
        if "no C++" in source:
            raise NVRTCError(6)
        self.compiled.append((source, tuple(options)))
        self.programs[prog] = b"\x7fELF" + source.encode()

    def _allow(self, f: int, attribute: int, value: int) -> None:
        assert attribute == 8
        self.shared[f] = value

    def launch(self, entry: str, grid: Any, block: Any, args: tuple[Any, ...], shared: int, number: int) -> None:
        self.step("launch")
        assert all(isinstance(arg, np.generic) for arg in args)
        assert shared <= self.shared.get(number, 48 << 10), "more shared memory than the function was allowed"
        self.launched.append((entry, grid, block, shared))
        stream = getattr(self.current, "streams", [self.null])[-1]
        work = self.kernels.get(entry)
        if work is not None:
            stream._ask(lambda: work(*args))


@held_to("cupy.cuda.Stream")
class Stream:
    def __init__(self, machine: Machine, null: bool = False, non_blocking: bool = False) -> None:
        assert null or non_blocking, "a stream that waits for the default stream"
        self._machine = machine
        self.ptr = 0 if null else next(machine.names)
        self._waiting: deque[Callable[[], Any]] = deque()
        self._done = self._asked = 0

    def _ask(self, work: Callable[[], Any]) -> None:
        with self._machine.lock:
            self._waiting.append(work)
            self._asked += 1

    def _run(self, until: int) -> None:
        with self._machine.lock:
            while self._done < until:
                self._waiting.popleft()()
                self._done += 1

    def record(self, event: Any = None) -> Any:
        event.stream, event.place = self, self._asked
        return event

    def wait_event(self, event: Any) -> None:
        stream, place = event.stream, event.place
        self._ask(lambda: stream._run(place))

    def synchronize(self) -> None:
        self._machine.step("synchronize")
        self._run(self._asked)

    def __enter__(self) -> "Stream":
        current = self._machine.current
        current.streams = [*getattr(current, "streams", [self._machine.null]), self]
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.current.streams = self._machine.current.streams[:-1]


@held_to("cupy.cuda.Event")
class Event:
    stream: Stream
    place: int

    def synchronize(self) -> None:
        self.stream._machine.step("synchronize")
        self.stream._run(self.place)


@held_to("cupy.cuda.Device")
class GPU:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.compute_capability = machine.capability
        self.attributes = ATTRIBUTES

    def synchronize(self) -> None:
        for stream in list(self._machine.streams.values()):
            stream.synchronize()

    def __enter__(self) -> "GPU":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Pointer:
    """What `alloc` gives; freed with its last holder, at once, to the stream it came from: as CuPy's pool does it."""

    def __init__(self, machine: Machine, block: Any, size: int, stream: Stream) -> None:
        self._machine, self._block, self._size, self._stream = machine, block, size, stream
        self.ptr = block.ctypes.data + (-block.ctypes.data % 256)

    def __del__(self) -> None:
        with self._machine.lock:
            self._machine.held -= self._size
            self._machine.arenas[self._stream.ptr, self._size].append(self._block)


def pinned(size: int) -> Any:
    kind = type("Pinned", (ctypes.c_ubyte * size,), {})
    held = kind()
    held.ptr = ctypes.addressof(held)
    return held


@held_to("cupy.cuda.Module")
class Module:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def load(self, cubin: bytes) -> None:
        self._machine.step("load")
        if not cubin.startswith(b"\x7fELF"):
            raise CUDADriverError(200)
        self._machine.loaded.append(cubin)
        self._cubin = cubin

    def get_function(self, name: str) -> Any:
        assert name.encode() in self._cubin
        return Function(self._machine, name)


class Function:
    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self._name, self.ptr = machine, name, next(machine.names)

    def __call__(self, grid: Any, block: Any, args: tuple[Any, ...], *, shared_mem: int = 0) -> None:
        assert isinstance(grid, tuple) and isinstance(block, tuple) and isinstance(args, tuple)
        self._machine.launch(self._name, grid, block, args, shared_mem, self.ptr)


@held_to("cupy.cuda.MemoryPool")
class Pool:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @staticmethod
    def malloc(size: int) -> Any:
        raise AssertionError("asked directly")

    def free_all_blocks(self) -> None:
        self._machine.step("free_all_blocks")
        self._machine.arenas = {key: [] for key in self._machine.arenas}


@held_to("cupy.cuda.PinnedMemoryPool")
class PinnedPool:
    def free_all_blocks(self) -> None:
        return None


def _malloc(size: int) -> Any:
    raise AssertionError("asked directly")


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes).")


OutOfMemoryError.__module__ = "cupy.cuda.memory"


class CUDARuntimeError(RuntimeError):
    """As CuPy's: the number of CUDA, and its name in the text."""

    NAMES: ClassVar[dict[int, str]] = {
        2: "cudaErrorMemoryAllocation: out of memory",
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
        98: "cudaErrorInvalidDeviceFunction: invalid device function",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
        701: "cudaErrorLaunchOutOfResources: too many resources requested for launch",
        710: "cudaErrorAssert: device-side assert triggered",
        719: "cudaErrorLaunchFailure: unspecified launch failure",
        999: "cudaErrorUnknown: unknown error",
    }

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(self.NAMES.get(status, f"cudaError {status}"))


class CUDADriverError(RuntimeError):
    """The driver's."""

    NAMES: ClassVar[dict[int, str]] = {
        2: "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        200: "CUDA_ERROR_INVALID_IMAGE: device kernel image is invalid",
        700: "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered",
    }

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(self.NAMES[status])


class NVRTCError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"NVRTC_ERROR_COMPILATION ({status})")


def at(pointer: Any, dtype: Any, size: int) -> Any:
    """The values in a machine's memory."""
    raw = (ctypes.c_ubyte * (np.dtype(dtype).itemsize * size)).from_address(int(pointer))
    return np.frombuffer(raw, dtype, size)
