"""The same rows give the same bits, however they lie in files and however the work is done: one digest of what was
learned, one of the features."""

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from layouts import Layout, drawn, source_of, worked_as

import gpupipe as gp
from gpupipe import col
from gpupipe.artifact import kept
from gpupipe.artifact.kept import Kept
from gpupipe.backends.backend import backend_for
from gpupipe.backends.categories import Tables
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import bind_scan
from gpupipe.runtime import execute
from gpupipe.runtime.merging import Merging

N = 700
NUMBERS = ["f64", "f32", "far", "tiny", "wide", "whole", "small"]
SLOW = 1_000


def table(n: int = N, seed: int = 5) -> pa.Table:
    """Numbers whose plain sums depend on their order; text, booleans and dates; nulls in most of them."""
    rng = np.random.default_rng(seed)

    def some(values: Any, kind: Any = None, share: float = 0.1) -> pa.Array:
        return pa.array(values, kind, mask=rng.random(n) < share)

    words = np.array(["", "a", "ab", "B", "été", "漢字", "😀", "\0", *(f"word {k}" for k in range(60))], object)
    return pa.table(
        {
            "f64": some(rng.normal(0, 1, n) * 10.0 ** rng.integers(-8, 9, n)),
            "f32": some(rng.normal(0, 1, n).astype("f4") * np.float32(10.0) ** rng.integers(-8, 9, n), pa.float32()),
            "far": some(1e15 + rng.normal(0, 1, n)),
            "tiny": some(rng.integers(-9, 10, n) * 5e-324 + rng.choice([0.0, 1e-308], n)),
            "wide": some(rng.normal(0, 1, n) * 2.0 ** rng.integers(-400, 400, n)),
            "whole": pa.array(rng.integers(-(2**40), 2**40, n)),
            "small": some(rng.integers(-3, 4, n).astype("i1"), pa.int8()),
            "text": some(rng.choice(words, n).tolist(), pa.string()),
            "many": some([f"käse {k}" for k in rng.integers(0, n, n)], pa.string()),
            "yes": some(rng.random(n) < 0.3),
            "day": some(rng.integers(-9_000, 20_000, n).astype("i4"), pa.int32()).cast(pa.date32()),
            "bought": pa.array(rng.integers(0, 2, n)),
        }
    )


def pipeline(memory: int | str | None = None) -> gp.Pipeline:
    """Fills, scalers, codes, target means, statistics by key, parts of dates."""
    features = [
        *(col(name).fill_null("mean").standardize().alias(f"{name} scaled") for name in NUMBERS),
        *(col(name).fill_null("median").clip(0).log1p().standardize().alias(f"{name} logged") for name in NUMBERS[:4]),
        *(col(name).robust().alias(f"{name} robust") for name in ("f64", "f32")),
        *(col(name).mean().over("many").alias(f"{name} by many") for name in ("f64", "far")),
        (col("f64").fill_null("mean") + col("whole")).standardize().alias("of two"),
        col("f32").quantile(0.3).over("text").alias("quantile by text"),
        col("far").std().over("yes", "small").alias("spread by two"),
        col("small").fill_null("mode").codes().alias("small coded"),
        col("text").codes(min_count=9, max_size=20).alias("text coded"),
        col("many").codes(other_buckets=4, min_count=2).alias("many coded"),
        col("text").one_hot(max_size=7),
        col("text").target_mean(smoothing=5),
        col("f64").max().over("many").alias("greatest"),
        col("text").mode().over("yes").codes().alias("usual"),
        col("text").codes().over("yes").alias("placed"),
        col("day").dt.month().cyclic(12),
        col("yes").mean().over("text").alias("share"),
        col("many").frequency(),
    ]
    return gp.Pipeline(features, target="bought", memory=memory)


def digests(rows: pa.Table, layout: Layout, folder: Path, monkeypatch: Any) -> tuple[str, str, str]:
    """(of what was learned, of the training rows' features, of later rows' features) as float32."""
    folder.mkdir(exist_ok=True)
    source = source_of(rows, layout, folder)
    with worked_as(layout, monkeypatch):
        fitted = pipeline(layout.memory)
        training = fitted.fit_transform(source, output="numpy")
        later = fitted.transform(source, output="numpy")
    return fitted.state_digest(), sha256(training), sha256(later)


def sha256(features: Any) -> str:
    matrix = np.ascontiguousarray(features, np.float32)
    assert matrix.dtype == np.float32 and matrix.shape[0] == N
    return hashlib.sha256(matrix.tobytes()).hexdigest()


PLAIN = Layout(0, "memory", (), (N,), 1, False, True, 1, 0.0, 0.0, "1GiB", False)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return table()


@pytest.fixture(scope="module")
def expected(rows: pa.Table, tmp_path_factory: Any) -> tuple[str, str, str]:
    """Of rows in memory, one partition, one thread, NumPy alone."""
    with pytest.MonkeyPatch.context() as patch:
        return digests(rows, PLAIN, tmp_path_factory.mktemp("plain"), patch)


