"""Calls with arguments that a function does not take: told with the nearest name, at no cost to other calls."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from gpupipe.errors import ArgumentError, nearest

Function = TypeVar("Function", bound=Callable[..., Any])


def named_arguments(function: Function) -> Function:
    """The same function, which says what its parameters are called where it is given others.

    >>> @named_arguments
    ... def scaled(x, *, factor=2): return x * factor
    >>> scaled(3, facter=5)
    Traceback (most recent call last):
    gpupipe.errors.ArgumentError: scaled has no parameter 'facter'. Did you mean 'factor'?
    """
    known = signature(function)
    name = function.__name__

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            refuse_others(type(args[0]).__name__ if name == "__init__" else name, known, args, kwargs)
            raise

    return call  # type: ignore[return-value]


def refuse_others(name: str, known: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """See that a function of this signature can be called so.

    Raises:
        ArgumentError: an unknown parameter, one too many, or one that is missing.
    """
    try:
        known.bind(*args, **kwargs)
    except TypeError as error:
        kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        names = [each.name for each in known.parameters.values() if each.kind in kinds and each.name != "self"]
        for given in kwargs:
            if given not in names:
                raise ArgumentError(f"{name} has no parameter {given!r}. {nearest(given, names)}") from None
        takes = ", ".join(_shown(each) for each in known.parameters.values() if each.name != "self")
        raise ArgumentError(f"{name} takes {f'({takes})' if takes else 'no argument'}: {error}.") from None


def _shown(parameter: Parameter) -> str:
    return str(parameter.replace(annotation=Parameter.empty))
