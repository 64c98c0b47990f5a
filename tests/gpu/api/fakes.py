"""Stand-ins for GPU packages: they know the names of the manifest and no others, bind every call, and remember it.

    fakes = Fakes({"cupy.cuda.is_available": lambda: True, "cupy.cuda.Stream": MyStream})
    fakes.install(monkeypatch, "cupy")          # `optional.load("cupy")`, `optional.available("cupy")` find it

What a name does is given as behaviour: a function (or class) that is called with what the call was given, or a value. A
name without behaviour gives back a :class:`Stand` for what it would have made: its methods are looked up in the
manifest too. Exceptions are real classes, with the bases that theirs have.
"""

import builtins
import importlib.machinery
import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .signatures import Row, signature_of

MANIFEST = Path(__file__).resolve().parent / "manifest.json"


class NotInManifestError(AttributeError):
    """The packages that the manifest was read from have no such name, or it was not written down."""


@cache
def manifest() -> dict[str, Row]:
    """The rows, by dotted name."""
    rows: dict[str, Row] = json.loads(MANIFEST.read_text(encoding="utf-8"))["names"]
    return rows


@cache
def signature(name: str) -> inspect.Signature | None:
    """How a name is called; None where the packages do not tell."""
    return signature_of(manifest()[name])


def check_call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """See that a name can be called so.

    Raises:
        TypeError: it cannot.

    >>> check_call("cupy.asarray", (1,), {"copy": None})
    """
    known = signature(name)
    if known is None:
        return
    try:
        known.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}{known}: {error}") from None


@dataclass(frozen=True)
class Call:
    """One call that was made."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


class Fakes:
    """The packages together: what their names do, and the calls that were made.

    Args:
        behaviour: from dotted names to what they do.

    Attributes:
        calls: every call, in order.
    """

    def __init__(self, behaviour: Mapping[str, Any] | None = None) -> None:
        self.behaviour = dict(behaviour or {})
        self.calls: list[Call] = []
        self._made: dict[str, Any] = {}
        for name in self.behaviour:
            self._row(name)

    def install(self, monkeypatch: Any, *packages: str) -> None:
        """Put the packages, and their modules, where imports find them."""
        for name in packages:
            for known, row in manifest().items():
                if (known == name or known.startswith(f"{name}.")) and row["is"] == "module":
                    monkeypatch.setitem(sys.modules, known, self.get(known))

    def called(self, name: str) -> list[Call]:
        """The calls of one name."""
        return [call for call in self.calls if call.name == name]

    def get(self, name: str) -> Any:
        """What stands for a dotted name: always the same object.

        Raises:
            NotInManifestError: the manifest has no such name.
        """
        if name not in self._made:
            self._made[name] = self._stand(name, self._row(name))
        return self._made[name]

    def do(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of a name: bound, remembered, done."""
        check_call(name, args, kwargs)
        self.calls.append(Call(name, args, kwargs))
        if name in self.behaviour:
            return self.behaviour[name](*args, **kwargs)
        return Stand(self, name)

    def _row(self, name: str) -> Row:
        try:
            return manifest()[name]
        except KeyError:
            raise NotInManifestError(
                f"{name} is not in the manifest. If it exists, name it in names.txt and run make_manifest.py."
            ) from None

    def _stand(self, name: str, row: Row) -> Any:
        given = self.behaviour.get(name)
        if row["is"] == "module":
            return _Module(self, name)
        if row["is"] == "exception":
            return given if given is not None else _exception(name, row)
        if row["is"] == "value":
            return given if name in self.behaviour else Stand(self, name)
        return _Callable(self, name)


def _exception(name: str, row: Row) -> type[BaseException]:
    base = getattr(builtins, row["bases"][0])
    return type(name.rpartition(".")[2], (base,), {"__module__": name.rpartition(".")[0]})


class _Module(ModuleType):
    """A module of the manifest: names that it has not are refused."""

    def __init__(self, fakes: Fakes, name: str) -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.__path__: list[str] = []
        self._fakes = fakes
        version = json.loads(MANIFEST.read_text(encoding="utf-8"))["read from"].get(name)
        if version is not None:
            self.__version__ = version

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._fakes.get(f"{self.__name__}.{name}")


class _Callable:
    """A function or class: calls are bound to its signature."""

    def __init__(self, fakes: Fakes, name: str) -> None:
        self._fakes, self._name = fakes, name
        self.__name__ = name.rpartition(".")[2]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._fakes.do(self._name, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._fakes.get(f"{self._name}.{name}")

    def __instancecheck__(self, thing: Any) -> bool:
        given = self._fakes.behaviour.get(self._name)
        if inspect.isclass(given) and isinstance(thing, given):
            return True
        return isinstance(thing, Stand | Checked) and thing.name == self._name

    def __repr__(self) -> str:
        return f"<{self._name} of the manifest>"


class Stand:
    """What a call without behaviour made: an object of the class, or what a function gives back.

    Methods of the class are checked and remembered as ``package.Class.method``; attributes may be set. Any other name
    is refused, so a test that needs more says what the call gives back.
    """

    def __init__(self, fakes: Fakes, name: str, **attributes: Any) -> None:
        self._fakes, self.name = fakes, name
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._fakes.get(f"{self.name}.{name}")

    def __enter__(self) -> "Stand":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __repr__(self) -> str:
        return f"<made by {self.name}>"


class Checked:
    """An object of a stand-in, its methods bound to those of a class of the manifest before they run.

    Behaviour gives it back so that calls on it are held to the real class::

        Fakes({"pylibcudf.Table": lambda columns: Checked(fakes, "pylibcudf.Table", MyTable(columns))})

    A method that the real class has not is refused even where the stand-in has it.
    """

    def __init__(self, fakes: Fakes, name: str, real: Any) -> None:
        self.__dict__.update(_fakes=fakes, name=name, real=real)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__cuda_array_interface__":
            raise AttributeError(name)
        if name.startswith("__"):
            return getattr(self.real, name)
        dotted = f"{self.name}.{name}"
        self._fakes.get(dotted)
        found = getattr(self.real, name)
        return _bound(self._fakes, dotted, found) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.real, name, value)

    def __len__(self) -> int:
        return len(self.real)


def _bound(fakes: Fakes, name: str, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        check_call(name, args, kwargs)
        fakes.calls.append(Call(name, args, kwargs))
        return function(*args, **kwargs)

    return call


def held_to(name: str) -> Any:
    """A class decorator: a stand-in may have what the class `name` of the manifest has, and is called as that one is.

    Raises:
        NotInManifestError: it has more, or a method where that one has a property, or the other way round.
    """

    def held(made: type) -> type:
        made.__module__ = name.rpartition(".")[0]
        for attribute, value in list(vars(made).items()):
            if attribute.startswith("_"):
                continue
            dotted = f"{name}.{attribute}"
            if dotted not in manifest():
                raise NotInManifestError(f"{dotted} is not in the manifest, so no stand-in may have it.")
            if isinstance(value, property) == (manifest()[dotted]["is"] == "function"):
                raise NotInManifestError(f"{dotted} is a {manifest()[dotted]['is']} in the manifest, and not so here.")
            if inspect.isfunction(value):
                setattr(made, attribute, _checked(dotted, value, 1))
            elif isinstance(value, staticmethod | classmethod):
                setattr(made, attribute, type(value)(_checked(dotted, value.__func__, isinstance(value, classmethod))))
        return made

    return held


def _checked(name: str, function: Any, own: int) -> Any:
    """The function, called as the manifest says; the first `own` arguments are not of the call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        check_call(name, args[own:], kwargs)
        return function(*args, **kwargs)

    return call
