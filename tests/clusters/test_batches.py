"""Several partitions in one task: how many, what is merged where, and that a failure is of one of them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hooks import fail_at, hooked, marked
from hypothesis import given
from hypothesis import strategies as st
from on_loopback import eventually

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters import gathering, reading, tasks
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.waiting import AT_ONCE, Waiting
from gpupipe.errors import NonFiniteError, PoisonPartitionError
from gpupipe.runtime.rows import Rows

ROWS, PARTS = 9_600, 48


@pytest.fixture(scope="module")
def two() -> Iterator[gp.Cluster]:
    with gp.cluster("processes", n_workers=2, memory_limit="600MiB") as made:
        yield made


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(5)
    return pa.table({
        "x": pa.array(rng.standard_normal(ROWS), mask=rng.random(ROWS) < 0.1),
        "z": rng.standard_normal(ROWS),
        "c": [f"c{at}" for at in rng.integers(0, 40, ROWS)],
        "t": (rng.random(ROWS) < 0.3).astype(np.int64),
    })  # fmt: skip


def written(table: pa.Table, folder: Path) -> gp.Source:
    pq.write_table(table, folder / "rows.parquet", row_group_size=ROWS // PARTS)
    return gp.scan(str(folder / "rows.parquet"), partitions=PARTS)


@pytest.fixture(scope="module")
def source(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> gp.Source:
    return written(table, tmp_path_factory.mktemp("rows"))


def pipeline() -> gp.Pipeline:
    features = [col("x").fill_null("median").standardize(), col("z").standardize(), col("c").target_mean(smoothing=5)]
    return gp.Pipeline(features, target="t", device="cpu")


@pytest.fixture(scope="module")
def expected(source: gp.Source) -> str:
    with gp.cluster("threads"):
        return pipeline().fit(source).state_digest()


class Noted:
    """What is begun meanwhile: how many tasks of each name, and the partitions of each that takes some."""

    def __init__(self, monkeypatch: Any) -> None:
        self.tasks, self.batches = Counter[str](), list[tuple[int, ...]]()
        submit, begun = Reading.submit, Reading.begun

        def submitted(reading: Any, what: str, *arguments: Any) -> Any:
            self.tasks[what] += 1
            return submit(reading, what, *arguments)

        def noted(reading: Any, order: Any, sent: Any, indices: Sequence[int], alone: bool) -> Any:
            self.batches.append(tuple(indices))
            return begun(reading, order, sent, indices, alone)

        monkeypatch.setattr(Reading, "submit", submitted)
        monkeypatch.setattr(Reading, "begun", noted)

    def of(self, index: int) -> tuple[int, ...]:
        """The first task that took a partition."""
        return next(batch for batch in self.batches if index in batch)


# -- how many -----------------------------------------------------------------------------------------------------
@given(chosen=st.sets(st.integers(0, 60)), most=st.integers(1, 20), tasks=st.integers(1, 9), apart=st.integers(0, 60))
def test_each_is_taken_once_in_order_and_those_of_a_task_follow_each_other(
    chosen: set[int], most: int, tasks: int, apart: int
) -> None:
    left = Waiting(sorted(chosen), most, lambda first, index: (first < apart) == (index < apart))
    taken, shares = list[tuple[int, ...]](), list[int]()
    while left:
        shares.append(left.share(tasks))
        taken.append(left.taken(shares[-1]))
    assert [index for some in taken for index in some] == sorted(chosen)
    assert shares == sorted(shares, reverse=True) and all(share <= min(most, AT_ONCE) for share in shares)
    for some, share in zip(taken, shares, strict=True):
        assert len(some) <= share and list(some) == list(range(some[0], some[-1] + 1))
        assert not some[0] < apart <= some[-1]


def test_what_is_begun_last_is_little() -> None:
    left, sizes = Waiting(range(100), 8, lambda first, index: True), list[int]()
    while left:
        sizes.append(len(left.taken(left.share(4))))
    assert sizes[:3] == [8, 8, 8] and sizes[-4:] == [1, 1, 1, 1]


def test_what_comes_back_is_begun_by_itself() -> None:
    left = Waiting(range(12), 4, lambda first, index: True)
    assert left.taken(4) == (0, 1, 2, 3)
    left.back((1, 2))
    assert [left.taken(4) for _ in range(3)] == [(1,), (2,), (4, 5, 6, 7)]
    left.leave(10)
    assert left.first == 8 and left.taken(4) == (8, 9) and not left


def test_a_task_takes_as_many_as_come_to_some_bytes(two: gp.Cluster, source: gp.Source, monkeypatch: Any) -> None:
    with Rows(source, ["x", "z"]) as rows:
        each = rows.decoded_bytes() / PARTS
        for together, most in [(2.5 * each, 2), (0.1 * each, 1)]:
            monkeypatch.setattr(reading, "TOGETHER", together)
            assert Reading(two.client, rows).at_once == most
        monkeypatch.undo()
        assert Reading(two.client, rows).at_once > AT_ONCE
        monkeypatch.setattr(reading, "_SHARE", 3.5 * each / (600 * 2**20))  # of a worker of one thread
        assert Reading(two.client, rows).at_once == 3


# -- what that saves ----------------------------------------------------------------------------------------------
def test_tasks_are_fewer_than_partitions(two: gp.Cluster, source: gp.Source, expected: str, monkeypatch: Any) -> None:
    noted = Noted(monkeypatch)
    assert pipeline().fit(source).state_digest() == expected
    assert Counter(index for batch in noted.batches for index in batch) == dict.fromkeys(range(PARTS), 2)  # two trips
    assert len(noted.batches) <= 0.75 * PARTS and 4 <= max(map(len, noted.batches)) <= AT_ONCE
    assert noted.tasks["outcome"] == len(noted.batches) / 2
    assert noted.tasks["merge"] <= len(noted.batches) / 2
    assert noted.tasks.total() <= 1.8 * PARTS  # it was 3 for a partition, and a merge of eight


def test_what_is_merged_lies_on_one_worker(two: gp.Cluster, source: gp.Source, expected: str, monkeypatch: Any) -> None:
    places = list[set[str]]()
    merged = gathering.Gathering._merged

    def seen(self: Any, groups: Any, sent: Any) -> Any:
        for parts in groups:
            where = two.client.who_has([part.future for part in parts])
            places.append(set.intersection(*map(set, where.values())))
        yield from merged(self, groups, sent)

    monkeypatch.setattr(gathering.Gathering, "_merged", seen)
    assert pipeline().fit(source).state_digest() == expected
    assert len(places) >= 4 and all(places)


def test_many_states_are_merged_by_workers_though_each_is_on_another(
    two: gp.Cluster, source: gp.Source, expected: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gathering.Gathering, "_near", lambda self, parts: [])
    noted = Noted(monkeypatch)
    assert pipeline().fit(source).state_digest() == expected
    assert noted.tasks["merge"] >= 2
    monkeypatch.setattr(gathering, "_AT_ONCE", 100)  # so few that the driver merges all of them
    noted.tasks.clear()
    assert pipeline().fit(source).state_digest() == expected
    assert noted.tasks["merge"] == 0


def test_predictions_come_partition_by_partition(two: gp.Cluster, source: gp.Source, monkeypatch: Any) -> None:
    fitted, noted = pipeline().fit(source), Noted(monkeypatch)
    fitted.transform(source, output="numpy")
    assert sorted(noted.batches) == [(index,) for index in range(PARTS)]


# -- what fails is one of them ------------------------------------------------------------------------------------
def test_a_worker_that_dies_amid_several(
    two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    noted = Noted(monkeypatch)
    fitted = pipeline().fit(hooked(source, "crash once", tmp_path, [6, 41]))
    assert fitted.state_digest() == expected and fitted.report_.rows == ROWS
    assert marked(tmp_path, "crash6") == marked(tmp_path, "crash41") == 1
    assert len(noted.of(6)) == 4 and noted.batches.count((6,)) >= 1  # with others at first, then by itself


def test_a_partition_that_ends_its_worker_amid_several_is_named(
    two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    noted, before = Noted(monkeypatch), set(two.workers)
    with pytest.raises(PoisonPartitionError, match=r"Partition 7 of 48, .*rows\.parquet.* ended the worker"):
        pipeline().fit(hooked(source, "crash", tmp_path, [6]))
    assert len(noted.of(6)) == 4
    assert 2 <= marked(tmp_path, "crash") <= 3  # a worker, and one or two processes of its own
    assert eventually(lambda: len(set(two.workers)) == 2) and len(before - set(two.workers)) == 1
    assert pipeline().fit(source).state_digest() == expected


@pytest.mark.parametrize("does", ["crash", "corrupt"])
def test_one_of_several_is_left_out(
    does: str, two: gp.Cluster, table: pa.Table, source: gp.Source, tmp_path: Path, monkeypatch: Any
) -> None:
    noted = Noted(monkeypatch)
    fitted = pipeline().fit(hooked(source, does, tmp_path, [6]), on_bad_partition="quarantine")
    size = ROWS // PARTS
    kept = pa.concat_tables([table.slice(0, 6 * size), table.slice(7 * size)])
    with gp.cluster("threads"):
        assert fitted.state_digest() == pipeline().fit(written(kept, tmp_path)).state_digest()
    assert len(noted.of(6)) == 4
    assert [left.rows for left in fitted.report_.quarantined] == [size] and fitted.report_.rows == ROWS - size


def test_of_several_errors_the_first_is_told(two: gp.Cluster, table: pa.Table, tmp_path: Path) -> None:
    values, size = table["z"].to_numpy().copy(), ROWS // PARTS
    rows = [6 * size + 3, 7 * size, 9 * size + 1]
    values[rows] = np.nan
    bad = written(table.set_column(table.column_names.index("z"), "z", pa.array(values)), tmp_path)
    with pytest.raises(NonFiniteError) as caught:
        pipeline().fit(bad)
    assert (caught.value.row, caught.value.row_group) == (rows[0], 6) and re.search(r"rows\.parquet", str(caught.value))


def test_what_a_worker_was_told_is_taken_once_and_made_again(table: pa.Table, two: gp.Cluster) -> None:
    """The task that takes an outcome from beside the rows may be done again, when that is gone."""
    batch = tasks.Batch({}, [tasks.Outcome("came", (3, 4), ())])
    again: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "read_and_worked", lambda *given: again.append(given) or "made again")
        given: Any = ("how", "order", "asked", batch)
        assert tasks.taken(*given).result == "came"
        assert str(tasks.taken(*given)) == "made again"
    assert again == [("how", "order", "asked", False)]


@pytest.mark.parametrize("at", [0, 5])
def test_little_memory_amid_several_means_halves(at: int, two: gp.Cluster, source: gp.Source, expected: str) -> None:
    two.client.run(fail_at, at)
    fitted = pipeline().fit(source)
    two.client.run(fail_at, 10**8)
    assert fitted.state_digest() == expected and fitted.report_.retries >= 1
