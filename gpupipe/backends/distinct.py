"""The distinct strings of a column: by Arrow's hash table, or by ours where that is worth its start."""

from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.backends.strings import positions
from gpupipe.backends.text import layout
from gpupipe.columns import Column, Values

_A_STRING = 4  # numbers: Arrow takes 40 to 100 ns a string, ours 15 to 20


def kernels_for(n_strings: int) -> ModuleType | None:
    """Our table, where compiled kernels are worth their start; None: Arrow's."""
    return optional.load("gpupipe.kernels.cpu.lookup") if compiled.worth(_A_STRING * n_strings) else None


def counted(column: Column, times: Values | None = None) -> tuple[Any, Values]:
    """The distinct strings of a column that is no dictionary, in some order, and how many rows have each.

    Args:
        column: nulls count for nothing.
        times: int64 of shape (rows,), how often each row counts, from 1 on; None: once.
    """
    kernels = kernels_for(len(column))
    if kernels is None:
        return _counted_by_arrow(column, times)
    firsts, counts = kernels.distinct(*layout(column.values), column.valid, times)
    return column.values.take(positions(firsts)), counts


def _counted_by_arrow(column: Column, times: Values | None) -> tuple[Any, Values]:
    by_entry = column.values.dictionary_encode()
    ids, strings = np.asarray(by_entry.indices.fill_null(0)), by_entry.dictionary
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
    return strings.take(positions(found)), counts[found]


def encoded(column: Column) -> Column:
    """The column as a dictionary, its entries in some order."""
    if column.is_dictionary:
        return column
    kernels = kernels_for(len(column))
    if kernels is None:
        return Column(column.dtype, column.values.dictionary_encode(), column.valid)
    ids = np.zeros(len(column), np.int32)
    firsts, _ = kernels.distinct(*layout(column.values), column.valid, None, ids)
    entries = column.values.take(positions(firsts))
    return Column(column.dtype, pa.DictionaryArray.from_arrays(positions(ids), entries, safe=False), column.valid)
