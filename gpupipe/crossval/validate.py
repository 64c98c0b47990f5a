"""`cross_validate`: a pipeline judged on rows it has not seen, fold by fold, for about the price of one fit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.arguments import named_arguments
from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import backend_for
from gpupipe.columns import Values
from gpupipe.crossval.result import Again, CrossValidation, Judged, Path, found
from gpupipe.errors import ParameterError
from gpupipe.evaluation.folds import across
from gpupipe.evaluation.judge import judged_examples
from gpupipe.evaluation.report import Evaluation, Metric
from gpupipe.evaluation.said import said_by
from gpupipe.expr.expr import Expr
from gpupipe.models.estimators import describe
from gpupipe.models.families.cluster import Projection
from gpupipe.models.normal import Scores
from gpupipe.pipeline import Pipeline
from gpupipe.runtime.fitting import Examples
from gpupipe.runtime.folds.crossfit import Crossing, cross_fit
from gpupipe.runtime.folds.dealing import Dealing
from gpupipe.runtime.folds.training import FoldFit
from gpupipe.runtime.given import own_columns, source_of
from gpupipe.runtime.inputs import inputs_of
from gpupipe.runtime.linear.components import Projected, is_pca
from gpupipe.runtime.linear.path import Solved
from gpupipe.runtime.progress import Shown, Silent, listening, stages_of

_SUPERVISED = ("classifier", "regressor", "ranker")
_AT_ONCE = 1 << 14  # rows


@named_arguments
def cross_validate(
    pipeline: Pipeline,
    data: Any,
    y: Any = None,
    *,
    folds: int | str = 5,
    stratify: bool | str | None = None,
    groups: str | None = None,
    time: str | None = None,
    alphas: Sequence[float] | None = None,
    validation: float | None = None,
    sample_weight: Any = None,
    seed: int = 0,
    progress: Shown = False,
) -> CrossValidation:
    """Judge a pipeline on rows that it has not seen: each fold by a fit on the rows of the others.

    All folds' statistics come from one scan: states are kept by fold, and what a fold may know is the merge of the
    others. Each fold's features and model are, to the bit, those of a fit on a source without the fold's rows
    (of a PCA, whose fit is scikit-learn's on features of float32, the model is so but for that rounding). The pipeline
    itself is not changed.

    Args:
        pipeline: features, a target and a model, declared; whether it is fitted does not matter. A PCA needs no target:
            it is judged by `explained_variance`, the share of the variance of a fold's features about the training
            mean that their projection keeps: 1 - (squared error of the reconstruction) / (squared distance from the
            mean), summed over rows and features. On training rows it would be `explained_variance_ratio_.sum()`.
        data: whatever `gpupipe.scan` takes.
        y: the target's values, where the pipeline declares no target; `data` must be in memory.
        folds: how many, each row's by a hash of its identity and `seed` (rows with equal keys, or of one ranking's
            group, are in one fold); or the column that holds the fold of each row.
        stratify: True: each fold has an equal share of every class of the target; a column: of each of its values.
        groups: a column whose equal values stay in one fold, and in one inner fold of a target mean.
        time: a column of dates, times or numbers: fold k is judged on the window of rows after those it trains with.
            Windows are of equal counts, but that rows of one time stay together (the later window has them).
        alphas: penalties of a Ridge, Lasso or ElasticNet to choose among, by the mean RMSE.
        validation: the share of each fold's training rows that stops its training early.
        sample_weight: weights, where the pipeline declares none; they reach the models and the metrics.
        seed: of the hash.
        progress: as for `Pipeline.fit`.

    Raises:
        PlanError: what was declared does not fit the data's schema, or arguments do not fit together.
        FoldsError: the rows cannot be dealt so, such as a fold without a row.
        DataError: a value or file that the plan cannot take.
        ModelError: the estimator cannot be used, or refused.

    >>> import gpupipe as gp
    >>> from sklearn.linear_model import Ridge
    >>> table = {"x": list(range(40)), "y": [2 * x + x % 3 for x in range(40)]}
    >>> found = gp.cross_validate(gp.Pipeline([gp.col("x").standardize()], target="y", model=Ridge(0.1)), table)
    >>> len(found.pipelines), found.report_.source_reads, found.metrics["r2"].value > 0.99
    (5, 1, True)
    """
    _refuse_others(pipeline)
    asked = Dealing(_name(folds), _name(stratify) or False, _name(groups), _name(time), seed, validation)
    declared = pipeline._declared(y, sample_weight, None)
    source = source_of(data, y, sample_weight, pipeline.key)
    declared.plan(source.schema)
    penalties = None if alphas is None else _penalties(pipeline.model, alphas)
    models = [pipeline.model] if penalties is None else [_penalised(pipeline.model, alpha) for alpha in penalties]
    crossing = Crossing(declared, source, asked, backend_for(pipeline.device), Silent(), pipeline.memory)
    with listening(progress) as heard:
        crossed = cross_fit(replace(crossing, progress=heard), _Judge(), models)
    crossed = replace(crossed, report=replace(crossed.report, stages=stages_of(heard)))
    chosen, path = 0, None
    if penalties is not None:
        path = _path(penalties, crossed.each)
        chosen = penalties.index(path.alpha)
    each = [fold[chosen] for fold in crossed.each]
    again = Again(crossing, crossed.folds, tuple(fold.fit for fold in each), _Judge())
    inputs = inputs_of(data, own_columns(source), declared.apart)
    return found(pipeline, inputs, each, crossed, path, again)


class _Judge:
    """What is kept of a fold's own rows: what was said of them, and what that is worth."""

    def of_rows(self, fit: Fit, rows: Examples) -> Judged:
        assert fit.model is not None
        if isinstance(fit.model.body, Projection):
            return _kept(_kept_of_rows(fit.model.body, rows.matrix), len(rows.matrix))
        said = tuple(said_by(fit.model, rows))
        return Judged(said, judged_examples(fit, said, intervals=False))

    def of_scores(self, solved: Solved | Projected, number: int) -> Judged:
        if isinstance(solved, Projected):
            return _kept(solved.kept, solved.n_judged)
        metrics, baseline = (_measures(of, at) for of, at in ((solved.scores, number), (solved.baseline, 0)))
        return Judged(None, Evaluation("regressor", solved.n_judged, metrics, baseline))


