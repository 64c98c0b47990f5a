"""Rows ordered by a score once, for every measure that only looks at their order. Equal scores count as
ties."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows by descending score, and where runs of equal scores end.

    Attributes:
        positive: bool (rows,), in the rows' own order.
        order: int64 (rows,): the rows by descending score.
        run: int64 (rows,): the run of equal scores that each *place* of the order lies in.
        last: int64 (runs,): the last place of each run.
    """

    positive: Values
    order: Values
    run: Values
    last: Values

    @classmethod
    def of(cls, scores: Values, positive: Values) -> "Ranking":
        """Rank finite `scores`, float64 (rows,); `positive` is bool (rows,)."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        starts = np.append(True, ranked[1:] != ranked[:-1])
        last = np.flatnonzero(np.append(starts[1:], True))
        return cls(positive, order, np.cumsum(starts) - 1, last)

    def roc_auc(self, weights: Values) -> tuple[float, Values]:
        """The area under the ROC curve, and each row's share in its error; NaN where a class has no weight.

        The area is the weighted share of pairs (positive, negative) in which the positive has the higher
        score; ties count half. With V(i) the share of the other class that row i stands on the right side of,
        the variance of DeLong, DeLong and Clarke-Pearson (1988) is the sum of the squares of the errors
        returned: w(i) (V(i) - area) / (sum of w in i's class), times m/(m-1) under the square, m the class's
            effective
        size. All V come from one sort, as in Sun and Xu (2014).

        Args:
            weights: float64 (rows,).

        Returns:
            The area, and float64 (rows,) in the rows' own order.

        >>> Ranking.of(np.array([.9, .4, .4]), np.array([True, True, False])).roc_auc(np.ones(3))[0]
        0.75
        """
        ranked = self.positive[self.order]
        placed = weights[self.order]
        positives = np.bincount(self.run, np.where(ranked, placed, 0.0))
        negatives = np.bincount(self.run, np.where(ranked, 0.0, placed))
        above, below = np.cumsum(positives), np.cumsum(negatives[::-1])[::-1]
        total_positive, total_negative = above[-1], below[0]
        if total_positive <= 0 or total_negative <= 0:
            return np.nan, np.full(len(weights), np.nan)
        right_of_positive = (below - negatives / 2) / total_negative
        right_of_negative = (above - positives / 2) / total_positive
        area = float(np.sum(positives * right_of_positive) / total_positive)
        errors = np.empty(len(weights))
        errors[self.order] = placed * np.where(
            ranked,
            (right_of_positive[self.run] - area) / total_positive,
            (right_of_negative[self.run] - area) / total_negative,
        )
        for chosen in (self.positive, ~self.positive):
            size = effective_size(weights[chosen])
            errors[chosen] *= np.sqrt(size / (size - 1)) if size > 1 else np.nan
        return area, errors

    def average_precision(self, weights: Values) -> Values:
        """The area under the precision-recall curve as a sum of steps, for each set of weights; NaN where no
        positive has weight.

        Args:
            weights: float64 (sets, rows).

        Returns:
            float64 (sets,).

        >>> ranking = Ranking.of(np.array([.9, .8, .1]), np.array([True, False, True]))
        >>> ranking.average_precision(np.ones((1, 3)))
        array([0.83333333])
        """
        places, run_end, last_positive = self._positives
        if not len(places):
            return np.full(len(weights), np.nan)
        ordered = weights if _is_counting(self.order) else np.take(weights, self.order, axis=1)
        chosen = np.take(ordered, places, axis=1)
        true_positive = np.cumsum(chosen, axis=1)
        predicted = np.take(np.cumsum(ordered, axis=1), run_end, axis=1)
        hits = true_positive if _is_counting(last_positive) else np.take(true_positive, last_positive, axis=1)
        precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
        total = true_positive[:, -1]
        return np.divide(
            np.sum(chosen * precision, axis=1), total, out=np.full(len(total), np.nan), where=total > 0
        )

    @cached_property
    def _positives(self) -> tuple[Values, Values, Values]:
        """Of each positive: its place, the last place of its run, and the last positive of its run."""
        places = np.flatnonzero(self.positive[self.order])
        run_end = self.last[self.run[places]]
        return places, run_end, np.searchsorted(places, run_end, side="right") - 1


def effective_size(weights: Values) -> float:
    """How many equal weights carry as much information (Kish 1965): the square of the sum over the sum of
    squares.

    >>> effective_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    squares = float(np.sum(weights * weights))
    return float(np.sum(weights)) ** 2 / squares if squares > 0 else 0.0


def _is_counting(positions: Values) -> bool:
    return bool((positions == np.arange(len(positions))).all())
