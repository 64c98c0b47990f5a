"""The first trip: how many rows there are, their labels and weights, and how large the features get."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from gpupipe.backends.exact.sums import sums
from gpupipe.backends.gram.products import tops_of
from gpupipe.columns import Values
from gpupipe.errors import WeightsError
from gpupipe.models.forms import labels
from gpupipe.runtime.reductions.lesson import Lesson, OverParts, Part
from gpupipe.runtime.seen.identities import few, together

_NO_BIT = 2**20  # above every exponent


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of all rows.

    Attributes:
        n: how many.
        tops, last_bits: int64 of shape (features,): values are below 2**top, and whole multiples of 2**last_bit.
        labels: of a classifier, for each label how many rows have it, and what these weigh.
        weight: of all rows; without weights their number.
        weight_top: weights are below 2**weight_top.
        total: of a regression, for each target the sum of weight times target.
        ids: the rows' identities where they were asked for, in arrays that are put together when they are many; of more
            than can be kept of a fit the lowest.
    """

    n: int
    tops: Values
    last_bits: Values
    labels: dict[Any, tuple[int, Fraction]]
    weight: Fraction
    weight_top: int
    total: tuple[Fraction, ...]
    ids: tuple[Values, ...]

    @property
    def row_ids(self) -> Values:
        """The identities, each once."""
        return together(self.ids)

    def __add__(self, other: "Facts") -> "Facts":
        known = dict(self.labels)
        for label, (count, weight) in other.labels.items():
            before = known.get(label, (0, Fraction(0)))
            known[label] = before[0] + count, before[1] + weight
        return Facts(
            self.n + other.n,
            np.maximum(self.tops, other.tops),
            np.minimum(self.last_bits, other.last_bits),
            known,
            self.weight + other.weight,
            max(self.weight_top, other.weight_top),
            tuple(a + b for a, b in zip(self.total, other.total, strict=True)),
            few((*self.ids, *other.ids)),
        )


@dataclass(frozen=True, eq=False)
class Looking(OverParts):
    """The order.

    Attributes:
        keeps_ids: whether identities are wanted.
        sizes: whether those of features are.
    """

    lesson: Lesson
    keeps_ids: bool = False
    sizes: bool = True
    stage: str = field(default="rows to learn from")
    columns: Sequence[str] | None = None

    def prepared(self) -> Callable[[Part], Facts]:
        """As `OverParts` says."""
        return self._facts

    def added(self, results: Sequence[Facts]) -> Facts:
        """As `OverParts` says."""
        return reduce(Facts.__add__, results)

    def _facts(self, part: Part) -> Facts:
        classifies = self.lesson.kind == "classifier"
        known: dict[Any, tuple[int, Fraction]] = {}
        total: tuple[Fraction, ...] = ()
        if classifies and len(part.X):
            known = _labels(part)
        elif part.y is not None and not classifies:
            total = tuple(_sum(column, part.weights) for column in np.reshape(part.y, (len(part.X), -1)).T)
        weight = Fraction(len(part.X)) if part.weights is None else _sum(part.weights, None)
        top = 1 if part.weights is None else int(tops_of(part.weights[:, None])[0])
        ids = (np.unique(part.ids),) if self.keeps_ids else ()
        sized = part.X if self.sizes else part.X[:0]
        return Facts(len(part.X), tops_of(sized), _last_bits(sized), known, weight, top, total, ids)


def _labels(part: Part) -> dict[Any, tuple[int, Fraction]]:
    positions, values = labels.distinct(part.y)
    counts = np.bincount(positions, minlength=len(values)).tolist()
    if part.weights is None:
        return {value: (count, Fraction(count)) for value, count in zip(values, counts, strict=True)}
    found = sums(part.weights, positions, len(values))
    assert found is not None, "weights are finite"
    return dict(zip(values, zip(counts, found.total.fractions(), strict=True), strict=True))


def _sum(values: Values, weights: Values | None) -> Fraction:
    """The exact sum of some values; with weights, of products that are each rounded once."""
    found = sums(np.asarray(values, np.float64) if weights is None else values * weights)
    assert found is not None, "values are finite"
    return found.total.fractions()[0]


def _last_bits(X: Values) -> Values:
    """The exponent of the least bit that is set in any value of each column."""
    if not len(X):
        return np.full(X.shape[1], _NO_BIT)
    bits = np.ascontiguousarray(X).view(np.uint32)
    # Without its last bit a number's distance to what is left is that bit's worth; a power of two is its own.
    least = np.abs(X - np.where(bits & 0x7FFFFF, bits & (bits - np.uint32(1)), 0).view(np.float32))
    least[least == 0] = np.inf
    found = least.min(axis=0)
    return np.where(found < np.inf, np.frexp(found)[1] - 1, _NO_BIT).astype(np.int64)


def refuse_weightless(facts: Facts) -> None:
    """Raise WeightsError where no row weighs anything."""
    if facts.n and not facts.weight:
        raise WeightsError("All weights are 0: weights must be finite, at least 0, and some above 0.")
