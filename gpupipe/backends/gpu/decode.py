"""Parquet on a device: cuDF's reader decodes row groups into the device's memory, from where no column has to move.

Which columns, and in which types, is decided on the host from the file's footer. What cuDF holds in other bytes than
we do (decimals, other units of time, nested values) it does not decode: those columns come from the host's reader.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from gpupipe import optional
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.libcudf import column_of, cudf_failures, stream_of
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import Device
from gpupipe.schema import DType

# cuDF's reader takes, beside what it gives, about as much again while it works: columns are read in batches of so many
# decoded bytes, which keeps that part small and changes nothing else.
_BATCH_BYTES = 256 * 2**20
_PASS_BYTES = 64 * 2**20  # where a batch did not fit: what a pass over one column may take

_TEXT = (pa.string(), pa.large_string(), pa.string_view())
_SAME = {
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
    pa.float32(), pa.float64(), pa.date32(), *_TEXT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowGroups:
    """What is to be decoded of one file.

    Attributes:
        path: the file.
        numbers: its row groups, in order.
        n_rows: the rows of all of them.
        types: the columns, and what they are in our types.
        n_bytes: decoded bytes of each column, as far as the footer tells.
    """

    path: str
    numbers: Sequence[int]
    n_rows: int
    types: Mapping[str, DType]
    n_bytes: Mapping[str, int]


def refusal(name: str, arrow: pa.DataType, found: DType, wanted: DType) -> str | None:
    """Why a column of a file cannot be decoded on a device; None where it can.

    Args:
        name: its name.
        arrow: its type, as Arrow reads the file.
        found: that in our types.
        wanted: its type in the whole source.

    >>> from gpupipe.schema import Float64, Int32, Int64
    >>> refusal("x", pa.int32(), Int32, Int32) is None
    True
    >>> refusal("x", pa.decimal128(9, 2), Float64, Float64)
    'decimal128(9, 2) is decoded on the host'
    >>> refusal("x", pa.int32(), Int32, Int64)
    'it is Int32 in this file and Int64 in others'
    """
    if found != wanted:
        return f"it is {found} in this file and {wanted} in others"
    if "." in name or "`" in name:
        return f"cuDF takes the name {name!r} for a path into a nested column"
    return None if is_dictionary_of_text(arrow) or is_same(arrow) else f"{arrow} is decoded on the host"


def is_dictionary_of_text(arrow: pa.DataType) -> bool:
    """Whether values of a type are text by numbers.

    >>> is_dictionary_of_text(pa.dictionary(pa.int8(), pa.string())), is_dictionary_of_text(pa.string())
    (True, False)
    """
    return isinstance(arrow, pa.DictionaryType) and arrow.value_type in _TEXT


def is_same(arrow: pa.DataType) -> bool:
    """Whether cuDF holds values of a type in the bytes that we do; text, in what we make numbers of.

    >>> is_same(pa.timestamp("us", "UTC")), is_same(pa.timestamp("ns")), is_same(pa.float16())
    (True, False, False)
    """
    return arrow in _SAME or (pa.types.is_timestamp(arrow) and arrow.unit == "us")


def decoded(device: Device, groups: RowGroups) -> tuple[dict[str, DeviceColumn], dict[str, str]]:
    """The columns in the device's memory, and why others of them are not: the host decodes those.

    Of a batch that is refused each column is tried alone, as it may be one that refuses.

    Raises:
        DeviceMemoryError: the device has not so much memory, not even for one column after the other.
        DeviceLostError: the device cannot be used any more.
    """
    columns: dict[str, DeviceColumn] = {}
    refused: dict[str, str] = {}
    waiting = deque(_batches(groups))
    while waiting:
        names = waiting.popleft()
        try:
            for name, column in zip(names, _read(device, groups, names), strict=True):
                _put(device, name, column, groups.types[name], columns, refused)
        except NotOnDevice as why:
            if len(names) == 1:
                refused[names[0]] = str(why)
            else:
                rest = [[name] for name in names if name not in columns and name not in refused]
                waiting.extendleft(reversed(rest))
    return columns, refused


def _put(
    device: Device, name: str, column: Any, dtype: DType, columns: dict[str, DeviceColumn], refused: dict[str, str]
) -> None:
    try:
        columns[name] = column_of(device, column, dtype)
    except NotOnDevice as why:
        refused[name] = str(why)


def _batches(groups: RowGroups) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name in groups.types:
        if names and size + groups.n_bytes[name] > _BATCH_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += groups.n_bytes[name]
    if names:
        yield names


def _read(device: Device, groups: RowGroups, names: list[str]) -> Iterator[Any]:
    """The columns of these names as cuDF has them; one after the other, in small passes, where all at once is too much.

    Raises:
        NotOnDevice: cuDF cannot read them, or reads something else than the footer says.
    """
    try:
        columns = _at_once(device, groups, names)
    except DeviceMemoryError:
        device.release()
        return (_in_passes(device, groups, name) for name in names)
    return iter(columns)


def _at_once(device: Device, groups: RowGroups, names: list[str]) -> list[Any]:
    cudf = optional.load("pylibcudf")
    with cudf_failures(device, f"decoding {len(names)} columns of {groups.path}"):
        result = cudf.io.parquet.read_parquet(_options(groups, names), stream=stream_of(device))
        return _as_planned(groups, names, result.column_names(), list(result.tbl.columns()))


def _in_passes(device: Device, groups: RowGroups, name: str) -> Any:
    cudf, stream = optional.load("pylibcudf"), stream_of(device)
    with cudf_failures(device, f"decoding the column {name!r} of {groups.path} in passes"):
        reader = cudf.io.parquet.ChunkedParquetReader(
            _options(groups, [name]), stream=stream, chunk_read_limit=_PASS_BYTES, pass_read_limit=_PASS_BYTES
        )
        parts = []
        while reader.has_next():
            parts.append(reader.read_chunk().tbl)
        whole = parts[0] if len(parts) == 1 else cudf.concatenate.concatenate(parts, stream=stream)
        return _as_planned(groups, [name], [name], list(whole.columns()))[0]


def _options(groups: RowGroups, names: list[str]) -> Any:
    cudf = optional.load("pylibcudf")
    options = cudf.io.parquet.ParquetReaderOptions.builder(cudf.io.SourceInfo([groups.path])).build()
    options.set_column_names(names)
    options.set_row_groups([list(groups.numbers)])
    return options


def _as_planned(groups: RowGroups, names: list[str], found: list[str], columns: list[Any]) -> list[Any]:
    if list(found) != names or len(columns) != len(names):
        raise NotOnDevice(f"cuDF reads the columns {found}, and the footer has {names}")
    if any(column.size() != groups.n_rows for column in columns):
        raise NotOnDevice(f"cuDF reads {columns[0].size():,} rows, and the footer has {groups.n_rows:,}")
    return columns
