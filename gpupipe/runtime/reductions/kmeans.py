"""k-means, from where it begins to its centres: what the trips of `centres.py` are asked for."""

from collections.abc import Generator
from fractions import Fraction
from typing import Any

import numpy as np

from gpupipe.columns import Values
from gpupipe.runtime.reductions.centres import Assigned, Assigning, Drawn, Sampled, Sampling
from gpupipe.runtime.reductions.lesson import Lesson

_NONE = 0  # rows of centres or candidates
_ROUNDS = 2**20  # purposes of random numbers of one start

Steps = Generator[Any, Any, tuple[Values, Fraction]]


def kmeans(lesson: Lesson, n_features: int, params: dict[str, Any], tol: float) -> Generator[Any, Any, Values]:
    """Yields orders, is sent what comes of them, and returns the centres of the best start.

    Args:
        params: of scikit-learn's KMeans; a random state is a whole number or None, which counts as 0.
        tol: centres that move by no more, squared and added up, have arrived.
    """
    given, starts = params["init"], params["n_init"]
    if starts == "auto":
        starts = 10 if isinstance(given, str) and given == "random" else 1
    if not isinstance(given, str):
        starts = 1
    best: tuple[Fraction, Values] | None = None
    for start in range(starts):
        centres = yield from _begun(lesson, n_features, params, start)
        centres, inertia = yield from _lloyd(lesson, centres, int(params["max_iter"]), tol, start)
        if best is None or inertia < best[0]:
            best = inertia, centres
    assert best is not None, "there is a start"
    return best[1]


def _begun(lesson: Lesson, n_features: int, params: dict[str, Any], start: int) -> Generator[Sampling, Sampled, Values]:
    given, count, seed = params["init"], int(params["n_clusters"]), int(params["random_state"] or 0)
    if not isinstance(given, str):
        return np.array(given, np.float64)
    nothing = np.zeros((_NONE, n_features))
    trials = count if given == "random" else 1
    order = Sampling(lesson, f"centres {start + 1}", nothing, nothing, 1, trials, seed, start * _ROUNDS)
    first = (yield order).drawn[0][0]
    if given == "random":
        return _values(first)
    return (yield from _spread(lesson, _values(first), count, seed, start))


def _values(rows: list[Drawn]) -> Values:
    return np.array([row.values for row in rows], np.float64)


def _spread(
    lesson: Lesson, candidates: Values, count: int, seed: int, start: int
) -> Generator[Sampling, Sampled, Values]:
    """k-means++ (Arthur and Vassilvitskii 2007), greedy as scikit-learn's: of a few candidates the best is taken.

    The trip that judges the candidates of one centre draws those of the next, for each of them.
    """
    trials = 2 + int(np.log(count))
    centres = np.zeros((_NONE, candidates.shape[1]))
    while len(centres) < count:
        number = len(centres) + 1
        purpose = start * _ROUNDS + number * trials
        stage = f"centres {start + 1}.{number}"
        found = yield Sampling(lesson, stage, centres, candidates, trials, 1, seed, purpose)
        best = min(range(len(candidates)), key=lambda at: found.potentials[at])
        centres = np.concatenate([centres, candidates[best : best + 1]])
        drawn = [row for rows in found.drawn[best] for row in rows]
        candidates = _values(drawn) if drawn else candidates[best : best + 1]  # else every row is a centre already
    return centres


def _lloyd(lesson: Lesson, centres: Values, max_iter: int, tol: float, start: int) -> Steps:
    before: list[Fraction] | None = None
    for step in range(1, max_iter + 1):
        found = yield Assigning(lesson, f"step {step} of k-means {start + 1}", centres)
        totals = found.sums.fractions()
        if totals == before:  # no row has changed its centre
            return centres, found.inertia
        moved = _means(totals, found, centres)
        shift = float(((moved - centres) ** 2).sum())
        centres, before = moved, totals
        if shift <= tol:
            break
    found = yield Assigning(lesson, f"last step of k-means {start + 1}", centres)
    return centres, found.inertia


def _means(totals: list[Fraction], found: Assigned, centres: Values) -> Values:
    """The mean of the rows of each centre; a centre without rows takes the row that is farthest from its own."""
    count = len(centres)
    sums = np.array(totals, object).reshape(-1, count).T.copy()
    weights = list(found.weights)
    empty = [cluster for cluster in range(count) if not weights[cluster]]
    for cluster, row in zip(empty, [row for row in found.farthest if row.key < 0], strict=False):
        taken, weight = np.array([Fraction(value) for value in row.values], object), Fraction(row.weight)
        sums[row.cluster] -= taken * weight
        weights[row.cluster] -= weight
        sums[cluster], weights[cluster] = taken * weight, weight
    means = centres.copy()
    for cluster, weight in enumerate(weights):
        if weight > 0:
            means[cluster] = (sums[cluster] / weight).astype(np.float64)
    return means
