"""Columns that pass: the states are those of columns held all at once, and errors are the same."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import compiled, reading
from gpupipe.backends.passing import AT_ONCE
from gpupipe.errors import NonFiniteError

RNG = np.random.default_rng(1)
N, WIDE = 30_000, 2 * AT_ONCE + 1
NAMES = [f"x{at}" for at in range(WIDE)]


@pytest.fixture(autouse=True)
def always_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "READY", 0)
    monkeypatch.setattr(compiled, "COLD", 0)


def table(bad: dict[str, float] | None = None) -> pa.Table:
    columns = {name: RNG.lognormal(0, 1, N).astype(np.float32) for name in NAMES}
    for name, value in (bad or {}).items():
        columns[name][N - 5] = value
    missing = {name: RNG.random(N) < 0.1 for name in NAMES}
    for name in bad or {}:
        missing[name][N - 5] = False
    arrays = {name: pa.array(values, mask=missing[name]) for name, values in columns.items()}
    return pa.table({**arrays, "key": RNG.integers(0, 5, N), "word": RNG.choice(["a", "b", "c"], N)})


def pipeline() -> gp.Pipeline:
    features = [
        gp.cols(*NAMES).fill_null("median").log1p().standardize(),
        (col("x0") * 2).mean().over("key").alias("keyed"),
        (col("x1") + 1).max().alias("most"),
        col("word").one_hot(),
        (col("x2") * col("x3")).mean().alias("product"),
    ]
    return gp.Pipeline(features)


@pytest.mark.parametrize("partitions", [1, 3])
def test_states_are_those_of_columns_held(partitions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = gp.scan(table(), partitions=partitions)
    served = []
    passing_of = reading.passing_of

    def noted(*given: Any) -> object:
        found = passing_of(*given)
        served.append(found)
        return found

    monkeypatch.setattr(reading, "passing_of", noted)
    passed = pipeline().fit(source)
    assert any(found is not None and len(found.places) >= WIDE for found in served)
    monkeypatch.setattr(reading, "passing_of", lambda *_: None)
    held = pipeline().fit(source)
    assert passed.state_digest() == held.state_digest()
    alone = gp.Pipeline(pipeline().features, device="reference").fit(source)
    assert passed.state_digest() == alone.state_digest()


def test_of_several_errors_the_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    source = gp.scan(table({"x7": np.inf, "x3": np.inf}))
    with pytest.raises(NonFiniteError) as passed:
        pipeline().fit(source)
    monkeypatch.setattr(reading, "passing_of", lambda *_: None)
    with pytest.raises(NonFiniteError) as held:
        pipeline().fit(source)
    assert str(passed.value) == str(held.value)


def test_a_partition_without_rows_comes_first() -> None:
    rows = pa.table({"x": np.arange(4000.0), "n": np.arange(4000)})
    source = gp.scan(rows, partitions=4).filter(col("n") >= 1000)
    features = [col("x").clip(0).log1p().standardize(), (col("x") * 2).sqrt().mean().alias("root")]
    kept = rows.slice(1000)
    assert gp.Pipeline(features).fit(source).transform(kept) == gp.Pipeline(features).fit(kept).transform(kept)
