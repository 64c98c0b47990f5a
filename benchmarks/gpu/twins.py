"""Every estimator that trains on a device: does it, and how far is it from the same trained on the CPU."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .report import Record, load

ROWS, COLUMNS, NEIGHBOURS, SCORED = 200_000, 20, 5_000, 20_000

# The class, its parameters, and what it learns from: labels of so many classes, numbers, or neither; "counts" are
# small whole numbers. Those whose time grows with the square of the rows learn from few.
LEARNERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "LinearRegression": ("linear_model", {}, "numbers"),
    "Ridge": ("linear_model", {"alpha": 3.0}, "numbers"),
    "Lasso": ("linear_model", {"alpha": 0.01}, "numbers"),
    "ElasticNet": ("linear_model", {"alpha": 0.01}, "numbers"),
    "LogisticRegression": ("linear_model", {"max_iter": 1000, "tol": 1e-6}, "3 classes"),
    "LinearSVC": ("svm", {"random_state": 0}, "2 classes"),
    "LinearSVR": ("svm", {"random_state": 0, "epsilon": 0.1}, "numbers"),
    "RandomForestClassifier": ("ensemble", {"n_estimators": 50, "max_depth": 10, "random_state": 0}, "3 classes"),
    "RandomForestRegressor": ("ensemble", {"n_estimators": 50, "max_depth": 10, "random_state": 0}, "numbers"),
    "KMeans": ("cluster", {"n_clusters": 8, "n_init": 1, "random_state": 0}, "nothing"),
    "PCA": ("decomposition", {"n_components": 5}, "nothing"),
    "TruncatedSVD": ("decomposition", {"n_components": 5, "algorithm": "arpack"}, "nothing"),
    "GaussianNB": ("naive_bayes", {}, "3 classes"),
    "MultinomialNB": ("naive_bayes", {"alpha": 0.5}, "3 classes of counts"),
    "BernoulliNB": ("naive_bayes", {"binarize": 0.1}, "3 classes"),
    "ComplementNB": ("naive_bayes", {"norm": True}, "3 classes of counts"),
    "CategoricalNB": ("naive_bayes", {"min_categories": None}, "3 classes of counts"),
    "KNeighborsClassifier": ("neighbors", {}, "3 classes of few"),
    "KNeighborsRegressor": ("neighbors", {}, "numbers of few"),
    "SVC": ("svm", {}, "2 classes of few"),
    "SVR": ("svm", {}, "numbers of few"),
    "KernelRidge": ("kernel_ridge", {"kernel": "rbf", "gamma": 0.05}, "numbers of few"),
    "XGBClassifier": ("xgboost", {"n_estimators": 50, "random_state": 0}, "3 classes"),
    "XGBRegressor": ("xgboost", {"n_estimators": 50, "random_state": 0}, "numbers"),
}


def run(record: Record, rows: int) -> None:
    """Record each of them on its own, and the forests under nvForest."""
    device = record.attempt("device", lambda: load("gpupipe.backends.devices").required().name)
    if device is None:
        return
    for name in LEARNERS:
        record.attempt(name, lambda name=name: beside(record, name, min(rows, ROWS)))  # type: ignore[misc]


def sample(learns: str, rows: int) -> tuple[np.ndarray, Any]:
    """Rows, and what is to be learned of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(min(rows, NEIGHBOURS) if learns.endswith("few") else rows, COLUMNS)).astype(np.float32)
    score = x[:, 0] + x[:, 1] * x[:, 2] / 2 + rng.normal(size=len(x)) / 3
    if learns.endswith("counts"):
        x = rng.poisson(np.exp(score / 3)[:, None] + np.arange(COLUMNS) % 3, x.shape).astype(np.float32)
    if learns == "nothing" or learns.startswith("numbers"):
        return x, score if learns != "nothing" else None
    classes = int(learns[0])
    return x, np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score)


def beside(record: Record, name: str, rows: int) -> dict[str, Any]:
    """One estimator on both: seconds, where it was trained, and how far apart the two models are."""
    module, parameters, learns = LEARNERS[name]
    home = load(module if module == "xgboost" else f"sklearn.{module}")
    estimator, (x, y) = getattr(home, name)(**parameters), sample(learns, rows)
    device = load("gpupipe.backends.devices").required()
    there, (first, again), digests = device.upload(x), (0.0, 0.0), []
    for _ in range(2):
        found, seconds = timed(lambda: trained(estimator, there, y))
        first, again = again, seconds
        digests.append(found.model.digest())
    here, on_cpu = timed(lambda: trained(estimator, x, y))
    if found.model.form in ("trees", "xgboost"):
        few = x[:SCORED]
        record.attempt(f"{name}, nvForest", lambda: by_nvforest(found.model, device.upload(few), few))
    return {
        "trained on": found.device, "why not on the GPU": found.why, "first fit, s": round(first, 3),
        "fit, s": round(again, 3), "on the CPU, s": round(on_cpu, 3), "same bits twice": len(set(digests)) == 1,
        **apart(found.model, here.model, x[:SCORED], y),
    }  # fmt: skip


def trained(estimator: Any, x: Any, y: Any) -> Any:
    """The model, and where it was trained."""
    names = [f"x{number}" for number in range(COLUMNS)]
    return load("gpupipe.models.model").trained(estimator, x, y, feature_names=names)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def outputs(model: Any, x: Any) -> np.ndarray:
    """Components, probabilities, scores or predictions."""
    if model.kind in ("transformer", "clusterer"):
        return np.asarray(model.transform(x))
    method = "predict_proba" if model.has_probabilities else "decision_function" if model.classes else "predict"
    return np.asarray(getattr(model, method)(x))


def apart(there: Any, here: Any, x: np.ndarray, y: Any) -> dict[str, Any]:
    """The largest gap as a share of the largest output; how well each does on the rows it has seen."""
    ours, theirs = outputs(there, x), outputs(here, x)
    found = {"largest gap": float(np.abs(ours - theirs).max() / np.abs(theirs).max())}
    if there.kind == "clusterer":  # its clusters may have other numbers
        return {"inertia": float((ours.min(axis=1) ** 2).sum() / (theirs.min(axis=1) ** 2).sum())}
    if y is None:
        return found
    truth, told = y[: len(x)], {"GPU": there.predict(x), "CPU": here.predict(x)}
    if there.classes is not None:
        return {**found, **{f"accuracy, {name}": float((said == truth).mean()) for name, said in told.items()}}
    return {**found, **{f"RMSE, {name}": float(np.sqrt(((said - truth) ** 2).mean())) for name, said in told.items()}}


def by_nvforest(model: Any, there: Any, x: np.ndarray) -> dict[str, Any]:
    """How far nvForest is from our own evaluation, and the million rows a second of both."""
    faster, found = load("gpupipe.models.gpu.forests").on_nvforest(model), {}
    ours, seconds = timed(lambda: outputs(model, x))
    outputs(faster, there)
    theirs, its_seconds = timed(lambda: outputs(faster, there))
    found["largest gap"] = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    found["million rows/s"], found["ours"] = len(x) / its_seconds / 1e6, len(x) / seconds / 1e6
    return found
