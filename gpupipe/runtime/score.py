"""Fitted features and models over all partitions of a source."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import feature_matrix
from gpupipe.runtime.execute import over_partitions, workers
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked
from gpupipe.sources.kinds import array_as, columns_as, matrix_as
from gpupipe.sources.source import Source


def each_partition(rows: Rows, work: Callable[[Frame], Any]) -> list[Any]:
    """`work` on the frame of every partition, on all cores, in their order."""
    with workers(rows.n_workers) as pool:
        return over_partitions(rows, lambda index, frame: work(frame), pool, Silent())


def passing(source: Source, features: FittedFeatures) -> Rows:
    """Rows to score: seen once, not kept, in the types of the fit."""
    return Rows(source, features.plan.columns, keep=False, schema=features.plan.schema)


def scores(features: FittedFeatures, model: Any, rows: Rows, score: Callable[[Model, Values], Values]) -> Values:
    """`score` of the model and each partition's matrix, one below the other."""

    def work(frame: Frame) -> Values:
        return score(model, feature_matrix(features, model, frame))

    return np.concatenate(each_partition(rows, work))


def transformed(features: FittedFeatures, rows: Rows) -> list[Column]:
    """Every feature over all rows, each in its type."""
    parts = each_partition(rows, features.columns)
    return [concat([part[at] for part in parts]) for at in range(len(features.names))]


def transformed_matrix(features: FittedFeatures, rows: Rows) -> Values:
    """Every feature over all rows as a float32 matrix of shape (rows, features); null as NaN."""
    matrix = Stacked(rows.heights, len(features.outputs))

    def work(index: int, frame: Frame) -> Values:
        return features.matrix(frame, matrix.part(index))

    with workers(rows.n_workers) as pool:
        return matrix.whole(over_partitions(rows, work, pool, Silent()))


def predictions(fit: Fit, source: Source) -> Iterator[pa.Table]:
    """What `gpupipe predict` writes, a table for each partition, in their order, computed on all cores.

    The column ``prediction`` and, of a classifier with probabilities, ``probability_LABEL`` for each label; of a
    pipeline that only transforms, its features; of a PCA, its components.
    """
    rows = passing(source, fit.features)
    with workers(rows.n_workers) as pool:
        yield from pool.map(lambda index: _table(fit, rows.frame(index)), range(rows.n_partitions))


def _table(fit: Fit, frame: Frame) -> pa.Table:
    features, model = fit.features, fit.model
    if model is None:
        return columns_as("arrow", features.names, features.columns(frame))
    matrix = feature_matrix(features, model, frame)
    if model.kind == "transformer":
        components = model.transform(matrix)
        return matrix_as("arrow", [f"component_{at}" for at in range(components.shape[1])], components)
    table = array_as("arrow", "prediction", model.predict(matrix))
    if not model.has_probabilities:
        return table
    for label, share in zip(model.classes or (), model.predict_proba(matrix).T, strict=True):
        table = table.append_column(f"probability_{label}", pa.array(np.ascontiguousarray(share)))
    return table
