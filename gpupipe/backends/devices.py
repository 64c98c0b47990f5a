"""Whether there is a GPU that works, and if not exactly why. Without CuPy that costs one look at what is installed."""

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gpupipe import optional
from gpupipe.errors import DeviceError

if TYPE_CHECKING:
    from gpupipe.kernels.gpu.device import Device

LEAST_CAPABILITY = 75
_INSTALL = "pip install 'gpupipe[cuda13]' (CUDA 12: 'gpupipe[cuda12]'), in an environment of its own"


@dataclass(frozen=True, slots=True)
class Found:
    """What a look for a GPU gave.

    Attributes:
        device: the GPU, tried; None: there is none that works.
        why: the GPU in words; or sentences that say why there is none, and what to try.
    """

    device: "Device | None"
    why: str


class _Look:
    """What the process found: it looks once."""

    found: Found | None = None
    broken: ClassVar[dict[str, str]] = {}  # packages that did not load, and why
    lock = threading.Lock()


def gpu() -> Found:
    """The GPU of this process, tried once and remembered.

    >>> gpu() is gpu()
    True
    """
    with _Look.lock:
        if _Look.found is None:
            _Look.found = look()
        return _Look.found


def in_use() -> "Device | None":
    """The GPU, if it was looked for; this does not look."""
    return None if _Look.found is None else _Look.found.device


def required(
    asked: str = "device='gpu'", instead: str = "With device='auto' or 'cpu' the CPU computes the same."
) -> "Device":
    """The GPU, which was asked for by name.

    Args:
        asked: what asked for it, as an error says it.
        instead: a sentence of what does without one.

    Raises:
        DeviceError: there is none that works; the message says why, and what to try.
    """
    found = gpu()
    if found.device is None:
        raise DeviceError(f"{asked} was asked for, and there is no GPU to compute on. {found.why} {instead}")
    return found.device


def look() -> Found:
    """Look for a GPU now, from what costs nothing to a first small computation on it."""
    try:
        _refuse_hidden()
        return _tried(_cupy())
    except DeviceError as missing:
        return Found(None, str(missing))


def _missing(why: str, remedy: str) -> DeviceError:
    return DeviceError(f"{why[0].upper()}{why[1:]}. Try: {remedy}.")


def _refuse_hidden() -> None:
    if not optional.available("cupy"):
        raise _missing("CuPy is not installed", _INSTALL)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.strip().startswith("-")):
        remedy = "unset it, or set it to the number of a GPU"
        raise _missing(f"the environment variable CUDA_VISIBLE_DEVICES={visible!r} hides every GPU", remedy)


def _cupy() -> Any:
    """CuPy, of which an import alone says nothing about GPUs.

    It comes with compiled parts of others (CUDA's libraries, NumPy), and what is wrong with those raises anything.
    """
    try:
        cupy = optional.load("cupy")
    except Exception as error:
        raise _missing(f"CuPy is installed and cannot be imported ({said(error)})", _INSTALL) from error
    if not cupy.cuda.is_available():
        raise _no_device(cupy.cuda.runtime)
    return cupy


def _no_device(runtime: Any) -> DeviceError:
    """Why CUDA offers no device."""
    try:
        version = int(runtime.driverGetVersion())
        if version == 0:
            return _missing("there is no NVIDIA driver", "install the driver of your GPU")
        runtime.getDeviceCount()
    except RuntimeError as error:
        text = said(error)
        if "InsufficientDriver" in text:
            built = version_text(runtime.runtimeGetVersion())
            why = f"the NVIDIA driver supports CUDA {version_text(version)}, and CuPy here is built for CUDA {built}"
            return _missing(why, "a newer driver, or the packages of an older CUDA: pip install 'gpupipe[cuda12]'")
        return _missing(f"CUDA says {text}", "`nvidia-smi`, which tests driver and GPU without gpupipe")
    return _missing("the NVIDIA driver finds no GPU", "`nvidia-smi`; in a container, give it the GPU (--gpus all)")


def _tried(cupy: Any) -> Found:
    """The current device, if it is new enough and a first small computation on it is right."""
    # Not more than these: a mistake of ours must not read as "no GPU". RMM and CuPy raise RuntimeError and MemoryError,
    # Numba's driver, which cuDF loads, an ImportError.
    try:
        capability = int(cupy.cuda.Device().compute_capability)
        device = _computing() if capability >= LEAST_CAPABILITY else None
    except DeviceError as error:
        raise _missing(f"the first computation on the GPU failed ({error})", _TRY) from error
    except (RuntimeError, MemoryError, ImportError) as error:
        raise _missing(f"the GPU cannot be used ({said(error)})", _TRY) from error
    if device is None:
        why = f"the GPU has compute capability {_dotted(capability)}; RAPIDS and CUDA 13 support none below 7.5"
        raise _missing(why, "a GPU of the year 2018 (Turing) or newer")
    return Found(device, f"{device.name}, compute capability {_dotted(capability)}")


def _computing() -> "Device":
    device: Device = optional.load("gpupipe.kernels.gpu.cuda").CudaDevice()
    optional.load("gpupipe.kernels.gpu.trial").trial(device)
    return device


def unusable(package: str, called: str) -> str | None:
    """Why a package that works on the GPU cannot be used; None: it can.

    It is imported, which takes seconds once: versions that do not go together show only then, and raise anything. What
    did not load is not tried again.

    Args:
        package: the name it is imported by.
        called: what people call it.
    """
    if not optional.available(package):
        return f"{called} is not installed (pip install 'gpupipe[cuda13]')"
    if package not in _Look.broken:
        try:
            optional.load(package)
            return None
        except Exception as error:  # ImportError, OSError; AttributeError, as NumPy 2.5 gives Numba's CUDA
            _Look.broken[package] = " ".join(str(error).split())[:200]
    told = _Look.broken[package]
    return f"{called} is installed and does not load ({told}); install the versions that gpupipe[cuda13] names"


_TRY = "`nvidia-smi`, which shows whether driver and memory are free for this process, and `gpupipe doctor`"


def said(error: BaseException) -> str:
    """An error of a library in one line: its class and the first that it says.

    >>> said(RuntimeError("no\\nmemory"))
    'RuntimeError: no memory'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def version_text(number: int) -> str:
    """CUDA's number of a version as it is written.

    >>> version_text(13020)
    '13.2'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def _dotted(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"
