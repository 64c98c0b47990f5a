"""Random pipelines over dirty tables from every kind of source: a right answer, or an error that says what to do.

Right is: the same bits from the reference backend, from other partitions and kinds of source, from the saved pipeline,
and row by row. Never another exception, a warning from our own lines, a hang, or a change in silence.
"""

import contextlib
import datetime as dt
import io
import re
import signal
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dirt import FAITHFUL, KINDS, ODD_NAMES, dirty_table, renamed, renamed_table, written
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from strategies import NUMBERS, SIZES, feature_lists, features, matrix_features
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier, XGBRegressor

import gpupipe as gp
from gpupipe import Expr, cli, col
from gpupipe.errors import (
    GpupipeError,
    NonFiniteError,
    NullableFeatureError,
    SchemaMismatchError,
    TargetError,
    TrainingError,
)
from gpupipe.expr.node import walk
from gpupipe.expr.registry import operators

EPS32 = float(np.finfo(np.float32).eps)
SECONDS = 60  # for one case; most take a tenth
MOMENTS = {"mean", "std", "var", "sum"}
outcomes: Counter[str] = Counter()

# -- what is drawn --------------------------------------------------------------------------------------------
_COLUMNS = {"number": NUMBERS, "text": ("s", "d", "words"), "time": ("day", "t", "tz"), "boolean": ("b",)}
_ANY = (*NUMBERS, "s", "d", "b", "day", "t", "tz", "gap", "none", "wild")
_NAMED = {"city": "s", "x": "f", "t": "day"}


@st.composite
def registered(draw) -> Expr:
    """Any operator of ours, over a column of its kind, or now and then of another."""
    ours = [entry for entry in operators() if entry.function.__module__.startswith("gpupipe.")]
    entry = draw(st.sampled_from([one for one in ours if one.name != "vocabulary"]))
    fitting = draw(st.integers(0, 5)) > 0
    x = col(draw(st.sampled_from(_COLUMNS.get(entry.takes, _ANY) if fitting else _ANY)))
    arguments = [_NAMED.get(a, a) if isinstance(a, str) and entry.family != "text" else a for a in entry.arguments]
    method = getattr(getattr(x, entry.namespace) if entry.namespace else x, entry.name)
    return method(*arguments)


def any_features(depth):
    return st.one_of(features(depth), features(depth), registered())


def numeric_features(depth):
    return st.one_of(matrix_features(depth), matrix_features(depth), registered())


CLASSIFIERS = [
    LogisticRegression(max_iter=30), HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2), GaussianNB(),
    RandomForestClassifier(2, random_state=0), XGBClassifier(n_estimators=2, n_jobs=1),
]  # fmt: skip
REGRESSORS = [
    Ridge(), LinearRegression(), HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2),
    RandomForestRegressor(2, random_state=0), XGBRegressor(n_estimators=2, n_jobs=1),
]  # fmt: skip
UNSUPERVISED = [KMeans(2, n_init=1, random_state=0), PCA(1)]


@dataclass(frozen=True)
class Job:
    """A random pipeline and what it is to be run on."""

    features: list[Expr]
    target: str | None
    model: Any
    rows: int
    seed: int
    nulls: float
    kind: str
    odd_names: bool
    filled: bool

    def pipeline(self, device: str) -> gp.Pipeline:
        names = ODD_NAMES if self.odd_names else {}
        made = [renamed(feature.fill_null(0) if self.filled else feature, names) for feature in self.features]
        target = None if self.target is None else names.get(self.target, self.target)
        return gp.Pipeline(made, target=target, model=self.model, device=device)

    def table(self) -> tuple[pa.Table, list[str]]:
        table, done = dirty_table(self.rows, self.seed, self.nulls)
        return (renamed_table(table, ODD_NAMES) if self.odd_names else table), done


