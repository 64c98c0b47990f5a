"""atom and red, of integers: lane after lane, in the order of the lanes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .access import Act, everywhere, space_of
from .memory import Space
from .operands import DTYPES, Run, Scope, Value
from .parse import Instruction, PtxError
from .races import Watch

if TYPE_CHECKING:
    from .batch import Batch

Step = Callable[[Value, Value, Value], Value]

ALONE = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip


def _of_two(function: np.ufunc) -> Step:
    return lambda old, b, c: function(old, b)


STEPS: dict[str, Step] = {
    **{name: _of_two(function) for name, function in ALONE.items()},
    "exch": lambda old, b, c: b,
    "cas": lambda old, b, c: np.where(old == b, c, old),
    "inc": lambda old, b, c: np.where(old >= b, old.dtype.type(0), old + old.dtype.type(1)),
    "dec": lambda old, b, c: np.where((old == 0) | (old > b), b, old - old.dtype.type(1)),
}


class Atomic(Act):
    """One read, change and write a lane."""

    def __init__(self, scope: Scope, ins: Instruction, unused: bool) -> None:
        super().__init__(scope, ins)
        self.name = next((one for one in ins.op[1:] if one in STEPS), "")
        if not self.name or self.kind[0] == "f" or self.count > 1:
            raise PtxError(f"unsupported: {ins.text} (atomics of floats depend on their order)")
        returns = ins.op[0] == "atom"
        self.target = scope.target(ins.args[0]) if returns and not unused else (-1, 0)
        operands = ins.args[2 if returns else 1 :]
        self.read = [scope.reader(word, self.kind) for word in operands]

    def __call__(self, batch: "Batch", space: Space, watch: Watch | None, address: Value) -> None:
        place = space.places(np.broadcast_to(address, (batch.count,)), self.size, 1)
        if space.load(place[:0], self.size).size or watch is None:
            raise PtxError("atomics of local memory have no use")
        space.load(place, self.size)
        if not batch.may_race:
            watch.atomic(place, self.size, np.atleast_1d(batch.marks()))
        given = [np.broadcast_to(batch.active(get(batch.r)), place.shape) for get in self.read]
        memory = space.views[self.size].view(DTYPES[self.kind])
        if self.target[0] < 0 and self.name in ALONE:
            ALONE[self.name].at(memory, place, given[0])
            return
        if batch.launch.backwards:
            old = old_values(self.name, memory, place[::-1], [one[::-1] for one in given])[::-1]
        else:
            old = old_values(self.name, memory, place, given)
        if self.target[0] >= 0:
            batch.scatter(self.target[0], old)


def old_values(name: str, memory: Value, place: Value, given: list[Value]) -> Value:
    """What each lane finds; `memory` is changed."""
    b = given[0]
    c = given[1] if len(given) > 1 else b
    order = np.argsort(place, kind="stable")
    ranked = place[order]
    first = np.ones(len(ranked), dtype=bool)
    first[1:] = ranked[1:] != ranked[:-1]
    old = np.empty(len(place), dtype=memory.dtype)
    if name == "add":
        return _sums(memory, order, ranked, first, b, old)
    rank = np.arange(len(ranked)) - np.maximum.accumulate(np.where(first, np.arange(len(ranked)), 0))
    by_rank = np.argsort(rank, kind="stable")
    ends = np.cumsum(np.bincount(rank))
    start = 0
    for end in ends:  # the first lane of each word, then the second of each, ...
        lanes = order[by_rank[start:end]]
        old[lanes] = memory[place[lanes]]
        memory[place[lanes]] = STEPS[name](old[lanes], b[lanes], c[lanes])
        start = end
    return old


def _sums(memory: Value, order: Value, ranked: Value, first: Value, b: Value, old: Value) -> Value:
    """Running sums a word; all modulo the width."""
    given = b[order]
    before = np.cumsum(given, dtype=memory.dtype) - given
    starts = np.flatnonzero(first)
    runs = np.diff(np.append(starts, len(ranked)))
    old[order] = memory[ranked] + (before - np.repeat(before[starts], runs))
    np.add.at(memory, ranked, given)
    return old


def atomic(scope: Scope, ins: Instruction) -> Run:
    """atom and red."""
    unused = ins.op[0] == "atom" and (ins.args[0] == "_" or ins.args[0] not in scope.read_names)
    get, space = scope.address(ins.args[1 if ins.op[0] == "atom" else 0]), space_of(ins)
    act = Atomic(scope, ins, unused)
    return lambda batch: everywhere(batch, space, get, act)
