"""The tile interpreter in Numba: one kernel, compiled once for all pipelines.

A tile of rows is outermost, then the expressions, then the steps of each; a step is a small loop that LLVM vectorises,
over registers that stay in cache. Same names, signatures and bits as `gpupipe.kernels.reference.interpreter`.
"""

from collections.abc import Sequence

import numpy as np

from ...errors import ParameterError
from ..opcodes import Op
from ..table import INT_OVERFLOW, Array, Buffer, Table, fresh_status
from .jit import kernel
from .steps import SLOT, compute_step, const_step, load_step, store_step
from .transfer import SPACING, STAGE, TILE, flush, flush_when_full, where_to_store

#: Slots beside the registers: the spare, one for stores, one for bytes.
_EXTRA = 3


def run(table: Table, inputs: Sequence[Buffer], outputs: Sequence[Buffer], start: int, stop: int) -> Array:
    """Evaluate every expression of `table` for rows `start` to `stop`, the GIL released.

    Arguments, result and errors are those of the reference. Each call has scratch of its own, so threads may
    run ranges of one table side by side; their statuses are joined by ``table.merge_status``.
    """
    table.needs.check(inputs, outputs, start, stop)
    status = fresh_status(len(table))
    sources = [_whole_steps(values, valid) for values, valid in inputs]
    if broken := [number for number, (values, _) in enumerate(outputs) if values.strides[0] % values.itemsize]:
        raise ParameterError(f"Outputs {broken} are fields of packed records; give arrays of their own.")
    n_slots = max((program.n_registers for program in table.programs), default=0) + _EXTRA
    scratch = np.empty(64 + n_slots * SLOT + STAGE * SPACING, dtype=np.uint8)
    _run_tiles(
        _flat_programs(table), table.row_program, table.columns, table.column_start,
        table.parameters.view(np.int64), table.parameter_valid, table.parameter_start, table.outputs,
        table.output_start, _addresses(sources), _addresses(outputs), start, stop, scratch, status,
        np.empty(n_slots, np.int64), np.empty(n_slots, np.bool_), np.zeros(n_slots, np.bool_),
        np.empty((3, STAGE), np.int64),
    )  # fmt: skip
    return status


def is_ready() -> bool:
    """Whether machine code is kept, so that the first call takes milliseconds."""
    return bool(_run_tiles.is_ready)


def _whole_steps(values: Array, valid: Array | None) -> Buffer:
    """The buffer, copied where its stride is no multiple of its item (a field of a packed record)."""
    return (np.ascontiguousarray(values) if values.strides[0] % values.itemsize else values), valid


def _addresses(buffers: Sequence[Buffer]) -> Array:
    """int64 (buffers, 4): address and stride in bytes of the values, then of the validity, 0 where there is none."""
    rows = []
    for values, valid in buffers:
        row = [values.__array_interface__["data"][0], values.strides[0], 0, 0]
        if valid is not None:
            row[2:] = [valid.__array_interface__["data"][0], valid.strides[0]]
        rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _flat_programs(table: Table) -> tuple[Array, Array]:
    """All steps, and where each program's begin."""
    if "_flat" not in table.__dict__:
        steps = [program.steps for program in table.programs] or [np.zeros((0, 5), dtype=np.int64)]
        starts = np.cumsum([0, *(len(part) for part in steps)], dtype=np.int64)
        table.__dict__["_flat"] = np.ascontiguousarray(np.concatenate(steps)), starts
    flat: tuple[Array, Array] = table.__dict__["_flat"]
    return flat


@kernel
def _run_tiles(
    programs, row_program, columns, column_start, parameters, parameter_valid, parameter_start, outputs, output_start,
    sources, targets, start, stop, scratch, status, slots, masked, single, pending,
):  # fmt: skip
    steps, program_start = programs
    n_slots = len(slots)
    base = (scratch.ctypes.data + 63) // 64 * 64
    stage = base + n_slots * SLOT
    suspect, clean, spare_at = n_slots - 1, n_slots - 2, n_slots - 3
    # `slots`: where each register is now. A step writes to the spare slot, which then is the register, so that no loop
    # reads what it writes.
    for first in range(start, stop, TILE):
        w = min(TILE, stop - first)
        count = np.int64(0)
        for e in range(row_program.size):
            for k in range(n_slots):
                slots[k] = k
            program = row_program[e]
            for s in range(program_start[program], program_start[program + 1]):
                op, out, a = steps[s, 0], steps[s, 1], steps[s, 2]
                row, code = -1, INT_OVERFLOW
                if op <= Op.LOAD_F8:
                    source = sources[columns[column_start[e] + a]]
                    row = load_step(op, base, slots[out], masked, single, source, first, w)
                elif op <= Op.CONST_I:
                    at = parameter_start[e] + a
                    const_step(base, slots[out], masked, single, parameters[at], parameter_valid[at], w)
                elif op <= Op.STORE_F8:
                    target = targets[outputs[output_start[e] + out]]
                    staged, tile = where_to_store(op, target, first, stage, count, pending)
                    row, code = store_step(op, base, slots[a], masked, single, clean, target, first, tile, w)
                    count = flush_when_full(stage, count + staged, pending, w)
                else:
                    b, c, spare = slots[steps[s, 3]], slots[steps[s, 4]], slots[spare_at]
                    row, code = compute_step(op, base, spare, slots[a], b, c, masked, single, suspect, w)
                    slots[spare_at], slots[out] = slots[out], spare
                if row >= 0 and (status[e, 0] == 0 or first + row < status[e, 1]):
                    status[e, 0], status[e, 1] = code, first + row
        flush(stage, count, pending, w)
