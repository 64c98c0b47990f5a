"""Orders and who carries them out: threads of this process."""

import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.backend import backend_for
from gpupipe.columns import Frame
from gpupipe.errors import NonFiniteError
from gpupipe.runtime import crew as crews
from gpupipe.runtime.crew import crew_for, crews_from, threads
from gpupipe.runtime.orders import Local, Merges, numbers
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows

N = 1_000


@pytest.fixture
def source() -> gp.Source:
    return gp.scan({"x": np.arange(N, dtype=np.float64), "k": np.arange(N) % 7}, partitions=13)


@dataclass(frozen=True, eq=False)
class Summing:
    """The sum of a column, of each partition."""

    stage: str = "sums"
    columns: tuple[str, ...] = ("x",)

    def ready(self) -> Callable[[Any, int, Frame], float]:
        return lambda rows, index, frame: float(frame["x"].values.sum())

    def merged(self, results: Any) -> float:
        return float(sum(results))


def test_every_way_to_ask_gives_every_partition_once(source: gp.Source) -> None:
    whole = N * (N - 1) / 2
    with Rows(source, ["x"]) as rows, threads(3) as crew:
        taken: list[float] = []
        crew.take_in(rows, Summing(), taken.append, Silent())
        listed = crew.listed(rows, Summing(), Silent())
        assert sum(taken) == sum(listed) == whole and len(listed) == 13
        assert sum(crew.merged(rows, Summing(), Silent())) == whole
        assert list(crew.results(rows, Summing(), Silent(), in_order=True)) == list(enumerate(listed))
        assert list(crew.results(rows, Summing(), Silent(), first=10)) == list(enumerate(listed))[10:]


def test_few_results_wait_to_be_taken(source: gp.Source) -> None:
    begun: list[int] = []
    with Rows(source, ["x"]) as rows, threads(2) as crew:
        found = crew.results(rows, Local("numbers", lambda rows, index, frame: begun.append(index)), Silent())
        next(found)
        time.sleep(0.05)
        assert len(begun) <= 4
        assert len(list(found)) == 12


def test_the_error_of_the_first_partition_is_told(source: gp.Source) -> None:
    late = threading.Event()

    def work(rows: Any, index: int, frame: Frame) -> None:
        if index == 3:
            late.wait(5)
            raise NonFiniteError("the fourth").at(2)
        if index == 4:
            late.set()
            raise NonFiniteError("the fifth")

    with Rows(source, ["x"]) as rows, threads(3) as crew, pytest.raises(NonFiniteError, match="fourth") as caught:
        crew.listed(rows, Local("errors", work), Silent())
    assert caught.value.row == rows.source.partitions[3].first_row + 2


def test_what_is_done_is_not_done_again(source: gp.Source) -> None:
    @dataclass(frozen=True, eq=False)
    class Rest(Summing):
        done: tuple[int, ...] = (0, 5, 12)

    with Rows(source, ["x"]) as rows, threads(2) as crew:
        assert numbers(Rest(), rows, first=4) == [4, 6, 7, 8, 9, 10, 11]
        assert [index for index, _ in crew.results(rows, Rest(), Silent())] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_whoever_registers_is_asked_for_crews(source: gp.Source) -> None:
    with Rows(source, ["x"]) as rows:
        asked: list[Rows] = []
        try:
            crews_from(lambda rows: asked.append(rows))
            with crew_for(rows) as crew:
                assert crew.is_here and asked == [rows]
        finally:
            crews_from(None)


def take_all(results: list[Any], take: Any) -> None:
    for one in results:
        take(one)


class Apart(crews.Threads):
    """Threads that carry out a copy of each order, as another process would, and merge as a cluster does."""

    is_near = is_here = False

    def take_in(self, rows: Any, order: Any, take: Any, progress: Any, first: int = 0) -> None:
        copy = pickle.loads(pickle.dumps(order))
        results = [pickle.loads(pickle.dumps(one)) for one in super().listed(rows, copy, progress, first)][::-1]
        if not isinstance(copy, Merges):
            take_all(results, take)
            return
        while len(results) > 1:
            results = [copy.merged(results[at : at + 3]) for at in range(0, len(results), 3)]
        take_all(results, take)

    def listed(self, rows: Any, order: Any, progress: Any, first: int = 0) -> Any:
        return super().listed(rows, pickle.loads(pickle.dumps(order)), progress, first)

    def results(self, rows: Any, order: Any, progress: Any, first: int = 0, *, in_order: bool = False) -> Any:
        return reversed(list(super().results(rows, pickle.loads(pickle.dumps(order)), progress, first)))


@pytest.mark.parametrize("model", [None, Ridge()], ids=str)
def test_orders_are_data_and_merge_in_any_tree(model: Any, monkeypatch: Any) -> None:
    rng = np.random.default_rng(5)
    table = pa.table({
        "x": pa.array(rng.standard_normal(N), mask=rng.random(N) < 0.2), "z": rng.standard_cauchy(N),
        "c": [f"c{at}" for at in rng.integers(0, 9, N)], "y": rng.standard_normal(N),
    })  # fmt: skip
    source = gp.scan(table, partitions=11)
    clipped = col("z").clip(col("z").quantile(0.1), col("z").quantile(0.9)).standardize().alias("clipped")
    features = [col("x").fill_null("median").standardize(), clipped, col("c").one_hot()]
    if model is None:
        features += [col("c").target_mean(), (col("x") - col("x").mean()).max().alias("far")]
    else:
        del features[1]  # the model is to be had from covariances
    made = gp.Pipeline(features, target="y", model=model, device="cpu")

    def bits() -> Any:
        made.fit(source)
        return made.state_digest(), made.transform(source, output="numpy").tobytes(), \
            None if model is None else made.predict(table)["prediction"].to_pylist()  # fmt: skip

    bare = bits()
    real = crews.threads

    def apart(rows: Any) -> Any:
        @crews.contextmanager
        def made() -> Any:
            with real(2) as crew:
                yield Apart(crew._pool, 2)

        return made()

    monkeypatch.setattr(crews._Current, "crew_for", staticmethod(apart))
    assert bits() == bare


def test_a_gpu_stays_where_it_is_when_features_travel() -> None:
    made = gp.Pipeline([col("x").standardize()], device="cpu").fit({"x": [1.0, 2.0]})
    copy = pickle.loads(pickle.dumps(made._fitted().features))
    assert copy.backend.name == backend_for("cpu").name and copy.names == ["x"]
