"""A pylibcudf over pyarrow, its columns in the memory of a simulated device: what our decoder sees of the real one.

It is as awkward as the real one may be: values under nulls, bits beyond the rows and bytes after a buffer's end are
noise, a slice keeps its buffers and tells an offset, text is decoded as large strings.
"""

import ctypes
import enum
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gpupipe.errors import DeviceMemoryError
from gpupipe.kernels.gpu.device import DeviceArray

from . import csv_standin
from .api.fakes import Fakes, held_to, manifest
from .simulated import SimulatedDevice
from .text_standin import TextFunctions

_made: Any = enum.IntEnum
TypeId = _made("TypeId", [name.rpartition(".")[2] for name in manifest() if name.startswith("pylibcudf.TypeId.")])
_BY_ARROW: dict[pa.DataType, str] = {
    pa.bool_(): "BOOL8", pa.int8(): "INT8", pa.int16(): "INT16", pa.int32(): "INT32", pa.int64(): "INT64",
    pa.uint8(): "UINT8", pa.uint16(): "UINT16", pa.uint32(): "UINT32", pa.uint64(): "UINT64",
    pa.float32(): "FLOAT32", pa.float64(): "FLOAT64", pa.date32(): "TIMESTAMP_DAYS",
    pa.string(): "STRING", pa.large_string(): "STRING",
}  # fmt: skip
_BY_TYPE = {**_BY_ARROW, pa.timestamp("us"): "TIMESTAMP_MICROSECONDS"}
_UNITS = {"s": "SECONDS", "ms": "MILLISECONDS", "us": "MICROSECONDS", "ns": "NANOSECONDS"}
_STORED = {pa.date32(): np.int32, pa.bool_(): np.uint8}


def _arrow_of(number: int) -> pa.DataType:
    return next(kind for kind, name in _BY_TYPE.items() if TypeId[name] == number)


class OutOfMemory(MemoryError):
    """As RMM's is told by Cython."""


class Span:
    """A buffer: where it is, and how long."""

    def __init__(self, array: DeviceArray) -> None:
        self._array = array
        self.ptr, self.size, self.width = array.pointer, array.nbytes, array.dtype.itemsize


@held_to("pylibcudf.gpumemoryview")
class View:
    """A buffer, by what tells where it is; keeps that alive."""

    def __init__(self, obj: Any) -> None:
        told = obj.__cuda_array_interface__
        assert told["typestr"] == "|u1"
        self.obj = obj
        self.ptr, self.size = told["data"][0], told["shape"][0]
        self._array = obj


@held_to("pylibcudf.DataType")
class DataType:
    def __init__(self, number: int) -> None:
        self._number = number

    def id(self) -> int:
        return self._number