@st.composite
def jobs(draw) -> Job:
    family = draw(st.sampled_from(["none", "none", "none", "classifier", "classifier", "regressor", "unsupervised"]))
    models: dict[str, list[Any]] = {
        "none": [None], "classifier": CLASSIFIERS, "regressor": REGRESSORS, "unsupervised": UNSUPERVISED
    }  # fmt: skip
    targets: dict[str, list[str | None]] = {
        "none": ["yes", "label", "amount", "rank", None], "classifier": ["yes", "label", "rank", "b", "amount"],
        "regressor": ["amount", "rank", "f", "label"], "unsupervised": [None],
    }  # fmt: skip
    kinds = any_features if family == "none" else numeric_features
    return Job(
        features=draw(feature_lists(most=4, depth=draw(st.sampled_from([1, 1, 2])), kinds=kinds)),
        target=draw(st.sampled_from(targets[family])),
        model=draw(st.sampled_from(models[family])),
        rows=draw(st.sampled_from(SIZES)),
        seed=draw(st.integers(0, 2**31)),
        nulls=draw(st.sampled_from([0.0, 0.0, 0.2, 0.7])),
        kind=draw(st.sampled_from(KINDS)),
        odd_names=draw(st.integers(0, 3)) == 0,
        filled=family != "none" and draw(st.integers(0, 3)) > 0,
    )


