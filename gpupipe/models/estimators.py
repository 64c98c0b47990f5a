"""The estimators there are: the rows of each family, collected. A new model is a new row in its family's module,
and a form if none of those there fits.

Rows are found by class name and module, so nothing here imports their libraries.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from gpupipe.errors import UnsupportedEstimatorError, nearest
from gpupipe.models.families import (
    bayes,
    boosting,
    catboost_models,
    centroids,
    cluster,
    forests,
    isolation,
    lightgbm_models,
    linear_models,
    neighbours,
    network,
    plain_models,
    skops_models,
    staged,
    svm,
    xgb,
)
from gpupipe.models.families.committees import COMMITTEES, committee, is_committee
from gpupipe.models.families.rows import Row
from gpupipe.models.families.wrappers import WRAPPERS, wrapped, wrapper_of
from gpupipe.models.forms.member import MAX_DEPTH

ROWS: tuple[Row, ...] = (
    *linear_models.ROWS,
    *plain_models.ROWS,
    *forests.ROWS,
    *staged.ROWS,
    *boosting.ROWS,
    *bayes.ROWS,
    *cluster.ROWS,
    *isolation.ROWS,
    *svm.ROWS,
    *neighbours.ROWS,
    *centroids.ROWS,
    *network.ROWS,
    *skops_models.ROWS,
    *xgb.ROWS,
    *lightgbm_models.ROWS,
    *catboost_models.ROWS,
)

_BY_NAME = {row.name: row for row in ROWS}

_WRAPPERS = {
    "Pipeline": "gpupipe.Pipeline has the steps before the model as features; give the last step alone.",
    "GridSearchCV": "Put the gpupipe Pipeline into the search, not the search into the Pipeline.",
    "RandomizedSearchCV": "Put the gpupipe Pipeline into the search, not the search into the Pipeline.",
    "TransformedTargetRegressor": "Transform the target in its expression, and give the regressor alone.",
    "FrozenEstimator": "It was trained elsewhere, and gpupipe trains on the features; give the estimator it holds.",
}

# What is not in the table, and what in it does much the same.
_NEAREST = {
    "RadiusNeighborsClassifier": "KNeighborsClassifier",
    "RadiusNeighborsRegressor": "KNeighborsRegressor",
    "LabelPropagation": "KNeighborsClassifier",
    "LabelSpreading": "KNeighborsClassifier",
    "SelfTrainingClassifier": "LogisticRegression",
    "LocalOutlierFactor": "IsolationForest",
    "IsotonicRegression": "HistGradientBoostingRegressor with monotonic_cst",
    **dict.fromkeys(("GaussianMixture", "BayesianGaussianMixture", "Birch", "BisectingKMeans"), "KMeans"),
    **dict.fromkeys(("DBSCAN", "HDBSCAN", "OPTICS", "AgglomerativeClustering", "SpectralClustering"), "KMeans"),
    "AffinityPropagation": "MeanShift",
    **dict.fromkeys(("NMF", "MiniBatchNMF", "SparsePCA", "MiniBatchSparsePCA", "DictionaryLearning"), "PCA"),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSSVD"), "PLSRegression"),
    **dict.fromkeys(("Isomap", "LocallyLinearEmbedding", "SpectralEmbedding", "TSNE", "MDS"), "KernelPCA"),
    "SparseRandomProjection": "GaussianRandomProjection",
    "UMAP": "PCA",
}
_SEEN = "It places the rows it was trained on, and no others. "
_WHY = {
    **dict.fromkeys(("DBSCAN", "HDBSCAN", "OPTICS", "AgglomerativeClustering", "SpectralClustering"), _SEEN),
    **dict.fromkeys(("SpectralEmbedding", "TSNE", "MDS"), _SEEN),
    "UMAP": "It places a new row by a random search among all rows it was trained on. ",
}


def describe(estimator: Any) -> Row:
    """The row of an estimator object, `accepts_nan` settled for its parameters.

    Args:
        estimator: an object of any of these libraries, fitted or not; it is not changed.

    Raises:
        UnsupportedEstimatorError: a class, a wrapper, a subclass, or anything not in the table.

    >>> from sklearn.linear_model import Ridge
    >>> row = describe(Ridge())
    >>> row.kind, row.form, row.dtype, row.accepts_nan
    ('regressor', 'linear', 'float64', False)
    """
    wrapper = wrapper_of(estimator)
    if wrapper is not None:
        return _not_too_deep(wrapped(estimator, wrapper, describe))
    if is_committee(estimator):
        return _not_too_deep(committee(estimator, describe))
    kind = type(estimator)
    row = _BY_NAME.get(kind.__name__)
    if row is None or not f"{kind.__module__}.".startswith(f"{row.module}."):
        raise _unsupported(estimator)
    if row.refuses_nan is not None and row.refuses_nan(estimator):
        return replace(row, accepts_nan=False)
    if row.accepts_nan and hasattr(estimator, "__sklearn_tags__"):  # older forests: not with every criterion
        return replace(row, accepts_nan=bool(estimator.__sklearn_tags__().input_tags.allow_nan))
    return row


def row_at(path: str) -> Row:
    """The row of a plain estimator by where users import it from.

    >>> row_at("sklearn.ensemble.RandomForestClassifier").form
    'trees'
    """
    return next(row for row in ROWS if row.path == path)


def takers_of_nan(name: str) -> str:
    """A hint of the models that take nulls, of the kind of the one named; of another's name, classifiers.

    >>> takers_of_nan("Ridge").split(", ")[-1]
    'CatBoostRegressor)'
    """
    kind = _BY_NAME[name].kind if name in _BY_NAME else "classifier"
    found = [row.name for row in ROWS if row.accepts_nan and row.kind == kind]
    return f", or a model that takes nulls ({', '.join(found)})" if found else ""


@cache
def refusers_of_nan() -> frozenset[str]:
    """Where those are imported from that take no nulls."""
    return frozenset(row.path for row in ROWS if not row.accepts_nan)


def _not_too_deep(row: Row) -> Row:
    if row.depth > MAX_DEPTH:
        raise UnsupportedEstimatorError(f"{row.name} holds estimators more than {MAX_DEPTH} deep. Take one off.")
    return row


def _unsupported(estimator: Any) -> UnsupportedEstimatorError:
    if isinstance(estimator, type):
        found = f"The class {estimator.__name__} was given"
        return UnsupportedEstimatorError(f"{found}, not an estimator. Give an object: {estimator.__name__}().")
    kind = type(estimator)
    found = f"{kind.__module__.partition('.')[0]}'s {kind.__name__} is no estimator gpupipe can keep as data"
    parents = [base.__name__ for base in kind.__mro__[1:] if base.__name__ in _BY_NAME]
    if kind.__name__ in _WRAPPERS:
        hint = _WRAPPERS[kind.__name__]
    elif kind.__module__.partition(".")[0] == "cuml" and kind.__name__ in _BY_NAME:
        hint = (
            f"Give {_BY_NAME[kind.__name__].path}, with its parameters as scikit-learn calls them: where there is a "
            "GPU, cuML's class is trained in its place."
        )
    elif kind.__name__ in _NEAREST:
        hint = f"{_WHY.get(kind.__name__, '')}The nearest there is: {_NEAREST[kind.__name__]}."
    elif parents:
        hint = f"It extends {parents[0]}, and what it changes could not be saved; give a {parents[0]} itself."
    elif hasattr(estimator, "estimator") or hasattr(estimator, "estimators"):
        hint = "It wraps other estimators; give one of these alone."
    else:
        guess = nearest(kind.__name__, _BY_NAME)
        hint = guess if guess.startswith("Did") else ""
    known = len({*_BY_NAME, *WRAPPERS, *COMMITTEES})
    return UnsupportedEstimatorError(
        f"{found}. {hint}{hint and ' '}docs/estimators.md lists the {known} that are supported."
    )
