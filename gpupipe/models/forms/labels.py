"""Targets: labels of any plain type to codes 0 … K-1 and back, and numbers for a regression."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpupipe.arrow_arrays import array_from, values_of, with_nan
from gpupipe.errors import TargetError

Label = bool | int | float | str


def encode(y: Any) -> tuple[NDArray[np.int64], list[Label]]:
    """Codes of shape (rows,) and the classes they index, sorted (strings by code point, False before True).

    Raises:
        TargetError: a null or NaN label, fewer than two classes, labels of mixed or unsupported types, or
            fractional numbers, which no classifier is meant for.

    >>> codes, classes = encode(np.array(["no", "yes", "no"]))
    >>> codes.tolist(), classes
    ([0, 1, 0], ['no', 'yes'])
    """
    positions, values = distinct(y)
    order = order_of_classes(values, len(positions))
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    return rank[positions], [values[index] for index in order]


def order_of_classes(values: Sequence[Label], n_rows: int) -> list[int]:
    """The labels of `n_rows` rows, each once, sorted: their positions.

    Raises:
        TargetError: fewer than two, or fractional numbers.

    >>> order_of_classes(["no", "maybe"], 5)
    [1, 0]
    """
    if len(values) < 2:
        raise TargetError(
            f"The target has one class, {values[0]!r}, in all {n_rows} rows; a classifier needs two. "
            "Check the target's expression and the filters."
            if values
            else "The target has no rows, so there is no class to learn. Check the source and its filters."
        )
    fractional = [value for value in values if isinstance(value, float) and not value.is_integer()]
    if fractional:
        raise TargetError(
            f"The target holds fractional numbers, such as {fractional[0]!r}, so it is continuous; "
            "a classifier needs labels. Use a regressor, or cut the target into classes."
        )
    return sorted(range(len(values)), key=lambda index: values[index])


def codes_of(y: Any, classes: Sequence[Label]) -> NDArray[np.int64]:
    """The codes of `y` among known `classes`.

    Raises:
        TargetError: a null, or a label that the training rows did not have.
    """
    positions, values = distinct(y)
    code = {label: index for index, label in enumerate(classes)}
    unknown = [value for value in values if value not in code]
    if unknown:
        raise TargetError(
            f"The validation rows have the label {unknown[0]!r}, which no training row has "
            f"(those have {list(classes)}). Validate on rows of the same classes."
        )
    return np.array([code[value] for value in values], dtype=np.int64)[positions]


def numbers(y: Any) -> NDArray[np.float64]:
    """The target of a regression, float64 of shape (rows,).

    Raises:
        TargetError: a null, NaN or infinity, or values that are not numbers.
    """
    values = _arrow(y)
    if not any(test(values.type) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)):
        raise TargetError(
            f"The target of a regression must be numbers, and these are {values.type}. Cast it, or use a classifier."
        )
    _refuse_nulls(values)
    found = values_of(values).astype(np.float64)
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise TargetError(f"The target is infinite in {bad} of {len(found)} rows. Filter these rows out.")
    return found


def decode(codes: NDArray[Any], classes: Sequence[Label]) -> NDArray[Any]:
    """The labels of `codes`: bool, int64 or float64 arrays, and object arrays of str."""
    kind = object if isinstance(classes[0], str) else None
    return np.array(classes, dtype=kind)[codes]


def side_by_side(found: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Columns of values as one array, (rows, columns): objects where their types differ."""
    kind = found[0].dtype if len({values.dtype for values in found}) == 1 else object
    return np.stack([values.astype(kind) for values in found], axis=1)


def _arrow(y: Any) -> pa.Array:
    if isinstance(y, pa.ChunkedArray):
        y = y.combine_chunks()
    if not isinstance(y, pa.Array):
        try:
            y = array_from(y)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise TargetError(f"The target mixes types, or holds none of ours: {error}") from error
    if pa.types.is_dictionary(y.type):
        y = y.cast(y.type.value_type)
    if pa.types.is_floating(y.type):  # NaN counts as missing in a target, whatever it was in the source
        y = array_from(with_nan(y).astype(np.float64) + 0.0)
    return y


def _refuse_nulls(values: pa.Array) -> None:
    if values.null_count:
        raise TargetError(
            f"The target is null or NaN in {values.null_count} of {len(values)} rows. "
            "Filter these rows out, or fill the target."
        )


def distinct(y: Any) -> tuple[NDArray[np.int64], list[Label]]:
    """Labels, each once, and for each row the position of its own.

    Raises:
        TargetError: a null or NaN label, or labels of mixed or unsupported types.
    """
    values = _arrow(y)
    _refuse_nulls(values)
    try:
        encoded = values.dictionary_encode()
    except pa.ArrowNotImplementedError as error:
        raise TargetError(f"Labels of type {values.type} cannot be classes. {_PLAIN}") from error
    labels = encoded.dictionary.to_pylist()
    if not all(isinstance(label, Label) for label in labels):
        raise TargetError(f"Labels of type {values.type} cannot be classes. {_PLAIN}")
    return values_of(encoded.indices).astype(np.int64), labels


_PLAIN = "Use booleans, integers, whole floats or strings; cast others to strings first."
