"""Which columns a fit needs in a trip after the first."""

from typing import Any

import pytest
from engine import planned

from gpupipe import Expr, col
from gpupipe.compiler.again import columns_again

X, Y, C = col("x"), col("y"), col("c")
TWICE = X.standardize().tanh().standardize()
NULL = col("i").is_null().cast("Int32")

CASES: dict[str, tuple[list[Expr], set[str], set[str]]] = {
    # what a fit without a model needs, and one with a model or whose features are given back
    "no statistic": ([X + Y], set(), {"x", "y"}),
    "one scan": ([X.standardize(), C.codes()], set(), {"x", "c"}),
    "a statistic of another column": ([X - Y.mean()], set(), {"x"}),
    "by a key": ([X.mean().over("c").alias("m")], set(), {"c"}),
    "a quantile is settled": ([X.fill_null(Y.median())], {"y"}, {"x", "y"}),
    "a statistic of a statistic": ([TWICE, Y.standardize()], {"x"}, {"x", "y"}),
    "keys of a second scan": ([TWICE.mean().over("c").alias("m"), NULL], {"x", "c"}, {"x", "c", "i"}),
}  # fmt: skip


@pytest.mark.parametrize(("features", "fit", "given"), CASES.values(), ids=CASES)
def test_columns(features: list[Expr], fit: set[str], given: set[str]) -> None:
    plan = planned(features)
    assert set(columns_again(plan, features=False)) == fit
    assert set(columns_again(plan, features=False, given_back=True)) == given
    # without statistics the model's trip is the first
    assert set(columns_again(plan, features=True)) == (given if plan.scans else set())


def test_the_target_is_needed_by_a_model_alone() -> None:
    plan: Any = planned([X.standardize()], target="y")
    assert columns_again(plan, features=False) == []
    assert set(columns_again(plan, features=True)) == {"x", "y"}
    folded: Any = planned([C.target_mean(), X.standardize()], target="y")
    assert columns_again(folded, features=False) == []
    assert set(columns_again(folded, features=True)) == {"x", "c", "y"}
