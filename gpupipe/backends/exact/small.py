"""Sums of small whole numbers, as of a target that is 0 or 1: those that one digit holds need no others on the way."""

import numpy as np

from gpupipe.backends.exact.number import Exact
from gpupipe.backends.exact.totals import Sums, ends_of
from gpupipe.columns import Values

_ONE_DIGIT = 2**31


def of_small_wholes(values: Values, groups: Values, n_groups: int, squares: bool) -> Sums | None:
    """The exact sums of float32, float64 or bool values by group; None where they may be no small whole numbers.

    float64 adds whole numbers below 2^53 exactly, in any order.

    >>> of_small_wholes(np.array([1.0, -2.0, 3.0]), np.array([0, 1, 0]), 2, False).total.integers()
    [4, -2]
    """
    if not _are_small(values, squares):
        return None
    weights = values.astype(np.float64, copy=False)
    total = _of_one_digit(np.bincount(groups, weights, n_groups))
    return Sums(total, _of_one_digit(np.bincount(groups, weights * weights, n_groups)) if squares else None)


def _are_small(values: Values, squares: bool) -> bool:
    """Whether they are whole, and no sum of them, or of their squares, outgrows a digit."""
    if values.dtype.kind == "b":
        return len(values) < _ONE_DIGIT
    if not len(values):
        return False
    most = _ONE_DIGIT / len(values)
    if squares:
        most = most**0.5
    largest, finest = ends_of(values)  # of some of them: most columns are told at once
    if largest >= most or finest < 0.5:  # what it says of 1
        return False
    return bool(values.min() > -most and values.max() < most and (np.rint(values) == values).all())


def _of_one_digit(sums: Values) -> Exact:
    return Exact(sums.astype(np.int32).view(np.uint32).reshape(-1, 1), np.zeros(len(sums), np.int64))
