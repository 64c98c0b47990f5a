"""What a cross-validation found: measures over folds, predictions of all rows, a fitted pipeline for each fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.artifact.pipeline import Fit
from gpupipe.errors import UnavailableError, counted
from gpupipe.evaluation.folds import FoldMetric, across
from gpupipe.evaluation.judge import several
from gpupipe.evaluation.report import Evaluation, html_table, number, text_table
from gpupipe.evaluation.said import Said, side_by_side
from gpupipe.evaluation.several import SeveralEvaluations
from gpupipe.pipeline import Pipeline
from gpupipe.runtime.folds.crossfit import Crossed, Crossing, judged_later
from gpupipe.runtime.folds.rows import Folds
from gpupipe.runtime.folds.training import FoldFit, Judge
from gpupipe.runtime.inputs import Inputs
from gpupipe.runtime.report import Report

_UNSUPERVISED = "transformer"
_MANY = 10  # folds: a page shows no column for each of more


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Every penalty that was tried.

    Attributes:
        alphas: the penalties, as given.
        metrics: of each the measures over folds.
        alpha: the one with the least mean RMSE: the first of equals. Its measures flatter it a little, since it was
            chosen by them.
    """

    alphas: tuple[float, ...]
    metrics: tuple[dict[str, FoldMetric], ...]
    alpha: float

    def to_dict(self) -> dict[str, Any]:
        """{"alpha", "alphas": [{"alpha", "metrics"}, …]}."""
        pairs = zip(self.alphas, self.metrics, strict=True)
        return {"alpha": self.alpha, "alphas": [{"alpha": alpha, "metrics": _dicts(found)} for alpha, found in pairs]}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a model said of a fold's rows (None: nothing of any one row), and what it is worth."""

    said: tuple[Said, ...] | None
    evaluation: Evaluation | SeveralEvaluations


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """A further trip over the source, for what the folds' models say of each row."""

    crossing: Crossing
    folds: Folds
    fits: tuple[Fit, ...]
    judge: Judge[Judged]

    def said(self) -> list[tuple[Said, ...]]:
        """What each fold's model says of its rows."""
        found = judged_later(self.crossing, self.folds, self.fits, self.judge)
        return [judged.said or () for judged in found]


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """One fold.

    Attributes:
        name: its number, or the value in the column of folds.
        n_trained, n_rows: how many rows its model trained with, and was judged on.
        evaluation: its metrics, without intervals, beside a baseline that its training rows give.
        pipeline: the pipeline fitted on its training rows.
    """

    name: Any
    n_trained: int
    n_rows: int
    evaluation: Evaluation | SeveralEvaluations
    pipeline: Pipeline


