"""What planning decides and refuses before a row is read: selectors, types, names, leaks, scans, columns."""

import pyarrow as pa
import pytest
from engine import DEVICES, TABLE, computed, planned

import gpupipe as gp
from gpupipe import Field, Schema, col, when
from gpupipe.compiler.plan import make_plan
from gpupipe.errors import (
    ColumnNotFoundError,
    DuplicateNameError,
    LeakageError,
    ParameterError,
    PlanError,
    TypeMismatchError,
)

x, y, s, t = (col(name) for name in "xyst")


def features_of(*features, **options):
    plan = make_plan(gp.scan(TABLE).schema, [feature._node for feature in features], **options)
    return [feature.name for feature in plan.features]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        (gp.numeric(), list("xywfij")), (gp.strings(), ["s", "c"]), (gp.booleans(), ["a", "b"]),
        (gp.dates(), ["d", "d2", "t", "t2", "z"]), (gp.all_columns(), TABLE.column_names),
        (gp.cols("y", "a"), ["y", "a"]), (gp.numeric() - ["x", "y"], list("wfij")), (gp.numeric() - "x", list("ywfij")),
        (gp.strings() | gp.booleans(), ["s", "c", "a", "b"]), (gp.strings() | "s", ["s", "c"]),
        (gp.numeric() & ["i", "a"], ["i"]), (~gp.numeric() & gp.strings(), ["s", "c"]),
        (gp.numeric() - gp.cols("x") - ["y", "w"] | "a", ["f", "i", "j", "a"]),
    ],
    ids=str,
)  # fmt: skip
def test_selectors(selector, names):
    assert features_of(selector) == names


def test_selectors_spread_over_operators():
    assert features_of(gp.cols("x", "y").fill_null("mean").standardize()) == ["x", "y"]
    assert features_of((gp.cols("x", "y") + gp.cols("w", "i")).suffix("_sum")) == ["x_sum", "y_sum"]
    cyclic = {f"{name}_month_{part}" for part in ("sin", "cos") for name in ("t", "t2")}
    assert set(features_of(gp.cols("t", "t2").dt.month().cyclic(12))) == cyclic
    assert features_of(gp.numeric(), target=col("x")._node, weights=col("w")._node, key=["i"]) == ["y", "f", "j"]


REFUSED = [
    ([col("tenur")], ColumnNotFoundError, "no column 'tenur'"),
    ([col("t22")], ColumnNotFoundError, "There is no column 't22'. Did you mean 't2'?"),
    ([x.mean().over("cc")], ColumnNotFoundError, "no column 'cc'"),
    ([gp.cols("x", "q9")], ColumnNotFoundError, "no column 'q9'"),
    ([gp.numeric() - ["q9"]], ColumnNotFoundError, "no column 'q9'"),
    ([gp.strings() & gp.numeric()], ParameterError, "The features select no column"),
    ([], ParameterError, "The list of features is empty"),
    ([x, x + 1], DuplicateNameError, r"Two features are named 'x': x and \(x \+ 1\).*alias"),
    ([col("c").one_hot(), col("c").one_hot(min_count=3)], DuplicateNameError, "Two features are named 'c'"),
    ([gp.numeric() + gp.strings()], TypeMismatchError, r"joins selections of \[2, 6\] columns"),
    ([s + 1], TypeMismatchError, r"^\+ takes numbers.*, not String and Int64.* In: \(s \+ 1\)"),
    ([s.standardize()], TypeMismatchError, "String"),
    ([x & y], TypeMismatchError, r"^& takes booleans \(compare first"),
    ([~x], TypeMismatchError, "^~ takes booleans"),
    ([x == s], TypeMismatchError, "^== takes values of one type, not Float64 and String"),
    ([when(x).then(1).otherwise(2)], TypeMismatchError, "when takes a condition, not Float64"),
    ([when(x > 0).then(1).otherwise("a")], TypeMismatchError, "^when takes values of one type"),
    ([x.fill_null("none")], TypeMismatchError, "^fill_null takes values of one type.*Strategies are 'mean'"),
    ([t + t], TypeMismatchError, r"^\+ takes numbers, or dates and durations"),
    ([t * 2], TypeMismatchError, r"^\* takes numbers, not Datetime"),
    ([x.dt.month()], TypeMismatchError, "Date or Datetime, not Float64"),
    ([s.dt.month()], TypeMismatchError, r"not String.*str\.to_datetime"),
    ([col("d").dt.hour()], TypeMismatchError, "takes Datetime, not Date"),
    ([x.dt.total_days()], TypeMismatchError, "^dt.total_days takes a date, a time or a duration, not Float64"),
    ([x.str.len_chars()], TypeMismatchError, r"len_chars takes String, not Float64. Cast first: \.cast\('String'\)"),
    ([x.str.contains("a")], TypeMismatchError, "contains takes String"),
    ([x.str.to_date()], TypeMismatchError, "takes String"),
    ([s.log()], TypeMismatchError, "log takes numbers, not String"),
    ([t.cast("Boolean").cast("Date")], TypeMismatchError, "Boolean cannot be cast to Date"),
    ([col("u").cast("String").cast("Duration")], TypeMismatchError, "cannot be cast"),
    ([col("c").one_hot() + col("s").one_hot()], TypeMismatchError, "joins two features of several columns"),
    ([x.mean().over(col("c").one_hot())], TypeMismatchError, "over takes keys of one column each"),
    ([col("c").one_hot().codes()], TypeMismatchError, "no feature of several|takes one column"),
    ([col("c").target_mean()], PlanError, "A feature uses the target, and the pipeline has none"),
]  # fmt: skip


