"""Partitions read into a device's memory, as far as that can be done; what cannot is read on the host, and said why."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.backends.devices import unusable
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.decode import RowGroups, decoded, is_dictionary_of_text, is_same, refusal
from gpupipe.backends.gpu.libcudf import column_of, cudf_failures
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import AnyColumn, Frame, Values
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.schema import DType, String
from gpupipe.sources import csv_device
from gpupipe.sources.arrow_device import Shown
from gpupipe.sources.border import normalise_type
from gpupipe.sources.csv import CsvPartition
from gpupipe.sources.device_table import DevicePartition
from gpupipe.sources.footers import RowGroup
from gpupipe.sources.from_device import is_cudf
from gpupipe.sources.parquet import ParquetPartition
from gpupipe.sources.partition import Comparison, Partition, Reading

_TEXT_BYTES = 16  # of one text decoded, where a dictionary hides how long it is
_COPIED = "it is copied to the device as it stands on the host"

Decoded = tuple[dict[str, DeviceColumn], dict[str, str]]
Read = tuple[dict[str, DeviceColumn], dict[str, str], int, Values]


def decodable(partition: Partition, columns: Sequence[str]) -> dict[str, str]:
    """Why columns of a partition are not read into a device's memory, by column; those not named can be.

    Raises:
        FileFormatError, SourceNotFoundError: the file is not as it was when it was scanned.
    """
    if isinstance(partition, ParquetPartition | CsvPartition) and (why := unusable("pylibcudf", "cuDF")) is not None:
        return dict.fromkeys(columns, why)
    if isinstance(partition, CsvPartition):
        return csv_device.refused(partition, columns)
    if isinstance(partition, ParquetPartition):
        with partition.file.unchanged():
            return _refused(partition, partition.metadata(), columns)
    if isinstance(partition, DevicePartition):
        found = {name: _refused_of(partition, name) for name in columns}
        return {name: why for name, why in found.items() if why is not None}
    return dict.fromkeys(columns, _COPIED)


def read(
    partition: Partition, columns: Sequence[str], device: Device, where: Sequence[Comparison] = ()
) -> tuple[Reading, dict[str, str]]:
    """The named columns, in the device's memory where they can be decoded there; why others are not.

    Rows, their identities, values and errors are those of the partition's own ``read``.

    Raises:
        DataError: as the partition's own reader.
        DeviceMemoryError: the device has not so much memory.
        DeviceLostError: it cannot be used any more.
    """
    found, refused, n_bytes, row_ids = _decoded(partition, columns, device, where)
    if not found:
        return partition.read(columns, where), refused
    here: dict[str, AnyColumn] = {}
    if rest := [name for name in columns if name not in found]:
        host = partition.read(rest, where)
        here, n_bytes = dict(host.frame.columns), n_bytes + host.bytes_read
    merged: dict[str, AnyColumn] = {name: found[name] if name in found else here[name] for name in columns}
    return Reading(Frame(merged, len(row_ids), row_ids), n_bytes), refused


def _decoded(partition: Partition, columns: Sequence[str], device: Device, where: Sequence[Comparison]) -> Read:
    """The columns, why not others, the bytes read for the former, and the identities of their rows."""
    if isinstance(partition, ParquetPartition) and partition.n_rows and unusable("pylibcudf", "cuDF") is None:
        return _of_file(partition, columns, device, where)
    refused = decodable(partition, columns)
    wanted = [name for name in columns if name not in refused]
    if isinstance(partition, CsvPartition) and partition.n_rows and wanted:
        return _of_text(partition, wanted, refused, device)
    if not (isinstance(partition, DevicePartition) and partition.n_rows):
        return {}, refused, 0, partition.row_ids()
    found, late = _held(partition, wanted, device)
    return found, {**refused, **late}, partition.column_bytes(list(found)), partition.row_ids()


# -- Parquet --------------------------------------------------------------------------------------------------
def _of_file(partition: ParquetPartition, columns: Sequence[str], device: Device, where: Sequence[Comparison]) -> Read:
    with partition.file.unchanged():
        metadata = partition.metadata()
        refused = _refused(partition, metadata, columns)
        wanted = [name for name in columns if name not in refused]
        groups, row_ids = partition.kept(metadata, where)
        found, late = decoded(device, _row_groups(partition, groups, wanted)) if groups else ({}, {})
        stored = partition.stored_of(groups, list(found))
    return found, {**refused, **late}, stored, row_ids


def _refused(partition: ParquetPartition, metadata: Any, columns: Sequence[str]) -> dict[str, str]:
    arrow = metadata.schema.to_arrow_schema()
    refused = {}
    for name in columns:
        found = arrow.field(name).type
        why = refusal(name, found, normalise_type(found), partition.types[name].dtype)
        if why is not None:
            refused[name] = why
    return refused


def _row_groups(partition: ParquetPartition, groups: Sequence[RowGroup], columns: Sequence[str]) -> RowGroups:
    types = {name: partition.types[name].dtype for name in columns}
    numbers, n_rows = [group.number for group in groups], sum(group.n_rows for group in groups)
    n_bytes = _decoded_bytes(partition.leaves, groups, n_rows, types)
    return RowGroups(partition.file.path, numbers, n_rows, types, n_bytes)


def _decoded_bytes(
    leaves: Sequence[str], groups: Sequence[RowGroup], n_rows: int, types: Mapping[str, DType]
) -> dict[str, int]:
    """As many as the footer counts, and at least what the rows take: a dictionary made them small in the file."""
    counted = [sum(sizes) for sizes in zip(*(group.column_bytes for group in groups), strict=True)]
    told = dict(zip(leaves, counted, strict=True))
    widths = {name: _TEXT_BYTES if dtype == String else dtype.storage.itemsize for name, dtype in types.items()}
    return {name: max(told[name], n_rows * width) for name, width in widths.items()}


# -- CSV ------------------------------------------------------------------------------------------------------
def _of_text(partition: CsvPartition, columns: Sequence[str], refused: dict[str, str], device: Device) -> Read:
    try:
        found, n_bytes = csv_device.split(partition, columns, device)
    except NotOnDevice as why:
        return {}, {**refused, **dict.fromkeys(columns, str(why))}, 0, partition.row_ids()
    counted = 0 if refused else n_bytes  # with columns of the host the text counts there
    return found, refused, counted, partition.row_ids()


# -- tables in a device's memory ------------------------------------------------------------------------------
def _refused_of(partition: DevicePartition, name: str) -> str | None:
    if name not in partition.held:
        return _COPIED
    arrow = partition.arrow.field(name).type
    if partition.types[name].dtype.time_zone and is_cudf(partition.held[name]):
        return "cuDF tells no address of times with a zone"
    if is_same(arrow) or (isinstance(partition.held[name], Shown) and is_dictionary_of_text(arrow)):
        return None
    what = "a column of categories" if pa.types.is_dictionary(arrow) else str(arrow)
    return f"{what} is converted on the host"


def _held(partition: DevicePartition, columns: Sequence[str], device: Device) -> Decoded:
    """The columns where they stand. What wrote them may still be at work, on a stream of its own: it is waited for."""
    found: dict[str, DeviceColumn] = {}
    refused: dict[str, str] = {}
    _wait(device)
    for name in columns:
        values, dtype = partition.held[name], partition.types[name].dtype
        try:
            if isinstance(values, Shown):
                found[name] = column_of(device, values.column, dtype)
            elif is_cudf(values):
                found[name] = _of_series(device, values, dtype)
            else:
                with device.guarded("taking a column from CuPy"):
                    found[name] = _of_array(device, values, dtype)
        except NotOnDevice as why:
            refused[name] = str(why)
    _wait(device)
    return found, refused


def _wait(device: Device) -> None:
    if device.stream is not None:
        with device.guarded("waiting for what wrote a table"):
            optional.load("cupy").cuda.runtime.deviceSynchronize()


def _of_series(device: Device, series: Any, dtype: DType) -> DeviceColumn:
    """A column of cuDF where it stands.

    cuDF may have moved it to the host, and then has no memory to show: asking for its address brings it back, to stay.
    Text has no one address, so none is taken while cuDF moves columns. Where the address is not that which the library
    tells, the column is a part of another buffer: how far in, the library leaves out.
    """
    with cudf_failures(device, "taking a column from cuDF"):
        if dtype == String:
            if optional.load("cudf").get_option("spill"):
                raise NotOnDevice("text of a cuDF frame is read on the host while cuDF's option 'spill' is on")
            return column_of(device, series.to_pylibcudf()[0], dtype)
        start = series.__cuda_array_interface__["data"][0]
        column = series.to_pylibcudf()[0]
        if column.data() is None or column.data().ptr + column.offset() * dtype.storage.itemsize != start:
            raise NotOnDevice("cuDF holds it as a part of another buffer")
        return column_of(device, column, dtype)


def _of_array(device: Device, array: Any, dtype: DType) -> DeviceColumn:
    """An array of CuPy: copied where its values do not stand side by side; NaN is null."""
    cupy = optional.load("cupy")
    values = cupy.ascontiguousarray(array)
    held = DeviceArray(device, values.data.ptr, dtype.storage, (len(array),), values)
    if not dtype.is_float:
        return DeviceColumn(dtype, len(array), held)
    has_value = values == values
    if bool(has_value.all()):
        return DeviceColumn(dtype, len(array), held)
    bits = cupy.packbits(has_value, bitorder="little")
    words = cupy.zeros(-(-len(array) // 32) * 4, np.uint8)
    words[: len(bits)] = bits
    bitmap = DeviceArray(device, words.data.ptr, np.dtype(np.uint32), (len(words) // 4,), words)
    return DeviceColumn(dtype, len(array), held, bitmap)
