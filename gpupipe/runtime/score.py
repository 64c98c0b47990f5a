"""Fitted features and models over all partitions of a source."""

from collections.abc import Callable, Iterator, Sequence
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
from gpupipe.runtime.execute import over_partitions, workers
from gpupipe.runtime.halving import in_parts, once_more
from gpupipe.runtime.progress import told
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked
from gpupipe.runtime.streaming import streamed
from gpupipe.sources.border import to_arrow
from gpupipe.sources.kinds import ARRAYS, array_in, arrays_as, columns_as, matrix_as
from gpupipe.sources.source import Source


def each_partition(rows: Rows, work: Callable[[Frame], Any]) -> list[Any]:
    """`work` on the frame of every partition, or of stretches of it, on all cores, in their order."""

    def tried(index: int, frame: Frame) -> list[Any]:
        return in_parts(rows, index, frame, lambda start, stop: work(frame.rows(start, stop)))

    with workers(rows.n_workers) as pool, told("features", rows) as progress:
        return [found for parts in over_partitions(rows, tried, pool, progress) for found in parts]


def passing(source: Source, features: FittedFeatures) -> Rows:
    """Rows to score: seen once, not kept, in the types of the fit."""
    device = features.backend.device
    return Rows(source, features.plan.columns, keep=False, schema=features.plan.schema, device=device)


def scores(features: FittedFeatures, model: Any, rows: Rows, score: Callable[[Model, Values], Values]) -> Values:
    """`score` of the model and each partition's matrix, one below the other."""

    def work(frame: Frame) -> Values:
        return score(model, feature_matrix(features, model, frame))

    return np.concatenate(each_partition(rows, work))


def scores_each(
    features: FittedFeatures, model: Any, rows: Rows, score: Callable[[Model, Values], list[Values]]
) -> list[Values]:
    """`score` of the model and each partition's matrix, which gives an array a target: each one below the other."""

    def work(frame: Frame) -> list[Values]:
        return score(model, feature_matrix(features, model, frame))

    return [np.concatenate(parts) for parts in zip(*each_partition(rows, work), strict=True)]


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
    parts = each_partition(rows, features.columns)
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
        values = scores(features, model, rows, lambda model, matrix: model.transform(matrix))
        return matrix_as(kind, names, values, index)
    if kind in ARRAYS and features.fits_float32:
        return array_in(kind, transformed_matrix(features, rows, kind == "cupy"))
    if kind == "cudf" and features.backend.device is not None:
        frames = optional.load("gpupipe.sources.cudf_frames")
        return frames.frame_of(features.names, each_partition(rows, features.resident), index)
    return columns_as(kind, features.names, transformed(features, rows), index)


def transformed_matrix(features: FittedFeatures, rows: Rows, on_device: bool = False) -> Any:
    """Every feature over all rows as a float32 matrix of shape (rows, features); null as NaN.

    With `on_device` it stays in the memory of the device that computes, if one does.
    """
    matrix = Stacked(rows.heights, len(features.outputs), features.backend.device if on_device else None)

    def work(index: int, frame: Frame) -> list[Any]:
        def computed(start: int, stop: int) -> Any:
            found: Any = features.matrix(frame.rows(start, stop), matrix.part(index, start, stop))
            return found

        return in_parts(rows, index, frame, computed)

    with workers(rows.n_workers) as pool, told("features", rows) as progress:
        return matrix.whole([part for parts in over_partitions(rows, work, pool, progress) for part in parts])


def predictions(fit: Fit, source: Source, keep: Sequence[str] = ()) -> Iterator[pa.Table]:
    """What `gpupipe predict` writes, a table for each partition, in their order, computed on all cores.

    The columns `keep` of the data, as they are there; then ``prediction`` and, of a classifier with probabilities,
    ``probability_LABEL`` for each label (of several targets ``prediction_TARGET`` and ``probability_TARGET_LABEL``);
    of a pipeline that only transforms, its features; of a PCA, its components.

    Raises:
        ColumnNotFoundError, TypeMismatchError: a column that is not there, or cannot be read; before a row is read.
        DuplicateNameError: a column to keep has the name of one of the results.
    """
    kept = list(dict.fromkeys(keep))
    rows = Rows(source, list(dict.fromkeys([*fit.features.plan.columns, *kept])), keep=False)
    return _tables(fit, rows, kept)


def _tables(fit: Fit, rows: Rows, kept: list[str]) -> Iterator[pa.Table]:
    plan = fit.features.plan

    def work(index: int) -> pa.Table:
        frame = once_more(rows, index, lambda: rows.frame(index))

        def computed(start: int, stop: int) -> pa.Table:
            part = frame.rows(start, stop)
            return _beside(part, kept, _table(fit, as_planned(part.select(plan.columns), plan.schema)))

        with rows.placed(index, frame):
            return pa.concat_tables(in_parts(rows, index, frame, computed))

    with workers(rows.n_workers) as pool:
        yield from streamed(work, rows.n_partitions, pool, ahead=max(rows.n_workers - 1, 1))


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
