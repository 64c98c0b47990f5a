"""The measures, weighted, with scikit-learn's definitions; NaN where one is undefined.

Each is a function of weights of shape (sets, rows): one set for the value itself, many for the bootstrap.
What does not depend on the weights (losses, ranks, cells of the confusion matrix) is worked out once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.evaluation.ranking import Ranking, effective_size

Values = np.ndarray[Any, Any]

CLASSIFIER = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "log_loss",
    "brier",
    "roc_auc",
    "pr_auc",
)
REGRESSOR = ("rmse", "mae", "r2")


@dataclass(slots=True)
class Classification:
    """Rows with their classes and what a classifier says of them.

    Attributes:
        true: int64 (rows,): positions in the classes.
        scores: float64 (rows, classes): probabilities, or decision values where there are none.
        probabilities: whether `scores` are.
        predicted: int64 (rows,): the class of the highest score, the first of equals.
    """

    true: Values
    scores: Values
    probabilities: bool
    predicted: Values = field(init=False)
    rankings: dict[int, Ranking] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.predicted = np.argmax(self.scores, axis=1)

    @property
    def n_classes(self) -> int:
        return self.scores.shape[1]

    @property
    def ranked_classes(self) -> range:
        """The classes that are ranked against the rest: the second of two, else all."""
        return range(1, 2) if self.n_classes == 2 else range(self.n_classes)

    def ranking(self, k: int) -> Ranking:
        """The rows by the score of class `k`; made once."""
        if k not in self.rankings:
            self.rankings[k] = Ranking.of(self.scores[:, k], self.true == k)
        return self.rankings[k]

    def confusion(self, weights: Values) -> Values:
        """Weight by true and predicted class: float64 (sets, classes, classes) for weights (sets, rows)."""
        cells, sets = self.n_classes**2, len(weights)
        cell = self.true * self.n_classes + self.predicted
        index = (np.arange(sets)[:, None] * cells + cell).ravel()
        counted = np.bincount(index, weights.ravel(), minlength=sets * cells)
        return counted.reshape(sets, self.n_classes, self.n_classes)

    def losses(self) -> dict[str, Values]:
        """Each row's log loss and Brier score, float64 (rows,).

        Probabilities are kept 2^-52 away from 0 and 1, as scikit-learn does. The Brier score of two classes
        is the squared error of the second's probability; of more, the sum over the classes.
        """
        if not self.probabilities:
            return {}
        tiny = np.finfo(np.float64).eps
        given = np.take_along_axis(self.scores, self.true[:, None], axis=1)[:, 0]
        if self.n_classes == 2:
            brier = (self.scores[:, 1] - self.true) ** 2
        else:
            brier = np.sum(self.scores**2, axis=1) - given**2 + (1 - given) ** 2
        return {"log_loss": -np.log(np.clip(given, tiny, 1 - tiny)), "brier": brier}

    def values(self, weights: Values) -> dict[str, Values]:
        """Every measure but ROC AUC for each set of weights: name to float64 (sets,)."""
        found = {**from_confusion(self.confusion(weights)), **means(self.losses(), weights)}
        each = [self.ranking(k).average_precision(weights) for k in self.ranked_classes]
        return {**found, "pr_auc": np.mean(each, axis=0)}

    def roc_auc(self, weights: Values) -> tuple[float, Values, float]:
        """The ROC area (of more than two classes the mean, one against the rest), each row's error in it, and
        the effective size of the smallest group compared; for weights (rows,).
        """
        each = [self.ranking(k).roc_auc(weights) for k in self.ranked_classes]
        sizes = [effective_size(weights[self.true == k]) for k in range(self.n_classes)]
        area = float(np.mean([area for area, _ in each]))
        return area, np.mean([errors for _, errors in each], axis=0), min(sizes)


@dataclass(frozen=True, slots=True)
class Regression:
    """Rows with their target and a prediction, both float64 (rows,)."""

    true: Values
    predicted: Values

    def values(self, weights: Values) -> dict[str, Values]:
        """Every measure for each set of weights (sets, rows): name to float64 (sets,)."""
        error = self.predicted - self.true
        # The spread about each set's own mean, from values centred first so that nothing cancels.
        centred = self.true - np.average(self.true, weights=weights[0] if weights[0].any() else None)
        parts = {"square": error**2, "mae": np.abs(error), "mean": centred, "spread": centred**2}
        found = means(parts, weights)
        variance = found["spread"] - found["mean"] ** 2
        constant = np.ptp(self.true[weights.any(axis=0)]) == 0 if weights.any() else True
        known = (variance > 0) & (not constant)
        unexplained = np.divide(found["square"], variance, out=np.full(len(weights), np.nan), where=known)
        return {"rmse": np.sqrt(found["square"]), "mae": found["mae"], "r2": 1 - unexplained}


def from_confusion(cells: Values) -> dict[str, Values]:
    """Accuracy, balanced accuracy, precision, recall and F1 of confusion matrices (sets, true, predicted).

    Of two classes the second is the positive one; of more, precision, recall and F1 are the plain mean over
    the classes that occur or are predicted, where a class never predicted has precision 0, and one that does
    not occur recall 0. Balanced accuracy is the mean recall of the classes that occur; undefined for only
    one.

    >>> {k: float(v[0]) for k, v in from_confusion(np.array([[[2.0, 1.0], [0.0, 1.0]]])).items()}["precision"]
    0.5
    """
    hits = np.diagonal(cells, axis1=1, axis2=2)
    true, predicted = cells.sum(axis=2), cells.sum(axis=1)
    recall, precision, f1 = _ratio(hits, true), _ratio(hits, predicted), _ratio(2 * hits, true + predicted)
    occurs = true > 0
    balanced = _ratio(np.where(occurs, recall, 0.0).sum(axis=1), occurs.sum(axis=1))
    found = {
        "accuracy": _ratio(hits.sum(axis=1), true.sum(axis=1)),
        "balanced_accuracy": np.where(occurs.sum(axis=1) > 1, balanced, np.nan),
    }
    each = {"precision": precision, "recall": recall, "f1": f1}
    if cells.shape[1] == 2:
        return found | {name: values[:, 1] for name, values in each.items()}
    seen = true + predicted > 0
    return found | {
        name: _ratio(np.where(seen, np.nan_to_num(values), 0.0).sum(axis=1), seen.sum(axis=1))
        for name, values in each.items()
    }


def means(rows: Mapping[str, Values], weights: Values) -> dict[str, Values]:
    """The weighted mean of each array of `rows`, float64 (rows,), for each set of weights: name to
    (sets,)."""
    if not rows:
        return {}
    sums = weights @ np.column_stack(list(rows.values()))
    total = weights.sum(axis=1)
    return {name: _ratio(sums[:, i], total) for i, name in enumerate(rows)}


def _ratio(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
