"""What a launch of the fused kernel is told: one array of 8-byte words, made once for a table but for addresses.

A record an expression: five words a column slot (values, bitmap, entries' numbers, entries' bitmap, the absent entry),
a word a parameter, what a null gives, two words an output (address and bitmap; of a matrix the column in the tile), the
expression's number.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from ..opcodes import Op
from ..reference import interpreter
from ..table import Array, Buffer, Table
from .device import Kernel
from .fused import HEAD, columns_kernel, matrix_kernel
from .printer import may_fail
from .variants import SLOT, Variant


@dataclass(frozen=True, slots=True)
class Records:
    """The words of a launch, and where addresses are put in.

    Attributes:
        kernel: what is launched.
        words: uint64: what the kernel finds first, then the records, then the status, a word an expression.
        slots: int64 (n, 2): the first word of a column slot, and its input.
        outputs: int64 (n, 2): the first of two words of an output slot, and its output; none for a matrix.
        status: the word where the status begins.
        fails: whether a row may fail that has a value in every column.
        fails_on_null: the inputs by whose nulls a row may fail.
        chunks: of a matrix, how many parts its columns are taken in.
        pitch: of a matrix, the floats from one row of a tile to the next.
    """

    kernel: Kernel
    words: Array
    slots: Array
    outputs: Array
    status: int
    fails: bool
    fails_on_null: frozenset[int]
    chunks: int = 0
    pitch: int = 0


Key = tuple[object, ...]
_MADE: "WeakKeyDictionary[Table, dict[Key, Records]]" = WeakKeyDictionary()


def _kept(table: Table, key: Key, make: Callable[[], Records]) -> Records:
    made = _MADE.setdefault(table, {})
    found = made.get(key)
    if found is None:
        found = made[key] = make()
    return found


def columns_records(table: Table, encoded: tuple[bool, ...], bare: tuple[bool, ...]) -> Records:
    """The records of a launch into arrays; `encoded` by input, `bare` (without validity) by output."""
    return _kept(table, ("columns", encoded, bare), lambda: _into_columns(table, encoded, bare))


def matrix_records(table: Table, encoded: tuple[bool, ...], columns: tuple[int, ...], at_once: int) -> Records:
    """The records of a launch into a matrix, `at_once` of its columns together at the most."""
    return _kept(table, ("matrix", encoded, columns, at_once), lambda: _into_matrix(table, encoded, columns, at_once))


class _Expressions:
    """A table's expressions: their variants, and their records without addresses."""

    def __init__(self, table: Table, encoded: tuple[bool, ...], bare: tuple[bool, ...]) -> None:
        self.table = table
        programs = [tuple(map(tuple, program.steps.tolist())) for program in table.programs]
        self.variant: list[Variant] = []
        for e, p in enumerate(table.row_program.tolist()):
            inputs, program = self.inputs(e), table.programs[p]
            first = int(table.parameter_start[e])
            null = table.parameter_valid[first : first + program.n_parameters] == 0
            variant = Variant(programs[p], tuple(encoded[i] for i in inputs), tuple(null.tolist()), program.n_outputs)
            self.variant.append(variant)
        self.variants = tuple(sorted(set(self.variant), key=astuple))  # in whatever order a table has them
        numbers = {variant: number for number, variant in enumerate(self.variants)}
        self.number = [numbers[variant] for variant in self.variant]
        self.outcomes = _outcomes(table, bare)
        each = [(variant, tuple(bare[i] for i in self.outputs(e))) for e, variant in enumerate(self.variant)]
        self.fails = any(may_fail(*one, False) for one in each)
        on_null = (self.inputs(e) for e, one in enumerate(each) if may_fail(*one, True))
        self.fails_on_null = frozenset(i for inputs in on_null for i in inputs)

    def inputs(self, e: int) -> list[int]:
        """The inputs of an expression's column slots."""
        first = int(self.table.column_start[e])
        count = self.table.programs[self.table.row_program[e]].n_columns
        return [int(i) for i in self.table.columns[first : first + count]]

    def outputs(self, e: int) -> list[int]:
        """The outputs of its output slots."""
        first = int(self.table.output_start[e])
        return [int(i) for i in self.table.outputs[first : first + self.variant[e].n_outputs]]

    def record(self, e: int) -> Array:
        """An expression's words, addresses left out."""
        variant, outputs = self.variant[e], self.outputs(e)
        words = np.zeros(variant.words, np.uint64)
        first = int(self.table.parameter_start[e])
        slots = SLOT * len(variant.encoded)
        words[slots : variant.null_at] = self.table.parameters[first : first + len(variant.null)].view(np.uint64)
        if variant.folded:
            words[variant.null_at : variant.null_at + len(outputs)] = [self.outcomes.bits[i][0] for i in outputs]
            told = sum(1 << (2 + slot) for slot, i in enumerate(outputs) if self.outcomes.null_valid[i])
            words[variant.null_at + len(outputs)] = told | int(self.outcomes.null_codes[e])
        if variant.clip.steps:
            words[variant.clip_at : variant.clip_at + 2] = self.bounds(e)
            words[variant.clip_at + 2 : variant.clip_at + 4] = self.outcomes.bits[outputs[0]][1:]
        words[-1] = e
        return words

    def bounds(self, e: int) -> list[int]:
        """The bits of float32 bounds: values at or below the first, and at or above the second, are clipped."""
        clip, first = self.variant[e].clip, int(self.table.parameter_start[e])
        low = self.table.parameters[first + clip.low] if clip.low >= 0 else -np.inf
        high = self.table.parameters[first + clip.high] if clip.high >= 0 else np.inf
        return [int(np.float32(cut).view(np.uint32)) for cut in (below(low), -below(-high))]


