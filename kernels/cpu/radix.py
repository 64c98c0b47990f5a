"""The histograms of `reference/radix.py` in one pass over the values."""

import numpy as np

from ..reference.radix import BINS, LEAST, WIDTH, bins_between
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
def _rows_between(values, bins, low, high, rows):
    size = 0
    for i in range(len(values)):
        if bins[_bin(values[i])]:
            bits = bits_of(values[i] + 0.0)
            bits ^= (bits >> 63) & _MAGNITUDE
            at = np.searchsorted(low, bits, side="right") - 1
            if at >= 0 and bits < high[at]:
                rows[size] = i
                size += 1
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


def rows_between(values, low, high):
    values, low, high = _fixed(values, np.float64), _fixed(low, np.int64), _fixed(high, np.int64)
    rows = np.empty(len(values), np.int64)
    size = _rows_between(values, bins_between(low, high), low, high, rows)
    return rows[:size].copy()
