"""Bitmaps and rows taken out of columns against NumPy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.backends.gpu.columns import packed
from gpupipe.kernels.gpu import bits

SIZES = [1, 31, 32, 33, 2047, 2048, 2049, 8193, 20_000]
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def flags_of(n, share, seed):
    return np.random.default_rng(seed).random(n) < share


def with_noise(device, flags):
    """The bitmap, with anything in the bits beyond the rows."""
    words = packed(flags)
    if len(flags) % 32:
        words[-1] |= np.uint32(0xA5A5A5A5 << len(flags) % 32 & 0xFFFFFFFF)
    return device.upload(words)


@few
@given(st.sampled_from([0, *SIZES]), st.sampled_from([0.0, 0.01, 0.5, 1.0]), st.integers(0, 99))
def test_positions(device, n, share, seed):
    flags = flags_of(n, share, seed)
    words = with_noise(device, flags)
    found = bits.positions(words, n)
    assert found.dtype == np.int64 and found.to_host().tolist() == np.flatnonzero(flags).tolist()


@pytest.mark.parametrize("kind", ["bool", "i1", "u2", "i4", "f4", "i8", "f8"])
@pytest.mark.parametrize("index", ["i4", "i8"])
def test_rows_are_taken(device, kind, index):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, 700 * np.dtype(kind).itemsize, np.uint8).view("u1" if kind == "bool" else kind)
    values = values % 2 == 1 if kind == "bool" else values
    rows = rng.integers(0, len(values), 1001).astype(index)
    found = bits.take(device.upload(values), device.upload(rows))
    assert found.dtype == values.dtype and found.to_host().tobytes() == values[rows].tobytes()
    assert len(bits.take(device.upload(values), device.upload(rows[:0]))) == 0


@few
@given(st.sampled_from(SIZES), st.sampled_from([0, *SIZES]), st.sampled_from(["i4", "i8"]), st.integers(0, 99))
def test_bits_are_taken(device, n, taken, index, seed):
    flags, rows = flags_of(n, 0.5, seed), np.random.default_rng(seed).integers(0, n, taken).astype(index)
    found = bits.take_bits(with_noise(device, flags), device.upload(rows))
    assert found.dtype == np.uint32 and found.to_host().tolist() == packed(flags[rows]).tolist()


@few
@given(st.sampled_from(SIZES), st.sampled_from(["f4", "f8"]), st.integers(0, 99))
def test_the_first_odd_row(device, n, kind, seed):
    rng = np.random.default_rng(seed)
    values = rng.choice(np.array([np.nan, -np.nan, np.inf, -np.inf, 3e38, 0.0], kind), n, p=[0.01] * 4 + [0.48] * 2)
    flags, groups = flags_of(n, 0.7, seed), rng.integers(-1, 2, n).astype(np.int32)
    there, valid, of = device.upload(values), with_noise(device, flags), device.upload(groups)
    for words, group in ((None, None), (valid, None), (None, of), (valid, of)):
        seen = np.ones(n, bool)
        if words is not None:
            seen &= flags
        if group is not None:
            seen &= groups >= 0
        odd = [np.flatnonzero(flags & seen) for flags in (np.isnan(values), np.isinf(values))]
        wanted = [[int(rows[0]) if len(rows) else None] for rows in odd]
        assert [[row] for row in bits.first_odd(there, words, group)] == wanted


def test_integers_are_never_odd(device):
    assert bits.first_odd(device.upload(np.arange(9))) == (None, None)
    assert device.launches == 0
