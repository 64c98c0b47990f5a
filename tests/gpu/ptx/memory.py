"""Bytes that a kernel reaches, and beside each whether it may be touched and whether it was written."""

import bisect
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from .operands import UNSIGNED, Value
from .parse import PtxError

#: What a byte is.
NOTHING, EMPTY, WRITTEN, FREED = 0, 1, 2, 3
#: What the host gets of bytes that were never written.
POISON = 0xA5
#: Where global memory and the windows of generic addresses begin.
GLOBAL, SHARED, LOCAL = 1 << 46, 1 << 40, 1 << 41
WINDOW = 1 << 40


def lazy(n_bytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Zeros that take memory only where they are touched."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), dtype=np.uint8)


class Fault(PtxError):
    """A wrong access; `lane`: the place, among those that took part, of the first that did it."""

    def __init__(self, what: str, lane: int) -> None:
        super().__init__(what)
        self.lane = lane


class Space:
    """Memory of one kind, addressed from 0."""

    def __init__(
        self, data: np.ndarray[Any, Any], state: np.ndarray[Any, Any], where: Callable[[int], str], name: str
    ) -> None:
        self.data, self.state, self.where, self.name = data, state, where, name
        self.views = {size: data.view(UNSIGNED[size]) for size in (1, 2, 4, 8)}
        self.states = {size: state.view(UNSIGNED[size]) for size in (1, 2, 4, 8)}
        self.written = {size: UNSIGNED[size].type(int(f"{WRITTEN:02x}" * size, 16)) for size in UNSIGNED}

    def places(self, address: Value, size: int, count: int) -> Value:
        """The index of each address in an array of values of `size` bytes."""
        whole = size * count
        if whole > 1:
            wrong = address & np.uint64(whole - 1)
            if wrong.any():
                where = self.where(_first(address, wrong))
                raise Fault(f"a misaligned access of {whole} bytes, {where}", _place(wrong))
        place = address >> np.uint64(size.bit_length() - 1)
        if place.size and int(place.max()) + count > len(self.views[size]):
            wrong = place + np.uint64(count) > len(self.views[size])
            raise Fault(f"outside {self.name}, {self.where(_first(address, wrong))}", _place(wrong))
        return place.view(np.int64)

    def load(self, place: Value, size: int) -> Value:
        """Values that were written."""
        state = self.states[size].take(place) if place.ndim else self.states[size][place]
        if not (state == self.written[size]).all():
            self.refuse(place, state, size, "reads")
        return self.views[size].take(place) if place.ndim else self.views[size][place]

    def store(self, place: Value, size: int, values: Value) -> None:
        """Write where memory is."""
        self.check_store(place, size)
        self.views[size][place] = values
        self.states[size][place] = self.written[size]

    def check_store(self, place: Value, size: int) -> None:
        """Refuse to write where no memory is."""
        state = self.states[size].take(place) if place.ndim else self.states[size][place]
        if not (state == self.written[size]).all():
            apart = np.atleast_1d(state).view(np.uint8).reshape(-1, size)
            if ((apart != EMPTY) & (apart != WRITTEN)).any():
                self.refuse(place, state, size, "writes")

    def refuse(self, place: Value, state: Value, size: int, verb: str) -> None:
        """Say what is wrong with the first of the bytes that may not be touched so."""
        apart = np.ascontiguousarray(np.atleast_1d(state)).view(np.uint8).reshape(-1, size)
        bad = (apart != WRITTEN) if verb == "reads" else (apart != WRITTEN) & (apart != EMPTY)
        for kind, what in (
            (NOTHING, f"{verb} out of bounds"), (FREED, f"{verb} memory that was freed"),
            (EMPTY, "reads what was never written"),
        ):  # fmt: skip
            hit = (bad & (apart == kind)).any(axis=1)
            if hit.any():
                at = int(np.atleast_1d(place)[hit.argmax()]) * size
                raise Fault(f"{what}: {self.name}, {self.where(at)}", int(hit.argmax()))


def _place(wrong: Value) -> int:
    return int(np.atleast_1d(wrong != 0).argmax())


def _first(address: Value, wrong: Value) -> int:
    return int(np.atleast_1d(address)[_place(wrong)])


class GlobalMemory(Space):
    """What a device has: allocations that lie apart, each address used once.

    Args:
        room: bytes of addresses; those of freed memory are given out again only when no others are left.
    """

    GAP, WIDEST = 1 << 10, 1 << 18  # so far from one allocation to the next: a quarter of it, within these
    MODULES = 1 << 26  # bytes at the beginning for the variables of modules, whose addresses are chosen elsewhere

    def __init__(self, room: int = 1 << 29) -> None:
        room += self.MODULES
        super().__init__(lazy(room), lazy(room), self.describe, "global memory")
        self.room, self.top = room, self.MODULES
        self.starts: list[int] = []  # in order
        self.held: dict[int, tuple[int, str]] = {}  # bytes and name, by where it begins
        self.freed: dict[int, None] = {}  # in the order in which they were freed

    def allocate(self, n_bytes: int, name: str) -> int:
        """Memory aligned to 256 bytes; its address."""
        start = self.top
        gap = min(max(self.GAP, n_bytes // 4), self.WIDEST)
        behind = -(-(start + n_bytes + gap) // 256) * 256
        if behind > self.room:
            return self.again(n_bytes, name) + GLOBAL
        self.top = behind
        return self.hold(start, n_bytes, name) + GLOBAL

    def hold(self, start: int, n_bytes: int, name: str) -> int:
        """Memory at a place that is chosen already."""
        if start not in self.held:
            bisect.insort(self.starts, start)
        self.held[start] = (n_bytes, name)
        self.state[start : start + n_bytes] = EMPTY
        return start

    def again(self, n_bytes: int, name: str) -> int:
        """Where memory was that was freed, the longest ago that is large enough."""
        found = next((start for start in self.freed if self.held[start][0] >= n_bytes), None)
        if found is None:
            raise PtxError(f"the simulated device gave out all its {self.room:,} addresses; make one with more memory")
        del self.freed[found]
        self.state[found : found + self.held[found][0]] = NOTHING
        return self.hold(found, n_bytes, name)

    def free(self, address: int) -> None:
        """Memory that nobody may touch any more."""
        start = address - GLOBAL
        self.state[start : start + self.held[start][0]] = FREED
        self.freed[start] = None

    def describe(self, at: int) -> str:
        """An address in words: which allocation, and how far from its ends."""
        address = f"address {(at + GLOBAL) & (1 << 64) - 1:#x}"
        number = bisect.bisect_right(self.starts, at) - 1
        if number < 0 or at >= self.room:
            return f"{address}, in no allocation"
        start = self.starts[number]
        size, name = self.held[start]
        freed = " (freed)" if start in self.freed else ""
        if at < start + size:
            return f"{address}, byte {at - start} of {name}{freed}, {size} bytes"
        after = self.starts[number + 1] if number + 1 < len(self.starts) else self.room + at
        if after - at < at - start - size:
            size, name = self.held[after]
            return f"{address}, {after - at} bytes before {name}, {size} bytes"
        return f"{address}, {at - start - size} bytes behind the end of {name}{freed}, {size} bytes"

    def write(self, address: int, values: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """A copy from the host."""
        self.check_host(address, len(values))
        start = address - GLOBAL
        self.data[start : start + len(values)] = values
        self.state[start : start + len(values)] = WRITTEN

    def read(self, address: int, n_bytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A copy to the host; what no kernel wrote comes as bytes 0xA5."""
        self.check_host(address, n_bytes)
        start = address - GLOBAL
        never = self.state[start : start + n_bytes] == EMPTY
        return np.where(never, np.uint8(POISON), self.data[start : start + n_bytes])

    def check_host(self, address: int, n_bytes: int) -> None:
        """Refuse a copy from or to the host that goes beyond an allocation."""
        state = self.state[address - GLOBAL : address - GLOBAL + n_bytes]
        wrong = (state != WRITTEN) & (state != EMPTY)
        if wrong.any():
            at = address - GLOBAL + int(wrong.argmax())
            what = "freed" if self.state[at] == FREED else "not allocated"
            raise PtxError(f"a copy from or to the host touches memory that is {what}: {self.where(at)}")
