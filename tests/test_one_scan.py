"""Chains of dependent statistics are gathered in one scan: the work is counted, the values are those of several scans."""

from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from engine import TABLE, unrounded

import gpupipe as gp
from gpupipe import col, when
from gpupipe.compiler import folding

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
    "two fills": (x.fill_null("mean").clip(0).log().map(lambda v: when(v.is_finite()).then(v)).fill_null("min").std(), 3),
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
    assert all(a == b or (a != a and b != b) for a, b in zip(ours, theirs, strict=True)), [(a, b) for a, b in zip(ours, theirs) if a != b][:5]
