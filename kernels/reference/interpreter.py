"""The tile interpreter in plain NumPy: the specification, and the form for few rows or where Numba is missing.

Expressions that share a program are taken through it together: a register is an array (expressions, rows), so one row
through many expressions costs as many NumPy calls as one expression does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..opcodes import SIGNATURES, STORAGE, Op
from ..table import CAST_FAILED, INT_OVERFLOW, NULL_IN_OUTPUT, Array, Buffer, MatrixColumns, Table, fresh_status
from .steps import STEPS, Step, Valid, bools, floats, ints

#: Rows of a tile, and values of a register: its arrays stay in cache, and a NumPy call's overhead is small beside it.
_ROWS, _VALUES = 8192, 32768
#: Plain ints: an enum's members compare and hash slowly, which one row would feel.
_LAST_LOAD, _LAST_CONSTANT = int(Op.LOAD_F8), int(Op.CONST_I)
_LOAD_BOOL, _LOAD_I8, _LOAD_U8, _LOAD_F4, _LOAD_F8, _I_TO_F = (
    int(op) for op in (Op.LOAD_BOOL, Op.LOAD_I8, Op.LOAD_U8, Op.LOAD_F4, Op.LOAD_F8, Op.I_TO_F)
)
_STORED = {int(op): np.dtype(STORAGE[op - Op.STORE_BOOL]) for op in Op if Op.STORE_BOOL <= op <= Op.STORE_F8}


@dataclass(frozen=True)
class Group:
    """The expressions of one program, by slot. Programs that differ in how they load alone are one.

    Attributes:
        steps: (opcode, what it does, out, operands) each. A load is of any number as LOAD_F8, or of any whole one but
            LOAD_U8's as LOAD_I8.
        rows: int64 (expressions,), their rows of the table.
        columns, outputs: slot -> input or output index of each expression.
        parameters: slot -> float64 (expressions, 1) and its validity, or None for all valid.
    """

    steps: list[tuple[int, Step | None, int, tuple[int, ...]]]
    n_registers: int
    rows: Array
    columns: list[list[int]]
    parameters: list[tuple[Array, Valid]]
    outputs: list[list[int]]


def run(table: Table, inputs: Sequence[Buffer], outputs: Sequence[Buffer], start: int, stop: int) -> Array:
    """Evaluate every expression of `table` for rows `start` to `stop`.

    Args:
        table: the expressions.
        inputs: (values, valid) each: 1-D of a storage dtype, any stride; valid a bool array, or None for all valid.
        outputs: the same, written. Where a row is null, the value written is 0 and valid says False; with valid
            None a float is NaN, and anything else reports NULL_IN_OUTPUT.
        start, stop: the rows.

    Returns:
        int64 (expressions, 2): code and first offending row, (0, -1) where all went well. With several failures in
        a row the earliest step's is told. Only valid rows fail.

    Raises:
        ParameterError: a buffer that is missing, too short, or of another dtype than the program was compiled for.

    >>> steps = [(Op.LOAD_F4, 0, 0, 0, 0), (Op.CONST_F, 1, 0, 0, 0), (Op.ADD_F, 0, 0, 1, 0), (Op.STORE_F4, 0, 0, 0, 0)]
    >>> from gpupipe.kernels.table import Program
    >>> table = Table.build([Program(np.array(steps), 2)], [(0, [0], [1.5], [0])])
    >>> out = np.zeros(2, "f4")
    >>> run(table, [(np.array([1, 2], "f4"), np.array([True, False]))], [(out, None)], 0, 2).tolist(), out.tolist()
    ([[0, -1]], [2.5, nan])
    """
    table.needs.check(inputs, outputs, start, stop)
    status = fresh_status(len(table))
    groups = groups_of(table)
    with np.errstate(all="ignore"):
        for first in range(start, stop, _ROWS):
            last = min(first + _ROWS, stop)
            at_once = max(1, _VALUES // (last - first))
            for group in groups:
                for begin in range(0, len(group.rows), at_once):
                    Block(group, slice(begin, begin + at_once), first, last, status).run(inputs, outputs)
    return status


def groups_of(table: Table) -> list[Group]:
    """The table's expressions by program; made once a table."""
    if "_groups" not in table.__dict__:
        alike: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for number in sorted(set(table.row_program.tolist())):
            alike.setdefault(_loading_any(table.programs[number].steps.tolist()), []).append(number)
        table.__dict__["_groups"] = [_group(table, steps, numbers) for steps, numbers in alike.items()]
    groups: list[Group] = table.__dict__["_groups"]
    return groups


