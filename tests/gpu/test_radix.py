"""Histograms over bins of float64 on a device: the reference's, whatever the window that a sample chose."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu.columns import packed
from gpupipe.kernels.gpu import radix
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
    found = radix.histogram(there, of, n_groups, valid=words)
    wanted = reference.histogram(values[rows].astype(np.float64), groups[rows], n_groups)
    assert found.dtype == np.int64 and (found == wanted).all()
    if n_groups == 1:
        assert (radix.histogram(there, valid=words) == reference.histogram(values[flags].astype(np.float64))).all()


@pytest.mark.parametrize("values", [
    np.full(4000, 3.25), np.zeros(4000), np.random.default_rng(0).normal(size=4000),
    np.where(np.random.default_rng(1).random(4000) < 0.9, 0.0, np.random.default_rng(2).lognormal(size=4000)),
    np.repeat([1.0, 1e10, -1e-10, 1e18, -1e18], 800),
], ids=["constant", "zeros", "normal", "mostly zeros", "far apart"])  # fmt: skip
def test_where_the_runs_lie_does_not_show(device, values, monkeypatch):
    wanted = reference.histogram(values)
    for runs in (None, [0, 0, 0], [65_535, 0, 32_768], [49_000, 49_500, 48_900]):
        if runs is not None:
            monkeypatch.setattr(radix, "_runs", lambda bins, width, chosen=runs: chosen)
        assert (radix.histogram(device.upload(values)) == wanted).all()


def test_runs_hold_most_of_a_sample():
    bins = np.sort(reference.bins_of(np.random.default_rng(0).normal(size=300)))
    runs = radix._runs(bins, 3072)
    inside = np.zeros(len(bins), bool)
    for first in runs:
        inside |= (bins >= first) & (bins < first + 3072)
    assert inside.mean() > 0.99


def test_the_first_nan_is_named_and_counted_nowhere(device):
    values = np.ones(3000)
    values[[1700, 2100, 50]] = [np.nan, -np.nan, np.nan]
    flags = np.ones(3000, bool)
    flags[50] = False
    table, nan = radix.counted(device.upload(values), valid=device.upload(packed(flags)))
    assert nan == 1700 and table.sum() == 2997
    assert radix.counted(device.upload(np.ones(5)))[1] is None
    assert radix.counted(device.upload(np.ones(5, np.int64)))[1] is None


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
    radix.histogram(there)
    assert device.launches == 2
    radix.rows_between(there, np.array([0]), np.array([2**60]))
    assert device.launches <= 5
