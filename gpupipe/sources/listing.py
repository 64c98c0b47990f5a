"""From anything `scan` takes to a listing: which reader, and whether it has the columns asked for."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gpupipe import optional
from gpupipe.errors import ParameterError, SchemaMismatchError
from gpupipe.optional import later
from gpupipe.schema import DType, Field, Schema, parse_dtype
from gpupipe.sources.addresses import Memory
from gpupipe.sources.dask_rows import is_dask
from gpupipe.sources.files import CSV, IPC, PARQUET, find_files, format_of
from gpupipe.sources.from_device import is_on_device
from gpupipe.sources.memory import list_table, table_of
from gpupipe.sources.parquet import list_parquet
from gpupipe.sources.partition import Listing, same_types

if TYPE_CHECKING:
    from gpupipe.sources.csv import list_csv
    from gpupipe.sources.dask_frames import list_dask, nothing_beside
    from gpupipe.sources.ipc import list_ipc
else:
    (list_csv,) = later("gpupipe.sources.csv", "list_csv")
    list_dask, nothing_beside = later("gpupipe.sources.dask_frames", "list_dask", "nothing_beside")
    (list_ipc,) = later("gpupipe.sources.ipc", "list_ipc")

Wanted = Mapping[str, DType]
_READERS: dict[str, Callable[[list[str], Wanted, int | None, int | None], Listing]] = {
    PARQUET: lambda paths, wanted, count, size: list_parquet(paths, count, size),
    CSV: list_csv,
    IPC: lambda paths, wanted, count, size: list_ipc(paths, count, size),
}


def list_rows(
    data: Any,
    schema: Schema | Mapping[str, DType | str] | None = None,
    partitions: int | None = None,
    partition_bytes: int | None = None,
    memory: Memory | None = None,
) -> Listing:
    """What is known of `data` without reading rows (CSV is the exception: read once for types and counts).

    Args:
        memory: what a table was made of; None: it is as it was given.

    Raises:
        ParameterError: `partitions` or `partition_bytes` below 1, or both given.
        SchemaMismatchError: `schema` asks for a column or type that typed data do not have.
    """
    if partitions is not None and partition_bytes is not None:
        raise ParameterError("Give partitions or partition_bytes, not both.")
    for name, value in (("partitions", partitions), ("partition_bytes", partition_bytes)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ParameterError(f"{name}={value!r} is no count. It takes an integer of at least 1.")
    wanted = {name: _dtype_of(field) for name, field in (schema or {}).items()}
    listing = _read(data, wanted, partitions, partition_bytes, memory)
    _check(listing, wanted)
    return listing


def _dtype_of(field: Field | DType | str) -> DType:
    if isinstance(field, str):
        return parse_dtype(field)
    return field.dtype if isinstance(field, Field) else field


def is_paths(data: Any) -> bool:
    """Whether `data` names files.

    >>> is_paths("a.csv"), is_paths(["a.csv"]), is_paths({"a": [1]})
    (True, True, False)
    """
    if isinstance(data, list | tuple):
        return all(isinstance(item, str | os.PathLike) for item in data)
    return isinstance(data, str | os.PathLike)


def _read(data: Any, wanted: Wanted, partitions: int | None, size: int | None, memory: Memory | None) -> Listing:
    if is_paths(data):
        paths = find_files(data)
        return _READERS[format_of(paths)](paths, wanted, partitions, size)
    if is_dask(data):
        return list_dask(data, {}, nothing_beside, (partitions, size))
    if is_on_device(data):
        listed: Listing = optional.load("gpupipe.sources.device_table").list_device(data, partitions, size)
        return listed
    table, refused = table_of(data)
    return list_table(table, partitions, size, refused, memory or Memory(data))


def _check(listing: Listing, wanted: Wanted) -> None:
    difference = same_types(listing.schema, wanted)
    if difference:
        refusal = next((f" {listing.refused[name]}" for name in wanted if name in listing.refused), "")
        raise SchemaMismatchError(
            f"{listing.label} does not have the schema asked for: {difference}.{refusal} Typed data are "
            "read as they are: correct schema=, or cast in an expression."
        )
