"""Fitted features and models over all partitions of a source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.arrow_arrays import array_of
from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.conform import as_planned
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.errors import DuplicateNameError
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import feature_matrix
from gpupipe.runtime.crew import Crew, crew_for
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.orders import Work
from gpupipe.runtime.progress import Progress, told
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked
from gpupipe.sources.border import to_arrow
from gpupipe.sources.kinds import ARRAYS, array_in, arrays_as, columns_as, matrix_as
from gpupipe.sources.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class Computing:
    """What features, or a model over them, make of each partition: a list of what comes of its parts.

    Attributes:
        features: the features.
        how: ``columns``, ``resident`` or ``matrix`` of the features; with a model its method.
        model: what their matrix goes through; None: nothing.
        into: where matrices are written, by this process alone; None: they are told.
        stage, columns: as of any order.
    """

    features: FittedFeatures
    how: str
    model: Model | None = None
    into: Stacked | None = None
    stage: str = "features"
    columns: Sequence[str] | None = None

    def ready(self) -> Work[list[Any]]:
        """Computes it of a partition."""
        features, into = self.features, self.into

        def work(rows: Any, index: int, frame: Frame) -> list[Any]:
            def computed(start: int, stop: int) -> Any:
                part = frame.rows(start, stop)
                if into is not None:
                    return features.matrix(part, into.part(index, start, stop))
                return self._of(part)

            return in_parts(rows, index, frame, computed)

        return work

    def _of(self, frame: Frame) -> Any:
        if self.model is None:
            return getattr(self.features, self.how)(frame)
        return getattr(self.model, self.how)(feature_matrix(self.features, self.model, frame))


def matrices(crew: Crew, rows: Rows, order: Computing, into: Stacked, progress: Progress) -> list[Any]:
    """The matrices of all partitions, or of parts of them, in their order: where they go, whoever computed them."""
    if crew.is_here:
        return [part for parts in crew.listed(rows, order, progress) for part in parts]
    found = {index: into.put(index, parts) for index, parts in crew.results(rows, order, progress)}
    return [part for index in sorted(found) for part in found[index]]


def _each_partition(rows: Rows, order: Computing) -> list[Any]:
    """What comes of every partition, or of parts of it, in their order."""
    with crew_for(rows) as crew, told("features", rows) as progress:
        return [found for parts in crew.listed(rows, order, progress) for found in parts]


def passing(source: Source, features: FittedFeatures) -> Rows:
    """Rows to score: seen once, not kept, in the types of the fit."""
    device = features.backend.device
    return Rows(source, features.plan.columns, keep=False, schema=features.plan.schema, device=device)


def scores(features: FittedFeatures, model: Model, rows: Rows, method: str) -> Values:
    """A method of the model, of each partition's matrix: an array, one below the other."""
    return np.concatenate(_each_partition(rows, Computing(features, method, model)))


def scores_each(features: FittedFeatures, model: Model, rows: Rows, method: str) -> list[Values]:
    """A method of the model that gives an array a target: each one below the other."""
    parts = _each_partition(rows, Computing(features, method, model))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def prediction_names(model: Model) -> list[str]:
    """The columns of predictions: ``prediction``, or ``prediction_TARGET`` for each of several targets."""
    return ["prediction"] if model.targets is None else [f"prediction_{target}" for target in model.targets]


def probability_names(model: Model) -> list[str]:
    """The columns of probabilities: ``probability_LABEL``, or ``probability_TARGET_LABEL`` with several targets.

    Raises:
        DuplicateNameError: two targets and labels of theirs make one name.
    """
    if model.targets is None:
        return [f"probability_{label}" for label in model.classes or ()]
    pairs = zip(model.targets, model.classes or (), strict=False)
    names = [f"probability_{target}_{label}" for target, labels in pairs for label in labels]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DuplicateNameError(f"Two targets would have probabilities named {twice[0]!r}. Give one an .alias(…).")
    return names


def transformed(features: FittedFeatures, rows: Rows) -> list[Column]:
    """Every feature over all rows, each in its type."""
    parts = _each_partition(rows, Computing(features, "columns"))
    return [concat([part[at] for part in parts]) for at in range(len(features.names))]


def transformed_as(
    kind: str,
    features: FittedFeatures,
    rows: Rows,
    index: Any = None,
    model: Model | None = None,
    names: Sequence[str] = (),
) -> Any:
    """Every feature over all rows in an output of `kind`; not copied to the host for one that is on a device.

    With a `model` what it makes of them: columns of these `names`.
    """
    if model is not None:
        values = scores(features, model, rows, "transform")
        return matrix_as(kind, names, values, index)
    if kind in ARRAYS and features.fits_float32:
        return array_in(kind, transformed_matrix(features, rows, kind == "cupy"))
    if kind == "cudf" and features.backend.device is not None:
        frames = optional.load("gpupipe.sources.cudf_frames")
        return frames.frame_of(features.names, _each_partition(rows, Computing(features, "resident")), index)
    return columns_as(kind, features.names, transformed(features, rows), index)


