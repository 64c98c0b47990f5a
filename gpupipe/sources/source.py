"""`Source`: rows that can be read piece by piece, and what is done to them on the way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from gpupipe.arguments import named_arguments
from gpupipe.columns import Frame
from gpupipe.errors import ArgumentError, ParameterError, TypeMismatchError, counted
from gpupipe.expr.expr import Expr
from gpupipe.expr.selectors import Selector, select_names
from gpupipe.kernels.gpu.device import Device
from gpupipe.schema import DType, Null, Schema
from gpupipe.sources.join import plan_join
from gpupipe.sources.listing import list_rows
from gpupipe.sources.load import loaded, undecodable
from gpupipe.sources.partition import Listing, LoadReport, Partition
from gpupipe.sources.predicates import predicate
from gpupipe.sources.steps import Filter, Head, Identify, Select, Split, Step


@named_arguments
def scan(
    data: Any,
    *,
    schema: Schema | Mapping[str, DType | str] | None = None,
    partitions: int | None = None,
    partition_bytes: int | None = None,
) -> "Source":
    """A source of rows: only metadata are read (and, for CSV, one pass for types and row counts).

    Args:
        data: a path, glob, folder or list of paths to Parquet, CSV or Arrow IPC files; a pyarrow Table or
            RecordBatch, a pandas, Polars, cuDF or Dask frame, anything that exports an Arrow stream, or an
            Arrow array in a GPU's memory; a dict of arrays; a 2-D array of NumPy or CuPy (columns x0, x1, …), or
            a structured one; or a Source, given back as it is.
        schema: types by name, such as ``{"zip": "String"}``. CSV is read as these types; of typed data it is checked.
        partitions: into how many pieces: exact in memory, about so many for files.
        partition_bytes: or how large pieces are, decoded; if neither is given, a thirty-second of all, 16 to 32 MiB.

    Raises:
        SourceNotFoundError: no such file.
        FileFormatError: a file that cannot be decoded.
        SchemaMismatchError: files or `schema` that do not fit together.
        TypeMismatchError: `data` is nothing that can be read.
        ParameterError: an option outside its range.

    >>> scan({"age": [31, 17], "city": ["Rome", None]}).schema
    Schema(age: Int64, city: String?)
    """
    if not isinstance(data, Source):
        return Source(list_rows(data, schema, partitions, partition_bytes))
    if schema is not None or partitions is not None or partition_bytes is not None:
        raise ParameterError("A Source has its schema and partitions already. Give those options to its own scan.")
    return data


class Source:
    """Rows, listed as partitions, with steps (filter, join, split, …) that each partition goes through.

    Immutable: every method gives a new one. A row's identity is its position in the whole source as listed,
    counted before any filter, or the hash of a key (:meth:`with_key`).

    >>> from gpupipe.expr import col
    >>> source = scan({"x": [1, 2, 3, None]}).filter(col("x") > 1)
    >>> source.load(0).row_ids
    array([1, 2], dtype=uint64)
    """

    def __init__(self, listing: Listing, steps: tuple[Step, ...] = ()) -> None:
        self._listing = listing
        self._steps = steps

    # -- what it is ---------------------------------------------------------------------------------------
    @cached_property
    def schema(self) -> Schema:
        """The columns that can be asked for, after all steps."""
        schema = self._listing.schema
        refused, notes = dict(self._listing.refused), dict(self._listing.notes)
        for step in self._steps:
            schema = step.schema(schema)
            refused |= step.refused
        return Schema(schema, refused=refused, notes=notes)

    @property
    def refused(self) -> Mapping[str, str]:
        """Columns that exist and cannot be used, with the reason."""
        return self.schema.refused

    @property
    def label(self) -> str:
        """Where the rows come from, for messages."""
        return self._listing.label

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The recipes of its pieces, in row order, before any step."""
        return self._listing.partitions

    @property
    def n_rows(self) -> int | None:
        """Rows listed, known from metadata, before filters, splits and `head`."""
        return self._listing.n_rows

    @property
    def drops_rows(self) -> bool:
        """Whether a filter, an inner join, a split or `head` stands among its steps."""
        return any(step.drops_rows for step in self._steps)

    def nbytes(self, columns: Iterable[str] | None = None, *, stored: bool = False) -> int:
        """Bytes that loading the columns decodes (with those that steps need), as far as metadata tell.

        Args:
            stored: count what is read, compressed as it is, and nothing for what joins have in memory.
        """
        needed = self._needed(self._known(columns))[0]
        if stored:
            return sum(partition.stored_bytes(needed) for partition in self.partitions)
        return sum(step.nbytes for step in self._steps) + sum(part.column_bytes(needed) for part in self.partitions)

    def __repr__(self) -> str:
        names = ", ".join(f"{name}: {field.dtype}" for name, field in list(self.schema.items())[:8])
        more = ", …" if len(self.schema) > 8 else ""
        size = f"{counted(self._listing.n_rows, 'row')} in {counted(len(self.partitions), 'partition')}"
        steps = "".join(f"\n  {line}" for line in (*self._steps, *self.schema.notes.values()))
        return f"Source({self._listing.label}; {size}; {counted(len(self.schema), 'column')}: {names}{more}){steps}"

    # -- what can be done to it ---------------------------------------------------------------------------
    def select(self, *names: str | Expr | Sequence[str]) -> "Source":
        """Only the named or selected columns, in the order asked.

        >>> list(scan({"a": [1], "b": [2]}).select("b").schema)
        ['b']
        """
        chosen: list[str] = []
        for item in names:
            chosen += [name for name in self._names(item) if name not in chosen]
        return self._with(Select(tuple(chosen)))

    def filter(self, *expressions: Any, **values: Any) -> "Source":
        """Only the rows where every expression is true; a null is not true.

        Raises:
            ColumnNotFoundError, TypeMismatchError, ParameterError: see `sources.predicates.predicate`.
            ArgumentError: `values` by name, which are no expressions.
        """
        for name, value in values.items():
            raise ArgumentError(f"filter takes expressions, not {name}={value!r}. Write gp.col({name!r}) == {value!r}.")
        source = self
        for expression in expressions:
            source = source._with(Filter(predicate(expression, source.schema)))
        return source

    @named_arguments
    def join(
        self,
        dim: Any,
        on: str | Sequence[str] | None = None,
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        how: str = "left",
        suffix: str = "_right",
    ) -> "Source":
        """Columns of `dim` beside each row, many-to-one; row order and identity stay. Null never matches.

        Args:
            dim: anything `scan` takes; held in memory, each key at most once (else loading raises).
            on: key columns of both; or `left_on` and `right_on`, of the same length, if names differ.
            how: ``left`` keeps rows without a match, with nulls; ``inner`` drops and counts them.
            suffix: added to names of `dim` that are taken.

        Raises:
            ParameterError, TypeMismatchError, DuplicateNameError: see `sources.join.plan_join`.
        """
        other = scan(dim)
        if (on is None) == (left_on is None and right_on is None):
            raise ParameterError("A join takes on=, or left_on= and right_on=, and not both.")
        left = self._names(_one_or_more(left_on if on is None else on))
        right = other._names(_one_or_more(right_on if on is None else on))
        return self._with(plan_join(self.schema, other, left, right, how, suffix))

    @named_arguments
    def with_key(self, name: str) -> "Source":
        """The same rows, their identity the hash of a column: rows with equal keys share folds and splits."""
        return self._with(Identify(self._key(name)))

    @named_arguments
    def split(self, test: float = 0.2, seed: int = 0, key: str | None = None) -> tuple["Source", "Source"]:
        """Two sources, train and test; each row's side depends on `seed` and its identity (or `key`) alone.

        Args:
            test: the share of rows (or keys) in the second, between 0 and 1.
            seed: another seed gives another split. A side can be split once more, with any seed: other numbers
                decide.
            key: a column; rows with equal values go to the same side.
        """
        if not isinstance(test, float) or not 0 < test < 1:
            raise ParameterError(f"test={test!r} is no share of rows. Give a number between 0 and 1, such as 0.2.")
        if not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise ParameterError(f"seed={seed!r} is no seed. Give an integer from 0 to 2**64 - 1.")
        named = None if key is None else self._key(key)
        depth = sum(isinstance(step, Split) for step in self._steps)
        train, held = (Split(test, seed, named, inside, depth) for inside in (False, True))
        return self._with(train), self._with(held)

    @named_arguments
    def head(self, n: int = 5) -> "Source":
        """The first `n` rows after the steps so far; reads filter columns where rows must be counted."""
        if not isinstance(n, int) or n < 0:
            raise ParameterError(f"head({n!r}): give a number of rows of at least 0.")
        limits: list[int] = []
        for index in range(len(self.partitions)):
            if limits and n <= 0:
                break
            limits.append(min(n, self._rows_kept(index)))
            n -= limits[-1]
        kept = replace(self._listing, partitions=self.partitions[: len(limits)])
        return Source(kept, (*self._steps, Head(tuple(limits))))

    # -- rows ---------------------------------------------------------------------------------------------
    def load(self, partition: int, columns: Iterable[str] | None = None) -> Frame:
        """The frame of one partition after all steps, with the named columns (None: all of the schema).

        Raises:
            ParameterError: there is no partition of that number.
        """
        return self.load_with_report(partition, columns)[0]

    def load_with_report(
        self, partition: int, columns: Iterable[str] | None = None, device: Device | None = None
    ) -> tuple[Frame, LoadReport]:
        """Like :meth:`load`, with what it cost; of a `device`, columns that can be decoded in its memory are there."""
        wanted = self._known(columns)
        recipe, needed = self._listing.partition(partition), self._needed(wanted)
        frame, report = loaded(recipe, partition, needed, self._steps, self._listing.schema, device)
        return frame.select(wanted), report

    def undecodable(self, columns: Iterable[str]) -> Mapping[str, str]:
        """Why columns of the first partition are not decoded in a GPU's memory, by column."""
        wanted = self._known(columns)
        if not self.partitions:
            return {}
        return undecodable(self._listing.partition(0), self._needed(wanted)[0], self._steps, wanted)

    def counts(self) -> LoadReport:
        """The rows that all partitions keep and each filter drops; reads filters' and joins' columns only."""
        total = LoadReport()
        for index in range(len(self.partitions)):
            total = total + self.load_with_report(index, ())[1]
        return total

    def count(self) -> int:
        """The number of rows after all steps."""
        return sum(self._rows_kept(index) for index in range(len(self.partitions)))

    def _rows_kept(self, index: int) -> int:
        if not self.drops_rows:
            return self.partitions[index].n_rows
        return self.load(index, ()).n_rows

    # -- inside -------------------------------------------------------------------------------------------
    def _with(self, step: Step) -> "Source":
        return Source(self._listing, (*self._steps, step))

    def _names(self, item: str | Expr | Sequence[str]) -> list[str]:
        if isinstance(item, Selector):
            return select_names(item._node, self.schema, frozenset())
        if isinstance(item, Expr):
            raise ParameterError(f"Columns are chosen by name or selector; {item!r} computes one. Select it later.")
        names = [item] if isinstance(item, str) else list(item)
        for name in names:
            self._require(name)
        return names

    def _require(self, name: str) -> None:
        self.schema[name]

    def _known(self, columns: Iterable[str] | None) -> list[str]:
        return list(self.schema) if columns is None else self._names(list(columns))

    def _key(self, name: str) -> str:
        self._require(name)
        if self.schema[name].dtype == Null:
            raise TypeMismatchError(f"Column {name!r} holds no value at all, so it cannot be a key.")
        return name

    def _needed(self, wanted: Sequence[str]) -> list[list[str]]:
        """The columns needed from the reader, then after each step, each list in a fixed order."""
        levels = [set(wanted)]
        for step in reversed(self._steps):
            levels.append(step.needs(levels[-1]))
        return [sorted(level) for level in reversed(levels)]


def _one_or_more(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())
