"""The work, counted: shapes, steps, stages and the pages that show them."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from engine import DEVICES, TABLE, computed, planned

import gpupipe as gp
from gpupipe import col
from gpupipe.compiler.bind import Binder, bind_outputs
from gpupipe.compiler.explain import STAGES
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.groups import Store, group, is_tile
from gpupipe.compiler.stages import plan_stages
from gpupipe.errors import ParameterError
from gpupipe.expr.node import walk
from gpupipe.kernels.opcodes import CODES

x, y, w = col("x"), col("y"), col("w")
NAMES = {code: name for name, code in CODES.items()}


def bound(features, data=TABLE):
    """(the outputs' nodes, what is known of them), reductions as learned values."""
    plan = planned(features, data)
    binder = Binder(plan.slots, Fitted(), plan.info)
    outputs = bind_outputs(binder, [(f.name, f.node, f.dtype) for f in plan.features])
    return [output.node for output in outputs], binder.info


def grouped(features, data=TABLE, storage="float64", joined=False):
    nodes, info = bound(features, data)
    leaves = {n: storage for n in walk(*nodes) if n.op == "col" or not (is_tile(n, info) or info[n].scalar)}
    return group([Store(node, "float32") for node in nodes], leaves, info, joined=joined)


def steps(shape):
    return [NAMES[step[0]] for step in shape.steps]


def test_two_hundred_columns_of_one_chain_are_one_shape():
    data = {f"v{at}": pa.array(np.arange(3.0) + at) for at in range(200)}
    grouping = grouped([gp.numeric().fill_null("median").clip(0).log1p().standardize()], data)
    assert len(grouping.shapes) == 1 and len(grouping.rows) == 200
    assert len({row.columns[0] for _, row, _ in grouping.rows}) == 200
    assert steps(grouping.shapes[0]).count("log1p") == 1


def test_constants_are_parameters_and_so_do_not_part_shapes():
    assert len(grouped([(x + 1.0).alias("a"), (y + 2.5).alias("b"), w + 1.0]).shapes) == 1
    assert len(grouped([x + 1.0, y - 1.0]).shapes) == 2
    assert len(grouped([x.clip(0, 1), y.clip(2, 9).alias("b"), w.clip(x.min(), x.max())]).shapes) == 1


@pytest.mark.parametrize("depth", [1, 5, 40])
def test_a_shared_subtree_is_one_step(depth):
    """2^depth paths, depth additions."""
    shared = x
    for _ in range(depth):
        shared = shared + shared
    (shape,) = grouped([shared]).shapes
    assert steps(shape).count("add_f") == depth
    assert shape.n_registers <= 2


def test_registers_are_used_again():
    total = x
    for at in range(50):
        total = (total * (y + at)).abs() - w
    (shape,) = grouped([total]).shapes
    assert shape.n_registers <= 4


def test_a_column_is_loaded_once_a_row():
    (shape,) = grouped([(x + y) * (x - y)]).shapes
    assert sum(name.startswith("load") for name in steps(shape)) == 2


def test_neighbours_with_steps_in_common_are_one_program_that_takes_them_once():
    """Every product of two of ten values: these are computed once, and stay in registers as long as they are needed."""
    data = {f"v{at}": pa.array(np.arange(3.0) + at) for at in range(10)}
    scaled = [(col(name).fill_null(0) - 1.5).abs() for name in data]
    pairs = [(one * other).alias(f"p{at}") for at, (one, other) in enumerate(combinations(scaled, 2))]
    (shape,), ((_, row, places),) = (grouping := grouped(pairs, data, joined=True)).shapes, grouping.rows
    assert places == tuple(range(45)) and len(row.columns) == 10
    assert [steps(shape).count(name) for name in ("abs_f", "mul_f", "store_f4")] == [10, 45, 45]
    assert shape.n_registers <= 14
    assert len(grouped(pairs, data).rows) == 45
    apart = grouped([*pairs[:2], col("v3") + 1.0, pairs[2], pairs[3]], data, joined=True)
    assert [places for _, _, places in apart.rows] == [(0, 1), (2,), (3, 4)]


def test_columns_and_constants_in_common_do_not_join():
    assert len(grouped([x + 1.0, (x - 1.0).alias("b"), (x * 2.0).alias("c")], joined=True).rows) == 3


def test_a_costly_value_that_several_features_share_stands_in_memory_once():
    log = x.log1p()
    nodes, info = bound([log.alias("a"), (log * 2).alias("b"), (log + y).alias("c")])
    stages = plan_stages(nodes, info)
    assert [[store.node.op for store in stage.stores] for stage in stages] == [["log1p"]]
    cheap, info = bound([(x + y).alias("a"), ((x + y) * 2).alias("b")])
    assert plan_stages(cheap, info) == ()


def test_whole_columns_run_once_and_between_tiles():
    lower = col("s").str.to_lowercase()
    length = lower.str.len_chars()
    nodes, info = bound([length.alias("a"), (length * 2).alias("b"), lower.codes().alias("k"), (x * length).alias("c")])
    stages = plan_stages(nodes, info)
    ops = [[node.op for node in stage.columns] for stage in stages]
    assert ops == [["to_lowercase"], ["len_chars", "codes"]]


def test_every_one_hot_column_looks_the_codes_up_once():
    data = {"c": pa.array([f"c{at}" for at in range(30)])}
    pipeline = gp.Pipeline([col("c").one_hot()]).fit(data)
    fitted = pipeline._fit.features
    stages = plan_stages([output.node for output in fitted.outputs], fitted._binder.info)
    assert [len(stage.columns) for stage in stages] == [1]
    assert len(fitted.outputs) == 30


def test_equal_subtrees_written_twice_are_one():
    first, second = [x.fill_null("median").standardize() for _ in range(2)]
    plan = planned([first, (second * 2).alias("b")])
    assert len(plan.slots) == 3
    nodes, _ = bound([first, (second * 2).alias("b")])
    assert nodes[1].args[0] is nodes[0] or nodes[1].args[0] == nodes[0]


@pytest.mark.parametrize("device", DEVICES)
def test_a_feature_that_is_a_column_a_constant_or_text(device):
    data = {"i": pa.array([1, None, 3], pa.int16()), "s": pa.array(["a", None, "b"])}
    got = computed([col("i"), gp.lit(2).alias("two"), gp.lit("t").alias("t"), gp.lit(None).alias("n"), col("s"),
                    col("i").max().alias("m")], device, data)  # fmt: skip
    assert got == {"i": [1, None, 3], "two": [2] * 3, "t": ["t"] * 3, "n": [None] * 3, "s": ["a", None, "b"],
                   "m": [3] * 3}  # fmt: skip


FEATURES = [
    gp.cols("x", "y").fill_null("median").standardize(),
    col("c").one_hot(),
    col("c").target_mean(),
    x.mean().over("c").alias("mean_of_c"),
    (x - x.mean()).abs().mean().alias("away"),
]


def test_explain_is_a_page():
    page = str(gp.Pipeline(FEATURES, target="a").explain(gp.scan(TABLE, partitions=3)))
    for part in (
        f"{TABLE.num_rows:,} rows in 3 partitions", "Columns    x, y, c, a", "Scans      2 for statistics",
        "scan 1:", "median of x", "mean of x over c", "by 5 folds",
        "mean, std of x.fill_null('median'); nulls of x become x.median()", "settles the quantiles of x, y",
        "since (x - x.mean()).abs() needs x.mean() first\n",
        "(the mean after abs does not follow from the sums before it)",
        "x: Float32 = ", "c_*", "mean_of_c: Float32? = x.mean().over('c')", "Device     cpu", "shapes of expression",
    ):  # fmt: skip
        assert part in page, f"{part!r} is not in:\n{page}"
    assert all(len(line) < 400 for line in page.splitlines())


def test_stages_are_printable():
    page = gp.Pipeline(FEATURES, target="a").explain(TABLE)
    texts = {name: page.stage(name) for name in STAGES}
    assert all(texts.values()) and len(set(texts.values())) == len(STAGES)
    assert "shape 0: x, y" in texts["groups"] and "scan 2" in texts["scans"]
    assert "eq" in texts["typed"] or "==" in texts["typed"]
    with pytest.raises(ParameterError, match=r"no stage 'feature'. Did you mean 'features'?"):
        page.stage("feature")


def test_explain_reads_no_row(monkeypatch):
    monkeypatch.setattr(gp.Source, "load_with_report", lambda *_: pytest.fail("a row was read"))
    assert gp.Pipeline(FEATURES, target="a").explain(TABLE).scans == 2