def _loading_any(steps: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    """The steps with loads that take whatever a column is stored as; a whole number that only becomes a float, too."""
    told: list[tuple[int, ...]] = []
    for code, out, *operands in steps:
        if told and code == _I_TO_F and told[-1][0] == _LOAD_I8 and told[-1][1] == out == operands[0]:
            told[-1] = (_LOAD_F8, *told[-1][1:])
        elif _LOAD_BOOL < code < _LOAD_U8 or code == _LOAD_F4:
            told.append((_LOAD_I8 if code < _LOAD_U8 else _LOAD_F8, out, *operands))
        else:
            told.append((code, out, *operands))
    return tuple(told)


def _group(table: Table, alike: tuple[tuple[int, ...], ...], numbers: list[int]) -> Group:
    program, rows = table.programs[numbers[0]], np.flatnonzero(np.isin(table.row_program, numbers))
    steps = []
    for code, out, *operands in alike:
        reads = SIGNATURES[Op(code)][0]
        steps.append((code, STEPS.get(Op(code)), out, tuple(operands[: max(1, len(reads))])))
    parameters = []
    for slot in range(program.n_parameters):
        at = table.parameter_start[rows] + slot
        valid = table.parameter_valid[at].astype(np.bool_)[:, None]
        parameters.append((table.parameters[at][:, None], None if valid.all() else valid))
    columns = [table.columns[table.column_start[rows] + slot].tolist() for slot in range(program.n_columns)]
    outputs = [table.outputs[table.output_start[rows] + slot].tolist() for slot in range(program.n_outputs)]
    return Group(steps, program.n_registers, rows, columns, parameters, outputs)


class Block:
    """Some expressions of a group over some rows: the registers, and the steps taken through them."""

    def __init__(self, group: Group, part: slice, start: int, stop: int, status: Array) -> None:
        self.group, self.part, self.start, self.stop, self.status = group, part, start, stop, status
        self.shape = (len(group.rows[part]), stop - start)

    def run(self, inputs: Sequence[Buffer], outputs: Sequence[Buffer]) -> None:
        """Take the block through its program."""
        registers: list[Any] = [None] * self.group.n_registers
        for op, step, out, operands in self.group.steps:
            if step is not None:
                arguments = [part for register in operands for part in registers[register]]
                registers[out] = step(self.report, *arguments)
            elif op <= _LAST_LOAD:
                registers[out] = self.load(op, [inputs[i] for i in self.group.columns[operands[0]][self.part]])
            elif op <= _LAST_CONSTANT:
                values, valid = self.group.parameters[operands[0]]
                registers[out] = values[self.part], None if valid is None else valid[self.part]
            else:
                targets = self.group.outputs[out][self.part]
                values, valid = registers[operands[0]]
                if isinstance(outputs, MatrixColumns):
                    self.store_side_by_side(op, values, valid, outputs.matrix, targets)
                else:
                    self.store(op, values, valid, [outputs[i] for i in targets])

    def report(self, bad: Array, valid: Valid, code: int) -> None:
        """Note `code` for the first bad and valid row of each expression, unless an earlier row has failed."""
        if not bad.any():
            return
        bad = np.broadcast_to(bad if valid is None else bad & valid, self.shape)
        rows = self.group.rows[self.part]
        first = self.start + bad.argmax(axis=1)
        known = self.status[rows]
        better = bad.any(axis=1) & ((known[:, 0] == 0) | (first < known[:, 1]))
        self.status[rows[better], 0] = code
        self.status[rows[better], 1] = first[better]

    def load(self, op: int, sources: list[Buffer]) -> tuple[Array, Valid]:
        start, stop = self.start, self.stop
        kind = np.float64 if op >= Op.LOAD_F4 else np.bool_ if op == Op.LOAD_BOOL else np.int64
        size = stop - start  # a view of the whole would cost as much as copying one row does
        parts = [source if len(source) == size else source[start:stop] for source, _ in sources]
        values: Array = np.concatenate(parts, dtype=kind, casting="unsafe").reshape(self.shape)
        valid = None
        if any(source_valid is not None for _, source_valid in sources):
            ones = np.ones(size, dtype=np.bool_)
            masks = [ones if source_valid is None else source_valid[start:stop] for _, source_valid in sources]
            valid = np.concatenate(masks).reshape(self.shape)
            valid = None if valid.all() else valid
        if op == Op.LOAD_U8:
            self.report(values < 0, valid, INT_OVERFLOW)
        return values, valid

    def store(self, op: int, values: Array, valid: Valid, targets: list[Buffer]) -> None:
        dtype = _STORED[op]
        values = self._typed(values, valid, dtype)
        if values.shape != self.shape:
            values = np.broadcast_to(values, self.shape)
        if valid is None:
            for row, (target, target_valid) in zip(values, targets, strict=True):
                target[self.start : self.stop] = row
                if target_valid is not None:
                    target_valid[self.start : self.stop] = True
            return
        if valid.shape != self.shape:
            valid = np.broadcast_to(valid, self.shape)
        bare = np.array([target_valid is None for _, target_valid in targets])[:, None]
        at_null = np.where(bare, np.nan, 0.0).astype(dtype) if dtype.kind == "f" else np.zeros((1, 1), dtype)
        if dtype.kind != "f":
            self.report(bare & ~valid, None, NULL_IN_OUTPUT)
        values = np.where(valid, values, at_null)
        for row, row_valid, (target, target_valid) in zip(values, valid, targets, strict=True):
            target[self.start : self.stop] = row
            if target_valid is not None:
                target_valid[self.start : self.stop] = row_valid

    def store_side_by_side(self, op: int, values: Array, valid: Valid, matrix: Array, columns: list[int]) -> None:
        """Store into columns of a matrix, all at once; NaN where there is no value."""
        dtype = _STORED[op]
        if dtype.kind != "f" and valid is not None:
            self.report(~valid, None, NULL_IN_OUTPUT)
        values = self._typed(values, valid, dtype)
        if valid is not None:
            values = np.where(valid, values, dtype.type(np.nan if dtype.kind == "f" else 0))
        matrix[self.start : self.stop, columns] = values.T

    def _typed(self, values: Array, valid: Valid, dtype: np.dtype[Any]) -> Array:
        if dtype.kind == "f":
            values = floats(values).astype(dtype)
            bad = np.isnan(values)
            return np.where(bad, dtype.type(np.nan), values) if bad.any() else values  # one NaN, one bit pattern
        if dtype.kind == "b":
            return bools(values)
        values = ints(values)
        if dtype != np.int64:
            limits = np.iinfo(dtype)
            high = min(int(limits.max), 2**63 - 1)
            self.report((values < int(limits.min)) | (values > high), valid, CAST_FAILED)
        return values.astype(dtype)
