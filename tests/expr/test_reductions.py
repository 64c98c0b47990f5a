"""Every reduction against NumPy and Polars, over the table and over groups, with nulls, on both backends."""

# What is refused is often of a wrong type, which the stub knows too.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, operator, index, call-arg, comparison-overlap"

from collections import Counter

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from engine import DEVICES, FRAME, TABLE, Case, assert_alike, check, computed, value

from gpupipe import col, lit
from gpupipe.errors import DataError, IntegerOverflowError, NonFiniteError, ParameterError, TypeMismatchError
from gpupipe.expr.reductions import REDUCTIONS

P = pl.col
x, i = col("x"), col("i")


def mode(column):
    """The least of the most frequent values."""
    return column.drop_nulls().mode().min()


def least_mode_by(name, *keys):
    def oracle(frame):
        rows = list(zip(*(frame[key].to_list() for key in keys), frame[name].to_list(), strict=True))
        counts = Counter(row for row in rows if row[-1] is not None)
        groups = {}
        for row, count in counts.items():
            groups.setdefault(row[:-1], []).append((-count, row[-1]))
        return [min(groups[row[:-1]])[1] if row[:-1] in groups else None for row in rows]

    return oracle


# name, ours, the same in Polars, ulps
WHOLE = [
    ("count", x.count(), P("x").count(), 0),
    ("count", col("s").count(), P("s").count(), 0),
    ("null_count", x.null_count(), P("x").null_count(), 0),
    ("null_count", col("t").null_count(), P("t").null_count(), 0),
    ("sum", i.sum(), P("i").sum(), 0),
    ("sum", x.sum(), P("x").sum(), 16),
    ("sum", col("a").sum(), P("a").sum(), 0),
    ("mean", x.mean(), P("x").mean(), 16),
    ("mean", col("a").mean(), P("a").mean(), 4),
    ("std", x.std(), P("x").std(ddof=0), 16),
    ("std", x.std(ddof=1), P("x").std(), 16),
    ("var", i.var(), P("i").var(ddof=0), 16),
    ("var", x.var(ddof=2), P("x").var(ddof=2), 16),
    ("min", x.min(), P("x").min(), 0),
    ("min", col("d").min(), P("d").min(), 0),
    ("max", i.max(), P("i").max(), 0),
    ("max", col("t").max(), P("t").max(), 0),
    ("median", x.median(), P("x").median(), 2),
    ("median", i.median(), P("i").median(), 0),
    ("quantile", x.quantile(0.3), P("x").quantile(0.3, "linear"), 8),
    ("quantile", i.quantile(0.95), P("i").quantile(0.95, "linear"), 8),
    ("quantile", x.quantile(0), P("x").min(), 0),
    ("quantile", x.quantile(1), P("x").max(), 0),
    ("n_unique", x.n_unique(), P("x").drop_nulls().n_unique(), 0),
    ("n_unique", col("s").n_unique(), P("s").drop_nulls().n_unique(), 0),
]
CASES = [Case(name, ours, theirs, ulps, note=f"{at}") for at, (name, ours, theirs, ulps) in enumerate(WHOLE)]
CASES += [
    Case(name, ours.over("c"), theirs.over("c"), ulps, note=f"{at} over a key")
    for at, (name, ours, theirs, ulps) in enumerate(WHOLE)
]
CASES += [
    Case(name, ours.over("a", col("i") > 0), theirs.over("a", P("i") > 0), ulps, note=f"{at} over two keys")
    for at, (name, ours, theirs, ulps) in enumerate(WHOLE[::3])
]
CASES += [
    Case("mode", i.mode(), lambda f: [mode(f["i"])] * f.height),
    Case("mode", col("s").mode(), lambda f: [mode(f["s"])] * f.height, note="text"),
    Case("mode", col("a").mode(), lambda f: [mode(f["a"])] * f.height, note="booleans"),
    Case("mode", i.mode().over("c"), least_mode_by("i", "c"), note="over a key"),
    Case("mode", col("s").mode().over("a", "b"), least_mode_by("s", "a", "b"), note="text over two keys"),
    Case("sum", (x * 2).sum() + i.max(), P("x").sum() * 2 + P("i").max(), ulps=16, note="two in one"),
    Case("mean", x.fill_null("mean").mean(), P("x").fill_null(P("x").mean()).mean(), ulps=16, note="of another"),
    Case("mean", (x - x.mean().over("c")).abs().mean(),
         (P("x") - P("x").mean().over("c")).abs().mean(), ulps=16, note="of one over a key"),
    Case("count", lit(1).count().over("c"), pl.len().over("c"), note="rows of a group"),
]  # fmt: skip


def test_every_row_has_a_case():
    assert {case.name for case in CASES} | {"vocabulary", "place"} == set(REDUCTIONS)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, device):
    check(case, device)


def test_quantiles_are_numpys_bits():
    """NumPy 2 interpolates as we do: from the nearer end."""
    numbers = FRAME["y"].drop_nulls().to_numpy()
    for q in (0.0, 0.1, 1 / 3, 0.5, 0.77, 0.999, 1.0):
        assert value(col("y").quantile(q), "cpu")[0] == np.quantile(numbers, q)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", ["count", "value"])
