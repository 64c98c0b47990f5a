"""From files to a trained model on a device: cuML's logistic regression and XGBoost, against the same on the CPU."""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe import col

from . import clicks
from .report import Record, load
from .watched import Watched

ROWS, REFUSED = 1_000_000, 20
MODELS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: load("sklearn.linear_model").LogisticRegression(max_iter=1_000),
    "XGBoost": lambda: load("xgboost").XGBClassifier(n_estimators=100, max_depth=6, random_state=0),
    "random forest": lambda: load("sklearn.ensemble").RandomForestClassifier(
        n_estimators=50, max_depth=10, random_state=0
    ),
}


def run(record: Record, rows: int) -> None:
    """Record each model's AUC and seconds on both devices, and what a device that is short of memory does."""
    with tempfile.TemporaryDirectory() as folder:
        path = clicks.written(Path(folder), min(rows, ROWS))
        for name in MODELS:
            record.attempt(f"clicks, {name}", lambda name=name: both(lambda: sources(path), clicks_job, name))  # type: ignore[misc]
        for name in MODELS:
            record.attempt(f"flights, {name}", lambda name=name: both(flights, flights_job, name))  # type: ignore[misc]
        small = clicks.written(Path(folder), 50_000)
        record.attempt(f"each of the first {REFUSED} allocations refused", lambda: short_of_memory(small))


def both(data: Callable[[], Any], job: Callable[[Any, str], gp.Pipeline], model: str) -> dict[str, Any]:
    """The held-out AUC and the seconds of a fit, on the GPU and on the CPU."""
    train, test = data()
    found: dict[str, Any] = {}
    for device in ("gpu", "cpu"):
        pipeline, start = job(MODELS[model](), device), time.perf_counter()
        pipeline.fit(train)
        found[f"{device}, s"] = round(time.perf_counter() - start, 2)
        metrics = pipeline.evaluate(test).to_dict()["metrics"]
        found[f"{device}, AUC"] = round(float(metrics["roc_auc"]["value"]), 5)
        if device == "gpu" and pipeline.report_ is not None:
            refuse_elsewhere(pipeline.report_.on_host)
            found["report"] = str(pipeline.report_)[-600:]
    found["AUC, difference"] = round(found["gpu, AUC"] - found["cpu, AUC"], 5)
    return found


def refuse_elsewhere(on_host: Mapping[str, str]) -> None:
    """A model that the CPU trained is no figure of the GPU's: it agrees with the CPU's by itself.

    >>> refuse_elsewhere({"reading a": "it is copied"})
    >>> refuse_elsewhere({"training XGBClassifier": "it was built without CUDA"})
    Traceback (most recent call last):
    RuntimeError: training XGBClassifier was done on the CPU: it was built without CUDA
    """
    for what, why in on_host.items():
        if what.startswith("training "):
            raise RuntimeError(f"{what} was done on the CPU: {why}")


def sources(path: Path) -> tuple[Any, Any]:
    """Training and held-out rows of a file."""
    return gp.scan(path).split(test=0.2, seed=1)


def clicks_job(model: Any, device: str) -> gp.Pipeline:
    """The whole job over clicks."""
    return clicks.pipeline(model, device)


def flights() -> tuple[Any, Any]:
    """Training and held-out rows of the demo's flights, prepared beforehand or made of the installed package."""
    example, demo = load("gpupipe.examples.flights"), load("gpupipe.examples.demo")
    return example.source(example.prepare(demo.cache_folder("flights"))).split(test=0.25, seed=0)


def flights_job(model: Any, device: str) -> gp.Pipeline:
    """The demo's features, nulls filled, under another model."""
    pipeline = load("gpupipe.examples.flights").pipeline()
    filled = [feature.fill_null(0).standardize() for feature in pipeline.features]
    return gp.Pipeline(filled, target=col("arr_delay") > 15, model=model, device=device)


def short_of_memory(path: Path) -> dict[str, Any]:
    """How often a fit on a device that refuses one allocation ends with other bits than an undisturbed one."""
    devices = load("gpupipe.backends.devices")
    expected, found = clicks.pipeline(device="gpu").fit(path), {"tried": 0, "other digests": 0, "retries": 0}
    original = devices.gpu()
    try:
        for number in range(1, REFUSED + 1):
            watched = Watched(original.device, {number})
            devices._Look.found = devices.Found(watched, "watched")
            pipeline = clicks.pipeline(device="gpu").fit(path)
            found["tried"] += 1
            found["other digests"] += pipeline.state_digest() != expected.state_digest()
            found["retries"] += pipeline.report_.retries if pipeline.report_ is not None else 0
    finally:
        devices._Look.found = original
    return found

