"""A fitted pipeline and rows with their target in, an evaluation out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpupipe.artifact.pipeline import Fit
from gpupipe.columns import Values
from gpupipe.errors import ParameterError
from gpupipe.evaluation.evaluate import evaluate_arrays
from gpupipe.evaluation.report import Evaluation, Metric
from gpupipe.evaluation.several import SeveralEvaluations
from gpupipe.evaluation.target import encode_labels
from gpupipe.models.fitted import Model, threshold_of
from gpupipe.models.forms.member import Member
from gpupipe.models.scoring import numbers_of, refuse_nan, takes_nan
from gpupipe.runtime.execute import workers
from gpupipe.runtime.fitting import Examples, examples
from gpupipe.runtime.given import for_given
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.sources.source import Source


def judged(fit: Fit, source: Source, by: Sequence[str]) -> Evaluation | SeveralEvaluations:
    """Metrics of the fit's model on the rows of `source`, whole and by the values of the columns `by`; of several
    targets for each.

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
    return _several(fit, found) if fit.model.targets is not None else _one(fit, fit.model, found)


def _one(fit: Fit, model: Model, found: Examples) -> Evaluation:
    (seen,) = model.raw_each(found.matrix)
    return _evaluated(seen, found.target, found, fit.notes.get("baseline"), model.threshold)


def _several(fit: Fit, found: Examples) -> SeveralEvaluations:
    model = fit.model
    assert model is not None and model.targets is not None
    baselines = fit.notes.get("baseline") or [None] * len(model.targets)
    seen = model.raw_each(found.matrix)
    each = {
        name: _evaluated(pair, target, found, baseline, threshold_of(pair[0]))
        for name, pair, target, baseline in zip(model.targets, seen, found.target, baselines, strict=True)
    }
    metrics = {"accuracy": _all_right(seen, found)} if model.kind == "classifier" else {"r2": _mean_r2(each)}
    return SeveralEvaluations(model.kind, len(found.matrix), metrics, each)


def _evaluated(
    seen: tuple[Member, Values], target: Values, found: Examples, baseline: Any, threshold: Any
) -> Evaluation:
    output, raw = seen
    values = numbers_of(output, raw)
    return evaluate_arrays(
        output.kind,
        target,
        values[:, 0] if values.shape[1] == 1 else values,
        output.classes,
        found.weights,
        found.row_ids,
        found.slices,
        groups=found.groups,
        probabilities=output.has_probabilities and output.meaning.shares,
        decided=output.codes(raw) if output.kind == "classifier" else None,
        threshold=threshold,
        baseline=baseline,
    )


def _all_right(seen: Sequence[tuple[Member, Values]], found: Examples) -> Metric:
    """The share of rows in which every target is right: scikit-learn's subset accuracy."""
    right = np.ones(len(found.matrix), bool)
    for (output, raw), target in zip(seen, found.target, strict=True):
        right &= encode_labels(target, output.classes or ()) == output.codes(raw)
    return Metric(float(np.average(right, weights=found.weights)))


def _mean_r2(each: Mapping[str, Evaluation]) -> Metric:
    """The plain mean over the targets: scikit-learn's uniform average."""
    values = [found.metrics["r2"].value for found in each.values()]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Metric(None, reason="the target is constant")
    return Metric(float(np.mean(known)))
