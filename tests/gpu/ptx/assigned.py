"""Registers that may be read before they are set: found once by following all ways, then watched while running."""

import re
from typing import TYPE_CHECKING

import numpy as np

from .memory import Fault
from .operands import Run, Scope
from .parse import Instruction

if TYPE_CHECKING:
    from .batch import Batch

Blocks = dict[int, tuple[list[Instruction], list[int]]]  # of each block: its instructions, and what may follow

_NAME = re.compile(r"%[\w$#@]+(?:\.[xyz])?|[A-Za-z_$][\w$#@]*")
_WRITES_NOTHING = {"st", "red", "bra", "brx", "ret", "exit", "membar", "fence", "trap", "prefetch", "prefetchu"}


def names(ins: Instruction) -> tuple[set[str], set[str]]:
    """The registers that an instruction writes, and those that it reads (with other words)."""
    if ins.op[0] in _WRITES_NOTHING or (ins.op[0] in ("bar", "barrier") and "red" not in ins.op):
        written, others = set(), ins.args
    else:
        written, others = set(_NAME.findall(ins.args[0])) if ins.args else set(), ins.args[1:]
    read = set(_NAME.findall(" ".join((*others, ins.guard[0] if ins.guard else ""))))
    return written, read


def doubtful(blocks: Blocks, known: set[str]) -> dict[int, set[str]]:
    """The registers that an instruction (by `id`) reads, and that not every way there has set."""
    sets = {at: _set_by(inner) for at, (inner, _) in blocks.items()}
    whole = known.union(*(names(ins)[0] for inner, _ in blocks.values() for ins in inner))
    before = {at: set(whole) for at in blocks} | {0: set(known)}
    todo = list(blocks)
    while todo:
        at = todo.pop()
        have = before[at] | sets[at]
        for place in blocks[at][1]:
            if place in blocks and not before[place] <= have:
                before[place] &= have
                todo.append(place)
    found: dict[int, set[str]] = {}
    for at, (inner, _) in blocks.items():
        have = before[at]
        for ins in inner:
            written, read = names(ins)
            if missing := (read & whole) - have:
                found[id(ins)] = missing
            have = have | written if ins.guard is None else have
    return found


def _set_by(inner: list[Instruction]) -> set[str]:
    return set().union(*(names(ins)[0] for ins in inner if ins.guard is None))


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
