"""Features written where the caller says: into an array, in memory or memory-mapped, or to a Parquet file."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.conform import refuse_other_kinds
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.errors import ParameterError, ShapeError, TypeMismatchError, counted
from gpupipe.models.fitted import Model
from gpupipe.models.scoring import feature_matrix
from gpupipe.optional import later
from gpupipe.runtime.crew import crew_for
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.orders import Work
from gpupipe.runtime.progress import told
from gpupipe.runtime.quarantine import Quarantine, quarantine_for
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.score import Computing, Predicting, matrices, predicted_rows, predictions
from gpupipe.runtime.stacked import Stacked
from gpupipe.sources.kinds import columns_as, matrix_as, plain
from gpupipe.sources.source import Source

if TYPE_CHECKING:
    from gpupipe.runtime.dataset import Written, write_folder
    from gpupipe.runtime.standing import About
    from gpupipe.sources.snapshot import snapshot
    from gpupipe.sources.write import write_parquet
else:
    (write_folder,) = later("gpupipe.runtime.dataset", "write_folder")
    (About,) = later("gpupipe.runtime.standing", "About")
    (snapshot,) = later("gpupipe.sources.snapshot", "snapshot")
    (write_parquet,) = later("gpupipe.sources.write", "write_parquet")

Out = np.ndarray[Any, Any] | str | os.PathLike[str]


def written(
    out: Any,
    features: FittedFeatures,
    rows: Rows,
    names: Sequence[str],
    model: Model | None = None,
    *,
    fit: Fit | None = None,
    overwrite: bool = False,
    quarantine: Quarantine | None = None,
) -> Any:
    """The features of all rows, or with a `model` what it makes of them, written to `out`; no more than some partitions
    of them are in memory at a time.

    Args:
        out: a float32 array of shape (rows, columns), which `numpy.memmap` makes too; or the path of a Parquet file,
            which stands there once it is whole; or a folder of them (:func:`is_folder`), a file a partition.
        names: of the columns.
        fit: what was learned, by which results in a folder are known again.
        overwrite: results of something else that stand in the folder go.
        quarantine: where partitions go that cannot be read and have no file in the folder; None: they are errors.

    Returns:
        `out` itself where it is an array, else the number of rows written.

    Raises:
        ParameterError: `out` is neither.
        ShapeError: an array of another shape.
        TypeMismatchError: a feature that float32 does not hold exactly, for an array.
        StorageError: the file cannot be written.
        RunChangedError, RunBusyError: as for `write_folder`.
    """
    if fit is not None and is_folder(out):
        how: dict[str, Any] = {"overwrite": overwrite, "quarantine": quarantine}
        return _into_folder(out, features, rows, names, model, fit, **how).rows
    if isinstance(out, (str, os.PathLike)):
        return write_parquet(_tables(features, rows, names, model), out, encodings=_encodings(features, model, names))
    _check_array(out, features, len(names), model)
    (_into_known if model is None and rows.heights is not None else _into_next)(out, features, rows, model)
    return out


def is_folder(out: Any) -> bool:
    """Whether a path stands for a folder of files: it ends in a slash, or a folder stands there.

    >>> is_folder("features/"), is_folder("features.parquet"), is_folder("/")
    (True, False, True)
    """
    return isinstance(out, (str, os.PathLike)) and (os.fspath(out).endswith(os.sep) or os.path.isdir(out))


def refuse_both(output: str | None, out: Any) -> None:
    """Raise ParameterError where features are wanted in two places."""
    if output is not None and out is not None:
        raise ParameterError(f"Both output={output!r} and out= were given. One of them says where the features go.")


def quarantine_at(out: Any, policy: str) -> Quarantine | None:
    """What ``on_bad_partition=`` stands for where results go to `out`.

    Raises:
        ParameterError: no such policy; a quarantine for anything but a folder, which could not tell what lacks.
    """
    quarantine = quarantine_for(policy)
    if quarantine is not None and not is_folder(out):
        raise ParameterError(
            f"on_bad_partition={policy!r} takes a folder, whose manifest tells what lacks. Give out='results/'."
        )
    return quarantine


def _into_folder(
    out: Any,
    features: FittedFeatures,
    rows: Rows,
    names: Sequence[str],
    model: Model | None,
    fit: Fit,
    **how: Any,
) -> "Written":
    is_training = features.training
    if not is_training:
        refuse_other_kinds(rows.source.schema, features.plan.schema, features.plan.columns)
    columns = features.plan.fit_columns if is_training else features.plan.columns
    about = About(
        "features of the training rows" if is_training else "features",
        learned_digest(fit, model),
        (),
        snapshot(rows.source, columns),
    )
    tables, encodings = Tabling(features, tuple(names), model), _encodings(features, model, names)
    return write_folder(out, about, rows, tables, encodings, **how)


def write_predictions(
    fit: Fit,
    source: Source,
    keep: Sequence[str],
    out: Any,
    *,
    overwrite: bool = False,
    quarantine: Quarantine | None = None,
) -> "Written":
    """What :func:`predictions` gives, written to a folder of Parquet files, a file a partition.

    Args:
        quarantine: where partitions go that cannot be read and have no file; None: they are errors.

    Raises:
        ColumnNotFoundError, TypeMismatchError, DuplicateNameError: as for :func:`predictions`.
        ParameterError, RunChangedError, RunBusyError, StorageError: as for `write_folder`.
    """
    rows = predicted_rows(fit, source, keep)
    refuse_other_kinds(source.schema, fit.features.plan.schema, fit.features.plan.columns)
    kept = tuple(dict.fromkeys(keep))
    columns = [*fit.features.plan.columns, *kept]
    about = About("predictions", learned_digest(fit, fit.model), kept, snapshot(source, columns))
    order = Predicting(fit, kept)
    return write_folder(out, about, rows, order, None, overwrite=overwrite, quarantine=quarantine)


def predictions_to(out: Any, fit: Fit, source: Source, keep: Sequence[str], **how: Any) -> int:
    """The number of rows of predictions written to a Parquet file, or to a folder of them, `how` being as for
    :func:`write_predictions`."""
    if is_folder(out):
        return write_predictions(fit, source, keep, out, **how).rows
    return write_parquet(predictions(fit, source, keep), out)


def learned_digest(fit: Fit, model: Model | None) -> str:
    """SHA-256 of what features, and a model where one is used, have learned."""
    digests = [fit.digest(), "" if model is None else model.digest()]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


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
    _check_height(out, sum(rows.heights or ()))
    into = Stacked(rows.heights, out.shape[1], into=out)
    with crew_for(rows) as crew, told("features", rows) as progress:
        matrices(crew, rows, Computing(features, "matrix", into=into if crew.is_here else None), into, progress)


def _into_next(out: Values, features: FittedFeatures, rows: Rows, model: Model | None) -> None:
    """Each partition after the one before it: how many rows it has is known when it is there."""
    first = 0
    for part in _parts(rows, Computing(features, "matrix" if model is None else "transform", model)):
        if first + len(part) <= len(out):
            out[first : first + len(part)] = part
        first += len(part)
    _check_height(out, first)


def _check_height(out: Values, found: int) -> None:
    if len(out) != found:
        raise ShapeError(f"out has {counted(len(out), 'row')}, and there are {found:,} to write.")


@dataclass(frozen=True, slots=True, eq=False)
class Tabling:
    """Tables of features, or of what a model makes of them, of each partition's parts.

    Attributes:
        names: of the columns.
        features, model, stage, columns: as of :class:`Computing`.
    """

    features: FittedFeatures
    names: tuple[str, ...]
    model: Model | None = None
    stage: str = "features"
    columns: Sequence[str] | None = None

    def ready(self) -> Work[list[pa.Table]]:
        """Makes the tables of a partition."""

        def work(rows: Any, index: int, frame: Frame) -> list[pa.Table]:
            return in_parts(rows, index, frame, lambda start, stop: self._table(frame.rows(start, stop)))

        return work

    def _table(self, frame: Frame) -> pa.Table:
        if self.model is not None:
            matrix = self.model.transform(feature_matrix(self.features, self.model, frame))
            return matrix_as("arrow", self.names, matrix)
        found = columns_as("arrow", self.names, self.features.columns(frame))
        return pa.table([plain(column) for column in found.columns], names=found.column_names)


def _tables(features: FittedFeatures, rows: Rows, names: Sequence[str], model: Model | None) -> Iterator[pa.Table]:
    return _parts(rows, Tabling(features, tuple(names), model))


def _parts(rows: Rows, order: Computing | Tabling) -> Iterator[Any]:
    """What comes of every partition, or of stretches of it, in the order of rows."""
    with crew_for(rows) as crew, told("features", rows) as progress:
        for _, parts in crew.results(rows, order, progress, in_order=True):
            yield from parts


def _encodings(features: FittedFeatures, model: Model | None, names: Sequence[str]) -> dict[str, str]:
    """Numbers without dictionaries, whose hashing costs a third of the writing: measurements seldom repeat, and codes
    are as small as differences (26 columns of codes: 66 MB a million rows and .37 CPU s, as dictionaries 63 and .49).
    """
    if model is not None:
        return dict.fromkeys(names, "PLAIN")
    outputs = [output for output in features.outputs if output.dtype.name not in ("String", "Boolean", "Null")]
    return {output.name: "PLAIN" if output.dtype.is_float else "DELTA_BINARY_PACKED" for output in outputs}
