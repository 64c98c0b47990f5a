"""XGBoost on the device, fed from CuPy matrices of several layouts."""

import json
import warnings
from typing import Any

import numpy as np

from . import estimators
from .report import Record, load, wall_seconds

PARAMETERS = {
    "device": "cuda",
    "tree_method": "hist",
    "objective": "binary:logistic",
    "max_depth": 6,
    "seed": 5,
}


def run(record: Record, rows: int) -> None:
    """Record what XGBoost does with a matrix on the device."""
    record.attempt("import", lambda: load("xgboost").__version__)
    x, y = estimators.sample()
    record.attempt("trains on", lambda: trained_on(x, y))
    record.attempt("matrix layouts", lambda: layouts(x, y))
    record.attempt("repeatable", lambda: repeatable(x, y))
    record.attempt("inplace_predict", lambda: predict(x, y))


def train(x: Any, y: Any, rounds: int = 50) -> Any:
    """A booster from a quantile matrix."""
    xgboost = load("xgboost")
    return xgboost.train(PARAMETERS, xgboost.QuantileDMatrix(x, y), rounds)


def trained_on(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Device in the booster's own configuration, warnings, seconds, AUC."""
    dx, dy = estimators.on_device(x, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        booster = train(dx, dy)
    config = json.loads(booster.save_config())
    return {
        "device": config["learner"]["generic_param"]["device"],
        "warnings": [str(w.message)[:120] for w in caught],
        "ms": wall_seconds(lambda: train(dx, dy), 3) * 1e3,
        "AUC": estimators.auc(y, booster.inplace_predict(dx)),
        "raw UBJ bytes": len(booster.save_raw("ubj")),
    }


def layouts(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Device memory that a QuantileDMatrix takes beyond the matrix, by layout; the same trees or not."""
    cp, xgboost = load("cupy"), load("xgboost")
    dx, dy = estimators.on_device(np.tile(x, (4, 1)), np.tile(y, 4))
    wide = cp.zeros((dx.shape[0], dx.shape[1] + 4), cp.float32)
    wide[:, : dx.shape[1]] = dx
    forms = {
        "row-major": dx,
        "column-major": cp.asfortranarray(dx),
        "rows of a wider matrix": wide[:, : dx.shape[1]],
    }
    result: dict[str, Any] = {}
    trees = set()
    for name, form in forms.items():
        cp.get_default_memory_pool().free_all_blocks()
        cp.cuda.runtime.deviceSynchronize()
        before = cp.cuda.runtime.memGetInfo()[0]
        matrix = xgboost.QuantileDMatrix(form, dy)
        after = cp.cuda.runtime.memGetInfo()[0]
        result[f"{name}, taken of matrix"] = (before - after) / dx.nbytes
        trees.add(bytes(xgboost.train(PARAMETERS, matrix, 5).save_raw("json")))
        result[f"{name}, ms"] = wall_seconds(lambda: xgboost.QuantileDMatrix(form, dy), 3) * 1e3  # noqa: B023
        del matrix
    result["same trees"] = len(trees) == 1
    return result


def repeatable(x: np.ndarray, y: np.ndarray) -> dict[str, bool]:
    """Two fits, and a fit on the CPU."""
    xgboost = load("xgboost")
    dx, dy = estimators.on_device(x, y)
    one, two = train(dx, dy), train(dx, dy)
    host = xgboost.train({**PARAMETERS, "device": "cpu"}, xgboost.QuantileDMatrix(x, y), 50)
    return {
        "twice on the device": bytes(one.save_raw("json")) == bytes(two.save_raw("json")),
        "device and CPU": one.get_dump() == host.get_dump(),
    }


def predict(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Predictions on device and CPU from one booster; rows a second."""
    dx, dy = estimators.on_device(x, y)
    booster = train(dx, dy)
    device = estimators.host(booster.inplace_predict(dx))
    seconds = wall_seconds(lambda: booster.inplace_predict(dx), 5)
    one = estimators.host(booster.inplace_predict(dx[7:8]))
    booster.set_param({"device": "cpu"})
    cpu = booster.inplace_predict(x)
    return {
        "device equals CPU in bits": bool((device.view(np.uint32) == cpu.view(np.uint32)).all()),
        "largest gap": float(np.abs(device - cpu).max()),
        "one row equals batch": bool(one[0] == device[7]),
        "million rows/s": x.shape[0] / seconds / 1e6,
    }
