"""What an expression is and is not: Python's operators, NumPy's functions, tracing, names, and every refusal."""

# What is refused is often of a wrong type, which the stub knows too.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, operator, index, call-arg, comparison-overlap"

import copy
import datetime as dt
import math
import pickle

import numpy as np
import pytest
from engine import DEVICES, FRAME, assert_alike, rowwise, value
from hypothesis import given
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col, lit, when
from gpupipe.compiler.expand import output_name
from gpupipe.errors import (
    GpupipeError,
    IntegerOverflowError,
    ParameterError,
    TraceError,
    TypeMismatchError,
)
from gpupipe.expr.expr import Expr
from gpupipe.expr.literal import literal
from gpupipe.expr.node import make, rewrite, walk
from gpupipe.expr.ufuncs import UFUNCS

x, y = col("x"), col("y")


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (1 + x, "(1 + x)"), (1 - x, "(1 - x)"), (2 * x, "(2 * x)"), (1 / x, "(1 / x)"), (7 // x, "(7 // x)"),
        (7 % x, "(7 % x)"), (2**x, "(2 ** x)"), (True & x, "(True & x)"), (False | x, "(False | x)"),
        (True ^ x, "(True ^ x)"), (-x, "-x"), (+x, "x"), (~x, "~x"), (abs(x), "x.abs()"), (x > 3, "(x > 3)"),
        (x == y, "(x == y)"), (x.mean().over("k", y > 0), "x.mean().over('k', (y > 0))"),
        ((x / y).alias("rate"), "(x / y).alias('rate')"), (np.log(x + 1), "(x + 1).log()"),
        (np.where(x > 0, x, 0), "when(x > 0).then(x).otherwise(0)"), (np.clip(x, 0, 1), "x.clip(0, 1)"),
        (lit("a"), "'a'"), (np.float64(2) * x, "(2.0 * x)"), (np.int8(2) * x, "(2 * x)"),
    ],
)  # fmt: skip
def test_what_is_written_is_shown(expression, shown):
    assert isinstance(expression, Expr) and repr(expression) == shown



INTEGER_UFUNCS = {"bitwise_and", "bitwise_or", "invert", "logical_and", "logical_or", "logical_not", "logical_xor"}


@pytest.mark.parametrize("name", UFUNCS)
def test_numpys_functions_do_what_they_do_to_arrays(name):
    ufunc = getattr(np, name)
    if name in INTEGER_UFUNCS:
        names = ["a", "b"][: ufunc.nin]
        got = value(ufunc(*map(col, names)), "cpu")
        arrays = [FRAME[n].fill_null(False).to_numpy() for n in names]
        known = ~np.logical_or.reduce([FRAME[n].is_null().to_numpy() for n in names])
        expected = ufunc(*arrays)
        assert [v for v, ok in zip(got, known, strict=True) if ok] == expected[known].tolist()
        return
    names = ["w", "y"][: ufunc.nin]
    inner = (lambda v: np.minimum(v * 0.001, 1)) if name == "arcsin" else (lambda v: v)
    got = value(ufunc(inner(col(names[0])), *map(col, names[1:])), "cpu")
    assert_alike(got, rowwise(lambda first, *rest: ufunc(inner(first), *rest), *names)(FRAME), ulps=256)


