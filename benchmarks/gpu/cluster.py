"""One LocalCUDACluster worker: a dask-cudf group-by, and a forest by cuml.dask; each in a process of its own."""

import pathlib
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

from .report import Record, load

LIMITS = {"one worker": 100, "forest": 90}  # seconds
FOREST_ROWS, FEATURES = 200_000, 10


def run(record: Record, rows: int) -> None:
    """Record whether a cluster starts and works, and whether a forest trains on it."""
    for name in LIMITS:
        record.attempt(name, partial(apart, name))


def apart(name: str) -> dict[str, Any]:
    """Run `main` of this module in a new process."""
    command = [sys.executable, "-m", "benchmarks.gpu.cluster", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMITS[name])
    if done.returncode:
        raise RuntimeError(done.stderr[-1200:])
    return dict(pair.split("=", 1) for pair in done.stdout.splitlines() if "=" in pair)


def forest() -> None:
    """A pipeline whose forest cuml.dask trains, and scikit-learn's of the same rows: both judged by others."""
    np, gp, ensemble = load("numpy"), load("gpupipe"), load("sklearn.ensemble")
    auc = load("sklearn.metrics").roc_auc_score
    rng = np.random.default_rng(0)
    X = rng.normal(size=(FOREST_ROWS, FEATURES)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + X[:, 2] + rng.logistic(size=FOREST_ROWS) > 0).astype(np.int64)
    names = [f"f{at}" for at in range(FEATURES)]
    table, half = {**dict(zip(names, X.T, strict=True)), "y": y}, FOREST_ROWS // 2
    train, test = ({name: values[some] for name, values in table.items()} for some in (slice(half), slice(half, None)))
    model = ensemble.RandomForestClassifier(50, max_depth=10, random_state=0, n_jobs=-1)
    declared = gp.Pipeline([gp.cols(*names).standardize()], "y", model, training="partitions")
    with tempfile.TemporaryDirectory() as folder, gp.cluster("cuda", n_workers=1, memory_limit=0):
        path = pathlib.Path(folder) / "rows.parquet"
        load("pyarrow.parquet").write_table(load("pyarrow").table(train), path, row_group_size=half // 4)
        start = time.perf_counter()
        fitted = declared.fit(gp.scan(path, partitions=4))
        print(f"forest, s={time.perf_counter() - start:.1f}", flush=True)
        fitted.save(pathlib.Path(folder) / "forest.gpp")
        loaded = gp.load(pathlib.Path(folder) / "forest.gpp")
    said = loaded.predict_proba(test, output="numpy")[:, 1]
    theirs = model.fit(X[:half], y[:half]).predict_proba(X[half:])[:, 1]
    print(f"forest, AUC={auc(y[half:], said):.4f}")
    print(f"forest of scikit-learn, AUC={auc(y[half:], theirs):.4f}")
    print(f"forest trained={fitted.report_.training.replace('=', ' ')}", flush=True)


def main() -> None:
    """Start, group, compare with pandas, stop."""
    np, pd, dask = load("numpy"), load("pandas"), load("dask")
    start = time.perf_counter()
    cluster = load("dask_cuda").LocalCUDACluster(n_workers=1, protocol="tcp", dashboard_address=None)
    client = load("distributed").Client(cluster)
    print(f"start, s={time.perf_counter() - start:.1f}", flush=True)
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    host = pd.DataFrame({"k": rng.integers(0, 100, 400_000), "v": rng.integers(0, 9, 400_000)})
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        frame = load("dask_cudf").from_cudf(load("cudf").from_pandas(host), npartitions=4)
        got = frame.groupby("k")["v"].sum().compute().sort_index().to_pandas()
    want = host.groupby("k")["v"].sum()
    print(f"group-by equal={bool((got.to_numpy() == want.to_numpy()).all())}")
    print(f"group-by, s={time.perf_counter() - start:.1f}")
    print(
        f"worker sees={client.submit(lambda: load('cupy').cuda.runtime.getDeviceCount()).result()}",
        flush=True,
    )
    client.close()
    cluster.close()


if __name__ == "__main__":
    {"one worker": main, "forest": forest}[sys.argv[1]]()
