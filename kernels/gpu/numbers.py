"""Rows as keys: a column's values in a device's memory, read by kernels as ordered bits whatever their type."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .device import Argument, Device, DeviceArray, Kernel
from .source import text

BLOCK = 256
_BLOCKS = 8  # of each multiprocessor: rows are dealt to them in turn

# As in numbers.cuh. 64-bit integers without a sign wrap, as they do on the host; bool is a byte.
_KINDS = {"i1": 0, "i2": 1, "i4": 2, "i8": 3, "u1": 4, "b1": 4, "u2": 5, "u4": 6, "u8": 3, "f4": 7, "f8": 8}
_PART = {"i4": 9, "i8": 10}


def source(*names: str) -> str:
    """The text of some files of this folder, one after the other, after what reads numbers."""
    return text("words.cuh", "numbers.cuh", *names)


@cache
def kind_of(dtype: np.dtype[Any], partial: bool = False) -> int:
    """How a row of this type is stored, as kernels are told; `partial`: negative numbers are no keys."""
    return (_PART if partial else _KINDS)[dtype.str[1:]]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """What kernels of keys read: a number a row.

    Attributes:
        values: of shape (rows,), of any type with a NumPy storage in ``gpupipe.schema``.
        valid: bitmap of the rows, uint32 words, the least bit first; None: every row has a value.
        partial: of int32 and int64: negative numbers are no keys, as NaN is none (groups of rows are such numbers).
    """

    values: DeviceArray
    valid: DeviceArray | None = None
    partial: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def device(self) -> Device:
        """Whose memory they are in."""
        return self.values.device

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """(values, kind, valid): what every kernel of keys takes first."""
        return self.values, np.int32(self.kind), self.valid

    @property
    def kind(self) -> int:
        """How a row is stored, as kernels are told."""
        return kind_of(self.values.dtype, self.partial)


def over_rows(
    device: Device, kernel: Kernel, n: int, *args: Argument, shared: int = 0, most: int | None = None
) -> None:
    """Launch a kernel whose threads take the rows in turn; none for no rows."""
    blocks = min(-(-n // BLOCK), _BLOCKS * device.n_processors)
    if n:
        device.launch(kernel, blocks if most is None else min(blocks, most), BLOCK, args, shared)


def whole(value: int) -> Any:
    """Any int modulo 2^64, as kernels take seeds and keys."""
    return np.uint64(value & (2**64 - 1))
