"""What raw outputs mean, by name: what a saved model names its link by."""

from gpupipe.models.forms.link import (
    CLASSIFIER,
    FROM_ZERO,
    Floats,
    Link,
    boosted_votes,
    double_sigmoid,
    exponential,
    given,
    identity,
    modified_huber,
    one_vs_all,
    one_vs_rest,
    sigmoid,
    signed_square,
    softmax,
    softplus,
)
from gpupipe.models.forms.many_links import CENTROIDS, MULTICLASS, ONE_AGAINST_ONE, SAID

__all__ = ["LINKS", "Floats", "Link", "identity"]

LINKS: dict[str, Link] = {
    "sigmoid": Link(CLASSIFIER, (1, 1), sigmoid),
    "sigmoid_from_zero": Link(CLASSIFIER, (1, 1), sigmoid, threshold=FROM_ZERO),
    "softmax": Link(CLASSIFIER, (2, 0), softmax),
    "one_vs_rest": Link(CLASSIFIER, (2, 0), one_vs_rest),
    "modified_huber": Link(CLASSIFIER, (1, 0), modified_huber),
    "margin": Link(CLASSIFIER, (1, 0)),  # no probabilities: a linear support vector machine
    "margin_from_zero": Link(CLASSIFIER, (1, 1), threshold=FROM_ZERO),  # one of LIBSVM's
    "given": Link(CLASSIFIER, (1, 0), given, threshold=0.5, scores=False),
    "one_vs_all": Link(CLASSIFIER, (2, 0), one_vs_all, shares=False),
    "identity": Link(("regressor", "ranker"), (1, 1), mean=identity),
    "exp": Link(("regressor",), (1, 1), mean=exponential),
    "expit": Link(("regressor",), (1, 1), mean=one_vs_all),
    "softplus": Link(("regressor",), (1, 1), mean=softplus),
    "signed_square": Link(("regressor",), (1, 1), mean=signed_square),
    "double_sigmoid": Link(CLASSIFIER, (1, 1), double_sigmoid, threshold=FROM_ZERO),
    "boosted_votes": Link(CLASSIFIER, (1, 0), boosted_votes),
    "inlier": Link(("outlier_detector",), (1, 1), threshold=FROM_ZERO),
    "inlier_above_zero": Link(("outlier_detector",), (1, 1)),
    **ONE_AGAINST_ONE,
    **CENTROIDS,
    **MULTICLASS,
    "shares_and_code": SAID,
    "none": Link(("clusterer", "transformer"), (1, 0), scores=False),
}
