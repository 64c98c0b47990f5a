"""Workers that die, freeze, and are ended by what they read: the same bits, or an error that says where."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed.core import Status
from hooks import fail_at, hooked, marked
from on_loopback import children, eventually, listening

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters import apart, starting, trip, waiting
from gpupipe.clusters.failures import MOST_AMID_OTHERS, Account, is_of_cluster
from gpupipe.errors import FileFormatError, ParameterError, PoisonPartitionError, WorkerLostError
from gpupipe.runtime import patience
from gpupipe.sources.source import Source

ROWS, PARTS = 6_000, 12


@pytest.fixture(scope="module")
def two() -> Iterator[gp.Cluster]:
    with gp.cluster("processes", n_workers=2, memory_limit="600MiB") as made:
        yield made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> gp.Source:
    rng = np.random.default_rng(3)
    table = pa.table({
        "x": pa.array(rng.standard_normal(ROWS), mask=rng.random(ROWS) < 0.1),
        "c": [f"c{at}" for at in rng.integers(0, 40, ROWS)],
        "t": (rng.random(ROWS) < 0.3).astype(np.int64),
    })  # fmt: skip
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(table, path, row_group_size=ROWS // PARTS)
    return gp.scan(str(path), partitions=PARTS)


def pipeline() -> gp.Pipeline:
    features = [col("x").fill_null("median").standardize(), col("c").target_mean(smoothing=5)]
    return gp.Pipeline(features, target="t", device="cpu")


@pytest.fixture(scope="module")
def expected(source: gp.Source) -> str:
    with gp.cluster("threads"):
        return pipeline().fit(source).state_digest()


def without(source: gp.Source, number: int) -> str:
    """The digest of a fit on all partitions but one."""
    kept = tuple(part for at, part in enumerate(source.partitions) if at != number)
    with gp.cluster("threads"):
        return pipeline().fit(Source(replace(source._listing, partitions=kept))).state_digest()


# -- workers that are lost ----------------------------------------------------------------------------------------
def test_a_worker_that_dies_is_made_up_for(
    two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path
) -> None:
    fitted = pipeline().fit(hooked(source, "crash once", tmp_path, [2, 7]))
    assert fitted.state_digest() == expected
    assert marked(tmp_path, "crash2") == marked(tmp_path, "crash7") == 1
    assert fitted.report_.source_reads <= 3 and fitted.report_.rows == ROWS


def test_failures_to_read_that_pass_are_tried_again(
    two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    fitted = pipeline().fit(hooked(source, "flaky", tmp_path, [1, 5]))
    assert fitted.state_digest() == expected and fitted.report_.io_retries == 4
    monkeypatch.setattr(patience, "WAITS", (0.0, 0.0, 0.0))
    (tmp_path / "here").mkdir()
    with gp.cluster("threads"):
        fitted = pipeline().fit(hooked(source, "flaky", tmp_path / "here", [1, 5]))
    assert fitted.state_digest() == expected and fitted.report_.io_retries == 4


@pytest.mark.slow
def test_a_frozen_worker_is_noticed(source: gp.Source, expected: str, tmp_path: Path) -> None:
    with gp.cluster("processes", n_workers=2, memory_limit="600MiB"):
        began = time.monotonic()
        fitted = pipeline().fit(hooked(source, "freeze once", tmp_path, [3]))
        assert fitted.state_digest() == expected and marked(tmp_path, "frozen") == 1
        assert time.monotonic() - began < 45 + 10


def test_the_first_task_of_a_worker_imports_nothing_of_ours(source: gp.Source, expected: str) -> None:
    def loaded() -> set[str]:  # in a worker
        return {name for name in sys.modules if name.startswith("gpupipe.")}

    with gp.cluster("processes", n_workers=1, memory_limit="600MiB") as one:
        (before,) = one.client.run(loaded).values()
        assert pipeline().fit(source).state_digest() == expected
        (after,) = one.client.run(loaded).values()
    assert not after - before


def test_a_worker_that_stands_still_as_it_starts_is_replaced(
    source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gpupipe.clusters.starting.STILL", 2)
    stops = tmp_path / "stops.py"  # the second process of a worker, before it has told the scheduler of itself
    stops.write_text(
        "import os, pathlib, signal\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "(folder / f'start {os.getpid()}').touch()\n"
        "if len(list(folder.glob('start *'))) == 2: os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    with gp.cluster("processes", n_workers=1, memory_limit="600MiB", preload=[str(stops)]) as one:
        (nanny,) = one.client.cluster.workers.values()
        os.kill(nanny.pid, signal.SIGKILL)
        assert eventually(lambda: marked(tmp_path, "start") == 3)
        assert pipeline().fit(source).state_digest() == expected


def test_a_process_that_is_merely_slow_to_start_is_waited_for(monkeypatch: Any) -> None:
    monkeypatch.setattr(starting, "STILL", 3)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        start = starting.Start(SimpleNamespace(process=SimpleNamespace(pid=process.pid, status=Status.starting)))

        def looks(count: int) -> int | None:
            for _ in range(count):
                start.look()
                time.sleep(0.2)
            return process.poll()

        assert looks(8) is None
        process.send_signal(signal.SIGSTOP)
        assert looks(3) is None and eventually(lambda: looks(1) == -signal.SIGKILL)


def test_a_process_that_never_comes_to_its_start_is_ended(monkeypatch: Any) -> None:
    monkeypatch.setattr(starting, "LATE", 3)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        held = SimpleNamespace(pid=process.pid, status=Status.running)
        start = starting.Start(SimpleNamespace(process=held))
        for status, alive in [(Status.running, 5), (Status.starting, 3)]:
            held.status = status
            for _ in range(alive):
                start.look()
        assert process.poll() is None
        start.look()
        assert process.wait(10) == -signal.SIGKILL


def test_no_workers_is_an_error(source: gp.Source, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpupipe.clusters.watch.NO_WORKERS", 2.0)
    with gp.cluster("processes", n_workers=1, memory_limit="600MiB") as one:
        one.client.cluster.scale(0)
        with pytest.raises(WorkerLostError, match="no worker for"):
            pipeline().fit(source)


# -- partitions that end workers ----------------------------------------------------------------------------------
@pytest.mark.parametrize("does", ["crash", pytest.param("hog", marks=pytest.mark.slow)])
def test_a_partition_that_ends_its_workers_is_named(
    does: str, two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(trip, "_LEAST", 0)
    monkeypatch.setattr(trip, "_AHEAD", 0.5)  # of two threads: one task at a time, so that no other is blamed
    monkeypatch.setattr(waiting, "AT_ONCE", 1)
    before = set(two.workers)
    with pytest.raises(PoisonPartitionError, match=r"Partition 4 of 12, .*rows\.parquet.* ended the worker"):
        pipeline().fit(hooked(source, does, tmp_path, [3]))
    assert marked(tmp_path, does) == 2  # a worker, and a process of its own
    assert eventually(lambda: len(set(two.workers)) == 2) and len(before - set(two.workers)) == 1
    assert pipeline().fit(source).state_digest() == expected  # the cluster goes on


@pytest.mark.slow
def test_amid_others_it_ends_one_worker_too(two: gp.Cluster, source: gp.Source, tmp_path: Path) -> None:
    before = set(two.workers)
    with pytest.raises(PoisonPartitionError, match="Partition 4 of 12"):
        pipeline().fit(hooked(source, "crash", tmp_path, [3]))
    assert 2 <= marked(tmp_path, "crash") <= 3  # and one or two processes of its own: it cannot be known who waited
    assert eventually(lambda: len(set(two.workers)) == 2) and len(before - set(two.workers)) == 1


def test_or_left_out_and_told(two: gp.Cluster, source: gp.Source, tmp_path: Path) -> None:
    fitted = pipeline().fit(hooked(source, "crash", tmp_path, [3]), on_bad_partition="quarantine")
    assert fitted.state_digest() == without(source, 3)
    (left,) = fitted.report_.quarantined
    assert (left.rows, Path(left.file or "").name) == (ROWS // PARTS, "rows.parquet") and "ended the worker" in left.why
    assert fitted.report_.rows == ROWS - ROWS // PARTS and "left out" in repr(fitted.report_)


@pytest.mark.slow
def test_a_partition_that_hangs_is_named(
    two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path
) -> None:
    late = pytest.raises(PoisonPartitionError, match=r"Partition 4 of 12, .* was not done after 5 seconds")
    with dask.config.set({"gpupipe.task-timeout": "5s"}), late:
        pipeline().fit(hooked(source, "hang", tmp_path, [3]))
    assert marked(tmp_path, "hang") == 2
    assert pipeline().fit(source).state_digest() == expected
    with dask.config.set({"gpupipe.task-timeout": "soon"}), pytest.raises(ParameterError, match="task-timeout"):
        pipeline().fit(source)


class Slow:
    """Takes its time to be unpacked."""

    def __reduce__(self) -> tuple[Any, ...]:
        return time.sleep, (2.0,)


def test_the_time_of_a_partition_begins_with_its_work(monkeypatch: Any) -> None:
    came, why = apart.in_process((repr, (Slow(),)), 0, 1.0)
    assert came is not None and (came.result, came.error, why) == ("None", None, "")
    assert apart.in_process((time.sleep, (60,)), 0, 1.0) == (None, "was not done after 1 seconds")
    monkeypatch.setattr(apart, "_TO_BEGIN", 0.1)
    with pytest.raises(WorkerLostError, match="had not begun"):
        apart.in_process((repr, (Slow(),)), 0, None)


def test_a_worker_that_lost_its_device_ends(two: gp.Cluster, source: gp.Source, expected: str, tmp_path: Path) -> None:
    before = set(two.workers)
    assert pipeline().fit(hooked(source, "lose device once", tmp_path, [3])).state_digest() == expected
    assert marked(tmp_path, "lost") == 1 and set(two.workers) != before


@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_what_cannot_be_read_is_raised_or_left_out(
    where: str, two: gp.Cluster, source: gp.Source, tmp_path: Path, request: Any
) -> None:
    bad = hooked(source, "corrupt", tmp_path, [3, 8])
    if where == "threads":
        here = gp.cluster("threads")
        request.addfinalizer(here.close)
    with pytest.raises(FileFormatError, match="checksum"):
        pipeline().fit(bad)
    fitted = pipeline().fit(bad, on_bad_partition="quarantine")
    assert [left.rows for left in fitted.report_.quarantined] == [ROWS // PARTS] * 2
    assert fitted.report_.rows == ROWS - 2 * ROWS // PARTS


def test_no_other_policy(source: gp.Source) -> None:
    with pytest.raises(ParameterError, match="quarantine"):
        pipeline().fit(source, on_bad_partition="ignore")


@pytest.mark.slow
def test_one_that_had_not_begun_may_end_a_process_of_its_own(
    source: gp.Source, expected: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(trip, "_AHEAD", 3)
    with gp.cluster("processes", n_workers=1, memory_limit="600MiB"):  # others wait while the first ends it
        assert pipeline().fit(hooked(source, "crash first", tmp_path)).state_digest() == expected
    assert marked(tmp_path, "first") == 1 and list(tmp_path.glob("apart*"))


# -- whose fault it was -------------------------------------------------------------------------------------------
def test_two_deaths_on_one_partition_are_its_own() -> None:
    account = Account()
    account.died("one", [3, 4])
    account.done(4)  # it went through alone: it was 3, or nobody
    assert not account.is_poison(3)
    account.died("two", [3])
    assert account.is_poison(3) and account.deaths(3) == 2 and account.lost == 2


def test_of_several_none_is_to_blame_by_that_alone() -> None:
    account = Account()
    account.died("one", [3])
    account.died("one", [4])
    account.died("two", [5])
    assert [account.forgives(index) for index in (3, 4, 5)] == [True, True, False]
    assert not account.forgives(3)


def test_amid_deaths_of_nobodys_fault_more_are_allowed() -> None:
    account = Account()
    account.died("one", [1])
    account.done(1)
    for at in range(MOST_AMID_OTHERS - 1):
        account.died(f"worker {at}", [2])
        assert not account.is_poison(2)
    account.died("the last", [2])
    assert account.is_poison(2)


def test_what_dask_says_of_lost_results_is_not_of_the_rows() -> None:
    assert is_of_cluster(RuntimeError("Worker holding Actor was lost"))
    assert not is_of_cluster(RuntimeError("of somebody's function")) and not is_of_cluster(FileFormatError("of a file"))


# -- too little memory, in a worker -------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_little_memory_in_a_worker_means_halves(
    count: int, two: gp.Cluster, source: gp.Source, expected: str
) -> None:
    retries = 0
    for at in range(count):
        two.client.run(fail_at, at)
        fitted = pipeline().fit(source)
        assert fitted.state_digest() == expected
        retries += fitted.report_.retries
    two.client.run(fail_at, 10**8)
    assert retries >= count


# -- chaos --------------------------------------------------------------------------------------------------------
def chaos(cluster: gp.Cluster, signals: list[int], seed: int, pause: float) -> tuple[threading.Thread, list[int]]:
    """Sends signals to random workers, one after the other, while the thread runs; the second: those sent."""
    rng, sent = random.Random(seed), []

    def go() -> None:
        for each in signals:
            time.sleep(pause * (0.5 + rng.random()))
            pids = [nanny.pid for nanny in cluster.client.cluster.workers.values() if nanny.pid]
            if pids:
                os.kill(rng.choice(pids), each)
                sent.append(each)

    return threading.Thread(target=go, daemon=True), sent


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count", "pause"), [(signal.SIGKILL, 50, 4.0), (signal.SIGSTOP, 20, 15.0)])
def test_chaos(kind: int, count: int, pause: float, source: gp.Source, expected: str, tmp_path: Path) -> None:
    others = children()  # the workers of the module's own cluster
    with gp.cluster("processes", n_workers=3, memory_limit="600MiB") as three:
        thread, sent = chaos(three, [kind] * count, 1, pause)

        def fit() -> tuple[float, int]:
            began, before = time.monotonic(), len(sent)
            assert pipeline().fit(hooked(source, "slow", tmp_path)).state_digest() == expected
            return time.monotonic() - began, len(sent) - before

        alone = min(fit()[0] for _ in range(3))
        thread.start()
        found = [fit()]
        while thread.is_alive():
            found.append(fit())
        found.append(fit())  # what was sent last may still have to be noticed
        # What a signal may cost: what was lost by it, as long as a fit at most, and so long to make up for it.
        each = alone + (15 if kind == signal.SIGKILL else 45 + 15)
        beyond = [(took, signals) for took, signals in found if took > alone + each * max(signals, 1)]
        seconds = [one for one, _ in found]
        print(f"{len(sent)} of {signal.Signals(kind).name}: {len(found)} fits, {np.median(seconds):.1f} s each, "
              f"the longest {max(found)}; undisturbed {alone:.1f} s: {found}")  # fmt: skip
        assert len(sent) == count and not beyond
        started, folder = children() - others, Path(three.client.cluster.workers[0].local_directory)
        assert folder.exists()
    assert started and eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert not listening({os.getpid()}) and not folder.exists()
