"""A process that forks a driver for each fit it is told of, so that a test can kill drivers without starting Python.

Its libraries have one thread each, so that a fork loses none; it has fitted once, so that kernels are loaded.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import GpupipeError
from gpupipe.runtime import crew, rows

FINISHED = 0
REFUSED = 3


class Drivers:
    """Tells such a process what to fit. Close it.

    Args:
        data: a folder of rows that it fits once.
    """

    def __init__(self, data: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip

    def start(self, **job: Any) -> int:
        """Begin a fit in a driver of its own; its process number."""
        return int(self._say(json.dumps(job)))

    def wait(self) -> int:
        """How it ended: an exit code, or a signal's number below 0."""
        return int(self._say("wait"))

    def fit(self, **job: Any) -> int:
        """Both."""
        self.start(**job)
        return self.wait()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()

    def _say(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


def pipeline(name: str) -> Any:
    """One that goes through every kind of stage: of a model from covariances, of one on rows, of none."""
    features = [
        col("x").fill_null("median").standardize(),
        col("z").log1p().standardize(),
        col("c").fill_null("?").one_hot(),
    ]
    if name == "ridge":
        return gp.Pipeline(features, target="y", model=Ridge())
    features.append(col("k").target_mean(smoothing=10))
    deep = (col("x").fill_null(0) - col("x").mean()).abs().mean().alias("spread")
    if name == "features":
        return gp.Pipeline([*features, deep], target="l")
    return gp.Pipeline([*features, deep], target="l", model=LogisticRegression())


def fitted(job: dict[str, Any]) -> Any:
    """The pipeline of a job, fitted; every partition that is worked on is told in a file."""
    done: Any = crew._carried_out

    def told(of: Any, order: Any, work: Any, progress: Any, index: int) -> Any:
        descriptor = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{order.stage}|{index}|{of.n_workers}\n".encode())
        os.close(descriptor)
        time.sleep(job.get("pause", 0))
        return done(of, order, work, progress, index)

    if "log" in job:
        vars(crew)["_carried_out"] = told
    rows._WORTH_THREADS = 0
    os.cpu_count = lambda: job.get("threads", 2)
    source = gp.scan(job["data"], partition_bytes=job.get("partition_bytes", 20_000))
    how = {name: job[name] for name in ("run", "on_change") if name in job}
    try:
        return pipeline(job["pipeline"]).fit(source, **how), source
    finally:
        crew._carried_out = done


def work(job: dict[str, Any]) -> int:
    """Do a job in this process, and write what came of it."""
    try:
        pipeline, source = fitted(job)
    except GpupipeError as error:
        Path(job["result"]).write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return REFUSED
    scored = pipeline.transform(source) if pipeline.model is None else pipeline.predict(source)
    found = {"digest": pipeline.state_digest(), "resumed": pipeline.report_.resumed, "rows": pipeline.report_.rows}
    found["scores"] = scored.tobytes().hex() if hasattr(scored, "tobytes") else str(scored.to_pydict())
    Path(job["result"]).write_text(json.dumps(found))
    return FINISHED


def main() -> None:
    """Take jobs from stdin."""
    for name in ("ridge", "logistic"):
        fitted({"pipeline": name, "data": sys.argv[1], "threads": 1})
    started = 0
    for line in sys.stdin:
        if line.strip() == "wait":
            print(os.waitstatus_to_exitcode(os.waitpid(started, 0)[1]), flush=True)
            continue
        started = os.fork()
        if not started:
            try:
                os._exit(work(json.loads(line)))
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        print(started, flush=True)


if __name__ == "__main__":
    main()
