"""How a run shares its memory: partitions at work on so many threads, and columns that wait for further trips."""

from collections.abc import Sequence
from dataclasses import dataclass

from gpupipe.memory import memory_bytes
from gpupipe.schema import DType
from gpupipe.sources.source import Source

_LEAST = 64 * 2**20  # for partitions at work, whatever was said: less is spent by starting
# What a partition takes while it is worked on, beside its columns and the file's bytes: what is computed of them. Of
# 39 columns, 262,144 rows at a time, 150 to 200 MB were measured where columns and bytes are 73 MB.
_AT_WORK = 2.5


@dataclass(frozen=True, slots=True)
class Budget:
    """Attributes:
    n_workers: the threads whose partitions fit into half of the memory; at least one.
    at_work: bytes that their partitions take, as far as metadata tell.
    kept: bytes that columns may wait in: what is left, a quarter of the memory at least. A quarter is for what is
        learned, and for what the system has not been given back yet.
    """

    n_workers: int
    at_work: int
    kept: int


def budget_of(
    source: Source, columns: Sequence[str], memory: int | str | None, most_workers: int, *, keeps: bool = True
) -> Budget:
    """The shares of `memory`, as `Pipeline` takes it.

    Args:
        keeps: whether columns are kept. Where none are, and one thread works, nothing is to be shared: what is free on
            the machine, half a millisecond of reading, is not asked for.

    >>> import gpupipe as gp
    >>> budget_of(gp.scan({"x": [1.0, 2.0]}), ["x"], "1GiB", 8)
    Budget(n_workers=8, at_work=680, kept=805305688)
    """
    whole = memory_bytes(memory) if keeps or most_workers > 1 or memory is not None else 0
    each = _a_worker(source, columns)
    n_workers = min(max(max(whole // 2, _LEAST) // max(each, 1), 1), most_workers)
    return Budget(n_workers, n_workers * each, max(whole - whole // 4 - n_workers * each, whole // 4))


def decoded_bytes(source: Source, columns: Sequence[str]) -> int:
    """Bytes that columns of all rows take decoded: values and validity, of text the numbers of its entries."""
    width = sum(_width(source.schema[name].dtype) for name in columns if name in source.schema)
    return width * sum(part.n_rows for part in source.partitions)


def _a_worker(source: Source, columns: Sequence[str]) -> int:
    """Bytes that the largest partition takes while it is worked on."""
    rows = sum(part.n_rows for part in source.partitions)
    most = max((part.n_rows for part in source.partitions), default=0)
    return int(_AT_WORK * most * (decoded_bytes(source, columns) + source.nbytes(columns)) / max(rows, 1))


def _width(dtype: DType) -> int:
    """Bytes of a value and its validity; of text the number of its entry."""
    return 5 if dtype.name == "String" else dtype.storage.itemsize + 1
