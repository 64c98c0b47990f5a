"""Means and variances equal the exact rational result rounded once; what Numba adds up, NumPy alone does too."""

import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from gpupipe import optional
from gpupipe.backends.exact.number import combined
from gpupipe.backends.exact.rational import deviations, means, totals, variances
from gpupipe.backends.exact.small import of_small_wholes
from gpupipe.backends.exact.sums import sums
from gpupipe.backends.exact.totals import SAMPLE
from gpupipe.kernels.cpu import exact as fast
from gpupipe.kernels.reference import exact as plain

BEYOND = 2**1024 - 2**970  # halfway between the greatest float64 and what would follow it


def nearest(number):
    """A rational number as float64, rounded once by Python; an infinity beyond."""
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def is_root(root, number):
    """Whether no float64 is nearer to the root of a rational number: its square lies between those of the halfways."""
    if math.isinf(root):
        return number >= BEYOND**2
    above = math.nextafter(root, math.inf)
    high = BEYOND if math.isinf(above) else (Fraction(root) + Fraction(above)) / 2
    low = (Fraction(root) + Fraction(math.nextafter(root, -math.inf))) / 2
    return (low**2 if low > 0 else 0) <= number <= high**2


def statistics(values, kernels, groups=None, n_groups=1, ddof=0, times=None):
    found = sums(values, groups, n_groups, times, squares=True, kernels=kernels)
    counted = np.ones(len(values), np.int64) if times is None else times
    n = np.zeros(n_groups, np.int64)
    np.add.at(n, np.zeros(len(values), np.int64) if groups is None else groups, counted)
    assert found is not None and found.squares is not None
    return (
        n, totals(found.total), means(n, found.total), variances(n, found.total, found.squares, ddof),
        deviations(n, found.total, found.squares, ddof),
    )  # fmt: skip


def check(values, ddof=0, groups=None, n_groups=1, times=None):
    """Both forms, by group, against rational numbers; the same bits."""
    found = statistics(values, plain, groups, n_groups, ddof, times)
    for a, b in zip(found, statistics(values, fast, groups, n_groups, ddof, times), strict=True):
        assert a.tobytes() == b.tobytes()
    whole = [Fraction(value) for value in values.tolist()]
    counted = [1] * len(whole) if times is None else times.tolist()
    for group, (n, total, mean, var, std) in enumerate(zip(*(array.tolist() for array in found), strict=True)):
        rows = [at for at in range(len(whole)) if groups is None or groups[at] == group]
        first = sum((counted[at] * whole[at] for at in rows), Fraction(0))
        assert total == nearest(first)
        if n:
            assert mean == nearest(first / n)
        if n > ddof:
            second = sum((counted[at] * whole[at] ** 2 for at in rows), Fraction(0))
            spread = (n * second - first * first) / (n * (n - ddof))
            assert var == nearest(spread)
            assert is_root(std, spread)


