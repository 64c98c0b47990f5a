"""CSV on a device: cuDF splits records into fields, and reads the values that it reads as the CPU does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpupipe import optional
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.libcudf import column_of, cudf_failures, stream_of, type_id
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import Device
from gpupipe.schema import Boolean, Date, DType, Float32, Float64, Int64, String

_ALIKE = (String, Int64, Boolean, Date)
_ROUNDED = "cuDF does not read the nearest float"


@dataclass(frozen=True, slots=True)
class Records:
    """Whole records of a file, in text that cuDF splits as the host does.

    Attributes:
        path: the file.
        octets: the text, the end of its last line included.
        header: the names of all fields.
        n_rows: how many records there are.
        types: the columns that are wanted, and what they are in our types.
        nulls: what stands for no value, quoted or not.
        truths: what stands for true, and what for false.
    """

    path: str
    octets: bytes = field(repr=False)
    header: Sequence[str]
    n_rows: int
    types: Mapping[str, DType]
    nulls: Sequence[str]
    truths: tuple[Sequence[str], Sequence[str]]


def refusal(dtype: DType, given: bool) -> str | None:
    """Why a column of CSV cannot be read on a device; None where it can.

    Args:
        given: whether the type was given, and not found by looking at every value, so that texts may be unusual.

    >>> refusal(Int64, given=False) is None, refusal(Float64, given=False)
    (True, 'cuDF does not read the nearest float')
    """
    if dtype in (Float32, Float64):
        return _ROUNDED
    if dtype not in _ALIKE:
        return f"cuDF reads {dtype} from other texts than the host does"
    return "its type was given, and texts of it that are read as such differ" if given and dtype != String else None


def decoded(device: Device, records: Records) -> dict[str, DeviceColumn]:
    """The columns in the device's memory.

    Raises:
        NotOnDevice: cuDF refused, or finds other rows or columns; or there is too little memory. The host reads them.
        DeviceLostError: the device cannot be used any more.
    """
    try:
        columns = _read(device, records)
        return {name: column_of(device, columns[name], dtype) for name, dtype in records.types.items()}
    except DeviceMemoryError as error:
        device.release()
        raise NotOnDevice("the device has too little memory to split it") from error


def _read(device: Device, records: Records) -> dict[str, Any]:
    cudf = optional.load("pylibcudf")
    with cudf_failures(device, f"splitting {len(records.octets):,} bytes of {records.path}"):
        result = cudf.io.csv.read_csv(_options(records), stream=stream_of(device))
        columns = dict(zip(result.column_names(), result.tbl.columns(), strict=True))
    if columns.keys() != records.types.keys():
        raise NotOnDevice(f"cuDF reads the columns {list(columns)}")
    strange = next((column.size() for column in columns.values() if column.size() != records.n_rows), None)
    if strange is not None:
        raise NotOnDevice(f"cuDF finds {strange:,} records, and the host {records.n_rows:,}")
    return columns


def _options(records: Records) -> Any:
    cudf = optional.load("pylibcudf")
    source = cudf.io.SourceInfo([records.octets])
    options = cudf.io.csv.CsvReaderOptions.builder(source).keep_default_na(False).build()
    options.set_header(-1)
    options.set_names(list(records.header))
    options.set_use_cols_names(list(records.types))
    options.set_dtypes({name: cudf.DataType(type_id(dtype)) for name, dtype in records.types.items()})
    options.set_na_values([*records.nulls, *(f'"{text}"' for text in records.nulls)])
    options.set_true_values(list(records.truths[0]))
    options.set_false_values(list(records.truths[1]))
    return options
