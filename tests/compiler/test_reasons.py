"""What cannot be gathered in one scan: it takes as many as it says, and the plan says which expression forced it."""

import pytest
from engine import TABLE

import gpupipe as gp
from gpupipe import col

x, y, i, s, c = (col(name) for name in "xyisc")
filled = x.fill_null("mean")

FORCED = {
    "two fills": ((filled + y.fill_null("mean")).std(), "(x.fill_null('mean') + y.fill_null('mean'))", "x.mean()",
                  "it is no step that is the same for all rows"),
    "another column": ((filled * y).mean(), "(x.fill_null('mean') * y)", "x.mean()",
                       "it is no step that is the same for all rows"),
    "steps under a mean": ((x - x.min()).log1p().mean(), "(x - x.min()).log1p()", "x.min()",
                           "the mean after log1p does not follow from the sums before it"),
    "absolute values": ((x - x.mean()).abs().median(), "(x - x.mean()).abs()", "x.mean()",
                        "the median after abs does not follow from the order before it"),
    "clip by a quantile and a number": (x.clip(x.quantile(0.1), 9).mean(), "x.clip(x.quantile(0.1), 9)",
                                        "x.quantile(0.1)",
                                        "the mean after min_horizontal does not follow from the sums before it"),
    "clip by quantiles of another function": (filled.clip(None, filled.abs().median()).mean(),
                                              "x.fill_null('mean').clip(None, x.fill_null('mean').abs().median())",
                                              "x.mean()",
                                              "the mean after min_horizontal does not follow from the sums before it"),
    "function of what is clipped": (x.clip(x.median()).log1p().mean(), "x.clip(x.median()).log1p()", "x.median()",
                                    "the mean after log1p does not follow from the sums before it"),
    "mode after steps": (x.standardize().mode(), "x.standardize()", "x.mean()",
                         "the mode takes the values after -, not those before it"),
    "quantile of group fills": (x.fill_null(x.mean().over("c")).median(), "x.fill_null(x.mean().over('c'))",
                                "x.mean().over('c')",
                                "the median could be any of many values, one for each group of rows that is filled"),
    "steps by group": (x.standardize_over("c").mean(), "x.standardize_over('c')", "x.mean().over(c)",
                       "it is no step that is the same for all rows ((x - x.mean().over(c)))"),
    "steps under a mean by group": ((x - x.max()).mean().over("c"), "(x - x.max().over(c))", "x.max().over(c)",
                                    "steps are taken with the sums of all rows, not with those of each group"),
    "out of fold": (c.target_mean().standardize(), "c.target_mean()", "target().sum(folds=5).over(c)",
                    "a row's value comes from the folds it is not in"),
    "wide": (c.one_hot().standardize(), "c.one_hot()",
             "c.vocabulary(min_count=1, max_size=None, order='value')",
             "how many columns it has, and what each is, a scan must tell"),
    "bins as keys": (y.mean().over(x.qcut(3)), "x.qcut(3)", "x.quantile(0.3333333333333333)",
                     "which group a row is in depends on it"),
    "keys filled by group": (y.mean().over(s.fill_null(s.mode().over("c"))), "s.fill_null(s.mode().over('c'))",
                             "s.mode().over('c')", "which group a row is in depends on it"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORCED)
def test_a_further_scan_names_what_forced_it(name):
    feature, value, needs, why = FORCED[name]
    pipeline = gp.Pipeline([feature], target="b")
    page = pipeline.explain(TABLE)
    (found,) = page.forced
    assert (found.scan, found.what, found.why) == (2, f"{value} needs {needs} first", why)
    assert f"since {found.what}" in page.stage("scans")
    report = pipeline.fit(TABLE).report_
    assert (page.scans, report.scans, report.source_reads) == (2, 2, 1)


def test_what_is_gathered_together_forces_nothing():
    page = gp.Pipeline([filled.log1p().standardize().min_max(), c.fill_null("mode").codes()]).explain(TABLE)
    assert (page.scans, page.forced, page.settled) == (1, (), ())


def test_each_level_names_its_own():
    """What stands above a further scan may still be gathered with what it depends on there."""
    away = (x - x.mean()).abs()
    page = gp.Pipeline([away.standardize().alias("a"), (away - away.min()).log1p().mean().alias("b")]).explain(TABLE)
    assert [(found.scan, found.what) for found in page.forced] == [
        (2, "(x - x.mean()).abs() needs x.mean() first"),
        (3, "((x - x.mean()).abs() - (x - x.mean()).abs().min()).log1p() needs (x - x.mean()).abs().min() first"),
    ]
    later = x.fill_null((x - x.mean()).abs().median()).mean()  # gathered with the median that it waits for
    page = gp.Pipeline([later]).explain(TABLE)
    assert [(found.scan, found.what) for found in page.forced] == [(2, "(x - x.mean()).abs() needs x.mean() first")]
    assert "nulls of x become (x - x.mean()).abs().median()" in page.stage("scans")


def test_states_that_only_count_nulls_are_listed():
    text = gp.Pipeline([x.fill_null(x.mean().over("c")).std().over("a")]).explain(TABLE).stage("scans")
    assert "nulls of x over a, c" in text
