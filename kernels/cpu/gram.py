"""Exact cross products, compiled: the functions of ``reference/gram.py``, with the same bits."""

from typing import Any

import numpy as np

from ..reference.gram import DIGIT
from .jit import kernel

Array = np.ndarray[Any, Any]

_NEXT = 2.0**DIGIT
_AT_ONCE = 16  # rows: all their digits stay in a 32 KiB cache
_HALFWAY = 1.5 * 2.0**52  # adding and taking it off again rounds what is below 2**51 to a whole number, ties to even


def tile(
    x: Array, valid: Array, rows: Array, order: Array, scale: Array, counts: Array, out: Array, under: Array
) -> None:
    """Ones, presence and digits of some rows, side by side: column by column, a few rows at a time, then turned.

    `under` is raised by a sum of magnitudes: 0 where the reference has 0.
    """
    starts = np.zeros(counts.max(initial=0) + 1, np.int64)
    starts[0] = 1 + len(valid)
    for place in range(len(starts) - 1):
        starts[place + 1] = starts[place] + np.count_nonzero(counts > place)
    turned = np.empty((out.shape[1], _AT_ONCE))
    turned[0] = 1.0
    _tile(x, valid, rows, order, scale, counts, out, under, starts, turned, np.empty(_AT_ONCE))


@kernel
def _tile(x, valid, rows, order, scale, counts, out, under, starts, turned, rest):
    for first in range(0, len(rows), _AT_ONCE):
        w = min(_AT_ONCE, len(rows) - first)
        mine = rows[first : first + w]
        for i in range(valid.shape[0]):
            into, mask = turned[1 + i], valid[i]
            for r in range(w):
                into[r] = mask[mine[r]]
        for j in range(len(order)):
            column, factor = x[order[j]], scale[j]
            for r in range(w):
                rest[r] = column[mine[r]] * factor
            for place in range(counts[j]):
                into = turned[starts[place] + j]
                for r in range(w):
                    digit = (rest[r] + _HALFWAY) - _HALFWAY
                    into[r] = digit
                    rest[r] = (rest[r] - digit) * _NEXT
            left = 0.0
            for r in range(w):
                left += abs(rest[r])
            under[j] += left
        for r in range(w):
            row = out[first + r]
            for k in range(len(row)):
                row[k] = turned[k, r]


@kernel
def sums_by_code(digits, codes, rows, table):
    """Add each row of a tile to the rows of `table` that its codes name."""
    width = digits.shape[1]
    for r in range(len(rows)):
        row = rows[r]
        for key in range(codes.shape[0]):
            code = codes[key, row]
            for k in range(width):
                table[code, k] += digits[r, k]


@kernel
def pairs_of_codes(codes, rows, widths, counts):
    """Count how often codes of two keys meet."""
    keys = codes.shape[0]
    for r in range(len(rows)):
        row, at = rows[r], 0
        for a in range(keys):
            first = np.int64(codes[a, row])
            for b in range(a + 1, keys):
                counts[at + first * widths[b] + codes[b, row]] += 1
                at += widths[a] * widths[b]
