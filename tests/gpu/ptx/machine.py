"""The machine: all lanes of many blocks in lock step, as NumPy arrays; where they part, the lowest place goes first."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .memory import EMPTY, Fault, GlobalMemory, Space, lazy
from .operands import Run, Value
from .parse import Instruction, PtxError
from .program import Block, Layout, Program
from .races import ATOMIC, BARRIER, LAUNCH, N_BARRIERS, N_WARP, WARP, Watch

Mask = Any  # a flag a lane; None: all of them


class Batch:
    """Blocks that run together.

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
        self.r: list[Any] = [None] * len(self.program.scope.types)
        thread = np.tile(np.arange(self.width, dtype=np.uint32), n_blocks)
        block = np.repeat(np.arange(first, first + n_blocks, dtype=np.uint32), self.width)
        self.real: Mask = None if self.width == launch.block else thread < launch.block
        self.live = n_blocks * launch.block
        self.special(thread, block, n_blocks)
        self.shared, self.shared_stride, self.shared_base = _own(self.program.layout, block - np.uint32(first), n_blocks)
        lane = np.arange(self.n, dtype=np.uint64)
        self.local, self.local_stride, self.local_base = _own(self.program.local, lane, self.n)
        self.shared_watch = Watch(self.shared, self.width, False, launch.describe)
        self.barriers, self.warp_syncs = 0, np.zeros(self.n, dtype=np.uint64)
        self.threads = np.arange(first * self.width, first * self.width + self.n, dtype=np.uint64)
        self.new_codes()
        self.steps = 0
        self.at: Instruction | None = None
        self.groups: dict[int, tuple[Mask, int]] = {0: (self.real, self.live)}
        self.waiting: dict[int, tuple[Mask, int]] = {}
        self.enter(self.real, self.live)

    def special(self, thread: Value, block: Value, n_blocks: int) -> None:
        """tid, ctaid and their like."""
        one, zero = np.uint32(1), np.uint32(0)
        lane = thread & np.uint32(31)
        under = (one << lane) - one
        known: dict[str, Value] = {
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
        for name, number in self.program.scope.numbers.items():
            if name in known:
                self.r[number] = known[name]

    # The lanes at work

    def enter(self, mask: Mask, count: int) -> None:
        """Go on with some lanes."""
        self.mask, self.count, self.alone = mask, count, count == self.live
        self._lanes: Value | None = None
        self._marks: Value | None = None

    def lanes(self) -> Value:
        """The numbers of the lanes at work."""
        if self._lanes is None:
            self._lanes = np.arange(self.n) if self.mask is None else np.flatnonzero(self.mask)
        return self._lanes

    def active(self, value: Value) -> Value:
        """The part of a register that belongs to the lanes at work."""
        return value if self.mask is None or value.ndim == 0 else value.take(self.lanes())

    def marks(self) -> Value:
        """What the lanes at work leave where they read and write."""
        if self._marks is None:
            self._marks = self.active(self.codes)
        return self._marks

    def within(self, chosen: Value, run: Run) -> None:
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
        if self.alone:
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
        old = None if self.alone else self.r[number]
        if old is None:
            full = np.zeros(self.n, dtype=value.dtype)
        else:
            full = np.array(np.broadcast_to(old, (self.n,))).view(value.dtype)
        full[self.lanes()] = value
        self.r[number] = full

    # The way through the program

    def run(self) -> None:
        """Until no lane is left."""
        blocks = self.program.blocks
        while self.groups or self.waiting:
            if not self.groups:
                self.release()
                continue
            pc = min(self.groups)
            self.enter(*self.groups.pop(pc))
            if pc not in blocks:
                self.exit(self.mask, self.count)
                continue
            block = blocks[pc]
            self.steps += len(block.steps) + 1
            if self.steps > self.launch.step_limit:
                raise PtxError(f"more than {self.launch.step_limit:,} instructions: an endless loop?")
            for step in block.steps:
                self.at = step.ins
                step.run(self)
            self.leave(block)

    def go(self, pc: int, mask: Mask, count: int) -> None:
        """Lanes go on at a place, with those that wait there."""
        if pc in self.groups:
            other, n_other = self.groups[pc]
            count += n_other
            mask = None if count == self.n else mask | other
        self.groups[pc] = (mask, count)

    def exit(self, mask: Mask, count: int) -> None:
        """Lanes are done."""
        self.live -= count

    def leave(self, block: Block) -> None:
        """What stands at the end of a block."""
        end = block.end
        if end is None:
            self.go(block.next, self.mask, self.count)
            return
        self.at = end
        if end.op[0] == "brx":
            self.jump(end)
            return
        taken, n_taken, left, n_left = self.parted(end)
        if n_taken:
            if end.op[0] == "bra":
                self.go(self.program.function.labels[end.args[0]], taken, n_taken)
            elif end.op[0] in ("ret", "exit"):
                self.exit(taken, n_taken)
            elif end.op[0] == "trap":
                raise Fault("the kernel stops by a trap", 0)
            else:
                self.wait(end, block.next, taken, n_taken)
        if n_left:
            self.go(block.next, left, n_left)

    def parted(self, end: Instruction) -> tuple[Mask, int, Mask, int]:
        """The lanes whose predicate holds, and the others."""
        if end.guard is None:
            return self.mask, self.count, None, 0
        number = self.program.scope.number(end.guard[0])
        chosen = ~self.r[number] if end.guard[1] else self.r[number]
        if chosen.ndim == 0:
            return (self.mask, self.count, None, 0) if chosen else (None, 0, self.mask, self.count)
        taken = chosen if self.mask is None else self.mask & chosen
        n_taken = int(np.count_nonzero(taken))
        if n_taken == self.count:
            return self.mask, self.count, None, 0
        left = ~taken if self.mask is None else self.mask & ~chosen
        return taken, n_taken, left, self.count - n_taken

    def jump(self, end: Instruction) -> None:
        """brx.idx: each lane to the label that its number names."""
        labels = self.program.function.tables[end.args[1]]
        number = np.broadcast_to(self.program.scope.reader(end.args[0], "u32")(self.r), (self.n,))
        for at, label in enumerate(labels):
            mask = number == at if self.mask is None else self.mask & (number == at)
            count = int(np.count_nonzero(mask))
            if count:
                self.go(self.program.function.labels[label], mask, count)

    # Barriers

    def wait(self, end: Instruction, next_: int, mask: Mask, count: int) -> None:
        """Lanes wait for the others of their block."""
        if len(end.args) > 1 and "red" not in end.op:
            raise PtxError(f"unsupported: {end.text} (a barrier of some threads of a block)")
        at = next_ - 1
        if at in self.waiting:
            other, n_other = self.waiting[at]
            mask, count = (None if count + n_other == self.n else mask | other), count + n_other
        self.waiting[at] = (mask, count)

    def release(self) -> None:
        """All lanes wait or are done: those of a block have to wait at one and the same barrier, all of them."""
        whole = self.n // self.width * self.launch.block
        for at, (mask, count) in self.waiting.items():
            if count < whole:
                self.check_blocks(at, mask)
            if "red" in self.program.code[at].op:
                self.enter(mask, count)
                self.reduce(self.program.code[at])
            self.go(at + 1, mask, count)
        self.waiting = {}
        self.shared_watch.settle()
        self.barriers += 1
        self.warp_syncs[:] = 0
        self.new_codes()

    def check_blocks(self, at: int, mask: Mask) -> None:
        """Raise for a block of which only a part waits at this barrier."""
        here = np.ones(self.n, dtype=bool) if mask is None else mask
        rows, real = here.reshape(-1, self.width), self.real
        missing = ~rows if real is None else ~rows & real.reshape(-1, self.width)
        wrong = rows.any(axis=1) & missing.any(axis=1)
        if not wrong.any():
            return
        block = int(wrong.argmax())
        first = block * self.width
        waits, other = first + int(rows[block].argmax()), first + int(missing[block].argmax())
        place = next((p for p, (m, _) in self.waiting.items() if m is None or m[other]), None)
        does = "has exited" if place is None else f"waits at another one (instruction {place})"
        self.at = self.program.code[at]
        self.enter(here, int(here.sum()))
        what = f"divergent barrier: this thread waits, but {self.launch.describe(int(self.threads[other]))} {does}"
        raise Fault(what, int(np.count_nonzero(here[:waits])))

    def reduce(self, end: Instruction) -> None:
        """barrier.red: a count, or whether all or any threads of the block say yes."""
        scope = self.program.scope
        says = np.broadcast_to(scope.reader(end.args[-1], "pred")(self.r), (self.n,)).reshape(-1, self.width)
        real = np.ones(says.shape, dtype=bool) if self.real is None else self.real.reshape(says.shape)
        count = (says & real).sum(axis=1).astype(np.uint32)
        found = count if "popc" in end.op else count == self.launch.block if "and" in end.op else count > 0
        self.put(scope.number(end.args[0]), np.repeat(found, self.width))

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


class Launch:
    """One launch of a program.

    Args:
        number: of the launch, 1 to 2,047.
        parameters: the bytes of all parameters.
        watch: the marks of global memory.
        may_race: whether races are let pass in global memory.
        lanes: about how many lanes run together.
    """

    def __init__(
        self, program: Program, grid: int, block: int, parameters: Value, memory: GlobalMemory, watch: Watch,
        number: int, may_race: bool = False, lanes: int = 1 << 16, step_limit: int = 2_000_000,
    ) -> None:  # fmt: skip
        self.program, self.grid, self.block, self.parameters = program, grid, block, parameters
        self.memory, self.watch, self.number, self.may_race = memory, watch, number, may_race
        self.width = -(-block // 32) * 32
        self.lanes, self.step_limit = lanes, step_limit
        if grid * self.width >= 1 << ATOMIC:
            raise PtxError(f"{grid} blocks of {block} threads are more than the simulation counts")
        watch.width, watch.describe = np.uint64(self.width), self.describe

    def describe(self, thread: int) -> str:
        """A thread by its number, padding included."""
        return f"block {thread // self.width} thread {thread % self.width}"

    def run(self) -> int:
        """All blocks; how many instructions ran, of all batches."""
        own = self.program.layout.stride + self.width * self.program.local.stride
        together = max(1, min(self.lanes // self.width, (1 << 26) // own))
        steps = 0
        with np.errstate(all="ignore"):
            for first in range(0, self.grid, together):
                batch = Batch(self, first, min(together, self.grid - first))
                self.guarded(batch, batch.run)
                self.guarded(batch, batch.shared_watch.settle)
                steps += batch.steps
            self.guarded(batch, self.watch.settle)
        return steps

    def guarded(self, batch: Batch, act: Callable[[], None]) -> None:
        """Say of what goes wrong where it did."""
        try:
            act()
        except Fault as wrong:
            self.watch.reads = []
            lane = int(batch.lanes()[wrong.lane]) if 0 <= wrong.lane < batch.count else -1
            who = f", {self.describe(int(batch.threads[lane]))}" if lane >= 0 else ""
            text = f": {batch.at.text}" if batch.at and lane >= 0 else ""
            raise PtxError(f"{self.program.name}{who}: {wrong}{text}") from None
        except (AttributeError, TypeError) as wrong:
            unset = self.unset(batch)
            if not unset:
                raise
            text = batch.at.text if batch.at else ""
            raise PtxError(f"{self.program.name}: {unset} is read and was never set: {text}") from wrong
        except PtxError as wrong:
            text = f": {batch.at.text}" if batch.at else ""
            raise PtxError(f"{self.program.name}: {wrong}{text}") from None

    def unset(self, batch: Batch) -> str | None:
        """A register that the instruction at hand reads, and that has no value."""
        if batch.at is None:
            return None
        numbers = self.program.scope.numbers
        words = [word for name, word in ((n, n) for n in numbers) if batch.r[numbers[name]] is None]
        return next((word for word in words if word in " ".join((*batch.at.args, *(batch.at.guard or ("",))[:1]))), None)
