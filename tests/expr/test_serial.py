"""Expressions as JSON: every kind of node comes back, and no crafted document becomes anything else."""

import contextlib
import json
import math

import pytest
from engine import DEVICES, TABLE
from hypothesis import given
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col, lit, when
from gpupipe.compiler.document import load_plan, plan_document
from gpupipe.compiler.expand import expand
from gpupipe.errors import ArtifactCorruptError
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import make, show
from gpupipe.expr.registry import operators
from gpupipe.expr.serial import from_json, to_json

x = col("x")
SAMPLES = {"number": "x", "text": "s", "time": "t", "boolean": "a", "any": "x"}


def there_and_back(*nodes):
    document = json.loads(json.dumps(to_json(nodes), allow_nan=False))
    return from_json(document)


@pytest.mark.parametrize("entry", operators(), ids=lambda entry: entry.qualified)
def test_every_operator_comes_back(entry):
    expression = entry.function(col(SAMPLES[entry.takes]), *entry.arguments)
    singles = [node for _, node in expand([expression._node], gp.scan(TABLE).schema)]
    assert there_and_back(*singles) == singles


@pytest.mark.parametrize(
    "expression",
    [
        lit(None), lit(True), lit(1), lit(1.0), lit(-0.0), lit(math.nan), lit(math.inf), lit(-math.inf), lit("é\0"),
        lit(2**63 - 1), x.is_in([1.5, -math.inf]), x.mean().over("k", "j"), when(x > 0).then(1).otherwise(None),
        gp.target() * 2, x.alias("a").suffix("_b"),
    ],
    ids=str,
)  # fmt: skip
def test_every_literal_and_structure_comes_back(expression):
    (back,) = there_and_back(expression._node)
    # What a user wrote for it is not kept: the operations are.
    assert back == expression._node and show(back, core=True) == show(expression._node, core=True)


def test_shared_nodes_are_written_once():
    shared = x
    for _ in range(60):
        shared = shared + shared
    document = to_json([shared._node, x._node])
    assert len(document["nodes"]) == 61 and there_and_back(shared._node, x._node) == [shared._node, x._node]


GOOD = to_json([(x + 1).mean().over("k")._node])


def changed(change):
    document = json.loads(json.dumps(GOOD))
    change(document)
    return document


def _param(value):
    def change(document):
        document["nodes"][1][2]["value"] = value

    return change


CRAFTED = {
    "no nodes": lambda d: d.pop("nodes"),
    "no roots": lambda d: d.pop("roots"),
    "nodes is a number": lambda d: d.update(nodes=5),
    "a node too short": lambda d: d["nodes"].__setitem__(0, ["col", []]),
    "an unknown operation": lambda d: d["nodes"][2].__setitem__(0, "__import__"),
    "an operation that is a list": lambda d: d["nodes"][2].__setitem__(0, ["add"]),
    "a selector": lambda d: d["nodes"][0].__setitem__(0, "selector"),
    "a learned table": lambda d: d["nodes"][0].__setitem__(0, "state"),
    "a reference to itself": lambda d: d["nodes"][2].__setitem__(1, [2, 1]),
    "a reference forward": lambda d: d["nodes"][0].__setitem__(1, [1]),
    "a negative reference": lambda d: d["nodes"][2].__setitem__(1, [-1, 1]),
    "a reference that is true": lambda d: d["nodes"][2].__setitem__(1, [True, 1]),
    "a reference that is a float": lambda d: d["nodes"][2].__setitem__(1, [0.0, 1]),
    "a root beyond": lambda d: d.update(roots=[99]),
    "a root that is text": lambda d: d.update(roots=["0"]),
    "parameters as a list": lambda d: d["nodes"][1].__setitem__(2, []),
    "more keys than operands": lambda d: d["nodes"][-1][2].update(keys=5),
    "negative keys": lambda d: d["nodes"][-1][2].update(keys=-1),
    "keys that are true": lambda d: d["nodes"][-1][2].update(keys=True),
    "an odd parameter": _param({"code": "print()"}),
    "an odd float": _param({"float": "1e3"}),
    "a float that is a list": _param({"float": ["nan"]}),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_document_is_refused(what):
    with pytest.raises(ArtifactCorruptError, match="expressions cannot be read"):
        from_json(changed(CRAFTED[what]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.sampled_from(["add", "col", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["nodes", "roots", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(document):
    with contextlib.suppress(ArtifactCorruptError):
        assert isinstance(from_json(document), list)


PLANS = {
    "no parameter at all": lambda: make("codes", x._node),
    "a cast without a type": lambda: make("cast", x._node),
    "a column without a name": lambda: make("col"),
    "a column of a number": lambda: make("col", name=5),
    "a literal without a type": lambda: make("lit", value=5),
    "no keys": lambda: make("mean", x._node),
    "an empty alias": lambda: make("alias", x._node),
}


@pytest.mark.parametrize("what", PLANS)
def test_a_crafted_plan_is_refused_at_the_latest_when_loaded(what, tmp_path):
    """Expressions that parse but make no sense: load_plan refuses them, with its own error."""
    plan = gp.Pipeline([x]).explain(gp.scan(TABLE)).plan
    document = plan_document(plan, None, None, None)
    document["expressions"] = to_json([PLANS[what]()])
    with pytest.raises(ArtifactCorruptError):
        load_plan(json.loads(json.dumps(document)))


@pytest.mark.parametrize("device", DEVICES)
def test_an_expression_that_came_back_computes_the_same(device):
    learned = x.quantile(0.3).over("c").alias("q")
    features = [x.standardize(), col("c").one_hot(), col("t").dt.month().cyclic(12), learned]
    plan = gp.Pipeline(features).explain(gp.scan(TABLE)).plan
    back = [Expr(node) for node in there_and_back(*(feature.source for feature in plan.features))]
    ours, theirs = (gp.Pipeline(f, device=device).fit(TABLE).transform(TABLE) for f in (features, back))
    assert ours.equals(theirs)
