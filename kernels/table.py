"""What the tile interpreter runs: programs, and a table with one row an expression.

A `Program` is a shape: the same operators over columns of the same dtypes. A `Table` holds programs and, for every
expression, which program it follows, over which columns, with which parameters, into which outputs. Both are plain
arrays, checked once when built, so that the interpreters need not look again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import ParameterError
from .opcodes import SIGNATURES, STORAGE, Op

Array = np.ndarray[Any, Any]
Parameter = float | int | bool | None
Row = tuple[int, Sequence[int], Sequence[Parameter], Sequence[int]]
#: An input or an output: 1-D values (any stride), and the validity of each row or None.
Buffer = tuple[Array, Array | None]

#: What a status can say. The interpreters give an int64 array of shape (expressions, 2): the code, 0 where all
#: went well, and the first offending row, -1 where there is none.
INT_OVERFLOW, CAST_FAILED, NULL_IN_OUTPUT = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Program:
    """The steps of one shape of expression.

    Attributes:
        steps: int64 array of shape (n_steps, 5), a row a step: (opcode, out, a, b, c). `a`, `b`, `c` and `out` are
            registers, except that a load's `a` is a column slot, a constant's `a` a parameter slot, and a store's
            `out` an output slot. Unused operands are 0.
        n_registers: the number of registers. A register may be written again, also by a step that reads it.

    Raises:
        ParameterError: an unknown opcode, a register out of range or read before it is written.

    >>> from gpupipe.kernels.opcodes import Op
    >>> Program(np.array([(Op.LOAD_F4, 0, 0, 0, 0), (Op.ABS_F, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)]), 1).n_columns
    1
    """

    steps: Array
    n_registers: int

    def __post_init__(self) -> None:
        steps = np.ascontiguousarray(self.steps, dtype=np.int64).reshape(-1, 5)
        object.__setattr__(self, "steps", steps)
        _check_steps(steps.tolist(), self.n_registers)

    def _slots(self, first: Op, last: Op, position: int) -> dict[int, list[Op]]:
        slots: dict[int, list[Op]] = {}
        for step in self.steps.tolist():
            if first <= step[0] <= last:
                slots.setdefault(step[position], []).append(Op(step[0]))
        return slots

    @cached_property
    def column_loads(self) -> dict[int, list[Op]]:
        """Column slot -> the loads that read it."""
        return self._slots(Op.LOAD_BOOL, Op.LOAD_F8, 2)

    @cached_property
    def parameter_loads(self) -> dict[int, list[Op]]:
        """Parameter slot -> the constants that read it."""
        return self._slots(Op.CONST_F, Op.CONST_I, 2)

    @cached_property
    def output_stores(self) -> dict[int, list[Op]]:
        """Output slot -> the stores that write it."""
        return self._slots(Op.STORE_BOOL, Op.STORE_F8, 1)

    @property
    def n_columns(self) -> int:
        return 1 + max(self.column_loads, default=-1)

    @property
    def n_parameters(self) -> int:
        return 1 + max(self.parameter_loads, default=-1)

    @property
    def n_outputs(self) -> int:
        return 1 + max(self.output_stores, default=-1)


def _check_steps(steps: list[list[int]], n_registers: int) -> None:
    written: set[int] = set()
    for number, (code, out, *operands) in enumerate(steps):
        if not 0 <= code < len(Op):
            raise ParameterError(f"Step {number} has the opcode {code}; there are 0 to {len(Op) - 1}.")
        reads, gives = SIGNATURES[Op(code)]
        for register in operands[: len(reads)]:
            if register not in written:
                raise ParameterError(f"Step {number} ({Op(code).name}) reads register {register} before it is written.")
        if (not reads and operands[0] < 0) or out < 0 or (gives and out >= n_registers):
            raise ParameterError(
                f"Step {number} ({Op(code).name}) is {[code, out, *operands]}: slots start at 0, and there are "
                f"{n_registers} registers."
            )
        if gives:
            written.add(out)


@dataclass(frozen=True, eq=False)
class Table:
    """Programs, and one row an expression, as flat arrays with offsets. Made by :meth:`build`.

    Attributes:
        programs: the programs.
        row_program: int64 (expressions,), the program of each.
        columns, column_start: each expression's indexes into the list of inputs, flat; int64.
        parameters, parameter_valid, parameter_start: its parameters, flat; float64 whose bits are an int64 where
            the program reads them by CONST_I; uint8 0 for a null.
        outputs, output_start: its indexes into the list of outputs, flat; int64.
    """

    programs: tuple[Program, ...]
    row_program: Array
    columns: Array
    column_start: Array
    parameters: Array
    parameter_valid: Array
    parameter_start: Array
    outputs: Array
    output_start: Array

    def __len__(self) -> int:
        return len(self.row_program)

    @staticmethod
    def build(programs: Sequence[Program], rows: Sequence[Row]) -> "Table":
        """The table of `rows`: (program index, column indexes, parameters, output indexes) each.

        Raises:
            ParameterError: a row that does not fit its program, or a parameter of the wrong kind.

        >>> from gpupipe.kernels.opcodes import Op
        >>> load, store = (Op.LOAD_F4, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)
        >>> steps = [load, (Op.CONST_F, 1, 0, 0, 0), (Op.ADD_F, 0, 0, 1, 0), store]
        >>> table = Table.build([Program(np.array(steps), 2)], [(0, [0], [1.5], [0]), (0, [1], [2.5], [1])])
        >>> len(table), table.parameters.tolist()
        (2, [1.5, 2.5])
        """
        bits: list[int] = []
        for number, row in enumerate(rows):
            _check_row(number, row, programs)
            bits += [_bits(value, slot, programs[row[0]]) for slot, value in enumerate(row[2])]
        flat = [value for row in rows for value in row[2]]
        return Table(
            tuple(programs),
            np.array([row[0] for row in rows], dtype=np.int64),
            *_ragged([row[1] for row in rows]),
            np.array(bits, dtype=np.int64).view(np.float64),
            np.array([value is not None for value in flat], dtype=np.uint8),
            _starts([row[2] for row in rows]),
            *_ragged([row[3] for row in rows]),
        )

    @cached_property
    def needs(self) -> "Needs":
        """Which dtype every input and output must have."""
        loads: dict[tuple[int, int], None] = {}
        stores: dict[tuple[int, int], None] = {}
        for row, number in enumerate(self.row_program.tolist()):
            program = self.programs[number]
            for slot, ops in program.column_loads.items():
                index = int(self.columns[self.column_start[row] + slot])
                loads.update({(index, op - Op.LOAD_BOOL): None for op in ops})
            for slot, ops in program.output_stores.items():
                index = int(self.outputs[self.output_start[row] + slot])
                stores.update({(index, op - Op.STORE_BOOL): None for op in ops})
        return Needs(
            [(index, np.dtype(STORAGE[kind])) for index, kind in loads],
            [(index, np.dtype(STORAGE[kind])) for index, kind in stores],
        )


class MatrixColumns(Sequence[Buffer]):
    """The columns of a matrix as outputs of their own, without validity: null is NaN.

    Attributes:
        matrix: of shape (rows, outputs).
    """

    def __init__(self, matrix: Array) -> None:
        self.matrix = matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[1])

    def __getitem__(self, index: Any) -> Any:
        return self.matrix[:, index], None  # beyond the last NumPy's IndexError, which ends an iteration


@dataclass(frozen=True)
class Needs:
    """The dtype of each input and output that a table touches."""

    inputs: list[tuple[int, np.dtype[Any]]]
    outputs: list[tuple[int, np.dtype[Any]]]

    def check(self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], start: int, stop: int) -> None:
        """Raise ParameterError unless every buffer is there, of its dtype, and holds rows start to stop."""
        if not 0 <= start <= stop:
            raise ParameterError(f"Rows {start} to {stop} were asked for; 0 <= start <= stop must hold.")
        _check_buffers("Input", self.inputs, inputs, stop)
        _check_buffers("Output", self._distinct(outputs), outputs, stop)

    def _distinct(self, outputs: Sequence[Buffer]) -> list[tuple[int, np.dtype[Any]]]:
        """The outputs to look at: of a matrix, whose columns are alike, the last of each dtype that is asked for."""
        return self._last_of_each if isinstance(outputs, MatrixColumns) else self.outputs

    @cached_property
    def _last_of_each(self) -> list[tuple[int, np.dtype[Any]]]:
        return [(index, dtype) for dtype, index in {dtype: index for index, dtype in sorted(self.outputs)}.items()]


def _check_buffers(what: str, needs: list[tuple[int, np.dtype[Any]]], buffers: Sequence[Buffer], stop: int) -> None:
    count = len(buffers)
    for index, dtype in needs:
        if not 0 <= index < count:
            raise ParameterError(f"{what} {index} was asked for; there are {count}.")
        values, valid = buffers[index]
        if values.dtype != dtype:
            raise ParameterError(f"{what} {index} is {values.dtype}; the program was compiled for {dtype}.")
        if values.ndim != 1 or len(values) < stop:
            raise ParameterError(f"{what} {index} has shape {values.shape}; rows up to {stop} were asked for.")
        if valid is not None and (valid.dtype != np.bool_ or valid.ndim != 1 or len(valid) < stop):
            raise ParameterError(f"{what} {index}: validity must be a bool array of {stop} or more rows.")


def fresh_status(n_expressions: int) -> Array:
    """A status in which nothing has gone wrong yet: int64, shape (n_expressions, 2), rows (0, -1)."""
    status = np.zeros((n_expressions, 2), dtype=np.int64)
    status[:, 1] = -1
    return status


def merge_status(parts: Sequence[Array]) -> Array:
    """One status from those of several row ranges: for each expression the entry with the smallest row.

    >>> merge_status([np.array([[0, -1], [2, 70]]), np.array([[1, 5], [1, 9]])]).tolist()
    [[1, 5], [1, 9]]
    """
    merged = np.array(parts[0])
    for part in parts[1:]:
        better = (part[:, 0] != 0) & ((merged[:, 0] == 0) | (part[:, 1] < merged[:, 1]))
        merged[better] = part[better]
    return merged


def _check_row(number: int, row: Row, programs: Sequence[Program]) -> None:
    if not 0 <= row[0] < len(programs):
        raise ParameterError(f"Expression {number} names program {row[0]}; there are {len(programs)}.")
    program = programs[row[0]]
    wanted = (program.n_columns, program.n_parameters, program.n_outputs)
    given = (len(row[1]), len(row[2]), len(row[3]))
    if any(has < needs for has, needs in zip(given, wanted, strict=True)):
        raise ParameterError(
            f"Expression {number} brings {given} columns, parameters, outputs; its program takes {wanted}."
        )
    if min([*row[1], *row[3]], default=0) < 0:
        raise ParameterError(f"Expression {number} has a negative column or output index: {row[1]}, {row[3]}.")


def _bits(value: Parameter, slot: int, program: Program) -> int:
    ops = set(program.parameter_loads.get(slot, [Op.CONST_F]))
    if len(ops) > 1:
        raise ParameterError(f"Parameter slot {slot} is read both by CONST_F and by CONST_I; use two slots.")
    if value is None:
        return 0
    if ops == {Op.CONST_F}:
        return int(np.array(float(value)).view(np.int64))
    if not np.isfinite(value) or int(value) != value or not -(2**63) <= value < 2**63:
        raise ParameterError(f"Parameter slot {slot} is read by CONST_I, which takes an int64, not {value!r}.")
    return int(value)


def _starts(rows: Sequence[Sequence[Any]]) -> Array:
    return np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)


def _ragged(rows: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    return np.array([index for row in rows for index in row], dtype=np.int64), _starts(rows)