@held_to("pylibcudf.Column")
class Column:
    """A column made of an Arrow array, all of it in memory and `rows` of it to be seen."""

    def __init__(self, device: SimulatedDevice, array: pa.Array, rows: range | None = None) -> None:
        self._device, self._array = device, array
        self._rows = range(len(array)) if rows is None else rows
        self._kind = _type_id(array.type)
        self._values = self._mask = None
        if self._kind != TypeId.STRING and len(array):
            self._values = Span(uploaded(device, _noisy(array)))
        if array.null_count:
            self._mask = Span(uploaded(device, _bitmap(array)))

    def type(self) -> DataType:
        return DataType(self._kind)

    def size(self) -> int:
        return len(self._rows)

    def offset(self) -> int:
        return self._rows.start

    def null_count(self) -> int:
        return int(self._seen().null_count)

    def data(self) -> Span | None:
        """Of text the bytes of all of it, uploaded when asked for."""
        if self._kind == TypeId.STRING and self._values is None:
            octets = b"".join(text.encode() for text in self._array.to_pylist() if text is not None)
            self._values = Span(uploaded(self._device, np.frombuffer(octets, np.int8))) if octets else None
        return self._values

    def null_mask(self) -> Span | None:
        return self._mask

    def copy(self, stream: Any = None, mr: Any = None) -> "Column":
        return Column(self._device, pa.concat_arrays([self._seen()]))

    def to_arrow(self, metadata: Any = None, stream: Any = None) -> pa.Array:
        seen = self._seen()
        return seen.cast(pa.large_string()) if seen.type == pa.string() else seen

    def device_buffer_size(self) -> int:
        """Of the whole, of a slice too."""
        return int(self._array.nbytes)

    def _seen(self) -> pa.Array:
        return self._array.slice(self._rows.start, len(self._rows))

    def _slice(self, first: int, last: int) -> "Column":
        """The same memory, part of its rows."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__, _rows=self._rows[first:last])
        return part

    @staticmethod
    def _made(data_type: DataType, size: int, data: View, mask: View | None, null_count: int) -> "Column":
        """Over memory that is there: its values are read off it."""
        arrow, device = _arrow_of(data_type.id()), data.obj.device
        width = np.dtype(np.uint8) if arrow == pa.bool_() else np.dtype(_STORED.get(arrow, _numpy(arrow)))
        values = device.download(DeviceArray(device, data.ptr, width, (size,), data))
        missing = np.zeros(size, bool)
        if mask is not None:
            assert mask.size % 64 == 0, "cuDF reads whole blocks of 64 bytes of a bitmap"
            missing = ~np.unpackbits(device.download(mask.obj), count=size, bitorder="little").astype(bool)
        assert null_count == missing.sum()
        plain = pa.array(values.astype(bool) if arrow == pa.bool_() else values, mask=missing)
        made = object.__new__(Column)
        made._device, made._array, made._rows = device, plain.cast(arrow) if plain.type != arrow else plain, range(size)
        made._kind, made._values, made._mask = data_type.id(), data, mask  # type: ignore[assignment]
        return made


class Dictionary(Column):
    """Numbers over keys."""

    def __init__(self, device: SimulatedDevice, array: pa.DictionaryArray) -> None:
        super().__init__(device, array.indices)
        ids = np.asarray(array.indices.fill_null(0)).astype(np.int32)
        ids[~np.asarray(array.indices.is_valid())] = -7  # what other libraries have there
        self._children = [Column(device, pa.array(ids)), Column(device, _large(array.dictionary))]
        self._kind, self._whole, self._values = TypeId.DICTIONARY32, array, None

    def children(self) -> list[Column]:
        return self._children

    def copy(self, stream: Any = None, mr: Any = None) -> "Dictionary":
        return Dictionary(self._device, pa.concat_arrays([self._whole.slice(self._rows.start, len(self._rows))]))

    def to_arrow(self, metadata: Any = None, stream: Any = None) -> pa.Array:
        return self._whole.slice(self._rows.start, len(self._rows))


def _large(array: pa.Array) -> pa.Array:
    return array.cast(pa.large_string()) if pa.types.is_string(array.type) else array


class OnCuda:
    """What a library of any name shows in a GPU's memory: an array or a batch that says so of itself."""

    def __init__(self, held: pa.Array | pa.RecordBatch, device_type: int = 2) -> None:
        self._held, self._device_type = held, device_type

    def __arrow_c_device_array__(self, requested_schema: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        schema, array = self._held.__arrow_c_device_array__()
        _device_type(array).value = self._device_type
        return schema, array


class _Moved:
    """The same where the CPU may read it."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def __arrow_c_device_array__(self, requested_schema: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        schema, array = self._shown.__arrow_c_device_array__()
        assert _device_type(array).value in (2, 3, 13), "libcudf refuses what CUDA does not reach"
        _device_type(array).value = 1
        return schema, array


def _device_type(capsule: Any) -> ctypes.c_int32:
    """Behind ``struct ArrowArray``, of 80 bytes where pointers have 8, and a number of 8."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_int32.from_address(pointer(capsule, b"arrow_device_array") + 88)


@held_to("pylibcudf.Table")
class Table:
    def __init__(self, columns: list[Column]) -> None:
        self._columns = tuple(columns)

    def columns(self) -> tuple[Column, ...]:
        return self._columns

    def num_rows(self) -> int:
        return self._columns[0].size() if self._columns else 0


@held_to("pylibcudf.io.TableWithMetadata")
class TableWithMetadata:
    def __init__(self, table: Table, names: list[str]) -> None:
        self.tbl, self._names = table, names

    def column_names(self, include_children: bool = False) -> list[str]:
        return self._names


@held_to("pylibcudf.io.parquet.ParquetReaderOptions")
class Options:
    def __init__(self, path: str) -> None:
        self._path = path
        self._names: list[str] = []
        self._groups: list[int] = []

    def set_column_names(self, col_names: list[str]) -> None:
        self._names = col_names

    def set_row_groups(self, row_groups: list[list[int]]) -> None:
        (self._groups,) = row_groups


@held_to("pylibcudf.io.parquet.ParquetReaderOptionsBuilder")
class Builder:
    def __init__(self, path: str) -> None:
        self._path = path

    def build(self) -> Options:
        return Options(self._path)


@held_to("pylibcudf.io.parquet.ChunkedParquetReader")
class Chunked:
    def __init__(self, library: "Libcudf", options: Options, chunks: int = 3) -> None:
        arrays = library.arrays(options)
        edges = np.linspace(0, len(arrays[0]), chunks + 1).astype(int)
        self._device = library.device
        self._parts = [[array.slice(a, b - a) for array in arrays] for a, b in pairwise(edges)]
        self._names = options._names

    def has_next(self) -> bool:
        return bool(self._parts)

    def read_chunk(self) -> TableWithMetadata:
        part = self._parts.pop(0)
        columns = [Column(self._device, pa.concat_arrays([array])) for array in part]
        return TableWithMetadata(Table(columns), self._names)


def _type_id(arrow: pa.DataType) -> int:
    name = _BY_ARROW.get(arrow)
    if pa.types.is_timestamp(arrow) or pa.types.is_duration(arrow):
        name = f"{'TIMESTAMP' if pa.types.is_timestamp(arrow) else 'DURATION'}_{_UNITS[arrow.unit]}"
    if pa.types.is_decimal(arrow):
        name = "DECIMAL128"
    return TypeId[name or "EMPTY"]


def uploaded(device: SimulatedDevice, values: Any) -> DeviceArray:
    """A buffer in the device's memory; where there is none left, the error is RMM's."""
    try:
        return device.upload(values)
    except DeviceMemoryError as error:
        raise OutOfMemory("std::bad_alloc: out_of_memory: RMM failure: maximum pool size exceeded") from error


def _noisy(array: pa.Array) -> Any:
    """The values as libcudf stores them, noise under nulls."""
    if pa.types.is_decimal(array.type):
        return np.zeros(2 * len(array), np.int64)
    plain = array.fill_null(False) if pa.types.is_boolean(array.type) else array
    stored = _STORED.get(array.type)
    if pa.types.is_boolean(array.type):
        values = np.asarray(plain).astype(np.uint8)
    else:
        width = np.dtype(stored) if stored else _numpy(array.type)
        values = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width.itemsize :].view(width)
        values = values[: len(array)].copy()
    missing = ~np.asarray(array.is_valid())
    noise = np.random.default_rng(len(array)).integers(0, 2 if pa.types.is_boolean(array.type) else 100, missing.sum())
    values[missing] = noise.astype(values.dtype)
    return values