def _measures(scores: Scores, number: int) -> dict[str, Metric]:
    r2 = float(scores.r2[number])
    return {
        "rmse": Metric(float(np.sqrt(scores.mse[number]))),
        "mae": Metric(None, reason="the rows were judged together, without a prediction of each; pooled has it"),
        "r2": Metric(None, reason="the target is constant") if np.isnan(r2) else Metric(r2),
    }


def _kept(share: float, n_rows: int) -> Judged:
    """What components are worth; the baseline is a projection on none, which keeps the training mean alone."""
    found = Metric(None, reason="the features are constant") if np.isnan(share) else Metric(share)
    baseline = {"explained_variance": Metric(0.0)}
    return Judged(None, Evaluation("transformer", n_rows, {"explained_variance": found}, baseline))


def _kept_of_rows(body: Projection, matrix: Values) -> float:
    """The share of the rows' variance about the training mean that their projection keeps."""
    total = kept = 0.0
    for first in range(0, len(matrix), _AT_ONCE):
        part = matrix[first : first + _AT_ONCE]
        total += float(((part.astype(np.float64) - body.mean) ** 2).sum())
        kept += float(((body.raw(part) * body.scale) ** 2).sum())
    return kept / total if total > 0 else float("nan")


def _refuse_others(pipeline: Any) -> None:
    if not isinstance(pipeline, Pipeline):
        raise ParameterError(
            f"cross_validate takes a gpupipe.Pipeline, and got a {type(pipeline).__name__}. Give "
            "gp.cross_validate(gp.Pipeline(features, target=…, model=…), data)."
        )
    if pipeline.model is None:
        loaded = pipeline._loaded_model is not None
        raise ParameterError(
            "There is nothing to judge: the pipeline "
            f"{'was loaded, and holds no estimator to train' if loaded else 'has no model'}. Declare it with model=."
        )
    row = describe(pipeline.model)
    if row.kind not in _SUPERVISED and not is_pca(pipeline.model):
        raise ParameterError(
            f"{row.name} learns without a target, so that nothing says how good it is. cross_validate takes "
            "classifiers, regressors and rankers, and PCA, by the variance that it keeps."
        )


def _name(column: Any) -> Any:
    """The name of a column that is given as an expression."""
    if isinstance(column, Expr) and column._node.op == "col":
        return str(column._node["name"])
    if column is None or isinstance(column, str | int | float | bool):
        return column
    raise ParameterError(f"{column!r} is no column's name. To deal rows by values of your own, make them a column.")


def _penalties(model: Any, alphas: Any) -> list[float]:
    row = describe(model)
    given = list(alphas) if isinstance(alphas, Sequence | np.ndarray) and not isinstance(alphas, str) else []
    if row.kind != "regressor" or "alpha" not in model.get_params():
        raise ParameterError(
            f"alphas= are penalties to choose among, and {row.name} has none. Leave it out, or use Ridge, Lasso or "
            "ElasticNet."
        )
    if not given or not all(isinstance(a, int | float | np.number) and a >= 0 and np.isfinite(a) for a in given):
        raise ParameterError(f"alphas={alphas!r} are no penalties. Give a list of numbers from 0 on.")
    return [float(alpha) for alpha in given]


def _penalised(model: Any, alpha: float) -> Any:
    return optional.load("sklearn.base").clone(model).set_params(alpha=alpha)


def _path(alphas: Sequence[float], each: Sequence[Sequence[FoldFit[Judged]]]) -> Path:
    names = [fold[0].name for fold in each]
    each_alpha = [[fold[at].found.evaluation.metrics for fold in each] for at in range(len(alphas))]
    measures = tuple(across(names, metrics) for metrics in each_alpha)
    by = "rmse" if "rmse" in measures[0] else "r2"  # of several targets there is but R²
    values = [metrics[by].value or 0.0 for metrics in measures]
    return Path(tuple(alphas), measures, alphas[int(np.argmin(values) if by == "rmse" else np.argmax(values))])
