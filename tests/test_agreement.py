"""The same numbers as the peers: scikit-learn's chains, Polars' expressions, and formulas written out by hand.

Agreement is |a - b| <= k · eps32 · max(|b|, column scale) with k = 8; a null agrees with a null, NaN or None.
"""

import warnings

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from strategies import INTEGERS, Drawn, drawn_tables

import gpupipe as gp
from gpupipe import col

K, EPS32 = 8, float(np.finfo(np.float32).eps)
SOME = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
# Constant columns have a test of their own in test_parity: there scikit-learn keeps what rounding left of the mean.
# Sizes at which every column of the tables below has values in training.
TABLES = drawn_tables(sizes=(7, 11, 18, 23, 38, 54, 83, 142, 347))
NUMERIC = ("f", "g", "p", *INTEGERS)


def numbers(values):
    """float64, null as NaN."""
    if isinstance(values, pa.ChunkedArray | pa.Array):
        values = values.to_numpy(zero_copy_only=False)
    array = np.asarray(values)
    return (
        np.array([np.nan if v is None else float(v) for v in array]) if array.dtype == object else array.astype(float)
    )


def agree(ours, theirs, name="", scale=0.0):
    """Within 8 float32 roundings of the column's scale (at least `scale`), and null or not finite alike."""
    a, b = numbers(ours), numbers(theirs)
    assert np.array_equal(np.isnan(a), np.isnan(b)), name
    finite = np.isfinite(b)
    known = ~np.isnan(b)
    assert np.array_equal(a[known & ~finite], b[known & ~finite]), name
    scale = np.abs(b[finite]).max(initial=scale)
    wrong = np.abs(a[finite] - b[finite]) > K * EPS32 * np.maximum(np.abs(b[finite]), scale)
    assert not wrong.any(), (name, a[finite][wrong][:5], b[finite][wrong][:5])


def ours(table, *features):
    return gp.Pipeline([feature.alias(f"x{at}") for at, feature in enumerate(features)]).fit_transform(table)


def full(table, names=NUMERIC):
    """The numeric columns that hold a value, as a matrix with NaN for null."""
    kept = [name for name in names if table[name].null_count < table.num_rows]
    return kept, np.column_stack([numbers(table[name].cast(pa.float64())) for name in kept])


# -- scikit-learn ---------------------------------------------------------------------------------------------
SCALERS = {
    "standard": (StandardScaler, lambda x: x.standardize()),
    "min_max": (MinMaxScaler, lambda x: x.min_max()),
    "robust": (RobustScaler, lambda x: x.robust()),
    "max_abs": (MaxAbsScaler, lambda x: x.max_abs()),
}
IMPUTERS = {
    "mean": (lambda: SimpleImputer(strategy="mean"), lambda x: x.fill_null("mean")),
    "median": (lambda: SimpleImputer(strategy="median"), lambda x: x.fill_null("median")),
    "mode": (lambda: SimpleImputer(strategy="most_frequent"), lambda x: x.fill_null("mode")),
    "constant": (lambda: SimpleImputer(strategy="constant", fill_value=-1.5), lambda x: x.fill_null(-1.5)),
}


