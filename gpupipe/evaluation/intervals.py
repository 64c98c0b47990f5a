"""95 % intervals: Wilson for shares, DeLong for ROC AUC, a Poisson bootstrap for everything else.

The bootstrap draws how often a row counts from the row's identity and the number of the replicate, nothing
else: so neither order nor partitioning of the rows changes an interval, and rows of one identity are drawn
together.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpupipe.kernels.reference.hashing import counter_uniform

Values = np.ndarray[Any, Any]

Z = 1.959963984540054  # the normal quantile of 0.975
REPLICATES = 200
# Numbers a batch of replicates may hold: enough to be vectorised for a small slice, few enough for the cache.
_BATCH = 2**19
_PURPOSE = 0x626F6F74  # "boot"
_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # splitmix64's step


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's interval (1927) for a share seen among `size` rows; `size` is the effective one for weighted
    rows.

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    z2 = Z * Z
    center = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = Z / (1 + z2 / size) * math.sqrt(share * (1 - share) / size + z2 / (4 * size * size))
    return max(0.0, min(center - half, share)), min(1.0, max(center + half, share))


def delong(area: float, errors: Values, size: float) -> tuple[float, float]:
    """An interval for an ROC area, symmetric in its logit, so that it stays between 0 and 1.

    Args:
        area: the area, or the mean of several.
        errors: float64 (rows,), what :meth:`gpupipe.evaluation.ranking.Ranking.roc_auc` returns, or the mean
            of it.
        size: the effective size of the smallest class. Where every pair is in order DeLong's variance is
            zero; the interval is then Wilson's for that many rows.
    """
    variance = float(np.sum(errors * errors))
    spread = area * (1 - area)
    if spread <= 0 or not variance > 0:
        return wilson(min(max(area, 0.0), 1.0), size)
    logit, half = math.log(area / (1 - area)), Z * math.sqrt(variance) / spread
    return _expit(logit - half), _expit(logit + half)


def draws(ids: Values, seed: int, cells: int = 0) -> Iterator[Values]:
    """How often each row counts in each replicate: Poisson of mean 1, in batches uint8 (replicates, rows).

    The hash of a row's identity starts a splitmix64 stream (Steele, Lea and Flood 2014) of the row's own.
    Each word of it makes four draws of 16 bits, so probabilities are multiples of 2^-16
    and counts end at 8; all batches together are `REPLICATES` long.

    Args:
        ids: uint64 (rows,).
        cells: how many numbers the caller makes of one replicate, when more than rows.
    """
    start = counter_uniform(seed, _PURPOSE, ids)
    words = REPLICATES // 4
    step = max(1, _BATCH // (4 * max(len(ids), cells, 1)))
    for first in range(0, words, step):
        count = min(step, words - first)
        steps = np.arange(first + 1, first + count + 1, dtype=np.uint64)[:, None] * _GAMMA
        hashed = _scatter(start + steps)
        parts = [_poisson(hashed >> np.uint64(16 * part)) for part in range(4)]
        yield np.stack(parts, axis=1).reshape(4 * count, len(ids))


def percentiles(replicates: Values) -> tuple[float, float] | None:
    """The middle 95 % of a measure's replicates, float64 (replicates,); those where it is undefined (NaN) are
    left out, and if that is more than half there is no interval.
    """
    known = replicates[~np.isnan(replicates)]
    if 2 * len(known) < len(replicates) or not len(known):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _scatter(state: Values) -> Values:
    """splitmix64's output for each state; works in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
    return state


def _poisson(hashed: Values) -> Values:
    """The counts that the low 16 bits of each hash stand for."""
    low = hashed.astype(np.uint16)
    counts = np.zeros(low.shape, np.uint8)
    for threshold in _THRESHOLDS:
        counts += low >= threshold
    return counts


# How many of the 2^16 draws give 0, at most 1, at most 2…
_THRESHOLDS = [
    np.uint16(round(2**16 * sum(math.exp(-1) / math.factorial(i) for i in range(k + 1)))) for k in range(8)
]
