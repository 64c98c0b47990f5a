"""Run the measurements, each part in a process of its own, and write one JSON file and a table.

    python -m benchmarks.gpu --out results/            # all parts
    python -m benchmarks.gpu --parts fused,exact --rows 2000000

A part that fails, times out or loses the device leaves its error text; the others run.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from . import report

PARTS = {  # name: (module, seconds at most), most valuable first
    "environment": ("environment", 120),
    "bandwidth": ("bandwidth", 60),
    "parity": ("parity", 120),
    "engine": ("engine", 120),
    "training": ("training", 150),
    "twins": ("twins", 120),
    "border": ("border", 100),
    "texts": ("texts", 60),
    "cudf": ("frames", 100),
    "parquet": ("parquet", 120),
    "cuml": ("estimators", 150),
    "xgboost": ("boosting", 100),
    "cluster": ("cluster", 195),
    "layouts": ("fused", 240),
    "exact": ("exact", 90),
    "sanitize": ("sanitize", 230),
}


RESULTS = pathlib.Path("benchmarks/results")
LEAST = 10  # seconds that are worth starting a part for


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS, help="JSON file, or a folder (%(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated; default: all (%(default)s)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large tables")
    parser.add_argument("--minutes", type=float, default=10, help="parts that do not fit are left out (default: 10)")
    parser.add_argument("--inside", metavar="PART", help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    unknown = set(chosen.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return chosen


def run_part(name: str, rows: int, folder: pathlib.Path, left: float) -> dict[str, Any]:
    """One part in a new process; what it measured before it ended, however it ended.

    Args:
        left: the seconds that all parts still have.
    """
    limit = min(PARTS[name][1], int(left))
    if limit < LEAST:
        return {"figures": {}, "errors": {"the part itself": "left out: the time was over (--minutes)"}, "seconds": {}}
    path = folder / f"{name}.json"
    environment = {**os.environ, "CUPY_CACHE_DIR": str(folder / "kernels"), "PYTHONUNBUFFERED": "1"}
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        "--inside",
        name,
        "--out",
        str(path),
        "--rows",
        str(rows),
    ]
    start = time.perf_counter()
    print(f"== {name}", flush=True)
    try:
        code: int | str = subprocess.run(command, env=environment, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        code = f"stopped after {limit} s"
    content = json.loads(path.read_text()) if path.exists() else {"figures": {}, "errors": {}, "seconds": {}}
    content["seconds_in_all"] = round(time.perf_counter() - start, 1)
    if code != 0:
        content["errors"]["the part itself"] = f"ended with {code}"
    return content


def commit() -> str:
    """Short hash of the checkout, 'unknown' outside one."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def device_name() -> str:
    """The device and its driver as nvidia-smi gives them, or "none"."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except OSError:
        return "none"
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else "none"


def short(device: str) -> str:
    """A word for file names.

    >>> short("NVIDIA H100 80GB HBM3, 580.159.04")
    'h100'
    """
    words = device.partition(",")[0].lower().split()
    return next((word for word in words if any(letter.isdigit() for letter in word)), words[-1])


def main(words: list[str] | None = None) -> int:
    """Run what was asked; 0 if every part measured something."""
    chosen = arguments(words)
    if chosen.inside:
        module = report.load(f"benchmarks.gpu.{PARTS[chosen.inside][0]}")
        module.run(report.Record(chosen.out), chosen.rows)
        return 0
    result: dict[str, Any] = {
        "commit": os.environ.get("GPUPIPE_COMMIT") or commit(),
        "rows": chosen.rows,
        "parts": {},
    }
    into_folder = chosen.out.is_dir() or not chosen.out.suffix
    result["device"] = device_name()
    target = chosen.out / f"gpu-{short(result['device'])}-{result['commit']}.json" if into_folder else chosen.out
    target.parent.mkdir(parents=True, exist_ok=True)
    end = time.perf_counter() + 60 * chosen.minutes
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.parts.split(","):
            result["parts"][name] = run_part(name, chosen.rows, pathlib.Path(folder), end - time.perf_counter())
            target.write_text(json.dumps(result, indent=1))
    print(report.table(result))
    print(f"written: {target}")
    return 0 if all(part["figures"] for part in result["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
