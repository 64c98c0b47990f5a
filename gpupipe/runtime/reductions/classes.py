"""Exact sums of features, and of their squares, by class: what naive Bayes is made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gpupipe.backends.exact.number import Exact, combined, stacked
from gpupipe.backends.exact.sums import sums
from gpupipe.columns import Values
from gpupipe.errors import TrainingError
from gpupipe.models.partitions.bayes import ClassSums
from gpupipe.runtime.reductions.lesson import Lesson, OverParts, Part


@dataclass(frozen=True, eq=False)
class SummingByGroup(OverParts):
    """Sums of features by group, the classes or a number of the row's own.

    Attributes:
        n_groups: how many; rows without a class are all of the first.
        squares: whether those of squares are wanted.
        above: a feature counts as 1 above this value and as 0 otherwise; None: as it is.
        who: the estimator that takes no value below 0; None: any value is taken.
    """

    lesson: Lesson
    stage: str
    n_groups: int
    squares: bool = False
    above: float | None = None
    who: str | None = None
    columns: Sequence[str] | None = None

    def prepared(self) -> Callable[[Part], Exact]:
        """As `OverParts` says."""
        return self._sums

    def added(self, results: Sequence[Exact]) -> Exact:
        """As `OverParts` says."""
        size = len(results[0])
        return combined(stacked(results), np.tile(np.arange(size), len(results)), size)

    def _sums(self, part: Part) -> Exact:
        if self.who is not None and (part.X < 0).any():
            self._refuse_negative(part.X)
        groups = np.zeros(len(part.X), np.int64) if part.y is None else part.y
        return sums_by_group(self._values(part.X), groups, part.weights, self.n_groups, squares=self.squares)

    def _refuse_negative(self, X: Values) -> None:
        row, column = (int(at[0]) for at in np.nonzero(X < 0))
        name = self.lesson.features.names[column]
        raise TrainingError(
            f"{self.who} takes counts, from 0 on, and the feature {name!r} is {X[row, column]} in a row. Use min_max() "
            "or clip(0, None), or GaussianNB."
        )

    def _values(self, X: Values) -> Values:
        return X if self.above is None else (self.above < X).astype(np.float32)

    def read(self, found: Exact) -> ClassSums:
        """The merged sums, by class and feature."""
        parts = found.fractions()
        each = np.array(parts, object).reshape(1 + self.squares, -1, self.n_groups)
        return ClassSums(each[0].T, each[1].T if self.squares else None)


def sums_by_group(X: Values, groups: Values, weights: Values | None, n_groups: int, *, squares: bool) -> Exact:
    """The exact sums of each column by group, and then those of squares: numbers of shape (1 or 2, columns, groups)."""
    totals, of_squares = [], []
    for column in np.ascontiguousarray(X.T):
        if weights is None:
            found = sums(column, groups, n_groups, squares=squares)
            assert found is not None, "features are finite"
            totals.append(found.total)
            of_squares += [] if found.squares is None else [found.squares]
            continue
        wide = column.astype(np.float64)
        totals.append(_weighted(wide, groups, weights, n_groups))
        of_squares += [_weighted(wide * wide, groups, weights, n_groups)] if squares else []
    return stacked([*totals, *of_squares])


def _weighted(values: Values, groups: Values, weights: Values, n_groups: int) -> Exact:
    """The sums of products, no bit of which is lost."""
    high, low = _in_two(values, weights)
    both = np.concatenate([high, low]), np.concatenate([groups, groups])
    found = sums(*both, n_groups)
    assert found is not None, "weights are finite"
    return found.total


_HALVES = 2.0**27 + 1  # (Dekker 1971)


def _in_two(x: Values, y: Values) -> tuple[Values, Values]:
    """x y as the sum of two numbers; exactly, but where the product is next to nothing or beyond all numbers."""
    product = x * y
    with np.errstate(over="ignore", invalid="ignore"):
        wide, other = _HALVES * x, _HALVES * y
        a, b = wide - (wide - x), other - (other - y)
        c, d = x - a, y - b
        rest = ((a * b - product) + a * d + c * b) + c * d
    return product, np.where(np.isfinite(rest), rest, 0.0)