# -- the verdict ----------------------------------------------------------------------------------------------
@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail a case that hangs."""

    def hang(*_: Any) -> None:
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def no_warning_of_ours() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    ours = [one for one in caught if re.search(r"/(gpupipe|kernels)/", one.filename)]
    assert not ours, [f"{one.filename}:{one.lineno}: {one.message}" for one in ours]


@dataclass
class Refusal:
    """An error on purpose, in place of an answer."""

    error: GpupipeError
    names: set[str] = field(default_factory=set)

    def check(self, job: Job) -> None:
        """What was asked, what is there, what to try: no word alone, no inner part, and a name where there is one."""
        message = str(self.error)
        assert len(message) > 25 and " " in message and message[0].isprintable(), message
        assert " object at 0x" not in message and "Traceback" not in message, message


def attempt(function: Any, *arguments: Any, **options: Any) -> Any:
    """What it gives, or why it refuses. Any other exception fails the test."""
    try:
        return function(*arguments, **options)
    except GpupipeError as error:
        note(f"{type(error).__name__}: {error}")
        return Refusal(error)


def told(table: Any) -> dict[str, tuple[str, str]]:
    """The columns of an Arrow table as text of their very bits: -0.0 and 0.0 differ, all NaN are one."""
    found = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = str(column.type)
        if pa.types.is_temporal(column.type):
            column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
        found[name] = (kind, repr(column.to_pylist()))
    return found


@dataclass
class Answer:
    """All that a fitted pipeline says of the rows."""

    pipeline: gp.Pipeline
    columns: dict[str, tuple[str, str]]
    training: dict[str, tuple[str, str]]
    scored: dict[str, tuple[str, str]]


def answer(job: Job, data: Any, device: str) -> Answer:
    pipeline = job.pipeline(device).fit(data)
    alone = pipeline.features_
    training = job.pipeline(device).fit_transform(data, output="arrow")
    scored = [*pipeline.predictions(data)] if pipeline.model_ is not None else []
    return Answer(
        pipeline,
        told(alone.transform(data, output="arrow")),
        told(training),
        told(pa.concat_tables(scored)) if scored else {},
    )


def check_same(one: Answer, other: Answer, where: str) -> None:
    assert other.columns == one.columns, where
    assert other.training == one.training, where
    assert other.scored == one.scored, where


def is_exact(expression: Expr) -> bool:
    """Whether no float sum is in it, which other partitions may round otherwise."""
    return not any(node.op in MOMENTS for node in walk(expression._node))


def check_elsewhere(job: Job, found: Answer, table: pa.Table, folder: Path) -> None:
    """The same rows in other pieces, from another kind of source: the same bits, of what is no float sum."""
    kind, data = written(table, Random(job.seed).choice(FAITHFUL), folder / "elsewhere", job.seed + 1)
    other = attempt(answer, job, data, "cpu")
    if isinstance(other, Refusal) and isinstance(other.error, NullableFeatureError):
        return  # only some sources know beforehand that there are no nulls
    if isinstance(other, Refusal):
        raise AssertionError(f"from {kind}: {other.error}") from other.error
    exact = [expression for expression in job.features if is_exact(expression)]
    roots = {re.match(r"x\d+", name)[0] for name in found.columns}  # type: ignore[index]
    kept = roots - {f"x{at}" for at, expression in enumerate(job.features) if not is_exact(expression)}
    for name, column in found.columns.items():
        if re.match(r"x\d+", name)[0] in kept:  # type: ignore[index]
            assert other.columns[name] == column, (kind, name)
    if len(exact) == len(job.features):
        if other.pipeline.plan_.schema == found.pipeline.plan_.schema:  # a footer may know that there are no nulls
            assert other.pipeline.state_digest() == found.pipeline.state_digest(), kind
        check_same(found, other, kind)


def check_kept(job: Job, found: Answer, data: Any, table: pa.Table, folder: Path) -> None:
    """Saved and loaded; and row by row."""
    found.pipeline.save(folder / "a.gpp")
    again, scorer = gp.load(folder / "a.gpp"), gp.Scorer.load(folder / "a.gpp")
    assert again.state_digest() == found.pipeline.state_digest()
    alone = again.features_
    assert told(alone.transform(data, output="arrow")) == found.columns
    if found.pipeline.model_ is not None:
        assert told(pa.concat_tables([*again.predictions(data)])) == found.scored
    if isinstance(data, pa.Table) and data.num_rows:
        check_rows(found.pipeline, scorer, table)


def check_rows(pipeline: gp.Pipeline, scorer: gp.Scorer, table: pa.Table) -> None:
    whole = attempt(scorer.matrix, table)
    if isinstance(whole, Refusal):
        return
    for row in {0, table.num_rows // 2, table.num_rows - 1}:
        assert scorer.matrix(table.slice(row, 1)).tobytes() == whole[row : row + 1].tobytes()
    if pipeline.model_ is not None and pipeline.model_.kind != "transformer":
        batch = pipeline.predict(table, output="numpy")
        for row in {0, table.num_rows - 1}:
            one = scorer.predict(table.slice(row, 1))
            assert repr(one.tolist()) == repr(batch[row : row + 1].tolist())


def check_command(found: Answer, data: Any, folder: Path) -> None:
    """`gpupipe predict` of the very files."""
    out = folder / "out"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = cli.main(["predict", str(folder / "a.gpp"), "--data", str(data), "--out", str(out)])
    assert code == 0, said.getvalue()
    expected = pa.concat_tables([*found.pipeline.predictions(data)])
    assert told(pq.read_table(out)) == told(expected)


def check(job: Job, folder: Path) -> None:
    table, done = job.table()
    kind, data = written(table, job.kind, folder / "data", job.seed)
    note(f"{kind}, {table.num_rows} rows: {done}")
    with within(SECONDS), no_warning_of_ours(), threadpool_limits(1):
        planned = attempt(job.pipeline("cpu").explain, data)
        found, expected = (attempt(answer, job, data, device) for device in ("cpu", "reference"))
        outcomes[type(found.error).__name__ if isinstance(found, Refusal) else "answered"] += 1
        if isinstance(found, Refusal) or isinstance(expected, Refusal):
            assert type(getattr(found, "error", None)) is type(getattr(expected, "error", None)), (found, expected)
            found.check(job)
            return
        assert not isinstance(planned, Refusal) and len(str(planned)) > 50
        check_same(expected, found, "reference")
        if kind in FAITHFUL:
            check_elsewhere(job, found, table, folder)
        check_kept(job, found, data, table, folder)
        if isinstance(data, str) and job.seed % 4 == 0:
            check_command(found, data, folder)
        if found.pipeline.model_ is not None and found.pipeline.model_.kind in ("classifier", "regressor"):
            judged = attempt(found.pipeline.evaluate, data)
            judged.check(job) if isinstance(judged, Refusal) else judged.to_dict()


QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(QUICK)
@given(job=jobs())
def test_random_pipelines_over_dirty_tables(tmp_path_factory, job):
    check(job, tmp_path_factory.mktemp("dirty"))


@pytest.mark.slow
@seed(20261123)
@settings(settings(QUICK, max_examples=500, derandomize=False))
@given(job=jobs())
def test_five_hundred_random_pipelines_over_dirty_tables(tmp_path_factory, job):
    check(job, tmp_path_factory.mktemp("dirty"))
    if outcomes.total() == 500:
        print(dict(outcomes))


def test_many_were_answered():
    """What was checked above is worth something only if many of the pipelines give an answer."""
    assert not outcomes or outcomes["answered"] > 0.3 * outcomes.total(), outcomes


# -- what was found, kept -------------------------------------------------------------------------------------
def test_labels_of_no_row_are_text(tmp_path):
    """A file without rows among others: its predictions were of the null type, and no table could hold them all."""
    table = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "a", "b", "b"]})
    pipeline = gp.Pipeline([col("x")], target="y", model=LogisticRegression()).fit(table)
    pq.write_table(table.slice(0, 0), tmp_path / "0.parquet")
    pq.write_table(table, tmp_path / "1.parquet")
    found = pa.concat_tables([*pipeline.predictions(str(tmp_path / "*.parquet"))])
    assert found["prediction"].to_pylist() == ["a", "a", "b", "b"]
    assert pipeline.predict(table.slice(0, 0), output="polars").dtype == pl.String


def test_a_file_without_rows_has_no_nulls(tmp_path):
    """Its footer counts no nulls, since it counts nothing: the columns of all files were taken to hold some."""
    table = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0, 3.0]})
    pq.write_table(table.slice(0, 0), tmp_path / "0.parquet")
    pq.write_table(table, tmp_path / "1.parquet")
    pipeline = gp.Pipeline([col("x")], target="y", model=LinearRegression()).fit(str(tmp_path / "*.parquet"))
    assert pipeline.predict({"x": [4.0]}, output="numpy") == pytest.approx([4.0])


def test_a_model_that_could_not_be_loaded_is_not_trained():
    """Features without any variance: the model was saved, and refused as damaged when it was loaded."""
    table = pa.table({"x": [1.0] * 6, "y": [0, 1, 0, 1, 0, 1]})
    with pytest.raises(TrainingError, match=r"GaussianNB was trained, and no prediction can be made.*variance"):
        gp.Pipeline([col("x")], target="y", model=GaussianNB()).fit(table)


def test_a_row_of_arrow_may_have_any_day_and_decimals():
    """Days that Python's calendar lacks were an OverflowError; decimals were refused, which a batch takes."""
    days = pa.array([-(2**31), 2**31 - 1, None, 0], pa.int32()).cast(pa.date32())
    times = pa.array([2**63 - 1, -(2**63) + 1, None, 0], pa.timestamp("us"))
    amounts = pa.array([1, 2, None, 3], pa.decimal128(20, 2))
    table = pa.table({"d": days, "t": times, "a": amounts})
    pipeline = gp.Pipeline([col("d").dt.year(), col("t").dt.year(), col("a") * 2]).fit(table)
    scorer = gp.Scorer(pipeline._fitted().features, None)
    assert scorer.matrix(table).tobytes() == pipeline.transform(table, output="numpy").tobytes()
    with pytest.raises(SchemaMismatchError, match="it has a time zone here"):
        scorer.matrix(table.set_column(1, "t", times.cast(pa.timestamp("us", "UTC"))))