@pytest.mark.parametrize("seed", range(1, 19))
def test_no_layout_shows(rows: Any, expected: Any, seed: int, tmp_path: Path, monkeypatch: Any) -> None:
    assert digests(rows, drawn(seed, N), tmp_path, monkeypatch) == expected


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_a_thousand_layouts_do_not_show(rows: Any, expected: Any, block: int, tmp_path: Path, monkeypatch: Any) -> None:
    for number in range(SLOW // 20):
        layout = drawn(1_000 + block * (SLOW // 20) + number, N)
        assert digests(rows, layout, tmp_path / str(number), monkeypatch) == expected, layout


def test_each_thing_alone_does_not_show(rows: Any, expected: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """So that a failure above is soon understood."""
    cuts = {"cuts": (100, 700), "groups": (90, 400, 50)}
    changes: list[dict[str, Any]] = [
        {"partitions": 64},
        {"partitions": 7, "threads": 4},
        {"kind": "parquet", **cuts},
        {"kind": "parquet", "counted": False},
        {"kind": "ipc", "dictionary": True, **cuts},
        {"partitions": 5, "splits": 1.0},
        {"partitions": 5, "retries": 1.0},
        {"partitions": 9, "memory": 0},
        {"numba": True},
    ]
    for number, change in enumerate(changes):
        assert digests(rows, replace(PLAIN, **change), tmp_path / str(number), monkeypatch) == expected, change


def test_the_layouts_differ() -> None:
    """Fifty of them hold every kind of everything, so that there is something to be seen."""
    found = [drawn(seed, N) for seed in range(50)]
    for name in ("kind", "dictionary", "counted", "threads", "splits", "retries", "memory", "numba"):
        assert len(Counter(getattr(layout, name) for layout in found)) > 1, name
    assert max(layout.partitions or 0 for layout in found) > 50


def test_other_rows_do_show(rows: Any, expected: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """One value, changed in its last bit, and two rows, exchanged."""
    values = rows["f64"].to_pylist()
    at = next(row for row, value in enumerate(values) if value)
    values[at] = float(np.nextafter(values[at], 1e300))
    place = rows.column_names.index("f64")
    moved = rows.set_column(place, "f64", pa.array(values))
    assert digests(moved, PLAIN, tmp_path, monkeypatch)[0] != expected[0]
    order = list(range(N))
    order[3], order[4] = order[4], order[3]
    found = digests(rows.take(order), PLAIN, tmp_path, monkeypatch)
    assert found[1] != expected[1] and found[2] != expected[2]


# -- processes ------------------------------------------------------------------------------------------------
def gather_elsewhere(folder: str, partitions: str, numbers: str, name: str) -> None:
    """In a process of its own: the first scan's states of some partitions, written to a folder."""
    source = gp.scan(f"{folder}/*.parquet", partitions=int(partitions))
    plan = pipeline().explain(source).plan
    binder = Binder(plan.slots, Fitted(), plan.info, training=True)
    bound = bind_scan(plan.scans[0], binder)
    backend = backend_for("cpu")
    prepared = backend.prepare(bound.outputs, binder.info, Tables(Fitted()))
    merging = Merging(bound.intakes)
    for number in map(int, numbers.split()):
        frame = source.load(number, plan.fit_columns)
        merging.add(backend.states(bound.intakes, prepared.columns(frame), frame.n_rows))
    states = merging.states()
    kept.write(f"{folder}/{name}", Kept(states, [str(at) for at in range(len(states))], N, N), "none")


def in_processes(rows: pa.Table, layout: Layout, count: int, folder: Path, monkeypatch: Any) -> tuple[str, str, str]:
    """The digests where the first scan's states come from `count` processes."""
    source = source_of(rows, layout, folder)
    numbers = np.random.default_rng(layout.seed).permutation(len(source.partitions))
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_layouts as t; t.gather_elsewhere(*sys.argv[2:])"
    running, names = [], []
    for part in np.array_split(numbers, count):
        if len(part):
            names.append(f"states {len(names)}")
            words = [str(folder), str(layout.partitions), " ".join(map(str, part)), names[-1]]
            running.append(subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), *words]))
    assert [process.wait() for process in running] == [0] * len(running)
    taken_in = execute.taken_in

    def from_files(order: Any, read: Any, *others: Any, **options: Any) -> Any:
        if not names:
            return taken_in(order, read, *others, **options)
        merging = Merging(order.bound.intakes, read.memory)
        while names:
            merging.add(kept.read(folder / names.pop(), "none").states)
        return merging

    monkeypatch.setattr(execute, "taken_in", from_files)
    fitted = pipeline()
    training = fitted.fit_transform(source, output="numpy")
    assert not names
    return fitted.state_digest(), sha256(training), sha256(fitted.transform(source, output="numpy"))


def files(seed: int) -> Layout:
    layout = drawn(seed, N)
    return replace(layout, kind="parquet", partitions=layout.partitions or 8)


def test_two_processes_do_not_show(rows: Any, expected: Any, tmp_path: Path, monkeypatch: Any) -> None:
    assert in_processes(rows, files(4), 2, tmp_path, monkeypatch) == expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5_000, 5_024))
def test_processes_do_not_show(rows: Any, expected: Any, seed: int, tmp_path: Path, monkeypatch: Any) -> None:
    assert in_processes(rows, files(seed), 1 + seed % 4, tmp_path, monkeypatch) == expected
