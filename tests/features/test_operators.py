"""Every registered operator against a peer that is not us, with nulls, on both backends.

What an operator adds over the rows it is made of is tested here; the rows themselves in tests/expr.
"""

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from engine import DEVICES, FRAME, Case, check, computed, each, rowwise, value
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

import gpupipe as gp
from gpupipe import col
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.expr.registry import operators

P = pl.col
x, i, s, c, d, t, z, u = (col(name) for name in "xiscdtzu")
EPOCH = dt.datetime(1970, 1, 1)


def scaled(scaler, name="x"):
    """A scikit-learn scaler, which passes NaN by as we pass null by."""

    def oracle(frame):
        found = scaler.fit_transform(frame[name].to_numpy().reshape(-1, 1))[:, 0]
        return [None if np.isnan(v) else v for v in found]

    return oracle


def binned(frame, name, bounds):
    return [None if v is None else int(np.digitize(v, bounds)) for v in frame[name].to_list()]


def quantile_bins(frame):
    known = frame["x"].drop_nulls().to_numpy()
    return binned(frame, "x", np.quantile(known, [0.2, 0.4, 0.6, 0.8]))


def frequency(frame):
    counts = Counter(frame["c"].to_list())
    return [counts[v] / frame.height for v in frame["c"].to_list()]


def cell(function, name="t"):
    return each(function, name)


