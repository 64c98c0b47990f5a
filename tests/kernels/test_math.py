"""Transcendental functions: accuracy against longdouble and mpmath, special cases, and equal bits in both
forms."""

from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.kernels.cpu import math as cpu
from gpupipe.kernels.reference import math as reference

INF, NAN = np.inf, np.nan
NAMES = ["log", "log1p", "exp", "expm1", "sin", "cos", "tanh", "sigmoid", "arcsin", "arctan", "power"]
#: Function -> (largest error allowed in ulp, its definition in mpmath).
WANTED = {
    "log": (1.0, mpmath.log), "log1p": (1.0, mpmath.log1p), "exp": (1.0, mpmath.exp), "expm1": (1.0, mpmath.expm1),
    "sin": (1.0, mpmath.sin), "cos": (1.0, mpmath.cos), "tanh": (3.0, mpmath.tanh),
    "sigmoid": (3.0, lambda x: 1 / (1 + mpmath.exp(-x))), "arcsin": (2.5, mpmath.asin), "arctan": (2.0, mpmath.atan),
    "power": (1.0, mpmath.power),
}  # fmt: skip
RNG = np.random.default_rng(11)
EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 5e-324, -5e-324, 1e-310, 2.0**-1022, 1e-20, -1e-20, 1.7976931348623157e308,
    2.0**-54, 0.53, -0.53, 0.41421356237309503, 709.782712893384, -745.1332191019412, 2.0**20, INF, -INF, NAN,
]  # fmt: skip


def random_bits(n: Any, rng: Any = RNG) -> Any:
    return rng.integers(-(2**63), 2**63 - 1, n).view("f8")


def samples(name: Any, n: Any) -> Any:
    """Arguments where the function has something to say, from all its ranges, and easy ones to get wrong."""
    wide, normal = np.exp(RNG.uniform(-700, 700, n)), RNG.normal(size=n)
    tiny = np.exp(RNG.uniform(-60, 1, n)) * RNG.choice([-1, 1], n)
    third = n // 3
    ranges = {
        "log": [wide, np.abs(1 + 0.3 * normal), 1 + 1e-7 * normal, np.exp(RNG.uniform(-744, -700, third))],
        "log1p": [wide, tiny[tiny > -1], -1 + np.exp(RNG.uniform(-36, 0, n)), RNG.uniform(-0.5, 1.5, n)],
        "exp": [RNG.uniform(-745, 709.7, n), RNG.uniform(-1, 1, n), RNG.uniform(-745, -707, third)],
        "expm1": [RNG.uniform(-50, 709.7, n), RNG.uniform(-1, 1.5, n), RNG.uniform(-0.56, 0.56, n), tiny],
        "sin": [RNG.uniform(-7, 7, n), RNG.uniform(-(2**20), 2**20, n), tiny, np.pi / 2 * RNG.integers(0, 600_000, n)],
        "tanh": [3 * normal, tiny, RNG.uniform(-25, 25, n)], "sigmoid": [5 * normal, RNG.uniform(-740, 740, n)],
        "arcsin": [RNG.uniform(-1, 1, n), 1 - np.exp(RNG.uniform(-36, 0, n))], "arctan": [3 * normal, tiny, wide],
        "power": [np.exp(3 * normal), 1 + 1e-3 * normal, wide, np.abs(normal)],
    }  # fmt: skip
    parts = ranges["sin" if name == "cos" else name]
    x = np.concatenate(parts)
    if name != "power":
        return (x,)
    y = [
        20 * normal,
        RNG.uniform(-7e5, 7e5, n),
        RNG.uniform(-1, 1, n),
        RNG.choice([2.0, 0.5, 3.0, -1.0, 10.0], n),
    ]
    return x, np.concatenate(y)


