"""Too little of a device's memory: the CPU's bits out of halves, at whatever allocation it ends."""

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.errors import DataError, DeviceLostError, DeviceMemoryError
from gpupipe.kernels.gpu.device import DeviceArray, Kernel
from gpupipe.runtime import halving
from gpupipe.runtime.rows import Rows

from .nvrtc import why_not
from .simulated import SimulatedDevice

ROWS = 300
FEATURES = [
    col("x").fill_null(col("x").median()).standardize(), col("y").abs().clip(0.1, 1.0).log1p(),
    col("w").codes(), col("x").is_null().alias("n"),
]  # fmt: skip


def table() -> dict[str, Any]:
    rng = np.random.default_rng(11)
    return {
        "x": pa.array(rng.lognormal(size=ROWS), mask=rng.random(ROWS) < 0.2), "y": rng.normal(size=ROWS),
        "w": pa.array(rng.choice(np.array(["red", "green", None], object), ROWS).tolist()), "t": rng.normal(size=ROWS),
    }  # fmt: skip


def result(device: str) -> tuple[list[Any], int]:
    """All that a fit and a transform give, to the byte, and how often something was tried again.

    By "auto", which computes on the device that there is and trains on the CPU: there is no cuML here.
    """
    source = gp.scan(table(), partitions=2)
    pipeline: Any = gp.Pipeline(FEATURES, target="t", model=LinearRegression(), device=device).fit(source)
    made = pipeline.transform(source)
    found = [pipeline.state_digest(), pipeline.model_.digest(), made.combine_chunks(), pipeline.predict(source)]
    return found, pipeline.report_.retries


@pytest.fixture(scope="module")
def wanted() -> list[Any]:
    return result("cpu")[0]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    """The device of this process."""
    if why_not():
        pytest.skip(why_not())
    made = SimulatedDevice()
    monkeypatch.setattr(devices._Look, "found", devices.Found(made, "a simulated one"))
    monkeypatch.setattr(halving, "FEWEST", 32)
    monkeypatch.setattr(halving.gc, "collect", lambda: 0)
    return made


def same(found: list[Any], wanted: list[Any]) -> bool:
    return all(a.equals(b) if isinstance(a, pa.Table) else a == b for a, b in zip(found, wanted, strict=True))


def test_without_failures_it_is_the_cpu_s_fit(device: SimulatedDevice, wanted: list[Any]) -> None:
    found, retries = result("auto")
    assert same(found, wanted) and retries == device.releases == 0 and len(device.allocations) > 20


MANY = [pytest.param(number, marks=pytest.mark.slow) for number in range(20) if number not in (0, 5)]


@pytest.mark.parametrize("number", [0, 5, *MANY])
def test_out_of_memory_at_an_allocation_gives_the_same_bits(
    device: SimulatedDevice, wanted: list[Any], number: int
) -> None:
    device.fail_at = {number}
    found, retries = result("auto")
    assert same(found, wanted) and retries == device.releases == 1


def test_out_of_memory_twice_halves_the_partition(device: SimulatedDevice, wanted: list[Any]) -> None:
    sizes = []
    real = GpuBackend.states
    with pytest.MonkeyPatch.context() as patched:

        def states(self: Any, intakes: Any, columns: Any, n_rows: int, last: Any = ()) -> Any:
            sizes.append(n_rows)
            if len(sizes) < 3:
                raise DeviceMemoryError("The device is full.", 8, "simulated device")
            return real(self, intakes, columns, n_rows, last)

        patched.setattr(GpuBackend, "states", states)
        found, retries = result("auto")
    assert same(found, wanted) and retries == device.releases == 2
    assert sizes[:4] == [150, 150, 64, 86], "as it was, once more, and both halves"


def test_a_device_that_holds_little_is_enough(device: SimulatedDevice, wanted: list[Any]) -> None:
    result("auto")
    most, retries = device.peak_bytes, 0  # most of it is the same however few the rows are
    for less in (400, 800):
        device.memory = most - less
        found, tries = result("auto")
        assert same(found, wanted)
        retries += tries
    assert retries > 1


