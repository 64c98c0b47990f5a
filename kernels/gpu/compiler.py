"""From CUDA C++ to kernels that can be launched: compiled by NVRTC, once a process, and kept on disk.

Not by CuPy's RawModule, which appends ``-ftz=true`` to the options: float32 numbers below the normal ones would become
0 as a kernel reads them, and the bits would not be those of the CPU.
"""

import threading
from collections.abc import Sequence
from typing import Any

from ...errors import InternalError
from .device import Kernel
from .kept import Kept, digest

OPTIONS = ("--std=c++17", "--fmad=false")
_PLAIN_SHARED = 48 * 2**10  # bytes of shared memory that a block may have without asking


def target(capability: int, known: Sequence[int]) -> tuple[str, bool]:
    """(what to compile for, whether that is machine code) for a device of some compute capability, 90 for 9.0.

    Machine code of its own version, or of an earlier one of the same generation; of a later generation than NVRTC
    knows, PTX, which the driver translates.

    >>> target(90, (75, 80, 90)), target(89, (75, 80)), target(130, (75, 90, 121))
    (('sm_90', True), ('sm_80', True), ('compute_121', False))
    """
    below = [each for each in known if each <= capability]
    best = max(below, default=capability)
    same = best // 10 == capability // 10
    return (f"sm_{best}", True) if same else (f"compute_{best}", False)


def compiled(nvrtc: Any, source: str, architecture: str, binary: bool) -> bytes:
    """The machine code (or PTX) of a source.

    Raises:
        InternalError: it does not compile; NVRTC's log is kept.
    """
    program = nvrtc.createProgram(source, "gpupipe.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture={architecture}"))
        made: bytes = nvrtc.getCUBIN(program) if binary else nvrtc.getPTX(program)
        return made
    except nvrtc.NVRTCError as error:
        log = nvrtc.getProgramLog(program).strip()
        message = f"A kernel does not compile for {architecture} ({error}). Please report this.\n{log}"
        raise InternalError(message) from error
    finally:
        nvrtc.destroyProgram(program)


class Compiler:
    """Kernels, ready to launch, of one device. Any thread may ask.

    Args:
        cuda: ``cupy.cuda``.
        capability: of the device, 90 for 9.0.
        kept: where machine code is kept between processes.

    Attributes:
        n_compiled: how many sources were compiled in this process.
    """

    def __init__(self, cuda: Any, capability: int, kept: Kept) -> None:
        self._cuda, self.kept = cuda, kept
        self._version: tuple[int, ...] = tuple(cuda.nvrtc.getVersion())
        self._target = target(capability, cuda.nvrtc.getSupportedArchs())
        self._modules: dict[str, Any] = {}
        self._functions: dict[Kernel, Any] = {}
        self._shared: dict[Kernel, int] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self.n_compiled = 0

    def function(self, kernel: Kernel, shared: int = 0) -> Any:
        """What launches a kernel with up to `shared` bytes of dynamic shared memory a block."""
        found = self._functions.get(kernel)
        if found is None:
            found = self._functions[kernel] = self._module(kernel.source).get_function(kernel.entry)
        if shared > self._shared.get(kernel, _PLAIN_SHARED):
            self._allow(kernel, found, shared)
        return found

    def _allow(self, kernel: Kernel, function: Any, shared: int) -> None:
        driver = self._cuda.driver
        with self._lock:  # never less than another thread is about to launch with
            most = max(shared, self._shared.get(kernel, 0))
            driver.funcSetAttribute(function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most)
            self._shared[kernel] = most

    def _module(self, source: str) -> Any:
        with self._lock:
            lock = self._locks.setdefault(source, threading.Lock())
        with lock:  # whoever comes second finds what the first one compiled
            if source not in self._modules:
                self._modules[source] = self._loaded(source)
            return self._modules[source]

    def _loaded(self, source: str) -> Any:
        key = digest(self._version, self._target, OPTIONS, source)
        found = self.kept.get(key)
        if found is not None:
            try:
                return self._load(found)
            except self._cuda.driver.CUDADriverError:
                self.kept.drop(key)  # whole, but not what this driver takes
        made = compiled(self._cuda.nvrtc, source, *self._target)
        with self._lock:
            self.n_compiled += 1
        module = self._load(made)
        self.kept.put(key, made)
        return module

    def _load(self, binary: bytes) -> Any:
        module = self._cuda.Module()
        module.load(binary)
        return module
