"""The part that trains every twin: it runs through, against stand-ins of what it needs a device for."""

from typing import Any

import numpy as np
import pytest
from gpu.nvrtc import why_not as no_nvrtc
from models.gpu_fakes import Counted, installed

from benchmarks.gpu import twins
from benchmarks.gpu.report import Record
from gpupipe.backends import devices
from gpupipe.models.gpu.table import TWINS


def test_every_twin_is_measured() -> None:
    assert {path.rpartition(".")[2] for path in TWINS} == {name for name in twins.LEARNERS if "XGB" not in name}


@pytest.mark.skipif(bool(no_nvrtc()), reason=no_nvrtc() or "")
def test_the_part_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Counted()
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, device.name))
    few: Any = {name: twins.LEARNERS[name] for name in ("Ridge", "PCA", "KMeans", "MultinomialNB", "SVC", "LinearSVC")}
    few["RandomForestClassifier"] = ("ensemble", {"n_estimators": 3, "random_state": 0}, "3 classes")
    monkeypatch.setattr(twins, "LEARNERS", few)
    record = Record()
    with installed(monkeypatch):
        twins.run(record, 300)
    missing = record.errors.pop("RandomForestClassifier, nvForest", "MissingDependencyError")  # it has no stand-in
    assert record.errors == {} and "MissingDependencyError" in missing
    for name in few:
        found = record.figures[name]
        assert (found["trained on"], found["why not on the GPU"], found["same bits twice"]) == ("gpu", None, True)
        assert found.get("largest gap", 0.0) < 1e-5 and found.get("inertia", 1.0) == pytest.approx(1.0)


def test_what_is_learned_from_is_what_it_says() -> None:
    for learns in {learns for _, _, learns in twins.LEARNERS.values()}:
        x, y = twins.sample(learns, 1000)
        assert x.dtype == np.float32 and x.shape == (1000, twins.COLUMNS)
        assert (y is None) == (learns == "nothing")
        if "class" in learns:
            assert set(y.tolist()) == set(range(int(learns[0])))
        if "counts" in learns:
            assert (x == np.round(x)).all() and x.min() >= 0
