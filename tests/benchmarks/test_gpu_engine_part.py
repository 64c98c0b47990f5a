"""The part of the GPU measurements that measures the backend itself, on the simulated device: it runs, and is right."""

import numpy as np
import pyarrow as pa
import pytest
from gpu.nvrtc import why_not
from gpu.simulated import SimulatedDevice

from benchmarks.gpu import engine
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


def narrow(device):
    rng = np.random.default_rng(0)
    columns = {
        f"n{at}": uploaded(device, Column(Float32, rng.lognormal(size=ROWS).astype("f4"), rng.random(ROWS) < 0.9))
        for at in range(3)
    }
    words = pa.array([f"w{at % 3}" for at in range(ROWS)]).dictionary_encode()
    columns |= {f"c{at}": uploaded(device, Column(String, words, rng.random(ROWS) < 0.9)) for at in range(2)}
    return Frame(columns, ROWS, np.arange(ROWS, dtype=np.uint64))


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
