"""A fitted pipeline and rows with their target in, an evaluation out."""

from collections.abc import Sequence

from gpupipe.artifact.pipeline import Fit
from gpupipe.columns import Values
from gpupipe.errors import ParameterError
from gpupipe.evaluation.evaluate import evaluate_arrays
from gpupipe.evaluation.report import Evaluation
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import model_output, refuse_nan, takes_nan
from gpupipe.runtime.execute import workers
from gpupipe.runtime.fitting import examples
from gpupipe.runtime.given import for_given
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.sources.source import Source


def judged(fit: Fit, source: Source, by: Sequence[str]) -> Evaluation:
    """Metrics of the fit's model on the rows of `source`, whole and by the values of the columns `by`.

    A target and weights that were given beside the rows, not declared, stand in the source under their own names.

    Raises:
        ParameterError: there is no model, or no target, to judge by; a declared one was given too.
        TargetError: a target that is null or unknown.
    """
    if fit.model is None or fit.target is None:
        raise ParameterError("There is nothing to evaluate: the pipeline has no model, or no target.")
    features = for_given(fit.features, fit.target, source)
    rows = Rows(source, [*features.plan.fit_columns, *by], keep=False, schema=features.plan.schema)
    with workers(rows.n_workers) as pool:
        found = examples(features, rows, pool, Silent(), by=by)
    if not takes_nan(fit.model):
        with rows.all_placed(found.positions):
            refuse_nan(found.matrix, features.names, fit.model.estimator)
    return evaluate_arrays(
        fit.model.kind,
        found.target,
        _outputs(fit.model, found.matrix),
        fit.model.classes,
        found.weights,
        found.row_ids,
        found.slices,
        probabilities=fit.model.has_probabilities,
        baseline=fit.notes.get("baseline"),
    )


def _outputs(model: Model, matrix: Values) -> Values:
    """The model's outputs; a single one (a regressor's, a decision value) of shape (rows,)."""
    values = model_output(model, matrix)
    return values[:, 0] if values.shape[1] == 1 else values
