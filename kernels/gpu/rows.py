"""Rows of one column of numbers, as the kernels of statistics read them."""

from typing import Any

import numpy as np

from .device import Device, DeviceArray
from .source import text

Array = np.ndarray[Any, Any]

BLOCK = 256
SHARED_BYTES = 48 << 10  # what every device gives a block
_BLOCKS = 8  # of each multiprocessor: rows are dealt to them in turn
_WORTH = 4  # rows of a block for each word that it clears and adds up at last

# Where a kernel keeps what it knows of groups while it goes over the rows; as in rows.cuh.
IN_REGISTERS, IN_SHARED, IN_GLOBAL, IN_HALVES = range(4)

#: NumPy's types, as CUDA C++ has them.
C_TYPES = {
    "bool": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int", "int64": "long long",
    "uint8": "unsigned char", "uint16": "unsigned short", "uint32": "unsigned int", "uint64": "unsigned long long",
    "float32": "float", "float64": "double",
}  # fmt: skip


def source(dtype: Any, *names: str, **defined: int) -> str:
    """The text of some files of this folder for values of a type, with further names defined.

    >>> source(np.float32, "radix.cu", FLOATS=1).splitlines()[:2]
    ['typedef float value_t;', '#define FLOATS 1']
    """
    lines = [f"typedef {C_TYPES[np.dtype(dtype).name]} value_t;"]
    lines += [f"#define {name} {value}" for name, value in defined.items()]
    return "\n".join(lines) + "\n" + text("words.cuh", "rows.cuh", *names)


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values may be NaN."""
    return dtype.kind == "f"


def blocks(device: Device, n: int) -> int:
    """How many blocks should share `n` rows."""
    return max(min(-(-n // BLOCK), _BLOCKS * device.n_processors), 1)


def blocks_for(n: int, words: int = 0) -> int:
    """How many blocks may share `n` rows of a column, each of which clears and adds up so many words."""
    return max(min(-(-n // BLOCK), n // (_WORTH * words)) if words else -(-n // BLOCK), 1)


def where(groups: DeviceArray | None, n_groups: int, bytes_of_a_group: int) -> int:
    """Where the kernel keeps what it knows of so many groups."""
    if groups is None or n_groups == 1:
        return IN_REGISTERS
    return IN_SHARED if n_groups * bytes_of_a_group <= SHARED_BYTES else IN_GLOBAL


def none_found(device: Device, count: int) -> DeviceArray:
    """Words that kernels write the least row to, none yet."""
    return device.upload(np.full(count, -1, np.int64).view(np.uint64))


def row_or_none(word: int) -> int | None:
    """What such a word says, as int64."""
    return None if word == -1 else word


def row_of(word: Any) -> int | None:
    """The row that a kernel named by its complement; None for 0, which names none."""
    return 2**64 - 1 - int(word) if word else None


def pointer_of(array: DeviceArray | None) -> int:
    """Its address, as a table of columns has it; 0 for None."""
    return 0 if array is None else array.pointer