NOTHING, TEXT = col("n"), col("s")
OF_NOTHING = [
    NOTHING.str.slice(-3).codes(), NOTHING.str.len_chars(), NOTHING.str.contains("a"), NOTHING.str.to_date().dt.year(),
    NOTHING.str.word_ngrams(4), NOTHING.codes(), NOTHING.one_hot(null=True), NOTHING == "a", NOTHING < TEXT,
    TEXT.coalesce(NOTHING).codes(), gp.when(TEXT == "a").then(NOTHING).otherwise("q").codes(),
]  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("feature", OF_NOTHING, ids=str)
def test_a_column_of_no_type_is_one_of_nulls_of_any(feature, device, tmp_path):
    """Functions of text failed on it, and what was saved of some expressions could not be loaded."""
    named = feature.alias("x")
    answers = []
    for kind in (pa.null(), pa.string()):
        table = pa.table({"n": pa.nulls(3, kind), "s": ["a", None, "b"]})
        pipeline = gp.Pipeline([named], device=device).fit(table)
        answers.append(told(pipeline.transform(table)))
        pipeline.save(tmp_path / str(kind))
        assert told(gp.load(tmp_path / str(kind)).transform(table)) == answers[-1]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_target_of_text_for_a_regression_is_told_though_a_feature_takes_its_mean(device):
    """It was an IndexError, or an AttributeError."""
    table = {"s": ["a", "b", "a"], "y": ["no", "yes", "maybe"]}
    pipeline = gp.Pipeline([col("s").target_mean()], target="y", model=Ridge(), device=device)
    with pytest.raises(TargetError, match="target of a regression must be numbers, and y is String"):
        pipeline.explain(table)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_condition_of_no_type_counts_none(device):
    table = pa.table({"n": pa.nulls(2), "s": ["a", "b"]})
    chosen = gp.when(col("n")).then(col("s")).otherwise("other").alias("x")
    assert gp.Pipeline([chosen], device=device).fit_transform(table)["x"].to_pylist() == ["other", "other"]


