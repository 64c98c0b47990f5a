"""A device that runs the project's CUDA C++ on the CPU: NVRTC makes PTX of it, and a machine of ours runs that."""

import functools
import threading
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import Argument, Array, DeviceArray, Kernel
from gpupipe.kernels.gpu.failures import Health

from .nvrtc import ptx
from .ptx import GLOBAL, GlobalMemory, Launch, Param, Program, PtxError, Watch, parse

#: One launch at a time in a process: kernels that were made ready are shared by all devices.
RUNNING = threading.RLock()


class _Loaded:
    """A module, whose variables have the same addresses on every device, so that programs can be shared."""

    end = 0

    def __init__(self, source: str) -> None:
        text = source if source.startswith(".version") else ptx(source)
        self.module = parse(text)
        self.variables = [v for v in self.module.variables if v.space in ("global", "const")]
        self.symbols: dict[str, int] = {}
        self.programs: dict[tuple[str, int], Program] = {}
        for variable in self.variables:
            self.symbols[variable.name] = GLOBAL + _Loaded.end + GlobalMemory.GAP
            _Loaded.end = -(-(_Loaded.end + variable.size + GlobalMemory.GAP) // 256) * 256
        if _Loaded.end + GlobalMemory.GAP > GlobalMemory.MODULES:
            raise PtxError("the variables of all modules of this process take more room than the simulation has")

    def place(self, memory: GlobalMemory) -> None:
        """Put the variables into a device's memory, with their initial values."""
        for v in self.variables:
            content = np.zeros(v.size, dtype=np.uint8)
            for part in v.data or ():
                raw = part[1] if len(part) == 2 else (self.symbols[part[1]] + part[2]).to_bytes(8, "little")
                content[part[0] : part[0] + len(raw)] = np.frombuffer(raw, dtype=np.uint8)
            memory.hold(self.symbols[v.name] - GLOBAL, v.size, v.name)
            memory.write(self.symbols[v.name], content)


    def program(self, entry: str, shared: int) -> Program:
        """An entry, made ready once for each amount of dynamic shared memory."""
        if (entry, shared) not in self.programs:
            self.programs[entry, shared] = Program(self.module, entry, self.symbols, shared)
        return self.programs[entry, shared]


_loaded = functools.lru_cache(maxsize=100)(_Loaded)


class _Memory:
    """An allocation; what holds it keeps it alive."""


class SimulatedDevice:
    """Implements `gpupipe.kernels.gpu.device.Device`.

    Args:
        memory: bytes that may be allocated at a time.
        fail_at: numbers of allocations, from 0, that raise DeviceMemoryError.
        lanes: about how many threads run in lock step.
        step_limit: instructions after which a launch is taken for endless.
        backwards: the last block first, and of atomics the last lane: no result may show it.

    Attributes:
        live_bytes, peak_bytes: what is allocated, and the most that was at a time.
        allocations: (what, bytes) of each so far, failed ones too.
        log: (entry, grid, block) of each launch.
        downloads: how many copies went to the host.
        uploaded: the bytes of each copy that came from there.
        releases: how often memory that is kept was given back.
        may_race: entries whose races in global memory are let pass; a source may say so too, in a comment
            ``// may race: ENTRY, because ...``.
    """

    def __init__(
        self, memory: int = 1 << 28, fail_at: set[int] | None = None, lanes: int = 1 << 13,
        step_limit: int = 2_000_000, backwards: bool = False,
    ) -> None:  # fmt: skip
        self.name = "simulated device"
        self.health = Health(self.name)
        self.launches = self.releases = self.downloads = 0
        self.shared_bytes = 227 << 10
        self.n_processors = 4
        self.memory = memory
        self.fail_at = fail_at
        self.lanes, self.step_limit, self.backwards = lanes, step_limit, backwards
        self.live_bytes = self.peak_bytes = 0
        self.allocations: list[tuple[str, int]] = []
        self.log: list[tuple[str, int, int]] = []
        self.uploaded: list[int] = []
        self.may_race: set[str] = set()
        self._space = GlobalMemory(max(2 * memory, 1 << 20))
        self._placed: set[_Loaded] = set()
        self._watch: Watch | None = None
        self._number = 0
        self._lock = threading.RLock()

    @property
    def stream(self) -> int | None:
        """The work is done when a call returns."""
        return None

    # Memory

    @property
    def free_bytes(self) -> int:
        """What may still be allocated."""
        return self.memory - self.live_bytes

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """Memory whose values may not be read before they are written."""
        shape = (int(shape),) if not isinstance(shape, tuple) else shape
        kind = np.dtype(dtype)
        n_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        with self._lock:
            number = len(self.allocations)
            name = f"allocation {number}, {kind.name}{list(shape)}"
            self.allocations.append((name, n_bytes))
            asked = self.fail_at is not None and number in self.fail_at
            if asked or self.live_bytes + n_bytes > self.memory:
                why = "as asked for by the test" if asked else f"{self.live_bytes:,} of {self.memory:,} are in use"
                raise DeviceMemoryError(f"The simulated device has no {n_bytes:,} bytes more ({why}).")
            address = self._space.allocate(n_bytes, name)
            self.live_bytes += n_bytes
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        owner = _Memory()
        weakref.finalize(owner, _free, weakref.ref(self), address, n_bytes).atexit = False
        return DeviceArray(self, address, kind, shape, owner)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> DeviceArray:
        """Memory of zeros."""
        array = self.empty(shape, dtype)
        with self._lock:
            self._space.write(array.pointer, np.zeros(array.nbytes, dtype=np.uint8))
        return array

    def upload(self, values: Array) -> DeviceArray:
        """A copy of a host array."""
        if not values.flags.c_contiguous:
            raise ValueError(f"upload takes a contiguous array; this one has strides {values.strides}")
        array = self.empty(values.shape, values.dtype)
        with self._lock:
            self.uploaded.append(array.nbytes)
            self._space.write(array.pointer, values.reshape(-1).view(np.uint8))
        return array

    def mark(self) -> None:
        """All work is done."""

    def download(self, array: DeviceArray, after: Any = None) -> Array:
        """A copy for the host."""
        with self._lock:
            self.downloads += 1
            found = self._space.read(array.pointer, array.nbytes)
        return found.view(array.dtype).reshape(array.shape)

    def release(self) -> None:
        """Nothing is kept for later here."""
        self.releases += 1

    def guarded(self, what: str) -> AbstractContextManager[None]:
        """What other libraries raise inside, as of a real device."""
        return self.health.guarded(what)

    def _free(self, address: int, n_bytes: int) -> None:
        with self._lock:
            self.live_bytes -= n_bytes
            self._space.free(address)

    # Launches

    def launch(self, kernel: Kernel, grid: int, block: int, args: Sequence[Argument], shared: int = 0) -> None:
        """Run a kernel, of CUDA C++ or of PTX (text that begins with ``.version``).

        Raises:
            PtxError: whatever the kernel does wrong.
        """
        with self._lock, RUNNING:
            program = self._program(kernel, shared)
            self._check_shape(program, grid, block)
            parameters = packed(program, args, self)
            self.launches += 1
            self.log.append((kernel.entry, grid, block))
            may_race = kernel.entry in self.may_race or f"// may race: {kernel.entry}," in kernel.source
            watch, number = self._marks()
            Launch(
                program, grid, block, parameters, self._space, watch, number, may_race, self.lanes, self.step_limit,
                self.backwards,
            ).run()  # fmt: skip

    def _marks(self) -> tuple[Watch, int]:
        self._number += 1
        if self._watch is None or self._number > 2047:
            self._watch, self._number = Watch(self._space, 32, True, str), 1
        return self._watch, self._number

    def _program(self, kernel: Kernel, shared: int) -> Program:
        loaded = _loaded(kernel.source)
        if loaded not in self._placed:
            self._placed.add(loaded)
            loaded.place(self._space)
        return loaded.program(kernel.entry, shared)

    def _check_shape(self, program: Program, grid: int, block: int) -> None:
        if not (1 <= block <= 1024 and 1 <= grid < 2**31):
            raise PtxError(f"{program.name}: {grid} blocks of {block} threads cannot be launched (1 to 1024 threads)")
        if program.layout.used > self.shared_bytes:
            asked = f"{program.layout.used:,} bytes of shared memory a block"
            raise PtxError(f"{program.name}: {asked}; there are {self.shared_bytes:,}")


def _free(device: "weakref.ref[SimulatedDevice]", address: int, n_bytes: int) -> None:
    alive = device()
    if alive is not None:
        alive._free(address, n_bytes)


def packed(program: Program, args: Sequence[Argument], device: SimulatedDevice) -> np.ndarray[Any, Any]:
    """The bytes of a launch's parameters; each argument must be of the type that the kernel declares."""
    params = program.entry.params
    if len(args) != len(params):
        raise PtxError(f"{program.name} takes {len(params)} arguments, not {len(args)}")
    found = np.zeros(program.parameter_bytes, dtype=np.uint8)
    for number, (param, arg) in enumerate(zip(params, args, strict=True)):
        raw = _bytes_of(f"{program.name}: argument {number}, {param.name}", param, arg, device)
        at = program.scope.params[param.name]
        found[at : at + param.size] = np.frombuffer(raw, dtype=np.uint8)
    return found


def _bytes_of(what: str, param: Param, arg: Argument, device: SimulatedDevice) -> bytes:
    if arg is None or isinstance(arg, DeviceArray):
        if (param.type != "u64" and param.type != "b64") or param.size != 8:
            raise PtxError(f"{what}, is a .{param.type} of {param.size} bytes; it was given a pointer")
        if arg is not None and arg.device is not device:
            raise PtxError(f"{what}, lies on another device")
        return (0 if arg is None else arg.pointer).to_bytes(8, "little")
    if not isinstance(arg, np.generic):
        raise PtxError(f"{what}, was given {arg!r}, which is no DeviceArray, NumPy scalar or None")
    is_float = arg.dtype.kind == "f"
    if param.size != arg.dtype.itemsize or (is_float != (param.type[0] == "f") and arg.dtype.kind != "V"):
        raise PtxError(f"{what}, is a .{param.type} of {param.size} bytes; it was given a {arg.dtype.name}: {arg!r}")
    if param.pointer:
        raise PtxError(f"{what}, is a pointer; it was given a {arg.dtype.name}: {arg!r}")
    return arg.tobytes()
