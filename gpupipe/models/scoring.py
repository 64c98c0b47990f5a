"""From fitted features and a model to scores: one path for a fit's evaluation, a file, and a single row."""

import numpy as np

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.errors import DataError
from gpupipe.models.fitted import Model

_TAKES_NAN = ("trees", "oblivious", "isolation", "xgboost")


def takes_nan(model: Model) -> bool:
    """Whether the form a model is kept in has a place for NaN: trees do, sums do not."""
    return model.form in _TAKES_NAN


def feature_matrix(features: FittedFeatures, model: Model | None, frame: Frame) -> Values:
    """The float32 matrix a model scores, shape (rows, features).

    Raises:
        DataError: NaN in it, where the model takes none; it names the feature and what to do.
    """
    matrix = features.matrix(frame)
    if model is not None and not takes_nan(model):
        refuse_nan(matrix, features.names, model.estimator)
    return matrix


def refuse_nan(matrix: Values, names: list[str], who: str) -> None:
    """Raise DataError, naming the feature, where the matrix holds NaN or an infinity that `who` refuses."""
    # A sum tells in one pass whether there is anything to look for.
    if np.isfinite(matrix.sum(dtype=np.float64)):
        return
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return
    row, column = (int(index[0]) for index in np.nonzero(bad))
    others = int(bad[:, column].sum()) - 1
    raise DataError(
        f"The feature {names[column]!r} is {matrix[row, column]} in row {row} and {others:,} others; "
        f"{who} takes finite numbers alone. Give the feature .fill_null(…), or .nan_to_null().fill_null(…), or use a "
        "model that takes NaN (HistGradientBoosting, XGBoost)."
    )


def model_output(model: Model, matrix: Values) -> Values:
    """A model's numbers, float64 of shape (rows, outputs): probabilities, scores, predictions or components."""
    if model.kind == "transformer":
        return model.transform(matrix)
    if model.kind == "classifier":
        output = model.predict_proba(matrix) if model.has_probabilities else model.decision_function(matrix)
    else:
        output = model.predict(matrix)
    return (output if output.ndim == 2 else output[:, None]).astype(np.float64)
