"""Values that wait for statistics, taken apart: what is gathered, and what is left to do."""

import pytest
from engine import TABLE

import gpupipe as gp
from gpupipe import col, when
from gpupipe.compiler.late import is_affine, is_monotone, keeps_nulls
from gpupipe.compiler.rewrite import decomposed
from gpupipe.compiler.typing import Typer
from gpupipe.expr.node import show

x, i, s, d = (col(name) for name in "xisd")
group_mean = x.mean().over("c")


def taken_apart(expression):
    """The decomposition as text, and the typer that knows its nodes."""
    typer = Typer(gp.scan(TABLE).schema)
    return decomposed(typer.core(expression._node), typer.info), typer.info


def text(node):
    return None if node is None else show(node, core=True)


CASES = [
    (x + 1, "(x + 1.0)", []),
    (x.fill_null("median"), "x", [("x", [], "x.median()")]),
    (x.fill_null(0.0), "x.coalesce(0.0)", []),
    (x.fill_null("median").log1p(), "x.log1p()", [("x", [], "x.median().log1p()")]),
    (x.log().fill_null("mean"), "x.log()", [("x.log()", [], "x.log().mean()")]),
    (i.fill_null("mode").cast("String"), "i.convert(dtype='String', strict=True)",
     [("i", [], "i.mode().convert(dtype='String', strict=True)")]),
    (d.fill_null("min").dt.month(), "d.view(dtype='Int64').month()",
     [("d", [], "d.min().view(dtype='Int64').month()")]),
    (s.fill_null("mode").str.len_chars(), "s.len_chars()", [("s", [], "s.mode().len_chars()")]),
    # The filled column may occur several times, and so may the column itself.
    (x.fill_null("mean") * x.fill_null("mean"), "(x * x)", [("x", [], "(x.mean() * x.mean())")]),
    (x.fill_null("mean") - x.fill_null("max"), "(x - x)", [("x", [], "(x.mean() - x.max())")]),
    # What is not null where the column is: kept from being counted twice.
    (s.fill_null("mode").hash_buckets(8), "s.hash_bucket(buckets=8, seed=0).null_if(s.is_null())",
     [("s", [], "s.mode().hash_bucket(buckets=8, seed=0)")]),
    (when(x.is_null()).then(x.mean()).otherwise(x), "x", [("x", [], "x.mean()")]),
    # Fills in a chain: classes of rows, each less those before.
    (x.fill_null("mean").nan_to_null().fill_null("max"), "x.null_if(x.is_nan())", None),
    # A value for each group.
    (x.fill_null(group_mean), "x", [("x", ["c"], "x.mean().over(c)")]),
    (x.fill_null(group_mean).fill_null("mean"), "x",
     [("x", ["c"], "x.mean().over(c).coalesce(x.coalesce(x.mean().over(c)).mean())")]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "base", "constants"), CASES, ids=lambda value: str(value)[:40])
def test_fills(expression, base, constants):
    (node, late), _ = taken_apart(expression)
    assert text(node) == base
    assert late.suffix is None
    if constants is not None:
        found = [(text(c.absent), [text(key.node) for key in c.keys], text(c.value)) for c in late.constants]
        assert found == constants


def test_a_chain_of_fills_makes_a_class_of_rows_for_each():
    (_node, late), _ = taken_apart(x.fill_null("mean").nan_to_null().fill_null("max"))
    assert [text(constant.absent) for constant in late.constants] == ["x", "x.null_if(x.is_nan())"]
    first, second = (text(constant.value) for constant in late.constants)
    assert first == f"x.mean().null_if(x.mean().is_nan()).coalesce({second})"


SUFFIXES = [
    (x.standardize(), "x", True, True),
    (x.fill_null("median").log1p().standardize(), "x.log1p()", True, True),
    (x.standardize().standardize(), "x", True, True),
    (x.fill_null("median").min_max(), "x", True, True),
    (5 - x / x.max(), "x", True, True),
    (i.fill_null("min").min_max(), "i", True, True),
    ((x - x.min()).log1p(), "x", False, True),
    (x.clip(x.quantile(0.1), x.quantile(0.9)), "x", False, True),
    (x.max() / x, "x", False, False),
    ((x - x.mean()).abs(), "x", False, False),
]


@pytest.mark.parametrize(("expression", "base", "affine", "monotone"), SUFFIXES, ids=lambda value: str(value)[:40])
def test_suffixes(expression, base, affine, monotone):
    (node, late), info = taken_apart(expression)
    assert text(node) == base
    assert late.suffix is not None
    assert (is_affine(late.suffix, info), is_monotone(late.suffix)) == (affine, monotone)
    assert keeps_nulls(late.suffix, info)


@pytest.mark.parametrize(
    "expression",
    [
        x.fill_null("mean") + col("y"),  # no single value for the rows that are filled
        x.fill_null("mean") + col("y").fill_null("mean"),
        x.fill_null("mean").over(s) * s.codes(),
        x.standardize().over("c"),  # another step for each group of rows
        x * (x - x.mean()),
    ],
    ids=str,
)
def test_what_cannot_be_taken_apart(expression):
    found, _ = taken_apart(expression)
    assert found is None


def test_a_deep_chain_is_no_matter_of_recursion():
    deep = x.fill_null("mean")
    for _ in range(1500):
        deep = deep + 1
    (_node, late), _ = taken_apart(deep)
    assert len(late.constants) == 1
    assert late.suffix is None
