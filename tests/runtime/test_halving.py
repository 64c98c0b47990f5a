"""Too little of the machine's memory: the same bits out of halves, and a message where there are no more halves."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.cpu import CpuProgram
from gpupipe.backends.taking import OnHost
from gpupipe.columns import Frame
from gpupipe.errors import CastError, DeviceLostError, DeviceMemoryError, HostMemoryError
from gpupipe.runtime import halving
from gpupipe.runtime.halving import in_parts, once_more
from gpupipe.runtime.rows import Rows

SIZE = 500


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "FEWEST", 32)
    monkeypatch.setattr(halving.gc, "collect", lambda: 0)  # a tenth of a second in a process with all tests in it


@pytest.fixture
def rows() -> Iterator[Rows]:
    with Rows(gp.scan({"x": np.arange(SIZE)}), ["x"]) as made:
        yield made


def too_many(limit: int, seen: list[tuple[int, int]]) -> Callable[[int, int], Any]:
    """What refuses more than so many rows, and notes what it was asked for."""

    def compute(start: int, stop: int) -> tuple[int, int]:
        seen.append((start, stop))
        if stop - start > limit:
            raise MemoryError(f"{stop - start} rows")
        return start, stop

    return compute


# -- the mechanism ----------------------------------------------------------------------------------------------
@settings(max_examples=200, deadline=None)
@given(n_rows=st.integers(0, 20_000), limit=st.integers(32, 20_000))
def test_halves_cover_the_rows_in_order_and_begin_where_bitmaps_can_be_cut(n_rows: int, limit: int) -> None:
    frame = Frame({}, n_rows, np.arange(n_rows, dtype=np.uint64))
    with Rows(gp.scan({"x": [1]}), ["x"]) as rows:
        seen: list[tuple[int, int]] = []
        found = in_parts(rows, 0, frame, too_many(limit, seen))
        failed = sum(stop - start > limit for start, stop in seen)
        assert rows.retries == failed
    assert [start for start, _ in found] == [0, *(stop for _, stop in found)][:-1] and found[-1][1] == n_rows
    assert all(start % 32 == 0 for start, _ in found) and all(stop - start <= max(limit, 0) for start, stop in found)
    assert len(found) == 1 or all(stop - start > 0 for start, stop in found)
    assert len(seen) == len(found) + failed


def test_large_halves_are_as_aligned_as_what_is_allocated(rows: Rows) -> None:
    frame = Frame({}, 100_000, np.arange(100_000, dtype=np.uint64))
    assert all(start % 2048 == 0 for start, _ in in_parts(rows, 0, frame, too_many(10_000, [])))


def test_what_passes_at_the_second_try_is_not_halved(rows: Rows) -> None:
    errors = [MemoryError(), None]

    def compute(start: int, stop: int) -> int:
        if (error := errors.pop(0)) is not None:
            raise error
        return stop - start

    assert in_parts(rows, 0, rows.frame(0), compute) == [SIZE] and rows.retries == 1


@pytest.mark.parametrize("allocate", [np.empty, pa.allocate_buffer])
def test_what_libraries_raise_for_want_of_memory(rows: Rows, allocate: Callable[[int], Any]) -> None:
    def compute(start: int, stop: int) -> int:
        return stop - start if stop - start < 300 else len(allocate(1 << 58))

    assert sum(in_parts(rows, 0, rows.frame(0), compute)) == SIZE and rows.retries == 2


def test_few_rows_that_do_not_fit_are_an_error_that_says_where(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": np.arange(1000.0)}), tmp_path / "trips.parquet", row_group_size=250)
    source = gp.scan(tmp_path / "trips.parquet", partitions=4)
    with Rows(source, ["x"]) as rows, pytest.raises(HostMemoryError) as told:
        in_parts(rows, 2, rows.frame(2), too_many(10, []))
    message = str(told.value)
    assert isinstance(told.value, MemoryError) and told.value.__context__ is None
    assert message.startswith("There is not enough memory for 32 rows of partition 3 of 4, ")
    assert "trips.parquet (250 rows, 2,348 bytes decoded): 32 rows. Try a smaller partition_bytes" in message


def test_a_device_s_memory_is_named_with_what_was_asked(rows: Rows) -> None:
    def compute(start: int, stop: int) -> int:
        raise DeviceMemoryError("NVIDIA Fake has not enough memory", 4096, "NVIDIA Fake")

    with pytest.raises(DeviceMemoryError, match=r"on the GPU for \d+ rows of partition 1 of 1 .*device='cpu'") as told:
        in_parts(rows, 0, rows.frame(0), compute)
    assert (told.value.asked, told.value.device) == (4096, "NVIDIA Fake")


@pytest.mark.parametrize("error", [DeviceLostError("lost"), ZeroDivisionError(), KeyboardInterrupt()], ids=repr)
def test_other_errors_are_not_tried_again(rows: Rows, error: BaseException) -> None:
    calls = []

    def compute(start: int, stop: int) -> int:
        calls.append(start)
        raise error

    with pytest.raises(type(error)):
        in_parts(rows, 0, rows.frame(0), compute)
    assert calls == [0] and rows.retries == 0


def test_an_error_of_data_in_a_half_is_of_its_row(rows: Rows) -> None:
    def compute(start: int, stop: int) -> int:
        if stop - start > 100:
            raise MemoryError
        if start <= 333 < stop:
            raise CastError("'x' cannot be read as Int64.").at(333 - start, "x")
        return 0

    with pytest.raises(CastError, match="Row 333, column 'x'"):
        in_parts(rows, 0, rows.frame(0), compute)


def test_what_failed_does_not_hold_its_memory_at_the_second_try(rows: Rows) -> None:
    class Held:
        alive = 0

        def __init__(self) -> None:
            Held.alive += 1

        def __del__(self) -> None:
            Held.alive -= 1

    most = []

    def compute(start: int, stop: int) -> int:
        held = Held()  # in a frame that the error went through, as a device's arrays are
        most.append(Held.alive)
        if stop - start > 40:
            try:
                raise RuntimeError("of a library, before it became ours")
            except RuntimeError as error:
                raise MemoryError(str(held)) from error
        return 0

    in_parts(rows, 0, rows.frame(0), compute)
    assert max(most) == 1


def test_reading_is_tried_once_more_and_no_more(rows: Rows) -> None:
    errors: list[BaseException] = [MemoryError()]

    def read() -> str:
        if errors:
            raise errors.pop()
        return "read"

    assert once_more(rows, 0, read) == "read" and rows.retries == 1
    errors += [MemoryError("no room"), MemoryError()]
    with pytest.raises(HostMemoryError, match=r"500 rows of partition 1 of 1 .* no room"):
        once_more(rows, 0, read)


def test_partitions_that_fail_together_are_tried_again_one_by_one(rows: Rows) -> None:
    lock, running, frame = threading.Lock(), [0], rows.frame(0)
    together = threading.Barrier(4)

    def compute(start: int, stop: int) -> int:
        with lock:
            running[0] += 1
        if not together.broken:  # the first four meet, and so have too little
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(10)
            together.abort()
        time.sleep(0.001)
        with lock:
            is_crowded = running[0] > 1
            running[0] -= 1
        if is_crowded:
            raise MemoryError
        return stop - start

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: in_parts(rows, 0, frame, compute), range(40)))
    assert found == [[SIZE]] * 40 and rows.retries >= 3, "nothing had to be halved"


# -- whole fits -------------------------------------------------------------------------------------------------
def table(size: int = SIZE) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    x, y = rng.lognormal(size=size), rng.normal(size=size)
    words = rng.choice(np.array(["red", "green", "blue", None], object), size)
    return {
        "x": pa.array(x, mask=rng.random(size) < 0.1), "y": y, "k": rng.integers(0, 7, size),
        "w": pa.array(words.tolist()), "bought": y + rng.normal(size=size) > 0, "spent": y * 3 + rng.normal(size=size),
    }  # fmt: skip


FEATURES = [
    col("x").fill_null(col("x").median()).log1p().standardize(), col("y").clip(col("y").quantile(0.05), 2.0),
    col("w").codes(), col("w").target_mean().alias("t"), col("y").mean().over("k").fill_null(0).alias("m"),
]  # fmt: skip


def fit_all(**options: Any) -> tuple[Any, ...]:
    """All that a fit gives, to the byte, with the number of tries."""
    source = gp.scan(table(), partitions=3)
    found: list[Any] = []
    retries = 0
    for target, estimator in (("bought", LogisticRegression()), ("spent", LinearRegression())):
        pipeline: Any = gp.Pipeline(FEATURES, target=target, model=estimator, device="cpu", **options).fit(source)
        retries += pipeline.report_.retries
        found += [
            pipeline.state_digest(), pipeline.model_.digest(), pipeline.predict(source), pipeline.transform(source),
            pa.table({"matrix": pipeline.transform(source, output="numpy").reshape(-1)}),
        ]  # fmt: skip
    return found, retries


@pytest.fixture(scope="module")
def wanted() -> list[Any]:
    found, retries = fit_all()
    assert retries == 0
    return found


def same(found: list[Any], wanted: list[Any]) -> bool:
    return all(a.equals(b) if isinstance(a, pa.Table) else a == b for a, b in zip(found, wanted, strict=True))


def failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> list[int]:
    """Make computing fail before or after it is done, by the rows it is asked for; the rows of all calls."""
    calls: list[int] = []

    def wrapped(real: Callable[..., Any], n_rows: Callable[..., int], after: bool) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            size = n_rows(*args, **kwargs)
            calls.append(size)
            is_short = fails(size)
            found = real(*args, **kwargs) if after or not is_short else None
            if is_short:
                raise MemoryError(f"Unable to allocate an array of {size} rows")
            return found

        return call

    of_frame = lambda self, frame, *rest: frame.n_rows  # noqa: E731
    monkeypatch.setattr(CpuProgram, "columns", wrapped(CpuProgram.columns, of_frame, False))
    monkeypatch.setattr(CpuProgram, "matrix", wrapped(CpuProgram.matrix, of_frame, True))
    of_states = lambda self, intakes, columns, n_rows, last=(): n_rows  # noqa: E731
    monkeypatch.setattr(OnHost, "states", wrapped(OnHost.states, of_states, True))
    return calls


def test_small_memory_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, wanted: list[Any]) -> None:
    calls = failing(monkeypatch, lambda size: size > 50)
    found, retries = fit_all()
    assert same(found, wanted) and retries > 10
    assert min(size for size in calls if size > 1) < 50


MANY = [pytest.param(number, marks=pytest.mark.slow) for number in range(41) if number not in (0, 7, 20)]


@pytest.mark.parametrize("number", [0, 7, 20, *MANY])
def test_a_lone_failure_of_any_call_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, wanted: list[Any], number: int
) -> None:
    left = [number]

    def fails(size: int) -> bool:
        left[0] -= size > 1
        return left[0] == -1 and size > 1

    failing(monkeypatch, fails)
    found, retries = fit_all()
    assert left[0] < -1 and same(found, wanted) and retries <= 1


def test_no_memory_at_all_ends_in_the_partition_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda size: size > 1)
    with pytest.raises(HostMemoryError, match=r"for \d\d rows of partition \d of 3 .*Unable to allocate"):
        fit_all()


def test_the_report_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda size: size > 100)
    report = gp.Pipeline(FEATURES[:2], device="cpu").fit(gp.scan(table(), partitions=2)).report_
    assert report.retries > 0 and f"for want of memory tried again {report.retries} times" in repr(report)
