"""A row by itself: the bits of the same row in a batch, and the errors of the general way."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.one_row import OneRow, RowReader
from gpupipe.backends.rows import column_of, frame_of_rows
from gpupipe.errors import ColumnNotFoundError, GpupipeError, SchemaMismatchError
from gpupipe.schema import Boolean, Date, Float32, Float64, Int8, Int64, Schema, String, UInt64
from gpupipe.serve.scorer import Scorer

TYPES = {"d": Float64, "s": Float32, "i": Int64, "b": Int8, "u": UInt64, "text": String, "flag": Boolean, "day": Date}
SCHEMA = Schema(TYPES)
PLAIN = {"d": 1.5, "s": 0.1, "i": -3, "b": 7, "u": 2**63, "text": "Zürich", "flag": True, "day": None}


def training(rows: int = 400) -> pa.Table:
    rng = np.random.default_rng(7)
    kinds = (pa.int32(), pa.float32(), pa.int64(), pa.float64())
    columns = {
        f"n{at}": pa.array(np.floor(rng.lognormal(1, 2, rows)) - 1, mask=rng.random(rows) < 0.2).cast(kind)
        for at, kind in enumerate(kinds)
    }
    columns |= {f"c{at}": pa.array([f"k{v}" for v in rng.zipf(1.5, rows) % 9]) for at in range(3)}
    return pa.table({**columns, "label": pa.array(rng.random(rows) < 0.5)})


def scorer(*further: Any) -> Scorer:
    numbers = gp.numeric().fill_null("median").clip(0).log1p().standardize()
    features = [numbers, gp.cols("c0", "c1", "c2").codes(min_count=2), *further]
    fitted = gp.Pipeline(features, target=col("label"), model=LogisticRegression()).fit(training())
    return Scorer(fitted._fit.features, fitted.model_)


PIPELINES = {
    "numbers and codes": scorer(),
    "a text in two ways": scorer(col("c0").one_hot(), col("c1").str.len_chars().fill_null(0).alias("letters")),
    "the same codes twice": scorer(col("c1").codes(min_count=2).alias("again")),
    "codes in a formula": scorer((col("c0").codes().cast("Float64") * col("n1").fill_null(0)).alias("both")),
}
number = st.none() | st.integers(-(2**20), 2**20) | st.floats(-(2.0**99), 2.0**99, width=32)
text = st.none() | st.sampled_from(["k1", "k2", "k5", "new", "", "é"])
rows = st.fixed_dictionaries(
    {
        **{f"n{at}": st.none() | st.integers(-(2**20), 2**20) if at % 2 == 0 and at < 3 else number for at in range(4)},
        **{f"c{at}": text for at in range(3)},
    }
)


@pytest.mark.parametrize("which", PIPELINES)
@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=4))
def test_a_row_has_the_bits_it_has_in_a_batch(which: str, given_rows: list[dict[str, Any]]) -> None:
    scorer = PIPELINES[which]
    batch = scorer.predict_proba(given_rows)
    single = np.concatenate([scorer.predict_proba(row) for row in given_rows])
    assert single.tobytes() == batch.tobytes()


def test_a_plain_row_is_read_here() -> None:
    frame = RowReader(SCHEMA, list(TYPES)).frame(PLAIN, column_of)
    assert frame is not None
    assert isinstance(frame.columns, OneRow)
    general = frame_of_rows(PLAIN, SCHEMA, list(TYPES))
    assert list(frame.columns) == list(general.columns)
    for name in TYPES:
        mine, other = frame[name], general[name]
        assert (mine.dtype, mine.null_count) == (other.dtype, other.null_count)
        if name == "text":
            assert mine.values.to_pylist() == other.values.to_pylist()
        else:
            assert (mine.values.dtype, mine.values.tolist()) == (other.values.dtype, other.values.tolist())


odd = st.sampled_from(
    [None, True, 1, 0, -1, 2**24 + 1, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 128, 0.5, float("nan"), float("inf"),
     1e300, "x", "\ud800", b"x", [1.0], [1.0, 2.0], [], {}, np.float64(2.5), np.int64(3), np.str_("k")]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(TYPES, odd)))
def test_what_is_odd_is_as_in_the_general_way(changed: dict[str, Any]) -> None:
    """The same columns, or the same error in the same words."""
    row = {**PLAIN, **changed}
    found = RowReader(SCHEMA, list(TYPES)).frame(row, column_of)
    try:
        general = frame_of_rows(row, SCHEMA, list(TYPES))
    except GpupipeError:
        assert found is None
        return
    if found is None:
        return
    assert found.n_rows == general.n_rows
    for name in TYPES:
        mine, other = found[name], general[name]
        assert mine.null_count == other.null_count
        if mine.null_count == 0:
            assert mine.values.tolist() == other.values.tolist()


def test_errors_name_column_and_value() -> None:
    scorer = PIPELINES["numbers and codes"]
    row = dict.fromkeys(scorer.features.plan.columns)
    with pytest.raises(ColumnNotFoundError, match="c2"):
        scorer.predict_proba({name: value for name, value in row.items() if name != "c2"})
    with pytest.raises(SchemaMismatchError, match="'three'") as caught:
        scorer.predict_proba({**row, "n1": "three"})
    assert (caught.value.row, caught.value.column) == (0, "n1")
    with pytest.raises(SchemaMismatchError):
        scorer.predict_proba({**row, "c1": 5})


def test_whole_numbers_for_a_date_are_refused_by_their_row() -> None:
    """In rows as in one row; as a column of numbers they would be refused without it."""
    with pytest.raises(SchemaMismatchError, match="Row 1, column 'day': it was Date in the fit; it was given 5"):
        frame_of_rows([{**PLAIN, "day": None}, {**PLAIN, "day": 5}, {**PLAIN, "day": 6}], SCHEMA, list(TYPES))
