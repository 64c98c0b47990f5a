"""Lanes: a register is an array of a value a lane, or one value for all; a mask says which lanes are at work."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .layout import Layout
from .memory import EMPTY, Space, lazy
from .operands import Value
from .parse import Instruction
from .races import BARRIER, LAUNCH, N_BARRIERS, N_WARP, WARP, Watch

if TYPE_CHECKING:
    from .machine import Launch

Mask = Any  # a flag a lane; None: all of them


class Lanes:
    """The lanes of blocks that run together: their registers, and which of them are at work.

    Attributes:
        r: the registers.
        mask: the lanes at work; None: all.
        count: how many they are.
        alone: whether no other lane is left, so that a register may be replaced whole.
    """

    def __init__(self, launch: "Launch", first: int, n_blocks: int) -> None:
        self.program, self.memory, self.watch = launch.program, launch.memory, launch.watch
        self.launch, self.first, self.may_race = launch, first, launch.may_race
        self.width = launch.width
        self.n = n_blocks * self.width
        self.r: list[Any] = []
        thread = np.tile(np.arange(self.width, dtype=np.uint32), n_blocks)
        block = np.repeat(np.arange(first, first + n_blocks, dtype=np.uint32), self.width)
        self.real: Mask = None if self.width == launch.block else thread < launch.block
        self.live = n_blocks * launch.block
        self.known = self.special(thread, block, n_blocks)
        self.grow()
        layouts, lane = (self.program.layout, self.program.local), np.arange(self.n, dtype=np.uint64)
        self.shared, self.shared_stride, self.shared_base = _own(layouts[0], block - np.uint32(first), n_blocks)
        self.local, self.local_stride, self.local_base = _own(layouts[1], lane, self.n)
        self.shared_watch = Watch(self.shared, self.width, False, launch.describe)
        self.shared_watch.begin(launch.number)
        self.temporary = self.program.scope.temporary
        self.barriers, self.warp_syncs = 0, np.zeros(self.n, dtype=np.uint64)
        self.threads = np.arange(first * self.width, first * self.width + self.n, dtype=np.uint64)
        self.new_codes()
        self.set_by: dict[str, Value] = {}  # lanes that have set a register which not every way sets
        self.steps = 0
        self.at: Instruction | None = None
        self.enter(self.real, self.live)

    def special(self, thread: Value, block: Value, n_blocks: int) -> dict[str, Value]:
        """tid, ctaid and their like."""
        one, zero = np.uint32(1), np.uint32(0)
        lane = thread & np.uint32(31)
        under = (one << lane) - one
        return {
            "%tid.x": thread, "%ntid.x": np.uint32(self.launch.block), "%nctaid.x": np.uint32(self.launch.grid),
            "%ctaid.x": block if n_blocks > 1 else np.uint32(self.first), "%laneid": lane,
            "%warpid": thread >> np.uint32(5), "%nwarpid": np.uint32(-(-self.launch.block // 32)),
            "%lanemask_lt": under, "%lanemask_eq": one << lane, "%lanemask_le": under | one << lane,
            "%lanemask_gt": ~(under | one << lane), "%lanemask_ge": ~under,
            "%clock64": np.uint64(0), "%globaltimer": np.uint64(0), "%clock": zero, "%smid": zero,
            **{f"%{name}.{axis}": zero for name in ("tid", "ctaid") for axis in "yz"},
            **{f"%{name}.{axis}": one for name in ("ntid", "nctaid") for axis in "yz"},
            "kernel parameters": self.launch.parameters,
        }  # fmt: skip

    def grow(self) -> None:
        """Make room for the registers of blocks that were prepared since."""
        scope = self.program.scope
        new = list(scope.numbers)[len(self.r) :]
        self.r += [self.known.get(name) for name in new]

    # The lanes at work

    def enter(self, mask: Mask, count: int) -> None:
        """Go on with some lanes."""
        self.mask, self.count, self.alone = mask, count, count == self.live
        self._lanes: Value | None = None
        self._marks: Value | None = None
        self._warps: Value | None = None

    def lanes(self) -> Value:
        """The numbers of the lanes at work."""
        if self._lanes is None:
            self._lanes = np.arange(self.n) if self.mask is None else np.flatnonzero(self.mask)
        return self._lanes

    def active(self, value: Value) -> Value:
        """The part of a register that belongs to the lanes at work."""
        return value if self.mask is None or value.ndim == 0 else value.take(self.lanes())

    def warps(self) -> Value:
        """The lanes of each warp that are at work, as the bits of a uint32."""
        if self._warps is None:
            mask = np.ones(self.n, dtype=bool) if self.mask is None else self.mask
            self._warps = np.packbits(mask, bitorder="little").view(np.uint32)
        return self._warps

    def full(self, value: Value) -> Value:
        """A value a lane, also of what is the same for all."""
        return value if value.ndim else np.full(self.n, value)

    def marks(self) -> Value:
        """What the lanes at work leave where they read and write."""
        if self._marks is None:
            self._marks = self.active(self.codes)
        return self._marks

    def within(self, chosen: Value, run: Callable[[Any], None]) -> None:
        """Run something for those of the lanes at work that are chosen."""
        if chosen.ndim == 0:
            if chosen:
                run(self)
            return
        mask, count = self.mask, self.count
        inner = chosen if mask is None else mask & chosen
        n_inner = int(np.count_nonzero(inner))
        if n_inner:
            self.enter(mask if n_inner == count else inner, n_inner)
            run(self)
            self.enter(mask, count)

    def put(self, number: int, value: Value) -> None:
        """A result of a value a lane, of which those count that are at work."""
        if self.alone or number in self.temporary:
            self.r[number] = value
            return
        old = self.r[number]
        if old is None:
            old = value.dtype.type(0)
        self.r[number] = np.where(self.mask, value, old if old.dtype == value.dtype else old.view(value.dtype))

    def scatter(self, number: int, value: Value) -> None:
        """A result of a value for each lane at work."""
        if self.mask is None or value.ndim == 0:
            self.put(number, value)
            return
        old = None if self.alone or number in self.temporary else self.r[number]
        full = np.zeros(self.n, value.dtype) if old is None else np.array(self.full(old)).view(value.dtype)
        full[self.lanes()] = value
        self.r[number] = full

    def after_warp_barrier(self) -> None:
        """What lanes of a warp did before is ordered before what they do now."""
        one = np.ones(self.n, dtype=np.uint64) if self.mask is None else self.mask.astype(np.uint64)
        self.warp_syncs = (self.warp_syncs + one) % np.uint64(N_WARP)
        self.new_codes()

    def new_codes(self) -> None:
        """The marks of all lanes from now on."""
        high = self.launch.number << LAUNCH | (self.barriers % N_BARRIERS) << BARRIER
        self.codes = self.threads + np.uint64(high) + (self.warp_syncs << np.uint64(WARP))
        self._marks = None


def _own(layout: Layout, owner: Value, n_owners: int) -> tuple[Space, Value, Value]:
    """A memory that each of `n_owners` has a part of: the space, bytes of a part, and where each one's begins."""
    stride = layout.stride
    state = np.zeros((n_owners, stride), dtype=np.uint8)
    for start, size in layout.places.values():
        state[:, start : start + size] = EMPTY
    name = "shared memory" if layout.gap == 64 else "local memory"
    space = Space(lazy(max(n_owners * stride, 16)), state.reshape(-1), lambda at: layout.describe(at % stride), name)
    base = owner.astype(np.uint64) * np.uint64(stride) if n_owners > 1 else np.uint64(0)
    return space, np.uint64(stride), base
