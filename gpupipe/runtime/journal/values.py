"""Results as a JSON document and named arrays, and back: of plain values, arrays, columns, states and sums alone."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gpupipe.artifact.states import get_state, put_state
from gpupipe.backends.exact.number import Exact
from gpupipe.backends.gram.state import Gram
from gpupipe.backends.states.spans import Found
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Frame
from gpupipe.compiler.document import get_column, put_column
from gpupipe.errors import GpupipeError, InternalError, RunCorruptError
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.runtime.elsewhere import Note
from gpupipe.runtime.linear.sums import SumsOf
from gpupipe.runtime.reductions.centres import Assigned, Drawn, Sampled
from gpupipe.runtime.reductions.facts import Facts
from gpupipe.runtime.reductions.logistic import Slopes
from gpupipe.runtime.scanning import Gathered
from gpupipe.sources.partition import LoadReport

Arrays = dict[str, Any]
_ROWS = 2**53
_PLAIN = (type(None), bool, int, float, str)
#: What is put together of other values, by the name it is kept under: named tuples and dataclasses.
_MADE: dict[str, type] = {
    "gathered": Gathered, "sums": SumsOf, "found": Found, "exact": Exact, "note": Note, "report": LoadReport,
    "facts": Facts, "slopes": Slopes, "assigned": Assigned, "sampled": Sampled, "drawn": Drawn,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _MADE.items()}


def packed(value: Any, arrays: Arrays | None = None) -> tuple[Any, Arrays]:
    """A result as JSON, and the arrays that it names.

    Args:
        arrays: others that stand beside them.

    Raises:
        InternalError: it is made of something that cannot be kept.

    >>> document, arrays = packed([1, None, {"a": np.arange(2)}])
    >>> unpacked(document, arrays)
    [1, None, {'a': array([0, 1])}]
    """
    found: Arrays = {} if arrays is None else arrays
    return _pack(value, found), found


def unpacked(document: Any, arrays: Mapping[str, Any]) -> Any:
    """What :func:`packed` was given; arrays are not to be written to.

    Raises:
        RunCorruptError: it is nothing that is ever packed.
    """
    try:
        return _unpack(document, arrays)
    except (GpupipeError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise RunCorruptError(f"A result that was kept of a partition cannot be read: {error}") from error


def _pack(value: Any, arrays: Arrays) -> Any:
    if type(value) in _PLAIN:
        return value
    for kind, (tag, pack, _) in _KINDS.items():
        if isinstance(value, kind):
            return [tag, *pack(value, arrays)]
    raise InternalError(f"A run cannot keep a {type(value).__qualname__}. Please report this; it works without run=.")


def _unpack(document: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(document, list):
        return document
    tag, *rest = document
    return _READERS[tag](rest, arrays)


def _name(arrays: Arrays) -> str:
    return str(len(arrays))


def _pack_made(value: Any, arrays: Arrays) -> list[Any]:
    names = [field.name for field in fields(value)] if is_dataclass(value) else value._fields
    return [_NAMES[type(value)], *(_pack(getattr(value, name), arrays) for name in names)]


def _unpack_made(rest: list[Any], arrays: Mapping[str, Any]) -> Any:
    return _MADE[rest[0]](*(_unpack(field, arrays) for field in rest[1:]))


def _pack_array(value: Any, arrays: Arrays) -> list[Any]:
    name = _name(arrays)
    arrays[name] = np.asarray(value)
    return [name]


def _pack_column(value: Column, arrays: Arrays) -> list[Any]:
    name = f"{_name(arrays)}c"
    put_column(arrays, name, value)
    return [name, str(value.dtype)]


def _pack_state(value: State, arrays: Arrays) -> list[Any]:
    name = f"{_name(arrays)}s"
    return [name, put_state(arrays, name, value, ordered=False)]


def _pack_gram(value: Gram, arrays: Arrays) -> list[Any]:
    """In its own units, as whole numbers in the fewest bytes that hold all of them."""
    whole = [int(sum_) for sum_ in (*value.cross[np.triu_indices(len(value.cross))], *value.beside.ravel())]
    width = max((sum_.bit_length() // 8 + 1 for sum_ in whole), default=1)
    data = b"".join(sum_.to_bytes(width, "little", signed=True) for sum_ in whole)
    sums = np.frombuffer(data, np.uint8).reshape(len(whole), width)
    return [_pack(part, arrays) for part in (value.masks, value.low, value.labels, sums, value.met)]


def _unpack_gram(rest: list[Any], arrays: Mapping[str, Any]) -> Gram:
    masks, low, labels, sums, met = (_unpack(part, arrays) for part in rest)
    whole = [int.from_bytes(row.tobytes(), "little", signed=True) for row in sums]
    size = 1 + len(masks) + len(low)
    if len(whole) < size * (size + 1) // 2:
        raise ValueError("fewer sums than columns have")
    cross, half = np.zeros((size, size), object), size * (size + 1) // 2
    cross[np.triu_indices(size)] = whole[:half]
    cross = np.where(np.tri(size, dtype=bool), cross.T, cross)
    return Gram(masks, low, labels, cross, np.array(whole[half:], object).reshape(-1, size), met)


def _pack_frame(value: Frame, arrays: Arrays) -> list[Any]:
    parts = ({name: value[name] for name in value.columns}, value.n_rows, value.row_ids, value.places)
    return [_pack(part, arrays) for part in parts]


def _unpack_frame(rest: list[Any], arrays: Mapping[str, Any]) -> Frame:
    return Frame(*(_unpack(part, arrays) for part in rest))


_Packing = Callable[[Any, Arrays], list[Any]]
_Unpacking = Callable[[list[Any], Mapping[str, Any]], Any]
#: By type, in order: its tag, what is written after it, and how it is read.
_KINDS: dict[Any, tuple[str, _Packing, _Unpacking | None]] = {
    tuple(_MADE.values()): ("made", _pack_made, _unpack_made),
    State: ("state", _pack_state, lambda rest, arrays: get_state(arrays, rest[0], rest[1], _ROWS)),
    Column: ("column", _pack_column, lambda rest, arrays: get_column(arrays, rest[0], rest[1], set())),
    Gram: ("gram", _pack_gram, _unpack_gram),
    Frame: ("frame", _pack_frame, _unpack_frame),
    Fraction: (
        "fraction",
        lambda value, arrays: [hex(value.numerator), hex(value.denominator)],
        lambda rest, arrays: Fraction(int(rest[0], 16), int(rest[1], 16)),
    ),
    np.ndarray: ("array", _pack_array, lambda rest, arrays: arrays[rest[0]]),
    DeviceArray: ("array", lambda value, arrays: _pack_array(value.to_host(), arrays), None),  # comes back on the host
    np.generic: ("scalar", _pack_array, lambda rest, arrays: arrays[rest[0]][()]),
    dt.datetime: ("datetime", lambda value, _: [value.isoformat()], lambda rest, _: dt.datetime.fromisoformat(rest[0])),
    dt.date: ("date", lambda value, _: [value.isoformat()], lambda rest, _: dt.date.fromisoformat(rest[0])),
    dt.timedelta: (
        "timedelta",
        lambda value, _: [value.days, value.seconds, value.microseconds],
        lambda rest, _: dt.timedelta(*rest),
    ),
    list: (
        "list",
        lambda value, arrays: [_pack(item, arrays) for item in value],
        lambda rest, arrays: [_unpack(item, arrays) for item in rest],
    ),
    tuple: (
        "tuple",
        lambda value, arrays: [_pack(item, arrays) for item in value],
        lambda rest, arrays: tuple(_unpack(item, arrays) for item in rest),
    ),
    dict: (
        "dict",
        lambda value, arrays: [[_pack(key, arrays), _pack(item, arrays)] for key, item in value.items()],
        lambda rest, arrays: {_unpack(key, arrays): _unpack(item, arrays) for key, item in rest},
    ),
}
_READERS: dict[str, _Unpacking] = {tag: unpack for tag, _, unpack in _KINDS.values() if unpack is not None}
