"""Named arrays as one safetensors file: numbers as they are, strings as their UTF-8 bytes and offsets."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import safetensors
from safetensors.numpy import save

from gpupipe.arrow_arrays import filled, values_of
from gpupipe.errors import ArtifactCorruptError, ParameterError, UnsafeModelError

Numbers = np.ndarray[Any, Any]
Array: TypeAlias = Any  # Numbers, pa.StringArray or pa.LargeStringArray; pyarrow ships no types

# safetensors' name of a dtype -> NumPy's. What is not here is neither written nor read.
_DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}
KINDS = {dtype: kind for kind, dtype in _DTYPES.items()}
WIDTHS = {kind: np.dtype(dtype).itemsize for kind, dtype in _DTYPES.items()}
_STRINGS = {"string": pa.string(), "large_string": pa.large_string()}
_PARTS = (".utf8", ".offsets", ".valid")


def encode(arrays: Mapping[str, Array]) -> tuple[bytes, dict[str, str]]:
    """A safetensors file of the arrays, and the type ("string", "large_string") of those that hold strings.

    An array of strings `x` becomes the tensors ``x.utf8`` (uint8), ``x.offsets`` (int64, one more than there
    are strings) and, only if there are nulls, ``x.valid`` (bool). Arrays are stored C-contiguous and
    little-endian.

    Raises:
        UnsafeModelError: an array of objects, NumPy strings, dates or complex numbers; the message names it.
        ParameterError: a name that is empty, reserved or taken by the parts of an array of strings.

    >>> data, strings = encode({"mean": np.zeros(3), "cities": pa.array(["Oslo", "Rome"])})
    >>> strings
    {'cities': 'string'}
    """
    tensors, strings = flat(arrays)
    return save(tensors), strings


def flat(arrays: Mapping[str, Array]) -> tuple[dict[str, Numbers], dict[str, str]]:
    """The tensors of a file of these arrays, and the types of strings, as :func:`encode` has them."""
    tensors: dict[str, Numbers] = {}
    strings: dict[str, str] = {}
    for name, array in arrays.items():
        parts = {name: array} if isinstance(array, np.ndarray) else _string_parts(name, array)
        if not isinstance(array, np.ndarray):
            strings[name] = str(array.type)
        for part, values in parts.items():
            if part in tensors or not part or part == "__metadata__":
                raise ParameterError(
                    f"Two arrays would be stored as {part!r}, or the name is reserved. Rename {name!r}."
                )
            tensors[part] = _storable(name, values)
    return tensors, strings


def decode(data: bytes, strings: Mapping[str, str], name: str) -> dict[str, Array]:
    """The arrays that :func:`encode` wrote, sorted by name, NumPy's read-only; `name` is the file messages
    name.

    Raises:
        ArtifactCorruptError: a header that does not fit the data, a dtype that is not ours, bools that are
            neither 0 nor 1, offsets out of order, text that is not UTF-8.

    >>> data, strings = encode({"cities": pa.array(["Oslo", None])})
    >>> decode(data, strings, "state.safetensors")["cities"].to_pylist()
    ['Oslo', None]
    """
    try:
        found = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise ArtifactCorruptError(f"{name} is not a whole safetensors file: {str(error)[:300]}.") from error
    return together([(key, spec["dtype"], spec["shape"], spec["data"]) for key, spec in found], strings, name)


def together(
    found: Iterable[tuple[str, str, Any, Any]], strings: Mapping[str, str], name: str
) -> dict[str, Array]:
    """The arrays of tensors: (name, safetensors' name of its dtype, shape, bytes); see :func:`decode`."""
    tensors = {key: _tensor(f"{name}: array {key[:100]!r}", *spec) for key, *spec in found}
    arrays: dict[str, Array] = {key: _strings(name, key, kind, tensors) for key, kind in strings.items()}
    for key, values in tensors.items():
        if key in arrays:
            raise ArtifactCorruptError(f"{name} holds {key!r} both as strings and as numbers.")
        arrays[key] = values
    return dict(sorted(arrays.items()))


def _storable(name: str, values: Numbers) -> Numbers:
    if values.dtype.name not in _DTYPES.values():
        raise UnsafeModelError(
            f"Array {name!r} has dtype {values.dtype}, which has no safe form. Use bool, an integer or a "
            "float dtype; "
            "for strings pass pa.array(values)."
        )
    return np.asarray(values, dtype=values.dtype.newbyteorder("<"), order="C")


def _string_parts(name: str, array: pa.Array) -> dict[str, Numbers]:
    if not isinstance(array, pa.StringArray | pa.LargeStringArray):
        kind = getattr(array, "type", type(array).__name__)
        raise UnsafeModelError(
            f"Array {name!r} is {kind}; an array is a NumPy array or an Arrow array of plain strings. "
            "Convert it, "
            "or store it in a table."
        )
    # what lies under a null must not reach the digest
    offsets, utf8 = _offsets(filled(array))
    parts = {f"{name}.utf8": utf8, f"{name}.offsets": offsets}
    if array.null_count:
        parts[f"{name}.valid"] = values_of(array.is_valid())
    return parts


def _offsets(array: pa.Array) -> tuple[Numbers, Numbers]:
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    _, starts, data = array.buffers()
    if not len(array) or starts is None:
        return np.zeros(len(array) + 1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(starts, width)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    utf8 = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], utf8[offsets[0] : offsets[-1]]


def _tensor(where: str, kind: str, shape: Any, data: Any) -> Numbers:
    if kind not in _DTYPES:
        raise ArtifactCorruptError(f"{where} has dtype {kind}, which is never written. Save it again.")
    dtype = np.dtype(_DTYPES[kind]).newbyteorder("<")
    try:
        values = np.frombuffer(data, dtype).reshape(shape)
    except (ValueError, OverflowError) as error:  # a shape of an empty array may be any, and is NumPy's to judge
        raise ArtifactCorruptError(f"{where} has the shape {str(shape)[:100]}: {error}.") from error
    if values.dtype == np.bool_ and values.view(np.uint8).max(initial=0) > 1:
        raise ArtifactCorruptError(f"{where} holds bools that are neither 0 nor 1.")
    values.flags.writeable = False
    return values


def _strings(file: str, name: str, kind: str, tensors: dict[str, Numbers]) -> pa.Array:
    utf8, offsets, valid = (tensors.pop(name + part, None) for part in _PARTS)
    if kind not in _STRINGS or utf8 is None or offsets is None:
        raise ArtifactCorruptError(f"{file} lacks the parts of the strings {name!r} (type {kind!r}).")
    if not _fits(utf8, offsets, valid, kind):
        raise ArtifactCorruptError(f"{file}: the offsets of the strings {name!r} do not fit their bytes.")
    starts = offsets.astype(np.int64 if kind == "large_string" else np.int32)
    # Packed here, as pa.array would import pandas where there is one.
    mask = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [mask, pa.py_buffer(starts), pa.py_buffer(utf8)]
    array = pa.Array.from_buffers(_STRINGS[kind], len(offsets) - 1, buffers)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ArtifactCorruptError(f"{file}: the strings {name!r} are not UTF-8: {error}.") from error
    return array


def _fits(utf8: Numbers, offsets: Numbers, valid: Numbers | None, kind: str) -> bool:
    shaped = utf8.dtype == np.uint8 and utf8.ndim == 1 and offsets.dtype == np.int64 and offsets.ndim == 1
    if not shaped or not len(offsets) or (kind == "string" and len(utf8) >= 2**31):
        return False
    if valid is not None and (valid.dtype != np.bool_ or valid.shape != (len(offsets) - 1,)):
        return False
    return bool(offsets[0] == 0 and offsets[-1] == len(utf8) and (offsets[1:] >= offsets[:-1]).all())
