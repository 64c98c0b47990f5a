"""Columns in scratch files: each an Arrow IPC stream, written once, read by whoever needs that column.

Not compressed: LZ4 costs more to write than reading Parquet again. Read, not mapped into memory: a disk that fails
would end the process. A sum of the bytes says whether they came back: a file system that could not write a page may
forget it and give zeros. Nothing is forced to the disk, as nothing is to outlive the process.
"""

import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Values
from gpupipe.schema import DType
from gpupipe.sources.values import fixed_width
from gpupipe.storage import disk, nameless, scratch_folder

_OPTIONS = pa.ipc.IpcWriteOptions(use_threads=False)  # every core has a partition of its own
_VALID = "valid"
_WORDS = 2**64


@dataclass(eq=False)
class _File:
    """A scratch file that one thread at a time appends to."""

    descriptor: int
    end: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Spilled:
    """A column that waits in a scratch file.

    Attributes:
        dtype: its logical type.
        storage: the type of its values' array; None for text.
        shape: the shape of its values.
        size: the bytes of its stream, and `check` their sum.
    """

    dtype: DType
    storage: np.dtype[Any] | None
    shape: tuple[int, ...]
    file: _File = field(repr=False)
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
            written, end = [], file.end
            for column in columns:
                written.append(_written(column, file, end))
                end += written[-1].size
            file.end = end
        return written

    def read(self, spilled: Spilled) -> Column:
        """The column as it was, its arrays not to be written to; from any thread.

        Raises:
            OSError: it cannot be read, or is not what was written.
        """
        data = _read(spilled.file.descriptor, spilled.start, spilled.size)
        if len(data) != spilled.size or _sum(memoryview(data)) % _WORDS != spilled.check:
            raise OSError(errno.EIO, "what was written is not what comes back")
        batch = pa.ipc.open_stream(pa.py_buffer(data)).read_next_batch()
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        valid = arrays.pop(_VALID, None)
        return Column(spilled.dtype, _values(spilled, list(arrays.values())), None if valid is None else _bools(valid))

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


def _written(column: Column, file: _File, start: int) -> Spilled:
    batch, sink, values = _batch(column), _Sink(file.descriptor, start), column.values
    writer = pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), batch.schema, options=_OPTIONS)
    writer.write_batch(batch)
    writer.close()
    storage, shape = (values.dtype, values.shape) if isinstance(values, np.ndarray) else (None, (len(values),))
    return Spilled(column.dtype, storage, shape, file, start, sink.size, sink.check)


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


def _read(descriptor: int, start: int, size: int) -> bytes:
    parts = []
    while size > 0:  # a call gives at most 2 GiB
        parts.append(disk.pread(descriptor, size, start))
        start, size = start + len(parts[-1]), size - len(parts[-1])
        if not parts[-1]:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
        arrays = [_array(part) for part in (values if values.ndim == 2 else values[np.newaxis])]
    else:
        arrays = [values]
    names = [str(number) for number in range(len(arrays))]
    if column.valid is not None:
        arrays.append(_array(column.valid))
        names.append(_VALID)
    return pa.RecordBatch.from_arrays(arrays, names)


def _array(values: Values) -> pa.Array:
    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    whole = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, whole])


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
