"""A fitted pipeline and rows with their target in, an evaluation out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpupipe.artifact.pipeline import Fit
from gpupipe.columns import Values
from gpupipe.errors import ParameterError
from gpupipe.evaluation.report import Evaluation, Metric
from gpupipe.evaluation.said import Said, said_by
from gpupipe.evaluation.several import SeveralEvaluations
from gpupipe.evaluation.target import encode_labels
from gpupipe.models.scoring import refuse_nan, takes_nan
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.fitting import examples
from gpupipe.runtime.given import for_given
from gpupipe.runtime.progress import Silent, during
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.seen.provenance import refuse_keys, refuse_statistics, rows_seen
from gpupipe.sources.source import Source


def judged(
    fit: Fit, source: Source, by: Sequence[str], *, overlap: bool | None = None
) -> Evaluation | SeveralEvaluations:
    """Metrics of the fit's model on the rows of `source`, whole and by the values of the columns `by`; of several
    targets for each.

    A target and weights that were given beside the rows, not declared, stand in the source under their own names.

    Args:
        overlap: whether rows that the fit has seen are allowed, and counted; None: nobody asks.

    Raises:
        LeakageError: rows, or their keys, are known to have been seen, and that is not allowed.
        ParameterError: there is no model, or no target, to judge by; a declared one was given too.
        TargetError: a target that is null or unknown.
    """
    if fit.model is None or fit.target is None:
        raise ParameterError("There is nothing to evaluate: the pipeline has no model, or no target.")
    features = for_given(fit.features, fit.target, source)
    how: dict[str, Any] = {"schema": features.plan.schema, "device": features.backend.device}
    rows = Rows(source, [*features.plan.fit_columns, *by], keep=False, **how)
    known = None if overlap is None else rows_seen(fit.seen, source, allowed=overlap)
    if overlap is False:
        refuse_statistics(source)
    progress = rows.heard or Silent()
    with crew_for(rows) as crew:
        found = examples(features, rows, crew, progress, by=by)
    if overlap is False:
        refuse_keys(fit.seen, source, found.row_ids)
    if not takes_nan(fit.model):
        with rows.all_placed(found.positions):
            refuse_nan(found.matrix, features.names, fit.model.estimator)
    with during(progress, "metrics"):
        result = judged_examples(fit, said_by(fit.model, found), found.slices)
    return replace(result, rows_seen=known) if overlap else result


def judged_examples(
    fit: Fit, said: Sequence[Said], slices: Mapping[str, Values] | None = None, *, intervals: bool = True
) -> Evaluation | SeveralEvaluations:
    """The evaluation of what the fit's model said of some rows."""
    model = fit.model
    assert model is not None
    baseline = fit.notes.get("baseline")
    if model.targets is None:
        return said[0].evaluation(baseline, slices, intervals=intervals)
    baselines = baseline or [None] * len(model.targets)
    parts = zip(said, baselines, strict=True)
    return several(model.targets, said, [part.evaluation(one, slices, intervals=intervals) for part, one in parts])


def several(names: Sequence[str], said: Sequence[Said], each: Sequence[Evaluation]) -> SeveralEvaluations:
    """The evaluations of several targets, and what is right of all of them together."""
    targets, kind = dict(zip(names, each, strict=True)), said[0].kind
    metrics = {"accuracy": _all_right(said)} if kind == "classifier" else {"r2": _mean_r2(targets)}
    return SeveralEvaluations(kind, len(said[0].target), metrics, targets)


def _all_right(said: Sequence[Said]) -> Metric:
    """The share of rows in which every target is right: scikit-learn's subset accuracy."""
    right = np.ones(len(said[0].target), bool)
    for part in said:
        right &= encode_labels(part.target, part.classes or ()) == part.codes
    return Metric(float(np.average(right, weights=said[0].weights)))


def _mean_r2(each: Mapping[str, Evaluation]) -> Metric:
    """The plain mean over the targets: scikit-learn's uniform average."""
    values = [found.metrics["r2"].value for found in each.values()]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Metric(None, reason="the target is constant")
    return Metric(float(np.mean(known)))
