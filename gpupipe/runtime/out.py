"""Features written where the caller says: into an array, in memory or memory-mapped, or to a Parquet file."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.errors import ParameterError, ShapeError, TypeMismatchError, counted
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import feature_matrix
from gpupipe.runtime.execute import over_partitions, workers
from gpupipe.runtime.halving import in_parts, once_more
from gpupipe.runtime.progress import told
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.streaming import streamed
from gpupipe.sources.kinds import columns_as, matrix_as, plain
from gpupipe.sources.write import write_parquet

Out = np.ndarray[Any, Any] | str | os.PathLike[str]


def written(out: Any, features: FittedFeatures, rows: Rows, names: Sequence[str], model: Model | None = None) -> Any:
    """The features of all rows, or with a `model` what it makes of them, written to `out`; no more than some partitions
    of them are in memory at a time.

    Args:
        out: a float32 array of shape (rows, columns), which `numpy.memmap` makes too; or the path of a Parquet file,
            which stands there once it is whole.
        names: of the columns.

    Returns:
        `out` itself where it is an array, else the number of rows written.

    Raises:
        ParameterError: `out` is neither.
        ShapeError: an array of another shape.
        TypeMismatchError: a feature that float32 does not hold exactly, for an array.
        StorageError: the file cannot be written.
    """
    if isinstance(out, (str, os.PathLike)):
        return write_parquet(_tables(features, rows, names, model), out, encodings=_encodings(features, model, names))
    _check_array(out, features, len(names), model)
    (_into_known if model is None and rows.heights is not None else _into_next)(out, features, rows, model)
    return out


def refuse_both(output: str | None, out: Any) -> None:
    """Raise ParameterError where features are wanted in two places."""
    if output is not None and out is not None:
        raise ParameterError(f"Both output={output!r} and out= were given. One of them says where the features go.")


def _check_array(out: Any, features: FittedFeatures, width: int, model: Model | None) -> None:
    if not isinstance(out, np.ndarray):
        raise ParameterError(f"out= takes a NumPy array, or the path of a Parquet file; it was {type(out).__name__}.")
    if out.dtype != np.float32 or not out.flags.writeable or not out.dtype.isnative:
        kind = f"{out.dtype}" if out.flags.writeable else f"{out.dtype}, read-only"
        raise ParameterError(f"out= takes a float32 array that can be written to, and this one is {kind}.")
    if out.ndim != 2 or out.shape[1] != width:
        raise ShapeError(f"out has the shape {out.shape}, and there are {counted(width, 'column')} to write.")
    inexact = [] if model is not None else features.beyond_float32
    if inexact:
        shown = ", ".join(f"{output.name!r} ({output.dtype})" for output in inexact[:8])
        raise TypeMismatchError(
            f"out= is a float32 array, which does not hold {shown} as they are. Cast them (.cast('Float32')), or write "
            "a Parquet file."
        )


def _into_known(out: Values, features: FittedFeatures, rows: Rows, _: Model | None) -> None:
    """Every partition in its place, whichever comes first."""
    edges = np.cumsum([0, *(rows.heights or ())])
    _check_height(out, int(edges[-1]))

    def work(index: int, frame: Frame) -> None:
        def computed(start: int, stop: int) -> None:
            features.matrix(frame.rows(start, stop), out[edges[index] + start : edges[index] + stop])

        in_parts(rows, index, frame, computed)

    with workers(rows.n_workers) as pool, told("features", rows) as progress:
        over_partitions(rows, work, pool, progress)


def _into_next(out: Values, features: FittedFeatures, rows: Rows, model: Model | None) -> None:
    """Each partition after the one before it: how many rows it has is known when it is there."""
    first = 0
    for part in _parts(rows, lambda frame: _matrix(features, frame, model)):
        if first + len(part) <= len(out):
            out[first : first + len(part)] = part
        first += len(part)
    _check_height(out, first)


def _matrix(features: FittedFeatures, frame: Frame, model: Model | None) -> Values:
    found: Values = features.matrix(frame) if model is None else model.transform(feature_matrix(features, model, frame))
    return found


def _check_height(out: Values, found: int) -> None:
    if len(out) != found:
        raise ShapeError(f"out has {counted(len(out), 'row')}, and there are {found:,} to write.")


def _tables(features: FittedFeatures, rows: Rows, names: Sequence[str], model: Model | None) -> Iterator[pa.Table]:
    def table(frame: Frame) -> pa.Table:
        if model is not None:
            return matrix_as("arrow", names, _matrix(features, frame, model))
        found = columns_as("arrow", names, features.columns(frame))
        return pa.table([plain(column) for column in found.columns], names=found.column_names)

    return _parts(rows, table)


def _parts(rows: Rows, compute: Any) -> Iterator[Any]:
    """`compute` of the frame of every partition, or of stretches of it, in the order of rows."""

    def work(index: int) -> list[Any]:
        frame = once_more(rows, index, lambda: rows.frame(index))
        with rows.placed(index, frame):
            return in_parts(rows, index, frame, lambda start, stop: compute(frame.rows(start, stop)))

    with workers(rows.n_workers) as pool, told("features", rows) as progress:
        for parts in streamed(work, rows.n_partitions, pool, ahead=max(rows.n_workers - 1, 1)):
            progress.advance(sum(len(part) for part in parts))
            yield from parts


def _encodings(features: FittedFeatures, model: Model | None, names: Sequence[str]) -> dict[str, str]:
    """Numbers without dictionaries, whose hashing costs a third of the writing: measurements seldom repeat, and codes
    are as small as differences (26 columns of codes: 66 MB a million rows and .37 CPU s, as dictionaries 63 and .49).
    """
    if model is not None:
        return dict.fromkeys(names, "PLAIN")
    outputs = [output for output in features.outputs if output.dtype.name not in ("String", "Boolean", "Null")]
    return {output.name: "PLAIN" if output.dtype.is_float else "DELTA_BINARY_PACKED" for output in outputs}
