"""The table of estimators' column "on partitions": what trains without a matrix of all rows, and with which parameters.

Rows are found by where users import the estimator from, so nothing here imports its library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpupipe import optional
from gpupipe.errors import ModelOptionError, ParameterError, TrainingError, UnsupportedEstimatorError
from gpupipe.optional import later

if TYPE_CHECKING:
    from gpupipe.models.estimators import describe
    from gpupipe.models.families.rows import Row
else:
    (describe,) = later("gpupipe.models.estimators", "describe")

TRAININGS = (None, "partitions", "gather")

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Way:
    """How an estimator is trained on partitions.

    Attributes:
        by: in words.
        refused: its parameters to those, written as in a call, that it cannot be trained so with.
        only: what it learns the same with, in words.
        same_bits: whether any layout of the rows gives the same bits.
        on_gpus: whether the GPUs of a cluster train it, together, and nothing else does; then every parameter that
            one GPU has not is refused as well, and so are weights and several targets.
    """

    by: str
    refused: Callable[[Params], list[str]] = lambda params: []
    only: str = ""
    same_bits: bool = True
    on_gpus: bool = False


def _given(params: Params, *allowed: tuple[str, Callable[[Any], bool]]) -> list[str]:
    return [f"{name}={params[name]!r}" for name, is_fine in allowed if name in params and not is_fine(params[name])]


def _linear(params: Params) -> list[str]:
    return _given(params, ("positive", lambda given: not given))


_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")


def _logistic(params: Params) -> list[str]:
    return _given(
        params,
        ("penalty", lambda given: given in ("l2", None, "deprecated")),
        ("l1_ratio", lambda given: given in (None, 0)),
        ("solver", lambda given: given in _SOLVERS),
        ("dual", lambda given: not given),
        ("warm_start", lambda given: not given),
        ("multi_class", lambda given: given in ("auto", "deprecated", "multinomial")),
    )


def _is_seed(given: Any) -> bool:
    return given is None or (isinstance(given, int | np.integer) and bool(given >= 0))


def _clusters(params: Params) -> list[str]:
    return _given(
        params,
        ("init", lambda given: not callable(given)),
        ("random_state", _is_seed),
    )


def _components(params: Params) -> list[str]:
    return _given(
        params,
        ("svd_solver", lambda given: given in ("auto", "full", "covariance_eigh")),
        ("n_components", lambda given: given != "mle"),
    )


def _one_alpha(params: Params) -> list[str]:
    return _given(params, ("alpha", lambda given: np.ndim(given) == 0))


def _xgboost(params: Params) -> list[str]:
    return _given(params, ("tree_method", lambda given: given in (None, "auto", "hist")))


def _forest(params: Params) -> list[str]:
    """What cuml.dask has not, or not put together, and one GPU has; and what scikit-learn does not put together."""
    if params.get("bootstrap"):
        given = params.get("class_weight")
        return [] if given is None else [f"class_weight={given!r} and bootstrap=True"]
    unsampled = _given(params, ("max_samples", lambda given: given is None), ("oob_score", lambda given: not given))
    return [f"{each} and bootstrap=False" for each in unsampled]


_COUNTS, _NOT_POSITIVE = "sums by class", "`positive`: False"
_ON_GPUS = "what [a GPU](#on-a-gpu) has; no weights, one target"
_BY_GPUS = "cuml.dask, by the GPUs of a cluster together; on them its bits hang"
_HIST = "`tree_method`: 'hist', 'auto', None; `eval_metric`: no function"
WAYS: dict[str, Way] = {
    "sklearn.linear_model.LinearRegression": Way("covariances", _linear, _NOT_POSITIVE),
    "sklearn.linear_model.Ridge": Way("covariances", _linear, _NOT_POSITIVE),
    "sklearn.linear_model.LogisticRegression": Way(
        "Newton's method or L-BFGS, a trip a step", _logistic, "penalty l2 or none; any `solver` but liblinear"
    ),
    "sklearn.decomposition.PCA": Way(
        "covariances", _components, "`svd_solver`: 'auto', 'full', 'covariance_eigh'; `n_components`: any but 'mle'"
    ),
    "sklearn.cluster.KMeans": Way(
        "Lloyd's iterations, a trip each", _clusters, "`init`: no function; `random_state`: a number, None (as 0)"
    ),
    "sklearn.naive_bayes.GaussianNB": Way(_COUNTS),
    "sklearn.naive_bayes.MultinomialNB": Way(_COUNTS),
    "sklearn.naive_bayes.ComplementNB": Way(_COUNTS),
    "sklearn.naive_bayes.BernoulliNB": Way(_COUNTS, _one_alpha, "`alpha`: one number"),
    **{
        f"xgboost.{name}": Way("XGBoost's data iterator, or xgboost.dask", _xgboost, _HIST, same_bits=False)
        for name in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")
    },
    **{
        f"sklearn.ensemble.{name}": Way(_BY_GPUS, _forest, only, same_bits=False, on_gpus=True)
        for name, only in (
            ("RandomForestClassifier", f"{_ON_GPUS}; `class_weight` with `bootstrap=False` alone"),
            ("RandomForestRegressor", _ON_GPUS),
        )
    },
}


def way_of(estimator: Any) -> "tuple[Row, Way]":
    """How an estimator is trained on partitions.

    Raises:
        UnsupportedEstimatorError: it cannot be.
        ModelOptionError: not with these parameters.

    >>> from sklearn.naive_bayes import GaussianNB
    >>> way_of(GaussianNB())[1].by
    'sums by class'
    """
    row = describe(estimator)
    way = WAYS.get(row.path)
    if way is None or row.inner is not None or row.depth:
        raise UnsupportedEstimatorError(f"{row.name} cannot be trained on partitions. {remedies()}")
    wrong = way.refused(estimator.get_params(deep=False))
    if way.on_gpus:
        wrong = [*optional.load("gpupipe.models.gpu.places").refused_parameters(row, estimator), *wrong]
    if wrong:
        raise ModelOptionError(
            f"training='partitions' was asked for, and {row.name} is not trained so with {', '.join(wrong)}. Leave "
            "that out, or give training='gather', which trains it on a matrix of all rows in this process."
        )
    return row, way


def remedies() -> str:
    """What can be trained on partitions, and what to do with what cannot."""
    anywhere, on_gpus = (
        ", ".join(path.rpartition(".")[2] for path, way in WAYS.items() if way.on_gpus == there)
        for there in (False, True)
    )
    return (
        f"These can: {anywhere}; on a cluster of GPUs, gp.cluster('cuda'), also {on_gpus}. Give one of them, or "
        "training='gather', which trains on a matrix of all rows in this process."
    )


def refuse_beside(row: "Row", way: Way, *, weights: bool, targets: int) -> None:
    """What is declared beside an estimator that GPUs train together, who take no weights and one target.

    Raises:
        ModelOptionError: weights, or several targets.
    """
    if way.on_gpus and (weights or targets > 1):
        what, takes = ("weights", "takes none") if weights else (f"{targets} targets", "learns one")
        raise ModelOptionError(
            f"training='partitions' was asked for, and {row.name} is not trained so with {what}: cuml.dask's {takes}. "
            "Leave that out, or give training='gather', which trains it on a matrix of all rows in this process."
        )


def without_gpus(row: "Row", way: Way, why: str) -> UnsupportedEstimatorError:
    """The error of an estimator that the GPUs of a cluster train together, where there are none.

    Args:
        why: there are none; a sentence.
    """
    return UnsupportedEstimatorError(
        f"training='partitions' trains {row.name} by {way.by.partition(',')[0]}, on a cluster of GPUs alone. {why} Fit "
        f"on one: gp.cluster('cuda'), or one joined that has them. {remedies()}"
    )


def check_training(training: Any) -> None:
    """Raise ParameterError unless it is one of `TRAININGS`."""
    if training not in TRAININGS or isinstance(training, bool):
        raise ParameterError(f"training={training!r} is none of None, 'partitions' and 'gather'.")


def refuse_invalid(row: "Row", clone: Any) -> None:
    """What its library refuses as it fits, such as a negative penalty.

    Raises:
        TrainingError: a parameter makes no sense.
    """
    if not hasattr(clone, "_parameter_constraints"):
        return
    try:
        clone._validate_params()
    except ValueError as error:
        raise TrainingError(f"{row.path} refused to train: {error}") from error