def random_set(seed):
    """Sets that plain float64 arithmetic gets wrong, of 1 to some thousand values."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([1, 2, 3, 7, 40, 300, 2048, 2500, 5000], p=[0.05, 0.1, 0.1, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05]))
    noise = rng.normal(size=n)
    half = noise[: n // 2] * 10.0 ** rng.integers(-20, 20)
    kinds = [
        lambda: noise,
        lambda: noise + 10.0 ** rng.integers(0, 16),
        lambda: rng.choice([-1, 1]) * 1e15 + np.round(noise, 1),
        lambda: noise * 1e-310,
        lambda: rng.integers(-9, 9, n) * 5e-324,
        lambda: np.ldexp(noise, rng.integers(-1070, 1010, n)),
        lambda: np.ldexp(noise, rng.integers(-40, 40, n)),
        lambda: rng.lognormal(0, rng.integers(1, 9), n),
        lambda: rng.permutation(np.concatenate([half, -half, noise[: n % 2] * 1e-30])),
        lambda: rng.permutation(np.concatenate([half * 1e60, -half * 1e60, np.full(n % 2 + 1, 1.0)])),
        lambda: np.full(n, rng.normal() * 10.0 ** rng.integers(-300, 300)),
        lambda: rng.choice([1e300, -1e300, 1e-300, 1.0, -0.0], n),
        lambda: rng.choice([1.7e308, -1.7e308], n),
        lambda: rng.integers(0, 2, n) * 1.0,
        lambda: np.round(noise * 100) / 100 + 1000,
        lambda: noise.astype(np.float32) * np.float32(10.0 ** rng.integers(-30, 30)),
        lambda: rng.integers(-(2**63), 2**63 - 1, n),
        lambda: rng.integers(2**53 - 5, 2**53 + 5, n),
        lambda: rng.random(n) < 0.3,
        lambda: np.sort(noise * 10.0 ** rng.integers(0, 9, n)),
    ]
    return kinds[seed % len(kinds)]()


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_sets(first):
    for seed in range(first, first + 20):
        check(random_set(seed), ddof=seed % 3 % 2)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, 100))
def test_two_thousand_random_sets(first):
    for seed in range(first, first + 100):
        check(random_set(1000 + seed), ddof=seed % 2)


@pytest.mark.parametrize("seed", range(20))
def test_random_sets_by_group(seed):
    values = random_set(seed + 4000)
    rng = np.random.default_rng(seed)
    check(values, seed % 2, rng.integers(0, 9, len(values)), 9)
    check(values, seed % 2, rng.integers(0, 3, len(values)), 3, rng.integers(0, 2**40, len(values)))


def test_many_small_groups():
    """As many groups as have both the quick way and the long one, in one state."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 400, 3000)
    values = np.where(groups % 2 == 0, rng.integers(0, 9, 3000), rng.normal(size=3000) * 1e8)
    check(values, 1, groups, 400)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_ties_and_cancelling_groups():
    """Means halfway between two floats, and those whose greatest digits cancel, among many groups."""
    rng = np.random.default_rng(1)
    first = rng.normal(size=300) * 10.0 ** rng.integers(-30, 30, 300)
    pairs = np.concatenate([first, np.nextafter(first, np.inf)])
    check(pairs, 0, np.tile(np.arange(300), 2), 300)
    check(np.concatenate([first, first, np.nextafter(first, -np.inf), first]), 1, np.tile(np.arange(300), 4), 300)
    large = np.ldexp(1.0, rng.integers(30, 100, 300))
    check(np.concatenate([large, -large, -first / 2**40]), 0, np.tile(np.arange(300), 3), 300)
    mixed = np.concatenate([first, [1e300, -1e-300, -1e300]])
    check(mixed, 0, np.concatenate([np.arange(300), [0, 0, 7]]), 300)


# -- NIST Statistical Reference Datasets ------------------------------------------------------------------------------
NUMACC = {  # NumAcc1 to 4 by their recipe, with the certified mean and (sample) deviation
    "NumAcc1": ([10000001, 10000003, 10000002], "10000002", "1"),
    "NumAcc2": ([1.2] + [1.1, 1.3] * 500, "1.2", "0.1"),
    "NumAcc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, "1000000.2", "0.1"),
    "NumAcc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, "10000000.2", "0.1"),
}


@pytest.mark.parametrize("name", NUMACC)
def test_nist_numacc(name):
    values, mean, deviation = NUMACC[name]
    values = np.array(values, np.float64)
    check(values, ddof=1)
    _, _, found, _, spread = statistics(values, None, ddof=1)
    # The certified figures are of the decimals; those of the stored doubles are within an ulp of a value of them.
    assert abs(Fraction(found[0]) - Fraction(mean)) <= Fraction(math.ulp(values[0]))
    assert abs(Fraction(spread[0]) - Fraction(deviation)) <= Fraction(math.ulp(values[0]))


def nist_anova():
    if not optional.available("scipy"):
        return []
    folder = Path(str(optional.load("scipy").__file__)).parent / "stats" / "tests" / "data" / "nist_anova"
    return sorted(folder.glob("*.dat")) if os.path.isdir(folder) else []


@pytest.mark.skipif(len(nist_anova()) != 11, reason="SciPy's tests, which hold NIST's files, are not installed")
@pytest.mark.parametrize("path", nist_anova(), ids=lambda path: path.stem)
def test_nist_anova(path):
    """All values of a file, and by treatment."""
    rows = np.loadtxt(path, skiprows=60)
    groups = rows[:, 0].astype(np.int64) - 1
    assert groups.min() == 0 and len(rows) > 20
    check(rows[:, 1], ddof=1)
    check(rows[:, 1], 1, groups, int(groups.max()) + 1)


