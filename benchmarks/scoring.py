"""Rows through a loaded artifact, one and many: 30 mixed columns, a logistic model, against scikit-learn in memory.

Both are handed what a service has: a dict of Python values for one row, a dict of lists for many. scikit-learn needs a
pandas frame made of it, and that is part of its work.
"""

import datetime as dt
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

import gpupipe as gp
from gpupipe import col

from .measure import Row, rows_of, run, tell

SIDES = ("gpupipe", "scikit-learn")
AMOUNTS, COUNTS = [f"amount_{n}" for n in range(9)], [f"count_{n}" for n in range(6)]
SKEWED, FLAGS, DAYS = [f"skewed_{n}" for n in range(4)], ["flag"], ["day"]
FEW, MANY, CODED = [f"few_{n}" for n in range(4)], [f"many_{n}" for n in range(3)], [f"coded_{n}" for n in range(2)]
SIZES = {1: 1000, 100: 200, 10_000: 10}  # rows: how many calls
ROWS = 10_000


def columns(seed: int) -> dict[str, list[Any]]:
    """30 columns of 10,000 rows as Python values: numbers with nulls, counts, skewed numbers, a flag, a day, text."""
    draw = random.Random(seed)
    made: dict[str, list[Any]] = {}
    made |= {name: [None if draw.random() < 0.05 else draw.gauss(5, 2) for _ in range(ROWS)] for name in AMOUNTS}
    made |= {name: [draw.randrange(50) for _ in range(ROWS)] for name in COUNTS}
    made |= {name: [draw.expovariate(0.1) for _ in range(ROWS)] for name in SKEWED}
    made |= {name: [draw.random() < 0.3 for _ in range(ROWS)] for name in FLAGS}
    made |= {name: [dt.date(2024, 1, 1) + dt.timedelta(draw.randrange(365)) for _ in range(ROWS)] for name in DAYS}
    made |= {name: [f"kind {draw.randrange(5)}" for _ in range(ROWS)] for name in FEW}
    made |= {name: [f"place {draw.randrange(300)}" for _ in range(ROWS)] for name in MANY}
    made |= {name: [f"brand {draw.randrange(40)}" for _ in range(ROWS)] for name in CODED}
    return made


def targets(table: dict[str, list[Any]], seed: int) -> list[bool]:
    """Labels that depend on some of the columns."""
    draw = random.Random(seed)
    pairs = zip(table["count_0"], table["few_0"], strict=True)
    return [draw.gauss(0, 1) + count / 25 - 1 + (few == "kind 3") > 0 for count, few in pairs]


def pipeline() -> gp.Pipeline:
    """30 features, one a column."""
    return gp.Pipeline(
        [
            gp.cols(*AMOUNTS).fill_null("median").standardize(),
            gp.cols(*COUNTS).standardize(),
            gp.cols(*SKEWED).log1p().standardize(),
            gp.cols(*FLAGS),
            gp.cols(*DAYS).dt.weekday(),
            gp.cols(*FEW).one_hot(),
            gp.cols(*MANY).target_mean(smoothing=20),
            gp.cols(*CODED).codes(),
        ],
        target=col("label"),
        model=LogisticRegression(max_iter=2000),
    )


def reference() -> Any:
    """The equal scikit-learn pipeline."""
    features = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), AMOUNTS),
        (StandardScaler(), COUNTS),
        (make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), SKEWED),
        ("passthrough", FLAGS),
        (FunctionTransformer(_weekday), DAYS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), FEW),
        (TargetEncoder(smooth=20), MANY),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), CODED),
    )
    return make_pipeline(features, LogisticRegression(max_iter=2000))


def _weekday(days: Any) -> Any:
    return days.apply(lambda column: column.dt.day_of_week).to_numpy()


def frame(table: dict[str, list[Any]]) -> Any:
    """What scikit-learn takes."""
    rows = pd.DataFrame(table)
    for name in AMOUNTS:
        rows[name] = rows[name].astype(float)
    return rows.assign(day=pd.to_datetime(rows["day"]))


def scorer(side: str, table: dict[str, list[Any]]) -> Callable[[dict[str, list[Any]]], Any]:
    """From a dict of lists to probabilities; gpupipe's through an artifact saved and loaded."""
    label = targets(table, 2)
    if side == "scikit-learn":
        fitted = reference().fit(frame(table), label)
        return lambda rows: fitted.predict_proba(frame(rows))
    with tempfile.TemporaryDirectory() as folder:
        pipeline().fit({**table, "label": label}).save(Path(folder) / "scoring.gpp")
        loaded = gp.Scorer.load(Path(folder) / "scoring.gpp")
    return loaded.predict_proba


def timed(score: Callable[[Any], Any], table: dict[str, list[Any]], size: int, calls: int) -> dict[str, float]:
    """Milliseconds a call, after a few that do not count; other rows each time."""
    wall, cpu = [], []
    for call in range(-20 if size < ROWS else -2, calls):
        first = (call * size) % (ROWS - size + 1)
        rows = {name: values[first : first + size] for name, values in table.items()}
        began, used = time.perf_counter(), time.process_time()
        score(rows)
        wall.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.process_time() - used))
    wall, cpu = wall[-calls:], cpu[-calls:]
    high = statistics.quantiles(wall, n=100)[98] if calls >= 100 else max(wall)
    return {"median_ms": statistics.median(wall), "p99_ms": high, "cpu_ms": statistics.median(cpu)}


def measure(repeats: int) -> Iterator[Row]:
    """The two sides taking turns."""
    for repeat in range(-1, repeats):
        for side in SIDES if repeat % 2 else SIDES[::-1]:
            found = run("scoring", [side, "1" if repeat < 0 else "0"])
            if repeat >= 0:
                yield from rows_of("scoring", "30 features, logistic", side, repeat, found)


def main(words: list[str]) -> None:
    """``SIDE SHORT``: all sizes once."""
    table = columns(1)
    score = scorer(words[0], table)
    sizes = {1: 100} if words[1] == "1" else SIZES
    found = {}
    for size, calls in sizes.items():
        fewer = calls if words[0] == "gpupipe" else max(calls // 5, 5)
        found[f"{size} rows"] = timed(score, table, size, fewer)
    tell(found)


if __name__ == "__main__":
    main(sys.argv[1:])
