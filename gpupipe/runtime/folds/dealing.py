"""How rows are dealt to folds: by a hash, in equal shares of classes, by a column, or as a chain in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.columns import Column, Frame, Values, concat
from gpupipe.compiler.fitted import plain_values
from gpupipe.errors import FoldsError, ParameterError, counted
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.folds.rows import DEALT, Fold, Folds, chained_folds, plain_folds, with_stopping
from gpupipe.runtime.orders import Local
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows
from gpupipe.schema import Schema
from gpupipe.sources.identity import key_hash

MOST = 1000  # folds


@dataclass(frozen=True, slots=True)
class Dealing:
    """How rows are to be dealt, checked as far as no row is needed.

    Attributes:
        folds: how many, or the column that holds the fold of each row.
        stratify: False; True: by the target's labels; a column: by its values.
        groups: the column whose equal values stay in one fold; None: rows are dealt by their identity.
        time: the column that folds are a chain in; None: they are none.
        seed: of the hash.
        validation: the share of each fold's training rows that stops the training; None: none.
    """

    folds: int | str = 5
    stratify: bool | str = False
    groups: str | None = None
    time: str | None = None
    seed: int = 0
    validation: float | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        given = [name for name in ("stratify", "groups", "time") if getattr(self, name)]
        if isinstance(self.folds, str) and given:
            raise ParameterError(
                f"folds={self.folds!r} is a column that says the fold of each row, and {given[0]}= says so too. "
                "Give one of them."
            )
        if len(given) > 1:
            raise ParameterError(
                f"{given[0]}= and {given[1]}= were both given, and each says how rows are dealt to folds. Give one."
            )

    def _check_numbers(self) -> None:
        number = isinstance(self.folds, int) and not isinstance(self.folds, bool)
        if not isinstance(self.folds, str) and not (number and 2 <= self.folds <= MOST):
            raise ParameterError(
                f"folds={self.folds!r} is no number of folds. Give an integer from 2 to {MOST:,}, or the name of the "
                "column that holds the fold of each row."
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**64:
            raise ParameterError(f"seed={self.seed!r} is no seed. Give an integer from 0 to 2**64 - 1.")
        share = self.validation
        if share is not None and not (isinstance(share, float) and 0 < share < 1):
            raise ParameterError(
                f"validation={share!r} is no share of the training rows. Give a number between 0 and 1, such as 0.1: "
                "so many of each fold's training rows stop its training early."
            )

    @property
    def columns(self) -> list[str]:
        """The columns that say how rows are dealt."""
        names = (self.folds, self.stratify, self.groups, self.time)
        return [name for name in names if isinstance(name, str)]

    @property
    def looks_first(self) -> bool:
        """Whether all rows must be looked at before they can be dealt."""
        return bool(self.stratify or self.time or isinstance(self.folds, str))

    def check_columns(self, schema: Schema) -> None:
        """See that the columns are there and can say what they are to say.

        Raises:
            ColumnNotFoundError: one is not there.
            ParameterError: times that are none.
        """
        for name in self.columns:
            schema[name]  # raises, with the nearest name
        if self.time is not None:
            dtype = schema[self.time].dtype
            if not (dtype.is_numeric or dtype.is_temporal):
                raise ParameterError(f"time={self.time!r} is {dtype}. Give a column of dates, times or numbers.")


def identity_of(groups: str) -> Callable[[Frame], Values]:
    """Rows of one group are one: they share folds, inner ones too."""

    def identity(frame: Frame) -> Values:
        refuse_unknown(frame[groups], groups, "groups")
        return key_hash(frame[groups])

    return identity


def refuse_unknown(column: Column, name: str, what: str) -> None:
    """Raise FoldsError where a column that says how rows are dealt is null or NaN."""
    unknown = np.zeros(len(column), bool) if column.valid is None else ~column.valid
    if (nan := grouping.is_nan(column)) is not None:
        unknown = unknown | nan
    if unknown.any():
        raise FoldsError(
            f"{what}={name!r} is null or NaN in {int(unknown.sum()):,} of {len(column):,} rows, first in this one, so "
            f"they are in no fold. Leave them out: gp.scan(data).filter(gp.col({name!r}).is_not_null())."
        ).at(int(np.flatnonzero(unknown)[0]), name)


def deal(
    asked: Dealing,
    rows: Rows,
    labels: Callable[[Frame], Column] | None,
    together: str,
    crew: Crew,
    progress: Progress,
) -> Folds:
    """The folds of `rows`: one look at them first where their shares or order must be known.

    Args:
        labels: a frame to what is stratified by; None: nothing is.
        together: "key" or "group": what rows of one identity have in common; "": each row has one of its own.

    Raises:
        FoldsError: the rows cannot be dealt so.
    """
    if not asked.looks_first:
        count = int(asked.folds)
        found = Folds(plain_folds(range(count)), lambda _, frame: _hashed(asked.seed, frame.row_ids) % np.uint64(count))
    else:
        found = _looked_at(asked, rows, labels, together, crew, progress)
    return found if asked.validation is None else with_stopping(found, asked.validation, asked.seed)


def _hashed(seed: int, identities: Values) -> Values:
    return np.asarray(counter_uniform(seed, DEALT, identities))


def _looked_at(
    asked: Dealing,
    rows: Rows,
    labels: Callable[[Frame], Column] | None,
    together: str,
    crew: Crew,
    progress: Progress,
) -> Folds:
    name, what = asked.columns[0] if asked.columns else "", "folds" if isinstance(asked.folds, str) else "time"
    progress.begin("folds", rows)

    def look(_: Rows, index: int, frame: Frame) -> tuple[Column, Values]:
        if labels is not None:
            return labels(frame), frame.row_ids
        refuse_unknown(frame[name], name, what)
        return frame[name], frame.row_ids

    found = crew.listed(rows, Local("folds", look), progress)
    column, identities = concat([part[0] for part in found]), np.concatenate([part[1] for part in found])
    ends = np.cumsum([0, *(len(part[1]) for part in found)])
    cells, folds = _dealt(asked, column, identities, together, name)
    return Folds(folds, lambda index, _: cells[ends[index] : ends[index + 1]])


def _dealt(
    asked: Dealing, column: Column, identities: Values, together: str, name: str
) -> tuple[Values, tuple[Fold, ...]]:
    if isinstance(asked.folds, str):
        cells, values = _named(column, name)
        folds = plain_folds(values)
    elif asked.time is not None:
        cells, folds = chained(column, asked.folds, name), chained_folds(asked.folds)
    else:
        return _stratified(asked.folds, asked.seed, column, identities, together), plain_folds(range(asked.folds))
    if together == "group" or (together and asked.time is None):
        _refuse_torn(cells, identities, f"{'folds' if asked.time is None else 'time'}={name!r}", together)
    return cells, folds


def _refuse_torn(cells: Values, identities: Values, what: str, kept: str) -> None:
    _, first, back = np.unique(identities, return_index=True, return_inverse=True)
    torn = np.flatnonzero(cells[first][back] != cells)
    if len(torn):
        raise FoldsError(
            f"{what} puts rows of one {kept} into several folds, and they belong together. Give all rows of a {kept} "
            f"the same, or declare the pipeline without {kept}{'s' if kept == 'group' else ''}."
        ).at(int(torn[0]))


def _named(column: Column, name: str) -> tuple[Values, list[Any]]:
    """The cell of each row, and the value that each stands for."""
    cells, (values,) = grouping.factorize([column])
    if not 2 <= len(values) <= MOST:
        raise FoldsError(
            f"folds={name!r} holds {counted(len(values), 'distinct value')}, each of which is a fold. There must be 2 "
            f"to {MOST:,}. To keep rows of equal values together: groups={name!r}."
        )
    return cells, plain_values(values)


def chained(times: Column, count: int, name: str) -> Values:
    """The window of each row, int64 from 0 to `count`: as scikit-learn's TimeSeriesSplit cuts rows in the order of
    time, but that no cut stands between rows of one time: they all come after it.

    Raises:
        FoldsError: there are too few times.
    """
    bits = grouping.ordered_bits(times)
    size = len(bits) // (count + 1)
    cuts = np.sort(bits)[len(bits) - size * np.arange(count, 0, -1)] if size else bits[:0]
    windows: Values = np.searchsorted(cuts, bits, side="right").astype(np.int64)
    if not size or len(np.unique(windows)) < count + 1:
        raise FoldsError(
            f"time={name!r} has {counted(len(np.unique(bits)), 'distinct value')} in {counted(len(bits), 'row')}, too "
            f"few for {count} folds in time: each is judged on a window of its own, after those before it, and rows of "
            "one time stay together. Ask for fewer folds=."
        )
    return windows


def _stratified(count: int, seed: int, column: Column, identities: Values, together: str) -> Values:
    """Rows sorted by class, then by hash, are dealt out one by one: shares differ by one row at most, whatever the
    partitions. Rows of one identity are dealt as one."""
    codes, (labels,) = grouping.factorize([column])
    first, back = np.arange(len(codes)), None
    if together:
        _, first, back = np.unique(identities, return_index=True, return_inverse=True)
        if (codes[first][back] != codes).any():
            raise FoldsError(
                "stratify= deals each class in equal shares, and rows of one key or group, which stay together, are of "
                "several classes. Leave stratify= out, or stratify by a column that is the same for all rows of a key."
            )
    _refuse_few(np.bincount(codes[first], minlength=len(labels)), plain_values(labels), count, together)
    cells = np.empty(len(first), np.int64)
    cells[np.lexsort((_hashed(seed, identities[first]), codes[first]))] = np.arange(len(first)) % count
    return cells if back is None else cells[back]


def _refuse_few(counts: Values, labels: Sequence[Any], count: int, together: str) -> None:
    few = int(np.argmin(counts))
    if counts[few] < count:
        raise FoldsError(
            f"The class {labels[few]!r} has {counted(int(counts[few]), together or 'row')}, and there are "
            f"{count} folds: it could not be in each of them. Ask for fewer folds=, leave rare classes out, or leave "
            "stratify= out."
        )