REFUSALS = [
    (lambda: bool(x > 0), TraceError, r"\(x > 0\) is an expression, not data: it is neither true nor false.*gp\.when"),
    (lambda: x > 0 and y > 0, TraceError, r"neither true nor false.*& \| ~ for and, or, not"),
    (lambda: not x, TraceError, "neither true nor false"),
    (lambda: 0 < x < 1, TraceError, "neither true nor false"),
    (lambda: x in [y], TraceError, "neither true nor false"),
    (lambda: float(x), TraceError, "x is an expression, not data: it is no number.*NumPy's functions"),
    (lambda: int(x), TraceError, "it is no number"),
    (lambda: math.log(x), TraceError, "it is no number.*not those of math"),
    (lambda: [1, 2][x], TraceError, "it is no number"),
    (lambda: len(x), TraceError, r"it has no length.*\.count\(\)"),
    (lambda: list(x), TraceError, "no rows to walk over"),
    (lambda: list(x + 1), TraceError, "rows to walk over"),
    (lambda: np.asarray(x), TraceError, "it is no array"),
    (lambda: np.sort(x), TraceError, r"np\.sort is not among.*np\.where and np\.clip"),
    (lambda: np.mean(x), TraceError, r"np\.mean is not among what builds one\. Write \.mean\(\)"),
    (lambda: np.arctan2(x, y), TraceError, r"np\.arctan2 is not among.*Did you mean 'arctan'"),
    (lambda: np.add.reduce(x), TraceError, r"np\.add\.reduce is not among"),
    (lambda: np.log(x, out=np.zeros(3)), TraceError, r"np\.log is not among"),
    (lambda: x.map(lambda v: v if v > 0 else 0), TraceError, "neither true nor false"),
    (lambda: x.map(lambda v: [v]), TraceError, "returned .* which is no expression"),
    (lambda: x.standardise(), AttributeError, "no method 'standardise'.*'standardize'"),
    (lambda: x.dt.mont(), AttributeError, "no method 'dt.mont'. Did you mean 'dt.month'?"),
    (lambda: x.str.lower(), AttributeError, "no method 'str.lower'. Here it is called 'str.to_lowercase'"),
    (lambda: x.alias(""), ParameterError, "alias takes a name"),
    (lambda: x.alias(5), ParameterError, "alias takes a name, not 5"),
    (lambda: x.over("k"), ParameterError, r"x has no statistic for over.*x\.mean\(\)"),
    (lambda: x.mean().over(), ParameterError, "over takes one key or more"),
    (lambda: col(5), ParameterError, "col takes a column's name, not 5"),
    (lambda: gp.cols(), ParameterError, "cols takes columns' names"),
    (lambda: gp.cols("a", 1), ParameterError, "cols takes columns' names"),
    (lambda: gp.coalesce(), ParameterError, "coalesce takes one value or more"),
    (lambda: lit(object()), TypeMismatchError, "is no literal. There are None, bool"),
    (lambda: x * {1}, TypeMismatchError, r"\{1\} \(set\) is no literal"),
    (lambda: lit(2**63), IntegerOverflowError, "beyond int64. Write it as a float"),
    (lambda: x.clip(), ParameterError, "clip takes a lower bound, an upper bound, or both"),
    (lambda: x.clip(2, 1), ParameterError, "clip takes lower_bound <= upper_bound, not 2 and 1"),
    (lambda: x.clip(float("nan")), ParameterError, "clip cannot use NaN"),
    (lambda: x.is_in([]), ParameterError, "is_in takes one value or more"),
    (lambda: x.is_in([1, None]), ParameterError, r"none of them null; for null there is \.is_null\(\)"),
    (lambda: x.is_in([1, "a"]), ParameterError, r"is_in takes values of one type, not \['Int64', 'String'\]"),
    (lambda: x.is_in([1, True]), ParameterError, "is_in takes values of one type"),
    (lambda: x.group_statistics("k", statistics=["place"]), ParameterError, "no statistic 'place'"),
    (lambda: x.round(0.5), ParameterError, "round takes a whole number of decimals"),
    (lambda: x.cast("Integer"), ParameterError, "'Integer' is not a type"),
    (lambda: x.cast("Int65"), ParameterError, "'Int65' is not a type. Did you mean 'Int64'?|'Int65' is not a type"),
    (lambda: x.fill_null(), ParameterError, 'fill_null takes a value, or one of "mean"'),
    (lambda: x.fill_null(strategy="medain"), ParameterError, "no strategy 'medain'. Did you mean 'median'?"),
    (lambda: x.fill_null(0, strategy="mean"), ParameterError, "fill_null"),
    (lambda: x.bucketize([]), ParameterError, "bucketize takes a list of numbers that increase"),
    (lambda: x.bucketize([1, 1]), ParameterError, "bucketize takes a list of numbers that increase"),
    (lambda: x.bucketize([0, float("nan")]), ParameterError, "bucketize takes a list of numbers that increase"),
    (lambda: x.bucketize([float("nan")]), ParameterError, "bucketize takes a list of numbers that increase"),
    (lambda: x.qcut(1), ParameterError, "qcut takes 2 bins or more, not 1"),
    (lambda: x.cyclic(0), ParameterError, "cyclic takes a period above 0"),
    (lambda: x.dt.elapsed("t", unit="weeks"), ParameterError, "unit is 'days', 'hours' or 'seconds', not 'weeks'"),
    (lambda: x.codes(other_buckets=0), ParameterError, "other_buckets is a whole number from 1 on"),
    (lambda: x.one_hot(limit=True), ParameterError, "limit is a whole number"),
    (lambda: x.ordinal([]), ParameterError, "ordinal takes distinct values"),
    (lambda: x.ordinal(["a", "a"]), ParameterError, "ordinal takes distinct values"),
    (lambda: x.ordinal(["a", None]), ParameterError, "ordinal takes values of one type"),
    (lambda: x.ordinal([None]), ParameterError, "ordinal takes distinct values, none of them null"),
    (lambda: x.ordinal(["a", 1]), ParameterError, "ordinal takes values of one type"),
    (lambda: x.ordinal(["a"], unknown="zero"), ParameterError, "unknown is 'error' or 'null'"),
    (lambda: x.hash_buckets(0), ParameterError, "n_buckets is a whole number from 1 on"),
    (lambda: x.cross("y"), ParameterError, "cross takes one column or more, then the number of buckets"),
    (lambda: x.cross(5), ParameterError, "cross takes one column or more"),
    (lambda: x.target_mean(smoothing=-1), ParameterError, "smoothing is a number from 0 on"),
    (lambda: x.target_mean(folds=1), ParameterError, "folds is a whole number from 2 on"),
    (lambda: x.group_statistics("k", statistics=["meen"]), ParameterError, "no statistic 'meen'. Did you mean 'mean'?"),
    (lambda: x.str.contains(5), ParameterError, "contains takes text, not 5"),
    (lambda: x.str.starts_with(None), ParameterError, "starts_with takes text"),
    (lambda: x.str.word_ngrams(0), ParameterError, "n_features is a whole number from 1 on"),
    (lambda: x.str.word_ngrams(8, n=(2, 1)), ParameterError, "word_ngrams takes n from 1 on"),
]  # fmt: skip


