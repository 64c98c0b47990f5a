"""Formulas over one number against the same over arrays, which have oracles of their own: equal bits."""

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gpupipe.kernels.reference import math as arrays
from gpupipe.kernels.reference import single


@given(st.floats())
@example(0.0)
@example(-0.0)
@example(float("inf"))
@example(float("-inf"))
@example(745.2)
@example(-746.0)
@example(5e-324)
def test_sigmoid_of_one_number_has_the_bits_of_the_array(x: float) -> None:
    with np.errstate(all="ignore"):
        expected = arrays.sigmoid(np.array([x]))[0]
    found = single.sigmoid(x)
    assert (math.isnan(found) and np.isnan(expected)) or np.float64(found).tobytes() == expected.tobytes()
