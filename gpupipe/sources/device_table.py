"""Tables that users hold in a GPU's memory: cuDF frames, CuPy arrays, what Arrow shows there, dicts of their columns.

Where a pipeline computes on the GPU their columns are used as they stand; on the CPU those of a partition are copied
when it is read. NaN stays NaN in cuDF, which has nulls besides; in CuPy, as in NumPy, it is a missing value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pyarrow as pa

from gpupipe.errors import SchemaMismatchError, counted
from gpupipe.schema import Field, Schema
from gpupipe.sources.arrow_device import Shown, shown
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.from_device import is_cudf, is_held, is_shown
from gpupipe.sources.memory import array_columns, distinct, has_nulls, table_of, unreadable
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of, piece_bytes, slice_bounds

_STEP = 128  # rows: a part that begins at a multiple of so many is read by a device as it stands


@dataclass(frozen=True, eq=False)
class DevicePartition(Partition):
    """Columns in a device's memory.

    Attributes:
        held: of cuDF a Series each, of CuPy an array of one dimension, of any other library what is shown of a column.
        arrow: what Arrow makes of them.
        types: that in our types.
        beside: columns in this process's memory that were given with them.
    """

    held: Mapping[str, Any] = field(repr=False)
    arrow: pa.Schema = field(repr=False)
    types: Schema = field(repr=False)
    beside: pa.Table = field(repr=False)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        arrays = {name: self._on_host(name) for name in columns}
        return Reading(frame_of(pa.table(arrays), columns, self.row_ids()), self.column_bytes(columns))

    def column_bytes(self, columns: Sequence[str]) -> int:
        here = sum(self.beside.column(name).nbytes for name in columns if name not in self.held)
        return here + sum(_bytes(self.held[name]) for name in columns if name in self.held)

    def _on_host(self, name: str) -> Any:
        return arrow_of(self.held[name]) if name in self.held else self.beside.column(name)


def arrow_of(values: Any) -> Any:
    """A column in a device's memory as Arrow's, in this process's; NaN of CuPy is null."""
    return values.to_arrow() if isinstance(values, Shown) else table_of({"x": values})[0].column("x")


def _bytes(values: Any) -> int:
    return int(values.memory_usage(index=False) if is_cudf(values) else values.nbytes)


def _part(values: Any, first: int, last: int) -> Any:
    if isinstance(values, Shown):
        return values.rows(first, last)
    return values.iloc[first:last] if is_cudf(values) else values[first:last]


# -- planning ---------------------------------------------------------------------------------------------
def list_device(
    data: Any, partitions: int | None = None, partition_bytes: int | None = None, beside: pa.Table | None = None
) -> Listing:
    """Slices of a table in a device's memory as partitions; of values, only nulls are looked for.

    Args:
        data: a cuDF frame, a CuPy array of two dimensions, a table shown by the Arrow C device interface, or a dict
            with columns of any of them.
        partitions: into how many pieces; None goes by size.
        partition_bytes: or how large pieces are.
        beside: further columns, one row for each of `data`.

    Raises:
        TypeMismatchError, ShapeError, ParameterError: what is no table.
        SchemaMismatchError: columns of different lengths.
        DuplicateNameError: two columns have one name.
    """
    columns = _columns_of(data)
    held = {name: values for name, values in columns.items() if isinstance(values, Shown) or is_held(values)}
    here, refused = table_of({name: values for name, values in columns.items() if name not in held})
    if beside is not None:
        here = pa.table([*here.columns, *beside.columns], names=[*here.column_names, *beside.column_names])
    whole = DevicePartition(0, _height(held, here), 0, held, *_types_of(held, here), here)
    parts = tuple(_parts(whole, partitions, partition_bytes))
    label = f"a table in the GPU's memory of {counted(whole.n_rows, 'row')}"
    return Listing(whole.types, parts, {**refused_columns(whole.arrow), **refused}, label)


def height_of(data: Any) -> int:
    """How many rows a table in a GPU's memory has, or the first of a dict's columns."""
    values = next(iter(data.values())) if isinstance(data, Mapping) else data
    found = shown(values) if is_shown(values) else values
    return len(found[0][1]) if isinstance(found, list) and found else len(found)


def _columns_of(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return distinct((str(name), shown(values) if is_shown(values) else values) for name, values in data.items())
    if is_shown(data):
        found = shown(data)
        if isinstance(found, Shown):
            raise unreadable(data)
        return distinct(found)
    if is_cudf(data) and hasattr(data, "columns"):
        return distinct((str(label), data.iloc[:, at]) for at, label in enumerate(data.columns))
    if is_cudf(data):
        raise unreadable(data)
    return array_columns(data)


def _height(held: Mapping[str, Any], here: pa.Table) -> int:
    heights = {**{name: len(values) for name, values in held.items()}, **dict.fromkeys(here.column_names, len(here))}
    if len(set(heights.values())) > 1:
        told = ", ".join(f"{name}: {height}" for name, height in heights.items())
        raise SchemaMismatchError(f"The columns of a table need equal lengths. There are {told}.")
    return next(iter(heights.values()), 0)


def _types_of(held: Mapping[str, Any], here: pa.Table) -> tuple[pa.Schema, Schema]:
    """All columns in Arrow's types and in ours, nullable as they are seen to be."""
    fields = [pa.field(name, _type_of(values)) for name, values in held.items()]
    arrow = pa.schema([*fields, *here.schema])
    nulls = {name: _may_be_null(values) for name, values in held.items()}
    nulls |= {name: has_nulls(here.column(name)) for name in here.column_names}
    return arrow, Schema((name, Field(each.dtype, nulls[name])) for name, each in schema_of(arrow).items())


def _type_of(values: Any) -> pa.DataType:
    return values.arrow if isinstance(values, Shown) else arrow_of(_part(values, 0, 0)).type


def _may_be_null(values: Any) -> bool:
    """Arrow and cuDF count their nulls; of CuPy NaN is one, and unlike itself."""
    return bool(values.null_count) if hasattr(values, "null_count") else not bool((values == values).all())


def _parts(whole: DevicePartition, partitions: int | None, partition_bytes: int | None) -> Iterator[DevicePartition]:
    n_bytes = whole.column_bytes([*whole.held, *whole.beside.column_names])
    wanted = partitions or -(-n_bytes // piece_bytes(n_bytes, None, partition_bytes))
    for first, last in _bounds(whole.n_rows, max(1, min(wanted, whole.n_rows))):
        held = {name: _part(values, first, last) for name, values in whole.held.items()}
        size, beside = n_bytes * (last - first) // max(whole.n_rows, 1), whole.beside.slice(first, last - first)
        yield DevicePartition(first, last - first, size, held, whole.arrow, whole.types, beside)


def _bounds(n_rows: int, parts: int) -> list[tuple[int, int]]:
    """`parts` consecutive stretches of nearly equal length, which begin where a device reads them without a copy."""
    edges = [first for first, _ in slice_bounds(n_rows, parts)]
    if parts * 4 * _STEP <= n_rows:
        edges = [edge // _STEP * _STEP for edge in edges]
    return list(pairwise([*edges, n_rows]))
