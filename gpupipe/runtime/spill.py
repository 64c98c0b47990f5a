"""Columns in scratch files: each an Arrow IPC stream, written once, read by whoever needs that column.

Not compressed: LZ4 costs more to write than reading Parquet again. Mapped into memory on the way back where that is
worth its own descriptor, so that no byte is copied; nobody else can cut these files short. A sum of the bytes says
whether they came back: a file system that could not write a page may forget it and give zeros. Nothing is forced to the
disk, as nothing is to outlive the process.
"""

import contextlib
import errno
import mmap
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.arrow_arrays import array_of
from gpupipe.columns import Column, Values
from gpupipe.schema import DType
from gpupipe.sources.values import fixed_width
from gpupipe.storage import UNSUPPORTED, disk, nameless, scratch_folder

_OPTIONS = pa.ipc.IpcWriteOptions(use_threads=False)  # every core has a partition of its own
_VALID = "valid"
_WORDS = 2**64
_WORTH_MAPPING = 4 * 2**20
_ALIGNED, _AROUND = 64, 4096  # bytes between streams, and of one besides its values


@dataclass(eq=False)
class _File:
    """A scratch file that one thread at a time appends to."""

    descriptor: int
    end: int = 0


@dataclass(slots=True, eq=False)
class _Extent:
    """Where columns stand that were written together: from a page's beginning on."""

    file: _File
    start: int
    size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Spilled:
    """A column that waits in a scratch file.

    Attributes:
        dtype: its logical type.
        storage: the type of its values' array; None for text.
        shape: the shape of its values.
        place: where it stands, with those written with it; `start`: its place among them.
        size: the bytes of its stream, and `check` their sum.
    """

    dtype: DType
    storage: np.dtype[Any] | None
    shape: tuple[int, ...]
    place: _Extent = field(repr=False)
    start: int
    size: int
    check: int


class Spill:
    """Scratch files of one owner, as many as threads write at once; freed by `close`, or with the owner.

    >>> from gpupipe.schema import Int64
    >>> spill = Spill()
    >>> (spilled,) = spill.write([Column(Int64, np.array([5, 6]), np.array([True, False]))])
    >>> spill.read(spilled)
    Column(dtype=Int64, values=array([5, 6]), valid=array([ True, False]))
    >>> spill.close()
    """

    def __init__(self) -> None:
        self._idle: list[_File] = []
        self._lock = threading.Lock()
        self._opened = contextlib.ExitStack()
        self._closing = weakref.finalize(self, self._opened.close)

    def write(self, columns: Sequence[Column]) -> list[Spilled]:
        """Append columns; from any thread.

        Raises:
            OSError: there is no space for them, or they cannot be written; none of them takes space then.
        """
        with self._appending() as file:
            place, written = _Extent(file, _up(file.end, mmap.ALLOCATIONGRANULARITY)), []
            _reserve(place, columns)
            for column in columns:
                written.append(_written(column, place, _up(place.size, _ALIGNED)))
                place.size = written[-1].start + written[-1].size
            file.end = place.start + place.size
        return written

    def read(self, spilled: Spilled) -> Column:
        """One column as it was; see :meth:`read_all`."""
        return self.read_all([spilled])[0]

    def read_all(self, spilled: Sequence[Spilled]) -> list[Column]:
        """Columns as they were, their arrays not to be written to; from any thread.

        Raises:
            OSError: they cannot be read, or are not what was written.
        """
        places = dict.fromkeys(part.place for part in spilled)
        maps = {place: _mapped(place) for place in places if place.size >= _WORTH_MAPPING}
        return [_column(part, _data(part, maps.get(part.place))) for part in spilled]

    def close(self) -> None:
        """Free the files. What was read stays."""
        self._closing()

    @contextlib.contextmanager
    def _appending(self) -> Iterator[_File]:
        with self._lock:
            file = self._idle.pop() if self._idle else None
        file = file or self._new()
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):
                disk.ftruncate(file.descriptor, file.end)
            raise
        finally:
            with self._lock:
                self._idle.append(file)

    def _new(self) -> _File:
        file = _File(nameless(scratch_folder()))
        with self._lock:
            self._opened.callback(_close, file.descriptor)
        return file


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _reserve(place: _Extent, columns: Sequence[Column]) -> None:
    """Ask for the space at once: faster than page by page, and where there is none it shows here."""
    size = sum(column.values.nbytes + len(column) + _AROUND for column in columns)
    try:
        disk.fallocate(place.file.descriptor, place.start, size)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _written(column: Column, place: _Extent, start: int) -> Spilled:
    batch, values = _batch(column), column.values
    sink = _Sink(place.file.descriptor, place.start + start)
    writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), batch.schema, options=_OPTIONS)
    writer.write_batch(batch)
    writer.close()
    storage, shape = (values.dtype, values.shape) if isinstance(values, np.ndarray) else (None, (len(values),))
    return Spilled(column.dtype, storage, shape, place, start, sink.size, sink.check)


