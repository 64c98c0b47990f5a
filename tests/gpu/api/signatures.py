"""Signatures as the manifest has them: written off real packages, bound by the tests and the fakes."""

import inspect
import re
from typing import Any

Row = dict[str, Any]


def row_of(thing: Any, within: Any = None) -> Row:
    """What the manifest tells of a function, class, method or value.

    Args:
        within: the class it was found in.

    >>> row_of(lambda a, *, b=1: None)["parameters"]
    ['a', '*', 'b=1']
    """
    row: Row = {"is": _what(thing)}
    if row["is"] == "exception":
        row["bases"] = [base.__name__ for base in thing.__mro__ if base.__module__ == "builtins"]
    if not callable(thing):
        return row
    found, row["from"] = _signed(thing), "signature"
    if found is None or _says_nothing(found):
        found, row["from"] = _documented(thing.__doc__, getattr(thing, "__name__", "")), "docs"
    if found is None:
        return {"is": row["is"], "exists": True} | ({"bases": row["bases"]} if "bases" in row else {})
    if within is not None and found and found[0].name in ("self", "cls"):
        found = found[1:]
    return row | {"parameters": _written(found)}


def _what(thing: Any) -> str:
    if inspect.ismodule(thing):
        return "module"
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if callable(thing) else "value"


def _signed(thing: Any) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(thing).parameters.values())
    except (ValueError, TypeError):
        return None


def _says_nothing(parameters: list[inspect.Parameter]) -> bool:
    """``(*args, **kwargs)``: whatever is given fits."""
    return bool(parameters) and all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _written(parameters: list[inspect.Parameter]) -> list[str]:
    """As they stand between the brackets of a signature, ``/`` and ``*`` among them."""
    pieces: list[str] = []
    for before, parameter in zip([None, *parameters], parameters, strict=False):
        if before is not None and before.kind is before.POSITIONAL_ONLY and parameter.kind is not before.kind:
            pieces.append("/")
        starred = before is not None and before.kind in (before.VAR_POSITIONAL, before.KEYWORD_ONLY)
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            pieces.append("*")
        stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL) + "**" * (parameter.kind is parameter.VAR_KEYWORD)
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        pieces.append(stars + parameter.name + re.sub(r" at 0x[0-9a-f]+", "", default))
    return [*pieces, "/"] if parameters and parameters[-1].kind is inspect.Parameter.POSITIONAL_ONLY else pieces


# -- what only the first line of a docstring tells --------------------------------------------------------------
def _documented(doc: str | None, name: str) -> list[inspect.Parameter] | None:
    """The parameters in ``name(type a, b=1, *, c=None)``, as Cython and NumPy write them; None if there is none."""
    line = next((line.strip() for line in (doc or "").splitlines() if line.strip()), "")
    opened = re.match(rf"(?:[\w.]+\.)?{re.escape(name)}\(", line)
    if name == "" or opened is None:
        return None
    inside = _inside(line[opened.end() :].replace("\\", ""))
    return None if inside is None else _parameters(inside)


def _inside(text: str) -> list[str] | None:
    """The pieces between commas up to the bracket that closes."""
    depth, pieces, piece = 1, [], ""
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return [part.strip() for part in [*pieces, piece] if part.strip()]
        if letter == "," and depth == 1:
            pieces, piece = [*pieces, piece], ""
        else:
            piece += letter
    return None


def _parameters(pieces: list[str]) -> list[inspect.Parameter] | None:
    made: list[inspect.Parameter] = []
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for piece in pieces:
        if piece == "/":
            made = [parameter.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for parameter in made]
        elif piece == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            parameter = _parameter(piece, kind)
            if parameter is None:
                return None
            made.append(parameter)
            kind = inspect.Parameter.KEYWORD_ONLY if parameter.kind is parameter.VAR_POSITIONAL else kind
    try:
        return list(inspect.Signature(made).parameters.values())
    except ValueError:
        return None


def _parameter(piece: str, kind: Any) -> inspect.Parameter | None:
    left, equals, default = piece.partition("=")
    stars = re.match(r"\*{0,2}", left.strip()).group()  # type: ignore[union-attr]
    declared = left.partition(":")[0].strip().lstrip("*")  # Python's `name: type`, or C's `type name`
    name = declared.split()[-1].lstrip("*&") if declared.split() else ""
    if not name.isidentifier():
        return None
    if stars:
        kind = inspect.Parameter.VAR_KEYWORD if len(stars) == 2 else inspect.Parameter.VAR_POSITIONAL
    return inspect.Parameter(name, kind, default=_Text(default.strip()) if equals else inspect.Parameter.empty)


class _Text(str):
    """A default as it was written."""

    def __repr__(self) -> str:
        return str(self)


# -- and back ---------------------------------------------------------------------------------------------------
def signature_of(row: Row) -> inspect.Signature | None:
    """The signature that a row tells; None where only its existence is known.

    >>> signature_of(row_of(sorted))
    <Signature (iterable, /, *, key=None, reverse=False)>
    """
    if "parameters" not in row:
        return None
    return inspect.Signature(_parameters(row["parameters"]))
