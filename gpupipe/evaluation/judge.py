"""A fitted pipeline and rows with their target in, an evaluation out."""

from collections.abc import Sequence
from dataclasses import replace

from gpupipe.artifact.pipeline import Fit
from gpupipe.columns import Values
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.info import Info
from gpupipe.compiler.plan import Plan
from gpupipe.errors import ParameterError
from gpupipe.evaluation.evaluate import evaluate_arrays
from gpupipe.evaluation.report import Evaluation
from gpupipe.expr.node import Node, make
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import model_output, refuse_nan, takes_nan
from gpupipe.runtime.execute import workers
from gpupipe.runtime.fit import GIVEN_TARGET, GIVEN_WEIGHT
from gpupipe.runtime.fitting import examples
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
    _check_target(fit.target, source)
    features = replace(fit.features, plan=_weighed(fit.features.plan, source))
    with workers() as pool:
        rows = Rows(source, [*features.plan.fit_columns, *by], keep=False, schema=features.plan.schema)
        found = examples(features, rows, pool, Silent(), by=by)
    if not takes_nan(fit.model):
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


def _check_target(target: Node, source: Source) -> None:
    if target == make("col", name=GIVEN_TARGET):
        if GIVEN_TARGET not in source.schema:
            raise ParameterError("The fit was given y, so its target is in no column. Give y here too.")
    elif GIVEN_TARGET in source.schema:
        raise ParameterError(f"The target {target} was declared and y given too. Give it in one place.")


def _weighed(plan: Plan, source: Source) -> Plan:
    """The plan with the weights that were given with these rows, or without those that were given in the fit."""
    given = make("col", name=GIVEN_WEIGHT)
    weights, info = (None if plan.weights == given else plan.weights), plan.info
    if GIVEN_WEIGHT in source.schema:
        if weights is not None:
            raise ParameterError(f"The weights {weights} were declared and sample_weight given too. Give one of them.")
        field = source.schema[GIVEN_WEIGHT]
        weights, info = given, {**plan.info, given: Info(field.dtype, field.nullable)}
    extra = columns_of([node for node in (plan.target, weights) if node is not None])
    return replace(plan, weights=weights, info=info, fit_columns=list(dict.fromkeys([*plan.columns, *extra])))


def _outputs(model: Model, matrix: Values) -> Values:
    """The model's outputs; a single one (a regressor's, a decision value) of shape (rows,)."""
    values = model_output(model, matrix)
    return values[:, 0] if values.shape[1] == 1 else values
