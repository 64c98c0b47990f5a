"""The way of lanes through a program: where they part, the lowest place goes first; at barriers all wait."""

from typing import TYPE_CHECKING

import numpy as np

from .lanes import Lanes, Mask
from .memory import Fault
from .parse import Instruction, PtxError
from .program import Block

if TYPE_CHECKING:
    from .machine import Launch


class Batch(Lanes):
    """Blocks that run together."""

    def __init__(self, launch: "Launch", first: int, n_blocks: int) -> None:
        super().__init__(launch, first, n_blocks)
        self.groups: dict[int, tuple[Mask, int]] = {0: (self.real, self.live)}
        self.waiting: dict[int, tuple[Mask, int]] = {}

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
            self.at = None
            steps = self.program.prepare(block) if block.steps is None else block.steps
            if len(self.r) < len(self.program.scope.types):
                self.grow()
            self.steps += len(steps) + 1
            if self.steps > self.launch.step_limit:
                raise PtxError(f"more than {self.launch.step_limit:,} instructions: an endless loop?")
            for step in steps:
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
