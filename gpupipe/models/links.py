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

from gpupipe.kernels.reference.math import exp, log1p
from gpupipe.kernels.reference.math import sigmoid as logistic
from gpupipe.models import checks, pairs

Floats = NDArray[np.float64]


def _pair(second: Floats) -> Floats:
    return np.stack([1.0 - second, second], axis=1)


def _shares(parts: Floats, empty: float | None = None) -> Floats:
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
    return _pair(logistic(np.ascontiguousarray(raw[:, 0])))


def softmax(raw: Floats) -> Floats:
    """exp(score) / sum of exp(scores), the largest score taken off first."""
    with np.errstate(invalid="ignore"):  # all scores -inf gives NaN, as in scikit-learn
        shifted = raw - raw.max(axis=1, keepdims=True)
    return _shares(exp(shifted))


def one_vs_rest(raw: Floats) -> Floats:
    """A sigmoid a class, divided by their sum (scikit-learn's ``_predict_proba_lr``)."""
    return _shares(logistic(np.ascontiguousarray(raw)), empty=1.0)


def modified_huber(raw: Floats) -> Floats:
    """(clip(score, -1, 1) + 1) / 2 (Zadrozny and Elkan 2002, as SGDClassifier has it)."""
    parts = (np.clip(raw, -1.0, 1.0) + 1.0) / 2.0
    return _pair(parts[:, 0]) if raw.shape[1] == 1 else _shares(parts, empty=1.0)


def given(raw: Floats) -> Floats:
    """The raw values are probabilities already."""
    return _pair(raw[:, 0]) if raw.shape[1] == 1 else raw


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


def _of_decisions(function: Callable[[Floats], NDArray[Any]]) -> Callable[[Floats], NDArray[Any]]:
    return lambda raw: function(pairs.split(raw)[0])


def _of_probabilities(raw: Floats) -> Floats:
    return pairs.split(raw)[1]


def _best_scored(decisions: Floats) -> NDArray[Any]:
    return pairs.against_rest(decisions).argmax(axis=1)


def _above_zero(decisions: Floats) -> NDArray[Any]:
    return (decisions[:, 0] > 0).astype(np.intp)


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
        threshold: a binary score above it decides for the second class.
        scores: whether there is what scikit-learn calls a decision function.
        scored: raw scores to that decision function; None where they are it.
        chosen: raw scores to the index of the class; None: the largest, or above the threshold.
        n_classes: the number of raw outputs to that of classes; 0 where no number of classes has so many.
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

        >>> LINKS["sigmoid"].decide(np.array([[0.0], [2.0]])).tolist()
        [0, 1]
        """
        if self.chosen is not None:
            return self.chosen(raw)
        if raw.shape[1] == 1:
            return (raw[:, 0] > self.threshold).astype(np.intp)
        return raw.argmax(axis=1)


_CLASSIFIER = ("classifier",)


def _halves(n_outputs: int) -> int:
    return n_outputs // 2 if n_outputs % 2 == 0 else -1


def _nearness(raw: Floats) -> Floats:
    return raw[:, : raw.shape[1] // 2]


def _discriminant(raw: Floats) -> Floats:
    return raw[:, raw.shape[1] // 2 :]


def _likelihood_ratio(raw: Floats) -> Floats:
    scores = _discriminant(raw)
    return scores[:, 1:] - scores[:, :1] if scores.shape[1] == 2 else scores


def _by_centroid(by: Callable[[Floats], Floats], discriminant: bool) -> Link:
    """Decides for the largest output that `by` gives; with a discriminant there are probabilities."""
    return Link(
        _CLASSIFIER,
        (4, 0),
        probabilities=(lambda raw: softmax(_discriminant(raw))) if discriminant else None,
        scored=_likelihood_ratio if discriminant else by,
        chosen=lambda raw: by(raw).argmax(axis=1),
        n_classes=_halves,
    )


def _rest_shares(raw: Floats) -> Floats:
    """Each class's probability against the rest, divided by their sum; a row of zeros stays one, as in scikit-learn."""
    if raw.shape[1] == 1:
        return _pair(raw[:, 0])
    nothing = ~raw.any(axis=1)
    found = _shares(raw.copy(), empty=1.0)
    found[nothing] = 0.0
    return found


def _rest_chosen(raw: Floats) -> NDArray[Any]:
    scores = _nearness(raw)
    return _above_zero(scores) if scores.shape[1] == 1 else scores.argmax(axis=1)


def _rest_classes(n_outputs: int) -> int:
    return max(2, _halves(n_outputs))


