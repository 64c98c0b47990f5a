"""Each measure of a sample with its interval, or with the reason why it has no value."""

import math
from typing import Any, TypeAlias

import numpy as np

from gpupipe.evaluation import intervals
from gpupipe.evaluation.grouped import Ranked, measure_ranked, reasons_ranked
from gpupipe.evaluation.metrics import CLASSIFIER, REGRESSOR, Classification, Regression
from gpupipe.evaluation.ranking import effective_size
from gpupipe.evaluation.report import Metric

Values = np.ndarray[Any, Any]
Sample: TypeAlias = Classification | Regression | Ranked


def measure(
    sample: Sample, weights: Values, ids: Values | None, labels: list[Any] | None, seed: int
) -> dict[str, Metric]:
    """Every measure of `sample`, in a fixed order.

    Shares (accuracy, and of two classes precision and recall) have Wilson's interval, with Kish's effective
    number of the rows in their denominator when those are weighted; ROC AUC has DeLong's; all others the
    middle 95 % of `intervals.REPLICATES` Poisson bootstrap replicates, which draw rows, or a ranking's groups.

    Args:
        weights: float64 (rows,).
        ids: uint64 (rows,), the rows' identities; None: no intervals.
        labels: a classifier's classes, for messages.
    """
    if isinstance(sample, Ranked):
        return measure_ranked(sample, weights, ids, seed)
    reasons = reasons_for(sample, labels)
    if not weights.any():
        return {name: Metric(None, reason="all weights are 0") for name in reasons}
    values = {name: float(value[0]) for name, value in sample.values(weights[None]).items()}
    closed = _closed_intervals(sample, weights, values)
    known = {name for name in reasons if not math.isnan(values.get(name, math.nan))}
    found = {} if ids is None else {**_bootstrap(sample, weights, ids, known - closed.keys(), seed), **closed}
    return {
        name: Metric(values[name], *found.get(name, (None, None)))
        if name in known
        else Metric(None, reason=reason)
        for name, reason in reasons.items()
    }


def reasons_for(sample: Sample, labels: list[Any] | None) -> dict[str, str]:
    """Every measure there is for such a sample, and what it means if it is undefined."""
    if isinstance(sample, Ranked):
        return reasons_ranked(sample)
    if isinstance(sample, Regression):
        return dict.fromkeys(REGRESSOR, "") | {"r2": "the target is constant"}
    positive = repr(labels[1]) if labels and len(labels) == 2 else "any class"
    reasons = {
        "balanced_accuracy": "only one class occurs",
        "precision": f"no row is predicted as {positive}",
        "recall": f"no row is {positive}",
        "f1": f"no row is, or is predicted as, {positive}",
        "log_loss": "the model gives no probabilities",
        "brier": "the model gives no probabilities",
        "roc_auc": "not every class occurs",
        "pr_auc": "not every class occurs" if sample.n_classes > 2 else f"no row is {positive}",
    }
    return {name: reasons.get(name, "") for name in CLASSIFIER}


def _closed_intervals(
    sample: Classification | Regression, weights: Values, values: dict[str, float]
) -> dict[str, tuple[float, float]]:
    """The intervals that have a formula; `values` gains the ROC area."""
    if isinstance(sample, Regression):
        return {}
    area, errors, size = sample.roc_auc(weights)
    values["roc_auc"] = area
    found = {} if math.isnan(area) else {"roc_auc": intervals.delong(area, errors, size)}
    counted = {"accuracy": weights}
    if sample.n_classes == 2:
        counted |= {"precision": weights[sample.predicted == 1], "recall": weights[sample.true == 1]}
    for name, denominator in counted.items():
        if not math.isnan(values[name]):
            found[name] = intervals.wilson(values[name], effective_size(denominator))
    return found


def _bootstrap(
    sample: Classification | Regression, weights: Values, ids: Values, names: set[str], seed: int
) -> dict[str, tuple[float, float]]:
    if not names:
        return {}
    cells = 0
    # ranked beforehand, so that no draw must be brought into that order
    if isinstance(sample, Classification):
        order, cells = sample.rankings[0].order, sample.n_classes**2
        sample, weights, ids = sample.take(order), weights[order], ids[order]
    batches = [sample.values(counts * weights) for counts in intervals.draws(ids, seed, cells)]
    found = {}
    for name in sorted(names):
        middle = intervals.percentiles(np.concatenate([batch[name] for batch in batches]))
        if middle is not None:
            found[name] = middle
    return found
