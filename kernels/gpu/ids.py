"""Entries' numbers of rows: what a row without a value has, in place of a bitmap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .device import Device, DeviceArray, Kernel
from .numbers import source

_BLOCK, _MOST_BLOCKS = 256, 4096
SOURCES = {"ids": source("ids.cu")}
_WITH_ABSENT = Kernel(SOURCES["ids"], "with_absent")


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """The numbers of one column.

    Attributes:
        of_row: int32 of shape (rows,).
        valid: bitmap of the rows; None: all have a value.
        absent: what rows without a value are given.
        shift: what is added to the numbers of the others.
    """

    of_row: DeviceArray
    valid: DeviceArray | None
    absent: int
    shift: int


def with_absent(device: Device, columns: Sequence[Ids]) -> list[DeviceArray]:
    """int32 of shape (rows,) for each column: its number, shifted, or `absent`. One launch for all of them.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    n_rows = len(columns[0].of_row) if columns else 0
    made = [device.empty(n_rows, np.int32) for _ in columns]
    if not n_rows:
        return made
    rows = [
        (ids.of_row.pointer, ids.valid.pointer if ids.valid else 0, out.pointer, ids.absent, ids.shift)
        for ids, out in zip(columns, made, strict=True)
    ]
    table = device.upload(np.array(rows, np.int64))
    each = min(-(-n_rows // _BLOCK), max(_MOST_BLOCKS // len(columns), 1))
    device.launch(_WITH_ABSENT, each * len(columns), _BLOCK, [table, np.int64(n_rows), np.int64(each)])
    return made