def errors(got: Any, exact: Any) -> Any:
    """In units in the last place of the exact result, which is of a wider type."""
    with np.errstate(all="ignore"):
        place = np.spacing(np.abs(exact).astype("f8")).astype(np.longdouble)
        return (np.abs(got.astype(np.longdouble) - exact) / place).astype("f8")


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_on_many_values(name: Any) -> None:
    arguments = samples(name, 40_000)
    with np.errstate(all="ignore"):
        got = getattr(reference, name)(*arguments)
        wide = [x.astype(np.longdouble) for x in arguments]
        exact = 1 / (1 + np.exp(-wide[0])) if name == "sigmoid" else getattr(np, name)(*wide)
        finite = np.isfinite(exact.astype("f8"))
    assert np.array_equal(finite, np.isfinite(got))
    assert errors(got[finite], exact[finite]).max() <= WANTED[name][0]


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_against_mpmath(name: Any) -> None:
    limit, exact = WANTED[name]
    with mpmath.workdps(60), np.errstate(all="ignore"):
        arguments = samples(name, 60)
        for got, *x in zip(getattr(reference, name)(*arguments), *arguments, strict=True):
            true = exact(*(mpmath.mpf(float(v)) for v in x))
            if 2.3e-308 < abs(true) < 1.7e308:
                place = mpmath.mpf(float(np.spacing(abs(float(true)))))
                assert abs(mpmath.mpf(float(got)) - true) <= limit * place, (name, x)


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_give_the_same_bits(name: Any) -> None:
    n = 400_000
    x = np.concatenate([random_bits(n), RNG.normal(size=n) * 5, RNG.uniform(-750, 750, 2 * n // 10), EDGES])
    y = np.concatenate([RNG.normal(size=n) * 3, RNG.integers(-9, 9, n) / 2, random_bits(2 * n // 10), EDGES[::-1]])
    arguments = (x, y) if name == "power" else (x,)
    ours = np.empty_like(x)
    with np.errstate(all="ignore"):
        for at in range(0, len(x), 8192):
            ours[at : at + 8192] = getattr(reference, name)(*(a[at : at + 8192] for a in arguments))
    theirs = getattr(cpu, name)(*arguments)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.array_equal(ours[ours == ours].view("u8"), theirs[theirs == theirs].view("u8"))


def test_log1p_of_float32_is_log1p() -> None:
    numbers = [RNG.integers(0, 2**32, 300_000, dtype=np.uint32).view("f4"), np.array(EDGES), RNG.normal(size=100_000)]
    with np.errstate(all="ignore"):
        x = np.concatenate([part.astype("f4").astype("f8") for part in numbers])
        ours, wanted = reference.log1p_of_float32(x), reference.log1p(x)
    real = wanted == wanted
    assert np.array_equal(np.isnan(ours), ~real) and np.array_equal(ours[real].view("u8"), wanted[real].view("u8"))


SPECIAL = {
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (INF, INF), (-INF, NAN), (NAN, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-2.0, NAN), (INF, INF), (1e-300, 1e-300), (5e-324, 5e-324),
              (-5e-324, -5e-324), (NAN, NAN)],
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (710.0, INF), (-746.0, 0.0), (1e308, INF), (NAN, NAN),
            (-745.0, 5e-324), (1e-300, 1.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (710.0, INF), (-60.0, -1.0), (1e-300, 1e-300),
              (-5e-324, -5e-324), (NAN, NAN)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (1e-300, 1e-300), (2.0**30, NAN), (-5e-324, -5e-324), (NAN, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (-INF, NAN), (1e-300, 1.0), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (1e-300, 1e-300), (-5e-324, -5e-324), (NAN, NAN)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (40.0, 1.0), (NAN, NAN)],
    "arcsin": [(0.0, 0.0), (-0.0, -0.0), (1.0, np.pi / 2), (-1.0, -np.pi / 2), (1.000001, NAN), (INF, NAN)],
    "arctan": [(0.0, 0.0), (-0.0, -0.0), (INF, np.pi / 2), (-INF, -np.pi / 2), (5e-324, 5e-324), (NAN, NAN)],
}  # fmt: skip


@pytest.mark.parametrize("name", list(SPECIAL))
def test_special_values(name: Any) -> None:
    x, wanted = np.array(SPECIAL[name]).T.copy()
    with np.errstate(all="ignore"):
        got = getattr(reference, name)(x)
    assert np.array_equal(got, wanted, equal_nan=True)
    real = wanted == wanted
    assert np.array_equal(np.signbit(got[real]), np.signbit(wanted[real]))


POWERS = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, INF, -INF, NAN, 5e-324, 1e300, -1e300,
          2.0**53, 2.0**53 + 2, 2.0**52 + 1, 2.0**51 - 1, -(2.0**51 + 1), 4503599627370497.5 / 2]  # fmt: skip


def test_power_follows_c99_in_every_special_case() -> None:
    x, y = (grid.ravel().copy() for grid in np.meshgrid(POWERS, POWERS))
    with np.errstate(all="ignore"):
        got, wanted = reference.power(x, y), np.power(x, y)
    assert np.array_equal(np.isnan(got), np.isnan(wanted))
    real = wanted == wanted
    assert np.array_equal(np.signbit(got[real]), np.signbit(wanted[real]))
    assert np.allclose(got[real], wanted[real], rtol=4e-16, atol=0)


@settings(max_examples=300, deadline=None)
@given(st.floats(), st.floats())
def test_any_number_is_near_numpys(x: Any, y: Any) -> None:
    with np.errstate(all="ignore"):
        for name in NAMES:
            arguments = [np.array([x]), np.array([y])][: 2 if name == "power" else 1]
            if name in ("sin", "cos") and not abs(x) < 2.0**20:
                continue
            wanted = 1 / (1 + np.exp(-arguments[0])) if name == "sigmoid" else getattr(np, name)(*arguments)
            got = getattr(reference, name)(*arguments)
            assert np.allclose(got, wanted, rtol=2e-15, atol=1e-307, equal_nan=True), name


def test_trigonometry_far_out_stays_near_and_says_nan_beyond() -> None:
    x = RNG.uniform(2.0**20, 2.0**30, 20_000)
    for name in ("sin", "cos"):
        exact = getattr(np, name)(x.astype(np.longdouble)).astype("f8")
        assert (np.abs(getattr(reference, name)(x) - exact) <= x * 2.0**-52).all()
        with np.errstate(all="ignore"):
            assert np.isnan(getattr(reference, name)(np.array([2.0**30, 1e300]))).all()


def test_power_is_exact_where_the_result_is_a_small_whole_number() -> None:
    x, y = (grid.ravel().astype("f8") for grid in np.meshgrid(np.arange(-40, 41), np.arange(10)))
    assert np.array_equal(reference.power(x, y), [float(int(a) ** int(b)) for a, b in zip(x, y, strict=True)])
    squares = np.arange(1.0, 2000.0)
    assert np.array_equal(reference.power(squares * squares, np.full(1999, 0.5)), squares)
