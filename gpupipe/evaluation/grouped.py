"""Measures of a ranking: how well scores order the rows of each group, averaged over the groups.

Rows of one group with equal scores count as standing in every order, on average: so a constant score has the value
that chance has. Groups that no order could tell apart are left out: those of one row, and those without a relevant
row, whose best order is no better than their worst.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpupipe.evaluation import intervals
from gpupipe.evaluation.report import Metric

Values = np.ndarray[Any, Any]

RANKER = ("ndcg_at_5", "ndcg_at_10", "ndcg", "map", "mrr")


@dataclass(frozen=True, eq=False)
class Ranked:
    """Rows with their relevance, a score, and the group they are ranked in.

    Attributes:
        true: float64 (rows,): degrees of relevance, from 0 on; above 0 is relevant.
        scores: float64 (rows,): higher stands further up.
        groups: int64 (rows,): the number of each row's group.
    """

    true: Values
    scores: Values
    groups: Values

    def take(self, rows: Values) -> "Ranked":
        """The rows at these positions."""
        return Ranked(self.true[rows], self.scores[rows], self.groups[rows])

    @cached_property
    def by_score(self) -> Values:
        """int64 (rows,): the rows group by group, the highest score first."""
        return np.lexsort((-self.scores, self.groups))

    @cached_property
    def group(self) -> Values:
        """int64 (rows,): of each place in that order, the place of its group among those there are."""
        return np.unique(self.groups[self.by_score], return_inverse=True)[1]

    @cached_property
    def sizes(self) -> Values:
        """int64 (groups,): how many rows each has."""
        return np.bincount(self.group)

    @cached_property
    def rank(self) -> Values:
        """int64 (rows,): of each place in that order, how many stand above it in its group."""
        ends = np.cumsum(self.sizes)
        return np.arange(len(self.group)) - (ends - self.sizes)[self.group]

    @cached_property
    def tied(self) -> "Ties":
        """The runs of equal scores."""
        scores = self.scores[self.by_score]
        new = np.append(True, (scores[1:] != scores[:-1]) | (self.group[1:] != self.group[:-1]))
        run = np.cumsum(new) - 1
        return Ties(run, np.bincount(run), self.rank[np.flatnonzero(new)], self.group[np.flatnonzero(new)])

    def measures(self) -> dict[str, Values]:
        """Every measure of each group, float64 (groups,), ascending by number; NaN where it says nothing."""
        found = {"ndcg_at_5": self.ndcg(5), "ndcg_at_10": self.ndcg(10), "ndcg": self.ndcg()}
        found |= {"map": self.average_precision(), "mrr": self.reciprocal_rank()}
        relevant = np.bincount(self.group, self.true[self.by_score] > 0)
        nothing = (self.sizes < 2) | (relevant == 0)
        return {name: np.where(nothing, np.nan, values) for name, values in found.items()}

    def ndcg(self, k: int | None = None) -> Values:
        """The discounted gain of the first `k` (None: all) over that of the best order, (groups,).

        The gain of a row is its relevance, its discount 1 / log2(rank + 2) (Järvelin and Kekäläinen 2002); equal
        scores share the mean of their gains (McSherry and Najork 2008): as ``sklearn.metrics.ndcg_score`` has it.

        >>> Ranked(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([0, 0])).ndcg().round(4).tolist()
        [0.8155]
        """
        discount = 1.0 / np.log2(self.rank + 2.0)
        if k is not None:
            discount[self.rank >= k] = 0.0
        tied = self.tied
        gain = (np.bincount(tied.run, self.true[self.by_score]) / tied.size)[tied.run]
        best = self.true[np.lexsort((-self.true, self.groups))]
        return ratio(np.bincount(self.group, gain * discount), np.bincount(self.group, best * discount))

    def average_precision(self) -> Values:
        """The mean precision at the ranks of the relevant rows, (groups,), expected over the orders of equal scores.

        At place j of a run of n equal scores, r of them relevant, with s rows above it and R of these relevant, the
        row is relevant with probability r / n; then R + 1 + (j - 1)(r - 1) / (n - 1) of s + j rows are.
        """
        tied, relevant = self.tied, self.true[self.by_score] > 0
        inside = np.bincount(tied.run, relevant)
        total = np.bincount(self.group, relevant)
        before = np.cumsum(inside) - inside - (np.cumsum(total) - total)[tied.group]
        at = self.rank - tied.above[tied.run]
        others = ((inside - 1) / np.maximum(tied.size - 1, 1))[tied.run] * at
        precision = (before[tied.run] + 1 + others) / (self.rank + 1)
        return ratio(np.bincount(self.group, (inside / tied.size)[tied.run] * precision), total)

    def reciprocal_rank(self) -> Values:
        """1 / rank of the first relevant row, counted from 1, (groups,), expected over the orders of equal scores."""
        tied = self.tied
        inside = np.bincount(tied.run, self.true[self.by_score] > 0)
        found = np.full(len(self.sizes), np.nan)
        holding = np.flatnonzero(inside > 0)
        groups, first = np.unique(tied.group[holding], return_index=True)
        for group, run in zip(groups.tolist(), holding[first].tolist(), strict=True):
            found[group] = _first_hit(int(tied.size[run]), int(inside[run]), int(tied.above[run]))
        return found


@dataclass(frozen=True, eq=False)
class Ties:
    """Runs of equal scores within groups.

    Attributes:
        run: int64 (rows,): the run of each place in the order by score.
        size: int64 (runs,).
        above: int64 (runs,): how many rows of its group stand above it.
        group: int64 (runs,): the group it lies in.
    """

    run: Values
    size: Values
    above: Values
    group: Values


def _first_hit(size: int, relevant: int, above: int) -> float:
    """E[1 / rank] of the first relevant of `size` rows in random order, `above` more rows standing above them."""
    if size == relevant:
        return 1.0 / (above + 1)
    place = np.arange(size - relevant + 1)  # the first relevant one has so many others before it
    missed = np.append(1.0, np.cumprod((size - relevant - place[:-1]) / (size - place[:-1])))
    return float(np.sum(missed * relevant / (size - place) / (above + place + 1)))


def measure_ranked(sample: Ranked, weights: Values, ids: Values | None, seed: int) -> dict[str, Metric]:
    """The mean of every measure over the groups, each by the mean weight of its rows.

    The intervals are the middle 95 % of Poisson bootstrap replicates that draw whole groups: rows of one group are
    no independent draws.

    Args:
        weights: float64 (rows,).
        ids: uint64 (rows,), the rows' identities; a group's is the least of its rows'. None: no intervals.
    """
    ordered = weights[sample.by_score]
    weight = np.bincount(sample.group, ordered) / sample.sizes
    found = sample.measures()
    known = ~np.isnan(found["ndcg"]) & (weight > 0)
    reasons = reasons_ranked(sample)
    if not known.any():
        reason = "all weights are 0" if not weights.any() else reasons["ndcg"]
        return {name: Metric(None, reason=reason) for name in RANKER}
    values = np.array([found[name][known] for name in RANKER])
    weight = weight[known]
    means = values @ weight / weight.sum()
    if ids is None:
        return {name: Metric(float(mean)) for name, mean in zip(RANKER, means, strict=True)}
    identity = np.full(len(known), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(identity, sample.group, ids[sample.by_score])
    middles = _bootstrap(values, weight, identity[known], seed)
    return {name: Metric(float(mean), *middles[at]) for at, (name, mean) in enumerate(zip(RANKER, means, strict=True))}


def _bootstrap(values: Values, weight: Values, ids: Values, seed: int) -> list[tuple[float | None, float | None]]:
    batches = []
    for counts in intervals.draws(ids, seed, len(RANKER)):
        counted = counts * weight
        total = counted.sum(axis=1)
        batches.append(ratio(counted @ values.T, np.broadcast_to(total[:, None], (len(total), len(values)))))
    replicates = np.concatenate(batches)
    return [intervals.percentiles(replicates[:, at]) or (None, None) for at in range(len(values))]


def reasons_ranked(sample: Ranked) -> dict[str, str]:
    """Every measure there is, and what it means if it is undefined."""
    return dict.fromkeys(RANKER, "no group of two rows or more has a relevant row")


def ratio(above: Values, below: Values) -> Values:
    """The quotient; NaN where nothing is below."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
