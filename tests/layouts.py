"""One table in many layouts: files, row groups, partitions, pools, memory, kernels. Rows keep their order; nothing else
stays as it was."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import optional
from gpupipe.backends import categories, cpu, distinct, indexes, keys, registers, text
from gpupipe.backends.exact import sums
from gpupipe.backends.states import orders
from gpupipe.columns import Frame
from gpupipe.kernels.reference import exact, hashing, interpreter, lookup, places, radix
from gpupipe.runtime import crew, scattered

FORMS = {"cpu.interpreter": interpreter, "cpu.exact": exact, "cpu.radix": radix, "cpu.hashing": hashing,
         "cpu.lookup": lookup, "cpu.places": places}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How rows lie and how they are worked on.

    Attributes:
        seed: of all that is random in it.
        kind: memory, parquet or ipc.
        cuts: where one file ends and the next begins (rows).
        groups: the most rows of a row group or batch, for each file.
        partitions: how many are asked for; None: by size.
        dictionary: whether text is written (or held) as a dictionary.
        counted: whether files say how many nulls a column has.
        threads: of the pool.
        splits, retries: the share of partitions that are taken in as two, and of those that fail at first.
        memory: of the pipeline; 0 puts columns and states into files.
        numba: whether kernels run in Numba, or all in NumPy.
    """

    seed: int
    kind: str
    cuts: tuple[int, ...]
    groups: tuple[int, ...]
    partitions: int | None
    dictionary: bool
    counted: bool
    threads: int
    splits: float
    retries: float
    memory: int | str
    numba: bool


def drawn(seed: int, n_rows: int) -> Layout:
    """A random layout of so many rows."""
    rng = random.Random(seed)
    cuts = tuple(sorted(rng.sample(range(1, n_rows), rng.randint(0, 4))))
    memories: list[int | str] = ["1GiB", "1GiB", "1GiB", 30_000, 0]
    memory = rng.choice(memories)
    most = 64 if memory else 6  # partitions: all that is kept of each is written to files
    return Layout(
        seed=seed,
        kind=rng.choice(["memory", "parquet", "parquet", "ipc"]),
        cuts=cuts,
        groups=tuple(rng.choice([rng.randint(n_rows // 20, n_rows // 3), n_rows // 3, n_rows]) for _ in (0, *cuts)),
        partitions=rng.choice([None, rng.randint(1, most), rng.randint(1, 8), rng.randint(1, 3)]),
        dictionary=rng.random() < 0.5,
        counted=rng.random() < 0.7,
        threads=rng.randint(1, 4),
        splits=rng.choice([0.0, 0.2, 1.0]),
        retries=rng.choice([0.0, 0.2, 0.5]),
        memory=memory,
        numba=rng.random() < 0.5,
    )


def source_of(table: pa.Table, layout: Layout, folder: Path) -> gp.Source:
    """The table's rows as the layout has them."""
    if layout.dictionary:
        text_columns = [name for name in table.column_names if table.schema.field(name).type == pa.string()]
        for name in text_columns:
            table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    edges = [0, *layout.cuts, table.num_rows]
    parts = [table.slice(a, b - a) for a, b in pairwise(edges)]
    if layout.kind == "memory":
        chunked = pa.concat_tables([part.slice(0) for part in parts])
        return gp.scan(chunked, partitions=layout.partitions)
    paths = []
    for number, (part, size) in enumerate(zip(parts, layout.groups, strict=True)):
        paths.append(str(folder / f"{number}.{layout.kind}"))
        if layout.kind == "parquet":
            plain = part.cast(pa.schema([field.with_type(_plain(field.type)) for field in part.schema]))
            options = {"use_dictionary": layout.dictionary, "write_statistics": layout.counted}
            pq.write_table(plain, paths[-1], row_group_size=size, **options)
        else:
            with pa.ipc.new_file(paths[-1], part.schema) as writer:
                writer.write_table(part.unify_dictionaries().combine_chunks(), max_chunksize=size)
    return gp.scan(paths, partitions=layout.partitions)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


class _Pool:
    """Runs things on threads, begun in random order, and gives their results in the order asked."""

    def __init__(self, layout: Layout, pool: ThreadPoolExecutor) -> None:
        self._rng, self._pool = random.Random(layout.seed), pool

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """As an executor's."""
        order = list(range(len(items)))
        self._rng.shuffle(order)
        begun = {at: self._pool.submit(function, items[at]) for at in order}
        return iter([begun[at].result() for at in range(len(items))])


@contextlib.contextmanager
def worked_as(layout: Layout, monkeypatch: Any) -> Iterator[None]:
    """Inside, fits and transforms run as the layout says."""

    @contextlib.contextmanager
    def threads(count: int) -> Iterator[Any]:
        with ThreadPoolExecutor(layout.threads) as pool:
            yield _Crew(layout, _Pool(layout, pool))

    with monkeypatch.context() as patch:
        patch.setattr(crew, "threads", threads)
        patch.setattr(scattered, "BUCKETS", 3)
        _choose_kernels(layout.numba, patch)
        yield


class _Crew(crew.Threads):
    def __init__(self, layout: Layout, pool: Any) -> None:
        super().__init__(pool, layout.threads)
        self._layout = layout

    def take_in(self, rows: Any, order: Any, take: Any, progress: Any, first: int = 0) -> None:
        """Some partitions are taken in as two, some are done once more, the first of it lost."""
        odd: Any = _Odd(self._layout, order)
        super().take_in(rows, odd, take, progress, first)


@dataclass
class _Odd:
    layout: Layout
    order: Any

    @property
    def columns(self) -> Any:
        return self.order.columns

    def ready(self) -> Callable[..., Any]:
        work = self.order.ready()

        def odd(rows: Any, index: int, frame: Frame) -> Any:
            chance = random.Random(f"{self.layout.seed} {index}")
            if chance.random() < self.layout.retries:
                work(rows, index, frame)
            if chance.random() >= self.layout.splits or frame.n_rows < 2:
                return work(rows, index, frame)
            at = chance.randint(1, frame.n_rows - 1)
            halves = [frame.take(np.arange(at)), frame.take(np.arange(at, frame.n_rows))]
            return [part for half in chance.sample(halves, 2) for part in work(rows, index, half)]

        return odd


def _choose_kernels(numba: bool, patch: Any) -> None:
    """All kernels in Numba, or none."""

    def form(name: str) -> Any:
        return optional.load(f"gpupipe.kernels.{name}") if numba else FORMS[name]

    patch.setattr(cpu.CpuProgram, "_interpreter", lambda self, n_values: form("cpu.interpreter").run)
    patch.setattr(sums, "kernels_for", lambda n_values: form("cpu.exact"))
    patch.setattr(orders, "kernels", lambda: form("cpu.radix"))
    patch.setattr(text, "_hashing", lambda n_strings: form("cpu.hashing"))
    patch.setattr(indexes.ValueIndex, "_worth_own_table", lambda self, n_rows: form("cpu.lookup"))
    patch.setattr(registers, "_hashing", lambda n_values: form("cpu.hashing"))
    for module in (keys, indexes, categories):
        patch.setattr(module, "kernels_for", lambda n_values: form("cpu.places"))
    patch.setattr(distinct, "kernels_for", lambda strings: form("cpu.lookup") if numba else None)
