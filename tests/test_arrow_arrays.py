"""Arrow arrays by their buffers: what pyarrow's own conversions give, and without pandas."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

import gpupipe as gp
from gpupipe import arrow_arrays, col
from gpupipe.optional import available

_PLAIN = [
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.none() | st.floats(width=64)),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.text()),
    st.lists(st.integers(2**62, 2**64)),
    st.lists(st.none() | st.integers(0, 9) | st.floats(0, 1)),
]


def outcome(make: Any, *given: Any, **settings: Any) -> Any:
    try:
        return make(*given, **settings)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeError) as error:
        return type(error)


@given(st.one_of(_PLAIN))
def test_lists_are_pyarrows(values: list[Any]) -> None:
    ours, theirs = outcome(arrow_arrays.array_from, values), outcome(pa.array, values, from_pandas=True)
    if isinstance(theirs, pa.Array):
        ours.validate(full=True)
        assert ours.type == theirs.type and ours.equals(theirs), (ours, theirs)
    else:
        assert ours is theirs


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100])
def test_numbers_are_pyarrows(dtype: str, size: int) -> None:
    rng = np.random.default_rng(size)
    values = rng.integers(0, 2 if dtype == "bool" else 100, 2 * size).astype(dtype)[::2]
    if dtype.startswith("float"):
        values[::3] = np.nan
    valid = rng.random(size) < 0.6
    assert arrow_arrays.array_from(values).equals(pa.array(values, from_pandas=True))
    ours = arrow_arrays.array_of(values, valid)
    ours.validate(full=True)
    assert ours.filter(pa.array(valid)).to_numpy(zero_copy_only=False).tobytes() == values[valid].tobytes()
    assert ours.is_valid().to_pylist() == valid.tolist()
    back = arrow_arrays.values_of(ours[1:])
    assert back.dtype == values.dtype and back.tobytes() == values[1:].tobytes()
    zeros = arrow_arrays.values_of(arrow_arrays.filled(ours))
    assert zeros.tobytes() == np.where(valid, values, values.dtype.type(0)).tobytes()


def test_times_and_casts_are_pyarrows() -> None:
    ticks, valid = np.array([0, -5, 10**15]), np.array([True, False, True])
    for kind in (pa.timestamp("us"), pa.timestamp("us", "Europe/Rome"), pa.duration("us")):
        assert arrow_arrays.array_of(ticks, valid, kind).equals(pa.array(ticks, type=kind, mask=~valid))
    days = np.array([1, 2], np.int32)
    assert arrow_arrays.array_of(days, None, pa.date32()).equals(pa.array(days, type=pa.date32()))
    with pytest.raises(pa.ArrowInvalid):
        arrow_arrays.array_of(np.array([300]), None, pa.int8())


def test_what_stands_in_the_place_of_null() -> None:
    for kind in (pa.string(), pa.large_string()):
        assert arrow_arrays.filled(pa.array(["a", None], kind)).equals(pa.array(["a", ""], kind))
    for kind in (pa.bool_(), pa.int8(), pa.float64(), pa.timestamp("us", "UTC"), pa.date32(), pa.duration("us")):
        zero = pa.array([0], pa.int64()).cast(pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
        assert arrow_arrays.filled(pa.array([None], kind)).equals(zero)


def test_half_of_a_surrogate_pair_is_refused() -> None:
    for texts in (["\ud800"], ["a", "\ud800"]):
        with pytest.raises(UnicodeEncodeError):
            arrow_arrays.texts_of(texts)


def table_of_rows() -> pa.Table:
    size = 300
    return pa.table(
        {
            "x": [None if at % 7 == 0 else float(at % 13) for at in range(size)],
            "k": [at % 5 for at in range(size)],
            "city": [None if at % 11 == 0 else "abc"[at % 3] for at in range(size)],
            "on": [at % 4 == 0 for at in range(size)],
            "at": [f"2024-01-{1 + at % 28:02} 10:00:00" for at in range(size)],
            "y": [float(at % 17) for at in range(size)],
        }
    )


_NUMBERS = "[col('x').fill_null('median').clip(0).log1p().standardize(), col('k'), col('city').codes(min_count=2)]"
_RUN = f"""
import sys, traceback

class Watched:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            traceback.print_stack()

sys.meta_path.insert(0, Watched())
import numpy as np
import pyarrow.parquet as pq
import gpupipe as gp
from gpupipe import col

table = pq.ParquetFile("rows.parquet").read()  # read_table imports pandas
data = table.to_pydict()
arrays = {{"x": np.array(data["y"]), "k": np.array(data["k"]), "city": np.array(["a"] * len(table))}}
at, city = col("at").str.to_datetime(), col("city")
features = [
    *{_NUMBERS}, col("on"), at.dt.hour(), city.fill_null("?").str.to_uppercase().alias("u"),
    col("k").cast("String").alias("s"),
    col("x").mean().over("city").alias("m"), (city == "a").alias("is_a"), city.one_hot(),
    col("x").quantile(0.3).alias("q"),
    gp.when(col("k") > 2).then(city).otherwise("none").alias("w"), col("x").target_mean(folds=3).alias("t"),
]
model = gp.load("model.gpp")
for rows in ("rows.parquet", table, data):
    gp.Pipeline(features, target="y").fit(rows).save("features.gpp", overwrite=True)
    gp.load("features.gpp").transform(rows, output="arrow")
    gp.Pipeline(features, target="y").fit_transform(rows, out=f"{{type(rows).__name__}}.parquet")
    model.predict(rows, output="arrow"), model.predict(rows, output="numpy")
gp.Pipeline({_NUMBERS}).fit_transform(arrays, output="numpy")
model.predict(arrays)
scorer = gp.Scorer.load("model.gpp")
scorer.predict({{name: data[name][3] for name in arrays}}), scorer.predict(table), scorer.predict(data)
print("pandas" in sys.modules)
"""


def test_a_run_without_data_frames_does_not_import_pandas(tmp_path: Path) -> None:
    """What scikit-learn imports is its own affair: the model is fitted and saved before."""
    assert available("pandas")
    pq.write_table(table_of_rows(), tmp_path / "rows.parquet")
    features = [col("x").fill_null("mean"), col("k"), col("city").codes(min_count=2)]
    gp.Pipeline(features, target="y", model=LinearRegression()).fit(tmp_path / "rows.parquet").save(
        tmp_path / "model.gpp"
    )
    done = subprocess.run([sys.executable, "-c", _RUN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
