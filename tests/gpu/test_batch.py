"""States of a partition's columns worked out together: what each gives alone on the host, in a few launches."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe import col
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.backends.gpu.columns import DeviceColumn, packed, uploaded
from gpupipe.backends.gpu.gather import Gathered
from gpupipe.backends.gpu.keys import DeviceGroups, groups_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.states import gathering as host
from gpupipe.backends.states import state as states
from gpupipe.columns import Column
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.scans import Gather
from gpupipe.errors import DeviceMemoryError, NonFiniteError
from gpupipe.kernels.gpu import batch, exact, extremes
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.reference.exact import ROWS
from gpupipe.schema import Boolean, Float32, Float64, Int32, Int64, String, UInt64

from .simulated import SimulatedDevice
from .test_gather import KINDS, SHAPES, TYPES, attempt, numbers, same

few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZES = [0, 1, 31, 33, 2047, 5000]
EVERYTHING: list[Column] = []  # the keys of one group


def words(n, seed, size=5):
    """A text column with nulls."""
    rng = np.random.default_rng(seed)
    texts = pa.array([f"w{number}" for number in rng.integers(0, size, n)], pa.string())
    return Column(String, texts.dictionary_encode() if n else texts, rng.random(n) < 0.9)


def keys_of(n, n_groups, seed):
    """One key: numbers, some of them NaN, which are of no group."""
    rng = np.random.default_rng(seed)
    key = rng.integers(0, n_groups, n) * 1.0
    key[rng.random(n) < 0.05] = np.nan
    return [Column(Float64, key, rng.random(n) < 0.9)]


def agree(device, wanted):
    """All states together, and each on the host. wanted: (kind, column, keys)."""
    there: dict[int, DeviceColumn] = {}
    groups: dict[int, DeviceGroups] = {}
    for _, column, keys in wanted:
        there.setdefault(id(column), uploaded(device, column))
        if id(keys) not in groups:
            groups[id(keys)] = groups_of([uploaded(device, key) for key in keys], len(column))
    found = Gathered([(kind, there[id(column)], groups[id(keys)]) for kind, column, keys in wanted])
    for number, (kind, column, keys) in enumerate(wanted):
        expected = attempt(host.gather, kind, column, states.groups_of(list(keys), len(column)))
        try:
            one = attempt(found.state, number)
        except NotOnDevice:
            assert column.dtype == String or np.isinf(column.values).any()
            continue
        assert one == expected if isinstance(expected, tuple) else same(one, expected) is None


@few
@given(st.sampled_from(SIZES), st.integers(0, 999))
def test_random_mixes_are_what_each_is_alone(device, n, seed):
    mixed(device, n, seed)


def mixed(device, n, seed):
    """Kinds, types, nulls and groups at random; the same column asked for several things, and twice for one."""
    rng = np.random.default_rng(seed)
    keys = [EVERYTHING, keys_of(n, 3, seed), keys_of(n, 70, seed + 1)]
    columns = [
        numbers(TYPES[rng.integers(len(TYPES))], SHAPES[rng.integers(len(SHAPES))], n, seed + at, 0.2 * (at % 2))
        for at in range(4)
    ] + [words(n, seed)]
    for column in columns[:2]:  # errors, and what the host has to do
        if n and column.values.dtype.kind == "f" and rng.random() < 0.3:
            column.values[rng.integers(n)] = rng.choice([np.nan, np.inf])
    wanted = []
    for _ in range(12):
        column, by = columns[rng.integers(len(columns))], keys[rng.choice(3, p=[0.5, 0.4, 0.1])]
        kinds = ["count", "values"] if column.dtype == String else KINDS
        wanted.append((kinds[rng.integers(len(kinds))], column, by))
    agree(device, [*wanted, wanted[0]])


@pytest.mark.slow
def test_three_hundred_mixes(device):
    for seed in range(300):
        mixed(device, SIZES[seed % len(SIZES)], seed)


@pytest.mark.parametrize("kinds", [("sum", "moments"), ("moments", "sum"), ("tails", "sum"), ("extremes", "count")])
def test_one_column_for_two_statistics_is_read_once(device, kinds):
    """Squares serve a sum too, the first NaN a count; whatever comes first."""
    for dtype in (Float64, Int64):
        column, before = numbers(dtype, "noise", 3000, 1, 0.1), device.launches
        agree(device, [(kind, column, EVERYTHING) for kind in kinds])
        assert device.launches - before <= (3 if dtype == Int64 and kinds[0] == "tails" else 2)


def intake(kind, value, *keys):
    """A statistic of the numbered column, by others."""
    nodes = tuple(col(f"x{key}")._node for key in keys)
    return Intake(Gather(kind, col(f"x{value}")._node, nodes, 0, ()), 0, value, keys)


# -- how many launches ------------------------------------------------------------------------------------------
def partition(device, n, numeric, coded, dtype=Float32):
    """(intakes, columns): moments and quantiles of numbers, values of text."""
    rng = np.random.default_rng(0)
    made = [
        Column(dtype, rng.lognormal(1, 1, n).astype(dtype.storage), rng.random(n) < 0.95) for _ in range(numeric)
    ] + [words(n, at, 3 + at) for at in range(coded)]
    kinds = [("moments", "order")] * numeric + [("values",)] * coded
    intakes = [intake(kind, at) for at, each in enumerate(kinds) for kind in each]
    return intakes, made


@pytest.mark.parametrize(("numeric", "coded"), [(13, 26), (40, 3), (1, 1)])
def test_launches_and_copies_of_a_table(device, numeric, coded):
    """However many columns: samples, sums, counts of entries, histograms, the bins that occur; two slices or three."""
    n = 3000
    intakes, columns = partition(device, n, numeric, coded)
    there = [uploaded(device, column) for column in columns]
    launches, downloads, allocations = device.launches, device.downloads, len(device.allocations)
    found = GpuBackend(device).states(intakes, there, n)
    assert device.launches - launches <= 6
    assert device.downloads - downloads <= 4
    assert len(device.allocations) - allocations <= 12
    for each, state in zip(intakes, found, strict=True):
        same(state, host.gather(each.gather.state, columns[each.value], states.groups_of([], n)))


class Marked(SimulatedDevice):
    """Notes of each copy how many launches it waits for, and how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[int, int]] = []

    def mark(self) -> Any:
        return self.launches

    def download(self, array: DeviceArray, after: Any = None) -> Any:
        self.waits.append((self.launches if after is None else after, self.launches))
        return super().download(array)