def test_a_device_that_holds_nothing_is_an_error_that_says_so(device: SimulatedDevice) -> None:
    device.memory = 64
    with pytest.raises(DeviceMemoryError, match=r"on the GPU for \d+ rows of partition 1 of 2 .*device='cpu'"):
        result("auto")


def test_a_lost_device_ends_the_fit_at_once(device: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    launches = []

    def lost(kernel: Kernel, grid: int, block: int, args: Any, shared: int = 0) -> None:
        launches.append(kernel.entry)
        raise DeviceLostError("simulated device is lost to this process.")

    monkeypatch.setattr(device, "launch", lost)
    with pytest.raises(DeviceLostError):
        result("auto")
    assert len(launches) <= 2 and device.releases == 0, "of each partition at most the first launch"


@pytest.mark.parametrize("feature", [col("x").mean().alias("m"), col("y").cast("Int8").alias("n")], ids=["sum", "cast"])
def test_an_error_in_a_half_names_the_row_of_the_source(feature: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the last part of the second of two partitions, whose rows are too many at once, and their half too."""
    monkeypatch.setattr(halving, "FEWEST", 32)
    x, y = np.arange(300.0), np.zeros(300)
    x[290], y[290] = np.inf, 400
    attempt, parts, told = halving._attempt, set(), set()

    def short(compute: Any, start: int, stop: int) -> Any:
        if stop - start > 64:
            return [], MemoryError()
        parts.add((start, stop))
        return attempt(compute, start, stop)

    for patched in (attempt, short):
        monkeypatch.setattr(halving, "_attempt", patched)
        with pytest.raises(DataError) as raised:
            gp.Pipeline([feature], device="cpu").fit_transform(gp.scan({"x": x, "y": y}, partitions=2))
        told.add((str(raised.value), raised.value.row))
    assert (96, 150) in parts and len(told) == 1 and told.pop()[1] == 290


def test_a_pipeline_amid_another_one_waits_for_nobody() -> None:
    """A function of the user's that runs a pipeline, while a partition waits to be tried again, or is itself."""
    with Rows(gp.scan({"x": [1, 2, 3]}), ["x"]) as rows:
        frame, begun, waits = rows.frame(0), threading.Event(), threading.Event()
        fails = iter([True, False])

        def parts(compute: Any) -> list[Any]:
            return halving.in_parts(rows, 0, frame, compute)

        def outer(start: int, stop: int) -> list[Any]:
            begun.set()
            waits.wait(10)
            return parts(lambda *_: "inner")

        def failing(start: int, stop: int) -> list[Any]:
            if next(fails):
                waits.set()
                raise MemoryError
            return parts(lambda *_: "again")

        found: dict[str, list[Any]] = {}
        one = threading.Thread(target=lambda: found.update(outer=parts(outer)), daemon=True)
        other = threading.Thread(target=lambda: begun.wait(10) and found.update(failing=parts(failing)), daemon=True)
        for thread in (one, other):
            thread.start()
        for thread in (one, other):
            thread.join(10)
        assert found == {"outer": [["inner"]], "failing": [["again"]]}, "nobody waits for itself"


def test_columns_on_a_device_are_cut_without_a_copy(device: SimulatedDevice) -> None:
    frame = gp.scan(table()).load(0)
    placed = GpuBackend(device).placed(frame)
    resident = {name: column.on_device() for name, column in placed.columns.items()}  # type: ignore[union-attr]
    before = len(device.allocations)
    for start, stop in ((0, 64), (64, 300), (96, 97), (288, 300), (32, 32)):
        for name, column in resident.items():
            part = column.rows(start, stop)
            values = part.values if part.values is not None else part.ids
            assert isinstance(values, DeviceArray) and len(part) == stop - start
            assert len(device.allocations) == before
            host, expected = part.to_host(), frame[name].rows(start, stop)
            assert _listed(host) == _listed(expected)


def _listed(column: Any) -> list[Any]:
    plain = column.values.dictionary_decode() if column.is_dictionary else column.values
    values = plain.tolist() if isinstance(plain, np.ndarray) else plain.to_pylist()
    valid = [True] * len(values) if column.valid is None else column.valid.tolist()
    return [value if has else None for value, has in zip(values, valid, strict=True)]
