"""A scheduler that gives nobody what it is asked for."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters import gathering, tasks, trip, watch
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.watch import Watch
from gpupipe.errors import ClusterTimeoutError

Keeps = Callable[[str, int], list[str]]


@pytest.fixture(scope="module")
def source() -> gp.Source:
    rng, n = np.random.default_rng(5), 12_000
    table = pa.table({"x": rng.standard_normal(n), "k": [f"key {at}" for at in rng.integers(0, 900, n)]})
    return gp.scan(table, partitions=20)


def pipeline() -> gp.Pipeline:
    features = [col("x").fill_null("median").standardize(), col("k").codes(), col("x").mean().over("k").alias("mean")]
    return gp.Pipeline(features, device="cpu")


@pytest.fixture(scope="module")
def expected(source: gp.Source) -> str:
    return pipeline().fit(source).state_digest()


@pytest.fixture
def keeps(two: gp.Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeps]:
    """Have the scheduler keep the first tasks of a kind; those it kept."""
    never = two.client.submit(tasks.kept, None, pure=False, resources={"gpupipe-test: nobody has it": 1})
    usual, kept = Reading.submit, list[str]()

    def begin(what: str, count: int) -> list[str]:
        def submitted(self: Any, kind: str, function: Any, *arguments: Any) -> Any:
            if not kind.startswith(what) or len(kept) >= count:
                return usual(self, kind, function, *arguments)
            kept.append(kind)
            return usual(self, kind, tasks.kept, never)

        monkeypatch.setattr(Reading, "submit", submitted)
        return kept

    monkeypatch.setattr(watch, "STUCK", 0.5)
    monkeypatch.setattr(trip, "LOOK", 0.2)
    yield begin
    never.release()


@pytest.mark.parametrize("what", ["scan", "merge", "settling"])
def test_what_it_keeps_is_done_by_other_tasks(
    what: str, source: gp.Source, expected: str, keeps: Keeps
) -> None:
    kept = keeps(what, 2)
    fitted = pipeline().fit(source)
    assert fitted.state_digest() == expected and len(kept) == 2
    assert all(stage.partitions <= 20 for stage in fitted.report_.stages)


@pytest.mark.parametrize("what", ["merge", "pick", "divide"])
def test_parts_of_states_are_added_once(
    what: str, source: gp.Source, expected: str, keeps: Keeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LARGE", 1_000)
    kept = keeps(what, 1)
    assert pipeline().fit(source).state_digest() == expected and len(kept) == 1


def test_one_that_keeps_all_is_an_error(
    source: gp.Source, keeps: Keeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trip, "_TRIES", 2)
    keeps("scan", 10_000)
    with pytest.raises(ClusterTimeoutError, match=r"no worker what it was asked for, .* 3 times in a row. See"):
        pipeline().fit(source)


# -- when it is so ------------------------------------------------------------------------------------------------
def watching(processing: dict[str, list[str]], paused: tuple[str, ...] = ()) -> Watch:
    found = Watch.__new__(Watch)
    found._client = SimpleNamespace(scheduler=SimpleNamespace(processing=None), sync=lambda *_, **__: processing)
    found._workers = {at: {"status": "paused" if at in paused else "running"} for at in processing}
    found._idle = None
    return found


@pytest.mark.parametrize(
    ("processing", "paused", "stuck"),
    [
        ({"a": [], "b": []}, (), True),
        ({"a": ["another's"], "b": []}, (), True),
        ({"a": ["scan-mine-1"], "b": []}, (), False),
        ({"a": ["another's"], "b": ["another's too"]}, (), False),  # it waits for its turn
        ({"a": [], "b": []}, ("a", "b"), False),  # they take it when they have memory again
        ({}, (), False),
    ],
)
def test_it_is_where_a_worker_is_free_and_none_has_it(
    processing: dict[str, list[str]], paused: tuple[str, ...], stuck: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    looked = watching(processing, paused)
    assert not looked.is_stuck("mine")
    now += watch.STUCK + 1
    assert looked.is_stuck("mine") == stuck
    assert not looked.is_stuck("mine")  # that counts from now
