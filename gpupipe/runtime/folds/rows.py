"""The fold of each row in a cross-validation, and the rows that each fold trains with, stops by and is judged on."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.columns import Column, Frame, Values
from gpupipe.errors import FoldsError, counted
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.runtime.rows import Rows
from gpupipe.schema import Int64
from gpupipe.sources.partition import LoadReport

# What random numbers are for: folds of a cross-validation, and the rows that stop a training early.
DEALT, STOPPING = (int.from_bytes(word, "little") for word in (b"folds", b"stops"))

CELL = "__cell__"  # a column of frames that need their rows' cells
Cells = frozenset[int]


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold: which cells of rows it trains with, stops its training by, and is judged on.

    Attributes:
        name: what it is called in messages and results: its number, or the value in a column of folds.
        trains, stops, tests: numbers of cells; every row is in one cell.
    """

    name: Any
    trains: Cells
    stops: Cells
    tests: Cells


@dataclass(eq=False)
class Folds:
    """Rows in cells, and cells in folds.

    A cell is what rows share that every fold treats alike: those judged together, or, of a chain in time, a window;
    with rows that stop a training early, each in two. States are kept by cell.

    Attributes:
        folds: the folds, in order.
        rule: (number of a partition, its frame) -> the cell of each row, int64 of shape (rows,).
        known: the cells of the partitions seen so far.
    """

    folds: tuple[Fold, ...]
    rule: Callable[[int, Frame], Values]
    known: dict[int, Values] = field(default_factory=dict)
    _rows: dict[int, tuple[Values, Values]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.folds)

    def cells(self, index: int, frame: Frame) -> Values:
        """The cell of each row of a partition's frame."""
        found = self.known.get(index)
        if found is None:
            found = self.known[index] = self.rule(index, frame).astype(np.int16)
            self._rows[index] = frame.positions, frame.row_ids
        return found

    def positions(self, wanted: Collection[int]) -> list[Values]:
        """For each partition the places in the source of its rows in these cells; once all were seen."""
        return [self._rows[at][0][np.isin(self.known[at], list(wanted))] for at in sorted(self.known)]

    def identities(self, wanted: Collection[int]) -> Values:
        """The identities of the rows in these cells; once all were seen."""
        each = [self._rows[at][1][np.isin(self.known[at], list(wanted))] for at in sorted(self.known)]
        return np.concatenate(each) if each else np.zeros(0, np.uint64)

    @property
    def training(self) -> Cells:
        """The cells that some fold trains with."""
        return frozenset().union(*(fold.trains for fold in self.folds))

    @property
    def every(self) -> Cells:
        """All cells that some fold has a use for."""
        return self.training.union(*(fold.tests for fold in self.folds))

    def counts(self, rows: Rows, wanted: Collection[int]) -> list[int]:
        """How many rows of each partition are in these cells."""
        return [int(np.isin(self._of(rows, index), list(wanted)).sum()) for index in range(rows.n_partitions)]

    def _of(self, rows: Rows, index: int) -> Values:
        found = self.known.get(index)
        return self.cells(index, rows.frame(index)) if found is None else found

    def refuse_empty(self, rows: Rows) -> None:
        """See that each fold has rows to train with and to be judged on.

        Raises:
            FoldsError: one has none.
        """
        for fold in self.folds:
            for what, cells in (("to be judged on", fold.tests), ("to train with", fold.trains)):
                if not sum(self.counts(rows, cells)):
                    total = sum(self.counts(rows, self.training | fold.tests))
                    raise FoldsError(
                        f"Fold {fold.name!r} of {len(self)} has no row {what}, of {counted(total, 'row')} in all: a "
                        "hash of each one's place, key or group deals them. Ask for fewer folds=, give another seed=, "
                        "or stratify=, which deals equal shares."
                    )


def plain_folds(names: Sequence[Any]) -> tuple[Fold, ...]:
    """Each fold is judged on its own cell, and trains with all others."""
    every = frozenset(range(len(names)))
    return tuple(Fold(name, every - {at}, frozenset(), frozenset({at})) for at, name in enumerate(names))


