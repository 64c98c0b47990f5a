"""CUDA C++ to PTX, and to machine code with what it costs, by NVRTC: no GPU, no driver, no compiler of the system."""

import functools
import hashlib
import importlib.util
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if importlib.util.find_spec("cuda") and importlib.util.find_spec("cuda.bindings"):
    from cuda.bindings import nvrtc
else:
    nvrtc = None

#: As the real device compiles (kernels/gpu/device.py).
OPTIONS = ("--std=c++17", "--fmad=false")


class CompileError(Exception):
    """What NVRTC says of a source that does not compile."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one entry needs on one architecture: registers a thread, bytes of stack, spills, shared and constants."""

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@functools.cache
def why_not() -> str:
    """Why nothing can be compiled; empty where it can."""
    if nvrtc is None:
        return "NVRTC is not installed"
    try:
        nvrtc.nvrtcVersion()
    except RuntimeError as error:  # the bindings are there, the library is not
        return f"NVRTC is not installed ({error})"
    return ""


def _call(name: str, *args: Any) -> Any:
    error, *results = getattr(nvrtc, name)(*args)
    if error:
        raise CompileError(f"{name}: {error}")
    return results[0] if results else None


def _compiled(source: str, options: tuple[str, ...], what: str) -> tuple[bytes, str]:
    """(the result, the log)."""
    program = _call("nvrtcCreateProgram", source.encode(), b"kernels.cu", 0, [], [])
    given = [option.encode() for option in (*OPTIONS, *options)]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(given), given)
    log = _text(program, "ProgramLog")
    if error:
        raise CompileError(log)
    return _given(program, what), log


def _text(program: Any, what: str) -> str:
    return _given(program, what).rstrip(b"\0").decode()


def _given(program: Any, what: str) -> bytes:
    """What NVRTC writes into a bytes object of ours: always a new one, since Python has each single byte but once."""
    size = _call(f"nvrtcGet{what}Size", program)
    room = bytes(max(size, 2))
    _call(f"nvrtcGet{what}", program, room)
    return room[:size]


@functools.cache
def cache_folder() -> Path:
    """Where results are kept from one run of the tests to the next, for this user alone; a month at most."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "gpupipe-tests" / "nvrtc"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.iterdir():
            if file.stat().st_mtime < time.time() - 30 * 24 * 3600:
                file.unlink(missing_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:  # a home that cannot be written, or a file that another process removed first
        pass
    return Path(tempfile.mkdtemp(prefix="gpupipe-nvrtc-"))


def _kept(source: str, options: tuple[str, ...], what: str) -> str:
    """The text of a compilation, from the cache where it was done before; written under another name, then moved."""
    version = _call_version()
    key = hashlib.sha256("\0".join((version, what, *OPTIONS, *options, source)).encode()).hexdigest()
    place = cache_folder() / f"{key}.txt"
    try:
        return place.read_text()
    except OSError:
        pass
    result, log = _compiled(source, options, what)
    text = log if what == "CUBIN" else result.rstrip(b"\0 ").decode()
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, place)
    return text


def _call_version() -> str:
    error, major, minor = nvrtc.nvrtcVersion()
    return f"{error} {major}.{minor}"


@functools.cache
def ptx(source: str, arch: str = "compute_90") -> str:
    """The PTX of a source.

    Raises:
        CompileError: it does not compile; the message is NVRTC's.
    """
    return _kept(source, (f"--gpu-architecture={arch}",), "PTX")


_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>[^']+)' for '[^']+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.S,
)


@functools.cache
def usage(source: str, arch: str = "sm_90") -> dict[str, Compiled]:
    """What each entry of a source needs once it is machine code for `arch`."""
    log = _kept(source, (f"--gpu-architecture={arch}", "--ptxas-options=-v"), "CUBIN")
    found = {}
    for entry in _ENTRY.finditer(log):
        shared = re.search(r"(\d+) bytes smem", entry["rest"])
        registers, stack, stores, loads = (int(entry[name]) for name in ("registers", "stack", "stores", "loads"))
        found[entry["name"]] = Compiled(registers, stack, stores, loads, int(shared[1]) if shared else 0)
    if not found:
        raise CompileError(f"no entry in what ptxas says of {arch}: {log}")
    return found
