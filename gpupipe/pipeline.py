"""`Pipeline`: declared once, fitted, judged, saved, and scored with."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gpupipe.artifact import pipeline as artifact
from gpupipe.backends.backend import backend_for
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.compiler.expand import flatten
from gpupipe.compiler.explain import Explanation
from gpupipe.compiler.plan import Plan
from gpupipe.errors import NotFittedError, ParameterError
from gpupipe.evaluation.judge import judged
from gpupipe.evaluation.report import Evaluation
from gpupipe.expr.expr import Expr
from gpupipe.models.contract import SklearnContract
from gpupipe.models.fitted import Model
from gpupipe.runtime.explained import explained
from gpupipe.runtime.fit import Declared, run_fit
from gpupipe.runtime.given import GIVEN_TARGET, GIVEN_WEIGHT, name_of, one_of, scan_as, source_of, validation_of
from gpupipe.runtime.progress import Progress, progress_for
from gpupipe.runtime.report import Report
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.score import passing, predictions, scores, transformed, transformed_matrix
from gpupipe.sources.kinds import array_as, checked_kind, columns_as, index_of, kind_of, labels_array, matrix_as
from gpupipe.sources.source import Source


class Pipeline(SklearnContract):
    """Features, a target and a model, declared once.

    Args:
        features: expressions (lists of them nest); selectors expand against the data's schema.
        target: what the model learns; an expression, or a column's name. Or give ``fit(X, y)``.
        model: a scikit-learn or XGBoost estimator object, which is never changed; None only transforms.
        weights: row weights, for the model and the metrics; statistics are unweighted.
        key: the column whose values say which rows belong together (folds, splits); else a row's position does.
        device: ``"auto"``, ``"cpu"``, or ``"reference"``, the slow oracle.

    Attributes (after the fit):
        features_: the fitted features as a pipeline without the model: it transforms, saves, and can be shared.
        model_: the trained model as data; None without one.
        classes_: a classifier's labels, sorted.
        report_: what the fit did.

    >>> import gpupipe as gp
    >>> pipeline = gp.Pipeline([gp.col("x").fill_null("mean").standardize()])
    >>> pipeline.fit_transform({"x": [1.0, None, 3.0]}).column("x").to_pylist()
    [-1.2247449159622192, 0.0, 1.2247449159622192]
    """

    def __init__(
        self,
        features: Any,
        target: Any = None,
        model: Any = None,
        *,
        weights: Any = None,
        key: str | None = None,
        device: str = "auto",
    ) -> None:
        self.features = features
        self.target = target
        self.model = model
        self.weights = weights
        self.key = key
        self.device = device

    _loaded_model: str | None = None

    # -- fitting ------------------------------------------------------------------------------------------------
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        validation: Any = None,
        progress: bool | Progress | None = False,
    ) -> Self:
        """Learn the features' statistics and train the model; gives the pipeline itself.

        Args:
            X: whatever `gpupipe.scan` takes.
            y: the target's values, where the pipeline declares no target; `X` must be in memory.
            sample_weight: weights, where the pipeline declares none.
            validation: rows for a model that stops early: as `X`, or (X, y), or (X, y, sample_weight).
            progress: True for lines on stderr, None for a terminal only.

        Raises:
            PlanError: what was declared does not fit the data's schema; nothing has been read.
            DataError: a value or file that the plan cannot take.
            ModelError: the estimator cannot be used, or refused.
        """
        self._run(X, y, sample_weight, validation, progress)
        return self

    def _run(self, X: Any, y: Any, sample_weight: Any, validation: Any, progress: bool | Progress | None) -> Rows:
        if self._loaded_model is not None and self.model is None:
            raise ParameterError(
                f"This pipeline was loaded with its {self._loaded_model}, not the estimator object itself. "
                "Declare it again with model= to fit it."
            )
        declared, source = self._declared(y, sample_weight), self._source(X, y, sample_weight)
        held = None if validation is None else validation_of(validation, y, self.key)
        outcome = run_fit(declared, source, held, backend_for(self.device), progress_for(progress))
        self._keep(outcome.fit)
        self.report_: Report = outcome.report
        return outcome.rows

    def fit_transform(self, X: Any, y: Any = None, *, sample_weight: Any = None, output: str | None = None) -> Any:
        """Fit, and give the training rows' features: out-of-fold values where an operator keeps folds."""
        rows = self._run(X, y, sample_weight, None, False)
        training, kind = self._fitted().features.for_training(), self._kind(X, output)
        if self._makes_components():
            return self._components(training, rows, kind, X)
        return self._transformed(training, rows, kind, X)

    def _keep(self, fit: artifact.Fit) -> None:
        self._fit = fit
        self.features_: Pipeline = self
        if fit.model is not None:
            self.features_ = Pipeline(self.features, self.target, device=self.device)
            self.features_._keep(replace(fit, model=None))
        self.model_: Model | None = fit.model
        self.__dict__.pop("classes_", None)
        if fit.model is not None and fit.model.classes is not None:
            self.classes_ = labels_array(fit.model.classes)
        self.n_features_in_ = len(fit.features.plan.columns)

    def _declared(self, y: Any, sample_weight: Any) -> Declared:
        target = one_of("target", self.target, y, GIVEN_TARGET)
        weights = one_of("weights", self.weights, sample_weight, GIVEN_WEIGHT)
        return Declared(flatten(self.features), target, weights, self.model, self.key, name_of(y))

    def _source(self, X: Any, y: Any = None, sample_weight: Any = None) -> Source:
        return source_of(X, y, sample_weight, self.key)

    def _fitted(self) -> artifact.Fit:
        fit: artifact.Fit | None = self.__dict__.get("_fit")
        if fit is None:
            raise NotFittedError("This pipeline is not fitted yet. Call fit(data), or gpupipe.load(path) a saved one.")
        return fit

    @property
    def plan_(self) -> Plan:
        """What was planned for the data of the fit: schema, features, statistics and scans."""
        return self._fitted().features.plan

    def __sklearn_is_fitted__(self) -> bool:
        return "_fit" in self.__dict__

    # -- planning -----------------------------------------------------------------------------------------------
    def explain(self, data: Any) -> Explanation:
        """What a fit on `data` would do: scans, columns, bytes, groups, device. Only metadata are read.

        Raises:
            PlanError: what was declared does not fit the schema.
        """
        return explained(self._declared(None, None), self._source(data), self.device)

    def scan(self, data: Any, *, target: bool = False) -> Source:
        """Rows to score: as `gpupipe.scan` gives them, except that CSV is read in the types of the fit.

        Args:
            target: whether the target and weights are wanted too, for `evaluate`.
        """
        plan = self.plan_
        return scan_as(data, plan.schema.select(plan.fit_columns if target else plan.columns))

    # -- using --------------------------------------------------------------------------------------------------
    def transform(self, X: Any, *, output: str | None = None) -> Any:
        """The features of `X` (with a PCA or k-means model: its components or distances).

        Gives the kind that came in: NumPy, pandas, Polars, else a ``pyarrow.Table``; `output` overrides.
        """
        features, kind = self._fitted().features, self._kind(X, output)
        rows = passing(self.scan(X), features)
        if self._makes_components():
            return self._components(features, rows, kind, X)
        return self._transformed(features, rows, kind, X)

    def _makes_components(self) -> bool:
        return self.model_ is not None and self.model_.kind in ("transformer", "clusterer")

    def _components(self, features: FittedFeatures, rows: Rows, kind: str, X: Any) -> Any:
        values = scores(features, self.model_, rows, lambda model, matrix: model.transform(matrix))
        return matrix_as(kind, list(self.get_feature_names_out()), values, index_of(X))

    def predict(self, X: Any, *, output: str | None = None) -> Any:
        """Labels, numbers or cluster numbers, in the kind that came in; a table has the column `prediction`."""
        values = self._scores(X, lambda model, matrix: model.predict(matrix))
        return array_as(self._kind(X, output), "prediction", values, index_of(X))

    def predict_proba(self, X: Any, *, output: str | None = None) -> Any:
        """Class probabilities of shape (rows, classes), columns as `classes_`.

        For pandas a NumPy array, as scikit-learn's scorers expect, unless ``output="pandas"``.
        """
        values = self._scores(X, lambda model, matrix: model.predict_proba(matrix))
        kind = self._kind(X, output)
        kind = "numpy" if kind == "pandas" and output is None else kind
        return matrix_as(kind, [str(label) for label in self.classes_], values, index_of(X))

    def predictions(self, X: Any) -> Iterator[pa.Table]:
        """What ``gpupipe predict`` writes: for each partition an Arrow table of predictions and probabilities."""
        return predictions(self._fitted(), self.scan(X))

    def decision_function(self, X: Any) -> Values:
        """A classifier's raw scores, as NumPy."""
        return self._scores(X, lambda model, matrix: model.decision_function(matrix))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R² of a regressor."""
        found = self._judged(X, y, sample_weight, ())
        name = "accuracy" if found.kind == "classifier" else "r2"
        return float(found.to_dict()["metrics"][name]["value"])

    def evaluate(
        self, data: Any, y: Any = None, *, by: str | Iterable[str] = (), sample_weight: Any = None
    ) -> Evaluation:
        """Metrics with 95 % intervals beside a trivial baseline, on the whole and by slices.

        Args:
            data: rows with the target, not those of the fit.
            by: columns to slice by.
        """
        return self._judged(data, y, sample_weight, [by] if isinstance(by, str) else list(by))

    def _judged(self, data: Any, y: Any, sample_weight: Any, by: Sequence[str]) -> Evaluation:
        return judged(self._fitted(), self._source(data, y, sample_weight), by)

    def _scores(self, X: Any, score: Callable[[Model, Values], Values]) -> Values:
        fit = self._fitted()
        if fit.model is None:
            raise ParameterError("This pipeline has no model. Use transform, or give Pipeline(model=…).")
        return scores(fit.features, fit.model, passing(self.scan(X), fit.features), score)

    def _transformed(self, features: FittedFeatures, rows: Rows, kind: str, X: Any) -> Any:
        if kind == "numpy" and features.fits_float32:
            return transformed_matrix(features, rows)
        return columns_as(kind, features.names, transformed(features, rows), index_of(X))

    def _kind(self, X: Any, output: str | None) -> str:
        chosen = output or self.__dict__.get("_output")
        return kind_of(X) if chosen in (None, "default") else checked_kind(chosen)

    # -- keeping ------------------------------------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Save as an artifact: data alone, no code, published in one step; gives its digest.

        Raises:
            ArtifactExistsError: something stands there.
            NotFittedError: there is nothing to save yet.
        """
        return self._fitted().save(path, overwrite=overwrite)

    def state_digest(self) -> str:
        """SHA-256 of the features' expressions, schema and learned values; the model has a digest of its own."""
        return self._fitted().digest()

    def get_feature_names_out(self, input_features: Any = None) -> Values:
        """The names of what `transform` gives, as an array of str objects: features, or components such as pca0."""
        features, model = self._fitted().features, self.model_
        if not self._makes_components() or model is None:
            return np.array(features.names, dtype=object)
        name = model.estimator.rpartition(".")[2].lower()
        return np.array([f"{name}{at}" for at in range(model.body.n_outputs)], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """The kind `transform` gives from now on: "arrow", "numpy", "pandas", "polars", or "default"."""
        if transform is not None:
            self._output = transform if transform == "default" else checked_kind(transform)
        return self


def load(path: str | os.PathLike[str], *, device: str = "auto") -> Pipeline:
    """The pipeline saved at `path`, ready to predict; its estimator object is not kept, so it cannot be fitted again.

    Raises:
        ArtifactError: any of its kinds.
    """
    fit = artifact.load(path, device)
    features = [Expr(feature.source) for feature in fit.features.plan.features]
    weights = None if fit.weights is None else Expr(fit.weights)
    pipeline = Pipeline(features, None if fit.target is None else Expr(fit.target), weights=weights, device=device)
    pipeline._keep(fit)
    pipeline._loaded_model = None if fit.model is None else fit.model.estimator
    return pipeline
