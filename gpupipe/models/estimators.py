"""The estimators there are, one row each. A new model is a new row, and a form if none of those there fits.

Rows are found by class name and module, so nothing here imports scikit-learn or XGBoost.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from gpupipe.errors import UnsupportedEstimatorError, nearest
from gpupipe.models import bayes, boosting, cluster, linear, trees, xgb
from gpupipe.models.fitted import Kind


@dataclass(frozen=True)
class Row:
    """What the seam knows of an estimator class.

    Attributes:
        name: the class.
        module: where it lives; classes of other modules are not this one, whatever their name.
        kind: what it learns.
        form: the name of the form its fitted state is kept in.
        convert: a fitted estimator to (body of that form, name of the link from raw outputs).
        dtype: of the matrix it trains on: float64, or float32 where the library would convert to it anyway.
        accepts_nan: whether a null, which reaches it as NaN, is allowed.
        accepts_weights: whether `fit` takes sample_weight.
        early_stopping: how `fit` takes validation rows: "eval_set" (XGBoost), "X_val" (histogram gradient
            boosting), or None.
        prepare: changes or refuses parameters of the clone before it is fitted; gets the feature names.
        compare: the method whose result is compared with ours after training, for forms read from private
            parts.
    """

    name: str
    module: str
    kind: Kind
    form: str
    convert: Callable[[Any], tuple[Any, str]]
    dtype: Literal["float32", "float64"] = "float64"
    accepts_nan: bool = False
    accepts_weights: bool = True
    early_stopping: Literal["eval_set", "X_val"] | None = None
    prepare: Callable[[Any, list[str]], None] | None = None
    compare: str | None = None

    @property
    def path(self) -> str:
        """Where users import it from: ``sklearn.linear_model.Ridge``."""
        return f"{self.module}.{self.name}"

    @property
    def supervised(self) -> bool:
        """Whether it needs a target."""
        return self.kind in ("classifier", "regressor")


def _trees(name: str, kind: Kind, convert: Callable[[Any], tuple[Any, str]], **columns: Any) -> Row:
    compare = "predict_proba" if kind == "classifier" else "predict"
    columns = {"module": "sklearn.ensemble", "accepts_nan": True, "dtype": "float32", **columns}
    return Row(name, kind=kind, form="trees", convert=convert, compare=compare, **columns)


_LINEAR, _BAYES = "sklearn.linear_model", "sklearn.naive_bayes"
_HIST: dict[str, Any] = {"early_stopping": "X_val", "prepare": boosting.prepare}
_XGB: dict[str, Any] = {
    "dtype": "float32",
    "accepts_nan": True,
    "early_stopping": "eval_set",
    "prepare": xgb.prepare,
}

ROWS: tuple[Row, ...] = (
    Row("LinearRegression", _LINEAR, "regressor", "linear", linear.regression),
    Row("Ridge", _LINEAR, "regressor", "linear", linear.regression),
    Row("Lasso", _LINEAR, "regressor", "linear", linear.regression),
    Row("ElasticNet", _LINEAR, "regressor", "linear", linear.regression),
    Row("SGDRegressor", _LINEAR, "regressor", "linear", linear.regression),
    Row("LogisticRegression", _LINEAR, "classifier", "linear", linear.logistic),
    Row("SGDClassifier", _LINEAR, "classifier", "linear", linear.sgd_classifier),
    _trees("RandomForestClassifier", "classifier", trees.forest_classifier),
    _trees("RandomForestRegressor", "regressor", trees.forest_regressor),
    _trees("ExtraTreesClassifier", "classifier", trees.forest_classifier),
    _trees("ExtraTreesRegressor", "regressor", trees.forest_regressor),
    _trees("HistGradientBoostingClassifier", "classifier", boosting.hist_classifier, **_HIST),
    _trees("HistGradientBoostingRegressor", "regressor", boosting.hist_regressor, **_HIST),
    Row("GaussianNB", _BAYES, "classifier", "gaussian_bayes", bayes.gaussian),
    Row("MultinomialNB", _BAYES, "classifier", "linear", bayes.multinomial),
    Row("BernoulliNB", _BAYES, "classifier", "linear", bayes.bernoulli),
    Row("KMeans", "sklearn.cluster", "clusterer", "centres", cluster.k_means),
    Row("MiniBatchKMeans", "sklearn.cluster", "clusterer", "centres", cluster.k_means),
    Row(
        "PCA",
        "sklearn.decomposition",
        "transformer",
        "projection",
        cluster.principal_components,
        accepts_weights=False,
    ),
    Row("XGBClassifier", "xgboost", "classifier", "xgboost", xgb.classifier, **_XGB),
    Row("XGBRegressor", "xgboost", "regressor", "xgboost", xgb.regressor, **_XGB),
)

_BY_NAME = {row.name: row for row in ROWS}

_WRAPPERS = {
    "Pipeline": "gpupipe.Pipeline has the steps before the model as features; give the last step alone.",
    "GridSearchCV": "Put the gpupipe Pipeline into the search, not the search into the Pipeline.",
    "RandomizedSearchCV": "Put the gpupipe Pipeline into the search, not the search into the Pipeline.",
    "TransformedTargetRegressor": "Transform the target in its expression, and give the regressor alone.",
}


def describe(estimator: Any) -> Row:
    """The row of an estimator object, `accepts_nan` settled for its parameters.

    Args:
        estimator: a scikit-learn or XGBoost object, fitted or not; it is not changed.

    Raises:
        UnsupportedEstimatorError: a class, a wrapper, a subclass, or anything not in the table.

    >>> from sklearn.linear_model import Ridge
    >>> row = describe(Ridge())
    >>> row.kind, row.form, row.dtype, row.accepts_nan
    ('regressor', 'linear', 'float64', False)
    """
    kind = type(estimator)
    row = _BY_NAME.get(kind.__name__)
    if row is None or not f"{kind.__module__}.".startswith(f"{row.module}."):
        raise _unsupported(estimator)
    if row.accepts_nan and hasattr(estimator, "__sklearn_tags__"):  # older forests: not with every criterion
        return replace(row, accepts_nan=bool(estimator.__sklearn_tags__().input_tags.allow_nan))
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
    elif parents:
        hint = f"It extends {parents[0]}, and what it changes could not be saved; give a {parents[0]} itself."
    elif hasattr(estimator, "estimator") or hasattr(estimator, "estimators"):
        hint = "It wraps other estimators; give one of these alone."
    else:
        hint = nearest(kind.__name__, _BY_NAME)
    return UnsupportedEstimatorError(f"{found}. {hint} Supported: {', '.join(_BY_NAME)}.")
