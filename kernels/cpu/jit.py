"""How the kernels here are compiled: without fast-math, so that LLVM neither contracts nor reorders; GIL released.

Nothing is compiled, and Numba not imported, when a module of kernels is: functions are declared, and compiled when a
kernel is called for the first time with arguments of some types, unless `objects` holds its machine code already. So
a process of an installation that has computed before starts them in milliseconds.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from ... import optional
from . import objects, types_of

_PARTS = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_LOCK = threading.RLock()  # Numba's own, and what is declared, are not to be touched by two threads
if hasattr(os, "register_at_fork"):
    # A fork waits until no other thread compiles: its child would have this lock and Numba's as they were, held by
    # threads that it does not have.
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class Declared:
    """A function that only kernels call, or an intrinsic of Numba's: made when the first kernel is compiled.

    Args:
        make: makes what stands in its place from then on, in every module that has it under a name.
        names: those of the module that it stands in.
    """

    waiting: ClassVar[list["Declared"]] = []
    places: ClassVar[dict[int, dict[str, Any]]] = {}

    def __init__(self, make: Callable[[], Any], names: dict[str, Any]) -> None:
        self.make = make
        self.made: Any = None
        Declared.waiting.append(self)
        Declared.places[id(names)] = names


def _make_all() -> None:
    """Put what Numba understands in the place of all that was declared so far."""
    while Declared.waiting:
        declared = Declared.waiting.pop()
        declared.made = declared.make()
    for names in list(Declared.places.values()):
        for name, value in list(names.items()):
            if isinstance(value, Declared):
                names[name] = value.made


def _declared(function: Callable[..., Any], **options: Any) -> Any:
    return Declared(lambda: optional.load("numba").njit(**options)(function), function.__globals__)


def part(function: Callable[..., Any]) -> Any:
    """Declare a function that only kernels call."""
    return _declared(function, fastmath=False, **_PARTS)  # said, or it would take its caller's rules


def inlined(function: Callable[..., Any]) -> Any:
    """The same, but made part of its one caller before types are inferred: less to compile for a mere switch."""
    return _declared(function, inline="always", **_PARTS)


def summing(function: Callable[..., Any]) -> Any:
    """A part in which LLVM may add in any order: only where every sum is exact, so that the order cannot show.

    What must round as written stands in a `part`, whose operations keep their own rules where they are inlined.
    """
    return _declared(function, fastmath={"reassoc", "nsz", "contract"}, **_PARTS)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Declare what Numba calls an intrinsic."""
    return Declared(lambda: optional.load("numba.extending").intrinsic(function), function.__globals__)


class Kernel:
    """A function that Python calls: arrays, tuples of arrays, numbers in; nothing, or a number, out.

    A kernel that makes arrays or gives any runs as well, but is compiled in each process: give it what it writes to.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._runs: dict[Any, Callable[..., Any]] = {}
        Declared.places[id(function.__globals__)] = function.__globals__
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        kinds = tuple([types_of.kind_of(argument) for argument in arguments])
        run = self._runs.get(kinds)
        return (self._prepared(kinds) if run is None else run)(*arguments)

    @property
    def is_ready(self) -> bool:
        """Whether the machine code of all its parts is at hand, so that no call compiles for long."""
        return bool(self._runs) or objects.any_of(self._function)

    def _prepared(self, kinds: Any) -> Callable[..., Any]:
        with _LOCK:
            if kinds not in self._runs:
                kept = objects.kept(self._function, kinds)
                if kept is None:
                    _make_all()
                    kept = objects.compiled(self._function, kinds)
                if kept.code is None:
                    _make_all()
                self._runs[kinds] = objects.runs(kept, self._function, kinds)
            return self._runs[kinds]


def kernel(function: Callable[..., Any]) -> Any:
    """Declare a function that Python calls."""
    return Kernel(function)
