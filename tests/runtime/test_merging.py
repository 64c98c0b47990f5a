"""States of partitions, merged or scattered over files: the same to the bit, in any order and however little memory."""

import errno
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from faults import FailsFrom, in_place, open_files

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.backend import backend_for
from gpupipe.backends.categories import Tables
from gpupipe.backends.learn import learned
from gpupipe.backends.parts import learned_from
from gpupipe.backends.taking import OnHost
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import bind_scan
from gpupipe.errors import StorageError
from gpupipe.runtime import merging as merging_of
from gpupipe.runtime import scattered
from gpupipe.runtime.merging import Merging
from gpupipe.runtime.scattered import Scattered, nbytes

N, PARTS = 1_500, 9
KEYS = ["s", "f", "d"]


def table():
    rng = np.random.default_rng(7)

    def some(values, kind=None):
        return pa.array(values, kind, mask=rng.random(N) < 0.1)

    return pa.table({
        "s": some([f"käse {v}" if v % 7 else "" for v in rng.integers(0, 900, N)]),
        "n": some(rng.integers(-400, 400, N) * 2**40),
        "f": some(rng.choice([-0.0, 0.0, 1.5, -2.5, 1e300, 5e-324], N)),
        "b": some(rng.random(N) < 0.5),
        "d": some(rng.integers(0, 800, N).astype("i4"), pa.int32()).cast(pa.date32()),
        "x": some(rng.normal(0, 1, N) * 10.0 ** rng.integers(-200, 140, N)),
        "y": pa.array(rng.integers(0, 2, N)),
    })  # fmt: skip


def features():
    over = [
        statistic
        for key in KEYS
        for statistic in (
            col("x").mean().over(key).alias(f"mean {key}"),
            col("n").sum().over(key).alias(f"sum {key}"),
            col("x").max().over(key).alias(f"max {key}"),
            col("x").count().over(key).alias(f"count {key}"),
            col("s").mode().over(key).alias(f"mode {key}"),
            col("n").n_unique().over(key).alias(f"unique {key}"),
        )
    ]
    listed = [
        made
        for key in ("s", "n", "f")
        for made in (
            col(key).codes(min_count=3, max_size=40).alias(f"codes {key}"),
            col(key).codes().alias(f"all {key}"),
            col(key).one_hot(max_size=9).alias(f"hot {key}"),
            ((col(key) == col(key).mode()).cast("Int64") * col(key).n_unique()).alias(f"n {key}"),
            (col(key) == col(key).mode()).alias(f"usual {key}"),
        )
    ]
    return [
        *over,
        *listed,
        col("x").std().over("s", "b").alias("two keys"),
        col("s").vocabulary(min_count=2, max_size=3).over("b", "d").alias("places"),
        *(col(key).target_mean().alias(f"target {key}") for key in ("s", "n", "b")),
    ]


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch):
    monkeypatch.setattr(scattered, "BUCKETS", 5)


@pytest.fixture(scope="module")
def scan():
    """(plan, bound scan, the states of all partitions)."""
    source = gp.scan(table(), partitions=PARTS)
    plan = gp.Pipeline(features(), target="y").explain(source).plan
    binder = Binder(plan.slots, Fitted(), plan.info, training=True)
    bound = bind_scan(plan.scans[0], binder)
    prepared = backend_for("cpu").prepare(bound.outputs, binder.info, Tables(Fitted()))
    states = []
    for index in range(PARTS):
        frame = source.load(index, plan.fit_columns)
        states.append(OnHost().states(bound.intakes, prepared.columns(frame), frame.n_rows))
    return plan, bound, states


def merged(scan, memory, order, threads=1):
    _, bound, states = scan
    merging = Merging(bound.intakes, memory)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: merging.add(states[number]), order))
    states, scattered = merging.merged()
    return [scattered.get(number, state) for number, state in enumerate(states)]


def values_of(scan, found):
    """Everything that the slots' finished values are made of, as plain data."""
    plan, bound, _ = scan
    values = []
    for intake, state in zip(bound.intakes, found, strict=True):
        for slot in intake.gather.slots:
            dtype = plan.info[slot.node].dtype
            if isinstance(state, Scattered):
                entry = learned_from(slot, intake.gather, state.parts(), dtype)
            else:
                entry = learned(slot, intake.gather, state, dtype)
            columns = [entry.value, *entry.keys, *([] if entry.by_fold is None else [entry.by_fold])]
            counts = None if entry.counts is None else entry.counts.tolist()
            values.append((str(slot.node), [plain(column) for column in columns], counts))
    return values


