"""Five folds × twenty penalties of ridge over a wide preprocessing: gpupipe and scikit-learn, on the same Parquet file.

The features: 30 number columns with a tenth of nulls (median, log1p, standardize) and 10 of text (one-hot). Jobs:

- ``fit``: one fit of the pipeline, and ``cross``: `gpupipe.cross_validate` of it with 20 penalties;
- ``trees``: the same features and gradient boosting, where each fold trains on a matrix of rows: ``fit`` and ``cross``;
- ``sklearn``: scikit-learn's fit, and ``cross_validate`` of the equal pipeline for one penalty (the time of twenty is
  told as twenty times it where `WHOLE` is not set).

``python -m benchmarks.crossval [ROWS] [REPEATS]`` prints a table.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import gpupipe as gp

from .measure import Clock, run, tell

ROWS, NUMBERS, WORDS, FOLDS = 1_000_000, 30, 10, 5
PENALTIES = np.logspace(-3, 4, 20).tolist()
NUMBER_NAMES, WORD_NAMES = [f"n{at}" for at in range(NUMBERS)], [f"w{at}" for at in range(WORDS)]


def made(rows: int) -> pa.Table:
    """Skewed numbers with a tenth of nulls, words of 3 to 40 values, and a target that hangs on some of them."""
    rng = np.random.default_rng(0)
    numbers = {name: np.exp(rng.normal(size=rows)).astype(np.float32) for name in NUMBER_NAMES}
    words = {name: rng.integers(0, 3 + 4 * at, rows) for at, name in enumerate(WORD_NAMES)}
    target = sum(np.log1p(numbers[name]) * (at % 5 - 2) for at, name in enumerate(NUMBER_NAMES))
    target = target + sum((words[name] == 1) * 0.5 for name in WORD_NAMES) + rng.normal(size=rows)
    columns: dict[str, Any] = {n: pa.array(v, mask=rng.random(rows) < 0.1) for n, v in numbers.items()}
    for name, codes in words.items():
        entries = pa.array([f"{name} {code}" for code in range(int(codes.max()) + 1)])
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), entries).cast(pa.string())
    return pa.table({**columns, "target": target})


def ours(model: Any) -> gp.Pipeline:
    """The pipeline of both of our jobs."""
    numbers = gp.cols(*NUMBER_NAMES).fill_null("median").log1p().standardize()
    return gp.Pipeline([numbers, gp.cols(*WORD_NAMES).one_hot()], target="target", model=model)


def theirs(model: Any) -> Any:
    """The equal pipeline of scikit-learn."""
    chain = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(ColumnTransformer([("n", chain, NUMBER_NAMES), ("w", words, WORD_NAMES)]), model)


def of_ours(path: str, model: Any, alphas: list[float] | None, clock: Clock) -> None:
    """One fit, then a cross-validation."""
    ours(model).fit(gp.scan(path))
    clock.lap("fit")
    found = gp.cross_validate(ours(model), gp.scan(path), folds=FOLDS, alphas=alphas)
    clock.lap("cross")
    print(found, file=sys.stderr)


def of_theirs(path: str, model: Any, _: Any, clock: Clock) -> None:
    """One fit from the file, then a cross-validation of one penalty from the frame."""
    frame = pd.read_parquet(path)
    theirs(model).fit(frame, frame["target"])
    clock.lap("fit")
    cross_validate(theirs(model), frame, frame["target"], cv=FOLDS, scoring=["neg_root_mean_squared_error", "r2"])
    clock.lap("cross")


JOBS: dict[str, tuple[Callable[[str, Any, Any, Clock], None], Any, list[float] | None]] = {
    "ridge": (of_ours, Ridge(), PENALTIES),
    "trees": (of_ours, HistGradientBoostingRegressor(max_iter=20), None),
    "sklearn ridge": (of_theirs, Ridge(), None),
    "sklearn trees": (of_theirs, HistGradientBoostingRegressor(max_iter=20), None),
}


def main(words: list[str]) -> None:
    """``JOB PATH``: one measurement; or ``[ROWS] [REPEATS]``: all of them, as a table."""
    if words and words[0] in JOBS:
        job, model, alphas = JOBS[words[0]]
        clock = Clock()
        clock.since_start("start")
        job(words[1], model, alphas, clock)
        tell(clock.phases)
        return
    rows, repeats = (int(word) for word in [*words, *map(str, (ROWS, 3)[len(words) :])])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "rows.parquet"))
        pq.write_table(made(rows), path, row_group_size=rows // 8)
        for name in JOBS:
            found = [run("crossval", [name, path]) for _ in range(repeats)]
            for phase in ("fit", "cross"):
                wall, cpu = (statistics.median(one[phase][what] for one in found) for what in ("wall", "cpu"))
                peak = statistics.median(one["process"]["peak"] for one in found)
                print(f"{name:<14} {phase:<6} {wall:8.2f} s wall {cpu:8.2f} s cpu {peak:8,.0f} MiB peak")


if __name__ == "__main__":
    main(sys.argv[1:])
