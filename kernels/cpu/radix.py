"""The histograms of `reference/radix.py` in one pass over the values."""

import numpy as np

from ..reference.radix import BINS, LEAST, WIDTH
from .jit import kernel, part
from .memory import bits_of

_HALF = BINS // 2
_MAGNITUDE = 2**63 - 1


@part
def _bin(value):
    bits = bits_of(value + 0.0)
    place = ((bits & _MAGNITUDE) >> WIDTH) - LEAST
    place = max(0, min(place, _HALF - 1))
    return (place ^ (bits >> 63)) + _HALF


@kernel
def _count(values, counts):
    for i in range(len(values)):
        counts[_bin(values[i])] += 1


@kernel
def _count_by_group(values, groups, counts):
    for i in range(len(values)):
        counts[groups[i] * BINS + _bin(values[i])] += 1


@kernel
def _rows_in(values, chosen, rows):
    size = 0
    for i in range(len(values)):
        rows[size] = i
        size += chosen[_bin(values[i])]
    return size


def _fixed(values, dtype):
    """A contiguous array that cannot be written to: others would be another type to Numba, compiled once more."""
    view = np.ascontiguousarray(values, dtype).view()
    view.flags.writeable = False
    return view


def histogram(values, groups=None, n_groups=1):
    values = _fixed(values, np.float64)
    counts = np.zeros(n_groups * BINS, np.int64)
    if groups is None:
        _count(values, counts)
    else:
        _count_by_group(values, _fixed(groups, np.int64), counts)
    return counts.reshape(n_groups, BINS)


def rows_in(values, chosen):
    values = _fixed(values, np.float64)
    rows = np.empty(len(values) + 1, np.int64)
    size = _rows_in(values, _fixed(chosen, np.bool_).view(np.uint8), rows)
    return rows[:size].copy()
