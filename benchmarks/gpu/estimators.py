"""Does cuML work here, and does it agree with scikit-learn; are forests repeatable; which layouts it copies."""

from typing import Any

import numpy as np

from .report import Record, load, wall_seconds

ROWS, COLUMNS = 400_000, 20


def run(record: Record, rows: int) -> None:
    """Record each estimator on its own."""
    record.attempt("import", lambda: load("cuml").__version__)
    x, y = sample()
    steps = (logistic, linear, ridge, kmeans, pca, forest, forest_repeatable, forest_to_cpu, forest_inference)
    for step in steps:
        record.attempt(step.__name__, lambda step=step: step(x, y))  # type: ignore[misc]
    record.attempt("memory taken by input layout", lambda: input_layouts(x, y))


def sample() -> tuple[np.ndarray, np.ndarray]:
    """A two-class problem with a known logistic truth."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    weights = rng.normal(size=COLUMNS) / 3
    logit = x @ weights + 0.5 * x[:, 0] * x[:, 1]
    return x, (rng.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int32)


def on_device(*arrays: np.ndarray) -> list[Any]:
    """Copies on the device."""
    return [load("cupy").asarray(a) for a in arrays]


def host(a: Any) -> np.ndarray:
    """As NumPy, wherever it lies."""
    return np.asarray(a.get() if hasattr(a, "get") else a)


def auc(y: np.ndarray, score: Any) -> float:
    """ROC AUC by scikit-learn."""
    return float(load("sklearn.metrics").roc_auc_score(y, host(score)))


def against(ours: Any, theirs: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Largest gap of fitted arrays."""
    return {n: float(np.abs(np.ravel(host(getattr(ours, n))) - np.ravel(getattr(theirs, n))).max()) for n in names}


