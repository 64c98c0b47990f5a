"""Scoring: a saved pipeline and rows in, predictions out. No Dask, and no scikit-learn for models kept as arrays."""

import os
from functools import cached_property
from typing import Any

from gpupipe.arguments import named_arguments
from gpupipe.artifact import pipeline as artifact
from gpupipe.backends.features import FittedFeatures
from gpupipe.backends.one_row import RowReader
from gpupipe.backends.rows import column_of, frame_of_rows
from gpupipe.columns import Values
from gpupipe.errors import ParameterError, UnavailableError
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import feature_matrix


class Scorer:
    """Scores rows given by a program: a dict of values, a list of dicts, a dict of lists, an Arrow table.

    Gives NumPy arrays. What it needs is what the model's form needs: arrays of ours nothing more, XGBoost's own models
    xgboost, those kept by skops scikit-learn and skops. For files, frames or an evaluation there is `gpupipe.load`.

    Attributes:
        features: the fitted features.
        model: the model, or None for a pipeline that only transforms.

    >>> Scorer.load("churn.gpp").predict_proba({"tenure": 3, "city": "Rome"})  # doctest: +SKIP
    array([[0.81, 0.19]])
    """

    def __init__(self, features: FittedFeatures, model: Model | None = None) -> None:
        if isinstance(features, str | os.PathLike):
            raise ParameterError(f"A scorer of an artifact is Scorer.load({os.fspath(features)!r}).")
        self.features, self.model = features, model

    @classmethod
    @named_arguments
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> "Scorer":
        """The scorer of a saved pipeline; its probe rows are scored again and must come out the same.

        Args:
            device: where features are computed: ``"cpu"``, ``"gpu"`` or ``"reference"``, all with the same bits.
                ``"auto"`` is the CPU: a few rows are done there before a GPU has started.

        Raises:
            ArtifactError: any of its kinds.
            DeviceError: the GPU was asked for, and cannot be used.
        """
        fit = artifact.load(path, "cpu" if device == "auto" else device)
        return cls(fit.features, fit.model)

    @named_arguments
    def matrix(self, rows: Any) -> Values:
        """The features of `rows`, float32 of shape (rows, features).

        Raises:
            ColumnNotFoundError: a column is missing.
            SchemaMismatchError: a value is not of its column's type.
            DataError: NaN in a feature, where the model takes none.

        >>> Scorer.load("churn.gpp").matrix([{"tenure": 3, "city": "Rome"}])  # doctest: +SKIP
        """
        frame = self._one.frame(rows, column_of)
        if frame is None:
            plan = self.features.plan
            frame = frame_of_rows(rows, plan.schema, plan.columns)
        return feature_matrix(self.features, self.model, frame)

    @cached_property
    def _one(self) -> RowReader:
        return RowReader(self.features.plan.schema, self.features.plan.columns)

    @named_arguments
    def predict(self, rows: Any) -> Values:
        """Predictions of shape (rows,): labels, numbers or cluster numbers; (rows, targets) of several targets."""
        return self._model().predict(self.matrix(rows))

    @named_arguments
    def predict_proba(self, rows: Any) -> Any:
        """Class probabilities, float64 of shape (rows, classes); a list of them, one for each of several targets."""
        return self._model().predict_proba(self.matrix(rows))

    def _model(self) -> Model:
        if self.model is None:
            raise UnavailableError("This pipeline has no model; it only transforms. Use matrix().")
        return self.model

    def __repr__(self) -> str:
        model = "no model" if self.model is None else self.model.estimator
        return f"Scorer({len(self.features.names)} features, {model})"
