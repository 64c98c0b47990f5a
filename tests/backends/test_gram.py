"""Sums of products of columns and labels, against fractions; the same whatever the order, the parts and the threads."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.gram import gatherer as module
from gpupipe.backends.gram.gatherer import Gatherer
from gpupipe.backends.gram.moments import Indicator, Number, moments
from gpupipe.backends.gram.state import Gram
from gpupipe.columns import Column, Values
from gpupipe.errors import CovarianceError
from gpupipe.kernels.cpu import gram as compiled
from gpupipe.kernels.reference import gram as reference
from gpupipe.schema import Float64, Int64, String

Rows = tuple[list[Column], list[Column], Values]


def hard_rows(n: int, seed: int = 0) -> Rows:
    """Columns that plain sums get wrong, some with nulls; two keys, one with nulls; three cells."""
    rng = np.random.default_rng(seed)
    columns = [
        Column(Float64, rng.normal(size=n)),
        Column(Float64, np.log1p(rng.lognormal(size=n)), rng.random(n) < 0.9),
        Column(Float64, rng.integers(-5, 5, n).astype(float)),
        Column(Float64, 1e15 + rng.normal(size=n), rng.random(n) < 0.5),
        Column(Float64, rng.normal(size=n) * np.exp(rng.normal(size=n) * 10)),
        Column(Float64, np.where(rng.random(n) < 0.5, 1e9, -1e9) + rng.normal(size=n)),
        Column(Float64, np.zeros(n)),
    ]
    keys = [
        Column(String, pa.array(rng.choice(["a", "b", "c"], n)), rng.random(n) < 0.9),
        Column(Int64, rng.integers(0, 20, n)),
    ]
    return columns, keys, rng.integers(0, 3, n)


MASKS = [False, True, False, True, False, False, False]


def gathered(rows: Rows, parts: Sequence[Values], threads: int = 1) -> dict[int, Gram]:
    columns, keys, cells = rows
    gatherer = Gatherer(MASKS, len(keys), list("abcdefg"))

    def one(part: Values) -> None:
        gatherer.update([c.take(part) for c in columns], [k.take(part) for k in keys], cells[part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, parts))
    return gatherer.states()


def product(gram: Gram, a: int, b: int) -> Fraction:
    """The sum of products of two columns."""
    return Fraction(gram.cross[gram.column(a), gram.column(b)]) * Fraction(2) ** int(gram.low[a] + gram.low[b])


def test_sums_are_those_of_fractions() -> None:
    rows = hard_rows(1500)
    found, inside = gathered(rows, [np.arange(1500)])[1], rows[2] == 1
    assert found.n == inside.sum()
    present = [np.ones(1500, bool) if c.valid is None else c.valid for c in rows[0]]
    exact = [[Fraction(v) * int(p) for v, p in zip(c.values[inside], ok[inside], strict=True)]
             for c, ok in zip(rows[0], present, strict=True)]  # fmt: skip
    for a in range(7):
        assert Fraction(found.cross[0, found.column(a)]) * Fraction(2) ** int(found.low[a]) == sum(exact[a])
        for b in range(a + 1):
            assert product(found, a, b) == sum(x * y for x, y in zip(exact[a], exact[b], strict=True))
    null = ~np.asarray(rows[1][0].valid)
    (at,), (seven, missing) = found.places(0, [None]), found.places(1, [7, 20])
    assert found.beside[at, 0] == (null & inside).sum() and missing == -1
    assert found.beside[at, found.mask(3)] == (null & inside & present[3]).sum()
    assert found.met[at, seven] == (null & inside & (rows[1][1].values == 7)).sum()
    whole = sum(x * int(here) for x, here in zip(exact[4], null[inside], strict=True))
    assert Fraction(found.beside[at, found.column(4)]) * Fraction(2) ** int(found.low[4]) == whole


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), threads=st.integers(1, 4))
def test_no_order_of_rows_or_parts_shows(seed: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    rows = hard_rows(400, seed % 7)
    whole = gathered(rows, [np.arange(400)])
    parts = np.array_split(rng.permutation(400), rng.integers(1, 12))
    shuffled = gathered(rows, parts, threads)
    for cell, gram in whole.items():
        arrays, known = gram.to_arrays()
        others, told = shuffled[cell].to_arrays()
        assert gram == shuffled[cell] and known == told
        assert {name: a.tobytes() for name, a in arrays.items()} == {name: a.tobytes() for name, a in others.items()}


@pytest.mark.slow
def test_no_layout_shows_in_a_thousand() -> None:
    rows, rng, found = hard_rows(3000), np.random.default_rng(0), set()
    for _ in range(1000):
        parts = np.array_split(rng.permutation(3000), rng.integers(1, 64))
        states = gathered(rows, parts, int(rng.integers(1, 5)))
        arrays = [states[cell].to_arrays()[0] for cell in sorted(states)]
        found.add(b"".join(each[name].tobytes() for each in arrays for name in ("sums", "met")))
    assert len(found) == 1


def test_taking_out_is_as_if_never_seen() -> None:
    states = gathered(hard_rows(900), [np.arange(900)])
    assert (states[0] + states[1] + states[2]) - states[1] == states[0] + states[2]
    assert states[0] + states[1] != states[0]


def test_arrays_hold_all_of_it() -> None:
    for gram in gathered(hard_rows(300), [np.arange(300)]).values():
        again = Gram.from_arrays(*gram.to_arrays())
        assert again == gram and again.to_arrays()[1] == gram.to_arrays()[1]


def test_both_forms_of_the_kernels_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, found = hard_rows(5000), []
    for form in (reference, compiled):
        monkeypatch.setattr(module, "kernels_for", lambda values, form=form: form)
        found.append(gathered(rows, [np.arange(5000)]))
    assert all(found[0][cell] == found[1][cell] for cell in range(3))


def test_sums_beyond_int64_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpupipe.backends.gram.digits._FITS", 2)
    rows = hard_rows(8000)
    few = gathered(rows, np.array_split(np.arange(8000), 9))
    monkeypatch.undo()
    assert few == gathered(rows, [np.arange(8000)])


def test_moments_of_filled_columns_and_labels() -> None:
    """Against NumPy in long double, on values that it can centre without loss."""
    rng = np.random.default_rng(3)
    x, valid = rng.integers(-40, 40, 600) / 8, rng.random(600) < 0.8
    text = rng.choice(["a", "b", "c"], 600)
    known = rng.random(600) < 0.9
    gatherer = Gatherer([True, False], 1, ["x", "z"])
    columns = [Column(Float64, x, valid), Column(Float64, x**2)]
    gatherer.update(columns, [Column(String, pa.array(text), known)], np.zeros(600, np.int64))
    labels = Indicator(0, "b"), Indicator(0, "c", nulls=True), Indicator(0, "d")
    features: list[Number | Indicator] = [Number(0, 2.0**-20), labels[0], Number(1), *labels[1:]]
    found = moments(gatherer.states()[0], features)
    told = [np.where(valid, x, 2.0**-20), known & (text == "b"), x**2, ~known | (text == "c"), np.zeros(600)]
    made = np.array(told, np.longdouble)
    assert found.n == 600
    assert np.allclose(found.mean.astype(float), made.mean(axis=1).astype(float), rtol=1e-15, atol=0)
    centred = made - made.mean(axis=1)[:, None]
    assert np.allclose(found.cross.astype(float), (centred @ centred.T).astype(float), rtol=1e-14, atol=1e-13)


def test_values_that_are_no_numbers_are_refused_with_their_row() -> None:
    for bad in (np.inf, -np.inf, np.nan):
        gatherer = Gatherer([False], 0, ["x"])
        with pytest.raises(CovarianceError, match=r"x is (-?inf|nan)") as told:
            gatherer.update([Column(Float64, np.array([1.0, bad]))], [], np.zeros(2, np.int64))
        assert told.value.row == 1
    gatherer = Gatherer([True], 0, ["x"])  # but not where they are null
    gatherer.update([Column(Float64, np.array([1.0, np.nan]), np.array([True, False]))], [], np.zeros(2, np.int64))
    assert gatherer.states()[0].cross[gatherer.states()[0].mask(0), 0] == 1


@pytest.mark.parametrize("values", [[1e300, 1.0], [1e39], [1.0, 1e-300], [1e-290], [5e-324, 1e50], [1e100, 1e-200]])
def test_values_too_large_or_too_far_apart_are_told(values: list[float]) -> None:
    gatherer = Gatherer([False], 0, ["x"])
    with pytest.raises(CovarianceError):
        gatherer.update([Column(Float64, np.array(values))], [], np.zeros(len(values), np.int64))


def test_wide_ranges_within_bounds_are_exact() -> None:
    for values in ([1e30, 1e-15], [2.0**-800, 2.0**-790], [3e38, -3e38], [5e-324, 2.0**-850]):
        gatherer = Gatherer([False], 0, ["x"])
        gatherer.update([Column(Float64, np.array(values))], [], np.zeros(2, np.int64))
        assert product(gatherer.states()[0], 0, 0) == sum(Fraction(value) ** 2 for value in values)


def test_more_labels_than_can_be_held_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LABELS", 50)
    gatherer = Gatherer([False], 1, ["x"])
    with pytest.raises(CovarianceError, match="more than 50 categories"):
        gatherer.update([Column(Float64, np.zeros(60))], [Column(Int64, np.arange(60))], np.zeros(60, np.int64))
