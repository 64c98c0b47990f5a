"""Registered operators as methods: why `x.standardize()` and `x.dt.month()` call functions of expressions.

The stub beside this file lists them for editors and type checkers; `make docs` writes it from the registry.
"""

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from typing import Any

from gpupipe.arguments import refuse_others
from gpupipe.errors import UnknownNameError
from gpupipe.expr import registry
from gpupipe.expr.synonyms import meant

NAMESPACES = ("dt", "str")


class Methods:
    """What an expression is, as far as its operators go: each attribute is looked up in the registry."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in NAMESPACES:
            return Namespace(self, name)
        return _method(self, "", name)

    def _as_written(self, result: Any, name: str, args: Any, kwargs: Any) -> Any:
        """What an operator gave, showing as the call that made it."""
        return result

    def __dir__(self) -> list[str]:
        plain = [entry.name for entry in registry.operators() if not entry.namespace]
        return sorted({*object.__dir__(self), *plain, *NAMESPACES})


class Namespace:
    """``expr.dt`` and ``expr.str``: operators of dates and of text."""

    __slots__ = ("_expr", "_name")

    def __init__(self, expr: Methods, name: str) -> None:
        self._expr, self._name = expr, name

    def __getattr__(self, name: str) -> Any:
        return _method(self._expr, self._name, name)

    def __dir__(self) -> list[str]:
        return [entry.name for entry in registry.operators() if entry.namespace == self._name]


def _method(expr: Methods, namespace: str, name: str) -> Callable[..., Any]:
    qualified = f"{namespace}.{name}" if namespace else name
    if name.startswith("__"):  # Python's own asking, which it does often
        raise AttributeError(name)
    entry = registry.find(qualified)
    if entry is None:
        hint = meant(qualified, [operator.qualified for operator in registry.operators()])
        # With an object of no attributes Python adds no guess of its own.
        raise UnknownNameError(f"Expressions have no method {qualified!r}. {hint}", name=name, obj=None)

    @wraps(entry.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return expr._as_written(entry.function(expr, *args, **kwargs), qualified, args, kwargs)
        except TypeError:
            refuse_others(qualified, _without_first(entry.function), args, kwargs)
            raise

    call.__signature__ = _without_first(entry.function)  # type: ignore[attr-defined]
    return call


def _without_first(function: Callable[..., Any]) -> Signature:
    whole = signature(function)
    return whole.replace(parameters=list(whole.parameters.values())[1:])
