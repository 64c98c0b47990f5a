"""Collect figures part by part: a failing measurement leaves its error text and the others go on."""

import importlib
import json
import pathlib
import statistics
import time
import traceback
from collections.abc import Callable
from typing import Any

ERROR_CHARACTERS = 1500
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def load(name: str) -> Any:
    """Import an optional package by name; a part that lacks one fails alone."""
    return importlib.import_module(name)


class Record:
    """Figures and errors of one part, written to a file after every measurement."""

    def __init__(self, path: pathlib.Path | None = None) -> None:
        self.path = path
        self.figures: dict[str, Any] = {}
        self.errors: dict[str, str] = {}
        self.seconds: dict[str, float] = {}

    def put(self, name: str, value: Any) -> None:
        """Keep one figure."""
        self.figures[name] = value
        self._write()

    def attempt(self, name: str, measure: Callable[[], Any]) -> Any:
        """Run one measurement and keep what it returns (None: it kept its figures itself)."""
        start = time.perf_counter()
        try:
            value = measure()
            if value is not None:
                self.figures[name] = value
        except Exception as error:  # the error is the figure here, whatever it is
            value = None
            text = "".join(traceback.format_exception(error))
            self.errors[name] = text[-ERROR_CHARACTERS:].replace(f"{CHECKOUT}/", "")  # no paths of one machine
        self.seconds[name] = round(time.perf_counter() - start, 3)
        print(f"  {name}: {'FAILED' if name in self.errors else value} [{self.seconds[name]} s]", flush=True)
        self._write()
        return value

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"figures": self.figures, "errors": self.errors, "seconds": self.seconds}

    def _write(self) -> None:
        if self.path is not None:
            self.path.write_text(json.dumps(self.as_dict(), indent=1, default=plain))


def plain(value: Any) -> Any:
    """JSON form of NumPy scalars, device scalars and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def device_seconds(work: Callable[[], Any], repeats: int = 11, warm: int = 2) -> float:
    """Median seconds of `work` on the current device, by CUDA events."""
    cuda = load("cupy").cuda
    for _ in range(warm):
        work()
    times = []
    for _ in range(repeats):
        start, end = cuda.Event(), cuda.Event()
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(cuda.get_elapsed_time(start, end) / 1e3)
    return statistics.median(times)


def wall_seconds(work: Callable[[], Any], repeats: int = 5, warm: int = 1) -> float:
    """Median wall seconds of `work`, device work included."""
    device = load("cupy").cuda.runtime
    times = []
    for i in range(warm + repeats):
        device.deviceSynchronize()
        start = time.perf_counter()
        work()
        device.deviceSynchronize()
        if i >= warm:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def table(result: dict[str, Any]) -> str:
    """The figures as lines for a person, errors last."""
    lines = []
    for part, content in result["parts"].items():
        lines.append(f"== {part}")
        for name, value in content.get("figures", {}).items():
            lines.append(f"  {name:<58} {line(value)}")
        for name, text in content.get("errors", {}).items():
            lines.append(f"  {name:<58} FAILED: {text.strip().splitlines()[-1][:160]}")
    return "\n".join(lines)


def line(value: Any) -> str:
    """One figure in one line."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "  ".join(f"{k}={line(v)}" for k, v in value.items())
    return str(value)[:160]
