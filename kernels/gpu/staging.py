"""Copies between this process's memory and a device's, through pinned buffers, beside the kernels that run.

A copy from ordinary memory goes through a buffer of the driver's, at 7.5 GB/s on the machine where pinned memory gave
55; so values are copied into pinned buffers, one filled while the other is sent. Each copy in progress has a lane of
its own: a stream and two buffers, which go back for the next one.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from .device import Array
from .failures import is_memory

CHUNK = 4 * 2**20


class Lane:
    """A stream for copies, and two pinned buffers. One copy at a time.

    Args:
        cuda: ``cupy.cuda``.

    Attributes:
        stream: what its copies are queued in; it does not wait for the default stream.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self.stream = cuda.Stream(non_blocking=True)
        self._sent = [cuda.Event(disable_timing=True) for _ in range(2)]
        self._buffers: list[tuple[Array, int, Any]] = []

    def send(self, values: Array, pointer: int) -> None:
        """Copy bytes to the device; they are there when this returns."""
        kind = self._cuda.runtime.memcpyHostToDevice
        for number, start in enumerate(range(0, len(values), CHUNK)):
            piece = values[start : start + CHUNK]
            buffer, address, _ = self._buffer(number % 2, len(piece))
            if number > 1:
                self._sent[number % 2].synchronize()
            np.copyto(buffer[: len(piece)], piece)
            self._cuda.runtime.memcpyAsync(pointer + start, address, len(piece), kind, self.stream.ptr)
            self.stream.record(self._sent[number % 2])
        self.stream.synchronize()

    def fetch(self, pointer: int, values: Array) -> None:
        """Copy bytes from the device; they are here when this returns."""
        kind = self._cuda.runtime.memcpyDeviceToHost
        before: tuple[int, int] | None = None
        for number, start in enumerate(range(0, len(values), CHUNK)):
            size = min(CHUNK, len(values) - start)
            _, address, _ = self._buffer(number % 2, size)
            self._cuda.runtime.memcpyAsync(address, pointer + start, size, kind, self.stream.ptr)
            self.stream.record(self._sent[number % 2])
            self._take(values, before)
            before = number, start
        self._take(values, before)

    def _take(self, values: Array, piece: tuple[int, int] | None) -> None:
        if piece is not None:
            number, start = piece
            self._sent[number % 2].synchronize()
            target = values[start : start + CHUNK]
            np.copyto(target, self._buffers[number % 2][0][: len(target)])

    def _buffer(self, which: int, size: int) -> tuple[Array, int, Any]:
        """(bytes, address, owner) of one of the two buffers, of at least `size` bytes."""
        while len(self._buffers) <= which:
            self._buffers.append(self._pinned(0))
        if len(self._buffers[which][0]) < size:
            self._buffers[which] = self._pinned(min(max(2 * size, 2**16), CHUNK))
        return self._buffers[which]

    def _pinned(self, size: int) -> tuple[Array, int, Any]:
        if not size:
            return np.empty(0, np.uint8), 0, None
        try:
            held = self._cuda.alloc_pinned_memory(size)
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            plain = np.empty(size, np.uint8)  # the machine can pin no more: slower, and right
            return plain, plain.ctypes.data, plain
        return np.frombuffer(held, np.uint8, size), int(held.ptr), held


class Lanes:
    """As many lanes as copies were in progress at once, the one used last first."""

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._free: list[Lane] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self) -> Iterator[Lane]:
        """A lane for a copy; where that fails it is not used again."""
        with self._lock:
            lane = self._free.pop() if self._free else None
        lane = lane or Lane(self._cuda)
        try:
            yield lane
        except BaseException:
            with contextlib.suppress(RuntimeError):  # what is under way must not write into buffers that went elsewhere
                lane.stream.synchronize()
            raise
        with self._lock:
            self._free.append(lane)
