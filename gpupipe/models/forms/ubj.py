"""Reading Universal Binary JSON (ubjson.org, draft 12), the form XGBoost saves its models in.

Only what XGBoost writes is understood. Every length is checked against the bytes that are there, so that a
damaged or hostile file ends in an error. XGBoost's own reader gets a model only after
this one has read it.
"""

from typing import Any

import numpy as np

from gpupipe.models.forms.checks import corrupt

MAX_DEPTH = 32
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_CONSTANTS = {"T": True, "F": False, "Z": None}


def read(data: bytes) -> Any:
    """The value `data` encodes: dicts, lists, numbers, strings; typed arrays as NumPy arrays.

    Raises:
        ArtifactCorruptError: `data` is cut short, has bytes left over, or is not UBJ as XGBoost writes it.

    >>> read(b"{i\\x01a[$i#i\\x02\\x05\\x06}")["a"].tolist()
    [5, 6]
    """
    reader = _Reader(data)
    value = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise corrupt(f"its UBJ has {len(data) - reader.at} bytes too many")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size < 0 or size > len(self.data) - self.at:
            raise corrupt(f"its UBJ is cut short at byte {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def marker(self) -> str:
        return self.take(1).decode("latin-1")

    def peek(self, marker: bytes) -> bool:
        """Step over `marker` if it comes next."""
        found = self.data[self.at : self.at + 1] == marker
        self.at += found
        return found

    def value(self, marker: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise corrupt(f"its UBJ is nested deeper than {MAX_DEPTH}")
        if marker in _NUMBERS:
            return self.number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == "S":
            return self.text()
        if marker == "{":
            return self.members(depth)
        if marker == "[":
            return self.items(depth)
        raise corrupt(f"its UBJ has an unknown marker {marker!r} at byte {self.at - 1}")

    def number(self, marker: str) -> int | float:
        dtype = np.dtype(_NUMBERS[marker])
        return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()

    def length(self) -> int:
        marker = self.marker()
        size = self.number(marker) if marker in "iUIlL" else -1
        if not isinstance(size, int) or not 0 <= size <= len(self.data):
            raise corrupt(f"its UBJ has an impossible length at byte {self.at}")
        return size

    def text(self) -> str:
        try:
            return self.take(self.length()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise corrupt(f"its UBJ has text that is not UTF-8 before byte {self.at}") from error

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.peek(b"}"):
            name = self.text()
            if name in found:
                raise corrupt(f"its UBJ has {name!r} twice in one object")
            found[name] = self.value(self.marker(), depth + 1)
        return found

    def items(self, depth: int) -> Any:
        kind = self.marker() if self.peek(b"$") else None
        if kind is not None:
            return self.typed(kind)
        if self.peek(b"#"):
            return [self.value(self.marker(), depth + 1) for _ in range(self.length())]
        found = []
        while not self.peek(b"]"):
            found.append(self.value(self.marker(), depth + 1))
        return found

    def typed(self, kind: str) -> Any:
        if kind not in _NUMBERS or not self.peek(b"#"):
            raise corrupt(f"its UBJ has a malformed array at byte {self.at}")
        dtype = np.dtype(_NUMBERS[kind])
        return np.frombuffer(self.take(self.length() * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))