def test_histograms_are_taken_in_while_sums_are_made(device):
    made, by = Marked(), groups_of([], 3000)
    made.waits.clear()
    there = [uploaded(made, numbers(Float32, "noise", 3000, seed, 0.1)) for seed in range(3)]
    Gathered([(kind, column, by) for column in there for kind in ("order", "moments", "extremes")])
    launched = [entry for entry, *_ in made.log]
    assert launched == ["look", "histogram", "collect", "tile_sums", "extremes"]
    assert made.waits == [(1, 3), (3, 5), (3, 5), (5, 5)], "a look, two of histograms, one of sums"


def test_much_data_is_summed_in_parts(device, monkeypatch):
    monkeypatch.setattr("gpupipe.backends.gpu.found._PART", 3000)
    intakes, columns = partition(device, 3000, 7, 2)
    there = [uploaded(device, column) for column in columns]
    found = GpuBackend(device).states(intakes, there, 3000)
    assert [entry for entry, _, _ in device.log].count("tile_sums") == 4
    for each, state in zip(intakes, found, strict=True):
        same(state, host.gather(each.gather.state, columns[each.value], states.groups_of([], 3000)))


def test_launches_and_copies_by_group(device):
    """Ten columns by the same groups: their rows' groups are made once, whatever is asked of how many columns."""
    n = 3000
    columns = [numbers(Float64, "few", n, at, 0.1) for at in range(10)]
    key = Column(Int64, np.arange(n) % 5)
    intakes = [intake(kind, at, 10) for at in range(10) for kind in ("moments", "extremes", "count")]
    there = [uploaded(device, column) for column in [*columns, key]]
    before = device.launches
    groups_of([there[-1]], n)
    of_groups = device.launches - before
    launches, downloads = device.launches, device.downloads
    found = GpuBackend(device).states(intakes, there, n)
    assert device.launches - launches <= of_groups + 4
    assert device.downloads - downloads <= of_groups + 2
    for each, state in zip(intakes, found, strict=True):
        same(state, host.gather(each.gather.state, columns[each.value], states.groups_of([key], n)))


def test_a_column_that_is_a_key_of_several_is_looked_at_once(device):
    """As the fold of a row is of every out-of-fold statistic."""
    n = 300
    columns = [numbers(Float64, "few", n, 0, 0.1), *(Column(Int64, np.arange(n) % size) for size in (3, 5, 7))]
    there, last = [uploaded(device, column) for column in columns], [Column(Int64, np.arange(n) % 2)]
    intakes = [intake("sum", 0, 1, 3), intake("sum", 0, 2, 3), intake("sum", 0, 3)]
    found = GpuBackend(device).states(intakes, there, n, last)
    entries = [entry for entry, _, _ in device.log]
    assert entries.count("extent") - entries.count("combine") == 4, "one a column, and one a pair"
    for each, state in zip(intakes, found, strict=True):
        keys = [columns[key] for key in each.keys] + last
        same(state, host.gather("sum", columns[0], states.groups_of(keys, n)))


