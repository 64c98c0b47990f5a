"""The tile interpreter on a device: every expression of a table in one launch of one kernel.

The kernel is printed from the table's programs (`printer`, `fused`); columns and parameters reach it as words in memory
(`records`). The bits are those of `gpupipe.kernels.reference.interpreter`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import ParameterError
from ..table import Array, Table, fresh_status
from .device import Argument, Device, DeviceArray
from .fused import THREADS
from .records import Records, columns_records, is_matrix_table, matrix_records
from .variants import SLOT

#: Rows of a matrix that a block takes, and how many blocks shall fit the shared memory that one may have.
_TILE_ROWS, _BLOCKS = 64, 5


@dataclass(frozen=True, slots=True)
class Input:
    """A column as a kernel reads it: a value a row, or with `ids` a value an entry.

    Attributes:
        values: of a storage dtype: a row each, or with `ids` an entry each.
        valid: bitmap of the rows, uint32 words; None: every row has a value.
        ids: int32, the entry of each row; where it is negative the row has no value.
        entry_valid: bitmap of the entries; None: every entry has a value.
        absent: with `ids` the entry of rows whose bit in `valid` is 0; -1: they have no value.
    """

    values: DeviceArray
    valid: DeviceArray | None = None
    ids: DeviceArray | None = None
    entry_valid: DeviceArray | None = None
    absent: int = -1

    @property
    def nullable(self) -> bool:
        """Whether a row may have no value, as far as is known without looking."""
        return self.valid is not None or self.ids is not None

    def words(self) -> list[int]:
        """The four addresses, 0 where there is nothing; and the absent entry, in 32 bits."""
        held = (self.values, self.valid, self.ids, self.entry_valid)
        return [*(0 if each is None else each.pointer for each in held), self.absent & 0xFFFFFFFF]


#: What an expression is stored into: values of a storage dtype, and a bitmap of which rows have one, or None.
Output = tuple[DeviceArray, DeviceArray | None]


def run(table: Table, inputs: Sequence[Input], outputs: Sequence[Output], start: int, stop: int) -> Array:
    """Evaluate every expression of `table` for rows `start` to `stop`: one launch.

    Args:
        table: the expressions.
        inputs: columns of at least `stop` rows.
        outputs: written. Where a row is null, the value written is 0 and its bit 0; without a bitmap a float is NaN,
            and anything else reports NULL_IN_OUTPUT. Of a bitmap's last word the bits from `stop` on say nothing.
        start, stop: the rows. `start` is a multiple of 32 where an output has a bitmap.

    Returns:
        int64 (expressions, 2), as :func:`gpupipe.kernels.reference.interpreter.run` gives it.

    Raises:
        ParameterError: a buffer that is missing, too short, or of another dtype than the program was compiled for.
        DeviceMemoryError: no room for the table's records.
    """
    if not 0 <= start <= stop:
        raise ParameterError(f"Rows {start} to {stop} were asked for; 0 <= start <= stop must hold.")
    _check_inputs(table, inputs, stop)
    _check_outputs(table, outputs, start, stop)
    if start == stop or not len(table) or not outputs:
        return fresh_status(len(table))
    device = _device_of([values for values, _ in outputs])
    records = columns_records(table, _encoded(inputs), tuple(valid is None for _, valid in outputs))
    places = [[values.pointer, 0 if valid is None else valid.pointer] for values, valid in outputs]
    words = _addressed(records, inputs)
    _put(words, records.outputs, np.array(places, np.uint64).reshape(-1, 2))
    rows = stop - (start & ~31)
    block = min(THREADS, -(-rows // 128) * 32)
    parts = -(-rows // (4 * block))
    args = (np.int64(start), np.int64(stop), np.uint32(parts))
    told = _launched(device, records, words, parts * len(table), block, args)
    return _status(records, inputs, told)


def run_matrix(
    table: Table, inputs: Sequence[Input], matrix: DeviceArray, columns: Sequence[int], n_rows: int
) -> Array:
    """Evaluate every expression into a column of a float32 matrix, null as NaN: one launch.

    Args:
        table: expressions that store one float32 each.
        inputs: columns of at least `n_rows` rows.
        matrix: of shape (rows, width), rows one after the other. Columns that no expression has stay as they are.
        columns: the column of each expression.
        n_rows: the first rows are written.

    Returns:
        int64 (expressions, 2), as :func:`run` gives it.

    Raises:
        ParameterError: as :func:`run`; a column twice or beyond the matrix.
        DeviceMemoryError: no room for the table's records.
    """
    _check_inputs(table, inputs, n_rows)
    _check_matrix(table, matrix, columns, n_rows)
    if not n_rows or not len(table):
        return fresh_status(len(table))
    device, width = matrix.device, matrix.shape[1]
    records = matrix_records(table, _encoded(inputs), tuple(columns), _columns_at_once(device))
    words = _addressed(records, inputs)
    tiles = -(-n_rows // _TILE_ROWS)
    args = (matrix, np.int64(n_rows), np.int64(width), np.uint32(records.chunks), np.int32(records.pitch))
    shared = 4 * _TILE_ROWS * records.pitch
    told = _launched(device, records, words, tiles * records.chunks, THREADS, args, shared)
    return _status(records, inputs, told)


def _columns_at_once(device: Device) -> int:
    """So many that the tiles of several blocks fit a multiprocessor, and one always does without being asked for."""
    return max((min(device.shared_bytes // _BLOCKS, 48 * 1024) // (4 * _TILE_ROWS) - 1) // 8 * 8, 8)


def _encoded(inputs: Sequence[Input]) -> tuple[bool, ...]:
    return tuple(column.ids is not None for column in inputs)


def _addressed(records: Records, inputs: Sequence[Input]) -> Array:
    words = records.words.copy()
    told = np.array([column.words() for column in inputs], np.uint64).reshape(-1, SLOT)
    _put(words, records.slots, told)
    return words


def _put(words: Array, places: Array, addresses: Array) -> None:
    """Write the addresses of (word, index) pairs."""
    width = addresses.shape[1]
    words[places[:, :1] + np.arange(width)] = addresses[places[:, 1]]


def _launched(
    device: Device, records: Records, words: Array, grid: int, block: int, args: tuple[Argument, ...], shared: int = 0
) -> DeviceArray:
    """Launch the kernel; what it will tell of failures."""
    held = device.upload(words)
    told = held.rows(records.status, len(words))
    device.launch(records.kernel, grid, block, (held, told, *args), shared)
    return told


def _status(records: Records, inputs: Sequence[Input], there: DeviceArray) -> Array:
    """(code, first row) of each expression; a failure is told as row * 4 + code, the least of all rows.

    Where no row can fail nobody waits for the launch.
    """
    status = fresh_status(len(there))
    if records.fails or any(inputs[i].nullable for i in records.fails_on_null):
        told = there.to_host()
        failed = told != 2**64 - 1
        status[failed, 0] = (told[failed] & np.uint64(3)).astype(np.int64)
        status[failed, 1] = (told[failed] >> np.uint64(2)).astype(np.int64)
    return status


def _device_of(arrays: Sequence[DeviceArray]) -> Device:
    return arrays[0].device


def _check_inputs(table: Table, inputs: Sequence[Input], stop: int) -> None:
    for index, dtype in table.needs.inputs:
        if not index < len(inputs):
            raise ParameterError(f"Input {index} was asked for; there are {len(inputs)}.")
        column = inputs[index]
        if column.ids is None:
            _check(f"Input {index}", column.values, dtype, stop)
        else:
            _check(f"Input {index}", column.values, dtype, 1)
            _check(f"Input {index}: entries' numbers", column.ids, np.dtype(np.int32), stop)
            _check_bitmap(f"Input {index}: entries' validity", column.entry_valid, len(column.values))
            _check_absent(index, column)
        _check_bitmap(f"Input {index}: validity", column.valid, stop)


def _check_outputs(table: Table, outputs: Sequence[Output], start: int, stop: int) -> None:
    for index, dtype in table.needs.outputs:
        if not index < len(outputs):
            raise ParameterError(f"Output {index} was asked for; there are {len(outputs)}.")
        values, valid = outputs[index]
        _check(f"Output {index}", values, dtype, stop)
        _check_bitmap(f"Output {index}: validity", valid, stop)
        if valid is not None and start % 32:
            raise ParameterError(f"Rows from {start} on were asked for; with a bitmap they begin at a multiple of 32.")


def _check(what: str, values: DeviceArray, dtype: "np.dtype[np.generic]", rows: int) -> None:
    if values.dtype != dtype:
        raise ParameterError(f"{what} is {values.dtype}; the program was compiled for {dtype}.")
    if len(values.shape) != 1 or len(values) < rows:
        raise ParameterError(f"{what} has shape {values.shape}; rows up to {rows} were asked for.")


def _check_bitmap(what: str, valid: DeviceArray | None, rows: int) -> None:
    if valid is not None and (valid.dtype != np.uint32 or len(valid.shape) != 1 or 32 * len(valid) < rows):
        raise ParameterError(f"{what} must be a bitmap of uint32 words over {rows} or more rows.")


def _check_absent(index: int, column: Input) -> None:
    if not -1 <= column.absent < len(column.values):
        entries = len(column.values)
        raise ParameterError(f"Input {index}: the absent entry is {column.absent}; there are {entries}, from 0 on.")


def _check_matrix(table: Table, matrix: DeviceArray, columns: Sequence[int], n_rows: int) -> None:
    if matrix.dtype != np.float32 or len(matrix.shape) != 2 or matrix.shape[0] < n_rows:
        raise ParameterError(f"The matrix is {matrix.dtype} of shape {matrix.shape}; {n_rows} rows of float32 go in.")
    if not is_matrix_table(table):
        raise ParameterError("Every expression of a matrix stores one float32.")
    if len(columns) != len(table) or len(set(columns)) != len(columns):
        raise ParameterError(f"{len(table)} expressions need as many columns, each once, not {list(columns)}.")
    if columns and not 0 <= min(columns) <= max(columns) < matrix.shape[1]:
        raise ParameterError(f"The matrix has {matrix.shape[1]} columns; {min(columns)} to {max(columns)} were named.")