def test_a_vocabulary_is_ordered_and_cut(device, order):
    data = {"v": pa.array(["b", "a", "é", None, "a", "b", "c", "Z", "Z", "Z"])}
    options = {"min_count": 2, "max_size": 2, "order": order}
    plan_order = col("v").vocabulary(**options)
    from_codes = value(col("v")._call("codes", plan_order, other_buckets=1), device, data)
    place = {"count": {"Z": 2, "a": 3}, "value": {"Z": 2, "a": 3}}[order]
    assert from_codes == [0 if v is None else place.get(v, 1) for v in data["v"].to_pylist()]
    names = list(computed([col("v").one_hot(min_count=1)], device, data))
    assert names == ["v_Z", "v_a", "v_b", "v_c", "v_é"]


@pytest.mark.parametrize("device", DEVICES)
def test_what_a_column_without_values_gives(device):
    data = {"v": pa.array([None, None], pa.float64()), "k": pa.array(["p", "q"])}
    empty = [col("v").count(), col("v").null_count(), col("v").sum(), col("v").n_unique()]
    assert [value(one, device, data)[0] for one in empty] == [0, 2, 0, 0]
    for one in (col("v").mean(), col("v").min(), col("v").median(), col("v").mode(), col("v").std()):
        with pytest.raises(DataError, match=r"has no value: .*nothing but nulls in the 2 rows"):
            value(one, device, data)
        assert value(one.over("k"), device, data) == [None, None]


@pytest.mark.parametrize("device", DEVICES)
def test_a_group_smaller_than_ddof_has_no_variance(device):
    data = {"v": pa.array([1.0, 2.0, 4.0]), "k": pa.array(["p", "q", "q"])}
    assert value(col("v").var(ddof=1).over("k"), device, data) == [None, 2, 2]


@pytest.mark.parametrize("device", DEVICES)
def test_nan_and_infinities(device):
    nan = {"v": pa.array([1.0, np.nan])}
    for one in (col("v").sum(), col("v").max(), col("v").median(), col("v").codes(), col("v").count()):
        with pytest.raises(NonFiniteError, match=r"v\..*NaN stands among the values.*nan_to_null"):
            value(one, device, nan)
    endless = {"v": pa.array([1.0, np.inf, 3.0])}
    assert [value(one, device, endless)[0] for one in (col("v").max(), col("v").median())] == [np.inf, 3]
    for one in (col("v").mean(), col("v").std()):
        with pytest.raises(NonFiniteError, match=r"v.*infinite"):
            value(one, device, endless)
    assert value(col("v").nan_to_null().max(), device, nan) == [1, 1]


@pytest.mark.parametrize("device", DEVICES)
def test_a_sum_beyond_int64(device):
    with pytest.raises(IntegerOverflowError, match=r"v\.sum\(\).*Float64"):
        value(col("v").sum(), device, {"v": pa.array([2**62, 2**62])})
    assert value(col("v").cast("Float64").sum(), device, {"v": pa.array([2**62, 2**62])}) == [2.0**63] * 2


def test_variance_of_large_numbers_keeps_its_digits():
    numbers = np.array([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
    assert_alike(value(col("v").var(), "cpu", {"v": pa.array(numbers)}), [22.5] * 4, ulps=4)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: x.std(ddof=-1), ParameterError, "ddof is a whole number from 0 on, not -1"),
        (lambda: x.var(ddof=0.5), ParameterError, "ddof is a whole number"),
        (lambda: x.quantile(1.5), ParameterError, "quantile takes a fraction between 0 and 1, not 1.5"),
        (lambda: x.quantile(True), ParameterError, "quantile takes a fraction"),
        (lambda: x.quantile("0.5"), ParameterError, "quantile takes a fraction"),
        (lambda: x.vocabulary(min_count=0), ParameterError, "min_count is a whole number from 1 on, not 0"),
        (lambda: x.vocabulary(max_size=0), ParameterError, "max_size is a whole number from 1 on, or None"),
        (lambda: x.vocabulary(order="rank"), ParameterError, "order is 'count' or 'value', not 'rank'"),
        (lambda: value(col("s").mean(), "cpu"), TypeMismatchError, "mean takes a number, not String.*codes"),
        (lambda: value(col("t").sum(), "cpu"), TypeMismatchError, "sum takes a number, not Datetime"),
        (lambda: value(col("s").max(), "cpu"), TypeMismatchError, "max takes numbers or times, not String.*mode"),
        (lambda: value(col("s").vocabulary().alias("v"), "cpu"), TypeMismatchError, "a list, not a value"),
        (lambda: value(x.vocabulary() + 1, "cpu"), TypeMismatchError, "a vocabulary is a list"),
        (lambda: computed([col("s").one_hot().over("c")], "cpu"), TypeMismatchError, "takes no over. There is .codes"),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_fit_alone_decides():
    """Frozen at fit: other rows are measured by what was learned."""
    fresh = TABLE.slice(0, 5)
    for one in (x.mean(), x.median(), i.mode(), x.std()):
        assert value(one, "cpu", fresh, fit_on=TABLE) == value(one, "cpu")[:5]
