"""Held-out ROC AUC of the demos against the equal scikit-learn pipelines: same rows, same model, same split."""

import importlib
import sys
from collections.abc import Iterator

from sklearn.metrics import roc_auc_score

from gpupipe.examples import demo

from .features import SIDES, halves
from .measure import Clock, Row, rows_of, run, tell

# What plain scikit-learn pipelines reached before there was gpupipe, over another split of the same rows.
FLOORS = {"flights": 0.776, "churn": 0.844, "disease": 0.996}


def measure(repeats: int) -> Iterator[Row]:
    """Once each: quality does not depend on the machine."""
    for name in FLOORS:
        for side in SIDES:
            yield from rows_of("quality", name, side, 0, run("quality", [name, side]))


def main(words: list[str]) -> None:
    """``NAME SIDE``: one AUC."""
    name, side = words
    example = importlib.import_module(f"gpupipe.examples.{name}")
    train, test, target, truth = halves(example, example.prepare(demo.cache_folder(name)))
    clock = Clock()
    if side == SIDES[0]:
        scores = example.pipeline().fit(train).predict_proba(test)
    else:
        scores = example.reference().fit(train, target).predict_proba(test)
    clock.lap("fit and predict")
    found = float(roc_auc_score(truth, scores[:, 1]))
    tell({**clock.phases, "held out": {"roc_auc": found, "rows": len(truth), "floor": FLOORS[name]}})


if __name__ == "__main__":
    main(sys.argv[1:])