FAR = {"x": [1e308, -1e308, 3.0, 4.0], "g": ["a", "a", "b", "b"]}


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("partitions", [1, 2])
def test_what_is_beyond_float64_is_told_and_no_nan(device, partitions):
    """The mean of values far apart was NaN in silence, and everything scaled by it; the median -inf."""
    source = gp.scan(FAR, partitions=partitions)
    for feature in (col("x").var(), col("x").var().over("g"), (col("x").abs() * 1.5).sum()):
        with no_warning_of_ours(), pytest.raises(NonFiniteError, match=r"x.*is beyond float64.*Clip them"):
            gp.Pipeline([feature.alias("y")], device=device).fit(source)
    with no_warning_of_ours():
        pipeline = gp.Pipeline([col("x").quantile(0.25).cast("Float64").alias("y")], device=device).fit(source)
        within = {"m": col("x").mean(), "s": col("x").std(), "g": col("x").mean().over("g"), "t": (col("x") / 2).sum()}
        wide = [each.cast("Float64").alias(name) for name, each in within.items()]
        found = gp.Pipeline(wide, device=device).fit_transform(source)
    spread = float(np.std(np.array(FAR["x"]) / 2**600) * 2.0**600)
    assert [column[0].as_py() for column in found.columns] == [1.75, pytest.approx(spread, rel=1e-15), 0.0, 3.5]
    assert pipeline.transform(source)["y"][0].as_py() == np.quantile(np.array(FAR["x"]) / 16, 0.25) * 16


def test_the_extremes_of_a_column_of_no_type_warn_of_nothing():
    table = pa.table({"n": pa.nulls(3), "g": ["a", "b", "a"]})
    with no_warning_of_ours():
        assert gp.Pipeline([col("n").max().over("g")]).fit_transform(table)["n"].to_pylist() == [None] * 3


