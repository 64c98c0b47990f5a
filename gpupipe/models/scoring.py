"""From fitted features and a model to scores: one path for a fit's evaluation, a file, and a single row."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.errors import NonFiniteError, counted
from gpupipe.models.fitted import Model
from gpupipe.models.forms.member import Member
from gpupipe.optional import later

if TYPE_CHECKING:
    from gpupipe.models.estimators import refusers_of_nan, takers_of_nan
else:
    refusers_of_nan, takers_of_nan = later("gpupipe.models.estimators", "refusers_of_nan", "takers_of_nan")

_TAKES_NAN = ("trees", "oblivious", "isolation", "xgboost")


def takes_nan(model: Model) -> bool:
    """Whether the form a model is kept in has a place for NaN: trees do, sums do not, and of models all must."""
    return _has_place(model)


def _has_place(model: Model | Member) -> bool:
    body: Any = model.body
    if hasattr(body, "members"):
        seeing = getattr(body, "seeing", body.members)
        return body.form != "chain" and all(_has_place(member) for member in seeing)
    return body.form in _TAKES_NAN and model.estimator not in refusers_of_nan()  # gradient boosting, though of trees


def feature_matrix(features: FittedFeatures, model: Model | None, frame: Frame) -> Values:
    """The float32 matrix a model scores, shape (rows, features); on a device for a model that is evaluated there.

    Raises:
        NonFiniteError: NaN in it, where the model takes none; it names the feature and what to do.
    """
    device = features.backend.device if model is not None and getattr(model.body, "on_device", False) else None
    if device is None:
        matrix = features.matrix(frame)
    else:
        matrix = features.matrix(frame, device.empty((frame.n_rows, len(features.outputs)), np.float32))
    if model is not None and not takes_nan(model):
        refuse_nan(matrix if device is None else matrix.to_host(), features.names, model.estimator)
    return matrix


def refuse_nan(matrix: Values, names: list[str], who: str) -> None:
    """Raise NonFiniteError, naming the feature, where the matrix holds NaN or an infinity that `who` refuses."""
    # A sum tells in one pass whether there is anything to look for.
    if np.isfinite(matrix.sum(dtype=np.float64)):
        return
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return
    row, column = (int(index[0]) for index in np.nonzero(bad))
    value = matrix[row, column]
    others, name = int(bad[:, column].sum()) - 1, who.rpartition(".")[2]
    more = f", and not finite in {counted(others, 'other row')}" if others else ""
    raise NonFiniteError(
        f"The feature {names[column]!r} is {'null or NaN' if np.isnan(value) else value} here{more}; "
        f"{name} takes finite numbers alone. Give the feature .fill_null(…) or "
        f".nan_to_null().fill_null(…){takers_of_nan(name)}."
    ).at(row)


def model_output(model: Model, matrix: Values) -> Values:
    """A model's numbers, float64 of shape (rows, outputs): probabilities, scores, predictions or components; those of
    several targets side by side."""
    return np.concatenate(outputs_each(model, matrix), axis=1)


def outputs_each(model: Model, matrix: Values) -> list[Values]:
    """The numbers of each target, float64 of shape (rows, outputs): one of a model of one target."""
    if model.kind == "transformer":
        return [model.transform(matrix)]
    return [numbers_of(output, raw) for output, raw in model.raw_each(matrix)]


def numbers_of(output: Member, raw: Values) -> Values:
    """What raw outputs of one target say, float64 of shape (rows, outputs)."""
    if output.kind != "classifier":
        return output.predict(raw)[:, None].astype(np.float64)
    return output.probabilities(raw) if output.has_probabilities else output.scores(raw)
