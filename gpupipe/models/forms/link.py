"""From raw scores to what is reported: probabilities, decisions, means.

Every function works a row at a time in a fixed order of columns, with the exponential of our own kernels, so
that one row and a batch give the same bytes. Raw scores are float64 arrays of shape (rows, outputs); a binary
classifier has one output, the score of its second class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.kernels.reference import single
from gpupipe.kernels.reference.math import exp, log1p
from gpupipe.kernels.reference.math import sigmoid as logistic

Floats = NDArray[np.float64]

CLASSIFIER = ("classifier",)
FROM_ZERO = float(np.nextafter(0.0, -1.0))  # the threshold of those that decide for the second class at 0 already


def pair(second: Floats) -> Floats:
    """Probabilities of both classes from those of the second."""
    return np.stack([1.0 - second, second], axis=1)


def shares(parts: Floats, empty: float | None = None) -> Floats:
    """Each row divided by its sum, added in column order; where the sum is 0, the same share for all."""
    total = parts[:, 0].copy()
    for column in range(1, parts.shape[1]):
        total += parts[:, column]
    if empty is not None:
        nothing = total == 0.0
        parts[nothing] = empty
        total[nothing] = empty * parts.shape[1]
    return parts / total[:, None]


def sigmoid(raw: Floats) -> Floats:
    """Probabilities of a binary classifier from its score: 1 / (1 + exp(-score))."""
    if len(raw) == 1:
        second = single.sigmoid(raw[0, 0].item())
        return np.array([[1.0 - second, second]])
    return pair(logistic(np.ascontiguousarray(raw[:, 0])))


def softmax(raw: Floats) -> Floats:
    """exp(score) / sum of exp(scores), the largest score taken off first."""
    with np.errstate(invalid="ignore"):  # all scores -inf gives NaN, as in scikit-learn
        shifted = raw - raw.max(axis=1, keepdims=True)
    return shares(exp(shifted))


def one_vs_rest(raw: Floats) -> Floats:
    """A sigmoid a class, divided by their sum (scikit-learn's ``_predict_proba_lr``)."""
    return shares(logistic(np.ascontiguousarray(raw)), empty=1.0)


def modified_huber(raw: Floats) -> Floats:
    """(clip(score, -1, 1) + 1) / 2 (Zadrozny and Elkan 2002, as SGDClassifier has it)."""
    parts = (np.clip(raw, -1.0, 1.0) + 1.0) / 2.0
    return pair(parts[:, 0]) if raw.shape[1] == 1 else shares(parts, empty=1.0)


def given(raw: Floats) -> Floats:
    """The raw values are probabilities already."""
    return pair(raw[:, 0]) if raw.shape[1] == 1 else raw


def exponential(raw: Floats) -> Floats:
    """The mean under a log link."""
    return exp(raw)


def identity(raw: Floats) -> Floats:
    """The raw values as they are."""
    return raw


def double_sigmoid(raw: Floats) -> Floats:
    """The probabilities under AdaBoost's loss, whose score is half the log odds."""
    return sigmoid(2.0 * raw)


def boosted_votes(raw: Floats) -> Floats:
    """AdaBoost's probabilities (Zhu et al. 2009, SAMME): a softmax of the votes / (classes - 1)."""
    if raw.shape[1] == 1:
        return softmax(np.concatenate([-raw, raw], axis=1) / 2.0)
    return softmax(raw / (raw.shape[1] - 1))


def one_vs_all(raw: Floats) -> Floats:
    """A sigmoid a class, which need not add up to 1 (LightGBM's multiclassova, CatBoost's MultiClassOneVsAll)."""
    return logistic(np.ascontiguousarray(raw))


def softplus(raw: Floats) -> Floats:
    """log(1 + exp(score)), the mean under LightGBM's cross_entropy_lambda."""
    return log1p(exp(raw))


def signed_square(raw: Floats) -> Floats:
    """sign(score) * score², which undoes LightGBM's reg_sqrt."""
    return np.sign(raw) * raw * raw


def a_class_each(n_outputs: int) -> int:
    """One output a class, or one for two classes."""
    return max(2, n_outputs)


@dataclass(frozen=True)
class Link:
    """What the raw scores of a model mean.

    Attributes:
        kinds: of the models it is for.
        outputs: the fewest and the most raw outputs it can be given; 0 as most: any number.
        probabilities: raw scores to class probabilities of shape (rows, classes); None where there are none.
        mean: raw scores to a regression's prediction; None for classifiers.
        threshold: a binary score above it decides for the second class, an outlier detector's for no outlier.
        scores: whether there is what scikit-learn calls a decision function.
        scored: raw scores to that decision function; None where they are it.
        chosen: raw scores to the index of the class; None: the largest, or above the threshold.
        n_classes: the number of raw outputs to that of classes; -1 where no number of classes has so many.
        shares: whether a row's probabilities add up to 1.
    """

    kinds: tuple[str, ...]
    outputs: tuple[int, int]
    probabilities: Callable[[Floats], Floats] | None = None
    mean: Callable[[Floats], Floats] | None = None
    threshold: float = 0.0
    scores: bool = True
    scored: Callable[[Floats], Floats] | None = None
    chosen: Callable[[Floats], NDArray[Any]] | None = None
    n_classes: Callable[[int], int] = a_class_each
    shares: bool = True

    def decide(self, raw: Floats) -> NDArray[Any]:
        """The index of the class decided for in each row; ties go to the first class, as in scikit-learn.

        >>> Link(("classifier",), (1, 1)).decide(np.array([[0.0], [2.0]])).tolist()
        [0, 1]
        """
        if self.chosen is not None:
            return self.chosen(raw)
        if raw.shape[1] == 1:
            return (raw[:, 0] > self.threshold).astype(np.intp)
        return raw.argmax(axis=1)
