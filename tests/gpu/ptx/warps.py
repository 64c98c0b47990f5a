"""Instructions of a warp: shuffles, votes, matches, and the barrier of its lanes."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from .memory import Fault
from .operands import DTYPES, Run, Scope, Value
from .parse import Instruction, PtxError

if TYPE_CHECKING:
    from .batch import Batch

LANES = np.arange(32, dtype=np.uint32)


def bits(flags: Value) -> Value:
    """Rows of 32 flags as one uint32 a row."""
    return np.packbits(flags.reshape(-1, 32), axis=1, bitorder="little").view(np.uint32).ravel()


def at_work(batch: "Batch") -> Value:
    """The lanes at work, a row of 32 a warp."""
    mask = np.ones(batch.n, dtype=bool) if batch.mask is None else batch.mask
    return mask.reshape(-1, 32)


def members(batch: "Batch", named: Value) -> Value:
    """The member mask of each lane, checked: all lanes that it names are here, with the same mask, and this one too."""
    if named.ndim == 0:
        warps = batch.warps()
        if ((warps == named) | (warps == 0)).all():
            return named
    active = at_work(batch)
    mine = batch.full(named).reshape(-1, 32)
    if not (active & (mine >> LANES & 1 == 0)).any():
        missing = np.zeros(mine.shape, dtype=bool)
        for lane in range(32):
            there = active[:, lane : lane + 1] & (mine[:, lane : lane + 1] == mine)
            missing |= active & (mine >> np.uint32(lane) & 1 != 0) & ~there
        if not missing.any():
            return named
        raise _fault(batch, missing, mine, "names lanes that are not here with the same mask (exited, or elsewhere)")
    raise _fault(batch, active & (mine >> LANES & 1 == 0), mine, "does not name the lane that runs it")


def _fault(batch: "Batch", wrong: Value, named: Value, what: str) -> Fault:
    lane = int(wrong.ravel().argmax())
    here = int(bits(at_work(batch))[lane // 32])
    place = int(np.count_nonzero(at_work(batch).ravel()[:lane]))
    return Fault(f"the mask {int(named.ravel()[lane]):#010x} {what}; here are {here:#010x}", place)


def shuffle(scope: Scope, ins: Instruction) -> Run:
    """shfl.sync, .up, .down, .bfly and .idx."""
    if "sync" not in ins.op:
        raise PtxError(f"unsupported: {ins.text} (shuffles take a mask)")
    mode = ins.op[2]
    names = ins.args[0].split("|")
    target = scope.target(names[0])
    flag = scope.target(names[1]) if len(names) > 1 else (-1, 0)
    value, by, clamp, mask = (scope.reader(word, "u32") for word in ins.args[1:5])

    def run(batch: "Batch") -> None:
        r = batch.r
        members(batch, mask(r))
        step, low = by(r), clamp(r)
        fixed = step.ndim == low.ndim == 0
        source, inside = (_fixed if fixed else _sources)(batch.n, mode, step, low)
        if batch.mask is not None:
            _check_sources(batch, source)
        given = batch.full(value(r))
        if flag[0] >= 0:
            batch.put(flag[0], inside)
        if target[0] >= 0:
            batch.put(target[0], given.take(source))

    return run


def _sources(n: int, mode: str, by: Value, clamp: Value) -> tuple[Value, Value]:
    """Which lane each reads, and whether that is within its segment."""
    lane = np.broadcast_to(LANES, (n // 32, 32)).ravel().astype(np.int64)
    step, low, segment = (by & 31).astype(np.int64), (clamp & 31).astype(np.int64), (clamp >> 8 & 31).astype(np.int64)
    top, bottom = (lane & segment) | (low & ~segment), lane & segment
    found = {
        "up": lambda: lane - step, "down": lambda: lane + step, "bfly": lambda: lane ^ step,
        "idx": lambda: bottom | (step & ~segment),
    }[mode]()  # fmt: skip
    inside = found >= top if mode == "up" else found <= top
    return np.arange(n) - lane + np.where(inside, found, lane), inside


_fixed = functools.lru_cache(maxsize=256)(_sources)


def _check_sources(batch: "Batch", source: Value) -> None:
    wrong = batch.mask & ~batch.mask[source]
    if wrong.any():
        lane = int(wrong.argmax())
        place = int(np.count_nonzero(batch.mask[:lane]))
        raise Fault(f"reads lane {int(source[lane]) % 32}, which does not take part", place)


def vote(scope: Scope, ins: Instruction) -> Run:
    """vote.sync .ballot, .any, .all and .uni."""
    mode, target = ins.op[2], scope.target(ins.args[0])
    p, mask = scope.reader(ins.args[1], "pred"), scope.reader(ins.args[2], "u32")

    def run(batch: "Batch") -> None:
        named = members(batch, mask(batch.r))
        yes = bits(batch.full(p(batch.r))) & batch.warps()
        ballot = np.repeat(yes, 32) & named
        results = {
            "ballot": lambda: ballot, "any": lambda: ballot != 0, "all": lambda: ballot == named,
            "uni": lambda: (ballot == 0) | (ballot == named),
        }  # fmt: skip
        batch.put(target[0], results[mode]())

    return run


def match(scope: Scope, ins: Instruction) -> Run:
    """match.any.sync and match.all.sync: the lanes that hold the same value."""
    kind = ins.op[-1]
    names = ins.args[0].split("|")
    target, flag = scope.target(names[0]), scope.target(names[1]) if len(names) > 1 else (-1, 0)
    value, mask = scope.reader(ins.args[1], kind), scope.reader(ins.args[2], "u32")

    def run(batch: "Batch") -> None:
        named = members(batch, mask(batch.r))
        held = batch.full(value(batch.r)).reshape(-1, 32)
        same = (held[:, :, None] == held[:, None, :]) & at_work(batch)[:, None, :]
        found = bits(same) & named
        if ins.op[1] == "any":
            batch.put(target[0], found)
            return
        batch.put(target[0], np.where(found == named, named, np.uint32(0)))
        if flag[0] >= 0:
            batch.put(flag[0], found == named)

    return run


REDUCE = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip


def reduce(scope: Scope, ins: Instruction) -> Run:
    """redux.sync, of lanes that name one another."""
    kind, function, target = ins.op[-1], REDUCE[ins.op[2]], scope.target(ins.args[0])
    value, mask = scope.reader(ins.args[1], kind), scope.reader(ins.args[2], "u32")
    ends = {"min": np.iinfo(DTYPES[kind]).max, "max": np.iinfo(DTYPES[kind]).min, "and": -1}
    neutral = np.array(ends.get(ins.op[2], 0)).astype(DTYPES[kind])

    def run(batch: "Batch") -> None:
        named = np.broadcast_to(members(batch, mask(batch.r)), (batch.n,)).reshape(-1, 32)
        held = np.broadcast_to(value(batch.r), (batch.n,)).reshape(-1, 1, 32)
        taken = named[:, :, None] >> LANES & 1 != 0
        found = function.reduce(np.where(taken, held, neutral), axis=2, dtype=DTYPES[kind])
        batch.put(target[0], found.ravel())

    return run


def active_mask(scope: Scope, ins: Instruction) -> Run:
    """activemask."""
    target = scope.target(ins.args[0])
    return lambda batch: batch.put(target[0], np.repeat(batch.warps(), 32))


def warp_barrier(scope: Scope, ins: Instruction) -> Run:
    """bar.warp.sync: orders the memory accesses of the lanes that it names."""
    mask = scope.reader(ins.args[0], "u32")

    def run(batch: "Batch") -> None:
        members(batch, mask(batch.r))
        batch.after_warp_barrier()

    return run