def test_values_are_counted_once_for_columns_that_share_a_bitmap(device):
    valid = device.upload(packed(np.arange(500) % 3 > 0))
    columns = [uploaded(device, Column(Int64, np.arange(500) * at)) for at in range(4)]
    for column in columns:
        column.valid = valid
    gathered = Gathered([("sum", column, groups_of([], 500)) for column in columns])
    assert [gathered.state(at).arrays["n"].tolist() for at in range(4)] == [[333]] * 4
    assert [entry for entry, _, _ in device.log].count("tallies") == 1
    assert [grid for entry, grid, _ in device.log if entry == "tallies"] == [1]


# -- errors -----------------------------------------------------------------------------------------------------
def with_odd(odd, at):
    values = np.arange(100.0)
    values[at] = odd
    return Column(Float64, values)


def test_the_first_of_the_failing_statistics_is_told(device):
    """In the order of statistics, not of columns or of kinds; and what was refused before is noted."""
    columns = [with_odd(np.nan, 7), with_odd(np.inf, 3), with_odd(np.nan, 90)]
    columns.append(Column(UInt64, np.arange(100, dtype=np.uint64)))
    for order in (
        [("count", 3), ("order", 1), ("order", 2), ("moments", 1), ("sum", 0)],
        [("moments", 1), ("order", 2)],
        [("sum", 1), ("count", 0)],
        [("extremes", 2), ("tails", 0)],
    ):
        intakes = [intake(kind, at) for kind, at in order]
        wanted = [attempt(host.gather, kind, columns[at], states.groups_of([], 100)) for kind, at in order]
        first = next((one[2], order[at][1]) for at, one in enumerate(wanted) if isinstance(one, tuple))
        backend = GpuBackend(device)
        with pytest.raises(NonFiniteError) as raised:
            backend.states(intakes, columns, 100)
        assert (raised.value.row, raised.value.column) == (first[0], f"x{first[1]}")
        assert bool(backend.on_host) == (order[0] in (("count", 3), ("sum", 1)))


def test_keys_that_the_device_refuses_are_made_on_the_host(device, monkeypatch):
    monkeypatch.setattr("gpupipe.backends.gpu.keys.MOST_SLOTS", 4)
    column, key = numbers(Float64, "noise", 300, 1, 0.1), Column(Int64, np.arange(300) << 40)
    intakes = [intake("moments", 0, 1), intake("sum", 0)]
    backend = GpuBackend(device)
    by_key, alone = backend.states(intakes, [column, key], 300)
    same(by_key, host.gather("moments", column, states.groups_of([key], 300)))
    same(alone, host.gather("sum", column, states.groups_of([], 300)))
    assert ["hash table" in why for why in backend.on_host.values()] == [True]


def test_memory_that_runs_out_at_any_place_is_told():
    intakes, columns = partition(None, 200, 3, 2)
    reached = 0
    for number in range(100):
        device = SimulatedDevice(fail_at={number})
        try:
            GpuBackend(device).states(intakes, columns, 200)
        except DeviceMemoryError:
            reached += 1
        else:
            break
    assert reached > 10 and number == reached


# -- jobs -------------------------------------------------------------------------------------------------------
def test_however_many_columns_there_are_no_warp_takes_more_tiles_than_its_sums_hold(device):
    for tiles, least in ((1, 1), (8 * 2047, 1), (8 * 2047 + 1, 2)):
        nowhere = DeviceArray(device, 256, np.dtype(np.float32), (tiles * ROWS,), None)
        (job,) = exact.Tiles([exact.OnGrid(batch.Column(nowhere), -20, 2)], True).jobs
        assert job.least == least and job.blocks >= least


def test_jobs_of_several_kernels_and_columns_share_blocks(device):
    """Of one kernel columns of very different lengths; blocks that have nothing to do; more columns than blocks."""
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=n).astype(kind) for n in (9000, 1, 300) for kind in ("f4", "f8")] * 30
    columns = [batch.Column(device.upload(values)) for values in drawn]
    jobs = [extremes.extremes_job(column) for column in columns]
    batch.run(device, jobs)
    assert device.launches == 2 and device.downloads == 1
    for values, column, job in zip(drawn, columns, jobs, strict=True):
        least, greatest, nan = extremes.extremes_found(column, job)
        assert (least[0], greatest[0], nan) == (values.min(), values.max(), None)


def test_no_jobs_are_no_launch(device):
    batch.run(device, [])
    assert (device.launches, device.downloads, device.allocations) == (0, 0, [])


@pytest.mark.parametrize("dtype", [Int32, Boolean])
def test_ends_of_integers(device, dtype):
    """Also where the greatest is the least that there can be, and of a group without values."""
    values = np.array([-(2**31), -(2**31), 5, 2**31 - 1]) if dtype == Int32 else np.array([0, 0, 1, 1])
    column = Column(dtype, values.astype(dtype.storage), np.array([True, True, True, False]))
    agree(device, [("extremes", column, [Column(Int64, np.array([1, 1, 2, 3]))]), ("extremes", column, [])])