def plain(column):
    valid = np.ones(len(column), bool) if column.valid is None else column.valid
    if isinstance(column.values, np.ndarray):
        return str(column.dtype), valid.tolist(), np.where(valid, column.values, 0).tobytes()
    return str(column.dtype), valid.tolist(), pa.array(column.values.to_pylist(), mask=~valid).to_pylist()


def test_scattering_never_shows(scan):
    """The finished values, keys, counts and out-of-fold values of every kind of statistic."""
    rng = np.random.default_rng(1)
    whole = merged(scan, "1GiB", np.arange(PARTS))
    assert not any(isinstance(state, Scattered) for state in whole)
    expected = values_of(scan, whole)
    for memory in (0, 2**19):
        found = merged(scan, memory, rng.permutation(PARTS), threads=int(rng.integers(1, 5)))
        waiting = [state for state in found if isinstance(state, Scattered)]
        kinds = {state.kind for state in waiting}
        assert kinds >= {"values", "moments", "sum", "extremes", "count"} if memory == 0 else waiting or True
        assert values_of(scan, found) == expected
        for state in waiting:
            state.close()


def test_a_scattered_state_can_be_put_together_again(scan):
    whole = merged(scan, "1GiB", np.arange(PARTS))
    again = Merging(scan[1].intakes, 0)
    for states in scan[2]:
        again.add(states)
    assert values_of(scan, again.states()) == values_of(scan, whole)


@pytest.mark.parametrize("memory", ["1GiB", 0])
def test_threads_put_together_what_one_does(scan, memory, monkeypatch):
    whole = merged(scan, "1GiB", np.arange(PARTS))
    monkeypatch.setattr(merging_of, "_BESIDE", 0)
    beside = Merging(scan[1].intakes, memory)
    for states in scan[2]:
        beside.add(states)
    assert values_of(scan, beside.states(3)) == values_of(scan, whole)


def test_parts_share_no_key(scan):
    found = [state for state in merged(scan, 0, np.arange(PARTS)) if isinstance(state, Scattered) and state.n_keys]
    for state in found[::5]:
        seen = [set(zip(*map(values_and_nulls, part.keys[: state.n_keys]), strict=True)) for part in state.parts()]
        assert sum(map(len, seen)) == len(set().union(*seen))
    assert max(len(list(state.parts())) for state in found) > scattered.BUCKETS // 2


def values_and_nulls(column):
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values.to_pylist()
    return list(zip(values, np.ones(len(column)) if column.valid is None else column.valid, strict=True))


def test_memory_is_counted(scan):
    assert all(nbytes(state) >= 8 * state.n_groups * (1 + len(state.keys)) for state in scan[2][0])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_is_told(scan, code):
    with in_place(FailsFrom(9, code, ("pwrite", "pread"))), pytest.raises(StorageError, match="too many groups"):
        values_of(scan, merged(scan, 0, np.arange(PARTS)))


def test_scratch_files_go_with_the_states(scan, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    found = merged(scan, 0, np.arange(PARTS))
    assert open_files(tmp_path) and not os.listdir(tmp_path)  # they have no name
    for state in found:
        if isinstance(state, Scattered):
            state.close()
    assert not open_files(tmp_path)


def test_any_number_of_states_share_their_scratch_files(tmp_path, monkeypatch):
    """A process may have 256 files open on some systems; every column has a vocabulary here."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    rows = pa.table({f"s{at}": [f"{at} {row}" for row in range(200)] for at in range(30)})
    most, merged_of = 0, Merging.merged

    def counted(merging, threads):
        nonlocal most
        found = merged_of(merging, threads)
        most = max(most, len(open_files(tmp_path)))
        assert len(found[1]) == 60  # all of them are scattered
        return found

    monkeypatch.setattr(Merging, "merged", counted)
    declared = [
        gp.cols(*rows.column_names).codes(),
        *(gp.lit(1.0).sum().over(name).alias(name + "_n") for name in rows.column_names),
    ]
    tight = gp.Pipeline(declared, memory=1).fit(gp.scan(rows, partitions=3))
    assert 1 <= most <= (os.cpu_count() or 1)
    monkeypatch.undo()
    assert tight.state_digest() == gp.Pipeline(declared).fit(rows).state_digest()
