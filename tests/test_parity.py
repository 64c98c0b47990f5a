"""The same answer everywhere: reference and CPU backend, with and without Numba, any partitioning, after a reload."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from strategies import TARGETS, drawn_tables, feature_lists

import gpupipe as gp
from gpupipe.backends import cpu
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.reference import ReferenceBackend
from gpupipe.columns import Column
from gpupipe.compiler.expand import flatten
from gpupipe.errors import GpupipeError
from gpupipe.expr.expr import as_column
from gpupipe.runtime.fit import Declared, run_fit
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.score import transformed, transformed_matrix

BACKENDS = {"reference": ReferenceBackend(), "numpy": CpuBackend(numba=False), "numba": CpuBackend(numba=True)}
QUICK = settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
outcomes: Counter[str] = Counter()


@pytest.fixture(autouse=True, scope="module")
def numba_always():
    """Numba runs however few the values are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "_WORTH_NUMBA", 0)
        yield


def fitted(features: Any, source: gp.Source, backend: Any, target: str | None = None) -> Any:
    declared = Declared(flatten(features), None if target is None else as_column(target), None, None, None)
    return run_fit(declared, source, None, backend, Silent()).fit


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


@settings(QUICK)
@given(drawn=drawn_tables(), features=feature_lists(), target=st.sampled_from(TARGETS))
def test_backends_same_bits(drawn, features, target):
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


def test_most_examples_gave_values():
    """The parity above is worth something only if few of its pipelines are refused."""
    assert outcomes["values"] > 0.6 * outcomes.total(), outcomes
