"""What CUDA libraries raise, told apart: no memory, a device that is lost, anything else that CUDA says.

CuPy, RMM, cuDF and cuML each have classes of their own for the same numbers of CUDA, and some only a text.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import DeviceError, DeviceLostError, DeviceMemoryError

_NO_MEMORY = 2
# Those of which CUDA's headers say that the process has to be terminated, and those of a device that is gone.
_LOST = {
    "ECCUncorrectable": 214, "NvlinkUncorrectable": 220, "Contained": 226, "IllegalAddress": 700, "LaunchTimeout": 702,
    "ContextIsDestroyed": 709, "Assert": 710, "HardwareStackError": 714, "IllegalInstruction": 715,
    "MisalignedAddress": 716, "InvalidAddressSpace": 717, "InvalidPc": 718, "LaunchFailure": 719, "LaunchFailed": 719,
    "TensorMemoryLeak": 721, "MpsClientTerminated": 810, "ExternalDevice": 911,
}  # fmt: skip
_NUMBERS = frozenset(_LOST.values())
_LOST_WORDS = frozenset(f"cudaerror{name}".lower() for name in _LOST)
_MEMORY_WORDS = frozenset({"cudaerrormemoryallocation", "cudaerroroutofmemory"})
_WORD = re.compile(r"\b(?:cudaError[A-Z]\w*|CUDA_ERROR_[A-Z_]+)\b")
# RMM raises Python's own MemoryError; so does NumPy, of the host. The texts of the first name who it was.
_OF_A_DEVICE = re.compile(r"out_of_memory|\bCUDA\b|\bRMM\b|cudaErrorMemoryAllocation")
_AGAIN = "Start the process again; if the same data fail again, use device='cpu' and report it."


def words(error: BaseException) -> set[str]:
    """CUDA's names for what went wrong, where the text has any; the runtime's and the driver's written alike.

    >>> words(RuntimeError("Fatal CUDA error encountered at: reader.cpp:12: 700 cudaErrorIllegalAddress an illegal …"))
    {'cudaerrorillegaladdress'}
    >>> words(RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"))
    {'cudaerrorillegaladdress'}
    """
    return {word.replace("_", "").lower() for word in _WORD.findall(str(error))}


def is_lost(error: BaseException) -> bool:
    """Whether every later call of this process on the device fails too."""
    return _status(error) in _NUMBERS or (isinstance(error, RuntimeError) and bool(words(error) & _LOST_WORDS))


def is_memory(error: BaseException) -> bool:
    """Whether a device (not the host) had not enough memory.

    >>> is_memory(MemoryError("std::bad_alloc: out_of_memory: CUDA error at: …")), is_memory(MemoryError())
    (True, False)
    """
    if isinstance(error, MemoryError):
        foreign = type(error).__module__.partition(".")[0] in ("cupy", "rmm", "cudf")
        return foreign or bool(_OF_A_DEVICE.search(str(error)))
    return _status(error) == _NO_MEMORY or (isinstance(error, RuntimeError) and bool(words(error) & _MEMORY_WORDS))


def _status(error: BaseException) -> int | None:
    """CUDA's number for an error; None where it is no error of CUDA's."""
    return getattr(error, "status", None) if type(error).__name__ in ("CUDARuntimeError", "CUDADriverError") else None


class Health:
    """Whether a device can still be used, and what a failure of it means.

    Args:
        name: the device's, for messages.

    Attributes:
        lost: what happened that ended it; None: nothing did.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost: str | None = None

    def refuse_if_lost(self) -> None:
        """Raise at once what every call would end in.

        Raises:
            DeviceLostError: an earlier call was the last that the device took.
        """
        if self.lost is not None:
            raise DeviceLostError(f"{self.name} cannot be used any more by this process: {self.lost}. {_AGAIN}")

    @contextmanager
    def guarded(self, what: str, asked: int | None = None) -> Iterator[None]:
        """Failures of CUDA inside become ours; other errors pass.

        Args:
            what: what is being done, for the message.
            asked: the bytes asked for.

        Raises:
            DeviceMemoryError: the device has not so much memory.
            DeviceLostError: the device was lost, now or before.
            DeviceError: CUDA failed otherwise.
        """
        self.refuse_if_lost()
        try:
            yield
        except DeviceError:
            raise
        except (RuntimeError, MemoryError) as error:
            ours = self.meant(error, what, asked)
            if ours is None:
                raise
            raise ours from error

    def meant(self, error: BaseException, what: str, asked: int | None = None) -> DeviceError | None:
        """What an error of a CUDA library means; None where CUDA has nothing to do with it."""
        told = " ".join(str(error).split())[:400] or type(error).__name__
        if is_lost(error):
            self.lost = self.lost or f"{what} failed ({told}), or something before it that was not waited for"
            return DeviceLostError(f"{self.name} is lost to this process: {self.lost}. {_AGAIN}")
        if is_memory(error):
            much = "" if asked is None else f" {asked:,} bytes were asked for."
            message = f"{self.name} has not enough memory: {what} failed.{much} ({told})"
            return DeviceMemoryError(message, asked, self.name)
        if _status(error) is not None or words(error):
            return DeviceError(f"{self.name} failed: {what}: {told}. Try device='cpu'.")
        return None