CASES = [
    Case("standardize", x.standardize(), scaled(StandardScaler()), slack=1e-14),
    Case("min_max", x.min_max(), scaled(MinMaxScaler()), slack=1e-14),
    Case("robust", x.robust(), scaled(RobustScaler()), slack=1e-14),
    Case("max_abs", x.max_abs(), scaled(MaxAbsScaler())),
    Case("fill_null", x.fill_null(7), P("x").fill_null(7)),
    Case("fill_null", x.fill_null(col("y")), P("x").fill_null(P("y")), note="an expression"),
    Case("fill_null", x.fill_null("mean"), P("x").fill_null(P("x").mean()), slack=1e-14, note="mean"),
    Case("fill_null", x.fill_null("median"), P("x").fill_null(P("x").median()), ulps=8, note="median"),
    Case("fill_null", x.fill_null(strategy="min"), P("x").fill_null(P("x").min()), note="min"),
    Case("fill_null", i.fill_null("max"), P("i").fill_null(P("i").max()), note="max"),
    Case("fill_null", s.fill_null("mode"), P("s").fill_null(P("s").drop_nulls().mode().min()), note="mode"),
    Case("fill_null", s.fill_null("none"), P("s").fill_null("none"), note="text"),
    Case("fill_null", col("a").fill_null(False), P("a").fill_null(False), note="boolean"),
    Case("missing_flag", x.missing_flag(), P("x").is_null()),
    Case("bucketize", x.bucketize([-1, 0, 2.5]), lambda f: binned(f, "x", [-1, 0, 2.5])),
    Case("bucketize", col("f").bucketize([0, 1]), lambda f: binned(f, "f", [0, 1]), note="NaN falls last"),
    Case("qcut", x.qcut(5), quantile_bins),
    Case("frequency", c.frequency(), frequency),
    Case("group_statistics", x.group_statistics("c", statistics=["mean"]), P("x").mean().over("c"), ulps=8),
    Case("group_statistics", x.group_statistics("c", "a", statistics=["null_count"]),
         P("x").null_count().over("c", "a"), note="two keys"),
    Case("standardize_over", x.standardize_over("a"),
         ((P("x") - P("x").mean()) / P("x").std(ddof=0)).over("a"), slack=1e-14),
    Case("clip", x.clip(-1, 2), P("x").clip(-1, 2)),
    Case("clip", col("f").clip(lower_bound=-1), P("f").clip(lower_bound=-1), note="one side; NaN stays"),
    Case("clip", i.clip(col("j"), None), rowwise(np.maximum, "i", "j"), note="by a column"),
    Case("clip", x.clip(x.quantile(0.1), x.quantile(0.9)),
         P("x").clip(P("x").quantile(0.1, "linear"), P("x").quantile(0.9, "linear")), ulps=8, note="learned bounds"),
    Case("nonzero", i.nonzero(), rowwise(lambda i: np.where(i == 0, 1, i), "i")),
    Case("log10", x.abs().log10(), P("x").abs().log10(), ulps=4),
    Case("log2", x.abs().log2(), rowwise(lambda x: np.log2(np.abs(x)), "x"), ulps=4),
    Case("pow", x.pow(3), rowwise(lambda x: x * x * x, "x"), ulps=1),
    Case("round", col("y").round(), rowwise(np.rint, "y")),
    Case("cast", x.cast("Int64"), P("x").cast(int)),
    Case("is_in", i.is_in({1}), P("i") == 1),
    Case("coalesce", x.coalesce("y", 0), pl.coalesce("x", "y", 0)),
    Case("where", x.where(x > 0, 0), pl.when(P("x") > 0).then(P("x")).otherwise(0)),
    Case("nan_to_null", col("f").nan_to_null(), P("f").fill_nan(None)),
    Case("dt.year", t.dt.year(), P("t").dt.year()),
    Case("dt.month", t.dt.month(), P("t").dt.month()),
    Case("dt.day", z.dt.day(), P("z").dt.day(), note="local"),
    Case("dt.weekday", d.dt.weekday(), cell(dt.date.isoweekday, "d")),
    Case("dt.weekday", t.dt.weekday(), P("t").dt.weekday(), note="time"),
    Case("dt.quarter", d.dt.quarter(), P("d").dt.quarter()),
    Case("dt.ordinal_day", d.dt.ordinal_day(), cell(lambda v: v.timetuple().tm_yday, "d")),
    Case("dt.week", d.dt.week(), cell(lambda v: v.isocalendar().week, "d")),
    Case("dt.week", z.dt.week(), cell(lambda v: v.isocalendar().week, "z"), note="local"),
    Case("dt.is_weekend", d.dt.is_weekend(), cell(lambda v: v.weekday() >= 5, "d")),
    Case("dt.hour", t.dt.hour(), cell(lambda v: v.hour)),
    Case("dt.hour", z.dt.hour(), cell(lambda v: v.astimezone(ZoneInfo("Europe/Paris")).hour, "z"), note="local"),
    Case("dt.minute", t.dt.minute(), cell(lambda v: v.minute)),
    Case("dt.second", t.dt.second(), cell(lambda v: v.second)),
    Case("dt.timestamp", t.dt.timestamp(), cell(lambda v: (v - EPOCH) / dt.timedelta(seconds=1)), ulps=1),
    Case("dt.timestamp", z.dt.timestamp(), cell(dt.datetime.timestamp, "z"), ulps=1, note="UTC"),
    Case("dt.timestamp", d.dt.timestamp(), cell(lambda v: (v - EPOCH.date()) / dt.timedelta(seconds=1), "d"),
         note="date"),
    Case("dt.total_seconds", u.dt.total_seconds(), cell(lambda v: v / dt.timedelta(seconds=1), "u"), ulps=1),
    Case("dt.total_hours", u.dt.total_hours(), cell(lambda v: v / dt.timedelta(hours=1), "u"), ulps=1),
    Case("dt.total_days", (t - col("t2")).dt.total_days(), each(lambda a, b: (a - b) / dt.timedelta(days=1), "t", "t2"),
         ulps=1),
    Case("dt.elapsed", t.dt.elapsed("t2"), each(lambda a, b: (a - b) / dt.timedelta(days=1), "t", "t2"), ulps=1),
    Case("dt.elapsed", d.dt.elapsed(dt.date(2000, 2, 29), unit="hours"),
         cell(lambda v: (v - dt.date(2000, 2, 29)) / dt.timedelta(hours=1), "d"), note="a date"),
    Case("dt.elapsed", t.dt.elapsed(dt.datetime(1999, 12, 31, 23, 59, 59), unit="seconds"),
         cell(lambda v: (v - dt.datetime(1999, 12, 31, 23, 59, 59)) / dt.timedelta(seconds=1)), ulps=1, note="a time"),
    Case("str.len_chars", s.str.to_uppercase().str.len_chars(), P("s").str.to_uppercase().str.len_chars()),
    Case("str.contains", s.str.strip_chars().str.to_lowercase().str.contains("zo|été"),
         P("s").str.strip_chars().str.to_lowercase().str.contains("zo|été"), note="chained"),
]  # fmt: skip
# Tested as rows of their tables, by the same name, or below.
ROWS = set(ELEMENTWISE) | set(REDUCTIONS)
TEXT = {"len_bytes", "replace", "replace_all", "to_lowercase", "to_uppercase", "strip_chars", "slice", "starts_with",
        "ends_with", "to_datetime", "to_date", "word_ngrams"}  # fmt: skip
