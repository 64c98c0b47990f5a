"""A JSON document and named arrays as the bytes of one record, and back."""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from gpupipe.artifact import tensors
from gpupipe.errors import ArtifactCorruptError, RunCorruptError

_LENGTH = struct.Struct("<I")
_ALIGNED = 16


def packed(document: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> list[Any]:
    """The bytes, in pieces that belong one after the other; those of arrays are not copied.

    Args:
        document: what JSON can hold; tuples come back as lists.
        arrays: NumPy's of bool, integer or float dtype, Arrow's of text.

    >>> unpacked(b"".join(packed({"rows": 3})))
    ({'rows': 3}, {})
    """
    found, strings = tensors.flat(arrays or {})
    kinds = [[name, tensors.KINDS[array.dtype.name], array.shape] for name, array in found.items()]
    text = json.dumps([document, strings, kinds], separators=(",", ":")).encode()
    pieces: list[Any] = [_LENGTH.pack(len(text)), text, _padding(_LENGTH.size + len(text))]
    for array in found.values():
        pieces += [array.reshape(-1).view(np.uint8), _padding(array.nbytes)]
    return pieces


def _padding(size: int) -> bytes:
    """What is put after so many bytes for the next ones to be aligned."""
    return bytes(-size % _ALIGNED)


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(document, arrays, which are not to be written to).

    Raises:
        RunCorruptError: it holds no such thing.
    """
    try:
        (size,) = _LENGTH.unpack_from(data)
        document, strings, kinds = json.loads(data[_LENGTH.size : _LENGTH.size + size])
        if not isinstance(document, dict) or not isinstance(strings, dict):
            raise ValueError("it has no document")
        at, view, found = _LENGTH.size + size, memoryview(data), []
        for name, kind, shape in kinds:
            at += -at % _ALIGNED
            length = math.prod(shape) * tensors.WIDTHS[kind]
            found.append((name, kind, shape, view[at : at + length]))
            at += length
        return document, tensors.together(found, strings, "a record")
    except (ArtifactCorruptError, LookupError, RecursionError, struct.error, ValueError, TypeError) as error:
        raise RunCorruptError(f"A record of the run cannot be read: {error}") from error