def chained_folds(count: int) -> tuple[Fold, ...]:
    """Fold k is judged on window k + 1 and trains with the windows before it; window 0 is never judged on."""
    return tuple(Fold(k, frozenset(range(k + 1)), frozenset(), frozenset({k + 1})) for k in range(count))


def with_stopping(folds: Folds, share: float, seed: int) -> Folds:
    """The same, a share of each fold's training rows kept apart to stop the training by: cell c becomes 2c and 2c + 1,
    of which 2c + 1 stops. A row stops every training that it has a part in, or none.
    """

    def rule(index: int, frame: Frame) -> Values:
        stops = counter_uniform(seed, STOPPING, frame.row_ids) < np.uint64(int(share * 2.0**64))
        return 2 * folds.rule(index, frame) + stops

    each = tuple(
        Fold(fold.name, _doubled(fold.trains, (0,)), _doubled(fold.trains, (1,)), _doubled(fold.tests, (0, 1)))
        for fold in folds.folds
    )
    return Folds(each, rule)


def _doubled(cells: Cells, parts: Sequence[int]) -> Cells:
    return frozenset(2 * cell + part for cell in cells for part in parts)


class RowsOf(Rows):
    """The rows of some cells among other rows, which are read once: same partitions, same identities, same places."""

    def __init__(self, rows: Rows, folds: Folds, cells: Cells) -> None:
        self._rows, self._folds, self._cells = rows, folds, cells
        self.source, self.n_workers, self.refinements = rows.source, rows.n_workers, 0
        self.memory = rows.memory

    @property
    def n_partitions(self) -> int:
        return self._rows.n_partitions

    @property
    def source_reads(self) -> int:
        return self._rows.source_reads

    @property
    def heights(self) -> list[int] | None:
        """How many rows each partition's frame has."""
        return self._folds.counts(self._rows, self._cells)

    @property
    def report(self) -> LoadReport:  # type: ignore[override]
        """What reading all rows cost; the rows kept are those of the cells."""
        whole = self._rows.report
        counts = (whole.rows_listed, whole.rows_read, sum(self.heights or ()))
        return LoadReport(*counts, whole.bytes_read, whole.rows_filtered, whole.rows_without_key)

    def placed(self, index: int, frame: Frame) -> AbstractContextManager[None]:
        """Errors of data inside say where in the source the row of a partition's frame stands."""
        return self._rows.placed(index, frame)

    def all_placed(self, positions: Sequence[Values]) -> AbstractContextManager[None]:
        """The same of a row of all partitions' frames, one below the other."""
        return self._rows.all_placed(positions)

    @property
    def whole(self) -> Rows:
        return self._rows

    def note_retry(self) -> None:
        """Something of these rows is tried again; from any thread."""
        self._rows.note_retry()

    def matrix(self, width: int) -> None:
        """None: these rows are not the last that are gone over."""

    def leave_device(self) -> None:
        """The device's memory is needed: what is kept there for further trips is kept as other columns are."""
        self._rows.leave_device()

    def free_copies(self) -> None:
        """The copies on the device of columns that are kept elsewhere go."""
        self._rows.free_copies()

    def frame(self, index: int, columns: Sequence[str] | None = None) -> Frame:
        """The rows of one partition that are in the cells."""
        frame = self._rows.frame(index, columns)
        inside = np.isin(self._folds.cells(index, frame), list(self._cells))
        return frame if inside.all() else frame.take(np.flatnonzero(inside))

    def celled(self) -> "RowsOf":
        """The same rows, their frames with the cell of each row as a column."""
        return _Celled(self._rows, self._folds, self._cells)

    def column(self, index: int, _: Frame) -> Column:
        """The cell of each of these rows of a partition, as a key of states; once their frame was asked for."""
        cells = self._folds.known[index]
        return Column(Int64, cells[np.isin(cells, list(self._cells))].astype(np.int64))


class _Celled(RowsOf):
    def frame(self, index: int, columns: Sequence[str] | None = None) -> Frame:
        frame = super().frame(index, columns)
        return frame.with_columns({CELL: self.column(index, frame)})
