"""Histograms over bins of float64 on a device: the reference's, whatever the window that a sample chose."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu.columns import packed
from gpupipe.kernels.gpu import extremes, radix
from gpupipe.kernels.gpu import histogram as module
from gpupipe.kernels.gpu.batch import Column, Launched
from gpupipe.kernels.gpu.histogram import Histograms, histogram
from gpupipe.kernels.gpu.sampled import look_job, runs_there, sizes
from gpupipe.kernels.reference import radix as reference

few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = [0.0, -0.0, 5e-324, -5e-324, 2.0**-64, -(2.0**-64), 2.0**64, -(2.0**64), 1.0, 1.7e308, -1.7e308, np.inf, -np.inf]


def drawn(kind, n, seed):
    rng = np.random.default_rng(seed)
    if kind == "i8":
        edges = np.array([2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1, 0])
        return np.where(rng.random(n) < 0.3, rng.choice(edges, n), rng.integers(-1000, 1000, n))
    if kind == "bool":
        return rng.random(n) < 0.4
    values = np.where(rng.random(n) < 0.2, rng.choice(ODD, n), np.ldexp(rng.normal(size=n), rng.integers(-90, 90, n)))
    with np.errstate(over="ignore"):
        return values.astype(kind)


@few
@given(
    st.sampled_from(["f4", "f8", "i8", "bool"]), st.sampled_from([0, 1, 33, 2049, 5000]), st.sampled_from([1, 3, 40]),
    st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_histograms(device, kind, n, n_groups, nulls, seed):
    rng = np.random.default_rng(seed)
    values, groups = drawn(kind, n, seed), rng.integers(-1, n_groups, n)
    flags = rng.random(n) < (0.8 if nulls else 2)
    words = device.upload(packed(flags)) if nulls else None
    rows = flags & (groups >= 0)
    there, of = device.upload(values), device.upload(groups.astype(np.int32))
    found = histogram(there, of, n_groups, valid=words)
    wanted = reference.histogram(values[rows].astype(np.float64), groups[rows], n_groups)
    assert found.dtype == np.int64 and (found == wanted).all()
    if n_groups == 1:
        assert (histogram(there, valid=words) == reference.histogram(values[flags].astype(np.float64))).all()


@pytest.mark.parametrize("n", [32, 2048])
def test_rows_that_fill_the_words_of_a_bitmap(device, n):
    """Nothing is read after them."""
    values, flags = np.random.default_rng(0).normal(size=n), np.random.default_rng(1).random(n) < 0.8
    there, valid = device.upload(values), device.upload(packed(flags))
    assert (histogram(there, valid=valid) == reference.histogram(values[flags])).all()
    least, greatest, _ = extremes.extremes(there, None, 1, valid=valid)
    assert (least[0], greatest[0]) == (values[flags].min(), values[flags].max())


@pytest.mark.parametrize("values", [
    np.full(4000, 3.25), np.zeros(4000), np.random.default_rng(0).normal(size=4000),
    np.where(np.random.default_rng(1).random(4000) < 0.9, 0.0, np.random.default_rng(2).lognormal(size=4000)),
    np.repeat([1.0, 1e10, -1e-10, 1e18, -1e18], 800),
], ids=["constant", "zeros", "normal", "mostly zeros", "far apart"])  # fmt: skip
def test_where_the_runs_lie_does_not_show(device, values):
    wanted = reference.histogram(values)[0]
    column = Column(device.upload(values))
    assert (histogram(column.values)[0] == wanted).all()
    for runs in ([0, 0, 0], [65_535, 0, 32_768], [49_000, 49_500, 48_900]):
        (found,) = Histograms(device, [column], [device.upload(np.array(runs, np.uint64))]).fetch()
        assert found.places.tolist() == np.flatnonzero(wanted).tolist() and found.nan is None
        assert found.counts.tolist() == wanted[found.places].tolist()


def looked(device, values, width=3072, valid=None):
    """What is told of one column: how large, how fine, where runs begin."""
    job = look_job(Column(device.upload(values), valid), width)
    looks = Launched(device, [job])
    runs = runs_there(looks, 0).to_host().tolist()
    looks.fetch()
    (size,), (least,) = sizes([job])
    return size, least, runs


def test_runs_hold_most_of_a_column(device):
    values = np.random.default_rng(0).normal(size=3000)
    bins = reference.bins_of(values)
    inside = np.zeros(len(bins), bool)
    for first in looked(device, values)[2]:
        inside |= (bins >= first) & (bins < first + 3072)
    assert inside.mean() > 0.99


@pytest.mark.parametrize("width", [48, 3072])
@pytest.mark.parametrize("n", [1, 40, 64, 150, 255, 256, 257, 3000])
def test_where_runs_begin(device, n, width):
    """A little before a value that is looked at, where most lie; the next one does not regard those."""
    rng = np.random.default_rng(n)
    values = np.where(rng.random(n) < 0.5, rng.choice(ODD, n), rng.normal(size=n))
    values[rng.random(n) < 0.1] = np.nan
    flags = rng.random(n) < 0.8
    every, step = max(min(n, 256) // 64, 1), -(-n // 256)
    looks = np.arange(64) * every
    rows = looks * step + (looks * 2_654_435_761 % 2**32) % step
    rows = rows[rows < n]
    left = reference.bins_of(values[rows[flags[rows] & ~np.isnan(values[rows])]])
    wanted = []
    for _ in range(3):
        starts = np.unique(np.maximum(left - width // 8, 0))
        held = [(-((left >= start) & (left < start + width)).sum(), start) for start in starts.tolist()]
        wanted.append(min(held)[1] if held else 0)
        left = left[(left < wanted[-1]) | (left >= wanted[-1] + width)]
    assert looked(device, values, width, device.upload(packed(flags)))[2] == wanted


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "i1", "bool"])
@pytest.mark.parametrize("n", [1, 40, 256, 257, 3000])
def test_what_is_looked_at(device, n, kind):
    """256 rows at most, one of each so many; those without a value, zeros and what is not finite do not count."""
    rng = np.random.default_rng(n)
    values = rng.integers(-100, 100, n).astype("i1").astype(kind)
    if kind[0] == "f":
        values = np.ldexp(rng.normal(size=n), rng.integers(-30, 30, n)).astype(kind)
        values[rng.random(n) < 0.2] = np.inf
        values[rng.random(n) < 0.2] = np.nan
    flags = rng.random(n) < 0.7
    size, least, _ = looked(device, values, 0, device.upload(packed(flags)))
    step, looks = -(-n // 256), np.arange(256)
    rows = looks * step + (looks * 2_654_435_761 % 2**32) % step
    rows = rows[rows < n]
    some = np.abs(np.where(flags, values, 0)[rows].astype(np.float64))
    some = [value for value in some.tolist() if 0 < value < np.inf]
    assert size == max(some, default=1.0)
    fine = [Fraction(value).limit_denominator(2**200) for value in some]
    lowest = min((Fraction(f.numerator & -f.numerator, f.denominator) for f in fine), default=Fraction(1))
    assert Fraction(least) in (lowest, lowest / 2)  # a power of two counts as one finer


def test_bins_that_occur_may_be_many(device):
    """More than there is room for at first."""
    values = np.ldexp(np.random.default_rng(0).normal(size=20_000), np.random.default_rng(1).integers(-60, 60, 20_000))
    wanted = reference.histogram(values)[0]
    assert (wanted > 0).sum() > module._USUAL
    assert (histogram(device.upload(values))[0] == wanted).all()


def test_many_histograms_are_made_a_few_at_a_time(device, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 3 * 4 * 65_536)
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=50 + 300 * k) for k in range(5)]
    groups = [rng.integers(-1, k + 1, len(values)) for k, values in enumerate(drawn)]
    columns = [
        Column(device.upload(values), None, device.upload(of.astype(np.int32)), k + 1)
        for k, (values, of) in enumerate(zip(drawn, groups, strict=True))
    ]
    runs = device.upload(np.array([49_000, 30_000, 0], np.uint64))
    found = Histograms(device, columns, [runs] * 5).fetch()
    for each, values, of, column in zip(found, drawn, groups, columns, strict=True):
        wanted = reference.histogram(values[of >= 0], of[of >= 0], column.n_groups).reshape(-1)
        assert each.places.tolist() == np.flatnonzero(wanted).tolist()
        assert each.counts.tolist() == wanted[each.places].tolist()


def test_the_first_nan_is_named_and_counted_nowhere(device):
    values = np.ones(3000)
    values[[1700, 2100, 50]] = [np.nan, -np.nan, np.nan]
    flags = np.ones(3000, bool)
    flags[50] = False
    column = Column(device.upload(values), device.upload(packed(flags)))
    (found,) = Histograms(device, [column], [device.upload(np.zeros(3, np.uint64))]).fetch()
    assert found.nan == 1700 and found.counts.sum() == 2997


@pytest.mark.parametrize("kind", ["f4", "f8", "i8"])
def test_bins(device, kind):
    values, flags = drawn(kind, 3000, 5), np.random.default_rng(1).random(3000) < 0.8
    found = radix.bins_of(device.upload(values), valid=device.upload(packed(flags))).to_host()
    assert found.tolist() == np.where(flags, reference.bins_of(values), -1).tolist()


@few
@given(
    st.sampled_from(["f4", "f8", "i8"]), st.sampled_from([0, 1, 33, 5000]), st.integers(1, 12), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_rows_between(device, kind, n, spans, narrow, seed):
    rng = np.random.default_rng(seed)
    values = drawn(kind, n, seed)
    bits = np.concatenate([reference.ordered_bits(values), reference.ordered_bits(rng.normal(size=2 * spans + 2))])
    ends = np.unique(np.concatenate([rng.choice(bits, 2 * spans), bits[-2:]]))[: 2 * spans]
    ends = ends[: len(ends) // 2 * 2]
    low, high = (ends[::2], ends[::2] + 1) if narrow else (ends[::2], ends[1::2])
    wanted = reference.rows_between(values.astype(np.float64), low, high)
    found = radix.rows_between(device.upload(values), low, high)
    assert found.to_host().tolist() == wanted.tolist()
    groups, flags = rng.integers(-1, 2, n).astype(np.int32), rng.random(n) < 0.8
    found = radix.rows_between(
        device.upload(values), low, high, valid=device.upload(packed(flags)), groups=device.upload(groups)
    )  # fmt: skip
    assert found.to_host().tolist() == [row for row in wanted.tolist() if flags[row] and groups[row] >= 0]


def test_launches(device):
    there = device.upload(np.random.default_rng(0).normal(size=5000))
    histogram(there)
    assert device.launches == 3
    radix.rows_between(there, np.array([0]), np.array([2**60]))
    assert device.launches <= 6