@dataclass(frozen=True, repr=False, eq=False)
class CrossValidation:
    """What a cross-validation found.

    Attributes:
        kind: "classifier", "regressor" or "ranker"; of a PCA "transformer".
        n_rows: the rows judged on, each once.
        metrics: name to the measure over folds: its mean, 95 % interval and the value of each fold.
        targets: of several targets, the same of each by its name; `metrics` is then of all together.
        folds: each fold's metrics and fitted pipeline.
        path: the penalties tried, where some were given; all else is of the one chosen.
        report_: what was done: trips over the rows, reads of the source, bytes, seconds.
        trained_on_rows: why models were trained on matrices of rows; None: they were solved from
            covariances that the scan gathered. `pooled` and `predictions` then read the source once more.
    """

    kind: str
    n_rows: int
    metrics: dict[str, FoldMetric]
    targets: dict[str, dict[str, FoldMetric]]
    folds: tuple[FoldResult, ...]
    path: Path | None
    report_: Report
    trained_on_rows: str | None
    _said: tuple[tuple[Said, ...] | None, ...] = field(repr=False)
    _again: Again = field(repr=False)

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipeline fitted for each fold."""
        return [fold.pipeline for fold in self.folds]

    @cached_property
    def _whole(self) -> list[Said]:
        """What the folds' models said of each target, of all rows."""
        return [side_by_side(parts) for parts in zip(*self._each, strict=True)]

    @cached_property
    def _each(self) -> list[tuple[Said, ...]]:
        """What each fold's model said of its rows."""
        if self.kind == _UNSUPERVISED:
            raise UnavailableError(
                "A PCA predicts nothing, so there are no predictions of rows to show or to judge together. "
                ".metrics has its measures over folds, and .pipelines[0].transform(rows) the components of rows."
            )
        said = [parts for parts in self._said if parts is not None]
        return said if len(said) == len(self.folds) else self._again.said()

    @cached_property
    def pooled(self) -> Evaluation | SeveralEvaluations:
        """The predictions of all folds judged as one, with bootstrap and other intervals over rows, as `evaluate`
        gives them, beside a baseline of these rows themselves. Worked out when first asked for.

        Raises:
            ParameterError: decision values of models that know different classes.
            UnavailableError: the models are PCAs, which predict nothing.
        """
        each = [said.evaluation() for said in self._whole]
        return several(list(self.targets), self._whole, each) if self.targets else each[0]

    @cached_property
    def predictions(self) -> pa.Table:
        """What each row's fold said of it, in the order of rows: ``row`` (its place in the source), ``fold``,
        ``target``, ``prediction``, and of a classifier with probabilities ``probability_LABEL``; of several targets
        ``target_NAME`` and so on.

        Raises:
            UnavailableError: the models are PCAs, which predict nothing.
        """
        order = np.argsort(self._whole[0].positions, kind="stable")
        names = [fold.name for fold, parts in zip(self.folds, self._each, strict=True) for _ in parts[0].target]
        columns: dict[str, Any] = {
            "row": pa.array(self._whole[0].positions[order].astype(np.int64)),
            "fold": pa.array(names).take(pa.array(order)),
        }
        for said, target in zip(self._whole, self.targets or [""], strict=True):
            end = f"_{target}" if target else ""
            columns[f"target{end}"] = pa.array(said.target[order].tolist())
            columns[f"prediction{end}"] = pa.array(said.predicted[order].tolist())
            if said.shares:
                shares = zip(said.classes or (), said.values.T, strict=True)
                columns |= {f"probability{end}_{label}": pa.array(share[order]) for label, share in shares}
        return pa.table(columns)

    def to_dict(self) -> dict[str, Any]:
        """All of it but predictions and pipelines as JSON values; ``["metrics"]["roc_auc"]`` is ``{"value", "low",
        "high", "deviation", "folds"}``."""
        found: dict[str, Any] = {
            "kind": self.kind,
            "n_rows": self.n_rows,
            "metrics": _dicts(self.metrics),
            "folds": [
                {"name": fold.name, "n_trained": fold.n_trained, "n_rows": fold.n_rows, **fold.evaluation.to_dict()}
                for fold in self.folds
            ],
        }
        if self.kind != _UNSUPERVISED:
            found["pooled"] = self.pooled.to_dict()
        if self.targets:
            found["targets"] = {name: {"metrics": _dicts(metrics)} for name, metrics in self.targets.items()}
        return found if self.path is None else {**found, "path": self.path.to_dict()}

    def to_pandas(self) -> Any:
        """The measures as a pandas frame: a row a fold, a column a measure.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {name: list(metric.folds) for name, metric in self.metrics.items()}
        return optional.load("pandas").DataFrame(columns, index=[fold.name for fold in self.folds])

    def __repr__(self) -> str:
        tables = [text_table(caption, table) for caption, table in self._tables()]
        return "\n\n".join([self._title(), *tables, *self._notes()])

    def _repr_html_(self) -> str:
        tables = [html_table(caption, table) for caption, table in self._tables()]
        notes = [f"<p>{escape(note)}</p>" for note in self._notes()]
        return "\n".join([f"<p><b>{escape(self._title())}</b></p>", *tables, *notes])

    def _title(self) -> str:
        chosen = "" if self.path is None else f", alpha {self.path.alpha:g} of {len(self.path.alphas)}"
        folds, rows = counted(len(self.folds), "fold"), counted(self.n_rows, "row")
        return f"Cross-validation of a {self.kind}: {folds}, {rows}{chosen}"

    def _tables(self) -> list[tuple[str, list[list[str]]]]:
        found = [("", self._table(self.metrics))]
        return found + [(name, self._table(metrics)) for name, metrics in self.targets.items()]

    def _table(self, metrics: dict[str, FoldMetric]) -> list[list[str]]:
        shown = len(self.folds) if len(self.folds) <= _MANY else 0
        rows = [["", "mean", "95 % interval", "deviation", *(f"fold {fold.name}" for fold in self.folds[:shown])]]
        for name, metric in metrics.items():
            interval = "–" if metric.low is None else f"{number(metric.low)} … {number(metric.high)}"
            each = [number(value) for value in metric.folds[:shown]]
            rows.append([name, number(metric.value), interval, number(metric.deviation), *each])
        return rows

    def _notes(self) -> list[str]:
        reasons = [f"{name}: {metric.reason}" for name, metric in self.metrics.items() if metric.reason]
        how = [] if self.trained_on_rows else ["models solved from covariances of the scan, without a matrix of rows"]
        return ["\n".join([*reasons, *how, repr(self.report_)])]


def _dicts(metrics: Mapping[str, FoldMetric]) -> dict[str, Any]:
    return {name: metric.to_dict() for name, metric in metrics.items()}


def found(
    pipeline: Pipeline,
    inputs: Inputs,
    each: Sequence[FoldFit[Judged]],
    crossed: Crossed[Judged],
    path: Path | None,
    again: Again,
) -> CrossValidation:
    """The result, each fold's fit as a pipeline.

    Args:
        inputs: the columns that the rows had; `each`: the folds' chosen models.
    """
    results = []
    for fold in each:
        fitted = Pipeline(**pipeline.get_params(deep=False))
        fitted._keep(fold.fit, inputs)
        results.append(FoldResult(fold.name, fold.n_trained, fold.n_rows, fold.found.evaluation, fitted))
    names, whole = [fold.name for fold in each], [fold.evaluation for fold in results]
    targets = [one.targets for one in whole if isinstance(one, SeveralEvaluations)]
    return CrossValidation(
        whole[0].kind,
        sum(fold.n_rows for fold in results),
        across(names, [one.metrics for one in whole]),
        {name: across(names, [one[name].metrics for one in targets]) for name in (targets[0] if targets else ())},
        tuple(results),
        path,
        crossed.report,
        crossed.on_rows,
        tuple(fold.found.said for fold in each),
        again,
    )
