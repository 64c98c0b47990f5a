"""What the formulas of `math` are made of, over arrays. `gpupipe.kernels.cpu.math` has the same, over one number."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

where, floor = np.where, np.floor
root = np.sqrt


def bits_of(x: Array) -> Array:
    """The bits of float64 as int64."""
    return x.view(np.int64)


def float_of(bits: Array) -> Array:
    """The float64 of these bits."""
    return bits.view(np.float64)


def to_float(whole: Array) -> Array:
    """int64 to float64."""
    return whole.astype(np.float64)


def horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """c[0] + x (c[1] + x (c[2] + …)), one rounding an operation."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total