def logistic(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """LogisticRegression: coefficients, AUC, seconds, as_sklearn."""
    dx, dy = on_device(x, y)
    ours = load("cuml.linear_model").LogisticRegression(C=1.0, max_iter=500, tol=1e-6)
    theirs = load("sklearn.linear_model").LogisticRegression(C=1.0, max_iter=500, tol=1e-8).fit(x, y)
    seconds = wall_seconds(lambda: ours.fit(dx, dy), 3)
    copied = ours.as_sklearn()
    again = load("cuml.linear_model").LogisticRegression(C=1.0, max_iter=500, tol=1e-6).fit(dx, dy)
    return {
        **against(ours, theirs, ("coef_", "intercept_")),
        "AUC": auc(y, ours.predict_proba(dx)[:, 1]),
        "AUC scikit-learn": auc(y, theirs.predict_proba(x)[:, 1]),
        "as_sklearn, gap": float(np.abs(copied.predict_proba(x[:100]) - host(ours.predict_proba(dx[:100]))).max()),
        "same bits again": bool((host(again.coef_) == host(ours.coef_)).all()),
        "fit, ms": seconds * 1e3,
    }


def linear(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """LinearRegression on float32 and float64."""
    return regression("LinearRegression", x, y)


def ridge(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Ridge on float32 and float64."""
    return regression("Ridge", x, y)


def regression(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Coefficients against scikit-learn, by input type."""
    result: dict[str, Any] = {}
    theirs = getattr(load("sklearn.linear_model"), name)().fit(x.astype(np.float64), y)
    for dtype in (np.float32, np.float64):
        dx, dy = on_device(x.astype(dtype), y.astype(dtype))
        ours = getattr(load("cuml.linear_model"), name)()
        result[f"fit {np.dtype(dtype)}, ms"] = wall_seconds(lambda: ours.fit(dx, dy), 3) * 1e3  # noqa: B023
        result |= {f"{k} {np.dtype(dtype)}": v for k, v in against(ours, theirs, ("coef_", "intercept_")).items()}
    result["as_sklearn"] = type(ours.as_sklearn()).__module__
    return result


def kmeans(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Inertia beside scikit-learn's from the same start."""
    start = x[:8].copy()
    (dx,) = on_device(x)
    ours = load("cuml.cluster").KMeans(n_clusters=8, init=load("cupy").asarray(start), n_init=1, max_iter=50)
    theirs = load("sklearn.cluster").KMeans(n_clusters=8, init=start, n_init=1, max_iter=50).fit(x)
    seconds = wall_seconds(lambda: ours.fit(dx), 3)
    return {"inertia ratio": float(ours.inertia_) / float(theirs.inertia_), "fit, ms": seconds * 1e3}


def pca(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Explained variance against scikit-learn's."""
    (dx,) = on_device(x)
    ours = load("cuml.decomposition").PCA(n_components=5)
    theirs = load("sklearn.decomposition").PCA(n_components=5).fit(x)
    seconds = wall_seconds(lambda: ours.fit(dx), 3)
    return {**against(ours, theirs, ("explained_variance_",)), "fit, ms": seconds * 1e3}


def grown(x: Any, y: Any, **parameters: Any) -> Any:
    """A fitted forest of 50 trees of depth 12."""
    make = load("cuml.ensemble").RandomForestClassifier
    return make(n_estimators=50, max_depth=12, random_state=3, **parameters).fit(x, y)


def forest(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """AUC on held-out rows beside scikit-learn's."""
    half = ROWS // 2
    dx, dy = on_device(x, y)
    ours = grown(dx[:half], dy[:half])
    theirs = load("sklearn.ensemble").RandomForestClassifier(50, max_depth=12, random_state=3, n_jobs=-1)
    theirs.fit(x[:half], y[:half])
    seconds = wall_seconds(lambda: grown(dx[:half], dy[:half]), 3)
    return {
        "AUC": auc(y[half:], ours.predict_proba(dx[half:])[:, 1]),
        "AUC scikit-learn": auc(y[half:], theirs.predict_proba(x[half:])[:, 1]),
        "fit, ms": seconds * 1e3,
    }


def forest_repeatable(x: np.ndarray, y: np.ndarray) -> dict[str, bool]:
    """Equal Treelite bytes of two fits, one stream and four; float32 input in either order of memory."""
    cp = load("cupy")
    dx, dy = on_device(x, y)
    tall = cp.asfortranarray(dx)

    def bytes_of(a: Any, **parameters: Any) -> bytes:
        return bytes(grown(a, dy, **parameters).as_treelite().serialize_bytes())

    one = bytes_of(dx, n_streams=1)
    many = bytes_of(dx, n_streams=4)
    return {
        "one stream": one == bytes_of(dx, n_streams=1),
        "four streams": many == bytes_of(dx, n_streams=4),
        "one equals four": one == many,
        "row- and column-major equal": one == bytes_of(tall, n_streams=1),
    }


def forest_to_cpu(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """as_sklearn and as_treelite + gtil against predictions on the device."""
    treelite = load("treelite")
    gtil = load("treelite.gtil")
    dx, dy = on_device(x, y)
    ours = grown(dx, dy)
    want = host(ours.predict_proba(dx[:2000]))
    blob = ours.as_treelite().serialize_bytes()
    model = treelite.Model.deserialize_bytes(blob)
    by_gtil = np.squeeze(gtil.predict(model, x[:2000]))
    by_sklearn = ours.as_sklearn().predict_proba(x[:2000])
    return {
        "as_sklearn, gap": float(np.abs(by_sklearn - want).max()),
        "treelite on the CPU, gap": float(np.abs(by_gtil.reshape(want.shape) - want).max()),
        "bytes": len(blob),
        "treelite": treelite.__version__,
    }


def forest_inference(x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """nvforest on device and CPU, from the Treelite model; rows a second."""
    nvforest, treelite = load("nvforest"), load("treelite")
    dx, dy = on_device(x, y)
    ours = grown(dx, dy)
    model = treelite.Model.deserialize_bytes(ours.as_treelite().serialize_bytes())
    on_gpu = nvforest.load_from_treelite_model(model, device="gpu")
    on_cpu = nvforest.load_from_treelite_model(model, device="cpu")
    seconds = wall_seconds(lambda: on_gpu.predict_proba(dx), 5)
    got, cpu = host(on_gpu.predict_proba(dx[:5000])), host(on_cpu.predict_proba(x[:5000]))
    return {
        "against cuML, gap": float(np.abs(got - host(ours.predict_proba(dx[:5000]))).max()),
        "device against CPU, gap": float(np.abs(got - cpu).max()),
        "device equals CPU in bits": bool((got.view(np.uint32) == cpu.view(np.uint32)).all()),
        "one row equals batch": bool((host(on_gpu.predict_proba(dx[7:8]))[0] == got[7]).all()),
        "million rows/s": ROWS / seconds / 1e6,
    }


def input_layouts(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Peak of device memory while fitting, as a multiple of the matrix: row-major, column-major."""
    cp, rmm = load("cupy"), load("rmm")
    dx, dy = on_device(x, y)
    base = rmm.mr.get_current_device_resource()
    result = {}
    for name in ("LogisticRegression", "Ridge", "RandomForestClassifier"):
        module = "cuml.ensemble" if name.startswith("Random") else "cuml.linear_model"
        for order, matrix in (("row", dx), ("column", cp.asfortranarray(dx))):
            counted = rmm.mr.StatisticsResourceAdaptor(base)
            rmm.mr.set_current_device_resource(counted)
            try:
                getattr(load(module), name)().set_params(
                    **({"max_depth": 8, "n_estimators": 10} if name.startswith("Random") else {})
                ).fit(matrix, dy.astype(cp.float32) if name == "Ridge" else dy)
                result[f"{name}, {order}-major"] = counted.allocation_counts.peak_bytes / x.nbytes
            finally:
                rmm.mr.set_current_device_resource(base)
    return result
