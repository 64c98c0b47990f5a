"""Sums whose order hangs on their length alone, so that a row has the same bits in any batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def halving_sum(terms: NDArray[Any]) -> Floats:
    """The sum along the last axis, halves added to halves; `terms` is used as scratch space.

    `np.sum` picks its order by the whole shape and the memory layout, so a batch and one row may differ.

    >>> halving_sum(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])).tolist()
    [15.0]
    """
    length = terms.shape[-1]
    if length == 0:
        return np.zeros(terms.shape[:-1])
    while length > 1:
        half = length // 2
        with np.errstate(invalid="ignore", over="ignore"):  # IEEE: inf - inf is NaN
            terms[..., :half] += terms[..., length - half : length]
        length -= half
    return np.array(terms[..., 0])


def whole_power(base: Floats, exponent: int) -> Floats:
    """base ** exponent for a whole exponent of at least 0, by squaring, in the order of LIBSVM's ``powi``.

    >>> whole_power(np.array([3.0]), 5).tolist()
    [243.0]
    """
    result = np.ones_like(base)
    while exponent > 0:
        if exponent % 2:
            result = result * base
        base = base * base
        exponent //= 2
    return result
