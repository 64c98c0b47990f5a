"""Numbered groups come to the states of sorted ones, array by array; Polars counts and adds the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.states import numbered
from gpupipe.backends.states.gathering import gather, merge
from gpupipe.backends.states.numbered import Numbered, resolved
from gpupipe.backends.states.state import Groups, State, groups_of
from gpupipe.columns import Column
from gpupipe.runtime import merging
from gpupipe.schema import Boolean, Float64, Int64, String

KINDS = ("count", "sum", "moments", "extremes", "values")


@pytest.fixture(autouse=True)
def _of_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered, "_FEW_ROWS", 0)


def alike(one: State, other: State) -> None:
    """Two states are the same, to the bit."""
    assert one.kind == other.kind and one.arrays.keys() == other.arrays.keys()
    assert one.numbering is None is other.numbering
    for a, b in zip(one.keys, other.keys, strict=True):
        same_column(a, b)
    for name, array in {"rows": one.rows, **one.arrays}.items():
        known = {"rows": other.rows, **other.arrays}[name]
        assert array.dtype == known.dtype and np.array_equal(array, known), name
    assert (one.entries is None) == (other.entries is None)
    if one.entries is not None and other.entries is not None:
        same_column(one.entries.values, other.entries.values)
        assert np.array_equal(one.entries.groups, other.entries.groups)
        assert np.array_equal(one.entries.counts, other.entries.counts)


def same_column(one: Column, other: Column) -> None:
    assert one.dtype == other.dtype
    assert (one.valid is None) == (other.valid is None) and np.array_equal(one.valid, other.valid)  # type: ignore
    text = one.dtype == String
    assert one.values.to_pylist() == other.values.to_pylist() if text else np.array_equal(one.values, other.values)


def by_numbers(parts: Sequence[tuple[list[Column], Column]], kinds: Sequence[str]) -> list[State] | None:
    """The states of all parts; None where groups were not numbered."""
    known, states = Numbered(), []
    for keys, values in parts:
        places = tuple(range(len(keys)))
        found = known.groups([places, ()], keys.__getitem__, len(values))
        if places not in found:
            return None
        states.append([gather(kind, values, found[places]) for kind in kinds])
    numbering = states[0][0].numbering
    if all(each[0].numbering is numbering for each in states):
        return resolved(numbering.merged(states))
    return [merge([resolved(each)[at] for each in states]) for at in range(len(kinds))]


def by_keys(parts: Sequence[tuple[list[Column], Column]], kinds: Sequence[str]) -> list[State]:
    states = [[gather(kind, values, groups_of(keys, len(values))) for kind in kinds] for keys, values in parts]
    return [merge([each[at] for each in states]) for at in range(len(kinds))]


def column_of(values: Sequence[object], dtype: object, dictionary: bool = False) -> Column:
    valid = np.array([value is not None for value in values], bool)
    mask = None if valid.all() else valid
    if dtype == String:
        texts = pa.array(["" if value is None else value for value in values], pa.string())
        return Column(String, texts.dictionary_encode() if dictionary else texts, mask)
    storage = {"Int64": np.int64, "Float64": np.float64, "Boolean": np.bool_}[dtype.name]  # type: ignore
    return Column(dtype, np.array([0 if value is None else value for value in values], storage), mask)  # type: ignore


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[list[Column], Column]]:
    """Partitions of some keys and a value."""
    kinds = draw(st.lists(st.sampled_from(["text", "dictionary", "whole", "flag"]), min_size=1, max_size=3))
    some = {
        "text": st.text("abé", max_size=3),
        "dictionary": st.text("ab", max_size=2),
        "whole": st.integers(-5, 40),
        "flag": st.booleans(),
    }
    value = draw(st.sampled_from([st.integers(0, 1).map(float), st.floats(-1e9, 1e9), st.integers(-9, 9).map(float)]))
    dtypes = {"text": String, "dictionary": String, "whole": Int64, "flag": Boolean}
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        exactly: dict[str, Any] = dict.fromkeys(("min_size", "max_size"), draw(st.integers(8, 30)))
        columns = []
        for kind in kinds:
            one = st.none() | some[kind] if draw(st.booleans()) else some[kind]
            columns.append(column_of(draw(st.lists(one, **exactly)), dtypes[kind], kind == "dictionary"))
        parts.append((columns, column_of(draw(st.lists(st.none() | value, **exactly)), Float64)))
    return parts


@settings(max_examples=60, deadline=None)
@given(tables())
def test_the_same_states(parts: list[tuple[list[Column], Column]]) -> None:
    found = by_numbers(parts, KINDS)
    if found is not None:
        for one, other in zip(found, by_keys(parts, KINDS), strict=True):
            alike(one, other)


def rows(rng: np.random.Generator, first: int, last: int, size: int = 400) -> tuple[list[Column], Column]:
    zone, names = rng.integers(first, last, size), rng.integers(0, last, size)
    keys = [column_of([f"n{at}" for at in names], String), Column(Int64, zone)]
    return keys, Column(Float64, np.round(rng.normal(size=size), 1))


def test_more_values_than_a_key_had_room_for() -> None:
    """The second key has more values in later partitions; numbers of before are resolved."""
    rng = np.random.default_rng(3)
    parts = [rows(rng, 0, 4), rows(rng, 0, 12), rows(rng, -9, 12), rows(rng, -9, 12)]
    found = by_numbers(parts, KINDS)
    assert found is not None
    for one, other in zip(found, by_keys(parts, KINDS), strict=True):
        alike(one, other)


@pytest.mark.parametrize(
    "key",
    [
        Column(Float64, np.arange(40.0)),
        Column(Int64, np.arange(40) * 2**40),
        column_of([f"v{at}" for at in range(40)], String).rows(0, 40),
    ],
    ids=["floats", "far apart", "more groups than rows"],
)
def test_what_is_not_numbered(key: Column) -> None:
    others = [Column(Int64, np.arange(40) % 7)]
    assert by_numbers([([key, *others, *others], Column(Float64, np.ones(40)))], ["count"]) is None


def test_groups_of_more_rows_than_are_gathered() -> None:
    """Groups may be those of a whole partition where only some of its rows are taken in."""
    by = groups_of([Column(Int64, np.array([0, 1, 1, 0]))], 4)
    some = Groups(by.of_row[:3] if by.of_row is not None else None, by.keys, by.rows)
    assert gather("count", Column(Float64, np.ones(3)), some).arrays["n"].tolist() == [1, 2]


@pytest.mark.parametrize("memory", [None, "48KiB"], ids=["in memory", "scattered"])
def test_a_fit_over_partitions(memory: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, counts and out-of-fold sums by text and number; a small memory scatters the states over files."""
    rng = np.random.default_rng(5)
    size = 6_000
    table = pa.table(
        {
            "name": pa.array([None if at % 31 == 0 else f"n{at}" for at in rng.integers(0, 900, size)]),
            "zone": pa.array(rng.integers(0, 20, size), pa.int16(), mask=rng.random(size) < 0.1),
            "fare": np.round(rng.gamma(2, 9, size), 2),
            "paid": rng.integers(0, 2, size).astype(np.int8),
        }
    )
    scattered = []
    real = merging._Family._scatter

    def counted(self: merging._Family, taken: list[list[State]]) -> None:
        scattered.append(len(taken))
        real(self, taken)

    monkeypatch.setattr(merging._Family, "_scatter", counted)
    features = [
        col("fare").mean().over("name", "zone").alias("mean"),
        col("fare").max().over("zone").alias("most"),
        gp.cols("name", "zone").target_mean(smoothing=3, folds=3),
    ]
    pipeline = gp.Pipeline(features, target="paid", memory=memory)
    found = pipeline.fit_transform(gp.scan(table, partitions=5), output="polars")
    assert bool(scattered) == (memory is not None)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    known = frame.select(pl.col("fare").mean().over("name", "zone"), most=pl.col("fare").max().over("zone"))
    assert np.allclose(found["mean"].to_numpy(), known["fare"].to_numpy(), rtol=1e-6)
    assert np.allclose(found["most"].to_numpy(), known["most"].to_numpy(), rtol=1e-6)
    whole = gp.Pipeline(features, target="paid", device="reference").fit(gp.scan(table, partitions=1))
    assert pipeline.state_digest() == whole.state_digest()
