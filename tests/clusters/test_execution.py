"""The same fits and predictions on workers of a cluster: the same bits as from the bare loop."""

import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hooks import hooked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from on_loopback import eventually, scheduler, worker
from sklearn.linear_model import LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.clusters import gathering, reading
from gpupipe.clusters.reading import _sent
from gpupipe.errors import FileFormatError, GpupipeError, NonFiniteError, UnsupportedEstimatorError
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.orders import Local
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows

ROWS = 3_000


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(7)
    return pa.table({
        "x": pa.array(rng.standard_normal(ROWS), mask=rng.random(ROWS) < 0.1),
        "z": rng.standard_cauchy(ROWS),
        "n": rng.integers(0, 100, ROWS),
        "c": [f"c{at}" for at in rng.integers(0, 40, ROWS)],
        "t": (rng.random(ROWS) < 0.3).astype(np.int64),
    })  # fmt: skip


@pytest.fixture(scope="module")
def files(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("files")
    for at in range(3):
        pq.write_table(table.slice(at * ROWS // 3, ROWS // 3), folder / f"{at}.parquet", row_group_size=300)
    return f"{folder}/*.parquet"


def pipeline(model: Any = None, **how: Any) -> gp.Pipeline:
    clipped = col("z").clip(col("z").quantile(0.05), col("z").quantile(0.95))
    features = [
        col("x").fill_null("median").standardize(), clipped.standardize().alias("clipped"), col("n").standardize(),
        col("c").target_mean(smoothing=20), col("c").one_hot(), (col("x") - col("x").mean()).abs().max().alias("far"),
    ]  # fmt: skip
    return gp.Pipeline(features, target="t", model=model, device="cpu", **how)


def digests(source: gp.Source, later: Any) -> dict[str, Any]:
    """What comes of fits on `source`, and of scoring `later`."""
    fitted = pipeline(LogisticRegression(max_iter=50), training="gather").fit(source)
    training = pipeline().fit_transform(source, output="numpy")
    linear = gp.Pipeline([col("x").fill_null("mean").standardize(), col("n")], target="t", model=Ridge(), device="cpu")
    linear.fit(source)
    report = fitted.report_
    return {
        "state": fitted.state_digest(),
        "matrix": fitted.transform(later, output="numpy").tobytes(),
        "training": training.tobytes(),
        "predictions": pa.concat_tables(fitted.predictions(later, keep=["c"])).to_pydict(),
        "evaluation": fitted.evaluate(later, allow_overlap=True).to_dict(),
        "linear": linear.predict(later).to_pydict(),
        "rows": (report.rows, report.scans, report.source_reads, report.bytes_read),
    }


# -- the same bits ------------------------------------------------------------------------------------------------
def test_files_and_tables_give_the_bits_of_the_bare_loop(two: gp.Cluster, table: pa.Table, files: str) -> None:
    for data in (gp.scan(files, partitions=7), gp.scan(table, partitions=5)):
        with gp.cluster("threads", n_workers=2):
            bare = digests(data, data)
        on_cluster = digests(data, data)
        assert on_cluster == bare


@pytest.mark.parametrize("share", [0.0, 1e-5])
def test_partitions_that_the_workers_have_no_room_for_are_read_again(
    share: float, two: gp.Cluster, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = gp.scan(files, partitions=6)
    held = pipeline().fit(source)
    monkeypatch.setattr(reading, "HELD", share)
    again = pipeline().fit(source)
    assert again.state_digest() == held.state_digest()
    assert held.report_ and again.report_ and again.report_.bytes_read > held.report_.bytes_read


def test_a_scheduler_and_a_worker_apart_give_them_too(files: str, tmp_path: Path) -> None:
    source = gp.scan(files, partitions=4)
    with gp.cluster("threads"):
        bare = pipeline().fit(source).state_digest()
    with scheduler(tmp_path) as file, worker(file, tmp_path), gp.cluster(str(file), n_workers=1):
        assert pipeline().fit(source).state_digest() == bare


def test_steps_joins_and_keys_travel(two: gp.Cluster, files: str) -> None:
    sizes = gp.scan({"c": [f"c{at}" for at in range(30)], "size": [float(at) for at in range(30)]})
    source = gp.scan(files, partitions=6).filter(col("n") > 20).join(sizes, on="c", how="inner").with_key("c")
    made = gp.Pipeline([col("size").standardize(), col("x").fill_null("mean")], target="t", device="cpu")
    found = made.fit_transform(source, output="numpy"), made.state_digest(), made.report_.rows_filtered
    with gp.cluster("threads"):
        bare = made.fit_transform(source, output="numpy"), made.state_digest(), made.report_.rows_filtered
    np.testing.assert_array_equal(found[0], bare[0])
    assert found[1:] == bare[1:]


COLUMNS = {"x": col("x").fill_null(0.0), "z": col("z"), "n": col("n")}


@st.composite
def pipelines(draw: Any) -> list[Any]:
    makes = {
        "standardize": lambda x: x.standardize(),
        "clip": lambda x: x.clip(x.quantile(0.1), x.quantile(0.9)).mean(),
        "median": lambda x: x - x.median(),
        "by": lambda x: x.mean().over("c"),
        "twice": lambda x: (x - x.mean()).abs().standardize(),
    }
    chosen = draw(st.lists(st.tuples(st.sampled_from(sorted(COLUMNS)), st.sampled_from(sorted(makes))), min_size=1,
                           max_size=4, unique=True))  # fmt: skip
    return [makes[how](COLUMNS[name]).alias(f"{name} {how}") for name, how in chosen]


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(features=pipelines(), partitions=st.integers(1, 9), n_rows=st.integers(1, 400))
def test_random_pipelines(two: gp.Cluster, table: pa.Table, features: list[Any], partitions: int, n_rows: int) -> None:
    made = gp.Pipeline(features, device="cpu")
    source = gp.scan(table.slice(0, n_rows), partitions=min(partitions, n_rows))

    def outcome() -> Any:
        try:
            return made.fit(source).state_digest(), made.transform(source, output="numpy").tobytes()
        except GpupipeError as error:
            return type(error), str(error)

    found = outcome()
    with gp.cluster("threads", n_workers=2):
        assert outcome() == found


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_processes(count: int, table: pa.Table, files: str) -> None:
    source = gp.scan(files, partitions=9)
    with gp.cluster("threads", n_workers=2):
        bare = digests(source, source)
    with gp.cluster("processes", n_workers=count, memory_limit="1GiB"):
        assert digests(source, source) == bare


# -- what is refused, and where it is told ------------------------------------------------------------------------
def test_errors_of_data_say_where_as_without_a_cluster(two: gp.Cluster, table: pa.Table, tmp_path: Path) -> None:
    values = table["z"].to_numpy().copy()
    values[[1234, 2345]] = np.nan, np.inf
    bad = table.set_column(table.column_names.index("z"), "z", pa.array(values))
    pq.write_table(bad, tmp_path / "bad.parquet", row_group_size=300)
    made = gp.Pipeline([col("z").standardize()], device="cpu")
    told = []
    for kind in ("cluster", "threads"):
        for source in (gp.scan(str(tmp_path / "bad.parquet"), partitions=10), gp.scan(bad, partitions=10)):
            if kind == "threads":
                with gp.cluster("threads", n_workers=1), pytest.raises(NonFiniteError) as caught:
                    made.fit(source)
            else:
                with pytest.raises(NonFiniteError) as caught:
                    made.fit(source)
            told.append((str(caught.value), caught.value.row, caught.value.file, caught.value.row_group))
    assert told[:2] == told[2:] and told[0][1] == 1234


def test_rows_do_not_come_to_this_process_unless_asked(two: gp.Cluster, table: pa.Table) -> None:
    with pytest.raises(UnsupportedEstimatorError, match="training='partitions'"):
        pipeline(LogisticRegression()).fit(gp.scan(table, partitions=3))


def test_what_only_this_process_can_do_is_done_here_and_told(two: gp.Cluster, table: pa.Table) -> None:
    with Rows(gp.scan(table, partitions=3), ["n"]) as rows, crew_for(rows) as crew:
        seen: list[int] = []
        counts = crew.listed(rows, Local("counts", lambda rows, at, frame: seen.append(at) or frame.n_rows), Silent())
        assert sum(counts) == ROWS and sorted(seen) == [0, 1, 2]
        assert list(rows.done_here) == ["counts"]


# -- what travels -------------------------------------------------------------------------------------------------
def test_a_partition_in_memory_travels_without_the_others(table: pa.Table) -> None:
    source = gp.scan(table, partitions=30)
    whole, one = len(pickle.dumps(table.select(["z"]))), len(pickle.dumps(_sent(source.partitions[3], ("z",))))
    assert one < whole / 10


def nothing_stays(cluster: gp.Cluster) -> bool:
    """Whether the scheduler comes to know of nothing on the workers: it is told later than whoever fits goes on."""
    return eventually(lambda: not any(cluster.client.has_what().values()), 30)


def test_nothing_stays_on_the_workers(two: gp.Cluster, table: pa.Table) -> None:
    pipeline().fit(gp.scan(table, partitions=6))
    assert nothing_stays(two), two.client.has_what()


def test_nor_where_an_error_ends_the_fit(two: gp.Cluster, files: str, tmp_path: Path) -> None:
    rows = gp.scan(files, partitions=8)  # what stands before the error comes after it
    with pytest.raises(FileFormatError) as caught:
        pipeline().fit(hooked(hooked(rows, "slow", tmp_path, [0, 1]), "corrupt", tmp_path, [3]))
    assert nothing_stays(two), two.client.has_what()
    assert caught.value.__traceback__ is not None  # all that its frames know of is there yet


class Pressed:
    """A progress in whose third partition Ctrl-C comes."""

    left = 3

    def begin(self, what: str, rows: Any) -> None: ...
    def end(self) -> None: ...

    def advance(self, n_rows: int) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def test_nor_where_ctrl_c_does(two: gp.Cluster, files: str) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        pipeline().fit(gp.scan(files, partitions=8), progress=Pressed())
    assert nothing_stays(two), two.client.has_what()
    assert caught.value.__traceback__ is not None


# -- states of many groups ----------------------------------------------------------------------------------------
def test_states_of_many_groups_are_merged_by_parts_of_them(two: gp.Cluster, monkeypatch: Any) -> None:
    rng, n = np.random.default_rng(11), 20_000
    table = pa.table({
        "k": [f"key {at}" for at in rng.integers(0, 9_000, n)], "x": rng.standard_normal(n),
        "t": (rng.random(n) < 0.3).astype(np.int64),
    })  # fmt: skip
    features = [col("k").target_mean(smoothing=3), col("k").codes(), col("k").n_unique().alias("keys"),
                col("x").mean().over("k").alias("mean"), col("x").fill_null("median").standardize()]  # fmt: skip
    made, source = gp.Pipeline(features, target="t", device="cpu"), gp.scan(table, partitions=21)
    begun: list[str] = []
    submit = reading.Reading.submit

    def noted(self: Any, what: str, *arguments: Any, **options: Any) -> Any:
        begun.append(what)
        return submit(self, what, *arguments, **options)

    monkeypatch.setattr(gathering, "LARGE", 100_000)
    monkeypatch.setattr(reading.Reading, "submit", noted)
    found = made.fit_transform(source, output="numpy").tobytes(), made.state_digest()
    assert begun.count("divide") >= 8
    with gp.cluster("threads", n_workers=2):
        assert (made.fit_transform(source, output="numpy").tobytes(), made.state_digest()) == found


def test_a_cross_validation_is_done_here_and_says_so(two: gp.Cluster, table: pa.Table) -> None:
    found = gp.cross_validate(pipeline(LogisticRegression(max_iter=20)), gp.scan(table, partitions=3), folds=2)
    assert found.report_.done_here == ("cross-validation",)
