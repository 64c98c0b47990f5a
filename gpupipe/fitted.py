"""What a fitted pipeline can do: score, transform, be judged, and be saved."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpupipe.arguments import named_arguments
from gpupipe.artifact import pipeline as artifact
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.compiler.plan import Plan
from gpupipe.errors import ParameterError, UnavailableError
from gpupipe.expr.expr import as_column
from gpupipe.expr.node import show
from gpupipe.judged import JudgedPipeline
from gpupipe.models.contract import configured_output, if_the_model_does, not_fitted
from gpupipe.models.fitted import Model
from gpupipe.runtime.given import scan_as
from gpupipe.runtime.inputs import Inputs, rows_as_table
from gpupipe.runtime.out import Out, predictions_to, quarantine_at, refuse_both, written
from gpupipe.runtime.progress import Shown
from gpupipe.runtime.quarantine import scanned
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.score import (
    passing,
    prediction_names,
    predictions,
    probability_names,
    scores,
    scores_each,
    transformed_as,
)
from gpupipe.runtime.seen.lineage import transformed_by
from gpupipe.runtime.update import KeptState
from gpupipe.schema import require_columns
from gpupipe.sources import kinds
from gpupipe.sources.source import Source


class FittedPipeline(JudgedPipeline):
    """What a pipeline does once it is fitted: score, transform, judge, be saved. `gpupipe.Pipeline` adds the fit.

    Attributes:
        model_: the trained model as data; None without one.
        classes_: a classifier's labels, sorted; of several targets a list of them.

    >>> import gpupipe as gp
    >>> from sklearn.linear_model import LogisticRegression
    >>> table = {"x": [1, 2, 8, 9], "bought": ["no", "no", "yes", "yes"]}
    >>> fitted = gp.Pipeline([gp.col("x")], target="bought", model=LogisticRegression()).fit(table)
    >>> fitted.predict({"x": [0, 7]}, output="numpy").tolist(), fitted.predict_proba({"x": 0}, output="numpy").shape
    (['no', 'yes'], (1, 2))
    >>> fitted.score(table), fitted.evaluate(table).to_dict()["metrics"]["recall"]["value"]
    (1.0, 1.0)
    """

    key: str | None
    groups: Any
    _inputs: Inputs
    _kept_state = KeptState()
    model_: Model | None
    classes_: Any

    def _fitted(self) -> artifact.Fit:
        fit: artifact.Fit | None = self.__dict__.get("_fit")
        if fit is None:
            raise not_fitted("This pipeline is not fitted yet. Call fit(data), or gpupipe.load(path) a saved one.")
        return fit

    @property
    def plan_(self) -> Plan:
        """What was planned for the data of the fit: schema, features, statistics and scans."""
        return self._fitted().features.plan

    def __sklearn_is_fitted__(self) -> bool:
        return "_fit" in self.__dict__

    @property
    def together(self) -> str | None:
        """The column whose equal values a split keeps together: the key, else a ranker's groups; None: neither is set.

        Raises:
            ParameterError: the groups are computed, so they are in no column.
        """
        fit: artifact.Fit | None = self.__dict__.get("_fit")
        key = self.key or (None if fit is None else fit.notes.get("key"))
        if isinstance(key, str) or self.groups is None:
            return key if isinstance(key, str) else None
        groups = as_column(self.groups)
        if groups.op != "col":
            raise ParameterError(
                f"A split keeps rows of one group together, and the groups {show(groups)} are in no column. "
                "Split beforehand, or give the data such a column."
            )
        return str(groups["name"])

    @named_arguments
    def scan(self, data: Any, *, target: bool = False) -> Source:
        """Rows to score: as `gpupipe.scan` gives them, except that CSV is read in the types of the fit.

        Rows may be dicts too, one or a list of them; an array's columns are those of the fit, by place.

        Args:
            target: whether the target and weights are wanted too, for `evaluate`.

        Raises:
            ColumnNotFoundError: a column that features need is missing.
            ShapeError: an array of another number of columns than the fit's.
            EmptyDataError: an empty list.
        """
        plan = self.plan_
        wanted = plan.fit_columns if target else plan.columns
        rows = self._inputs.by_name(rows_as_table(data, plan.schema, wanted), plan.columns)
        source = scan_as(rows, plan.schema.select(wanted))
        require_columns(plan.columns, [*source.schema, *source.refused], "which the features need")
        return source

    # -- using --------------------------------------------------------------------------------------------------
    @named_arguments
    def transform(
        self,
        X: Any,
        *,
        output: str | None = None,
        out: Out | None = None,
        overwrite: bool = False,
        on_bad_partition: str = "raise",
        progress: Shown = False,
    ) -> Any:
        """The features of `X` (with a PCA or k-means model: its components or distances).

        Gives the kind that came in: NumPy, CuPy, pandas, Polars, cuDF, else a ``pyarrow.Table``; `output` overrides.

        Args:
            out: where they are written instead, a few partitions at a time: a float32 array of shape (rows, features),
                a ``numpy.memmap`` too, which is given back; or the path of a Parquet file; or of a folder, one that is
                there or ends in a slash, which gets a file a partition. Paths give the number of rows.
            overwrite: replace results of another pipeline or other rows in the folder; else they are refused, and the
                same ones gone on with.
            on_bad_partition: "quarantine" leaves out of a folder what cannot be read: `last_report_` and the manifest
                tell what.
            progress: as for `fit`.

        Raises:
            ShapeError, TypeMismatchError: `out` has another shape; float32 does not hold a feature as it is.
            RunChangedError: the folder holds other results.

        >>> import gpupipe as gp
        >>> fitted = gp.Pipeline([gp.col("x") / gp.col("x").max()]).fit({"x": [2.0, 4.0]})
        >>> fitted.transform({"x": [1.0]})["x"].to_pylist()
        [0.25]
        """
        features = self._fitted().features
        with self._heard(progress):
            quarantine = quarantine_at(out, on_bad_partition)
            rows = passing(scanned(self.scan, X, quarantine), features)
            return self._given_back(features, rows, X, output, out, overwrite=overwrite, quarantine=quarantine)

    def _given_back(
        self, features: FittedFeatures, rows: Rows, X: Any, output: str | None, out: Out | None, **how: Any
    ) -> Any:
        refuse_both(output, out)
        model, names = self.model_ if self._makes_components() else None, [*map(str, self.get_feature_names_out())]
        if out is None:
            found = transformed_as(self._kind(X, output), features, rows, kinds.index_of(X), model, names)
        else:
            found = written(out, features, rows, names, model, fit=self._fitted(), **how)
        return found if isinstance(found, int) else transformed_by(self._fitted().learned_from, found, rows.source, X)

    def _makes_components(self) -> bool:
        return self.model_ is not None and self.model_.kind in ("transformer", "clusterer")

    @if_the_model_does
    @named_arguments
    def predict(self, X: Any, *, output: str | None = None, progress: Shown = False) -> Any:
        """Labels, numbers or cluster numbers, in the kind that came in; a table has the column `prediction`.

        With several targets an array of shape (rows, targets), or a table with a column `prediction_TARGET` for each.
        """
        kind, model = self._kind(X, output, of="predict"), self._model()
        if model.targets is None or kind in kinds.ARRAYS:
            return kinds.array_as(kind, "prediction", self._scores(X, "predict", progress), kinds.index_of(X))
        found = self._scores_each(X, "each", progress)
        return kinds.arrays_as(kind, prediction_names(model), found, kinds.index_of(X))

    @if_the_model_does
    @named_arguments
    def predict_proba(self, X: Any, *, output: str | None = None, progress: Shown = False) -> Any:
        """Class probabilities of shape (rows, classes), columns as `classes_`.

        For pandas and Polars a NumPy array, as scikit-learn's scorers expect, and for cuDF one of CuPy, unless `output`
        says otherwise. With several targets a list of arrays, or a table with columns `probability_TARGET_LABEL`.
        """
        found = self._scores_each(X, "proba_each", progress)
        kind, model = self._kind(X, output, of="predict_proba"), self._model()
        kind = kinds.kind_of_probabilities(kind) if output is None else kind
        if model.targets is None:
            return kinds.matrix_as(kind, [str(label) for label in self.classes_], found[0], kinds.index_of(X))
        if kind in kinds.ARRAYS:
            return [kinds.array_in(kind, each) for each in found]
        return kinds.matrix_as(kind, probability_names(model), np.concatenate(found, axis=1), kinds.index_of(X))

    @named_arguments
    def predictions(
        self,
        X: Any,
        keep: Sequence[str] = (),
        *,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        on_bad_partition: str = "raise",
        progress: Shown = False,
    ) -> Any:
        """What ``gpupipe predict`` writes, an Arrow table a partition: predictions and probabilities, `keep` before.

        Args:
            out: where they are written instead, as for `transform`: a Parquet file, or a folder of them. That gives the
                number of rows.
            overwrite: as for `transform`.
            on_bad_partition: as for `transform`.
            progress: as for `fit`.

        >>> fitted.predictions("new/*.parquet", keep=["customer"], out="scores/")  # doctest: +SKIP
        1000000
        """
        fit, quarantine = self._fitted(), quarantine_at(out, on_bad_partition)
        source = scanned(self.scan, X, quarantine)
        if out is None:
            return self._heard_later(progress, lambda: predictions(fit, source, keep))
        with self._heard(progress):
            return predictions_to(out, fit, source, keep, overwrite=overwrite, quarantine=quarantine)

    @if_the_model_does
    @named_arguments
    def decision_function(self, X: Any) -> Values:
        """A classifier's raw scores, as NumPy."""
        return self._scores(X, "decision_function")

    def _model(self) -> Model:
        model = self._fitted().model
        if model is None:
            raise UnavailableError("This pipeline was fitted without a model. Fit it again with the model set.")
        return model

    def _scores(self, X: Any, method: str, progress: Shown = False) -> Values:
        features = self._fitted().features
        with self._heard(progress):
            return scores(features, self._model(), passing(self.scan(X), features), method)

    def _scores_each(self, X: Any, method: str, progress: Shown = False) -> list[Values]:
        features = self._fitted().features
        with self._heard(progress):
            return scores_each(features, self._model(), passing(self.scan(X), features), method)

    def _kind(self, X: Any, output: str | None, of: str = "transform") -> str:
        everywhere = configured_output() if of == "transform" else None
        chosen = output or self.__dict__.get("_sklearn_output_config", {}).get(of) or everywhere
        return kinds.kind_of(X) if chosen in (None, "default") else kinds.checked_kind(chosen)

    # -- keeping ------------------------------------------------------------------------------------------------
    @named_arguments
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Save as an artifact: data alone, no code, in one step; gives its digest. What `keep_state` kept goes beside.

        Raises:
            ArtifactExistsError: something stands there.
            StorageError: the disk is full, failing, or may not be written to; what stood there stands.
            NotFittedError: there is nothing to save yet.

        >>> digest = fitted.save("churn.gpp", overwrite=True)  # doctest: +SKIP
        """
        return self._kept_state.save(self._fitted(), path, overwrite=overwrite)

    def state_digest(self) -> str:
        """SHA-256 of the features' expressions, schema and learned values; the model has a digest of its own."""
        return self._fitted().digest()

    def get_feature_names_out(self, input_features: Any = None) -> Values:
        """The names of what `transform` gives, as an array of str objects: features, or components such as pca0.

        Args:
            input_features: the columns that the fit was given, which are checked and change nothing.

        Raises:
            ShapeError: other columns than those of the fit.
        """
        features, model = self._fitted().features, self.model_
        if input_features is not None:
            self._inputs.check(list(input_features))
        if not self._makes_components() or model is None:
            return np.array(features.names, dtype=object)
        name = model.estimator.rpartition(".")[2].lower()
        return np.array([f"{name}{at}" for at in range(model.body.n_outputs)], dtype=object)