def _numpy(arrow: pa.DataType) -> np.dtype[Any]:
    temporal = pa.types.is_timestamp(arrow) or pa.types.is_duration(arrow)
    return np.dtype(np.int64) if temporal else np.dtype(arrow.to_pandas_dtype())


def _bitmap(array: pa.Array) -> Any:
    """Arrow's bitmap from the first row on, padded to 64 bytes, all bits beyond the rows set."""
    bits = np.packbits(np.asarray(array.is_valid()), bitorder="little")
    if len(array) % 8:
        bits[-1] |= 0xFF << len(array) % 8 & 0xFF
    words = np.full(-(-len(bits) // 64) * 64, 0xFF, np.uint8)
    words[: len(bits)] = bits
    return words.view(np.uint32)


class Libcudf:
    """The behaviour of pylibcudf's names over one device.

    Attributes:
        nulls_first: where `encode` puts the null among the keys.
        wrong: what `read_parquet` gives another type: a column's name to an Arrow type.
        fails: what reading raises; None: nothing.
    """

    def __init__(self, device: SimulatedDevice) -> None:
        self.device = device
        self.nulls_first = True
        self.wrong: dict[str, pa.DataType] = {}
        self.fails: Exception | None = None

    def behaviour(self) -> dict[str, Any]:
        """Of the names that the decoder uses."""
        ids = {f"pylibcudf.TypeId.{each.name}": each for each in TypeId}
        texts = TextFunctions(lambda array: Column(self.device, array), TypeId, _arrow_of)
        return ids | texts.behaviour() | {
            "pylibcudf.io.SourceInfo": lambda sources: sources[0],
            "pylibcudf.io.parquet.ParquetReaderOptions.builder": Builder,
            "pylibcudf.io.parquet.read_parquet": self.read_parquet,
            "pylibcudf.io.csv.CsvReaderOptions.builder": csv_standin.CsvReaderOptionsBuilder,
            "pylibcudf.io.csv.read_csv": self.read_csv,
            "pylibcudf.io.parquet.ChunkedParquetReader": self.chunked,
            "pylibcudf.concatenate.concatenate": self.concatenate,
            "pylibcudf.transform.encode": self.encode,
            "pylibcudf.Table": Table,
            "pylibcudf.Table.from_arrow": self.table_shown,
            "pylibcudf.Column.from_arrow": self.column_shown,
            "pylibcudf.copying.slice": lambda input, indices: [input._slice(*indices)],
            "pylibcudf.DataType": DataType,
            "pylibcudf.gpumemoryview": View,
            "pylibcudf.Column": lambda kind, size, data, mask, nulls, offset, children: Column._made(
                kind, size, data, mask, nulls
            ),
            "pylibcudf.null_mask.null_count": self.null_count,
            "pylibcudf.null_mask.copy_bitmask_from_bitmask": self.copy_bits,
        }

    def table_shown(self, obj: Any) -> Table:
        batch = pa.record_batch(_Moved(obj))
        return Table([self._shown(array) for array in batch.columns])

    def column_shown(self, obj: Any) -> Column:
        return self._shown(pa.array(_Moved(obj)))

    def _shown(self, array: pa.Array) -> Column:
        """Times lose their zone; of a dictionary the numbers have its validity."""
        if pa.types.is_time(array.type):
            raise TypeError("CUDF failure: Unsupported type in arrow schema")
        if pa.types.is_timestamp(array.type):
            array = array.view(pa.timestamp(array.type.unit))
        return Dictionary(self.device, array) if pa.types.is_dictionary(array.type) else Column(self.device, array)

    def null_count(self, bitmask: View, start: int, stop: int, stream: Any = None) -> int:
        assert start == 0
        bits = np.unpackbits(self.device.download(bitmask.obj), bitorder="little")[:stop]
        return int(stop - bits.sum())

    def copy_bits(self, bitmask: View, begin_bit: int, end_bit: int, stream: Any = None) -> DeviceArray:
        """Padded to 64 bytes, noise behind the rows."""
        bits = self.device.download(bitmask.obj)[: -(-end_bit // 8)]
        padded = np.full(-(-end_bit // 512) * 64, 0xA5, np.uint8)
        padded[: len(bits)] = bits
        return uploaded(self.device, padded)

    def read_parquet(self, options: Options, stream: Any = None) -> TableWithMetadata:
        arrays = self.arrays(options)
        return TableWithMetadata(Table([Column(self.device, array) for array in arrays]), options._names)

    def read_csv(self, options: csv_standin.CsvReaderOptions, stream: Any = None) -> TableWithMetadata:
        if self.fails is not None:
            raise self.fails
        found = csv_standin.arrays(options, lambda kind: TypeId(kind.id()).name)
        return TableWithMetadata(Table([Column(self.device, array) for array in found.values()]), list(found))

    def chunked(self, options: Options, stream: Any, chunk_read_limit: int, pass_read_limit: int) -> Chunked:
        return Chunked(self, options)

    def arrays(self, options: Options) -> list[pa.Array]:
        """What is read: large strings for text of any kind, times without a zone."""
        if self.fails is not None:
            raise self.fails
        try:
            table = pq.ParquetFile(options._path).read_row_groups(options._groups, options._names)
        except (pa.ArrowException, OSError) as error:
            raise RuntimeError(f"CUDF failure at: reader_impl.cpp: {error}") from error
        return [self._as_read(name, table.column(name)) for name in options._names]

    def _as_read(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.type in (pa.string(), pa.string_view(), pa.binary()):
            array = array.view(pa.binary()).cast(pa.large_binary()) if array.type == pa.binary() else array
        if pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp(array.type.unit))
        return array.cast(self.wrong[name]) if name in self.wrong else array

    def encode(self, input: Table, stream: Any = None) -> tuple[Table, Column]:
        (column,) = input.columns()
        strings = column._seen().cast(pa.large_string())
        distinct = sorted(pc.unique(strings.drop_null()).to_pylist(), key=str.encode)
        absent = [None] if strings.null_count else []
        distinct = [*absent, *distinct] if self.nulls_first else [*distinct, *absent]
        keys, place = pa.array(distinct, pa.large_string()), {key: at for at, key in enumerate(distinct)}
        ids = np.array([place[value] for value in strings.to_pylist()], np.int32)
        return Table([Column(self.device, keys)]), Column(self.device, pa.array(ids, pa.int32()))

    def concatenate(self, objects: list[Any], stream: Any = None) -> Any:
        if isinstance(objects[0], Column):
            return Column(self.device, pa.concat_arrays([column._seen() for column in objects]))
        width = len(objects[0].columns())
        arrays = [pa.concat_arrays([table.columns()[at]._seen() for table in objects]) for at in range(width)]
        return Table([Column(self.device, array) for array in arrays])


def installed(monkeypatch: Any, device: SimulatedDevice) -> tuple[Libcudf, Fakes]:
    """The stand-in where `optional.load("pylibcudf")` finds it, and the calls that it is given."""
    library = Libcudf(device)
    fakes = Fakes(library.behaviour())
    fakes.install(monkeypatch, "pylibcudf")
    return library, fakes
