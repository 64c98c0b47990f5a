"""k-means: Lloyd's iterations, a trip over the rows each, and centres to begin with that no layout can change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from gpupipe.backends.exact.number import Exact, combined, stacked
from gpupipe.backends.exact.sums import sums
from gpupipe.columns import Values
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.kernels.reference.math import log
from gpupipe.runtime.reductions.classes import sums_by_group
from gpupipe.runtime.reductions.lesson import Lesson, OverParts, Part


def squared_distances(X: Values, centres: Values) -> Values:
    """float64 of shape (centres, rows): squares added in the order of features, whatever rows stand beside each other.

    Args:
        X: float32 of shape (rows, features).
    """
    found = np.zeros((len(centres), len(X)))
    for values, places in zip(np.ascontiguousarray(X.T, np.float64), centres.T, strict=True):
        off = values - places[:, None]
        off *= off
        found += off
    return found


class Drawn(NamedTuple):
    """A row, and the key by which it is preferred: the least first, then the least identity, then the least values."""

    key: float
    id: int
    values: tuple[float, ...]
    weight: float = 1.0
    cluster: int = 0


def _least(keys: Values, part: Part, count: int, clusters: Values | None = None) -> list[Drawn]:
    """The `count` rows of the least keys; infinite ones are none."""
    if count < len(keys):
        limit = np.partition(keys, count - 1)[count - 1]
        rows = np.flatnonzero((keys <= limit) & (keys < np.inf))
    else:
        rows = np.flatnonzero(keys < np.inf)
    weights = np.ones(len(keys)) if part.weights is None else part.weights
    found = [
        Drawn(
            float(keys[row]), int(part.ids[row]), tuple(part.X[row].tolist()), float(weights[row]),
            0 if clusters is None else int(clusters[row]),
        )
        for row in rows.tolist()
    ]  # fmt: skip
    return sorted(found)[:count]


def _exact(values: Values) -> Fraction:
    found = sums(values)
    assert found is not None, "features and weights are finite"
    return found.total.fractions()[0]


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """What the rows nearest to each centre add up to.

    Attributes:
        sums: exact numbers of shape (features, clusters); weights: the same of each cluster.
        inertia: the sum of squared distances, weighted.
        farthest: rows far from their centres, the farthest first.
    """

    sums: Exact
    weights: tuple[Fraction, ...]
    inertia: Fraction
    farthest: list[Drawn]


@dataclass(frozen=True, eq=False)
class Assigning(OverParts):
    """Each row to its nearest centre, of equally near ones the first."""

    lesson: Lesson
    stage: str
    centres: Values
    columns: Sequence[str] | None = None

    def prepared(self) -> Callable[[Part], Assigned]:
        """As `OverParts` says."""
        return self._assigned

    def added(self, results: Sequence[Assigned]) -> Assigned:
        """As `OverParts` says."""
        size = len(results[0].sums)
        total = combined(stacked([r.sums for r in results]), np.tile(np.arange(size), len(results)), size)
        weights = tuple(sum(each, Fraction(0)) for each in zip(*(r.weights for r in results), strict=True))
        farthest = sorted(row for result in results for row in result.farthest)[: len(self.centres)]
        return Assigned(total, weights, sum((r.inertia for r in results), Fraction(0)), farthest)

    def _assigned(self, part: Part) -> Assigned:
        count, nearest, distances = len(self.centres), [np.zeros(0, np.int64)], [np.zeros(0)]
        for tile in part.tiles():
            squares = squared_distances(tile.X, self.centres)
            nearest.append(squares.argmin(axis=0))
            distances.append(squares.min(axis=0))
        cluster, distance = np.concatenate(nearest), np.concatenate(distances)
        found = sums_by_group(part.X, cluster, part.weights, count, squares=False)
        if part.weights is None:
            weights = tuple(map(Fraction, np.bincount(cluster, minlength=count).tolist()))
            inertia = _exact(distance)
        else:
            known = sums(part.weights, cluster, count)
            assert known is not None, "weights are finite"
            weights, inertia = tuple(known.total.fractions()), _exact(distance * part.weights)
        return Assigned(found, weights, inertia, _least(-distance, part, count, cluster))


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Candidates judged, and the next ones.

    Attributes:
        potentials: for each candidate the sum of weighted squared distances to the nearest centre, with it among them.
        drawn: for each candidate, for each draw, the rows drawn.
    """

    potentials: tuple[Fraction, ...]
    drawn: tuple[tuple[list[Drawn], ...], ...]


@dataclass(frozen=True, eq=False)
class Sampling(OverParts):
    """Rows drawn with probabilities that go with weight times the squared distance to the nearest centre.

    A row's share in the draw is a function of its identity and the seed: of exponential times, divided by what the
    row counts, the least wins (Efraimidis and Spirakis 2006). So the same row is drawn wherever it stands.

    Attributes:
        centres: float64 of shape (centres, features), those there are.
        candidates: the same; each is judged as a further one. None at all: rows are drawn by weight alone.
        draws: how many times rows are drawn for each candidate; take: how many rows at a time.
        seed, purpose: say which random numbers: draws have those of `purpose`, `purpose` + 1, ….
    """

    lesson: Lesson
    stage: str
    centres: Values
    candidates: Values
    draws: int
    take: int
    seed: int
    purpose: int
    columns: Sequence[str] | None = None

    def prepared(self) -> Callable[[Part], Sampled]:
        """As `OverParts` says."""
        return self._sampled

    def added(self, results: Sequence[Sampled]) -> Sampled:
        """As `OverParts` says."""
        potentials = tuple(sum(each, Fraction(0)) for each in zip(*(r.potentials for r in results), strict=True))
        drawn = tuple(
            tuple(sorted(row for some in of_draw for row in some)[: self.take] for of_draw in zip(*each, strict=True))
            for each in zip(*(r.drawn for r in results), strict=True)
        )
        return Sampled(potentials, drawn)

    def _sampled(self, part: Part) -> Sampled:
        times = [_exponential(self.seed, self.purpose + draw, part.ids) for draw in range(self.draws)]
        potentials, drawn = [], []
        for count in self._what_rows_count(part):
            potentials.append(_exact(count))
            with np.errstate(divide="ignore", invalid="ignore"):
                keys = [np.where(count > 0, time / count, np.inf) for time in times]
            drawn.append(tuple(_least(each, part, self.take) for each in keys))
        return Sampled(tuple(potentials), tuple(drawn))

    def _what_rows_count(self, part: Part) -> list[Values]:
        weights = np.ones(len(part.X)) if part.weights is None else part.weights
        if not len(self.candidates):
            return [weights]
        tiles = [squared_distances(tile.X, np.concatenate([self.centres, self.candidates])) for tile in part.tiles()]
        squares = np.concatenate([np.zeros((len(self.centres) + len(self.candidates), 0)), *tiles], axis=1)
        before = squares[: len(self.centres)].min(axis=0, initial=np.inf)
        return [np.minimum(before, other) * weights for other in squares[len(self.centres) :]]


def _exponential(seed: int, purpose: int, ids: Values) -> Values:
    bits = counter_uniform(seed, purpose, ids) >> np.uint64(11)
    found: Values = -log((bits.astype(np.float64) + 0.5) * 2.0**-53)
    return found
