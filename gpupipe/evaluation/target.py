"""The target at evaluation: every row must have one, and one the model can know."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_from, values_of, with_nan
from gpupipe.errors import TargetError, counted

Values = np.ndarray[Any, Any]


def encode_labels(labels: Any, classes: Sequence[Any]) -> Values:
    """The position of each label among `classes`, int64 (rows,).

    Args:
        labels: a NumPy array, a list, or an Arrow array (a dictionary, too) of bools, numbers or strings.
        classes: plain Python labels, all of one kind.

    Raises:
        TargetError: a null, or a label that is not a class; the message names it and counts the rows.

    >>> encode_labels(np.array(["no", "yes", "no"]), ["no", "yes"])
    array([0, 1, 0])
    """
    array, known = to_arrow(labels), array_from(list(classes))
    if array.null_count:
        raise TargetError(
            f"The target is null in {array.null_count:,} of {len(array):,} rows. Filter those rows out first."
        )
    positions = pc.index_in(*_of_one_type(array, known))
    if positions.null_count:
        _refuse_unknown(array.filter(positions.is_null()), classes)
    return values_of(positions).astype(np.int64)


def encode_numbers(target: Any) -> Values:
    """The target of a regression as float64 (rows,).

    Raises:
        TargetError: not numbers, or a null, NaN or infinity; the message counts the rows.

    >>> encode_numbers([1, 2])
    array([1., 2.])
    """
    array = to_arrow(target)
    if _kind(array.type) == "text":
        raise TargetError(
            f"A regression needs a numeric target; this one is {array.type}. Cast it, or classify."
        )
    values = with_nan(array.cast(pa.float64()))
    if lost := len(values) - int(np.count_nonzero(np.isfinite(values))):
        raise TargetError(
            f"The target is null, NaN or infinite in {lost:,} of {len(values):,} rows. Filter those rows "
            "out first."
        )
    return values


def to_arrow(values: Any) -> pa.Array:
    """Any array of plain values as an Arrow array without dictionary or chunks; NumPy's NaN and None are
    nulls.

    Raises:
        TargetError: values of several kinds, or more than one dimension.
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        try:
            values = array_from(values)
        except (pa.ArrowException, TypeError) as error:
            raise TargetError(
                f"These values cannot be compared, as they are of several kinds: {error}."
            ) from error
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _of_one_type(array: pa.Array, known: pa.Array) -> tuple[pa.Array, pa.Array]:
    if _kind(array.type) != _kind(known.type):
        raise TargetError(
            f"The target is {array.type}, but the model's classes are {known.type} "
            f"({_listed(known.to_pylist())}). Give the target as the model learned it."
        )
    for kind in (known.type, array.type, pa.float64()):
        try:
            return array.cast(kind), known.cast(kind)
        except pa.ArrowInvalid:  # a value the other type cannot hold
            continue
    raise TargetError(f"Labels of type {array.type} cannot be compared with classes of type {known.type}.")


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "bool"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"


def _refuse_unknown(unknown: pa.Array, classes: Sequence[Any]) -> None:
    counts = sorted((-row["counts"], repr(row["values"])) for row in unknown.value_counts().to_pylist())
    found = ", ".join(f"{label} ({counted(-count, 'row')})" for count, label in counts[:5])
    more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
    raise TargetError(
        f"The target holds labels the model does not know: {found}{more}. It learned {_listed(classes)}. "
        "Filter those rows out, or train on rows that have them."
    )


def _listed(labels: Sequence[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:8]) + (", …" if len(labels) > 8 else "")