@pytest.mark.parametrize(("features", "error", "message"), REFUSED)
def test_what_is_refused_while_planning(features, error, message, monkeypatch):
    monkeypatch.setattr(gp.Source, "load_with_report", lambda *_: pytest.fail("a row was read"))
    for plan in (gp.Pipeline(features).explain, gp.Pipeline(features).fit):
        with pytest.raises(error, match=message):
            plan(TABLE)


@pytest.mark.parametrize(
    ("feature", "options"),
    [
        (x * 2, {"target": "x"}),
        (y - x.mean(), {"target": col("x") > 0}),
        (col("w").log(), {"weights": "w", "target": "a"}),
    ],
    ids=str,
)
def test_a_feature_that_would_see_the_target_is_refused(feature, options):
    with pytest.raises(LeakageError, match=r"uses '[xw]', which the (target is|weights are) made of"):
        gp.Pipeline([feature], **options).fit(TABLE)


@pytest.mark.parametrize("features", ["x", ["x"], 5, [None], [[x], ["y"]]], ids=str)
def test_a_feature_is_an_expression(features):
    with pytest.raises(ParameterError, match=r"A feature is an expression( such as gp\.col|, not text)"):
        gp.Pipeline(features).fit(TABLE)


@pytest.mark.parametrize(
    ("features", "scans"),
    [
        ([x + y], 0),
        ([x.standardize(), y.robust(), col("c").codes(), x.mean().over("c").alias("m")], 1),
        ([x.fill_null("median").standardize()], 1),
        ([x.fill_null("median").standardize().min_max()], 1),
        ([x.fill_null("median").standardize().abs().min_max()], 2),
        ([x.fill_null("median"), y.standardize()], 1),
        ([(x - x.mean().over("c")).abs().mean().alias("a")], 2),
        ([col("c").frequency()], 1),
    ],
    ids=str,
)
def test_scans_are_the_depth_of_statistics(features, scans):
    plan = planned(features)
    assert [scan.level for scan in plan.scans] == list(range(1, scans + 1))
    found = gp.Pipeline(features).fit(gp.scan(TABLE, partitions=3)).report_
    assert found.scans == scans


def test_statistics_of_one_column_share_what_is_gathered():
    plan = planned([x.standardize(), (x - x.mean()).alias("x2"), x.var().alias("x3"), x.median().alias("x4"),
                    x.quantile(0.9).alias("x5"), x.mode().alias("x6"), x.count().alias("x7")])  # fmt: skip
    assert len(plan.slots) == 7 and len({slot.node for slot in plan.slots}) == 7
    (scan,) = plan.scans
    assert sorted(gather.state for gather in scan.gathers) == ["count", "moments", "order", "values"]


def test_only_what_is_used_is_read():
    plan = planned([x + y, x.mean().over("c").alias("m")], target="a")
    assert plan.columns == ["x", "y", "c"] and plan.fit_columns == ["x", "y", "c", "a"]
    page = gp.Pipeline([x + y]).explain(TABLE)
    assert page.columns == ("x", "y")
    read = gp.Pipeline([x + y]).fit(TABLE).report_.bytes_read
    assert 0 < read <= gp.scan(TABLE).nbytes(["x", "y"])


@pytest.mark.parametrize(
    ("feature", "nullable"),
    [
        (x + y, False), (x.fill_null(0), False), (x // y, False), (col("i") // 2, False), (col("i") // col("i"), True),
        (col("i") % 0, True), (x.nan_to_null(), True), (x.mean().over("c"), True), (col("c").codes(), False),
        (when(x > 0).then(1), True), (when(x > 0).then(1).otherwise(2), False), (x.is_null(), False),
        (x.cast("Int64"), False), (x.cast("Int64", strict=False), True), (s.str.to_date(strict=False), True),
        (s.str.to_date(), False), (s.ordinal(["a"], unknown="null"), True), (s.is_in(["a"]), False),
        (x.mean(), False), (x.standardize(), False),
    ],
    ids=str,
)  # fmt: skip
def test_where_nulls_can_come_from(feature, nullable):
    schema = Schema({name: Field(field.dtype, False) for name, field in gp.scan(TABLE).schema.items()})
    assert make_plan(schema, [feature._node]).features[0].info.nullable is nullable


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [
        (x, "Float32"), (col("i"), "Float32"), (col("i").cast("Int64"), "Int64"), (col("i").cast("Int8"), "Int8"),
        (col("a"), "Float32"), (col("a").cast("Boolean"), "Boolean"), (s, "String"), (t, "Datetime"),
        (col("d"), "Date"),
        (col("z"), "Datetime(Europe/Paris)"), (t - t, "Duration"), (col("c").codes(), "Int32"),
        (col("c").hash_buckets(9), "Int32"), (col("c").codes() + 1, "Float32"), (x.bucketize([0]), "Int32"),
        (x.cast("Float64").alias("d"), "Float64"), (x.count(), "Float32"), (col("d") - col("d2"), "Duration"),
    ],
    ids=str,
)  # fmt: skip
def test_types_of_what_leaves(feature, dtype):
    plan = planned([feature])
    assert str(plan.features[0].dtype) == dtype
    for device in DEVICES:
        found = gp.Pipeline([feature], device=device).fit(TABLE).transform(TABLE, output="arrow")
        assert str(gp.scan(found).schema[found.column_names[0]].dtype) == dtype


@pytest.mark.parametrize("device", DEVICES)
def test_names_that_meet_only_after_the_fit(device):
    """A one_hot's column and another feature of the same name: refused at the fit, not merged."""
    data = {"c": pa.array(["p", "q"]), "c_p": pa.array([1.0, 2.0])}
    with pytest.raises(DuplicateNameError, match="c_p"):
        computed([col("c").one_hot(), col("c_p")], device, data)