def transformed_matrix(features: FittedFeatures, rows: Rows, on_device: bool = False) -> Any:
    """Every feature over all rows as a float32 matrix of shape (rows, features); null as NaN.

    With `on_device` it stays in the memory of the device that computes, if one does.
    """
    device = features.backend.device if on_device else None
    with crew_for(rows) as crew, told("features", rows) as progress:
        width, heights = len(features.outputs), rows.heights if crew.is_here or device is None else None
        matrix = Stacked(heights, width, device, rows.matrix(width) if crew.is_here and device is None else None)
        order = Computing(features, "matrix", into=matrix if crew.is_here else None)
        return matrix.whole(matrices(crew, rows, order, matrix, progress))


def predictions(fit: Fit, source: Source, keep: Sequence[str] = ()) -> Iterator[pa.Table]:
    """What `gpupipe predict` writes, a table for each partition, in their order, computed on all cores.

    The columns `keep` of the data, as they are there; then ``prediction`` and, of a classifier with probabilities,
    ``probability_LABEL`` for each label (of several targets ``prediction_TARGET`` and ``probability_TARGET_LABEL``);
    of a pipeline that only transforms, its features; of a PCA, its components.

    Raises:
        ColumnNotFoundError, TypeMismatchError: a column that is not there, or cannot be read; before a row is read.
        DuplicateNameError: a column to keep has the name of one of the results.
    """
    return _tables(fit, predicted_rows(fit, source, keep), list(dict.fromkeys(keep)))


def predicted_rows(fit: Fit, source: Source, keep: Sequence[str] = ()) -> Rows:
    """The rows that predictions are made of, with the columns to keep, as they are there."""
    return Rows(source, list(dict.fromkeys([*fit.features.plan.columns, *keep])), keep=False)


def _tables(fit: Fit, rows: Rows, kept: list[str]) -> Iterator[pa.Table]:
    with crew_for(rows) as crew, told("predictions", rows) as progress:
        for _, table in crew.results(rows, Predicting(fit, tuple(kept)), progress, in_order=True):
            yield table


@dataclass(frozen=True, slots=True, eq=False)
class Predicting:
    """A table of what :func:`predictions` tells of each partition.

    Attributes:
        fit: what predicts.
        kept: columns of the data that stand beside.
        stage, columns: as of any order.
    """

    fit: Fit
    kept: tuple[str, ...] = ()
    stage: str = "predictions"
    columns: Sequence[str] | None = None

    def ready(self) -> Work[pa.Table]:
        """Makes the table of a partition."""
        plan, kept = self.fit.features.plan, list(self.kept)

        def work(rows: Any, index: int, frame: Frame) -> pa.Table:
            def computed(start: int, stop: int) -> pa.Table:
                part = frame.rows(start, stop)
                return _beside(part, kept, _table(self.fit, as_planned(part.select(plan.columns), plan.schema)))

            return pa.concat_tables(in_parts(rows, index, frame, computed))

        return work


def _beside(frame: Frame, kept: list[str], results: pa.Table) -> pa.Table:
    if taken := [name for name in kept if name in results.column_names]:
        raise DuplicateNameError(
            f"Column {taken[0]!r} is to be kept, and the results have a column of that name: "
            f"{', '.join(results.column_names[:12])}. Rename it in the data, or do not keep it."
        )
    columns = {name: _decoded(to_arrow(frame[name])) for name in kept}
    return pa.table({**columns, **{name: _decoded(results.column(name)) for name in results.column_names}})


def _decoded(values: Any) -> Any:
    """Strings as they are: whether a partition has them as a dictionary must not show in what is written."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _table(fit: Fit, frame: Frame) -> pa.Table:
    features, model = fit.features, fit.model
    if model is None:
        return columns_as("arrow", features.names, features.columns(frame))
    matrix = feature_matrix(features, model, frame)
    if model.kind == "transformer":
        components = model.transform(matrix)
        return matrix_as("arrow", [f"component_{at}" for at in range(components.shape[1])], components)
    table = arrays_as("arrow", prediction_names(model), model.each(matrix))
    if not model.has_probabilities:
        return table
    shares = [share for found in model.proba_each(matrix) for share in found.T]
    for name, share in zip(probability_names(model), shares, strict=True):
        table = table.append_column(name, array_of(share))
    return table
