"""Dependent statistics gathered in one scan: the work is counted, and the values are those that several scans give."""

from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine import TABLE, planned, unrounded
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from strategies import drawn_tables

import gpupipe as gp
from gpupipe import col, when
from gpupipe.compiler import folding
from gpupipe.compiler.folding import BY_SUMS
from gpupipe.errors import DataError, IntegerOverflowError, NonFiniteError

x, y, w, i, j, s, c, d, t = (col(name) for name in "xywijscdt")
filled = x.fill_null("median")
by_group = x.fill_null(x.mean().over("c"))


@contextmanager
def unfolded():
    """Planning without folding: a scan for each level of dependence."""
    folding.FOLDS = False
    try:
        yield
    finally:
        folding.FOLDS = True


def fitted(features, data=TABLE, partitions=3, **options):
    """(the features of the training rows, the pipeline)."""
    if not options.get("target"):
        features = [unrounded(feature, data) for feature in features]
    pipeline = gp.Pipeline(features, **options)
    found = pipeline.fit_transform(gp.scan(data, partitions=partitions), output="arrow")
    return found, pipeline


def finite(v):
    return when(v.is_finite()).then(v)


filled_twice = finite(x.fill_null("mean").clip(0).log()).fill_null("min")

# Everything that one scan gathers, with the number of scans that the levels of dependence would take.
RULES = {
    # A statistic under a fill, and any function of one column above the fill.
    "mean under median": (filled.mean(), 2),
    "standardize": (filled.standardize(), 2),
    "functions": (filled.clip(0).log1p().standardize(), 2),
    "several uses": ((filled * filled - filled).sum(), 2),
    "text": (i.fill_null("mode").cast("String").n_unique(), 2),
    "dates": (d.fill_null("min").dt.month().mean(), 2),
    "months' mode": (t.fill_null("max").dt.month().mode(), 2),
    "length": (s.fill_null("mode").str.len_chars().max(), 2),
    "nulls made": (filled.cast("Int64").cast("String").cast("Int64", strict=False).mean(), 2),
    "not null where it is": (s.fill_null("mode").hash_buckets(8).mean(), 2),
    "a flag": ((filled.is_null() | (filled > 1)).mean(), 2),
    "choice": (when(x.is_null()).then(x.max()).otherwise(x).mean(), 2),
    "bins": (filled.bucketize([-1, 0, 2]).mode(), 2),
    "two fills": (finite(x.fill_null("mean").clip(0).log()).fill_null("min").std(), 3),
    "counts": (filled.count() + filled.null_count(), 2),
    "unique": (filled.n_unique(), 2),
    "mode": (i.fill_null("max").mode(), 2),
    "codes": (c.fill_null("mode").codes(), 2),
    "one hot": (c.fill_null("mode").one_hot(), 2),
    "median": (filled.median(), 2),
    "robust": (filled.robust(), 2),
    "quantile": (x.fill_null("mean").exp().quantile(0.3), 2),
    "extremes": (x.fill_null("mean").min_max(), 2),
    "filled again": (filled.standardize().fill_null("mean").max(), 4),
    # The fill of each group.
    "group fill": (by_group.standardize(), 2),
    "group fill, then all": (by_group.fill_null("mean").standardize(), 3),
    "group fill by group": (by_group.mean().over("c"), 2),
    "group fill by other": (by_group.mean().over("a"), 2),
    "group fill by two": (by_group.max().over("a", "c"), 2),
    "group fill's mode": (by_group.n_unique(), 2),
    "group fill over a filled key": (x.fill_null(x.mean().over(c.fill_null("mode"))).standardize(), 3),
    "both by a filled key": (filled.standardize_over(c.fill_null("mode")), 3),
    "group's steps over a filled key": ((x - x.mean()).max().over(c.fill_null("mode")), 3),
    # Keys that are filled, or binned.
    "key": (x.mean().over(c.fill_null("mode")), 2),
    "key in bins": (y.mean().over(filled.bucketize([-1, 1])), 2),
    "two keys": (x.median().over(c.fill_null("mode"), i.fill_null("max")), 2),
    "frequency": (c.fill_null("mode").frequency(), 2),
    "target mean": (c.fill_null("mode").target_mean(), 2),
    "target mean of bins": (filled.bucketize([-1, 0, 1]).target_mean(), 2),
    "unique in a group": (s.n_unique().over(i.fill_null("mode")), 2),
    # Steps that are the same for all rows, under what follows the order of values: to the bit.
    "largest z": (filled.standardize().max(), 3),
    "of float32": (x.cast("Float32").fill_null("mean").standardize().max(), 3),
    "falling": ((5 - x / x.min()).max(), 2),
    "falling median": ((-(x - x.mean())).quantile(0.2), 2),
    "log of the distance": ((x - x.min()).log1p().max(), 2),
    "median of the distance's log": ((x - x.min()).log1p().median(), 2),
    "quantile of a root by group": ((x - x.min()).sqrt().quantile(0.7).over("c"), 2),
    "rounded": (((x - x.mean()) / x.std()).floor().median(), 2),
    "clipped by quantiles": (x.clip(x.quantile(0.1), x.quantile(0.9)).quantile(0.95), 2),
    # Values clipped by their own quantiles, under sums: the trip that settles those sums the tails.
    "winsorized": (x.clip(x.quantile(0.1), x.quantile(0.9)).mean(), 2),
    "winsorized, then standardized": (x.clip(x.quantile(0.05), x.quantile(0.9)).standardize(), 2),
    "winsorized below": (x.clip(x.median()).std(), 2),
    "winsorized above": (x.clip(None, x.quantile(0.7)).sum(), 2),
    "winsorized integers": (i.clip(i.quantile(0.1), i.quantile(0.8)).var(), 2),
    "winsorized float32": (x.cast("Float32").clip(None, x.cast("Float32").quantile(0.7)).mean(), 2),
    "winsorized after a fill": (filled.clip(x.quantile(0.1), x.quantile(0.9)).standardize(), 2),
    "winsorized after a group's fill": (by_group.clip(x.quantile(0.1), x.quantile(0.9)).mean(), 2),
    "winsorized as filled": (filled.clip(filled.quantile(0.1), filled.quantile(0.9)).standardize(), 3),
    "winsorized below as filled": (filled.clip(filled.quantile(0.6)).std(), 3),
    "winsorized by mean as filled": (x.fill_null("mean").clip(None, x.fill_null("mean").median()).var(), 3),
    "winsorized integers as filled": (i.fill_null("mean").clip(i.fill_null("mean").quantile(0.3)).mean(), 3),
    "winsorized as filled twice": (filled_twice.clip(filled_twice.quantile(0.45), filled_twice.median()).std(), 4),
    "winsorized, then largest": (x.clip(x.quantile(0.05), x.quantile(0.9)).standardize().max(), 3),
    "winsorized function": (x.exp().clip(x.exp().quantile(0.05)).standardize(), 2),
    "count of z": (filled.standardize().count(), 3),
    "group's steps": ((x - x.mean().over("c")).max().over("c"), 2),
    "integers": ((i - i.min()).max(), 2),
}  # fmt: skip


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", RULES)
def test_one_scan_gives_what_several_give(name, device):
    feature, levels = RULES[name]
    target = "b" if "target" in name else None
    one, pipeline = fitted([feature], target=target, device=device)
    source = gp.scan(TABLE, partitions=3)
    report = gp.Pipeline([feature], target=target, device=device).fit(source).report_
    assert (report.scans, report.source_reads) == (1, 1)
    assert report.bytes_read == source.nbytes(pipeline.plan_.fit_columns)
    with unfolded():
        several, other = fitted([feature], target=target, device=device)
    assert len(other.plan_.scans) == levels
    assert one.schema == several.schema
    for column in one.column_names:
        assert_same(one[column].to_pylist(), several[column].to_pylist())


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    wrong = [(a, b) for a, b in zip(ours, theirs, strict=True) if not (a == b or (a != a and b != b))]
    assert not wrong, wrong[:5]


