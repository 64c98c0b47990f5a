"""Numbers to their places in a list of distinct ones by a table, and what stands at places."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def find(table: Array, numbers: Array, low: int) -> Array:
    """What the table has for each of `numbers` less `low`: int64, -1 beyond it.

    Args:
        table: int64; entry k + 1 is that of the number k; the first and the last are -1.
        numbers: int64 of shape (n,).

    >>> find(np.array([-1, 7, 8, -1]), np.array([4, 5, 6, -100]), 5).tolist()
    [-1, 7, 8, -1]
    """
    return table.take(numbers - np.int64(low) + 1, mode="clip")  # beyond int64 it wraps to the other end: -1 too


def find_both(table: Array, first: Array, second: Array, size: int) -> Array:
    """The same of first * size + second; -1 where one of them is -1 already.

    >>> find_both(np.array([-1, 5, 6, 7, 8, -1]), np.array([0, 1, -1, 1]), np.array([1, 1, 0, -1]), 2).tolist()
    [6, 8, -1, -1]
    """
    both = first * size + second  # negative where the first is
    if len(second) and second.min() < 0:
        both[second < 0] = -1
    return find(table, both, 0)


def taken(values: Array, places: Array, parts: Array | None, height: int) -> tuple[Array, Array | None]:
    """(what `values` have at each place, where there is one: a place below 0 is none; None: everywhere).

    Args:
        values: float64, int64 or bool; at least one.
        places: int64 of shape (n,).
        parts: int64 of shape (n,), which stretch of `height` values a place is meant in; None: the first.

    >>> taken(np.array([1, 2, 3, 4]), np.array([0, -1, 1]), np.array([1, 0, 0]), 2)
    (array([3, 1, 2]), array([ True, False,  True]))
    """
    seen = places >= 0
    if parts is not None:
        places = np.where(seen, places + parts * height, -1)
    if seen.all():
        return values.take(places), None
    return values.take(np.where(seen, places, 0)), seen


def ranks(numbers: Array, low: int, span: int) -> tuple[Array, Array]:
    """(the rank of each number among the distinct ones, the distinct ones, sorted), int64.

    Args:
        numbers: int64 of shape (n,), from `low` up to, without, low + span.

    >>> ranks(np.array([7, 5, 7]), 5, 3)
    (array([1, 0, 1]), array([5, 7]))
    """
    offsets = numbers - np.int64(low)
    present = np.zeros(span, np.bool_)
    present[offsets] = True
    if present.all():
        return offsets, np.arange(span) + low
    return (np.cumsum(present) - 1).take(offsets), np.flatnonzero(present) + low


def ranks_of_pairs(first: Array, second: Array, size: int, span: int) -> tuple[Array, Array]:
    """The same of first * size + second; -1 where one of them is -1.

    Args:
        first, second: int64 of shape (n,), not below -1; `second` below `size`, all pairs below `span`.

    >>> ranks_of_pairs(np.array([1, -1, 0]), np.array([0, 0, 1]), 2, 4)
    (array([ 1, -1,  0]), array([1, 2]))
    """
    both = first * size + second
    if not len(both) or min(first.min(), second.min()) >= 0:
        return ranks(both, 0, span)
    known = (first >= 0) & (second >= 0)
    found = np.full(len(both), -1, np.int64)
    found[known], distinct = ranks(both[known], 0, span)
    return found, distinct
