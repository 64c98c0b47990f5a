"""Canonical JSON: one byte string for one document, so that a digest of it means something.

Keys sorted by code point, no spaces, ASCII only (everything else as ``\\uXXXX``), integers in full, floats by
the
shortest decimal that reads back to the same bits. JSON has no word for NaN and the infinities: they are
written as ``{"$float":"nan"}``, ``{"$float":"inf"}`` and ``{"$float":"-inf"}``; an object of just the key
``$float`` is therefore refused in a document. Reading checks size, depth and the number of values before anything
is parsed: a value takes some sixty bytes in memory, and as little as two in a file.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpupipe.errors import ArtifactCorruptError, ParameterError

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 200
MAX_MARKS = 1_000_000  # commas, colons and opening brackets: some 10,000 columns, each filled and scaled

_PIECE = 2**20
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def dumps(document: Any) -> bytes:
    """The canonical bytes of `document`: dicts with string keys, lists or tuples, str, int, float, bool,
    None.

    Raises:
        ParameterError: a value JSON cannot hold, a key that is not a string, a document nested deeper than
            `MAX_DEPTH` or larger than `MAX_BYTES` or `MAX_MARKS`; the message says where in the document it stands.

    >>> dumps({"b": (1, 2.5), "a": float("inf")})
    b'{"a":{"$float":"inf"},"b":[1,2.5]}'
    """
    plain = _encode(document, "document", 0)
    try:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:  # an integer beyond Python's limit of digits
        raise ParameterError(f"The document cannot be written as JSON: {error}.") from error
    data = text.encode("ascii")
    if len(data) > MAX_BYTES or marks(data) > MAX_MARKS:
        raise ParameterError(
            f"The document takes {len(data):,} bytes of JSON with {marks(data):,} commas, colons and brackets; "
            f"the limits are {MAX_BYTES:,} and {MAX_MARKS:,}. Put large values in arrays, or split the table."
        )
    return data


def loads(data: bytes, name: str) -> Any:
    """The document that :func:`dumps` wrote; `name` is the file that messages name. Tuples come back as
    lists.

    Raises:
        ArtifactCorruptError: larger than `MAX_BYTES` or `MAX_MARKS`, deeper than `MAX_DEPTH`, or not JSON in
            ASCII. That the bytes are canonical is for the caller to check, by writing the document again.

    >>> loads(b'{"a":{"$float":"inf"}}', "manifest.json")
    {'a': inf}
    """
    if len(data) > MAX_BYTES:
        raise ArtifactCorruptError(f"{name} holds {len(data):,} bytes; the limit is {MAX_BYTES:,}.")
    try:
        text = data.decode("ascii")  # not left to the parser, which would look for other encodings
    except UnicodeDecodeError as error:
        raise ArtifactCorruptError(f"{name} is not ASCII, and is never written otherwise.") from error
    deep, many = nesting(data), marks(data)
    if deep > MAX_DEPTH or many > MAX_MARKS:
        raise ArtifactCorruptError(
            f"{name} is nested {deep:,} deep, with {many:,} commas, colons and brackets; the limits are {MAX_DEPTH} "
            f"and {MAX_MARKS:,}."
        )
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_hook=_decode)
    except (ValueError, RecursionError) as error:
        raise ArtifactCorruptError(f"{name} is not JSON: {str(error)[:200]}.") from error


def nesting(data: bytes) -> int:
    """How deep the brackets of some JSON are nested, without parsing it.

    >>> nesting(b'{"a[[[": [1, [2]]}')
    3
    """
    depth = deepest = 0
    for outside in _outside(data):
        codes = np.frombuffer(outside, np.uint8)
        steps = np.zeros(len(codes), np.int8)
        steps[(codes == ord("[")) | (codes == ord("{"))] = 1
        steps[(codes == ord("]")) | (codes == ord("}"))] = -1
        path = np.cumsum(steps, dtype=np.int32)
        deepest = max(deepest, depth + int(path.max(initial=0)))
        depth += int(path[-1]) if len(path) else 0
    return deepest


def marks(data: bytes) -> int:
    """How many commas, colons and opening brackets stand in some JSON outside its texts.

    >>> marks(b'{"a,[[": [1, [2]]}')
    5
    """
    return sum(outside.count(mark) for outside in _outside(data) for mark in (b",", b":", b"[", b"{"))


def _outside(data: bytes) -> Iterator[bytes]:
    """What stands outside of texts, in pieces."""
    outside = _STRING.sub(b"", data)
    for start in range(0, len(outside), _PIECE):
        yield outside[start : start + _PIECE]


def _encode(value: Any, where: str, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        raise ParameterError(f"The document is nested deeper than {MAX_DEPTH} at {where[:200]}…")
    if isinstance(value, dict):
        return _encode_object(value, where, depth)
    if isinstance(value, list | tuple):
        return [_encode(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ParameterError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold. Make it a str, int, float, bool, "
        "None, list "
        "or dict, or store it as an array."
    )


def _encode_object(value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
    if value.keys() == {"$float"}:
        raise ParameterError(
            f"{where} has the one key '$float', which stands for NaN and the infinities. Rename it."
        )
    for key in value:
        if not isinstance(key, str):
            raise ParameterError(f"{where} has the key {key!r}; the keys of a JSON object are strings.")
    return {key: _encode(item, f"{where}.{key}", depth + 1) for key, item in value.items()}


def _decode(value: dict[str, Any]) -> dict[str, Any] | float:
    if value.keys() != {"$float"}:
        return value
    if value["$float"] not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value['$float']!r} stands for no number")
    return float(value["$float"])


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