@settings(SOME)
@given(drawn=TABLES, scaler=st.sampled_from(list(SCALERS)), imputer=st.sampled_from([None, *IMPUTERS]))
def test_scalers_and_imputers(drawn, scaler, imputer):
    table = Drawn(drawn.n, drawn.seed, drawn.nulls).table
    names, X = full(table)
    make, scale = SCALERS[scaler]
    steps, fill = ([], lambda x: x) if imputer is None else ([IMPUTERS[imputer][0]()], IMPUTERS[imputer][1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = make_pipeline(*steps, make()).fit_transform(X)
    found = ours(table, *(scale(fill(col(name).cast("Float64"))) for name in names))
    for at, name in enumerate(names):
        agree(found[f"x{at}"], theirs[:, at], (name, scaler, imputer))


@settings(SOME)
@given(drawn=TABLES, held=TABLES)
def test_statistics_are_those_of_the_training_rows(drawn, held):
    train, test = (Drawn(part.n, part.seed, part.nulls).table for part in (drawn, held))
    names, X = full(train)
    chain = make_pipeline(SimpleImputer(), StandardScaler()).fit(X)
    theirs = chain.transform(np.column_stack([numbers(test[name].cast(pa.float64())) for name in names]))
    features = [col(name).cast("Float64").fill_null("mean").standardize().alias(name) for name in names]
    found = gp.Pipeline(features).fit(train).transform(test)
    for at, name in enumerate(names):
        agree(found[name], theirs[:, at], name, np.abs(chain.transform(X)[:, at]).max())


@settings(SOME)
@given(drawn=TABLES, bins=st.integers(2, 7))
def test_quantile_bins(drawn, bins):
    table = Drawn(drawn.n, drawn.seed, 0.0).table
    found = ours(table, col("p").qcut(bins), col("f").qcut(bins))
    for at, name in enumerate(("p", "f")):
        edges = np.quantile(numbers(table[name]), np.arange(1, bins) / bins)
        assert found[f"x{at}"].to_pylist() == np.digitize(numbers(table[name]), edges).tolist()
    if any((drawn.n - 1) * rank % bins == 0 for rank in range(1, bins)):
        return  # an edge is a value itself, and rounding in KBinsDiscretizer's percents decides on which side
    chain = KBinsDiscretizer(bins, encode="ordinal", strategy="quantile", subsample=None, quantile_method="linear")
    theirs = chain.fit_transform(numbers(table["p"])[:, None])  # all distinct: it drops bins where edges tie
    assert found["x0"].to_pylist() == theirs[:, 0].astype(int).tolist()


@settings(SOME)
@given(drawn=TABLES, name=st.sampled_from(["s", "d", "i8", "b"]))
def test_categories(drawn, name):
    table = Drawn(drawn.n, drawn.seed, drawn.nulls).table
    values = np.array(table[name].to_pylist(), dtype=object)
    known = values[np.array([value is not None for value in values])]
    if len(known) == 0:
        return
    categories = sorted(set(known), key=lambda value: value.encode() if isinstance(value, str) else value)
    encoder = OneHotEncoder(categories=[categories], handle_unknown="ignore", sparse_output=False)
    theirs = encoder.fit(known[:, None]).transform(known[:, None])
    kept = table.filter(table[name].is_valid())
    found = gp.Pipeline([col(name).one_hot()]).fit(table).transform(kept, output="numpy")
    assert np.array_equal(found, theirs)
    nulls = gp.Pipeline([col(name).one_hot()]).fit(table).transform(table, output="numpy")
    assert (nulls.sum(axis=1) == [value is not None for value in values]).all()
    codes = gp.Pipeline([col(name).codes()]).fit_transform(table)[name].to_pylist()
    counts = {value: int((known == value).sum()) for value in categories}
    ranked = sorted(categories, key=lambda value: -counts[value])
    assert codes == [0 if value is None else 2 + ranked.index(value) for value in values]
    order = OrdinalEncoder(categories=[categories]).fit_transform(known[:, None])[:, 0]
    plain = [bool(v) if isinstance(v, np.bool_) else v for v in categories]
    assert gp.Pipeline([col(name).ordinal(plain)]).fit_transform(kept)[name].to_pylist() == order.astype(int).tolist()
    frequency = gp.Pipeline([col(name).frequency()]).fit_transform(table)[f"{name}_frequency"]
    agree(frequency, [sum(other == value for other in values) / len(values) for value in values.tolist()])


@settings(SOME)
@given(drawn=TABLES, name=st.sampled_from(["f", "s", "day"]))
def test_missing_flags(drawn, name):
    table = drawn.table
    values = np.array([[value] for value in table[name].to_pylist()], dtype=object)
    theirs = MissingIndicator(missing_values=None, features="all").fit_transform(values)[:, 0]
    agree(ours(table, col(name).missing_flag())["x0"], theirs)


@settings(settings(SOME, max_examples=15))
@given(drawn=TABLES, low=st.integers(1, 2), more=st.integers(0, 1), lowercase=st.booleans())
def test_hashed_words_count_what_count_vectorizer_counts(drawn, low, more, lowercase):
    """Which bucket a word falls in differs; with many buckets, the counts of each row are the same multiset."""
    table = drawn.table
    texts = [text or "" for text in table["words"].to_pylist()]
    feature = col("words").str.word_ngrams(512, n=(low, low + more), lowercase=lowercase)
    found = gp.Pipeline([feature]).fit_transform(table, output="numpy")
    vectorizer = CountVectorizer(ngram_range=(low, low + more), lowercase=lowercase)
    try:
        theirs = vectorizer.fit_transform(texts).toarray()
    except ValueError:  # no word at all
        theirs = np.zeros((len(texts), 1))
    for mine, other in zip(found, theirs, strict=True):
        assert sorted(mine[mine > 0]) == sorted(other[other > 0])


@settings(SOME)
@given(drawn=TABLES, smoothing=st.sampled_from([0.5, 3.0, 20.0]), key=st.sampled_from(["s", "d", "i8", "b"]))
def test_target_mean_by_hand(drawn, smoothing, key):
    table = drawn.table
    pipeline = gp.Pipeline([col(key).target_mean(smoothing=smoothing)], target="amount").fit(table)
    y, groups = numbers(table["amount"]), table[key].to_pylist()
    expected = []
    for value in groups:
        inside = y[[other == value for other in groups]]
        expected.append((inside.sum() + smoothing * y.mean()) / (len(inside) + smoothing))
    agree(pipeline.transform(table)[f"{key}_target_mean"], expected)


# -- Polars ---------------------------------------------------------------------------------------------------
f, g, p, i, u, b, s, day, t, tz = (col(name) for name in ("f", "g", "p", "i32", "u8", "b", "s", "day", "t", "tz"))
F, G, P, N, U, B, S, DAY, T, TZ = (pl.col(name) for name in ("f", "g", "p", "i32", "u8", "b", "s", "day", "t", "tz"))
WIDE = pl.Float64
EXPRESSIONS = {
    "add": (f + i, F + N),
    "sub mul": ((f - p) * 2, (F - P) * 2),
    "float32 widens": (g * 3 + f, G.cast(WIDE) * 3 + F),
    "div": (f / p, F / P),
    "int div": (i / 7, N / 7),
    "div by zero": (p / u, P / U.cast(WIDE)),
    "int arithmetic": (i * i - u, N.cast(pl.Int64) * N.cast(pl.Int64) - U.cast(pl.Int64)),
    "floordiv": (i // 7, N.cast(pl.Int64) // 7),
    "mod": (i % -7, N.cast(pl.Int64) % -7),
    "neg abs": (-f.abs(), -(F.abs())),
    "sign": (f.sign(), F.sign()),
    "log": (p.log(), P.log()),
    "log1p": (p.log1p(), P.log1p()),
    "exp": (g.exp(), G.cast(WIDE).exp()),
    "sqrt": (p.sqrt(), P.sqrt()),
    "sin": (f.sin(), F.sin()),
    "cos": (f.cos(), F.cos()),
    "tanh": (g.tanh(), G.cast(WIDE).tanh()),
    "arctan": (f.arctan(), F.arctan()),
    "floor ceil": (f.floor() + f.ceil(), F.floor() + F.ceil()),
    "clip": (f.clip(-5, 10), F.clip(-5, 10)),
    "clip by a column": (
        f.clip(lower_bound=g),
        pl.when(G.cast(WIDE) > F).then(G.cast(WIDE)).when(G.is_null()).then(None).otherwise(F),
    ),
    "fill_null": (f.fill_null(1.5), F.fill_null(1.5)),
    "fill by an expression": (f.fill_null(i), F.fill_null(N.cast(WIDE))),
    "coalesce": (gp.coalesce("f", "i32", 0), pl.coalesce(F, N.cast(WIDE), pl.lit(0.0))),
    "when": (gp.when(f > 0).then(i).otherwise(-1), pl.when(F > 0).then(N).otherwise(-1)),
    "when when": (gp.when(b).then(1).when(i > 0).then(2), pl.when(B).then(1).when(N > 0).then(2)),
    "kleene": ((f > 0) & b, (F > 0) & B),
    "kleene or": ((f > 0) | (s == "Rome"), (F > 0) | (S == "Rome")),
    "not xor": (~b ^ (i > 3), ~B ^ (N > 3)),
    "compare text": (s < "b", S < "b"),
    "is_in": (s.is_in(["Rome", "a"]), S.is_in(["Rome", "a"])),
    "is_null": (s.is_null(), S.is_null()),
    "len": (s.str.len_chars(), S.str.len_chars()),
    "bytes": (s.str.len_bytes(), S.str.len_bytes()),
    "lower": (s.str.to_lowercase() == "rome", S.str.to_lowercase() == "rome"),
    "contains": (s.str.contains("^[a-r]"), S.str.contains("^[a-r]")),
    "starts": (s.str.starts_with("R"), S.str.starts_with("R")),
    "slice": (s.str.slice(1, 2).str.len_chars(), S.str.slice(1, 2).str.len_chars()),
    "slice from the end": (s.str.slice(-2) == "me", S.str.slice(-2) == "me"),
    "strip": (s.str.strip_chars("a").str.len_chars(), S.str.strip_chars("a").str.len_chars()),
    "year": (day.dt.year(), DAY.dt.year()),
    "month": (t.dt.month(), T.dt.month()),
    "day": (tz.dt.day(), TZ.dt.day()),
    "weekday": (t.dt.weekday(), T.dt.weekday()),
    "quarter": (day.dt.quarter(), DAY.dt.quarter()),
    "ordinal_day": (day.dt.ordinal_day(), DAY.dt.ordinal_day()),
    "week": (day.dt.week(), DAY.dt.week()),
    "hour": (t.dt.hour(), T.dt.hour()),
    "local hour": (tz.dt.hour(), TZ.dt.hour()),
    "minute second": (t.dt.minute() * 60 + t.dt.second(), T.dt.minute().cast(pl.Int64) * 60 + T.dt.second()),
    "timestamp": (t.dt.timestamp(), T.dt.timestamp("us") / 1e6),
    "elapsed": (t.dt.elapsed("day"), (T - DAY.cast(pl.Datetime("us"))).dt.total_microseconds() / 86_400e6),
    "mean": (f - f.mean(), F - F.mean()),
    "std": (f / f.std(ddof=1), F / F.std()),
    "min max": (
        (i - i.min()) / (i.max() - i.min()).nonzero(),
        (N - N.min()) / pl.when(N.max() == N.min()).then(1).otherwise(N.max() - N.min()),
    ),
    "median": (f - f.median(), F - F.median()),
    "quantile": (p / p.quantile(0.3), P / P.quantile(0.3, interpolation="linear")),
    "sum": (i.sum() + f * 0, N.cast(pl.Int64).sum() + F * 0),
    "count": (f.count() + i * 0, F.count() + N * 0),
    "mean over": (f.mean().over("s"), F.mean().over("s")),
    "mean over two": (f.mean().over("s", "b"), F.mean().over("s", "b")),
    "std over": (f.std(ddof=1).over("b"), F.std().over("b")),
    "max over a date part": (f.max().over(t.dt.month()), F.max().over(T.dt.month())),
    "count over": (f.count().over("d"), F.count().over("d")),
    "sum over": (f.sum().over("i8"), F.sum().over("i8")),
    "median over": (f.median().over("b"), F.median().over("b")),
    "standardised over": ((f - f.mean()).over("b"), F - F.mean().over("b")),
    "n_unique": (i.n_unique() + f * 0, N.drop_nulls().n_unique() + F * 0),
}  # fmt: skip


@settings(settings(SOME, max_examples=30))
@given(drawn=TABLES)
def test_polars_expressions(drawn):
    table = Drawn(drawn.n, drawn.seed, min(drawn.nulls, 0.4)).table
    if any(table[name].null_count > drawn.n - 2 for name in ("f", "g", "p", "i32", "u8", "b", "s", "day", "t", "tz")):
        return
    found = ours(table, *(mine for mine, _ in EXPRESSIONS.values()))
    frame = pl.DataFrame(table)
    theirs = frame.select(**{f"x{at}": other.cast(WIDE) for at, (_, other) in enumerate(EXPRESSIONS.values())})
    for at, name in enumerate(EXPRESSIONS):
        agree(found[f"x{at}"].cast(pa.float64()), theirs[f"x{at}"].to_arrow(), name)


def test_agreement_is_eight_roundings():
    with pytest.raises(AssertionError):
        agree(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 9 * 2 * EPS32]))
    agree(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 7 * 2 * EPS32]))
