"""From rows to the state of covariances: tiles of digits multiplied by BLAS, whose every partial sum is exact."""

import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.backends.blas import ONE_THREAD
from gpupipe.backends.gram.digits import HALF, ZEROS, Cell, Layout
from gpupipe.backends.gram.labels import Labels
from gpupipe.backends.gram.state import Gram, Label, in_order
from gpupipe.columns import Column, Values
from gpupipe.errors import CovarianceError
from gpupipe.kernels.reference import gram as reference
from gpupipe.kernels.reference.gram import DIGIT, ROWS

MOST_DIGITS = 12  # a column: 252 bits from the top of its largest value to the last bit of its least
MOST_LABELS = 2_000  # of all keys together
_LARGEST, _FLOAT32 = 900, 128  # exponents: scaling stays within float64, and features will be float32
_AT_ONCE = 16 * ROWS
_WORTH_NUMBA = 4_000_000  # values that cost NumPy as much as Numba's start


class Sums:
    """The sums of some rows, by cell; of one thread.

    Args:
        shown: the columns' names in messages.
        masks: those of them that may be null, ascending.
        keys: how many.
    """

    def __init__(self, shown: Sequence[str], masks: Sequence[int], keys: int) -> None:
        self._shown, self._masks = shown, tuple(masks)
        self._layout = Layout(np.zeros(len(shown), np.int64), np.zeros(len(shown), np.int64))
        self._widths = np.full(keys, 8, np.int64)
        self._cells: dict[int, Cell] = {}

    def update(self, columns: Sequence[Column], codes: Values, cells: Values, kernels: Any) -> None:
        """Take in rows.

        Args:
            columns: of float64.
            codes: int32 of shape (keys, rows), 0 for what has no label.
            cells: integers of shape (rows,).

        Raises:
            CovarianceError: values too large, too far apart or no numbers; too many labels.
        """
        if codes.size:
            self._widen(codes.max(axis=1))
        for first in range(0, len(cells), _AT_ONCE):
            chunk = slice(first, min(first + _AT_ONCE, len(cells)))
            x, valid = self._stacked(columns, chunk)
            self._chunk(x, valid, np.ascontiguousarray(codes[:, chunk]), cells[chunk], kernels)

    def _stacked(self, columns: Sequence[Column], chunk: slice) -> tuple[Values, Values]:
        x = np.empty((len(columns), chunk.stop - chunk.start))
        valid = np.ones((len(self._masks), x.shape[1]), bool)
        for number, (column, row) in enumerate(zip(columns, x, strict=True)):
            row[:] = column.values[chunk]
            if column.valid is not None:
                row[~column.valid[chunk]] = 0.0
                valid[self._masks.index(number)] = column.valid[chunk]
            if not np.isfinite(row).all():
                at = int(np.flatnonzero(~np.isfinite(row))[0])
                raise CovarianceError(f"{self._shown[number]} is {row[at]}").at(chunk.start + at)
        return x, valid

    def _chunk(self, x: Values, valid: Values, codes: Values, cells: Values, kernels: Any) -> None:
        self._reach(x)
        order = np.argsort(cells, kind="stable")
        ordered = cells[order]
        starts = np.cumsum(self._widths) - self._widths
        in_table = codes + starts[:, None].astype(np.int32)
        for begin in np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])) if len(order) else []:
            rows = order[begin : np.searchsorted(ordered, ordered[begin], side="right")]
            for part in np.array_split(rows, -(-len(rows) // ROWS)):
                self._tile(int(ordered[begin]), x, valid, codes, in_table, part, kernels)

    def _tile(
        self, cell: int, x: Values, valid: Values, codes: Values, in_table: Values, rows: Values, kernels: Any
    ) -> None:
        while True:
            layout, under = self._layout, np.zeros(len(x))
            order = layout.order
            out = np.empty((len(rows), self._size))
            scale = np.ldexp(1.0, (DIGIT - layout.tops[order]).astype(np.intc))
            kernels.tile(x, valid, rows, order, scale, layout.counts[order], out, under)
            if not under.any():
                break
            deeper = np.zeros(len(x), np.int64)
            deeper[order] = under > 0
            self._move(layout.deeper(deeper))
        into = self._cell(cell)
        into.add(out.T @ out)
        kernels.sums_by_code(out, in_table, rows, into.by_code)
        kernels.pairs_of_codes(codes, rows, self._widths, into.pairs)

    @property
    def _size(self) -> int:
        return 1 + len(self._masks) + int(self._layout.counts.sum())

    def _cell(self, cell: int) -> Cell:
        if cell not in self._cells:
            a, b = np.triu_indices(len(self._widths), 1)
            pairs = int((self._widths[a] * self._widths[b]).sum())
            self._cells[cell] = Cell(self._size, int(self._widths.sum()), pairs)
        return self._cells[cell]

    def _reach(self, x: Values) -> None:
        largest = np.maximum(x.max(axis=1, initial=0.0), -x.min(axis=1, initial=0.0))
        exponents = np.where(largest > 0, np.frexp(largest)[1], ZEROS).astype(np.int64)
        layout = self._layout.reaching(exponents)
        used = layout.tops[layout.counts > 0]
        if (used > _FLOAT32).any() or (used < -_LARGEST).any():
            raise CovarianceError("a feature has values beyond float32, or all below 2^-900")
        for row in x[(layout.counts > 0) & (layout.tops > DIGIT)]:  # others are scaled up, which loses no bit
            if (np.abs(row[row != 0]) < 2.0**-_LARGEST).any():
                raise CovarianceError("a feature has values that are too far apart")
        self._move(layout)

    def _move(self, layout: Layout) -> None:
        if (layout.counts == self._layout.counts).all():
            return
        if layout.counts.max() > MOST_DIGITS:
            raise CovarianceError("a feature has values that are too far apart")
        first = 1 + len(self._masks)
        place = {digit: first + at for at, digit in enumerate(layout.digits())}
        at = np.array([*range(first), *(place[digit] for digit in self._layout.digits())])
        self._layout = layout
        for cell in self._cells.values():
            cell.moved(self._size, at)

    def _widen(self, largest: Values) -> None:
        if (largest < self._widths).all():
            return
        if largest.sum() > MOST_LABELS:
            raise CovarianceError(f"the features have more than {MOST_LABELS:,} categories together")
        wider = np.maximum(self._widths, [1 << int(code).bit_length() for code in largest])
        for cell in self._cells.values():
            cell.widened(self._widths, wider)
        self._widths = wider

    def states(self, labels: Sequence[Sequence[Label]]) -> dict[int, Gram]:
        """The state of each cell; `labels` of each key's codes, from code 1 on."""
        return {number: self._state(cell, labels) for number, cell in self._cells.items()}

    def _state(self, cell: Cell, labels: Sequence[Sequence[Label]]) -> Gram:
        layout = self._layout
        low = np.where(layout.counts > 0, layout.tops - DIGIT * layout.counts, 0)
        whole = cell.low.astype(object) + cell.high.astype(object) * (1 << HALF)
        shown = [in_order(set(each[: int(width) - 1])) for each, width in zip(labels, self._widths, strict=True)]
        starts = np.cumsum(self._widths) - self._widths
        codes = [[1 + each.index(label) for label in chosen] for each, chosen in zip(labels, shown, strict=True)]
        places = [start + code for start, of_key in zip(starts, codes, strict=True) for code in of_key]
        by_code = cell.by_code[np.array(places, np.int64)].astype(np.int64)
        return Gram(
            self._masks, low, tuple(shown),
            self._collapsed(self._collapsed(whole, low).T, low),
            self._collapsed(by_code.astype(object), low),
            self._met(cell, codes, by_code[:, 0]),
        )  # fmt: skip

    def _collapsed(self, whole: Values, low: Values) -> Values:
        """Digits, along the last axis, put together to their columns."""
        first = 1 + len(self._masks)
        found = np.zeros((len(whole), first + len(low)), object)
        found[:, :first] = whole[:, :first]
        for at, (column, unit) in enumerate(self._layout.digits(), start=first):
            found[:, first + column] += whole[:, at] * (1 << unit - int(low[column]))
        return found

    def _met(self, cell: Cell, codes: Sequence[Sequence[int]], counts: Values) -> Values:
        starts = np.cumsum([0, *map(len, codes)])
        met, at = np.diag(counts), 0
        for a in range(len(codes)):
            for b in range(a + 1, len(codes)):
                size = int(self._widths[a] * self._widths[b])
                table = cell.pairs[at : at + size].reshape(self._widths[a], self._widths[b])
                part = table[np.ix_(codes[a], codes[b])]
                met[starts[a] : starts[a + 1], starts[b] : starts[b + 1]] = part
                met[starts[b] : starts[b + 1], starts[a] : starts[a + 1]] = part.T
                at += size
        return met


class Gatherer:
    """Sums gathered by many threads: each takes one that is free.

    Args:
        masks: for each column whether it may be null.
        keys: how many.
        shown: the columns' names in messages.
    """

    def __init__(self, masks: Sequence[bool], keys: int, shown: Sequence[str]) -> None:
        self._shown = tuple(shown)
        self._masks = tuple(np.flatnonzero(masks).tolist())
        self._labels = Labels(keys)
        self._free: list[Sums] = []
        self._lock = threading.Lock()
        self._seen = 0

    def update(self, columns: Sequence[Column], keys: Sequence[Column], cells: Values) -> None:
        """Take in rows; from any thread, in any order.

        Args:
            columns: of float64.
            keys: of any type.
            cells: integers of shape (rows,): what the sums are kept by.

        Raises:
            CovarianceError: values too large, too far apart or no numbers; too many labels.
        """
        codes = np.zeros((len(keys), len(cells)), np.int32)
        for key, column in enumerate(keys):
            codes[key] = self._labels.codes(key, column)
        with self._lock:
            self._seen += len(cells) * (len(columns) + len(keys))
            sums = self._free.pop() if self._free else Sums(self._shown, self._masks, len(keys))
            kernels = kernels_for(self._seen)
        with ONE_THREAD:
            sums.update(columns, codes, cells, kernels)
        with self._lock:
            self._free.append(sums)

    def states(self) -> dict[int, Gram]:
        """The state of each cell, once all rows are in."""
        found: dict[int, Gram] = {}
        for sums in self._free:
            for cell, gram in sums.states(self._labels.of_key).items():
                found[cell] = found[cell] + gram if cell in found else gram
        return found


def kernels_for(values: int) -> Any:
    """Numba's form where it is there and worth its start, else NumPy's."""
    started = "gpupipe.kernels.cpu.gram" in sys.modules
    if (started or values > _WORTH_NUMBA) and optional.available("numba"):
        return optional.load("gpupipe.kernels.cpu.gram")
    return reference