def outcome(feature, data):
    """The values of a feature, or the kind of error it ends in."""
    try:
        found, _ = fitted([feature], data)
        return {name: [str(value) for value in found[name].to_pylist()] for name in found.column_names}
    except DataError as error:
        return type(error)


def unfolded_outcome(feature, data):
    """The same by a scan for each level."""
    with unfolded():
        return outcome(feature, data)


def assert_near(ours, theirs):
    """Equal but for what rounding each row, and adding up what it left, may change."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        assert ours == theirs
        return
    assert ours.keys() == theirs.keys()
    for name in ours:
        a, b = (np.array([np.nan if text == "None" else float(text) for text in each[name]]) for each in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("end", [lambda v: v.max(), lambda v: v.quantile(0.9), lambda v: v.median().over("c")])
def test_a_row_that_steps_make_nan_is_told_though_the_statistic_is_none(end):
    feature = end((x - x.mean()).log())
    assert len(planned([feature]).scans) == 1
    with pytest.raises(NonFiniteError, match="NaN stands among the values"):
        fitted([feature])


# -- random pipelines -----------------------------------------------------------------------------------------------
STEPS = {
    "clip": lambda v: v.clip(-2, 40),
    "log1p": lambda v: v.abs().log1p(),
    "exp": lambda v: v.clip(-50, 50).exp(),
    "product": lambda v: v * 0.75 + 1,
    "square": lambda v: v * v,
    "null below": lambda v: when(v > -1.5).then(v),
    "bins": lambda v: v.bucketize([-3, 0, 0.5, 20]),
    "whole": lambda v: v.floor(),
    "flag": lambda v: v.is_null().cast("Float64") + v,
    "text": lambda v: v.cast("String").str.len_chars(),
    "parts": lambda v: when(v > 3).then(v).otherwise(-v),
}
FILLS: dict[str, Any] = {
    "constant": lambda v: v.fill_null(1),
    **{name: lambda v, name=name: v.fill_null(name) for name in ("mean", "median", "min", "max", "mode")},
    "group": lambda v: v.fill_null(v.median().over("s")),
    "group then all": lambda v: v.fill_null(v.mean().over("s")).fill_null("max"),
    "other": lambda v: v.fill_null(col("p").max()),
}
LATE = {
    "standardize": lambda v: v.standardize(),
    "min_max": lambda v: v.min_max(),
    "robust": lambda v: v.robust(),
    "falls": lambda v: 3 - v / v.max().abs().nonzero(),
    "log of the distance": lambda v: (v - v.min()).log1p(),
    "clip": lambda v: v.clip(v.quantile(0.2), v.quantile(0.8)),
    "clip above": lambda v: v.clip(None, v.median()),
    "centred by group": lambda v: v - v.mean().over("s").fill_null(0),
}
ENDS: dict[str, Any] = {
    **{name: lambda v, name=name: getattr(v, name)() for name in
       ("sum", "mean", "std", "var", "min", "max", "median", "mode", "n_unique", "count", "null_count")},
    "quantile": lambda v: v.quantile(0.3),
    "by group": lambda v: v.mean().over("s"),
    "by two": lambda v: v.max().over("s", "b"),
    "by filled": lambda v: v.std().over(col("d").fill_null("mode")),
    "as key": lambda v: col("g").sum().over(v.bucketize([0.0, 1.5])),
    "codes": lambda v: v.codes(min_count=2),
}  # fmt: skip


@st.composite
def chains(draw):
    """A chain of fills, functions and steps that wait, and the statistic at its end; as (name, expression)."""
    name = draw(st.sampled_from(["f", "g", "p", "k", "v", "i8", "i32", "u16"]))
    names, value = [name], col(name)
    for _ in range(draw(st.integers(1, 4))):
        table = draw(st.sampled_from([FILLS, FILLS, STEPS, LATE]))
        step = draw(st.sampled_from(sorted(table)))
        names.append(step)
        value = table[step](value)
    end = draw(st.sampled_from(sorted(ENDS)))
    return " | ".join([*names, end]), ENDS[end](value)


def check(drawn, feature):
    """Equal to the bit, unless an affine step is taken with exact moments: then near to it."""
    if (one := outcome(feature, drawn.table)) == (several := unfolded_outcome(feature, drawn.table)):
        return
    slots = planned([feature], drawn.table).slots
    waited = [slot.node.op for slot in slots if slot.late.suffix is not None and slot.node.op in BY_SUMS]
    assert waited, (one, several)
    assert_near(one, several)


@settings(max_examples=60, deadline=None)
@given(drawn=drawn_tables(sizes=(7, 23, 142)), chain=chains())
def test_any_chain_gives_what_several_scans_give(drawn, chain):
    check(drawn, chain[1])


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(drawn=drawn_tables(sizes=(1, 2, 7, 23, 142)), chain=chains())
def test_3000_chains_give_what_several_scans_give(drawn, chain):
    check(drawn, chain[1])


# -- the work of a whole pipeline -------------------------------------------------------------------------------------
NUMBERS, WORDS = [f"I{at}" for at in range(1, 14)], [f"C{at}" for at in range(1, 27)]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Files as of click logs: a label, 13 counts and 26 texts, each with nulls, and a column that nobody needs."""
    rng, n = np.random.default_rng(7), 6000
    columns = {"label": pa.array(rng.integers(0, 2, n).astype(np.int8)), "unused": pa.array(rng.normal(size=n))}
    for at, name in enumerate(NUMBERS):
        columns[name] = pa.array(rng.geometric(0.02 * (at + 1), n).astype(np.float32) - 3, mask=rng.random(n) < 0.1)
    for at, name in enumerate(WORDS):
        words = [f"{value:x}" for value in rng.geometric(1 / (4 + 9 * at), n)]
        columns[name] = pa.array(words, mask=rng.random(n) < 0.05)
    folder = tmp_path_factory.mktemp("clicks")
    table = pa.table(columns)
    for part in range(3):
        pq.write_table(table.slice(part * n // 3, n // 3), folder / f"{part}.parquet", row_group_size=1000)
    return table, str(folder / "*.parquet")


def test_the_features_of_click_logs_take_one_scan(clicks):
    table, files = clicks
    numbers = gp.cols(*NUMBERS).fill_null("median").clip(0).log1p().standardize()
    features = [numbers, gp.cols(*WORDS).codes(), col("C3").target_mean()]
    pipeline, source = gp.Pipeline(features, target="label"), gp.scan(files)
    page = pipeline.explain(source)
    assert (page.scans, page.forced, page.settled) == (1, (), tuple(NUMBERS))
    report = pipeline.fit(source).report_
    assert (report.scans, report.source_reads, report.refinements) == (1, 1, 1)
    needed = [*NUMBERS, *WORDS, "label"]
    once = [source.load_with_report(index, needed)[1].bytes_read for index in range(len(source.partitions))]
    assert report.bytes_read == sum(once)
    found = pipeline.transform(source, output="arrow")
    for name in NUMBERS:
        values = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
        logs = np.log1p(np.maximum(np.where(np.isnan(values), np.nanmedian(values), values), 0))
        theirs = StandardScaler().fit_transform(logs[:, None])[:, 0]
        np.testing.assert_allclose(found[name].to_numpy(), theirs, rtol=3e-6, atol=1e-6)


def test_the_same_without_folding_takes_two(clicks):
    _, files = clicks
    numbers = gp.cols(*NUMBERS).fill_null("median").clip(0).log1p().standardize()
    with unfolded():
        page = gp.Pipeline([numbers]).explain(gp.scan(files))
    assert page.scans == 2


# -- steps that are the same for all rows, under sums: exact, rounded once ------------------------------------------
AFFINE = {
    "standardized": (lambda v: v.standardize(), lambda v, of: (v - of["mean"]) / of["std"]),
    "twice": (lambda v: ((v - v.mean()) / v.std() - v.min()) * v.max(),
              lambda v, of: ((v - of["mean"]) / of["std"] - of["min"]) * of["max"]),
    "falling": (lambda v: 2 - v * v.max(), lambda v, of: 2 - v * of["max"]),
    "of whole numbers": (lambda v: v.cast("Int64") - v.cast("Int64").min(), lambda v, of: int(v) - int(of["min"])),
}  # fmt: skip


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_steps_under_sums_are_exact(name, offset):
    """The oracle: rational numbers, of the statistics as they are fitted (float64), rounded once."""
    ours, theirs = AFFINE[name]
    values = offset + np.round(np.random.default_rng(3).normal(5, 3, 501), 3)
    data = pa.table({"x": pa.array(values, mask=np.arange(501) % 7 == 3)})
    of = {op: Fraction(fitted_value(getattr(x, op)(), data)) for op in ("mean", "std", "min", "max")}
    exact = [Fraction(theirs(Fraction(value), of)) for value in data["x"].to_pylist() if value is not None]
    mean = sum(exact) / len(exact)
    var = sum((value - mean) ** 2 for value in exact) / len(exact)
    wanted = {"sum": float(sum(exact)), "mean": float(mean), "var": float(var), "std": float(mpmath.sqrt(mpf(var)))}
    for op, expected in wanted.items():
        assert fitted_value(getattr(ours(x), op)(), data) == expected, op


def mpf(value):
    mpmath.mp.prec = 400
    return mpmath.mpf(value.numerator) / value.denominator


def fitted_value(feature, data):
    """The one value of a feature that is the same for all rows, in one scan."""
    found, pipeline = fitted([feature], data)
    assert pipeline.report_.scans == 1
    return found.column(0)[0].as_py()


# -- what is told, and what does not show ---------------------------------------------------------------------------
@pytest.mark.parametrize("feature", [
    lambda v: v.min(), lambda v: v.max(), lambda v: 1 / v.min(), lambda v: (-v).max(), lambda v: v.min().over("g"),
    lambda v: (-(v - v.min())).max(), lambda v: (-(v - v.min())).median(), lambda v: v.fill_null("min").max(),
])  # fmt: skip
def test_which_zero_came_first_does_not_show(feature):
    table = pa.table({"x": [0.0, -0.0, None, -0.0, 0.0], "g": ["a", "a", "b", "b", "a"]})
    shown = set()
    for order in ([0, 1, 2, 3, 4], [1, 0, 2, 4, 3], [3, 4, 2, 1, 0]):
        found, _ = fitted([feature(x)], table.take(pa.array(order)))
        shown |= {repr(value) for value in found.column(0).to_pylist()}
    assert shown in ({"0.0"}, {"inf"})


@pytest.mark.parametrize(("feature", "told"), [
    ((i - i.min()).max(), "Column 'i': (i - i.min()).max(): (value - i.min()): the result leaves int64, of "),
    ((i - i.min()).max().over("k"), "(i - i.min()).max().over('k'): (value - i.min().over(k)): the result leaves"),
    (i.fill_null(i.max().over("k") * 2**62).max(), "(i.max().over('k') * 4611686018427387904): the result leaves"),
])  # fmt: skip
def test_steps_after_the_scan_that_leave_int64_are_told_as_they_were_written(feature, told):
    data = pa.table({"i": pa.array([2**63 - 1, -(2**63), None, 5], pa.int64()), "k": [1, 1, 2, 2]})
    with pytest.raises(IntegerOverflowError) as caught:
        fitted([feature], data)
    assert told in str(caught.value) and "key 0" not in str(caught.value) and "Row" not in str(caught.value)


@pytest.mark.parametrize("key", [col("k"), col("k").fill_null("mode")])
def test_a_value_that_a_statistic_by_group_refuses_is_told_with_its_column(key):
    data = pa.table({"x": [1.0, 2.0, float("nan")], "k": [1, None, 1]})
    with pytest.raises(NonFiniteError, match=r"^Row 2, column 'x': x\.mean\(\)\.over\("):
        fitted([x.mean().over(key)], data)


@pytest.mark.parametrize("count", [lambda v: v.count(), lambda v: v.null_count()])
def test_a_count_refuses_nan_that_a_later_step_makes(count):
    """As it does where the step comes in the same scan."""
    with pytest.raises(NonFiniteError, match=r"^Row 0, column 'x': .*NaN stands among the values"):
        fitted([count((x - x.mean()).log())], pa.table({"x": [0.0, 1.0, None, 5.0]}))


def test_an_infinity_times_a_statistic_that_is_0_is_refused_as_in_several_scans():
    table = {"x": pa.array([1.0, float("inf"), 2.0]), "k": pa.array([1.0, -1.0, 0.0])}
    for made in ((col("x") * col("k").sum()).median(), (col("x") * col("k").sum()).count()):
        with pytest.raises(NonFiniteError):
            gp.Pipeline([made.alias("made")]).fit(gp.scan(table))
