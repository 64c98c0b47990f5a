"""Exact cross products of columns: values cut into digits whose products add without rounding.

A float64 is cut, exactly, into digits in base 2**21, from a top of the column's own down to its last bit (Ozaki, Ogita,
Oishi and Rump 2012). A digit is a whole number of at most 2**21, the product of two at most 2**42, the sum of `ROWS` of
them at most 2**53: float64 holds each partial sum as it is, so any order of adding gives the same, and a BLAS may do
it. Where the top lies and how many digits there are splits the sums; it never shows in them.

Nothing here knows columns of a table: `x` holds values with 0 for nulls, `valid` their presence.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

DIGIT = 21  # bits
ROWS = 2048  # 2 * DIGIT + log2(ROWS) = 53
_NEXT = 2.0**DIGIT


def tile(
    x: Array, valid: Array, rows: Array, order: Array, scale: Array, counts: Array, out: Array, under: Array
) -> None:
    """Ones, presence and digits of some rows, side by side.

    Args:
        x: float64, (columns, n), finite.
        valid: bool, (masks, n).
        rows: int64, (r,), which of the n; r at most `ROWS`.
        order: int64, (columns,), the columns, those of most digits first; as the following three have them.
        scale: float64, (columns,), powers of two that bring each column to at most 2**21.
        counts: int64, (columns,), how many digits each has, none more than the one before it.
        out: float64, (r, 1 + masks + sum of counts), written: 1, presence, all first digits, all second digits, ….
        under: float64, (columns,), raised to the largest magnitude of what was left below the last digit.
    """
    out[:, 0] = 1.0
    out[:, 1 : 1 + len(valid)] = valid[:, rows].T
    rest = x[np.ix_(order, rows)] * scale[:, None]
    at = 1 + len(valid)
    for place in range(counts.max(initial=0)):
        width = int(np.count_nonzero(counts > place))
        digits = np.rint(rest[:width])
        out[:, at : at + width] = digits.T
        rest[:width] = (rest[:width] - digits) * _NEXT
        at += width
    np.maximum(under, np.abs(rest).max(axis=1, initial=0.0), out=under)


def sums_by_code(digits: Array, codes: Array, rows: Array, table: Array) -> None:
    """Add each row of a tile to the rows of `table` that its codes name.

    Args:
        digits: float64, (r, k), what :func:`tile` wrote.
        codes: int32, (keys, n), rows of `table`.
        rows: int64, (r,).
        table: float64, (codes, k), added to; exact up to 2**32 rows in all.
    """
    for of_row in codes:
        chosen = of_row[rows]
        order = np.argsort(chosen, kind="stable")
        grouped = chosen[order]
        starts = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1])) if len(grouped) else order
        if len(starts):
            table[grouped[starts]] += np.add.reduceat(digits[order], starts, axis=0)


def pairs_of_codes(codes: Array, rows: Array, widths: Array, counts: Array) -> None:
    """Count how often codes of two keys meet.

    Args:
        codes: int32, (keys, n), from 0 within each key.
        rows: int64, (r,).
        widths: int64, (keys,), above the codes of each key.
        counts: int64, (sum of widths[a] * widths[b] for a < b,), added to; pairs (0, 1), (0, 2), …, (1, 2), ….
    """
    at = 0
    chosen = codes[:, rows].astype(np.int64)
    for a in range(len(codes)):
        for b in range(a + 1, len(codes)):
            size = int(widths[a] * widths[b])
            counts[at : at + size] += np.bincount(chosen[a] * widths[b] + chosen[b], minlength=size)
            at += size
