"""Dask's data frames, of pandas or of cuDF: their own partitions are those of the source.

A partition is computed when it is read, by Dask and as little of it as is asked for; the frame as a whole never is.
What has to be known before (rows, types, nulls) is found in one pass, of which only that is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import pyarrow as pa

from gpupipe import optional
from gpupipe.errors import ParameterError, ShapeError, TargetError, TypeMismatchError, counted
from gpupipe.schema import Schema
from gpupipe.sources.border import refused_columns, schema_of
from gpupipe.sources.dask_rows import Columns, DaskRows, Graph, computed, is_dask
from gpupipe.sources.from_device import is_cudf
from gpupipe.sources.memory import distinct, table_of, with_nulls_seen
from gpupipe.sources.partition import Comparison, Listing, Partition, Reading, frame_of
from gpupipe.sources.together import Described, together

_SHARED = 8  # tasks that two partitions may have in common


@dataclass(frozen=True, eq=False)
class DaskPartition(Partition):
    """A partition of a frame of Dask's.

    Attributes:
        number: which.
        types: of all columns.
        sizes: bytes of each column, as Arrow has it.
        beside: columns in this process's memory, for its rows.
        rows: what it is computed from; None where that stays in another process.
        held: it, computed.
    """

    number: int
    types: Schema = field(repr=False)
    sizes: Mapping[str, int] = field(repr=False)
    beside: pa.Table = field(repr=False)
    rows: DaskRows | None = field(repr=False)
    held: Columns | None = field(default=None, repr=False)

    def read(self, columns: Sequence[str], where: Sequence[Comparison] = ()) -> Reading:
        found = self.held or computed(*self.task(columns))
        if found.n_rows != self.n_rows:
            raise ShapeError(
                f"Partition {self.number} of the Dask frame has {counted(found.n_rows, 'row')} now, and had "
                f"{self.n_rows:,}: it is another one each time it is computed. Give X.persist()."
            )
        mine = [name for name in columns if name in self.beside.column_names]
        table = table_of({name: found.columns[name] for name in columns if name not in mine})[0]
        for name in mine:
            table = table.append_column(name, self.beside.column(name))
        return Reading(frame_of(table, columns, self.row_ids(), self.types), self.column_bytes(columns))

    def column_bytes(self, columns: Sequence[str]) -> int:
        return sum(self.sizes[name] for name in columns)

    def task(self, columns: Sequence[str]) -> tuple[Graph, Any]:
        """The tasks of Dask that compute some columns of it, and the key of the last: for :func:`with_rows`."""
        if self.rows is None:
            raise ParameterError("A partition of a Dask frame is computed where the frame is.")
        return self.rows.task(self.number, [name for name in columns if name not in self.beside.column_names])

    def apart(self, columns: Sequence[str]) -> "DaskPartition":
        """The same without its rows, to be sent: what is beside them in the columns alone."""
        kept = [name for name in self.beside.column_names if name in columns]
        return replace(self, rows=None, beside=self.beside.select(kept))


def with_rows(partition: Partition, computed: Columns) -> Partition:
    """A partition of a Dask frame with what its task gave: it can be read anywhere.

    Of cuDF's columns, where they have the types of all partitions, one in a GPU's memory.
    """
    assert isinstance(partition, DaskPartition)
    held = replace(partition, rows=None, held=computed)
    if not computed.columns or not all(map(is_cudf, computed.columns.values())):
        return held
    lists = optional.load("gpupipe.sources.device_table")
    listed: Listing = lists.list_device(dict(computed.columns), 1, beside=partition.beside)
    there = listed.partitions[0]
    same = all(listed.schema[name].dtype == partition.types[name].dtype for name in listed.schema)
    return replace(there, first_row=partition.first_row) if same and there.n_rows == partition.n_rows else held


# -- planning ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Told:
    """What is known of a partition once it was computed."""

    n_rows: int
    schema: Schema
    refused: Mapping[str, str]
    sizes: Mapping[str, int]
    lengths: Mapping[str, int]


def _told(found: Columns) -> _Told:
    """What a partition is like. (Run by Dask, beside its rows.)"""
    lengths = {name: len(column) for name, column in found.columns.items()}
    table, refused = table_of({name: column for name, column in found.columns.items() if lengths[name] == found.n_rows})
    schema = with_nulls_seen(schema_of(table.schema), table)
    sizes = {name: table.column(name).nbytes for name in schema}
    return _Told(found.n_rows, schema, {**refused_columns(table.schema), **refused}, sizes, lengths)


def nothing_beside(n_rows: int) -> pa.Table:
    """No columns beside a frame."""
    return pa.table({})


def list_beside(
    frame: Any, extra: Mapping[str, Any], attached: Callable[[pa.Table, Mapping[str, Any]], pa.Table],
    shown: Callable[[str], str],
) -> Listing:  # fmt: skip
    """A frame's partitions with columns beside it: Dask's own in the same partitions, or values in memory.

    Args:
        attached: (a table, values by name) -> the table with them as columns.
        shown: what a user calls a column.
    """
    given = {name: values for name, values in extra.items() if is_dask(values)}
    here = {name: values for name, values in extra.items() if name not in given}

    def beside(n_rows: int) -> pa.Table:
        return attached(pa.table({"": pa.nulls(n_rows)}), here).drop_columns([""])

    return list_dask(frame, given, beside, shown=shown)


def list_dask(
    frame: Any,
    given: Mapping[str, Any],
    beside: Callable[[int], pa.Table],
    options: Sequence[Any] = (),
    shown: Callable[[str], str] = str,
) -> Listing:
    """A frame's partitions, after one pass for their rows, types and nulls.

    Args:
        given: columns of Dask's beside the frame, in the same partitions.
        beside: the number of rows -> columns in memory beside them.
        options: of `scan`, which go with other data.
        shown: what a user calls a column.

    Raises:
        ParameterError: `options`; columns of Dask's in another number of partitions.
        TargetError: columns in partitions of other rows.
        TypeMismatchError: a single column, or a frame whose partitions are not known.
        SchemaMismatchError: partitions of other types.
    """
    if any(option is not None for option in options):
        raise ParameterError("A Dask frame has its partitions already: X.repartition(…) gives it others.")
    if frame.ndim != 2:
        raise TypeMismatchError("A single column of Dask is no table. Give X[['column']], a frame of one column.")
    for name, column in given.items():
        _refuse_other_partitions(shown(name), column, frame)
    rows = DaskRows(frame, distinct((str(label), label) for label in frame.columns), dict(given))
    told = _look(rows, (*rows.labels, *rows.given))
    _refuse_other_rows(told, shown)
    schema = together([Described(f"partition {at}", each.schema, each.refused) for at, each in enumerate(told)])
    n_rows = sum(each.n_rows for each in told)
    here = beside(n_rows)
    types = Schema({**schema, **with_nulls_seen(schema_of(here.schema), here)})
    label = f"a Dask frame of {counted(n_rows, 'row')}"
    return Listing(types, tuple(_partitions(rows, told, types, here)), told[0].refused, label)


def _partitions(rows: DaskRows, told: Sequence[_Told], types: Schema, here: pa.Table) -> Iterator[DaskPartition]:
    starts = accumulate((each.n_rows for each in told), initial=0)
    for number, (first, each) in enumerate(zip(starts, told, strict=False)):
        beside = here.slice(first, each.n_rows)
        sizes = {**each.sizes, **{name: beside.column(name).nbytes for name in beside.column_names}}
        yield DaskPartition(first, each.n_rows, sum(sizes.values()), number, types, sizes, beside, rows)


def _look(rows: DaskRows, columns: tuple[str, ...]) -> list[_Told]:
    """Each partition is computed, looked at, and let go."""
    if not rows.labels:
        raise TypeMismatchError("The Dask frame has no column.")
    graph, keys = rows.tasks(columns)
    asked = [(f"gpupipe-told-{keys[0][0]}", at) for at in range(len(keys))]
    _refuse_entangled(rows, columns)
    told = computed({**graph, **{ask: (_told, key) for ask, key in zip(asked, keys, strict=True)}}, asked)
    return list(told)


def _refuse_entangled(rows: DaskRows, columns: tuple[str, ...]) -> None:
    """A frame whose partitions are made of each other's (a join, a sort) would be made anew for every one of them."""
    count = rows.frame.npartitions
    if count < 3:
        return
    first, second = (set(rows.task(number, columns)[0]) for number in (0, count - 1))
    if len(first & second) > _SHARED:
        raise ParameterError(
            f"{len(first & second):,} tasks of Dask stand before every partition of this frame (a join, a sort, a "
            "shuffle): they would be done again for each of them. Give X.persist(), or write it to Parquet and scan "
            "that."
        )


def _refuse_other_partitions(name: str, column: Any, frame: Any) -> None:
    if column.ndim != 1:
        raise ParameterError(f"{name} is a frame of Dask. Give a single column: frame['column'].")
    if column.npartitions != frame.npartitions:
        raise ParameterError(
            f"{name} is in {counted(column.npartitions, 'partition')}, and X in {frame.npartitions:,}. Give "
            "a column in the same partitions, such as one of X's own (or name it: Pipeline(target='column')), or "
            "values in memory."
        )


def _refuse_other_rows(told: Sequence[_Told], shown: Callable[[str], str]) -> None:
    for number, each in enumerate(told):
        for name, length in each.lengths.items():
            if length != each.n_rows:
                raise TargetError(
                    f"Partition {number} of {shown(name)} has {counted(length, 'row')}, and of X {each.n_rows:,}. "
                    "Give a column in the same partitions, such as one of X's own."
                )
