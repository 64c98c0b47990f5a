"""The columns of the fit's rows, and how later rows find them: a table's by name, an array's by place."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.backends.rows import frame_of_rows
from gpupipe.compiler.plan import Plan
from gpupipe.errors import EmptyDataError, ShapeError
from gpupipe.schema import Schema
from gpupipe.sources.border import to_arrow
from gpupipe.sources.listing import is_paths
from gpupipe.sources.memory import as_array, has_no_names, table_of
from gpupipe.sources.source import Source

UNNAMED = "n_features_in"  # the note in an artifact that tells how many columns the array of the fit had


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of the columns that a fit was given.

    Attributes:
        total: how many there were.
        names: their names in order; None for an array's, which are x0, x1, …
        aside: those of them that target, weights, groups and key are made of, which rows to score may lack.
        named: whether they were told apart by names people gave: a table's, but not an array's, nor the numbers
            that pandas makes up.
        whole: whether `names` are all of them; a saved pipeline keeps those that its features read.
    """

    total: int
    names: tuple[str, ...] | None
    aside: frozenset[str]
    named: bool
    whole: bool = True

    @property
    def count(self) -> int:
        """How many there are for features to use."""
        return self.total - len(self.aside)

    def usable(self) -> list[str]:
        """The names of those for features to use."""
        return [name for name in self._all() if name not in self.aside]

    def by_name(self, X: Any, needed: Sequence[str]) -> Any:
        """Rows to score, under the names of the fit where they come without.

        An array is taken by place, and must have the fit's columns, with or without those set aside. So is a frame
        where one of the two has no names, if it has as many columns and none of those that are needed; any other
        has its columns found by name, in any order, among others.

        Raises:
            ShapeError: an array of another number of columns than the fit's.
        """
        if isinstance(X, Source) or is_paths(X):
            return X
        if has_no_names(X):
            return self._placed(as_array(X))
        if self.named and has_labels(X):
            return X
        table = table_of(X)[0]
        names = self._of(table.num_columns)
        if names is None or not set(needed).isdisjoint(table.column_names):
            return X
        if has_labels(X):
            _warn("X has feature names, but Pipeline was fitted without feature names")
        elif self.named:
            _warn("X does not have valid feature names, but Pipeline was fitted with feature names")
        return table.rename_columns(names)

    def check(self, names: Sequence[str]) -> None:
        """See that `names` are the columns of the fit, or as many as an array's.

        Raises:
            ShapeError: they are not.
        """
        if self.named and names != self.usable():
            raise ShapeError(
                f"input_features is not equal to feature_names_in_: given are {_some_of(names)}, and the fit had "
                f"{_some_of(self.usable())}. Leave them out; names are known from the fit."
            )
        if len(names) != self.count:
            raise ShapeError(
                f"input_features should have length equal to number of features ({self.count}), got {len(names)}. "
                "Leave them out; names are known from the fit."
            )

    def _placed(self, X: np.ndarray[Any, Any]) -> Any:
        if X.ndim != 2:
            return X  # the reader says what is wrong with it
        if not self.whole:
            raise ShapeError(
                f"X has {X.shape[1]} features and no names, and a saved pipeline knows its columns by name. Give a "
                f"table or rows with the columns {_some_of(self.usable())}."
            )
        names = self._of(X.shape[1])
        if names is None:
            raise ShapeError(
                f"X has {X.shape[1]} features, but Pipeline is expecting {self.count} features as input: an array's "
                "columns are told apart by their places. Give all columns of the fit in its order, or a table with "
                "their names."
            )
        if self.named:
            _warn("X does not have valid feature names, but Pipeline was fitted with feature names")
        return {name: X[:, at] for at, name in enumerate(names)}

    def _of(self, n_columns: int) -> list[str] | None:
        """The names of so many columns by place: all, or all but those set aside; None for any other number."""
        if n_columns == self.total:
            return list(self._all())
        return self.usable() if n_columns == self.count else None

    def _all(self) -> Sequence[str]:
        return _places(self.total) if self.names is None else self.names


def _warn(what: str) -> None:
    warnings.warn(f"{what}: its columns are taken by place.", UserWarning, stacklevel=5)


def _some_of(names: Sequence[str]) -> str:
    """Names in a message: some of many."""
    return ", ".join(map(str, names[:12])) + (", …" if len(names) > 12 else "")


def has_labels(X: Any) -> bool:
    """Whether the columns of a table have names, and not the numbers that pandas and cuDF make up.

    >>> has_labels({"a": [1]})
    True
    """
    made_up = type(X).__module__.partition(".")[0] in ("pandas", "cudf")
    labels = getattr(X, "columns", ()) if made_up else ()
    return all(isinstance(label, str) for label in labels)


def _places(count: int) -> list[str]:
    return [f"x{at}" for at in range(count)]


def _is_place(name: str, count: int) -> bool:
    number = name.removeprefix("x")
    return name == f"x{number}" and number.isdecimal() and number.isascii() and int(number[:20]) < count


def inputs_of(X: Any, names: Sequence[str], aside: Iterable[str]) -> Inputs:
    """What the fit's rows look like: `names` are the columns that can be read, `aside` those no feature may use."""
    total = as_array(X).shape[1] if has_no_names(X) else len(names)
    if has_no_names(X) or list(names) == _places(total):
        return Inputs(total, None, frozenset(name for name in aside if _is_place(name, total)), False)
    return Inputs(total, tuple(names), frozenset(aside).intersection(names), has_labels(X))


def inputs_noted(notes: Mapping[str, Any], plan: Plan, aside: Iterable[str]) -> Inputs:
    """What a saved pipeline knows of its columns."""
    total = notes.get(UNNAMED)
    if type(total) is int and total > 0:  # no list is made of it: a forged one may be any number
        return Inputs(total, None, frozenset(name for name in aside if _is_place(name, total)), False)
    names = tuple(name for name in plan.schema if name in plan.columns)
    return Inputs(len(names), names, frozenset(), True, whole=False)


def rows_as_table(X: Any, schema: Schema, columns: Sequence[str]) -> Any:
    """Rows given as dicts, one or a list of them, as a table in the types of the fit; other data as they are.

    Raises:
        ColumnNotFoundError, SchemaMismatchError: as for `gpupipe.Scorer`.
        EmptyDataError: an empty list, which holds neither rows nor paths.
    """
    if isinstance(X, list | tuple) and not X:
        raise EmptyDataError("There are no rows: an empty list was given. Give one row or more, or paths of files.")
    one = isinstance(X, Mapping) and any(is_single(X[name]) for name in columns if name in X)
    several = isinstance(X, list | tuple) and bool(X) and all(isinstance(row, Mapping) for row in X)
    if not (one or several):
        return X
    frame = frame_of_rows(X, schema, columns)
    return pa.table({name: to_arrow(frame[name]) for name in columns})


def is_single(value: Any) -> bool:
    """Whether a value stands for one row, not for a column.

    >>> is_single("Rome"), is_single(None), is_single(["Rome"])
    (True, True, False)
    """
    return isinstance(value, str | bytes) or not (hasattr(value, "__len__") or hasattr(value, "__iter__"))
