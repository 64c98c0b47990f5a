"""The same answer everywhere: reference and CPU backend, with and without Numba, any partitioning, after a reload."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, note, seed, settings
from hypothesis import strategies as st
from strategies import TARGETS, Drawn, drawn_tables, feature_lists, matrix_features

import gpupipe as gp
from gpupipe import col
from gpupipe.artifact import pipeline as artifact
from gpupipe.backends import compiled
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.reference import ReferenceBackend
from gpupipe.columns import Column
from gpupipe.compiler.expand import flatten
from gpupipe.errors import GpupipeError, IntegerOverflowError
from gpupipe.expr.expr import as_column
from gpupipe.runtime.fit import Declared, run_fit
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.score import transformed, transformed_matrix
from gpupipe.serve.scorer import Scorer

BACKENDS = {"reference": ReferenceBackend(), "numpy": CpuBackend(numba=False), "numba": CpuBackend(numba=True)}
QUICK = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FEWER = settings(QUICK, max_examples=100)
MANY = settings(QUICK, max_examples=3000, derandomize=False)
outcomes: Counter[str] = Counter()


@pytest.fixture(autouse=True, scope="module")
def numba_always():
    """Numba runs however few the values are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "READY", 0)
        patch.setattr(compiled, "COLD", 0)
        yield


def fitted(features: Any, source: gp.Source, backend: Any, target: str | None = None) -> Any:
    declared = Declared(flatten(features), None if target is None else as_column(target), None, None, None)
    return run_fit(declared, source, None, backend, Silent(), transform="columns").fit


@dataclass
class Told:
    """All that a fit says of the rows it learned from: its digest, names, and columns as bytes."""

    digest: str
    names: list[str]
    columns: list[bytes]
    training: list[bytes]
    matrix: bytes | None


def bits(column: Column) -> bytes:
    """Type, validity, and values under it, all NaN alike."""
    valid = np.ones(len(column), bool) if column.valid is None else np.asarray(column.valid)
    if not isinstance(column.values, np.ndarray):
        plain = column.values.to_pylist()
        return repr((str(column.dtype), [text if ok else None for text, ok in zip(plain, valid, strict=True)])).encode()
    values = np.where(valid, column.values, column.values.dtype.type(0))
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values)
    return str(column.dtype).encode() + valid.tobytes() + values.tobytes()


def told(features: Any, source: gp.Source, backend: Any, target: str | None) -> Told:
    fit = fitted(features, source, backend, target)
    made, training = fit.features, fit.features.for_training()
    rows = Rows(source, made.plan.fit_columns)
    numbers = all(output.dtype.is_numeric or output.dtype.name in ("Boolean", "Null") for output in made.outputs)
    matrix = transformed_matrix(made, rows) if numbers else None
    return Told(
        fit.digest(),
        made.names,
        [bits(column) for column in transformed(made, rows)],
        [bits(column) for column in transformed(training, rows)],
        None if matrix is None else np.where(np.isnan(matrix), np.float32(np.nan), matrix).tobytes(),
    )


def attempt(function: Any, *args: Any) -> Any:
    """What it gives, or the kind of error it raises on purpose."""
    try:
        return function(*args)
    except GpupipeError as error:
        note(f"{type(error).__name__}: {error}")
        return type(error).__name__


def check_backends(drawn, features, target):
    source = gp.scan(drawn.table)
    expected = attempt(told, features, source, BACKENDS["reference"], target)
    outcomes[expected if isinstance(expected, str) else "values"] += 1
    for name in ("numpy", "numba"):
        found = attempt(told, features, source, BACKENDS[name], target)
        if isinstance(expected, str) or isinstance(found, str):
            assert found == expected, name
            continue
        assert found.digest == expected.digest
        assert found.names == expected.names
        for at, column in enumerate(expected.names):
            assert found.columns[at] == expected.columns[at], (name, column)
            assert found.training[at] == expected.training[at], (name, column, "training")
        assert found.matrix == expected.matrix, (name, "matrix")


