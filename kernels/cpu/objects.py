"""The machine code of kernels, kept on disk and loaded without Numba, which takes a second of a processor to start.

An object file is named by a digest of the sources that may be compiled into it, the types of the kernel's arguments,
the processor and the versions; it is written by its owner alone and checked by its own digest. It lies where
NUMBA_CACHE_DIR says, else in this folder's __pycache__, else (an installation that cannot be written to) in the user's
cache folder; where nothing can be written, kernels are compiled anew in each process. So they are where a source is
younger than this process: it may have been imported before it was changed (an upgrade of the package beneath it).
"""

import contextlib
import ctypes
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ... import optional
from ...errors import InternalError
from . import types_of

_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import ([\w, ]*)", re.MULTILINE)
_RETURNS: dict[str, Any] = {
    "none": ctypes.c_int64,
    "int64": ctypes.c_int64,
    "float64": ctypes.c_double,
    "bool": ctypes.c_bool,
}
_STARTED = time.time()
#: What a word of compiled code is passed as: a pointer is an address.
_WORDS: dict[str, Any] = {
    "ptr": ctypes.c_size_t, "float": ctypes.c_float, "double": ctypes.c_double,
    "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32, "i64": ctypes.c_int64,
}  # fmt: skip
#: What code of Numba's mentions and never calls, since arrays are not counted here.
_NEVER_CALLED = ("NRT_MemInfo_call_dtor", "NRT_Free", "NRT_incref", "NRT_decref", "numba_unpickle")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a kernel.

    Attributes:
        symbol: its name within the code.
        returns: the type that it gives, of `_RETURNS`.
        code: the object file; None: it needs Numba.
    """

    symbol: str
    returns: str
    code: bytes | None


@cache
def _folder() -> Path | None:
    return next(filter(_can_be_written_to, _places()), None)


def _places() -> list[Path]:
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(named)]
    users = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "gpupipe"
    return [_HERE / "__pycache__", *([users] if users.is_absolute() else [])]  # not all users have a home


def _can_be_written_to(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def _sources(path: Path) -> frozenset[Path]:
    """A module, and all that it imports of ours."""
    found, waiting = {path}, [path]
    while waiting:
        new = _imported(waiting.pop()) - found
        found |= new
        waiting.extend(new)
    return frozenset(found)


@cache
def _imported(path: Path) -> frozenset[Path]:
    """What a module imports of ours itself."""
    found = []
    for dots, module, names in _IMPORT.findall(path.read_text()):
        folder = path.parents[len(dots) - 1].joinpath(*filter(None, module.split(".")))
        named = [name.split()[0] for name in names.split(",") if name.strip()]
        found += [folder.with_suffix(".py"), *(folder / f"{name}.py" for name in named)]
    return frozenset(filter(Path.exists, found))


@cache
def _machine() -> bytes:
    """What compiles and what runs, of which code is a matter too."""
    llvm = optional.load("llvmlite.binding")
    versions = [optional.version_of(package) for package in ("numba", "llvmlite", "numpy")]
    chosen = {name: os.environ[name] for name in sorted(os.environ) if _is_choice(name)}
    processor = [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return json.dumps([versions, chosen, *processor]).encode()


@cache
def _digest_of(path: Path) -> str:
    whole = hashlib.sha256()
    for file in sorted(_sources(path)):
        whole.update(file.read_bytes())
    whole.update(_machine())
    return whole.hexdigest()[:16]


def _is_choice(name: str) -> bool:
    """Whether a variable may change what Numba compiles."""
    return name.startswith("NUMBA_") and name not in ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")


@cache
def _are_as_imported(path: Path) -> bool:
    """Whether no source was changed since: what is compiled of it is not what the file says."""
    return all(file.stat().st_ctime <= _STARTED for file in _sources(path))


def _stem(function: Callable[..., Any]) -> str:
    path = Path(function.__code__.co_filename)
    return f"{path.stem}.{function.__name__}-{_digest_of(path)}"


def _file_of(function: Callable[..., Any], kinds: types_of.Kind) -> Path | None:
    folder = _folder()
    if folder is None or not _are_as_imported(Path(function.__code__.co_filename)):
        return None
    types = hashlib.sha256(repr(kinds).encode()).hexdigest()[:16]
    return folder / f"{_stem(function)}-{types}.kernel"


def any_of(function: Callable[..., Any]) -> bool:
    """Whether its code is kept, for arguments of some types."""
    folder = _folder()
    return folder is not None and next(folder.glob(f"{_stem(function)}-*.kernel"), None) is not None


def kept(function: Callable[..., Any], kinds: types_of.Kind) -> Kept | None:
    """What is on disk of a kernel for arguments of these types; None: nothing that can be used."""
    file = _file_of(function, kinds)
    head, _, code = (b"" if file is None else _own_bytes(file)).partition(b"\n")
    try:
        told = json.loads(head)
    except ValueError:
        return None
    if told.get("sha256") != hashlib.sha256(code).hexdigest():
        return None
    return Kept(told["symbol"], told["returns"], code or None)


def _own_bytes(file: Path) -> bytes:
    """The file; nothing where it is not there, or someone else (the system's owner apart) may have written it."""
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            own = status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022
            return opened.read() if own else b""
    except OSError:
        return b""


def compiled(function: Callable[..., Any], kinds: types_of.Kind) -> Kept:
    """The kernel compiled now, and kept on disk where that can be done."""
    options = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher = optional.load("numba").njit(**options)(function)
    dispatcher.compile(tuple(map(types_of.numba_type, kinds)))
    (made,) = dispatcher.overloads.values()
    returns = str(made.signature.return_type)
    needed = {each.name for each in made.library._final_module.functions if each.is_declaration}
    alone = returns in _RETURNS and not any(map(_of_numba, needed)) and _takes_words(made, kinds)
    code = made.library._get_compiled_object() if alone and _loads() else None
    result = Kept(made.fndesc.llvm_func_name, returns, code)
    _keep(_file_of(function, kinds), result)
    return result


def _takes_words(made: Any, kinds: types_of.Kind) -> bool:
    """Whether the code takes, after its result and its error, the words that it is called with."""
    entry = made.library._final_module.get_function(made.fndesc.llvm_func_name)
    types = [str(argument.type) for argument in entry.arguments]
    found = ["ptr" if name.endswith("*") else name for name in types]
    return found[:2] == ["ptr", "ptr"] and found[2:] == [word for kind in kinds for word in types_of.llvm_words(kind)]


def _of_numba(name: str) -> bool:
    return name.startswith(("NRT_", "Py", "_Py", "numba_")) and name not in _NEVER_CALLED


def _loads() -> bool:
    """Whether code is loaded without Numba on this system."""
    return sys.platform in ("linux", "darwin")


def _keep(file: Path | None, made: Kept) -> None:
    if file is None:
        return
    code = made.code or b""
    told = {"symbol": made.symbol, "returns": made.returns, "sha256": hashlib.sha256(code).hexdigest()}
    with contextlib.suppress(OSError):  # a full disk keeps nothing, and the kernel runs all the same
        handle, part = tempfile.mkstemp(dir=file.parent)  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(json.dumps(told).encode() + b"\n" + code)
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise


_ENGINES: list[Any] = []  # code lives as long as these


def runs(made: Kept, function: Callable[..., Any], kinds: types_of.Kind) -> Callable[..., Any]:
    """What takes the arguments of a kernel and runs it."""
    if made.code is None:
        run: Callable[..., Any] = optional.load("numba").njit(nogil=True, error_model="numpy")(function)
        return run  # compiled in each process: what Numba itself would keep is a pickle
    return _called(_loaded(made.code, made.symbol), made.returns, kinds)


def _loaded(code: bytes, symbol: str) -> int:
    llvm = optional.load("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    stop = ctypes.cast(ctypes.CDLL(None).abort, ctypes.c_void_p).value
    for name in _NEVER_CALLED:
        if not llvm.address_of_symbol(name):
            llvm.add_symbol(name, stop)
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _ENGINES.append(engine)
    return int(engine.get_function_address(symbol))


def _called(address: int, returns: str, kinds: types_of.Kind) -> Callable[..., Any]:
    words = [_WORDS[word] for kind in kinds for word in types_of.llvm_words(kind)]
    compiled_code = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *words)(address)
    result_type = _RETURNS[returns]

    def run(*arguments: Any) -> Any:
        result, why = result_type(), ctypes.c_void_p()
        if compiled_code(ctypes.byref(result), ctypes.byref(why), *types_of.words_of(arguments)):
            raise InternalError("A compiled kernel failed. Please report this.")
        return None if returns == "none" else result.value

    return run
