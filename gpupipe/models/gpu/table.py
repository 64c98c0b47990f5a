"""The table of estimators' GPU column: what trains in an estimator's place, found by where users import it from."""

from typing import Any

from gpupipe import optional
from gpupipe.models.gpu.linear import LINEAR
from gpupipe.models.gpu.others import OTHERS
from gpupipe.models.gpu.twin import Twin

TWINS: dict[str, Twin] = {**LINEAR, **OTHERS}

# XGBoost is its own twin: `device="cuda"` on a clone.
ON_DEVICE = ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")

_HOMES = {
    "cuml.linear_model": lambda: optional.load("cuml.linear_model"),
    "cuml.svm": lambda: optional.load("cuml.svm"),
    "cuml.dask.ensemble": lambda: optional.load("cuml.dask.ensemble"),
    "cuml.ensemble": lambda: optional.load("cuml.ensemble"),
    "cuml.cluster": lambda: optional.load("cuml.cluster"),
    "cuml.decomposition": lambda: optional.load("cuml.decomposition"),
    "cuml.naive_bayes": lambda: optional.load("cuml.naive_bayes"),
    "cuml.neighbors": lambda: optional.load("cuml.neighbors"),
    "cuml.kernel_ridge": lambda: optional.load("cuml.kernel_ridge"),
}


def made(path: str, parameters: dict[str, Any]) -> Any:
    """An object of a class of cuML's; its module is imported now."""
    home, _, name = path.rpartition(".")
    return getattr(_HOMES[home](), name)(**parameters)