@settings(QUICK)
@given(drawn=drawn_tables(), features=feature_lists(), target=st.sampled_from(TARGETS))
def test_backends_same_bits(drawn, features, target):
    check_backends(drawn, features, target)


@pytest.mark.slow
@seed(20261122)
@settings(MANY)
@given(drawn=drawn_tables(), features=feature_lists(most=6, depth=3), target=st.sampled_from(TARGETS))
def test_backends_same_bits_in_many(drawn, features, target):
    check_backends(drawn, features, target)


# What random pipelines found, kept: each was another answer, or none, on the CPU backend.
FOUND = {
    "word n-grams over a source column": [col("words").str.word_ngrams(5, lowercase=False).alias("x")],
    "an expression twice": [col("day").dt.year().alias("x"), col("day").dt.year().alias("y")],
    "a view of a register that is still needed": [
        (col("t").dt.hour() == (col("t") - col("day")).dt.total_days()).alias("x"),
    ],
}


@pytest.mark.parametrize("features", FOUND.values(), ids=FOUND)
def test_what_was_found(features):
    check_backends(Drawn(38, 5), features, "yes")


@pytest.mark.parametrize("name", BACKENDS)
def test_uint64_beyond_int64_is_refused_where_it_is_a_value_and_only_there(name):
    big = pa.array(np.array([2**63, 5], np.uint64))
    with pytest.raises(IntegerOverflowError, match="'u'"):
        fitted([col("u").log1p().standardize()], gp.scan(pa.table({"u": big})), BACKENDS[name])
    hidden = pa.Array.from_buffers(pa.uint64(), 2, [pa.py_buffer(b"\x02"), big.buffers()[1]])
    source = gp.scan(pa.table({"u": hidden}))
    made = fitted([col("u") + 1], source, BACKENDS[name]).features
    assert transformed(made, Rows(source, ["u"]))[0].values[1] == 6


def test_most_examples_gave_values():
    """The parity above is worth something only if few of its pipelines are refused."""
    assert outcomes["values"] > 0.6 * outcomes.total(), outcomes


# -- partitions -----------------------------------------------------------------------------------------------
def learned_parts(entry: Any) -> list[tuple[Any, Any]]:
    """(value, keys) of what was learned, and of its folds."""
    folds = [] if entry.by_fold is None else [(entry.by_fold, ())]
    return [(entry.value, entry.keys), *folds]


def check_slot(slot: Any, one: list[Any], many: list[Any]) -> None:
    """The learned values of one reduction, to the bit."""
    for a, b in zip(one, many, strict=True):
        assert (a.counts is None) == (b.counts is None)
        assert a.counts is None or np.array_equal(a.counts, b.counts)
        for (left, left_keys), (right, right_keys) in zip(learned_parts(a), learned_parts(b), strict=True):
            assert [bits(key) for key in left_keys] == [bits(key) for key in right_keys]
            assert bits(left) == bits(right), (slot.node, left, right)


@settings(FEWER)
@given(drawn=drawn_tables(), features=feature_lists(), target=st.sampled_from(TARGETS), n=st.integers(2, 7))
def test_any_partitioning_agrees_with_one(drawn, features, target, n):
    whole, parts = gp.scan(drawn.table), gp.scan(drawn.table, partitions=n)
    one, many = (attempt(fitted, features, source, BACKENDS["numpy"], target) for source in (whole, parts))
    if isinstance(one, str) or isinstance(many, str):
        assert one == many
        return
    plan = one.features.plan
    for slot in plan.slots:
        check_slot(slot, *(fit.features.fitted.slots[slot.index] for fit in (one, many)))
    assert one.digest() == many.digest()
    found = [transformed(fit.features, Rows(source, plan.fit_columns)) for fit, source in ((one, whole), (many, parts))]
    for name, left, right in zip(one.features.names, *found, strict=True):
        assert bits(left) == bits(right), name


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 1e-300, 7.3e15, -1e300, 1 / 3])
def test_a_constant_column_has_no_spread(value, n):
    """std is exactly 0, so that standardize gives exactly 0, however many rows and partitions there are."""
    table = pa.table({"x": pa.array([value, None, *[value] * 41]), "g": pa.array(["a", "b"] * 21 + ["c"])})
    features = [col("x").standardize(), col("x").std().over("g").alias("s"), (col("x") - col("x").mean()).alias("d")]
    pipeline = gp.Pipeline([*features, col("x").fill_null("mean").cast("Float64").alias("filled")])
    found = pipeline.fit_transform(gp.scan(table, partitions=n)).to_pydict()
    for name in ("x", "s", "d"):
        assert set(found[name]) <= {0.0, None}, name
    assert set(found["filled"]) == {value}


