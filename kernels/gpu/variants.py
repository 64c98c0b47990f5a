"""What of an expression its code hangs on, and what is known of it without its parameters' values."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..opcodes import SIGNATURES, Op

#: What one instruction after another of a chain may hold before rows are better taken singly.
_COSTLY = frozenset({
    Op.SIN, Op.COS, Op.POWER, Op.FLOORDIV_F, Op.MOD_F, Op.FLOORDIV_I, Op.MOD_I, Op.YEAR, Op.MONTH, Op.DAY,
})  # fmt: skip


#: Words of a record that tell of a column: values, rows' bitmap, entries' numbers, entries' bitmap, the absent entry.
SLOT = 5


@dataclass(frozen=True, slots=True)
class Variant:
    """A program as a kernel knows it.

    Attributes:
        steps: its steps.
        encoded: of each column slot, whether rows have entries' numbers.
        null: of each parameter slot, whether it is null.
        n_outputs: its output slots.
    """

    steps: tuple[tuple[int, ...], ...]
    encoded: tuple[bool, ...]
    null: tuple[bool, ...]
    n_outputs: int

    @property
    def folded(self) -> bool:
        """Whether what a null gives is worked out beforehand: with one column it is the same in every row."""
        return len(self.encoded) == 1

    @property
    def at_once(self) -> int:
        """How many rows a thread takes at once."""
        ops = {Op(step[0]) for step in self.steps}
        return 1 if ops & _COSTLY or len(self.encoded) > 4 or self.n_outputs > 1 else 4

    @property
    def clip(self) -> "Clip":
        """The bounds that the one column is held between before anything else is done with it."""
        return clip_of(self.steps, self.null) if self.folded and self.n_outputs == 1 else NO_CLIP

    @property
    def null_at(self) -> int:
        """The word of a record where the outcome of a null begins: the outputs' bits, then what came of them."""
        return SLOT * len(self.encoded) + len(self.null)

    @property
    def clip_at(self) -> int:
        """The word where the bounds as float32 begin, and then what comes of values at and beyond them."""
        return self.null_at + (self.n_outputs + 1 if self.folded else 0)

    @property
    def outputs_at(self) -> int:
        """The word where the outputs begin: address and bitmap each."""
        return self.clip_at + (4 if self.clip.steps else 0)

    @property
    def words(self) -> int:
        """How many words a record has; the last is the expression's number."""
        return self.outputs_at + 2 * self.n_outputs + 1


@dataclass(frozen=True, slots=True)
class Clip:
    """A column held between parameters.

    Attributes:
        low, high: the parameter slots; -1 where a side is open.
        steps: the steps that do it, which nothing else hangs on.
    """

    low: int = -1
    high: int = -1
    steps: tuple[int, ...] = ()


NO_CLIP = Clip()
#: Steps after which a row may fail or be null though its column has a value: their outcome is no mere constant.
_UNSURE = frozenset({
    Op.NEG_I, Op.ABS_I, Op.ADD_I, Op.SUB_I, Op.MUL_I, Op.FLOORDIV_I, Op.MOD_I, Op.F_TO_I_STRICT, Op.F_TO_I,
    Op.NARROW_STRICT, Op.NARROW, Op.NULL_IF,
})  # fmt: skip


def clip_of(steps: Sequence[Sequence[int]], null: Sequence[bool]) -> Clip:
    """The bounds of a program over one float32 column: maximum and minimum with parameters, straight after the load."""
    loads = [number for number, step in enumerate(steps) if step[0] <= Op.LOAD_F8]
    if any(null) or len(loads) != 1 or steps[loads[0]][0] != Op.LOAD_F4 or not _UNSURE.isdisjoint(s[0] for s in steps):
        return NO_CLIP
    if not any(step[0] in (Op.STORE_F4, Op.STORE_F8) for step in steps):
        return NO_CLIP
    reads = _reads(steps)
    found = {Op.MAX_F: -1, Op.MIN_F: -1}
    dropped: list[int] = []
    at = loads[0]
    while True:
        users = [number for number, sources in enumerate(reads) if at in sources]
        if len(users) != 1 or reads[users[0]][0] != at or len(reads[users[0]]) != 2:
            break
        op, other = Op(steps[users[0]][0]), reads[users[0]][1]
        held = op == Op.COALESCE or found.get(op) == -1
        if not held or steps[other][0] != Op.CONST_F:
            break
        if op in found:
            found[op] = int(steps[other][2])
        at = users[0]
        dropped.append(at)
    return Clip(found[Op.MAX_F], found[Op.MIN_F], tuple(dropped)) if max(found.values()) >= 0 else NO_CLIP


def _reads(steps: Sequence[Sequence[int]]) -> list[list[int]]:
    """For each step the steps whose results it takes, in the order of its operands."""
    made: dict[int, int] = {}
    reads = []
    for number, (code, out, *operands) in enumerate(steps):
        taken, gives = SIGNATURES[Op(code)]
        reads.append([made[register] for register in operands[: len(taken)]])
        if gives:
            made[out] = number
    return reads