# Classifiers of two classes, each class against the rest or against one other (models/multiclass.py)
_MULTICLASS = {
    "rest_shares": Link(_CLASSIFIER, (1, 0), _rest_shares, threshold=0.5, scores=False),
    "rest_both": Link(
        _CLASSIFIER,
        (2, 0),
        lambda raw: _rest_shares(_discriminant(raw)),
        scored=_nearness,
        chosen=_rest_chosen,
        n_classes=_rest_classes,
    ),
    "pair_votes": Link(_CLASSIFIER, (1, 1), threshold=0.5),
}

_CENTROIDS = {
    "nearest": _by_centroid(_nearness, True),
    "likeliest": _by_centroid(_discriminant, True),
    "nearest_only": _by_centroid(_nearness, False),
    "likeliest_only": _by_centroid(_discriminant, False),
}


def _all_but_one(n_outputs: int) -> int:
    return n_outputs - 1


def _all_shares(raw: Floats) -> Floats:
    return raw[:, :-1]


def _said(raw: Floats) -> NDArray[Any]:
    codes = raw[:, -1]
    checks.require(bool(((codes >= 0) & (codes < raw.shape[1] - 1)).all()), "it decides for a class there is not")
    return codes.astype(np.intp)


_SAID = Link(_CLASSIFIER, (3, 0), _all_shares, scores=False, chosen=_said, n_classes=_all_but_one)

_PAIRS: dict[str, Any] = {"kinds": _CLASSIFIER, "n_classes": pairs.classes_of_pairs}
_COUPLED: dict[str, Any] = {
    "kinds": _CLASSIFIER,
    "n_classes": pairs.classes_of_coupled,
    "probabilities": _of_probabilities,
}
_DECISIONS = _of_decisions(identity)
# Support vector machines decide between pairs of classes; coupled_*: the outputs hold probabilities too.
_ONE_AGAINST_ONE: dict[str, Link] = {
    "pairs": Link(outputs=(3, 0), chosen=pairs.votes, **_PAIRS),
    "votes": Link(outputs=(3, 0), chosen=pairs.votes, scored=pairs.against_rest, **_PAIRS),
    "broken_ties": Link(outputs=(3, 0), chosen=_best_scored, scored=pairs.against_rest, **_PAIRS),
    "coupled_margin": Link(outputs=(3, 3), chosen=_of_decisions(_above_zero), scored=_DECISIONS, **_COUPLED),
    "coupled_pairs": Link(outputs=(6, 0), chosen=_of_decisions(pairs.votes), scored=_DECISIONS, **_COUPLED),
    "coupled_votes": Link(
        outputs=(6, 0), chosen=_of_decisions(pairs.votes), scored=_of_decisions(pairs.against_rest), **_COUPLED
    ),
    "coupled_broken_ties": Link(
        outputs=(6, 0), chosen=_of_decisions(_best_scored), scored=_of_decisions(pairs.against_rest), **_COUPLED
    ),
}

LINKS: dict[str, Link] = {
    "sigmoid": Link(_CLASSIFIER, (1, 1), sigmoid),
    "softmax": Link(_CLASSIFIER, (2, 0), softmax),
    "one_vs_rest": Link(_CLASSIFIER, (2, 0), one_vs_rest),
    "modified_huber": Link(_CLASSIFIER, (1, 0), modified_huber),
    "margin": Link(_CLASSIFIER, (1, 0)),  # no probabilities: a linear support vector machine
    "given": Link(_CLASSIFIER, (1, 0), given, threshold=0.5, scores=False),
    "one_vs_all": Link(_CLASSIFIER, (2, 0), one_vs_all, shares=False),
    "identity": Link(("regressor", "ranker"), (1, 1), mean=identity),
    "exp": Link(("regressor",), (1, 1), mean=exponential),
    "expit": Link(("regressor",), (1, 1), mean=one_vs_all),
    "softplus": Link(("regressor",), (1, 1), mean=softplus),
    "signed_square": Link(("regressor",), (1, 1), mean=signed_square),
    "double_sigmoid": Link(_CLASSIFIER, (1, 1), double_sigmoid),
    "boosted_votes": Link(_CLASSIFIER, (1, 0), boosted_votes),
    "inlier": Link(("outlier_detector",), (1, 1)),
    **_ONE_AGAINST_ONE,
    **_CENTROIDS,
    **_MULTICLASS,
    "shares_and_code": _SAID,
    "none": Link(("clusterer", "transformer"), (1, 0), scores=False),
}
