"""Dependent statistics gathered in one scan: the work is counted, and the values are those that several scans give."""

from contextlib import contextmanager

import numpy as np
import pytest
from engine import TABLE, planned, unrounded
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import drawn_tables

import gpupipe as gp
from gpupipe import col, when
from gpupipe.compiler import folding
from gpupipe.compiler.folding import BY_SUMS
from gpupipe.errors import DataError

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
    # The fill of each group.
    "group fill": (by_group.standardize(), 2),
    "group fill, then all": (by_group.fill_null("mean").standardize(), 3),
    "group fill by group": (by_group.mean().over("c"), 2),
    "group fill by other": (by_group.mean().over("a"), 2),
    "group fill by two": (by_group.max().over("a", "c"), 2),
    "group fill's mode": (by_group.n_unique(), 2),
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
    "falling": ((5 - x / x.min()).max(), 2),
    "falling median": ((-(x - x.mean())).quantile(0.2), 2),
    "log of the distance": ((x - x.min()).log1p().max(), 2),
    "rounded": (((x - x.mean()) / x.std()).floor().median(), 2),
    "clipped by quantiles": (x.clip(x.quantile(0.1), x.quantile(0.9)).quantile(0.95), 2),
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
FILLS = {
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
    "clip": lambda v: v.clip(v.quantile(0.2), v.quantile(0.8)),
    "centred by group": lambda v: v - v.mean().over("s").fill_null(0),
}
ENDS = {
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


@settings(max_examples=120, deadline=None)
@given(drawn=drawn_tables(sizes=(7, 23, 142)), chain=chains())
def test_any_chain_gives_what_several_scans_give(drawn, chain):
    _, feature = chain
    if (one := outcome(feature, drawn.table)) == (several := unfolded_outcome(feature, drawn.table)):
        return
    slots = planned([feature], drawn.table).slots
    waited = [slot.node.op for slot in slots if slot.late.suffix is not None and slot.node.op in BY_SUMS]
    assert waited, (one, several)  # else equal to the bit
    assert_near(one, several)