ELSEWHERE = {"codes", "one_hot", "ordinal", "hash_buckets", "cross", "target_mean", "cyclic"}


def test_every_operator_has_a_case():
    ours = {entry.qualified for entry in operators() if entry.function.__module__.startswith("gpupipe.")}
    assert ours - ROWS - {f"str.{name}" for name in TEXT} - ELSEWHERE == {case.name for case in CASES} - ROWS


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, device):
    check(case, device)


def test_both_backends_give_the_same_bits():
    features = [case.ours.alias(f"{at}") for at, case in enumerate(CASES)]
    slow, fast = (computed(features, device) for device in DEVICES)
    assert repr(slow) == repr(fast)


@pytest.mark.parametrize("device", DEVICES)
def test_cyclic_is_two_columns_on_a_circle(device):
    got = computed([t.dt.month().cyclic(12)], device)
    assert list(got) == ["t_month_sin", "t_month_cos"]
    months = FRAME["t"].dt.month().to_list()
    for name, function in (("t_month_sin", np.sin), ("t_month_cos", np.cos)):
        expected = [None if m is None else float(function(2 * np.pi * m / 12)) for m in months]
        assert all((a is None) == (b is None) for a, b in zip(got[name], expected, strict=True))
        assert all(abs(a - b) < 1e-7 for a, b in zip(got[name], expected, strict=True) if b is not None)


@pytest.mark.parametrize("device", DEVICES)
def test_a_constant_column_is_scaled_to_zero(device):
    data = {"v": pa.array([5.0, None, 5.0])}
    v = col("v")
    for one in (v.standardize(), v.min_max(), v.robust()):
        assert value(one, device, data) == [0, None, 0]
    zeros = {"v": pa.array([0.0, 0.0])}
    assert value(v.max_abs(), device, zeros) == [0, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_group_statistics_names_a_column_each(device):
    got = computed([x.group_statistics("c", "a"), x.group_statistics("c", statistics=["max"]).alias("top")], device)
    assert list(got) == ["x_by_c_a_mean", "x_by_c_a_std", "x_by_c_a_count", "top"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("smoothing", [0, 20])
def test_target_mean_is_the_smoothed_mean_of_the_category(smoothing, device):
    data = pl.DataFrame({"k": FRAME["c"], "goal": FRAME["b"].fill_null(False)}).to_arrow()
    got = computed([col("k").target_mean(smoothing=smoothing)], device, data, target="goal")["k_target_mean"]
    prior = FRAME["b"].fill_null(False).mean()
    theirs = pl.DataFrame(pl.from_arrow(data)).select(
        (P("goal").sum().over("k") + smoothing * prior) / (pl.len().over("k") + smoothing)
    )
    assert np.allclose(got, theirs.to_series().to_numpy(), rtol=1e-6, atol=0)
    fresh = {"k": pa.array(["never seen"])}
    assert computed([col("k").target_mean(smoothing=smoothing)], device, fresh, data, target="goal")[
        "k_target_mean"
    ] == pytest.approx([prior], rel=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_out_of_fold_values_know_nothing_of_their_row(device):
    """A key of its own for each row: the others say nothing, so that the prior of the other folds is left."""
    n = 50
    data = {"k": pa.array([f"k{at}" for at in range(n)]), "goal": pa.array([at % 2 for at in range(n)])}
    pipeline = gp.Pipeline([col("k").target_mean(smoothing=1)], target=col("goal") == 1, device=device)
    training = pipeline.fit_transform(pa.table(data)).column(0).to_pylist()
    assert len(set(training)) <= 5
    later = pipeline.transform(pa.table(data)).column(0).to_pylist()
    assert {round(v, 6) for v in later} == {0.25, 0.75}