def below(bound: float) -> float:
    """The greatest float32 that is no greater; of NaN infinity, since nothing is greater than NaN.

    >>> below(0.1) < 0.1 < below(0.1) + 1e-8, below(0.5), below(float("nan"))
    (True, 0.5, inf)
    """
    if bound != bound:
        return float("inf")
    with np.errstate(over="ignore"):
        near = np.float32(bound)
    return float(np.nextafter(near, np.float32(-np.inf)) if near > bound else near)


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What the reference makes of three rows: without any value, of -inf, of +inf.

    Attributes:
        bits: of each output what is stored, by row.
        null_valid: of each output whether a null has a value.
        null_codes: of each expression the failure of a null, 0 for none.
    """

    bits: dict[int, list[int]]
    null_valid: dict[int, bool]
    null_codes: Array


def _outcomes(table: Table, bare: tuple[bool, ...]) -> _Outcomes:
    """The same for every row of an expression over one column; what is not needed is not looked at."""
    n_inputs = 1 + max((i for i, _ in table.needs.inputs), default=-1)
    inputs = [_three_rows(dict(table.needs.inputs).get(i)) for i in range(n_inputs)]
    dtypes = dict(table.needs.outputs)
    values_ = [np.zeros(3, dtypes.get(i, np.dtype(np.float64))) for i in range(len(bare))]
    masks = [None if without else np.zeros(3, bool) for without in bare]
    outputs: list[Buffer] = list(zip(values_, masks, strict=True))
    status = interpreter.run(table, inputs, outputs, 0, 3)
    bits = {i: values.view(f"u{values.itemsize}").tolist() for i, (values, _) in enumerate(outputs)}
    null_valid = {i: valid is None or bool(valid[0]) for i, (_, valid) in enumerate(outputs)}
    return _Outcomes(bits, null_valid, np.where(status[:, 1] == 0, status[:, 0], 0))


def _three_rows(dtype: "np.dtype[np.generic] | None") -> Buffer:
    values = np.zeros(3, np.float64 if dtype is None else dtype)
    if values.dtype.kind == "f":
        values[1:] = -np.inf, np.inf
    return values, np.array([False, True, True])


class _Words:
    """Words as they are put together."""

    def __init__(self, head: int) -> None:
        self.parts: list[Array] = [np.zeros(head, np.uint64)]
        self.count = head

    def add(self, words: Array) -> int:
        """Put `words` at the end; says where they begin."""
        self.parts.append(words)
        self.count += len(words)
        return self.count - len(words)


def _pairs(pairs: list[tuple[int, int]]) -> Array:
    return np.array(pairs, np.int64).reshape(-1, 2)


def _into_columns(table: Table, encoded: tuple[bool, ...], bare: tuple[bool, ...]) -> Records:
    made = _Expressions(table, encoded, bare)
    words = _Words(len(table))
    slots: list[tuple[int, int]] = []
    outputs: list[tuple[int, int]] = []
    for e, variant in enumerate(made.variant):
        at = words.add(made.record(e))
        words.parts[0][e] = at << 16 | made.number[e]
        slots += [(at + SLOT * slot, i) for slot, i in enumerate(made.inputs(e))]
        outputs += [(at + variant.outputs_at + 2 * slot, i) for slot, i in enumerate(made.outputs(e))]
    status = words.add(np.full(len(table), 2**64 - 1, np.uint64))
    kernel = columns_kernel(made.variants)
    all_words, fails = np.concatenate(words.parts), (made.fails, made.fails_on_null)
    return Records(kernel, all_words, _pairs(slots), _pairs(outputs), status, *fails)


def _into_matrix(table: Table, encoded: tuple[bool, ...], columns: tuple[int, ...], at_once: int) -> Records:
    made = _Expressions(replace(table, outputs=np.arange(len(table))), encoded, (True,) * len(table))
    order = sorted(range(len(columns)), key=columns.__getitem__)
    count = -(-len(order) // at_once)
    size = -(-len(order) // count)
    words = _Words(count * HEAD)
    slots: list[tuple[int, int]] = []
    for chunk in range(count):
        members = order[chunk * size : (chunk + 1) * size]
        tile_columns = {e: column for column, e in enumerate(members)}
        shares = _shares(members, made)
        head = words.parts[0].reshape(count, -1)[chunk]
        head[:3] = _place([columns[e] for e in members], words)
        head[3:] = words.add(np.zeros(len(shares), np.uint64)), len(shares)
        told = words.parts[-1]
        for number, share in enumerate(shares):
            told[number] = words.count << 20 | len(share) << 16 | made.number[share[0]]
            for e in share:
                record = made.record(e)
                record[made.variant[e].outputs_at] = tile_columns[e]
                at = words.add(record)
                slots += [(at + SLOT * slot, i) for slot, i in enumerate(made.inputs(e))]
    status = words.add(np.full(len(table), 2**64 - 1, np.uint64))
    kernel, all_words = matrix_kernel(made.variants), np.concatenate(words.parts)
    fails = made.fails, made.fails_on_null
    return Records(kernel, all_words, _pairs(slots), _pairs([]), status, *fails, count, size | 1)


def _shares(members: list[int], made: _Expressions) -> list[list[int]]:
    """What a warp takes at once: expressions of one program, as many as its lanes are dealt to."""
    shares: list[list[int]] = []
    for number, variant in enumerate(made.variants):
        alike = [e for e in members if made.number[e] == number]
        side = 4 if variant.at_once == 4 else 1
        shares += [alike[i : i + side] for i in range(0, len(alike), side)]
    return shares


def _place(columns: list[int], words: _Words) -> tuple[int, int, int]:
    """The first column of a chunk, how many, and where they are listed: 0 where they stand side by side."""
    if columns[-1] - columns[0] + 1 == len(columns):
        return columns[0], len(columns), 0
    return 0, len(columns), words.add(np.array(columns, np.uint64))


def is_matrix_table(table: Table) -> bool:
    """Whether every program stores one float32."""
    return all(
        list(program.output_stores) == [0] and set(program.output_stores[0]) == {Op.STORE_F4}
        for program in table.programs
    )
