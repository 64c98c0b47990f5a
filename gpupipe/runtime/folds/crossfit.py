"""One trip over the rows, a fitted pipeline for each fold: states by fold, put together and finished for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import Backend
from gpupipe.columns import Column, Frame
from gpupipe.compiler.again import columns_again
from gpupipe.compiler.plan import Plan
from gpupipe.errors import CovarianceError, ParameterError
from gpupipe.runtime.clock import Clock
from gpupipe.runtime.crew import here
from gpupipe.runtime.finishing import no_rows
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.fitting import group_identity, target_column
from gpupipe.runtime.folds.checks import checked_plan, together
from gpupipe.runtime.folds.dealing import Dealing, deal, identity_of, refuse_unknown
from gpupipe.runtime.folds.rows import Folds
from gpupipe.runtime.folds.scans import ScansByFold
from gpupipe.runtime.folds.training import FoldFit, Found, Judge, Training
from gpupipe.runtime.linear.components import CovariancePath, path_from_covariances
from gpupipe.runtime.progress import Progress, Silent
from gpupipe.runtime.report import Report, report_of
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.teaching import FROM_COVARIANCES, Taught, training_device, where_computed
from gpupipe.sources.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """What is to be cross-validated: declarations, rows, how they are dealt, and on what."""

    declared: Declared
    source: Source
    asked: Dealing
    backend: Backend
    progress: Progress
    memory: int | str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Crossed(Generic[Found]):
    """What came of it.

    Attributes:
        each: for each fold a list, one of each model.
        report: what was done.
        folds: the fold of every row.
        on_rows: why the models were trained on rows; None: they were solved from covariances of the scan.
    """

    each: list[list[FoldFit[Found]]]
    report: Report
    folds: Folds
    on_rows: str | None


def cross_fit(crossing: Crossing, judge: Judge[Found], models: Sequence[Any]) -> Crossed[Found]:
    """Every fold's features learned from one scan, each of `models` trained, and `judge` asked about the fold's rows.

    One training matrix is held at a time; none of models that covariances are enough for.

    Args:
        models: estimator objects, trained on the same features one after the other.

    Raises:
        PlanError: before anything is read.
        DataError, ModelError: while reading or training.
    """
    declared, asked, clock = crossing.declared, crossing.asked, Clock()
    plan = checked_plan(declared, crossing.source, asked)
    path = _path(crossing, plan, models)
    rows = _rows(crossing, plan, by_covariances=not isinstance(path, str))
    if crossing.source.n_rows == 0:
        raise no_rows(rows)
    with rows, here(rows, "cross-validation") as crew:
        scans = ScansByFold(plan, rows, crossing.backend, crew, crossing.progress)
        training = Training(declared, plan, rows, crossing.backend, crew, crossing.progress, clock)
        with clock.stage("statistics"):
            labels = _labels(asked, plan, crossing.backend)
            folds = deal(asked, rows, labels, together(declared, asked), crew, crossing.progress)
            fitted, path = scans.learned(folds, path)
        pairs = list(zip(folds.folds, fitted, strict=True))
        if not isinstance(path, str):
            try:
                each = [training.solved(folds, fold, one, judge, path) for fold, one in pairs]
            except CovarianceError as error:  # told in the result
                path = str(error)
        if isinstance(path, str):
            each = [training.trained(folds, fold, one, judge, models) for fold, one in pairs]
        report = report_of(rows, scans.trips + training.trips + asked.looks_first, clock.total(), ())
        told = training.told[0] if training.told else Taught(None, {}, FROM_COVARIANCES)
        report = replace(report, **where_computed(crossing.backend, rows, declared.model, told))
    crossing.progress.end()
    return Crossed(each, report, folds, path if isinstance(path, str) else None)


def judged_later(crossing: Crossing, folds: Folds, fits: Sequence[Fit], judge: Judge[Found]) -> list[Found]:
    """`judge` asked about each fold's rows by its fit, in a trip of its own over the source."""
    plan = fits[0].features.plan
    with _rows(crossing, plan) as rows, here(rows, "judging of folds") as crew:
        training = Training(crossing.declared, plan, rows, crossing.backend, crew, Silent(), Clock())
        return [
            judge.of_rows(fit, training.own_rows(folds, fold, fit.features, [fit]))
            for fold, fit in zip(folds.folds, fits, strict=True)
        ]


def _path(crossing: Crossing, plan: Plan, models: Sequence[Any]) -> CovariancePath | str:
    """How covariances solve every model; or why they do not, and each can be trained where it was asked for."""
    path = path_from_covariances(plan, models)
    if isinstance(path, str) and crossing.declared.training == "partitions":
        raise ParameterError(
            f"cross_validate trains a model on a matrix of each fold's rows here ({path}), and training='partitions' "
            "was declared. Give training='gather', or a model that covariances solve: LinearRegression, Ridge, PCA."
        )
    for model in models if isinstance(path, str) else ():
        training_device(crossing.backend, model)
    return path


def _rows(crossing: Crossing, plan: Plan, *, by_covariances: bool = False) -> Rows:
    declared, asked = crossing.declared, crossing.asked
    identity = identity_of(asked.groups) if asked.groups else None
    if identity is None and not declared.key:
        identity = group_identity(plan, crossing.backend)
    columns = list(dict.fromkeys([*plan.fit_columns, *asked.columns]))
    all_again = asked.looks_first or not (plan.scans or by_covariances)
    again = None if all_again else columns_again(plan, features=not by_covariances)
    how: dict[str, Any] = {"memory": crossing.memory, "identity": identity, "device": crossing.backend.device}
    return Rows(crossing.source, columns, needed_again=again, **how)


def _labels(asked: Dealing, plan: Plan, backend: Backend) -> Callable[[Frame], Column] | None:
    """A frame to what is stratified by; a null in it is refused."""
    if asked.stratify is True:
        return target_column(plan, backend)
    if not asked.stratify:
        return None
    name = str(asked.stratify)

    def labels(frame: Frame) -> Column:
        refuse_unknown(frame[name], name, "stratify")
        return frame[name]

    return labels
