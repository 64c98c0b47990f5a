"""Linear regression, ridge and principal components from the covariances of the matrix's columns, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from gpupipe.backends.blas import ONE_THREAD
from gpupipe.backends.gram.gatherer import Sums, kernels_for
from gpupipe.backends.gram.moments import Moments, rounded
from gpupipe.backends.gram.state import Gram
from gpupipe.columns import Column
from gpupipe.runtime.reductions.lesson import Lesson, OverParts, Part
from gpupipe.schema import Float64


@dataclass(frozen=True, eq=False)
class Multiplying(OverParts):
    """The sums of products of every two of: the features, then the targets; where rows are weighted, the root of the
    weight times each, and that root itself last.

    Attributes:
        shown: their names, in messages.
        n_values: how many there are in all rows.
    """

    lesson: Lesson
    stage: str
    shown: tuple[str, ...]
    n_values: int
    columns: Sequence[str] | None = None

    def prepared(self) -> Callable[[Part], Gram | None]:
        """As `OverParts` says."""
        return self._gram

    def added(self, results: Sequence[Gram | None]) -> Gram | None:
        """As `OverParts` says; None: of no rows."""
        some = [result for result in results if result is not None]
        return reduce(add, some) if some else None

    def _gram(self, part: Part) -> Gram | None:
        if not len(part.X):
            return None
        columns = [*part.X.T.astype(np.float64)]
        if part.y is not None:
            columns += [*part.y.reshape(len(part.X), -1).T]
        if part.weights is not None:
            root = np.sqrt(part.weights)
            columns = [*(column * root for column in columns), root]
        gathering = Sums(self.shown[: len(columns)], (), 0)
        values = [Column(Float64, np.ascontiguousarray(column)) for column in columns]
        none, one_cell = np.zeros((0, len(part.X)), np.int32), np.zeros(len(part.X), np.int8)
        with ONE_THREAD:
            gathering.update(values, none, one_cell, kernels_for(self.n_values))
        return gathering.states(())[0]


def moments_of(gram: Gram, *, weighted: bool) -> Moments:
    """Means and centred sums of products; of weighted rows the weighted ones, and their weight for their number."""
    at = slice(1, -1) if weighted else slice(1, None)
    one = -1 if weighted else 0
    whole, sums = int(gram.cross[one, one]), gram.cross[one, at]
    low = gram.low[:-1] if weighted else gram.low
    unit = int(gram.low[-1]) if weighted else 0
    cross = gram.cross[at, at] * whole - sums[:, None] * sums[None, :]
    weight = whole if not weighted else float(whole) * 2.0 ** (2 * unit)
    return Moments(weight, rounded(sums, whole, low - unit), rounded(cross, whole, low[:, None] + low[None, :]))  # type: ignore[arg-type]


def of_target(moments: Moments, n_features: int, target: int) -> Moments:
    """Those of the features and one of the targets."""
    chosen = np.append(np.arange(n_features), n_features + target)
    return Moments(moments.n, moments.mean[chosen], moments.cross[np.ix_(chosen, chosen)])
