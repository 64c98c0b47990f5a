"""A measure over the folds of a cross-validation: its mean, with a 95 % interval across the folds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.evaluation.report import Metric


@dataclass(frozen=True, slots=True)
class FoldMetric:
    """One measure over folds.

    Attributes:
        value: the plain mean over the folds, as scikit-learn's users take it; None where a fold has no value.
        low, high: mean ± t · deviation / √folds, with Student's t of folds - 1 degrees of freedom. The folds' models
            share most of their training rows, so that the interval is too narrow rather than too wide (Bengio and
            Grandvalet 2004: no estimate of the variance is free of bias).
        deviation: the standard deviation over the folds, with ddof=1.
        folds: the value of each fold; None where it has none.
        reason: why there is no mean.

    >>> FoldMetric.of({0: Metric(0.5), 1: Metric(0.7)}).value
    0.6
    """

    value: float | None
    low: float | None
    high: float | None
    deviation: float | None
    folds: tuple[float | None, ...]
    reason: str | None = None

    @classmethod
    def of(cls, metrics: Mapping[Any, Metric]) -> "FoldMetric":
        """The measure over folds, from that of each by its name."""
        values = tuple(metric.value for metric in metrics.values())
        missing = [f"fold {name!r}: {metric.reason}" for name, metric in metrics.items() if metric.value is None]
        if missing:
            reasons = {metric.reason or "" for metric in metrics.values()}
            return cls(None, None, None, None, values, "; ".join(reasons if len(reasons) == 1 else missing))
        known = np.array(values, np.float64)
        mean, deviation = float(known.mean()), float(known.std(ddof=1))
        half = t_quantile(len(known) - 1) * deviation / math.sqrt(len(known))
        return cls(mean, mean - half, mean + half, deviation, values)

    def to_dict(self) -> dict[str, Any]:
        """{"value", "low", "high", "deviation", "folds"}, and "reason" if there is no value."""
        found = {"value": self.value, "low": self.low, "high": self.high, "deviation": self.deviation}
        whole: dict[str, Any] = {**found, "folds": list(self.folds)}
        return whole if self.reason is None else {**whole, "reason": self.reason}


def across(names: Sequence[Any], each: Sequence[Mapping[str, Metric]]) -> dict[str, FoldMetric]:
    """Every measure over the folds `names`, of which `each` has those of one."""
    return {metric: FoldMetric.of({name: found[metric] for name, found in zip(names, each, strict=True)})
            for metric in each[0]}  # fmt: skip


def t_quantile(freedom: int) -> float:
    """The 0.975 quantile of Student's t with a whole number of degrees of freedom.

    The inverse, by bisection, of the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4.

    >>> round(t_quantile(4), 6), round(t_quantile(9), 6)
    (2.776445, 2.262157)
    """
    low, high = 0.0, 16.0
    while _within(freedom, high) < 0.95:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(freedom, middle) < 0.95 else (low, middle)
    return (low + high) / 2


def _within(freedom: int, t: float) -> float:
    """The probability that Student's t lies between -t and t."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for step in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (step - 1) / step
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
