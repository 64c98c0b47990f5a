"""How a run shares its memory between threads and columns kept."""

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe.runtime.budget import Budget, budget_of
from gpupipe.sources.source import Source


def source(rows: int = 100_000, partitions: int = 10) -> Source:
    return gp.scan(pa.table({"x": np.arange(float(rows)), "s": ["a"] * rows}), partitions=partitions)


def test_half_of_the_memory_holds_the_partitions_at_work() -> None:
    each = budget_of(source(4_000_000), ["x", "s"], "64GiB", 1).at_work
    for workers in (1, 2, 3):
        memory = 2 * workers * each
        if memory // 2 >= 64 * 2**20:
            assert budget_of(source(4_000_000), ["x", "s"], memory, 8) == Budget(workers, workers * each, memory // 4)


@pytest.mark.parametrize("memory", [0, 1, "1MB"])
def test_however_little_there_is_one_thread_works(memory: int | str) -> None:
    found = budget_of(source(8_000_000, 1), ["x", "s"], memory, 8)
    assert found.n_workers == 1 and found.at_work > 64 * 2**20


def test_little_data_has_all_threads_whatever_the_memory() -> None:
    assert budget_of(source(), ["x"], 0, 8).n_workers == 8


def test_no_more_threads_than_wanted_and_larger_pieces_take_more() -> None:
    assert budget_of(source(), ["x"], "1GiB", 3).n_workers == 3
    whole, tenth = (budget_of(source(partitions=parts), ["x", "s"], "1GiB", 1).at_work for parts in (1, 10))
    assert whole == pytest.approx(10 * tenth, rel=0.01)


def test_a_fit_in_little_memory_uses_one_thread_and_gives_the_same() -> None:
    pipeline = {memory: gp.Pipeline([gp.col("x").standardize()], memory=memory) for memory in ("1kB", "4GiB")}
    digests = {memory: each.fit(source(4_000_000)).state_digest() for memory, each in pipeline.items()}
    assert digests["1kB"] == digests["4GiB"]


def test_what_is_free_is_not_asked_for_where_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it takes longer than scoring a row."""
    fitted = gp.Pipeline([gp.col("x").standardize()]).fit(source(100, 1))
    asked: list[None] = []
    monkeypatch.setattr("gpupipe.memory.memory_free", lambda: asked.append(None) or 2**30)
    fitted.transform(source(100, 1), output="numpy")
    assert not asked
    fitted.fit(source(100, 1))
    assert asked  # columns may be kept
