"""One LocalCUDACluster worker and a dask-cudf group-by, in a process of its own with a short limit."""

import subprocess
import sys
import time
from typing import Any

from .report import Record, load

LIMIT_SECONDS = 100


def run(record: Record, rows: int) -> None:
    """Record whether a cluster starts and works."""
    record.attempt("one worker", one_worker)


def one_worker() -> dict[str, Any]:
    """Run `main` of this module in a new process."""
    command = [sys.executable, "-m", "benchmarks.gpu.cluster"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    if done.returncode:
        raise RuntimeError(done.stderr[-1200:])
    return dict(pair.split("=", 1) for pair in done.stdout.splitlines() if "=" in pair)


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
    main()
