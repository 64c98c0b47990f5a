"""Who wrote and read each word since the last barrier: two threads that meet on one word, unordered, are a race.

A mark is one number: launch (11 bits) | barrier (14) | warp barrier (9) | atomic (1) | thread (29). Words of 4 bytes
have one; accesses of less than that are marked byte by byte besides.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .memory import Fault, Space, lazy
from .operands import Value

LAUNCH, BARRIER, WARP, ATOMIC = 53, 39, 30, 29
THREAD = np.uint64((1 << ATOMIC) - 1)
MANY = THREAD  # atomics of several blocks
IS_ATOMIC = np.uint64(1 << ATOMIC)
ONE_LAUNCH = np.uint64(1 << LAUNCH)
ONE_BARRIER = np.uint64(1 << BARRIER)
N_LAUNCHES, N_BARRIERS, N_WARP = 1 << 64 - LAUNCH, 1 << LAUNCH - BARRIER, 1 << BARRIER - WARP
LOG = 1 << 23  # reads that are kept to be compared with later writes

Array = np.ndarray[Any, Any]


class Watch:
    """The marks of one memory.

    Args:
        space: whose accesses are watched.
        width: threads of a block, with those that fill its last warp.
        far: whether threads of several blocks meet here; a barrier orders those of one.
        describe: a thread, by its number, in words.
    """

    def __init__(self, space: Space, width: int, far: bool, describe: Callable[[int], str]) -> None:
        self.space, self.width, self.far, self.describe = space, np.uint64(width), far, describe
        self.words: Array = lazy(2 * len(space.data)).view(np.uint64)
        self.pairs = self.words.reshape(-1, 2)
        self.bytes: Array | None = None
        self.launch = np.uint64(0)
        self.reads: list[tuple[int, Value, Value]] = []
        self.n_reads = 0

    def parts(self, place: Value, size: int, marks: Value) -> list[tuple[int, Value, Value]]:
        """(bytes of a mark, 8 for two words; indices; marks of the threads) to look at for one access."""
        found = [(size, place, marks) if size >= 4 else (4, place * size >> 2, marks)]
        if size < 4 or self.bytes is not None:
            found += [(1, place * size + k, marks) for k in range(size)]
        return found

    def table(self, size: int) -> Array:
        """The marks of words, of pairs of them, or of bytes."""
        if size >= 4:
            return self.words if size == 4 else self.pairs
        if self.bytes is None:
            self.bytes = lazy(8 * len(self.space.data)).view(np.uint64)
        return self.bytes

    def begin(self, launch: int) -> None:
        """Marks of earlier launches say nothing any more."""
        self.launch = np.uint64(launch << LAUNCH)
        self.reads, self.n_reads = [], 0

    def read(self, place: Value, size: int, marks: Value, atomic: bool = False) -> None:
        """Compare with the writes before, and keep for those to come."""
        for part, at, mine in self.parts(place, size, marks):
            self.compare(part, at, mine, "reads", skip_atomic=atomic)
            if not atomic:
                self.reads.append((part, at, mine))
                self.n_reads += at.size
        if self.n_reads > LOG:
            self.settle()

    def write(self, place: Value, size: int, marks: Value) -> None:
        """Compare with the writes before; two lanes of one instruction count too."""
        for part, at, mine in self.parts(place, size, marks):
            self.compare(part, at, mine, "writes")
            if part == 4 and size < 4:
                continue
            table, own = self.table(part), mine[:, None] if part == 8 else mine
            table[at] = own
            left = table.take(at, axis=0)
            twice = left != own
            if twice.any():
                lane = int(twice.reshape(len(at), -1).any(axis=1).argmax())
                other = int(left.reshape(len(at), -1)[lane][0] & THREAD)
                raise self.fault("writes", part, at, lane, other, "writes too")

    def atomic(self, place: Value, size: int, marks: Value) -> None:
        """Atomics meet atomics freely, and are marked by their block."""
        if size == 8:
            self.atomic(place * 2 + 1, 4, marks)
            place = place * 2
        for part, at, mine in self.parts(place if size >= 4 else place * size >> 2, 4, marks):
            self.compare(part, at, mine, "updates", skip_atomic=True)
            if part == 1:
                continue
            own = mine - (mine & THREAD) % self.width | IS_ATOMIC
            before = self.words[at]
            shared = (before >= self.launch) & (before & IS_ATOMIC != 0)
            own = np.where(shared & ((before ^ own) & THREAD != 0), own | MANY, own)
            self.words[at] = own
            lost = at[(self.words[at] ^ own) & THREAD != 0]
            self.words[lost] |= MANY

    def compare(self, part: int, at: Value, mine: Value, verb: str, skip_atomic: bool = False) -> None:
        """Raise for a word that another thread wrote, with nothing between."""
        if part == 1 and self.bytes is None:
            return
        table = self.table(part)
        theirs = table.take(at, axis=0) if at.ndim else table[at]
        if not theirs.size or theirs.max() < self.launch:
            return
        own = mine[..., None] if part == 8 else mine
        apart = theirs ^ own
        near = apart < (ONE_LAUNCH if self.far else ONE_BARRIER)
        met = near & (apart & (THREAD | IS_ATOMIC) != 0)
        if skip_atomic:
            met &= theirs & IS_ATOMIC == 0
        if met.any():
            self.judge(part, at, own, theirs, met, verb)

    def judge(self, part: int, at: Value, mine: Value, theirs: Value, met: Value, verb: str) -> None:
        """Barriers of the block and of the warp order what would be a race; raise for what is left."""
        who, other = mine & THREAD, theirs & THREAD
        apart = mine ^ theirs
        one_barrier = apart & (ONE_LAUNCH - ONE_BARRIER) == 0
        one_warp = apart & (ONE_BARRIER - np.uint64(1 << WARP)) == 0
        one_block = (who // self.width == other // self.width) & ~((theirs & IS_ATOMIC != 0) & (other == MANY))
        ordered = one_block & ~one_barrier
        same_warp = (who >> np.uint64(5) == other >> np.uint64(5)) & (theirs & IS_ATOMIC == 0)
        ordered |= same_warp & ~one_warp & one_block
        left = np.atleast_1d(met & ~ordered)
        if left.any():
            lane, *half = (int(n) for n in np.unravel_index(left.argmax(), left.shape))
            atomic = bool(np.broadcast_to(theirs & IS_ATOMIC, left.shape)[lane, *half])
            thread = int(np.broadcast_to(other, left.shape)[lane, *half])
            raise self.fault(verb, part, at, lane, thread, "updates by an atomic" if atomic else "writes")

    def fault(self, verb: str, part: int, at: Value, lane: int, other: int, did: str) -> Fault:
        """The race in words."""
        byte = int(np.broadcast_to(at, (max(np.size(at), lane + 1),))[lane]) * part
        whom = "another thread" if other == int(MANY) or "atomic" in did else self.describe(other)
        what = f"race: {verb} what {whom} {did}, with no barrier between: {self.space.name}, {self.space.where(byte)}"
        return Fault(what, lane)

    def settle(self) -> None:
        """Compare the reads since the last time with all writes; the next ones begin anew."""
        reads, self.reads, self.n_reads = self.reads, [], 0
        for part, at, mine in reads:
            try:
                self.compare(part, at, mine, "reads")
            except Fault as wrong:
                lane = min(wrong.lane, np.size(mine) - 1)
                who = self.describe(int(np.atleast_1d(mine)[lane] & THREAD))
                raise Fault(f"{wrong} (read by {who}, before it is written)", -1) from None
