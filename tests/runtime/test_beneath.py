"""Columns that wait beneath the matrix that is made of them: the same matrix, to the bit, as where they wait elsewhere.

The oracle is the same run without: every column in memory of its own, as decoded.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.tree import DecisionTreeRegressor
from strategies import drawn_tables, matrix_features

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.cpu import CpuProgram
from gpupipe.columns import Frame, Values
from gpupipe.errors import GpupipeError
from gpupipe.runtime import beneath, halving
from gpupipe.runtime import rows as rows_module
from gpupipe.runtime.beneath import Beneath, beneath_matrix
from gpupipe.runtime.rows import Rows
from gpupipe.sources import decoding

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "FEWEST", 32)
    monkeypatch.setattr(halving.gc, "collect", lambda: 0)


@contextlib.contextmanager
def from_bytes(least: int) -> Iterator[list[Rows]]:
    """Columns wait beneath matrices from so many bytes on; the rows of every run."""
    made: list[Rows] = []
    init = Rows.__init__

    def noted(self: Rows, *args: Any, **how: Any) -> None:
        init(self, *args, **how)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beneath, "_LEAST", least)
        patch.setattr(Rows, "__init__", noted)
        yield made


def both(make: Any) -> tuple[Any, Any, list[Rows]]:
    """What `make` gives with columns beneath the matrix and without, and the rows of the first."""
    with from_bytes(0) as made:
        one = outcome(make)
    with from_bytes(2**60):
        other = outcome(make)
    return one, other, made


def outcome(make: Any) -> Any:
    try:
        return make()
    except GpupipeError as error:
        return f"{type(error).__name__}: {error}"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 rows in row groups of 700: numbers, text as a dictionary and not, nulls."""
    rng, n = np.random.default_rng(3), 4000
    table = pa.table(
        {
            "i": pa.array(rng.integers(-5, 900, n).astype(np.int32), mask=rng.random(n) < 0.2),
            "l": pa.array(rng.integers(-5, 2**40, n), mask=rng.random(n) < 0.2),
            "f": pa.array(rng.normal(size=n).astype(np.float32), mask=rng.random(n) < 0.2),
            "d": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.2),
            "s": pa.array([f"v{number}" for number in rng.zipf(1.5, n) % 50], mask=rng.random(n) < 0.2),
            "t": [f"text {number}" for number in rng.integers(0, 3000, n)],
            "y": rng.normal(size=n),
        }
    )
    path = tmp_path_factory.mktemp("beneath") / "rows.parquet"
    pq.write_table(table, path, row_group_size=700)
    return path


NUMBERS = gp.cols("i", "l", "f", "d").fill_null("median").clip(0).log1p().standardize()
FEATURES = [
    NUMBERS,
    gp.cols("s", "t").codes(min_count=2),
    *((col("d") * at).cast("Float32").alias(f"d {at}") for at in range(2, 12)),
]


def scanned(path: Path) -> gp.Source:
    return gp.scan(path, partitions=6)


def matrix_of(path: Path, features: Any = None, **how: Any) -> Values:
    pipeline = gp.Pipeline(FEATURES if features is None else features, **how)
    found = pipeline.fit_transform(scanned(path), output="numpy")
    assert isinstance(found, np.ndarray)
    return found


