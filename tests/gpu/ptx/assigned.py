"""Registers that may be read before they are set: found once by following all ways, then watched while running."""

import re
from typing import TYPE_CHECKING

import numpy as np

from .memory import Fault
from .operands import Run, Scope
from .parse import Instruction

if TYPE_CHECKING:
    from .batch import Batch

Names = tuple[tuple[str, ...], tuple[str, ...]]  # what an instruction writes, and what it reads

_NAME = re.compile(r"%[\w$#@]+(?:\.[xyz])?|[A-Za-z_$][\w$#@]*")
_WRITES_NOTHING = {"st", "red", "bra", "brx", "ret", "exit", "membar", "fence", "trap", "prefetch", "prefetchu"}


def names(ins: Instruction) -> Names:
    """The registers that an instruction writes, and those that it reads (with other words)."""
    nothing = ins.op[0] in _WRITES_NOTHING or (ins.op[0] in ("bar", "barrier") and "red" not in ins.op)
    written = () if nothing or not ins.args else _names(ins.args[0])
    read = [name for arg in (ins.args if nothing else ins.args[1:]) for name in _names(arg)]
    return written, (*read, ins.guard[0]) if ins.guard else tuple(read)


def _names(operand: str) -> tuple[str, ...]:
    if operand[0] == "%" and operand[1:].isalnum():
        return (operand,)
    return () if operand[0] in "-0123456789" else tuple(_NAME.findall(operand))


class Assigned:
    """Which registers are set wherever an instruction reads them; sets of registers are kept as the bits of a number.

    Args:
        code: all instructions.
        ways: of each basic block, by where it begins: where it ends, and which blocks may follow.
        known: registers that are set at the beginning.
    """

    def __init__(self, code: list[Instruction], ways: dict[int, tuple[int, list[int]]], known: set[str]) -> None:
        self.names = [names(ins) for ins in code]
        self.read = {name for _, read in self.names for name in read}
        bits: dict[str, int] = {}
        for written, _ in self.names:
            for name in written:
                bits.setdefault(name, 1 << len(bits))
        whole = (1 << len(bits)) - 1
        self.sets = [
            0 if ins.guard else sum({bits[name] for name in written})
            for ins, (written, _) in zip(code, self.names, strict=True)
        ]
        before = self.before(ways, whole, sum(bits.get(name, 0) for name in known))
        #: What an instruction reads that not every way there has set, by the instruction's number.
        self.doubtful: dict[int, set[str]] = {}
        for at, (stop, _) in ways.items():
            have = before[at]
            for number in range(at, stop):
                missing = {name for name in self.names[number][1] if bits.get(name, 0) & ~have}
                if missing:
                    self.doubtful[number] = missing
                have |= self.sets[number]
        #: Registers whose lanes are to be noted as they are set.
        self.noted = set().union(*self.doubtful.values())

    def temporaries(self, ways: dict[int, tuple[int, list[int]]]) -> set[str]:
        """Registers that one basic block alone knows, and always sets first: other lanes lose nothing with them."""
        home: dict[str, int] = {}
        shared = set()
        for at, (stop, _) in ways.items():
            for number in range(at, stop):
                written, read = self.names[number]
                for name in read:
                    if home.get(name) != at:
                        shared.add(name)
                for name in written:
                    if home.setdefault(name, at) != at or not self.sets[number]:
                        shared.add(name)
        return set(home) - shared

    def before(self, ways: dict[int, tuple[int, list[int]]], whole: int, known: int) -> dict[int, int]:
        """What is set on every way to each block."""
        sets = {}
        for at, (stop, _) in ways.items():
            sets[at] = 0
            for number in range(at, stop):
                sets[at] |= self.sets[number]
        before = dict.fromkeys(ways, whole) | {0: known}
        todo = list(ways)
        while todo:
            at = todo.pop()
            have = before[at] | sets[at]
            for place in ways[at][1]:
                if place in ways and before[place] & ~have:
                    before[place] &= have
                    todo.append(place)
        return before


def watched(run: Run, reads: set[str], writes: set[str], scope: Scope) -> Run:
    """An instruction that looks whether the lanes at work have set what it reads, and notes what it sets."""
    look = [(name, scope.number(name)) for name in sorted(reads)]

    def careful(batch: "Batch") -> None:
        for name, number in look:
            have = batch.set_by.get(name)
            missing = np.ones(batch.count, dtype=bool) if have is None else ~np.atleast_1d(batch.active(have))
            if missing.any():
                batch.r[number] = None
                raise Fault(f"{name} is read and was never set", int(missing.argmax()))
        run(batch)
        for name in writes:
            have = batch.set_by.get(name, np.bool_(False))
            batch.set_by[name] = np.bool_(True) if batch.alone else have | batch.mask

    return careful