@pytest.mark.parametrize(("do", "error", "message"), REFUSALS)
def test_what_is_refused_where_it_is_written(do, error, message):
    with pytest.raises(error, match=message) as caught:
        do()
    assert error is AttributeError or isinstance(caught.value, GpupipeError)


def test_no_attribute_is_no_surprise_to_python():
    assert not hasattr(x, "__array_interface__") and not hasattr(x, "nothing")
    assert getattr(x, "nothing", 5) == 5
    assert {"standardize", "dt", "str", "alias", "over"} <= set(dir(x))
    assert {"month", "elapsed"} <= set(dir(x.dt)) and "month" not in dir(x.str)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


@pytest.mark.parametrize(
    "expression", [x + 1, gp.numeric() - ["a"], when(x > 0).then(1), when(x > 0).then(1).otherwise(y)], ids=str
)
def test_expressions_can_be_copied_and_pickled(expression):
    for twin in (pickle.loads(pickle.dumps(expression)), copy.deepcopy(expression)):
        assert type(twin) is type(expression) and twin._node == expression._node


@pytest.mark.parametrize("device", DEVICES)
def test_a_traced_function_fits_like_an_operator(device):
    def own(v):
        return np.where(v > v.mean(), np.sqrt(np.abs(v)), 0)

    got = value(x.map(own), device)
    mean = FRAME["x"].mean()
    theirs = rowwise(lambda v: np.where(v > mean, np.sqrt(np.abs(v)), 0), "x")(FRAME)
    assert_alike(got, [0 if FRAME["x"][at] is None else v for at, v in enumerate(theirs)])
    assert value(x.map(lambda v: 5), device)[0] == 5
    assert x.pipe(lambda v, by, plus=0: v * by + plus, 3, plus=1)._node == (x * 3 + 1)._node


def test_over_marks_every_reduction_once():
    both = (x - x.mean()) / x.std()
    keys = [node["keys"] for node in walk(both.over("k")._node) if node.op in ("mean", "std")]
    assert keys == [1, 1]
    inner = x.mean().over("k").max().over("j")
    assert repr(inner) == "x.mean().over('k').max().over('j')"


@pytest.mark.parametrize(
    ("value_", "stored", "dtype"),
    [
        (None, None, "Null"), (True, True, "Boolean"), (np.bool_(False), False, "Boolean"), (3, 3, "Int64"),
        (np.int16(3), 3, "Int64"), (2.5, 2.5, "Float64"), (np.float32(0.5), 0.5, "Float64"), ("a", "a", "String"),
        (dt.date(1969, 12, 31), -1, "Date"), (dt.datetime(1970, 1, 1, 0, 0, 1), 10**6, "Datetime"),
        (dt.datetime(1970, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), 0, "Datetime(UTC)"),
        (dt.timedelta(days=-1), -86_400 * 10**6, "Duration"),
    ],
)  # fmt: skip
def test_literals(value_, stored, dtype):
    node = literal(value_)
    assert (node["value"], node["dtype"]) == (stored, dtype)


def test_nodes_are_equal_by_structure_and_kind_of_number():
    assert (x + 1)._node == (col("x") + 1)._node and hash((x + 1)._node) == hash((col("x") + 1)._node)
    different = [literal(v) for v in (1, 1.0, True, 0.0, -0.0, float("nan"), "1", None)]
    assert len(set(different)) == len(different)
    assert literal(float("nan")) == literal(float("nan"))


products = st.recursive(
    st.sampled_from(["x", "y"]).map(col), lambda inner: st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1])
)


@given(products)
def test_walk_gives_operands_first_and_each_node_once(expression):
    order = list(walk(expression._node))
    assert len(order) == len(set(order)) and order[-1] == expression._node
    for at, node in enumerate(order):
        assert all(arg in order[:at] for arg in node.args)


def test_deep_and_shared_expressions_are_walked_in_linear_time():
    shared = x
    for _ in range(200):  # 2^200 paths
        shared = shared + shared
    assert len(list(walk(shared._node))) == 201
    (renamed,) = rewrite([shared._node], lambda n: make("col", name="z") if n.op == "col" else n)
    assert len(list(walk(renamed))) == 201


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (1 + x * y, "x"), ((x + y).alias("sum") * 2, "sum"), (x.missing_flag(), "x_missing"),
        (x.dt.month().cyclic(12)._node.args[0], "x_month_sin"), (col("c").frequency(), "c_frequency"),
        (col("c").target_mean(), "c_target_mean"), (x.cross("y", 9), "x_y_cross"),
        (when(y > 0).then(x), "y"), (x.missing_flag().alias("gone"), "gone"), (y - x.mean().over("k"), "y"),
    ],
)  # fmt: skip
def test_names(expression, name):
    assert output_name(expression._node if isinstance(expression, Expr) else expression) == name
