"""What was written is shown: through selectors, operands, stages and pickles; and it changes nothing."""

# What is refused is often of a wrong type, which the stub knows too.
# mypy: disable-error-code="attr-defined, call-arg"

import datetime as dt
import pickle
import traceback

import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.compiler.expand import expand
from gpupipe.errors import ArgumentError, GpupipeError, TypeMismatchError, UnknownNameError
from gpupipe.expr import registry
from gpupipe.expr.node import show
from gpupipe.expr.synonyms import SYNONYMS

TABLE = pa.table({"x": [1.0, 2.0], "y": [3.0, None], "s": ["a", "b"], "n": [1, 2]})
x, y, s = col("x"), col("y"), col("s")


@pytest.mark.parametrize(
    ("feature", "shown"),
    [
        (gp.numeric().fill_null("median").standardize(), ["x.fill_null('median').standardize()",
                                                           "y.fill_null('median').standardize()",
                                                           "n.fill_null('median').standardize()"]),
        ((gp.cols("x", "y") - "y").clip(0) + y.fill_null(0), ["(x.clip(0) + y.fill_null(0))"]),
        (gp.cols("x", "y").cyclic(12), ["x.cyclic(12)", "y.cyclic(12)"] * 2),
        (x.fill_null(y.mean()).alias("a"), ["x.fill_null(y.mean()).alias('a')"]),
        (gp.when(gp.cols("x", "y") > 0).then(1), ["when(x > 0).then(1)", "when(y > 0).then(1)"]),
        (col("d") > dt.date(2025, 1, 31), ["(d > datetime.date(2025, 1, 31))"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_selection_shows_as_it_was_written(feature, shown):
    singles = [single for _, single in expand([feature._node], gp.scan(TABLE).schema)]
    assert sorted(show(single) for single in singles) == sorted(shown)
    assert repr(pickle.loads(pickle.dumps(feature))) == repr(feature)


def test_what_was_written_is_no_part_of_what_it_is():
    written, plain = x.fill_null(0)._node, x._call("coalesce", 0)._node
    assert written == plain and hash(written) == hash(plain) and repr(written) != repr(plain)
    assert show(written, core=True) == show(plain, core=True)
    digests = [gp.Pipeline([feature]).fit(TABLE).state_digest() for feature in (x.fill_null(0), gp.coalesce("x", 0))]
    assert digests[0] == digests[1]


def test_statistics_show_what_they_are_of():
    page = str(gp.Pipeline([y.fill_null("mean").standardize()]).explain(TABLE))
    assert "mean of y\n" in page and "mean, std of y.fill_null('mean')" in page


@pytest.mark.parametrize(
    ("feature", "named"),
    [(s.standardize(), "standardize"), (s - s.mean(), "mean"), (s * 2, r"\*"), (-s, "-"), (s.fill_null(0), "fill_null"),
     ((s * 2).standardize(), r"\*"), (x.str.len_chars(), "str.len_chars"), (x.dt.week(), "dt.week"),
     (gp.when(x).then(1), "when"), (x.map(lambda v: v.str.to_date()), "str.to_date")],
    ids=str,
)  # fmt: skip
def test_the_operation_is_called_what_the_user_called(feature, named):
    with pytest.raises(TypeMismatchError, match=f"^{named} takes "):
        gp.Pipeline([feature]).explain(TABLE)


def test_every_synonym_leads_to_a_method():
    ours = {entry.qualified for entry in registry.operators()} | {"over", "alias", "map"}
    assert set(SYNONYMS.values()) <= ours
    assert not ours & set(SYNONYMS), "what is a method here is no other's name for one"


@pytest.mark.parametrize("ask", [lambda: x.standardise(), lambda: gp.numerics()])
def test_python_adds_no_guess_of_its_own(ask):
    with pytest.raises(UnknownNameError) as caught:
        ask()
    assert "".join(traceback.format_exception(caught.value)).count("Did you mean") <= 1
    assert isinstance(caught.value, AttributeError) and not hasattr(x, "standardise")


def test_a_type_error_inside_an_operator_is_not_taken_for_a_wrong_call():
    @gp.operator(family="tests")
    def broken(v):
        return v + object()

    try:
        with pytest.raises(TypeMismatchError, match="is no literal"):
            x.broken()
        with pytest.raises(ArgumentError, match="broken takes no argument") as caught:
            x.broken(2)
        assert isinstance(caught.value, TypeError) and isinstance(caught.value, GpupipeError)
    finally:
        registry.unregister("broken")
