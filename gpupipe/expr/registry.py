"""Where operators are registered: a function of expressions becomes a method of every expression."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gpupipe.errors import DuplicateNameError

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operator:
    """A registered operator, as `docs/operators.md` lists it.

    Attributes:
        name: the method's name.
        function: the function, of an expression first.
        namespace: ``""``, ``"dt"`` or ``"str"``.
        peer: what the same thing is called elsewhere.
        takes: the kind of column it is for: number, text, time, boolean, any.
        arguments: example arguments, as the documentation's sample call passes them.
        family: the heading it stands under.
    """

    name: str
    function: Callable[..., Any]
    namespace: str
    peer: str
    takes: str
    arguments: tuple[Any, ...]
    family: str

    @property
    def qualified(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


_OPERATORS: dict[str, Operator] = {}


def operator(
    *,
    namespace: str = "",
    name: str | None = None,
    peer: str = "",
    takes: str = "number",
    arguments: tuple[Any, ...] = (),
    family: str = "yours",
) -> Callable[[Function], Function]:
    """Register a function whose first argument is an expression as a method of expressions.

    Raises:
        DuplicateNameError: another operator has the name.

    >>> from gpupipe.expr import col
    >>> @operator(peer="none")
    ... def twice(x):
    ...     '''The double.'''
    ...     return x * 2
    >>> col("a").twice() + 1
    (a.twice() + 1)
    >>> unregister("twice")
    """

    def register(function: Function) -> Function:
        entry = Operator(name or function.__name__, function, namespace, peer, takes, arguments, family)
        known = _OPERATORS.get(entry.qualified)
        if known is not None and known.function.__module__ != function.__module__:
            raise DuplicateNameError(f"There is already an operator {entry.qualified!r}. Give yours another name.")
        _OPERATORS[entry.qualified] = entry
        return function

    return register


def unregister(qualified: str) -> None:
    """Remove an operator that was registered; for tests and notebooks."""
    del _OPERATORS[qualified]


def find(qualified: str) -> Operator | None:
    """The operator of that name (``"standardize"``, ``"dt.month"``), or None."""
    return _OPERATORS.get(qualified)


def operators() -> list[Operator]:
    """All registered operators, by family, then by name."""
    return sorted(_OPERATORS.values(), key=lambda entry: (entry.family, entry.qualified))
