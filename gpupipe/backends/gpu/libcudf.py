"""cuDF's columns as ours: numbers and bitmaps where they stand, text as numbers over a list of its distinct values."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import Column
from gpupipe.errors import DeviceError
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.kernels.gpu.keys import extent
from gpupipe.kernels.gpu.numbers import Numbers
from gpupipe.schema import DType, String

# Our types whose values libcudf holds in the same bytes, by the name of its type.
_SAME_BYTES = {
    "Boolean": "BOOL8",
    "Int8": "INT8", "Int16": "INT16", "Int32": "INT32", "Int64": "INT64",
    "UInt8": "UINT8", "UInt16": "UINT16", "UInt32": "UINT32", "UInt64": "UINT64",
    "Float32": "FLOAT32", "Float64": "FLOAT64",
    "Date": "TIMESTAMP_DAYS", "Datetime": "TIMESTAMP_MICROSECONDS", "String": "STRING",
}  # fmt: skip
# Of these speaks a TypeError whose cause is how something was called.
_WRONG_CALL = ("argument", "positional", "keyword", "unexpected")
_ALIGNED = 16  # bytes: what a kernel loads at once; cuDF's own columns begin at multiples of 256
_WORD = 32  # rows of one word of a bitmap
#: From so many distinct texts on they stay on the device while functions of text are asked of them. The host does one
#: function of so many in 2 to 3 ms, about what some ten launches and waits may take; not measured on a device.
MANY = 1 << 16
_MOST_BYTES = 2**31 - 1  # of the texts of one array on the host


class Stream:
    """A stream by its number, as CUDA libraries take one (the CUDA stream protocol)."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._number


def stream_of(device: Device) -> Stream | None:
    """The calling thread's stream; None: the library's own."""
    return None if device.stream is None else Stream(device.stream)


