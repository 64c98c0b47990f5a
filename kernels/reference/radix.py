"""Bins of float64 in the order of the values, and how many values lie in each: what exact quantiles are found by.

The bits of a float64 as an integer, those of negative numbers inverted, stand in the order of the values. A bin is a
run of such integers. Between 2**-64 and 2**64 every power of two has 256 bins of equal width, for either sign; the two
bins around 0 also hold all that is smaller, the first and the last one all that is larger, infinities included.
-0.0 counts as 0.0. NaN has no place in the order: callers refuse it before.
"""

from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BINS = 65_536
#: A regular bin holds 2**WIDTH neighbouring float64.
WIDTH = 44
#: The number that the regular bins of either sign count from: the upper bits of 2**-64.
LEAST = (1023 - 64) << (52 - WIDTH)

_HALF = BINS // 2
_MAGNITUDE = np.int64(2**63 - 1)
_BLOCK = 32_768  # values at once: what is between the steps stays in the cache
_FEW_SPANS = 8  # so many are quicker compared with than looked up


def ordered_bits(values: Array) -> Array:
    """int64 of shape (n,), in the order of the float64 `values`. Neighbours differ by 1; -1, of -0.0, does not occur.

    >>> ordered_bits(np.array([-5e-324, -0.0, 0.0, 5e-324])).tolist()
    [-2, 0, 0, 1]
    """
    bits = (np.asarray(values, np.float64) + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & _MAGNITUDE)


def floats_of(bits: Array) -> Array:
    """The float64 that have these ordered bits.

    >>> floats_of(ordered_bits(np.array([-1.5, 0.0, 2.0]))).tolist()
    [-1.5, 0.0, 2.0]
    """
    bits = np.asarray(bits, np.int64)
    return (bits ^ ((bits >> 63) & _MAGNITUDE)).view(np.float64)


@cache
def first_bits() -> Array:
    """int64 of shape (BINS + 1,), read-only: the ordered bits where each bin begins, then where the last one ends.

    >>> first_bits()[[0, BINS // 2]].tolist() == [ordered_bits(np.array([-np.inf]))[0], 0]
    True
    """
    infinite = int(np.float64(np.inf).view(np.int64))
    upper = (LEAST + np.arange(_HALF, dtype=np.int64)) << WIDTH
    upper[0] = 0
    # Negative bins mirror the positive ones; of bits b the mirror image is -1 - b, so bounds change their sign.
    first = np.concatenate([[-infinite - 1], -upper[:0:-1], upper, [infinite + 1]])
    first.flags.writeable = False
    return first


def bins_of(values: Array) -> Array:
    """int64 of shape (n,): the bin of each value, from 0 to BINS - 1, in the order of the values.

    >>> bins_of(np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, 1.001, np.inf])).tolist()
    [0, 16383, 32768, 32768, 49152, 49152, 65535]
    """
    values = np.asarray(values, np.float64)
    bins = np.empty(len(values), np.int64)
    for at in range(0, len(values), _BLOCK):
        bits = (values[at : at + _BLOCK] + 0.0).view(np.int64)
        bits >>= WIDTH
        place = bits.astype(np.int32)
        sign = place >> 31
        place &= (1 << (63 - WIDTH)) - 1
        place -= LEAST
        np.maximum(place, 0, out=place)
        np.minimum(place, _HALF - 1, out=place)
        place ^= sign  # of negative numbers -1 - place
        np.add(place, _HALF, out=bins[at : at + _BLOCK])
    return bins


def histogram(values: Array, groups: Array | None = None, n_groups: int = 1) -> Array:
    """int64 of shape (n_groups, BINS): how many values of each group lie in each bin.

    Args:
        groups: int64 of shape (n,), from 0 to `n_groups` - 1; None: all values are of group 0.

    >>> histogram(np.array([0.0, 1.0, 1.0]))[0, [32768, 49152]].tolist()
    [1, 2]
    """
    bins = bins_of(values)
    if groups is not None:
        bins += groups * BINS
    return np.bincount(bins, minlength=n_groups * BINS).reshape(n_groups, BINS)


def bins_between(low: Array, high: Array) -> Array:
    """bool of shape (BINS,): which bins have bits in common with the spans from `low` up to, without, `high`."""
    change = np.zeros(BINS + 1, np.int64)
    np.add.at(change, np.searchsorted(first_bits(), low, side="right") - 1, 1)
    np.add.at(change, np.searchsorted(first_bits(), high, side="left"), -1)
    return np.cumsum(change[:-1]) > 0


def rows_between(values: Array, low: Array, high: Array) -> Array:
    """int64, ascending: the positions of values whose ordered bits are in a span from `low` up to, without, `high`.

    Args:
        low, high: int64 of shape (spans,), ascending, apart or next to each other; at least one.

    >>> rows_between(np.array([1.0, 2.0, -1.0]), ordered_bits(np.array([0.5])), ordered_bits(np.array([2.0]))).tolist()
    [0]
    """
    apart = low[1:] > high[:-1]
    low, high = low[np.append(True, apart)], high[np.append(apart, True)]
    if len(low) > _FEW_SPANS:
        rows = np.flatnonzero(bins_between(low, high)[bins_of(values)])
        bits = ordered_bits(values[rows])
        at = np.searchsorted(low, bits, side="right") - 1
        return rows[(at >= 0) & (bits < high[at])]
    inside = np.zeros(len(values), bool)
    bounds = list(zip(floats_of(low).tolist(), floats_of(high).tolist(), strict=True))
    for start in range(0, len(values), _BLOCK):
        some = values[start : start + _BLOCK]
        for begin, end in bounds:
            inside[start : start + _BLOCK] |= (some >= begin) & ~(some >= end)  # NaN as an end is beyond all
    return np.flatnonzero(inside)