# -- after a reload, and row by row ---------------------------------------------------------------------------
@settings(settings(QUICK, max_examples=50))
@given(drawn=drawn_tables(), features=feature_lists(), target=st.sampled_from(TARGETS))
def test_an_artifact_gives_the_same_bytes(tmp_path_factory, drawn, features, target):
    source = gp.scan(drawn.table)
    fit = attempt(fitted, features, source, BACKENDS["numpy"], target)
    assume(not isinstance(fit, str))
    path = tmp_path_factory.mktemp("parity") / "a.gpp"
    fit.save(path)
    again = artifact.load(path)
    assert again.digest() == fit.digest()
    assert again.features.names == fit.features.names
    rows = Rows(source, fit.features.plan.columns)
    for a, b in zip(transformed(fit.features, rows), transformed(again.features, rows), strict=True):
        assert bits(a) == bits(b)


def test_an_artifact_of_statistics_over_no_column_is_read(tmp_path):
    """A one_hot of nothing but nulls has no columns, and what is learned of each is an empty list."""
    table = pa.table({"s": pa.array([None] * 3, pa.string()), "f": [1.0, 2.0, 7.0]})
    features = [col("s").one_hot().cast("Float64").standardize(), col("f").standardize(), col("f").median().alias("m")]
    pipeline = gp.Pipeline(features).fit(table)
    pipeline.save(tmp_path / "a.gpp")
    again = gp.load(tmp_path / "a.gpp")
    assert again.state_digest() == pipeline.state_digest()
    assert again.transform(table).equals(pipeline.transform(table))
    assert pipeline.transform(table).column_names == ["f", "m"]


@settings(settings(QUICK, max_examples=80))
@given(
    drawn=drawn_tables(),
    features=feature_lists(kinds=matrix_features),
    target=st.sampled_from(TARGETS),
    backend=st.sampled_from(list(BACKENDS)),
    data=st.data(),
)
def test_one_row_a_batch_and_the_whole_give_the_same_bytes(drawn, features, target, backend, data):
    source = gp.scan(drawn.table)
    fit = attempt(fitted, features, source, BACKENDS[backend], target)
    assume(not isinstance(fit, str))
    made, frame = fit.features, source.load(0, fit.features.plan.columns)
    whole = attempt(made.matrix, frame)
    assume(not isinstance(whole, str))
    first = data.draw(st.integers(0, drawn.n - 1))
    last = data.draw(st.integers(first + 1, drawn.n))
    assert made.matrix(frame.take(np.arange(first, last))).tobytes() == whole[first:last].tobytes()
    assert made.matrix(frame.take(np.array([first]))).tobytes() == whole[[first]].tobytes()
    assert len(made.matrix(frame.take(np.zeros(0, np.int64)))) == 0
    scorer, rows = Scorer(made, None), drawn.table.slice(first, last - first)
    assert scorer.matrix(rows).tobytes() == whole[first:last].tobytes()
    plain = rows.select(made.plan.columns).to_pylist()
    assume(not any(value != value for row in plain for value in row.values()))  # there NaN is null, in Arrow it is not
    assume(made.plan.columns)
    assert scorer.matrix(plain).tobytes() == whole[first:last].tobytes()
    assert scorer.matrix(plain[0]).tobytes() == whole[[first]].tobytes()
