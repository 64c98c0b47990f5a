"""Programs that tests print: the benchmark's chains, every step by itself, random ones; and the kernels of them all."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from random_programs import INNER, Case, random_case

from gpupipe.kernels.gpu.device import Kernel
from gpupipe.kernels.gpu.records import columns_records, is_matrix_table, matrix_records
from gpupipe.kernels.opcodes import SIGNATURES, Op
from gpupipe.kernels.table import Program, Table

#: Steps whose rows are taken singly.
HEAVY = {Op.SIN, Op.COS, Op.POWER, Op.FLOORDIV_F, Op.MOD_F, Op.FLOORDIV_I, Op.MOD_I, Op.YEAR, Op.MONTH, Op.DAY}


def slim(case: Case) -> Case:
    """The first output alone, and only what it hangs on: few columns, one store."""
    steps = case.program.steps.tolist()
    store = next(step for step in steps if Op.STORE_BOOL <= step[0] <= Op.STORE_F8)
    needed: set[int] = {store[2]}
    kept: list[list[int]] = [[store[0], 0, store[2], 0, 0]]
    for code, out, *operands in reversed(steps[: steps.index(store)]):
        if out in needed and not Op.STORE_BOOL <= code <= Op.STORE_F8:
            needed.remove(out)
            needed.update(operands[: len(SIGNATURES[Op(code)][0])])
            kept.append([code, out, *operands])
    columns = sorted({step[2] for step in kept if step[0] <= Op.LOAD_F8})
    parameters = sorted({step[2] for step in kept if step[0] in (Op.CONST_F, Op.CONST_I)})
    for step in kept:
        if step[0] <= Op.LOAD_F8:
            step[2] = columns.index(step[2])
        elif step[0] in (Op.CONST_F, Op.CONST_I):
            step[2] = parameters.index(step[2])
    program = Program(np.array(kept[::-1]), case.program.n_registers)
    kinds, values = [case.column_types[c] for c in columns], [case.parameters[p] for p in parameters]
    return Case(program, kinds, values, case.output_types[:1])


def table_of(cases: Sequence[Case]) -> tuple[Table, list[str], list[str]]:
    """One table of all cases, each over columns of its own, and the types of columns and outputs."""
    rows: list[Any] = []
    kinds: list[str] = []
    outputs: list[str] = []
    for number, case in enumerate(cases):
        first, out = len(kinds), len(outputs)
        kinds += case.column_types
        outputs += case.output_types
        rows.append((number, range(first, len(kinds)), case.parameters, range(out, len(outputs))))
    return Table.build([case.program for case in cases], rows), kinds, outputs


def chain(log: bool = False, load: Op = Op.LOAD_F4) -> Program:
    """fill, clip, log1p or not, standardize."""
    steps: list = [(load, 0, 0, 0, 0)]
    for slot, op in enumerate([Op.COALESCE, Op.MAX_F, Op.MIN_F, Op.LOG1P, Op.SUB_F, Op.DIV_F]):
        if op == Op.LOG1P:
            steps += [(op, 0, 0, 0, 0)] * log
            continue
        steps += [(Op.CONST_F, 1, slot - (slot > 3), 0, 0), (op, 0, 0, 1, 0)]
    return Program(np.array([*steps, (Op.STORE_F4, 0, 0, 0, 0)]), 2)


CODES = Program(np.array([(Op.LOAD_I4, 0, 0, 0, 0), (Op.I_TO_F, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)]), 1)
CLOSE = Program(np.array([(Op.LOAD_F4, 0, 0, 0, 0), (Op.LOAD_F8, 1, 1, 0, 0), (Op.DIV_F, 0, 0, 1, 0),
                          (Op.STORE_F4, 0, 0, 0, 0)]), 2)  # fmt: skip
POWERS = Program(np.array([(Op.LOAD_F4, 0, 0, 0, 0), (Op.CONST_F, 1, 0, 0, 0), (Op.POWER, 0, 0, 1, 0),
                           (Op.STORE_F4, 0, 0, 0, 0)]), 2)  # fmt: skip
WHOLE = Program(np.array([(Op.LOAD_I8, 0, 0, 0, 0), (Op.CONST_I, 1, 0, 0, 0), (Op.ADD_I, 0, 0, 1, 0),
                          (Op.I_TO_F, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)]), 2)  # fmt: skip
PROGRAMS = [chain(), chain(log=True), CODES, CLOSE, POWERS, WHOLE]
TYPES = [["float32"], ["float32"], ["int32"], ["float32", "float64"], ["float32"], ["int64"]]


def single_steps() -> list[Case]:
    """For every step a program of it alone; for some one with more columns and outputs too."""
    rng = np.random.default_rng(5)
    cases = [slim(random_case(rng, 1, [op])) for op in INNER]
    return cases + [random_case(rng, 1, [op]) for op in INNER[::14]]


def tables() -> Iterator[tuple[str, Table, tuple[bool, ...]]]:
    """(name, table, which inputs are encoded) of a wide sample of shapes."""
    chains: dict[str, list[int]] = {
        "clip": [0], "log1p": [1], "codes": [2], "clip and codes": [0, 2], "log1p and codes": [1, 2],
        "every chain": list(range(len(PROGRAMS))),
    }  # fmt: skip
    for name, programs in chains.items():
        rows, kinds = [], 0
        for p in programs:
            rows.append((p, range(kinds, kinds + len(TYPES[p])), [1] * PROGRAMS[p].n_parameters, [len(rows)]))
            kinds += len(TYPES[p])
        yield name, Table.build(PROGRAMS, rows), tuple(p == 2 for p in programs for _ in TYPES[p])
    for case in single_steps():
        yield _step_name(case), table_of([case])[0], (False,) * len(case.column_types)
    rng = np.random.default_rng(7)
    for number in range(12):
        cases = [random_case(rng, int(rng.integers(1, 14)), INNER) for _ in range(3)]
        table, kinds_, _ = table_of([slim(case) for case in cases] if number % 2 else cases)
        yield f"random {number}", table, tuple((rng.random(len(kinds_)) < 0.3).tolist())


def _step_name(case: Case) -> str:
    step = next(step for step in case.program.steps.tolist() if step[0] in INNER)
    return f"{Op(step[0]).name.lower()}, {len(case.column_types)} columns"


def kernels() -> Iterator[tuple[str, Kernel]]:
    """(name, kernel): into columns, and into a matrix where the table can."""
    for name, table, encoded in tables():
        n_outputs = 1 + max((int(i) for i in table.outputs), default=-1)
        yield f"{name}, columns", columns_records(table, encoded, (False,) * n_outputs).kernel
        if is_matrix_table(table):
            yield f"{name}, matrix", matrix_records(table, encoded, tuple(range(len(table))), 64).kernel