# -- simple features, against Polars and NumPy ----------------------------------------------------------------
X, DAY = pl.col("x"), pl.col("d")
SPREADS = pl.when(X.max() > X.min())
ORACLES = {
    "fill": (col("x").fill_null(-1.5), X.fill_null(-1.5)),
    "standardize": (col("x").standardize(), SPREADS.then((X - X.mean()) / X.std(0)).otherwise(X * 0)),
    "min_max": (col("x").min_max(), SPREADS.then((X - X.min()) / (X.max() - X.min())).otherwise(X * 0)),
    "clip": (col("x").clip(-2, 3), X.clip(-2, 3)),
    "log1p": (col("x").abs().log1p(), X.abs().log1p()),
    "bins": (col("x").bucketize([-1.0, 0.0, 2.5]), X.map_batches(
        lambda s: pl.Series(np.digitize(s.fill_null(0).to_numpy(), [-1.0, 0.0, 2.5])), return_dtype=pl.Int64
    ).pipe(lambda found: pl.when(X.is_null()).then(None).otherwise(found))),
    "year": (col("d").dt.year(), DAY.dt.year()),
    "month": (col("d").dt.month(), DAY.dt.month()),
    "weekday": (col("d").dt.weekday(), DAY.dt.weekday()),
    "length": (col("s").str.len_bytes(), pl.col("s").str.len_bytes()),
}  # fmt: skip
NUMBERS_OR_NULL = st.none() | st.integers(-10**9, 10**9).map(lambda n: n / 1000) | st.sampled_from([0.0, -0.0, 2.0**53])
DAYS_OR_NULL = st.none() | st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
TEXTS_OR_NULL = st.none() | st.sampled_from(["", "\0", "a\0b", "é", "e\u0301", "😀", "x" * 5_000, "İ"])


@settings(settings(QUICK, max_examples=25))
@given(rows=st.lists(st.tuples(NUMBERS_OR_NULL, DAYS_OR_NULL, TEXTS_OR_NULL), min_size=1, max_size=60))
def test_simple_features_are_what_polars_says(rows):
    numbers, days, texts = zip(*rows, strict=True)
    frame = pl.DataFrame({"x": numbers, "d": days, "s": texts},
                         schema={"x": pl.Float64, "d": pl.Date, "s": pl.String})  # fmt: skip
    whole = frame["x"].null_count() < len(rows)
    for name, (ours, theirs) in ORACLES.items():
        if name in ("standardize", "min_max") and not whole:
            continue
        found = gp.Pipeline([ours.alias("out")]).fit_transform(frame.to_arrow())["out"].to_pylist()
        expected = frame.select(theirs.cast(pl.Float64).alias("out"))["out"].to_list()
        scale = max((abs(value) for value in expected if value is not None), default=1.0)
        for mine, other in zip(found, expected, strict=True):
            assert (mine is None) == (other is None), name
            assert mine is None or abs(mine - other) <= 8 * EPS32 * max(abs(other), scale), (name, mine, other)


@settings(settings(QUICK, max_examples=25))
@given(values=st.lists(TEXTS_OR_NULL, min_size=1, max_size=40))
def test_codes_and_one_hot_are_counted_by_hand(values):
    table = pa.table({"s": pa.array(values, pa.string())})
    pipeline = gp.Pipeline([col("s").codes().alias("code"), col("s").one_hot().alias("hot")]).fit(table)
    found = pipeline.transform(table)
    counts = Counter(value for value in values if value is not None)
    order = sorted(counts, key=lambda value: (-counts[value], value.encode()))
    assert found["code"].to_pylist() == [0 if value is None else 2 + order.index(value) for value in values]
    for at, value in enumerate(sorted(counts, key=str.encode)):
        column = found.column(1 + at).to_pylist()
        assert column == [float(other == value) for other in values]
