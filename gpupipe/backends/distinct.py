"""The distinct strings of a column: by Arrow's hash table, or by ours where that is worth its start."""

from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.arrow_arrays import array_of, filled, values_of
from gpupipe.backends import compiled
from gpupipe.backends.text import layout
from gpupipe.columns import Column, Values

_A_STRING = 4  # numbers: Arrow takes 40 to 100 ns a string, ours 15 to 20
_SHORT = 8  # bytes that need no comparison; of longer strings Arrow's table is the quicker one


def kernels_for(strings: Any) -> ModuleType | None:
    """Our table, where strings are short and compiled kernels worth their start; None: Arrow's."""
    if not is_short(strings) or not compiled.worth(_A_STRING * len(strings)):
        return None
    return optional.load("gpupipe.kernels.cpu.lookup")


def is_short(strings: Any) -> bool:
    """Whether the strings of an Arrow array have so few bytes, on average, that they are told apart by them alone."""
    offsets = strings.buffers()[1]
    if not len(strings) or offsets is None:
        return False
    ends = np.frombuffer(offsets, np.int32, len(strings) + 1, 4 * strings.offset)
    return int(ends[-1]) - int(ends[0]) <= _SHORT * len(strings)


def counted(column: Column, times: Values | None = None) -> tuple[Any, Values]:
    """The distinct strings of a column that is no dictionary, in some order, and how many rows have each.

    Args:
        column: nulls count for nothing.
        times: int64 of shape (rows,), how often each row counts, from 1 on; None: once.
    """
    kernels = kernels_for(column.values)
    if kernels is None:
        return _counted_by_arrow(column, times)
    firsts, counts = kernels.distinct(*layout(column.values), column.valid, times)
    return column.values.take(array_of(firsts)), counts


def _counted_by_arrow(column: Column, times: Values | None) -> tuple[Any, Values]:
    by_entry = column.values.dictionary_encode()
    ids, strings = values_of(filled(by_entry.indices)), by_entry.dictionary
    if column.valid is not None:
        ids, times = ids[column.valid], None if times is None else times[column.valid]
    used = np.bincount(ids, minlength=len(strings))
    if times is None:
        counts = used
    else:
        counts = np.zeros(len(strings), np.int64)
        np.add.at(counts, ids, times)
    if used.all():
        return strings, counts
    found = np.flatnonzero(used)
    return strings.take(array_of(found)), counts[found]


def encoded(column: Column) -> Column:
    """The column as a dictionary, its entries in some order."""
    if column.is_dictionary:
        return column
    kernels = kernels_for(column.values)
    if kernels is None:
        return Column(column.dtype, column.values.dictionary_encode(), column.valid)
    ids = np.zeros(len(column), np.int32)
    firsts, _ = kernels.distinct(*layout(column.values), column.valid, None, ids)
    entries = column.values.take(array_of(firsts))
    return Column(column.dtype, pa.DictionaryArray.from_arrays(array_of(ids), entries, safe=False), column.valid)
