"""An operator is one function, and a scalar operation one row: what adding them takes, and all that then follows."""

# The stub lists our operators; one that a user adds is not known to it.
# mypy: disable-error-code="attr-defined"

import runpy
from pathlib import Path

import numpy as np
import pytest
from engine import DEVICES, FRAME, TABLE, assert_alike, rowwise, value
from scipy import special

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import PlanError
from gpupipe.expr import registry
from gpupipe.expr.elementwise import ELEMENTWISE, Elementwise
from gpupipe.expr.expr import Expr
from gpupipe.schema import Float64

GENERATE = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture
def softsign():
    """An operator with a statistic in it, as a user would write it."""

    @gp.operator(peer="PyTorch Softsign", arguments=(2,), family="tests")
    def softsign(v: Expr, scale: float = 1.0) -> Expr:
        """v / (scale * std + abs(v))."""
        return v / (scale * v.std() + abs(v))

    yield softsign
    registry.unregister("softsign")


def by_numpy(scale=1.0):
    spread = FRAME["x"].drop_nulls().to_numpy().std()
    return rowwise(lambda v: v / (scale * spread + np.abs(v)), "x")(FRAME)


@pytest.mark.parametrize("device", DEVICES)
def test_an_operator_is_one_function(softsign, device):
    assert_alike(value(col("x").softsign(), device), by_numpy(), ulps=8)
    assert_alike(value(col("x").softsign(scale=3), device), by_numpy(3), ulps=8)
    assert_alike(value(col("x").pipe(softsign, 2), device), by_numpy(2), ulps=8)
    assert value(gp.cols("x").softsign(), device) == value(col("x").softsign(), device)


def test_it_plans_explains_and_is_saved(softsign, tmp_path):
    pipeline = gp.Pipeline([gp.cols("x", "y").softsign()])
    page = pipeline.explain(TABLE)
    assert page.scans == 1 and "std of x" in str(page)
    assert "x: Float32? = x.softsign()" in str(page) and "shape 0: x, y" in page.stage("groups")
    pipeline.fit(TABLE).save(tmp_path / "own.gpp")
    registry.unregister("softsign")  # the artifact needs it no more
    try:
        loaded = gp.load(tmp_path / "own.gpp")
        assert loaded.transform(TABLE).equals(pipeline.transform(TABLE))
    finally:
        registry.operator()(softsign)


def test_it_stands_on_the_operators_page_but_not_in_our_stub(softsign):
    generated = runpy.run_path(str(GENERATE))
    row = next(line for line in generated["operators_page"]().splitlines() if ".softsign(2)" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ['`col("x").softsign(2)`', "v / (scale * std + abs(v)).", "null", "Float64 → Float32", "1",
                     "PyTorch Softsign"]  # fmt: skip
    assert "softsign" not in generated["stub"]()


def test_an_operators_name_is_its_own():
    with pytest.raises(PlanError, match=r"already an operator 'standardize'. Give yours another name"):

        @gp.operator()
        def standardize(v: Expr) -> Expr:
            return v


@pytest.fixture
def gamma():
    """A row without an opcode: no interpreter knows it, its NumPy form is all there is."""

    def rule(name, types):
        return [Float64] * len(types), Float64

    ELEMENTWISE["lgamma"] = Elementwise("lgamma", rule, special.gammaln)
    yield
    del ELEMENTWISE["lgamma"]


@pytest.mark.parametrize("device", DEVICES)
def test_a_scalar_operation_is_one_row(gamma, device, tmp_path):
    w = col("w")
    inside = (w + 1)._call("lgamma") * 2
    theirs = rowwise(lambda v: special.gammaln(v + 1) * 2, "w")(FRAME)
    assert_alike(value(inside, device), theirs)
    scaled = gp.Pipeline([inside.standardize(), inside.fill_null(0).alias("filled")], device=device).fit(TABLE)
    scaled.save(tmp_path / "row.gpp")
    assert gp.load(tmp_path / "row.gpp", device=device).transform(TABLE).equals(scaled.transform(TABLE))


@pytest.mark.parametrize("device", DEVICES)
def test_a_row_over_integers_alone(gamma, device):
    """Its operand stands in memory as an integer column, and is converted first."""
    theirs = rowwise(lambda v: special.gammaln(np.abs(v) + 1.0), "i")(FRAME)
    assert_alike(value((abs(col("i")) + 1)._call("lgamma"), device), theirs)