# -- what the choice of kernels and grids may not show ----------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_order_and_parts_leave_the_same_arrays(seed):
    values = random_set(seed + 8000)
    rng = np.random.default_rng(seed)
    want = sums(values, squares=True, kernels=plain)
    mixed = sums(values[rng.permutation(len(values))], squares=True, kernels=fast)
    assert want is not None and mixed is not None
    for a, b in ((want.total, mixed.total), (want.squares, mixed.squares)):
        assert a is not None and b is not None
        assert a.digits.tobytes() == b.digits.tobytes() and a.scale.tolist() == b.scale.tolist()
    alone = sums(values, kernels=fast)
    assert alone is not None and alone.squares is None
    assert alone.total.digits.tobytes() == want.total.digits.tobytes()


@pytest.mark.parametrize("kernels", [plain, fast], ids=["numpy", "numba"])
@pytest.mark.parametrize("large", [3072 + 2.0**-41, 2048 + 2.0**-41, 4095.5 + 2.0**-40, 1536 + 2.0**-42])
def test_a_rare_value_far_above_the_sample(kernels, large):
    """So large that adding the constant that rounds to whole units leaves half a unit, where it is negative."""
    values = np.zeros(5000)
    values[:: 5000 // SAMPLE] = 1.0
    for sign in (1, -1):
        values[3001] = sign * large
        found = sums(values, kernels=kernels)
        assert found is not None and found.total.fractions() == [sum(map(Fraction, values.tolist()))]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kernels", [plain, fast], ids=["numpy", "numba"])
def test_what_is_not_finite_is_told(kernels, odd):
    values = np.random.default_rng(0).normal(size=5000)
    values[3210] = odd
    for groups in (None, np.arange(5000) % 7):
        for times in (None, np.ones(5000, np.int64)):
            assert sums(values, groups, 7, times, squares=True, kernels=kernels) is None
            assert sums(values, groups, 7, times, kernels=kernels) is None


@pytest.mark.parametrize("bound", [1, 40, 2**15, 2**21])
@pytest.mark.parametrize("squares", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool])
def test_small_whole_numbers_take_a_shorter_way_to_the_same_arrays(monkeypatch, bound, squares, dtype):
    """Also past where a sum leaves one digit, where the longer way is taken."""
    rng = np.random.default_rng(bound)
    for n_groups in (2, 70, 900):
        values = rng.integers(-bound, bound + 1, 1000).astype(dtype)
        groups, into = rng.integers(0, n_groups, 1000), rng.integers(0, 2, n_groups)
        found, merged = [], []
        assert bound > 1 or of_small_wholes(values, groups, n_groups, squares) is not None
        for longer in (False, True):
            with monkeypatch.context() as patched:
                if longer:
                    patched.setattr("gpupipe.backends.exact.sums.of_small_wholes", lambda *_: None)
                    patched.setattr("gpupipe.backends.exact.number._of_one_digit", lambda *_: None)
                both = sums(values, groups, n_groups, squares=squares, kernels=plain)
                assert both is not None
                found.append([each for each in (both.total, both.squares) if each is not None])
                assert len(found[-1]) == 1 + squares
                merged.append([combined(numbers, into, 2) for numbers in found[-1]])
        for one, other in [*zip(*found, strict=True), *zip(*merged, strict=True)]:
            assert one.digits.dtype == other.digits.dtype and one.digits.tolist() == other.digits.tolist()
            assert one.scale.tolist() == other.scale.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_a_few_values_are_summed_without_arrays_to_the_same_arrays(seed):
    rng = np.random.default_rng(seed)
    n, n_groups = int(rng.integers(0, 40)), int(rng.integers(1, 5))
    values = rng.normal(size=n) * 2.0 ** rng.integers(-600, 400, n)
    single, wholes = values.clip(-1e38, 1e38).astype(np.float32), rng.integers(-(2**62), 2**62, n)
    values = [values, single, wholes, rng.random(n) < 0.5][seed % 4]
    groups = rng.integers(0, n_groups, n)
    times = None if seed % 3 == 0 else rng.integers(0, 2**40, n)
    for squares in (False, True):
        few, many = (sums(values, groups, n_groups, times, squares=squares, kernels=each) for each in (None, plain))
        assert few is not None and many is not None
        assert (few.squares is None, many.squares is None) == (not squares, not squares)
        for a, b in ((few.total, many.total), (few.squares or few.total, many.squares or many.total)):
            a, b = (combined(each, np.arange(n_groups), n_groups) for each in (a, b))
            assert (a.digits.tolist(), a.scale.tolist()) == (b.digits.tolist(), b.scale.tolist())
    for odd in (np.nan, np.inf, -np.inf):
        assert sums(np.append(values.astype(np.float64), odd), np.append(groups, 0), n_groups) is None