@contextmanager
def cudf_failures(device: Device, what: str) -> Iterator[None]:
    """What cuDF raises inside: of the device's memory or of CUDA as an error of ours, anything else as no answer.

    Raises:
        DeviceMemoryError, DeviceLostError, DeviceError: see `Device.guarded`.
        NotOnDevice: cuDF cannot do it; the host may, or says better why not.
        TypeError: it was called as it cannot be: a mistake of ours, which must not read as cuDF's refusal.
    """
    try:
        with device.guarded(what):
            yield
    except (DeviceError, NotOnDevice):
        raise
    except (RuntimeError, ValueError, TypeError, OverflowError, OSError, IndexError, pa.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        if isinstance(error, TypeError) and any(word in told.lower() for word in _WRONG_CALL):
            raise
        raise NotOnDevice(f"cuDF refused it ({type(error).__name__}: {told})") from error


def type_id(dtype: DType) -> Any:
    """libcudf's number of the type that holds our values in the same bytes.

    Raises:
        NotOnDevice: there is none.
    """
    name = _SAME_BYTES.get(dtype.name)
    if name is None:
        raise NotOnDevice(f"cuDF holds {dtype} in other bytes")
    return getattr(optional.load("pylibcudf").TypeId, name)


def _named(kind: Any) -> str:
    return str(getattr(kind, "name", kind))  # printed, the enumeration of cuDF is <type_id.INT32: 3>


def column_of(device: Device, column: Any, dtype: DType) -> DeviceColumn:
    """A column of pylibcudf as one of ours; numbers and bitmaps are not copied, unless they begin amid a word.

    Args:
        device: whose memory it is in.
        column: a ``pylibcudf.Column``; its memory lives as long as what is made of it.
        dtype: what it is in our types.

    Raises:
        NotOnDevice: it is of another type, or text that is not UTF-8.
        DeviceMemoryError: the device has not so much memory.
    """
    found, wanted = column.type().id(), type_id(dtype)
    if dtype == String and found == optional.load("pylibcudf").TypeId.DICTIONARY32:
        with cudf_failures(device, "taking a dictionary from cuDF"):
            return _dictionary(device, column)
    if found != wanted:
        raise NotOnDevice(f"cuDF gives {_named(found)}, which is not {dtype}")
    with cudf_failures(device, "taking a column from cuDF"):
        if dtype == String:
            return _text(device, column)
        if not _begins_well(column, dtype):
            column = column.copy(stream=stream_of(device))
        return _numbers(device, column, dtype)


def _begins_well(column: Any, dtype: DType) -> bool:
    """Whether a part of a column can be read as it stands: slices keep the whole's memory and tell where they begin."""
    if not column.offset():
        return True
    start = column.data().ptr + column.offset() * dtype.storage.itemsize
    return start % _ALIGNED == 0 and not (_has_bitmap(column) and column.offset() % _WORD)


def _has_bitmap(column: Any) -> bool:
    return column.null_mask() is not None and column.null_count() > 0


def _numbers(device: Device, column: Any, dtype: DType) -> DeviceColumn:
    n_rows, offset = column.size(), column.offset()
    if not n_rows:
        return DeviceColumn(dtype, 0, device.empty(0, dtype.storage))
    start = column.data().ptr + offset * dtype.storage.itemsize
    values = DeviceArray(device, start, dtype.storage, (n_rows,), column)
    return DeviceColumn(dtype, n_rows, values, _bitmap(device, column))


def _bitmap(device: Device, column: Any) -> DeviceArray | None:
    if not _has_bitmap(column):
        return None
    words = -(-column.size() // _WORD)
    start = column.null_mask().ptr + column.offset() // _WORD * 4
    return DeviceArray(device, start, np.dtype(np.uint32), (words,), column)


def _text(device: Device, column: Any) -> DeviceColumn:
    """Numbers over the sorted distinct strings; a null is one of them."""
    if not column.size():
        return DeviceColumn(String, 0, None, None, device.empty(0, np.int32), _entries(pa.array([""], pa.string())))
    cudf = optional.load("pylibcudf")
    keys, ids = cudf.transform.encode(cudf.Table([column]), stream=stream_of(device))
    if ids.type().id() != cudf.TypeId.INT32 or ids.offset():
        raise NotOnDevice(f"cuDF numbers text by {_named(ids.type().id())}")
    rows = DeviceArray(device, ids.data().ptr, np.dtype(np.int32), (column.size(),), ids)
    return DeviceColumn(String, column.size(), None, None, rows, _listed(device, keys.columns()[0]))


def _dictionary(device: Device, column: Any) -> DeviceColumn:
    """Numbers and bitmap where they stand; the keys may have a null, or the same text twice."""
    if _has_bitmap(column) and column.offset() % _WORD:
        column = column.copy(stream=stream_of(device))
    cudf, n_rows = optional.load("pylibcudf"), column.size()
    ids, keys = column.children()
    if ids.type().id() not in (cudf.TypeId.INT32, cudf.TypeId.UINT32):
        raise NotOnDevice(f"cuDF numbers a dictionary's texts by {_named(ids.type().id())}")
    if not n_rows or not keys.size():
        none = _entries(pa.array([None], pa.string()))
        return DeviceColumn(String, n_rows, None, None, device.zeros(n_rows, np.int32), none)
    bitmap = _bitmap(device, column)
    if bitmap is None and keys.size() >= MANY and keys.type().id() == cudf.TypeId.STRING:
        entries = _listed(device, keys.copy(stream=stream_of(device)))  # which are a part of what others hold
    else:
        entries = _entries(_strings(device, keys))
    start = ids.data().ptr + (ids.offset() + column.offset()) * 4
    rows = DeviceArray(device, start, np.dtype(np.int32), (n_rows,), column)
    return DeviceColumn(String, n_rows, None, bitmap, rows, entries)


@dataclass(eq=False, slots=True)
class Texts:
    """Entries that stay in a device's memory, where functions of text read them: each byte is ASCII.

    Attributes:
        device: whose memory it is.
        column: the ``pylibcudf.Column``.
    """

    device: Device
    column: Any
    _host: Column | None = field(default=None, repr=False)

    @property
    def dtype(self) -> DType:
        return String

    def __len__(self) -> int:
        return int(self.column.size())

    @property
    def device_bytes(self) -> int:
        return int(self.column.device_buffer_size())

    def to_host(self) -> Column:
        """The texts on the host; copied at the first call."""
        if self._host is None:
            with self.device.guarded("copying texts from cuDF"):
                self._host = _entries(_strings(self.device, self.column))
        return self._host


def short_enough(device: Device, column: Any) -> Texts:
    """Texts of ASCII, which the host can take at any time.

    Raises:
        NotOnDevice: it could not, as they are too long for one array.
    """
    if column.data() is not None and column.data().size > _MOST_BYTES:
        raise NotOnDevice(f"its texts have more than {_MOST_BYTES:,} bytes")
    return Texts(device, column)


def _listed(device: Device, column: Any) -> Column | Texts:
    """The entries of a dictionary: many that are ASCII stay on the device, any others are seen to be UTF-8."""
    if column.size() >= MANY and _is_ascii(device, column):
        return short_enough(device, column)
    return _entries(_strings(device, column))


def _is_ascii(device: Device, column: Any) -> bool:
    """Of a column of text that is no part of another."""
    octets = column.data()
    if octets is None or not octets.size:
        return True
    low = extent(Numbers(DeviceArray(device, octets.ptr, np.dtype(np.int8), (octets.size,), column))).low
    return low is not None and low >= 0


def _strings(device: Device, column: Any) -> pa.Array:
    """A column of text on the host.

    Raises:
        pa.ArrowInvalid: it is not UTF-8: the host names the row.
        NotOnDevice: it is no text.
    """
    strings = pa.array(column.to_arrow(stream=stream_of(device)))
    if strings.type not in (pa.string(), pa.large_string(), pa.string_view()):
        raise NotOnDevice(f"the dictionary's values are {strings.type}")
    strings = strings if strings.type == pa.string() else strings.cast(pa.string())
    strings.validate(full=True)
    return strings


def library_column(column: DeviceColumn) -> Any:
    """A column of ours, of a value a row, as a ``pylibcudf.Column`` over the same values.

    Its bitmap is copied, to where cuDF may read beyond the rows' bits. No more than the bytes of a row are told of a
    type that cuDF does not have (a time zone is left out).

    Raises:
        NotOnDevice: cuDF holds such values in other bytes.
        DeviceMemoryError: the device has not so much memory.
    """
    assert column.values is not None
    cudf, stream = optional.load("pylibcudf"), stream_of(column.device)
    kind = type_id(column.dtype)
    with cudf_failures(column.device, "handing a column to cuDF"):
        values, mask, nulls = cudf.gpumemoryview(column.values.view(np.uint8)), None, 0
        if column.valid is not None:
            bitmap = cudf.gpumemoryview(column.valid.view(np.uint8))
            nulls = cudf.null_mask.null_count(bitmap, 0, len(column), stream=stream)
            mask = cudf.gpumemoryview(cudf.null_mask.copy_bitmask_from_bitmask(bitmap, 0, len(column), stream=stream))
        return cudf.Column(cudf.DataType(kind), len(column), values, mask, nulls, 0, [])


def _entries(strings: pa.Array) -> Column:
    return Column(String, strings, np.asarray(strings.is_valid()) if strings.null_count else None)
