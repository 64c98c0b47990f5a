"""The part of the GPU measurements that measures the backend itself, on the simulated device: it runs, and is right."""

import numpy as np
import pyarrow as pa
import pytest
from gpu.nvrtc import why_not
from gpu.simulated import SimulatedDevice

from benchmarks.gpu import data, engine
from benchmarks.gpu.watched import Watched
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.backends.gpu.columns import uploaded
from gpupipe.columns import Column, Frame
from gpupipe.schema import Float32, String

ROWS = 300


@pytest.fixture
def device(monkeypatch):
    """One on which a moment passes for the time of anything; of a narrow table."""
    if why_not():
        pytest.skip(why_not())
    for name, value in {"NUMERIC": 3, "CODED": 2, "PARTITION": 128}.items():
        monkeypatch.setattr(engine, name, value)
    for name in ("wall_seconds", "device_seconds"):
        monkeypatch.setattr(engine, name, lambda work, repeats=1: (work(), 1.0)[1])
    return SimulatedDevice()


def narrow(device, rows=ROWS, numeric=3, dictionaries=(3, 3)):
    rng = np.random.default_rng(0)
    columns = {
        f"n{at}": uploaded(device, Column(Float32, rng.lognormal(size=rows).astype("f4"), rng.random(rows) < 0.95))
        for at in range(numeric)
    }
    for at, size in enumerate(dictionaries):
        ids = pa.array(rng.integers(0, size, rows).astype("i4"))
        words = pa.DictionaryArray.from_arrays(ids, pa.array(engine.words(size)))
        columns[f"c{at}"] = uploaded(device, Column(String, words, rng.random(rows) < 0.95))
    return Frame(columns, rows, np.arange(rows, dtype=np.uint64))


@pytest.mark.parametrize("chain", engine.CHAINS)
def test_a_transform_takes_no_memory_beside_its_input_and_output(monkeypatch, device, chain):
    """The issue's table with fewer columns: numbers with nulls, and text as dictionary numbers and a bitmap each."""
    monkeypatch.setattr(data, "DICTIONARIES", [3, 40])
    watched = Watched(device)
    frame = narrow(watched, 4_000)
    given, features = watched.held, engine.fitted(chain, 3, 2).on(GpuBackend(watched))
    out = watched.empty((4_000, len(features.names)), np.float32)
    watched.peak, launches = 0, device.launches
    features.matrix(frame, out)
    assert 1 < watched.peak / (given + out.nbytes) <= 1.02 and device.launches - launches == 1
    assert engine.wrong_bits(features, frame, out, 40) == 0
    assert 1 < engine.memory(device, frame, chain)["ratio"] <= 1.02


@pytest.mark.slow
def test_device_memory_of_the_whole_table(monkeypatch, device):
    """100 columns of numbers and 26 of text, with the issue's dictionaries: at most 1.1 times input and output."""
    for name, value in {"NUMERIC": 100, "CODED": 26}.items():
        monkeypatch.setattr(engine, name, value)
    watched = Watched(SimulatedDevice())
    frame = narrow(watched, 20_000, 100, data.DICTIONARIES)
    given, features = watched.held, engine.fitted("log1p").on(GpuBackend(watched))
    out = watched.empty((20_000, 126), np.float32)
    launches = watched.launches
    features.matrix(frame, out)
    assert watched.peak <= 1.1 * (given + out.nbytes) and watched.launches - launches == 1
    assert engine.wrong_bits(features, frame, out, 40) == 0


@pytest.mark.parametrize("kinds", [["moments"], ["moments", "order"]])
def test_statistics(device, kinds):
    frame = narrow(device)
    assert engine.statistics(device, frame, kinds, 1.0)["launches"] <= 6
    assert engine.by_partitions(device, frame, kinds, 1.0)["launches a partition"] <= 6


@pytest.mark.parametrize("chain", engine.CHAINS)
def test_features(device, chain):
    features, frame = engine.fitted(chain, 3, 2).on(GpuBackend(device)), narrow(device)
    out = device.empty((ROWS, len(features.names)), np.float32)
    features.matrix(frame, out)
    assert engine.wrong_bits(features, frame, out, 40) == 0