# -- the same bits ----------------------------------------------------------------------------------------------
@QUICK
@given(
    drawn_tables(), st.lists(matrix_features(), min_size=1, max_size=3), st.integers(1, 6), st.sampled_from([0, None])
)
def test_the_matrix_is_the_same(tmp_path_factory: Any, drawn: Any, features: Any, groups: int, memory: Any) -> None:
    path = tmp_path_factory.mktemp("drawn") / "rows.parquet"
    pq.write_table(drawn.table, path, row_group_size=max(drawn.table.num_rows // groups, 1))
    named = [feature.cast("Float32").alias(f"feature {at}") for at, feature in enumerate(features)]
    one, other, _ = both(lambda: matrix_of(path, named, memory=memory))
    assert same(one, other)


@pytest.mark.parametrize("width", [1, 2, 9])
@pytest.mark.parametrize("nulls", [0.0, 0.1])
def test_floats_are_decoded_where_they_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, nulls: float
) -> None:
    """By our own decoder, into the matrix's memory, over one scan and two; of the least width not all fit there."""
    pytest.importorskip("numba")
    monkeypatch.setattr(decoding._Tally, "started", True)
    rng, names = np.random.default_rng(3), [f"f{at}" for at in range(12)]
    columns = {name: rng.normal(size=4000).astype(np.float32) for name in names}
    valid = {name: rng.random(4000) >= nulls for name in names}
    table = {name: pa.array(columns[name], mask=~valid[name]) for name in names}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet", row_group_size=700)
    far = (gp.col("f0") / (gp.col("f0") - gp.col("f0").mean()).abs().mean()).alias("far")  # another scan
    wide = [
        (col(name).fill_null("mean").standardize() * at).alias(f"{name} {at}") for name in names for at in range(width)
    ]
    for features in (wide, [*wide, far]):
        one, other, (rows,) = both(lambda given=features: matrix_of(tmp_path / "rows.parquet", given))
        assert same(one, other) and rows.source_reads == 1
        assert width == 1 or rows.kept_bytes == 0
        assert rows._cache.beneath_bytes > 0.7 * min(one.nbytes, 4000 * 12 * 4)


def test_every_column_is_there_and_nowhere_else(files: Path) -> None:
    """The work: one read, nothing kept beside the matrix, the matrix in the memory where the columns were."""
    one, other, (rows,) = both(lambda: matrix_of(files))
    assert same(one, other) and rows.source_reads == 1
    assert 0 < rows._cache.beneath_bytes < one.nbytes and rows.kept_bytes == rows.spilled_bytes == 0
    assert np.shares_memory(one, rows.matrix(one.shape[1]))
    with from_bytes(2**60) as made:
        matrix_of(files)
    assert made[0]._cache.beneath_bytes == 0 and made[0].kept_bytes > rows._cache.beneath_bytes


SUM = (col("l") + col("d") + col("f") + col("i")).fill_null(0).standardize()
FEW = [(SUM * at).cast("Float32").alias(f"x{at}") for at in range(1, 4)]


def test_what_does_not_fit_waits_elsewhere(files: Path) -> None:
    one, other, (rows,) = both(lambda: matrix_of(files, FEW))
    assert same(one, other) and rows.source_reads == 1
    assert 0 < rows._cache.beneath_bytes <= one.nbytes and rows.kept_bytes > 0


def test_and_may_be_spilled(files: Path) -> None:
    one, other, (rows,) = both(lambda: matrix_of(files, FEW, memory=0))
    assert same(one, other) and rows.source_reads == 1 and rows._cache.beneath_bytes > 0 and rows.spilled_bytes > 0
    with from_bytes(2**60) as made:
        matrix_of(files, FEW, memory=0)
    assert rows.spilled_bytes < made[0].spilled_bytes


# -- trips, halves, errors --------------------------------------------------------------------------------------
def test_trips_between_see_them(files: Path) -> None:
    """Quantiles are settled, and a second scan is made, of what stands beneath."""
    far = (col("d") - col("d").median()).abs()
    features = [far.mean().alias("a") + col("d"), (col("f") - far.mean()).alias("b"), (col("i") * 2).alias("c")]
    one, other, (rows,) = both(lambda: matrix_of(files, [f.cast("Float32") for f in features]))
    assert same(one, other) and rows.source_reads == 1 and rows._cache.beneath_bytes > 0


@pytest.mark.parametrize("limit", [40, 200, 500])
def test_halves_of_a_partition_see_its_columns_still(files: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition is begun again after the memory of its rows was written to."""
    whole, matrix = matrix_of(files), CpuProgram.matrix

    def fails(self: CpuProgram, frame: Frame, out: Values) -> None:
        matrix(self, frame, out)
        if frame.n_rows > limit:
            out[:] = -1
            raise MemoryError

    monkeypatch.setattr(CpuProgram, "matrix", fails)
    with from_bytes(0) as made:
        assert same(matrix_of(files), whole)
    assert made[0].retries >= 6 and made[0].source_reads == 1


def test_a_frame_is_taken_again_where_memory_lacks(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, failed = matrix_of(files), set[int]()
    from_packed = rows_module.Cache._unpacked

    def fails(self: Any, index: int, parts: Any, *, stays: bool) -> Any:
        if not stays and index not in failed:
            failed.add(index)
            raise MemoryError
        return from_packed(self, index, parts, stays=stays)

    monkeypatch.setattr(rows_module.Cache, "_unpacked", fails)
    with from_bytes(0) as made:
        assert same(matrix_of(files), whole)
    assert made[0].retries == 6 and made[0].source_reads == 1


def test_an_error_in_the_last_trip_is_the_same(files: Path) -> None:
    features = [(col("i") // col("i").fill_null(0).min().cast("Int64")).cast("Int8").cast("Float32").alias("x")]
    one, other, _ = both(lambda: matrix_of(files, features))
    assert same(one, other)


# -- fits with a model ------------------------------------------------------------------------------------------
class Keeping(RegressorMixin, BaseEstimator):
    """Keeps what it was trained on."""

    seen: list[Any] = []  # noqa: RUF012

    def fit(self, X: Any, y: Any) -> "Keeping":
        Keeping.seen.append((X, y))
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def test_a_model_is_trained_on_it(files: Path) -> None:
    def fitted() -> Values:
        pipeline = gp.Pipeline(FEATURES, target="y", model=DecisionTreeRegressor(max_depth=5, random_state=0))
        found: Values = pipeline.fit(scanned(files)).predict(scanned(files), output="numpy")
        return found

    one, other, made = both(fitted)
    assert same(one, other)
    assert made[0]._cache.beneath_bytes > 0 and made[0].kept_bytes == 0 and made[0].source_reads == 1


def test_rows_read_after_that_do_not_overwrite_it(files: Path) -> None:
    """What is asked for once the matrix stands is read from the source, and kept nowhere."""
    with from_bytes(0):
        rows = Rows(scanned(files), ["i", "d"])
        rows.makes_matrix(9)
    frames = [rows.frame(index) for index in range(rows.n_partitions)]
    matrix = rows.matrix(9)
    assert matrix is not None and rows._cache.beneath_bytes > 0
    matrix[:] = 7
    for _ in range(2):
        again = [rows.frame(index) for index in range(rows.n_partitions)]
    assert (matrix == 7).all() and rows.source_reads == 2
    assert all(same(a["i"].values, b["i"].values) for a, b in zip(frames, again, strict=True))
    rows.close()


# -- where there is none ----------------------------------------------------------------------------------------
WIDE = [*FEATURES, col("s").one_hot()]


@pytest.mark.parametrize(
    "features", [WIDE, [*FEATURES, col("d").cast("Float64").alias("exact")]], ids=["wide", "exact"]
)
def test_where_its_width_is_not_known_or_it_is_no_matrix(files: Path, features: Any) -> None:
    one, other, (rows,) = both(lambda: matrix_of(files, features))
    assert same(one, other) and rows._cache.beneath_bytes == 0 and rows.kept_bytes > 0


@pytest.mark.parametrize(
    ("make", "beneath_"),
    [
        (lambda path: gp.Pipeline(FEATURES).fit_transform(scanned(path)), False),
        (lambda path: gp.Pipeline(FEATURES).fit(scanned(path)), False),
        (lambda path: gp.Pipeline(FEATURES).fit_transform(scanned(path), output="numpy"), True),
        (lambda path: gp.Pipeline(FEATURES).fit_transform(scanned(path).filter(col("i") > 3), output="numpy"), False),
        (lambda path: gp.Pipeline(FEATURES).fit_transform(pq.read_table(path), output="numpy"), False),
        (lambda path: gp.Pipeline(FEATURES, device="reference").fit_transform(path, output="numpy"), True),
    ],
    ids=["a table", "no features", "a matrix", "heights not known", "in memory anyway", "the reference"],
)
def test_only_where_a_matrix_is_made_of_what_was_read(files: Path, make: Any, beneath_: bool) -> None:
    with from_bytes(0) as made:
        make(files)
    assert (made[0]._cache.beneath_bytes > 0) == beneath_


def test_an_array_of_the_user_is_written_to_at_the_end_alone(files: Path) -> None:
    """Who gives `out` finds it as it was, where the fit fails."""
    out = np.full((4000, 17), 5, np.float32)
    with from_bytes(0), pytest.raises(GpupipeError):
        gp.Pipeline([*FEATURES[:-1], (col("d") / 0).mean().alias("x")]).fit_transform(scanned(files), out=out)
    assert (out == 5).all()


def test_small_matrices_and_unknown_ones_are_not_worth_it() -> None:
    assert beneath_matrix([1000], 10) is None and beneath_matrix(None, 10) is None
    found = beneath_matrix([10**6, 5], 10)
    assert found is not None and found.matrix.shape == (10**6 + 5, 10)


def test_memory_that_is_not_there_is_left_to_whoever_makes_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Any) -> Values:
        raise MemoryError

    monkeypatch.setattr(beneath, "untouched", none)
    assert beneath_matrix([10**7], 10) is None


@QUICK
@given(st.lists(st.integers(0, 90), min_size=1, max_size=9), st.integers(1, 50))
def test_blocks_lie_apart_beneath_their_rows(heights: list[int], width: int) -> None:
    made = Beneath(heights, width)
    made.matrix[:] = 0
    first = 0
    for index, height in enumerate(heights):
        block = made.block(index)
        assert block.ctypes.data % 64 == 0 or not len(block)
        assert 4 * height * width - 64 < len(block) <= 4 * height * width
        block[:] = 255
        rows = made.matrix[first : first + height]
        assert np.count_nonzero(made.matrix.view(np.uint8)) == np.count_nonzero(rows.view(np.uint8)) == len(block)
        block[:], first = 0, first + height
