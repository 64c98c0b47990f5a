"""Links of classifiers whose raw outputs are not one a class: pairs of classes, nearness and scores, and so on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks, pairs
from gpupipe.models.forms.link import CLASSIFIER, FROM_ZERO, Floats, Link, identity, pair, shares, softmax


def _of_decisions(function: Callable[[Floats], NDArray[Any]]) -> Callable[[Floats], NDArray[Any]]:
    return lambda raw: function(pairs.split(raw)[0])


def _of_probabilities(raw: Floats) -> Floats:
    return pairs.split(raw)[1]


def _best_scored(decisions: Floats) -> NDArray[Any]:
    return pairs.against_rest(decisions).argmax(axis=1)


def _above_zero(decisions: Floats) -> NDArray[Any]:
    return (decisions[:, 0] > 0).astype(np.intp)


def _from_zero(decisions: Floats) -> NDArray[Any]:
    return (decisions[:, 0] > FROM_ZERO).astype(np.intp)


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
        CLASSIFIER,
        (4, 0),
        probabilities=(lambda raw: softmax(_discriminant(raw))) if discriminant else None,
        scored=_likelihood_ratio if discriminant else by,
        chosen=lambda raw: by(raw).argmax(axis=1),
        n_classes=_halves,
    )


def _rest_shares(raw: Floats) -> Floats:
    """Each class's probability against the rest, divided by their sum; a row of zeros stays one, as in scikit-learn."""
    if raw.shape[1] == 1:
        return pair(raw[:, 0])
    nothing = ~raw.any(axis=1)
    found = shares(raw.copy(), empty=1.0)
    found[nothing] = 0.0
    return found


def _rest_chosen(raw: Floats) -> NDArray[Any]:
    scores = _nearness(raw)
    return _above_zero(scores) if scores.shape[1] == 1 else scores.argmax(axis=1)


def _rest_classes(n_outputs: int) -> int:
    return max(2, _halves(n_outputs))


# Classifiers of two classes, each class against the rest or against one other (models/forms/multiclass.py)
MULTICLASS = {
    "rest_shares": Link(CLASSIFIER, (1, 0), _rest_shares, threshold=0.5, scores=False),
    "rest_both": Link(
        CLASSIFIER,
        (2, 0),
        lambda raw: _rest_shares(_discriminant(raw)),
        scored=_nearness,
        chosen=_rest_chosen,
        n_classes=_rest_classes,
    ),
    "pair_votes": Link(CLASSIFIER, (1, 1), threshold=0.5),
}

CENTROIDS = {
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


SAID = Link(CLASSIFIER, (3, 0), _all_shares, scores=False, chosen=_said, n_classes=_all_but_one)

_PAIRS: dict[str, Any] = {"kinds": CLASSIFIER, "n_classes": pairs.classes_of_pairs}
_COUPLED: dict[str, Any] = {
    "kinds": CLASSIFIER,
    "n_classes": pairs.classes_of_coupled,
    "probabilities": _of_probabilities,
}
_DECISIONS = _of_decisions(identity)
# Support vector machines decide between pairs of classes; coupled_*: the outputs hold probabilities too.
ONE_AGAINST_ONE: dict[str, Link] = {
    "pairs": Link(outputs=(3, 0), chosen=pairs.votes, **_PAIRS),
    "votes": Link(outputs=(3, 0), chosen=pairs.votes, scored=pairs.against_rest, **_PAIRS),
    "broken_ties": Link(outputs=(3, 0), chosen=_best_scored, scored=pairs.against_rest, **_PAIRS),
    "coupled_margin": Link(outputs=(3, 3), chosen=_of_decisions(_from_zero), scored=_DECISIONS, **_COUPLED),
    "coupled_pairs": Link(outputs=(6, 0), chosen=_of_decisions(pairs.votes), scored=_DECISIONS, **_COUPLED),
    "coupled_votes": Link(
        outputs=(6, 0), chosen=_of_decisions(pairs.votes), scored=_of_decisions(pairs.against_rest), **_COUPLED
    ),
    "coupled_broken_ties": Link(
        outputs=(6, 0), chosen=_of_decisions(_best_scored), scored=_of_decisions(pairs.against_rest), **_COUPLED
    ),
}
