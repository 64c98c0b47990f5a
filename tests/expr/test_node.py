"""The node: any depth and any sharing, in time that grows with the number of distinct nodes."""

import copy
import os
import pickle
import subprocess
import sys
import time

import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.expr.node import show

x = col("x")
DEEP = 3_000


def chain(depth=DEEP, step=lambda e: e + 1):
    made = x
    for _ in range(depth):
        made = step(made)
    return made


def doubled(times, step=lambda e: (e + e) * 0.5):
    return chain(times, step)


def test_deep_expressions_are_compared_shown_and_pickled():
    one, other = chain()._node, chain()._node
    assert one == other and one is not other
    assert one != chain(DEEP - 1)._node
    assert pickle.loads(pickle.dumps(one)) == one and copy.deepcopy(one) == one
    assert show(one).endswith(" + 1)") and len(show(one)) < 1_000


def test_equal_expressions_are_compared_in_linear_time():
    one, other = (doubled(2_000)._node for _ in range(2))
    started = time.perf_counter()
    assert one == other and len({one, other}) == 1
    assert time.perf_counter() - started < 1


def test_what_is_shared_is_pickled_once():
    assert len(pickle.dumps(doubled(60)._node)) < 10_000


def test_an_expression_unpickled_in_another_process_equals_a_fresh_one():
    """Hashes of text differ from process to process; a node that carried its own would equal none."""
    expression = (x + 1).mean().over("k")
    code = (
        "import pickle, sys; from gpupipe import col; found = pickle.load(sys.stdin.buffer); "
        "fresh = (col('x') + 1).mean().over('k')._node; assert found._node == fresh and len({found._node, fresh}) == 1"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(expression), capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("build", [doubled, lambda n: doubled(n, lambda e: e.mean().over(e)),
                                   lambda n: doubled(n, lambda e: gp.when(e > 0).then(e).otherwise(-e))])  # fmt: skip
def test_showing_shared_parts_takes_no_time_and_no_space(build):
    started = time.perf_counter()
    text = show(build(60)._node)
    assert time.perf_counter() - started < 0.5
    assert "…" in text and len(text) < 5_000


@pytest.mark.parametrize(
    "expression",
    [x.is_in(list(range(100_000))), gp.lit("é" * 100_000) + x, x.alias("n" * 100_000), gp.coalesce(*["x"] * 2_000)],
    ids=["values", "text", "name", "chain"],
)
def test_what_is_shown_is_short(expression):
    assert len(repr(expression)) < 5_000


def test_what_can_be_read_is_shown_whole():
    total = x
    for at in range(30):
        total = total + col(f"c{at}")
    assert repr(total).startswith("(" * 30 + "x + c0) + c1)") and repr(total).endswith(" + c29)")


def test_a_fit_does_not_write_out_what_it_gathers():
    shared = doubled(40)
    started = time.perf_counter()
    gp.Pipeline([(x - shared.mean()).alias("a")]).fit({"x": [1.0, 2.0, 3.0]})
    assert time.perf_counter() - started < 1


def test_a_type_error_above_shared_parts_is_raised_at_once():
    shared = doubled(40)
    started = time.perf_counter()
    with pytest.raises(gp.errors.TypeMismatchError):
        gp.Pipeline([shared.str.len_chars()]).explain(gp.scan({"x": [1.0]}))
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_sum_of_many_columns(device):
    data = {f"c{at}": [float(at), 1.0] for at in range(1_500)}
    total = col("c0")
    for at in range(1, 1_500):
        total = total + col(f"c{at}")
    found = gp.Pipeline([total], device=device).fit(data).transform(data, output="arrow")
    assert found.to_pydict() == {"c0": [1_500 * 1_499 / 2, 1_500.0]}


def test_a_deep_feature_is_saved_and_loaded(tmp_path):
    data = {"x": [1.0, 2.5]}
    pipeline = gp.Pipeline([chain(), chain().suffix("_mean").mean().over(chain())]).fit(data)
    pipeline.save(tmp_path / "deep.gpp")
    back = gp.load(tmp_path / "deep.gpp").transform(data, output="arrow")
    assert back.to_pydict() == {"x": [3001.0, 3002.5], "x_mean": [3001.0, 3002.5]}
    assert back.equals(pipeline.transform(data, output="arrow"))
