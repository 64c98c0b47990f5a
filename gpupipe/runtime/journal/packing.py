"""A JSON document and named arrays as the bytes of one record, and back."""

import json
import struct
from collections.abc import Mapping
from typing import Any

from gpupipe.artifact import tensors
from gpupipe.errors import ArtifactCorruptError, RunCorruptError

_LENGTH = struct.Struct("<I")


def packed(document: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> list[bytes]:
    """The bytes, in pieces that belong one after the other.

    Args:
        document: what JSON can hold; tuples come back as lists.
        arrays: NumPy's of bool, integer or float dtype, Arrow's of text.

    >>> unpacked(b"".join(packed({"rows": 3})))
    ({'rows': 3}, {})
    """
    data, strings = tensors.encode(arrays) if arrays else (b"", {})
    text = json.dumps([document, strings], separators=(",", ":")).encode()
    return [_LENGTH.pack(len(text)), text, data]


def unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(document, arrays, which are not to be written to).

    Raises:
        RunCorruptError: it holds no such thing.
    """
    try:
        (size,) = _LENGTH.unpack_from(data)
        document, strings = json.loads(data[_LENGTH.size : _LENGTH.size + size])
        rest = data[_LENGTH.size + size :]
        return document, tensors.decode(rest, strings, "a record") if rest else {}
    except (ArtifactCorruptError, struct.error, ValueError, TypeError) as error:
        raise RunCorruptError(f"A record of the run cannot be read: {error}") from error