def _mapped(place: _Extent) -> pa.Buffer:
    return pa.py_buffer(disk.mmap(place.file.descriptor, place.size, prot=mmap.PROT_READ, offset=place.start))


def _data(spilled: Spilled, mapped: pa.Buffer | None) -> pa.Buffer:
    if mapped is not None:
        return mapped.slice(spilled.start, spilled.size)
    return pa.py_buffer(disk.pread(spilled.place.file.descriptor, spilled.size, spilled.place.start + spilled.start))


def _column(spilled: Spilled, data: pa.Buffer) -> Column:
    if data.size != spilled.size or _sum(memoryview(data)) % _WORDS != spilled.check:
        raise OSError(errno.EIO, "what was written is not what comes back")
    batch = pa.ipc.open_stream(data).read_next_batch()
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    valid = arrays.pop(_VALID, None)
    return Column(spilled.dtype, _values(spilled, list(arrays.values())), None if valid is None else _bools(valid))


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # nothing is to be kept, so nothing can be lost
        disk.close(descriptor)


class _Sink:
    """Where Arrow writes a stream: a place in a scratch file."""

    closed = False

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor, self._start = descriptor, start
        self.size = self.check = 0

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        self.check = (self.check + _sum(left, self.size)) % _WORDS
        while left:
            written = disk.pwrite(self._descriptor, left, self._start + self.size)
            if written <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            left, self.size = left[written:], self.size + written
        return size

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _sum(data: memoryview, position: int = 0) -> int:
    """The sum of the 64-bit words of a stream, as far as `data`, which begin at a byte of it, contribute to them."""
    head = min(-position % 8, len(data))
    words = (len(data) - head) // 8
    tail = head + 8 * words
    body = int(np.frombuffer(data, np.uint64, words, head).sum()) if words else 0
    return (int.from_bytes(data[:head], "little") << 8 * (position % 8)) + body + int.from_bytes(data[tail:], "little")


def _batch(column: Column) -> pa.RecordBatch:
    """A column as Arrow's: values under a null too, so validity stands beside them, as bits."""
    values = column.values
    if isinstance(values, np.ndarray):
        arrays = [array_of(part) for part in (values if values.ndim == 2 else values[np.newaxis])]
    else:
        arrays = [values]
    names = [str(number) for number in range(len(arrays))]
    if column.valid is not None:
        arrays.append(array_of(column.valid))
        names.append(_VALID)
    return pa.RecordBatch.from_arrays(arrays, names)


def _values(spilled: Spilled, arrays: list[pa.Array]) -> Any:
    if spilled.storage is None:
        return arrays[0]
    parts = [fixed_width(array, spilled.storage, None, "") for array in arrays]
    if len(spilled.shape) == 1:
        return parts[0]
    whole = np.empty(spilled.shape, spilled.storage)
    for row, part in zip(whole, parts, strict=True):
        row[:] = part
    return whole


def _bools(array: pa.Array) -> Values:
    return fixed_width(array, np.dtype(np.bool_), None, "")
