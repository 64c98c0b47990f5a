"""The measures, weighted, with scikit-learn's definitions; NaN where one is undefined.

Each is a function of weights of shape (sets, rows): one set for the value itself, many for the bootstrap.
What does not depend on the weights (losses, ranks, cells of the confusion matrix) is worked out once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpupipe.evaluation.grouped import ratio
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

# Up to here the cells of a confusion matrix are summed with the losses in one product of matrices.
_FEW_CELLS = 25


@dataclass(frozen=True, eq=False)
class Classification:
    """Rows with their classes and what a classifier says of them.

    Attributes:
        true: int64 (rows,): positions in the classes.
        scores: float64 (rows, classes): probabilities, or decision values where there are none.
        probabilities: whether `scores` are.
        decided: int64 (rows,): the class the classifier decided for; None: that of the highest score.
    """

    true: Values
    scores: Values
    probabilities: bool
    decided: Values | None = None

    @property
    def n_classes(self) -> int:
        return self.scores.shape[1]

    def take(self, rows: Values) -> "Classification":
        """The rows at these positions."""
        decided = None if self.decided is None else self.decided[rows]
        return Classification(self.true[rows], self.scores[rows], self.probabilities, decided)

    @cached_property
    def predicted(self) -> Values:
        """int64 (rows,): the class decided for: where nothing else is said, that of the highest score, the first of
        equals."""
        return np.argmax(self.scores, axis=1) if self.decided is None else self.decided

    @cached_property
    def rankings(self) -> list[Ranking]:
        """The rows by the score of the second of two classes, or of each of more, against the rest."""
        ranked = range(1, 2) if self.n_classes == 2 else range(self.n_classes)
        return [Ranking.of(self.scores[:, k], self.true == k) for k in ranked]

    @cached_property
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

    @cached_property
    def cell(self) -> Values:
        """int64 (rows,): each row's cell of the confusion matrix, true class by predicted."""
        return self.true * self.n_classes + self.predicted

    @cached_property
    def sums(self) -> "Sums":
        """What is summed for a few classes: the cells, as zeros and ones, and the losses."""
        cells = {f"{i}": np.where(self.cell == i, 1.0, 0.0) for i in range(self.n_classes**2)}
        return Sums(cells | self.losses if len(cells) <= _FEW_CELLS else self.losses)

    def confusion(self, weights: Values) -> Values:
        """Weight by true and predicted class: float64 (sets, classes, classes) for weights (sets, rows)."""
        cells = self.n_classes**2
        counted = np.array([np.bincount(self.cell, row, cells) for row in weights])
        return counted.reshape(len(weights), self.n_classes, self.n_classes)

    def values(self, weights: Values) -> dict[str, Values]:
        """Every measure but ROC AUC for each set of weights: name to float64 (sets,)."""
        summed, cells = self.sums.of(weights), self.n_classes**2
        if cells <= _FEW_CELLS:
            shape = (self.n_classes, self.n_classes, len(weights))
            confusion = np.moveaxis(np.array([summed[f"{i}"] for i in range(cells)]).reshape(shape), 2, 0)
        else:
            confusion = self.confusion(weights)
        total = confusion.sum(axis=(1, 2))
        found = from_confusion(confusion) | {name: ratio(summed[name], total) for name in self.losses}
        return found | {"pr_auc": np.mean([r.average_precision(weights) for r in self.rankings], axis=0)}

    def roc_auc(self, weights: Values) -> tuple[float, Values, float]:
        """The ROC area (of more than two classes the mean, one against the rest), each row's error in it, and
        the effective size of the smallest group compared; for weights (rows,).
        """
        each = [ranking.roc_auc(weights) for ranking in self.rankings]
        sizes = [effective_size(weights[self.true == k]) for k in range(self.n_classes)]
        area = float(np.mean([area for area, _ in each]))
        return area, np.mean([errors for _, errors in each], axis=0), min(sizes)


@dataclass(frozen=True, eq=False)
class Regression:
    """Rows with their target and a prediction, both float64 (rows,)."""

    true: Values
    predicted: Values

    def take(self, rows: Values) -> "Regression":
        """The rows at these positions."""
        return Regression(self.true[rows], self.predicted[rows])

    @cached_property
    def sums(self) -> "Sums":
        """What is summed. The target is centred first, so that its spread about each set's mean does not
        cancel."""
        error, centred = self.predicted - self.true, self.true - np.mean(self.true)
        parts = {"one": np.ones(len(error)), "square": error**2, "absolute": np.abs(error)}
        return Sums({**parts, "centred": centred, "spread": centred**2})

    def values(self, weights: Values) -> dict[str, Values]:
        """Every measure for each set of weights (sets, rows): name to float64 (sets,)."""
        summed = self.sums.of(weights)
        square, absolute, centred, spread = (
            ratio(summed[name], summed["one"]) for name in ("square", "absolute", "centred", "spread")
        )
        counted = self.true[weights.any(axis=0)]
        variance = spread - centred**2 if len(counted) and np.ptp(counted) > 0 else np.zeros(len(weights))
        return {"rmse": np.sqrt(square), "mae": absolute, "r2": 1 - ratio(square, variance)}


class Sums:
    """Columns of numbers, side by side, and their weighted sums."""

    def __init__(self, columns: Mapping[str, Values]) -> None:
        self._names = list(columns)
        self._matrix = np.column_stack(list(columns.values())) if columns else None

    def of(self, weights: Values) -> dict[str, Values]:
        """Name to float64 (sets,), for weights (sets, rows)."""
        return {} if self._matrix is None else dict(zip(self._names, (weights @ self._matrix).T, strict=True))


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
    recall, precision, f1 = ratio(hits, true), ratio(hits, predicted), ratio(2 * hits, true + predicted)
    occurs = true > 0
    balanced = ratio(np.where(occurs, recall, 0.0).sum(axis=1), occurs.sum(axis=1))
    found = {
        "accuracy": ratio(hits.sum(axis=1), true.sum(axis=1)),
        "balanced_accuracy": np.where(occurs.sum(axis=1) > 1, balanced, np.nan),
    }
    each = {"precision": precision, "recall": recall, "f1": f1}
    if cells.shape[1] == 2:
        return found | {name: values[:, 1] for name, values in each.items()}
    seen = true + predicted > 0
    return found | {
        name: ratio(np.where(seen, np.nan_to_num(values), 0.0).sum(axis=1), seen.sum(axis=1))
        for name, values in each.items()
    }
