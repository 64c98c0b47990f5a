"""One against one: what the decisions of a classifier for each pair of classes amount to.

Pairs stand in the order (0, 1), (0, 2), …, (1, 2), …; a decision above 0 is for the pair's first class.
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gpupipe.kernels.reference.math import exp

Floats = NDArray[np.float64]

LEAST = 1e-7  # no pair is surer than this of either class, as in LIBSVM


def classes_of_pairs(n_pairs: int) -> int:
    """The number of classes that have so many pairs; -1 if none has.

    >>> [classes_of_pairs(n) for n in (1, 3, 4, 6)]
    [2, 3, -1, 4]
    """
    classes = round((1 + (1 + 8 * n_pairs) ** 0.5) / 2)
    return classes if classes > 1 and classes * (classes - 1) == 2 * n_pairs else -1


def classes_of_coupled(n_outputs: int) -> int:
    """The number of classes whose pairs and probabilities together are so many outputs; -1 if there is none."""
    classes = classes_of_pairs(n_outputs) - 1  # n (n - 1) / 2 + n = (n + 1) n / 2
    return classes if classes > 1 else -1


def votes(decisions: Floats) -> NDArray[np.intp]:
    """The class that wins most pairs, the first of those that tie."""
    n_classes = classes_of_pairs(decisions.shape[1])
    won = np.zeros((len(decisions), n_classes))
    for at, (first, second) in enumerate(combinations(range(n_classes), 2)):
        won[:, first] += decisions[:, at] > 0
        won[:, second] += ~(decisions[:, at] > 0)
    return won.argmax(axis=1)


def against_rest(decisions: Floats) -> Floats:
    """A score for each class: pairs won, ties broken by the sums of their decisions (scikit-learn's "ovr" shape)."""
    n_classes = classes_of_pairs(decisions.shape[1])
    won, sums = np.zeros((2, len(decisions), n_classes))
    for at, (first, second) in enumerate(combinations(range(n_classes), 2)):
        lost = decisions[:, at] < 0
        won[:, first] += ~lost
        won[:, second] += lost
        sums[:, first] += decisions[:, at]
        sums[:, second] -= decisions[:, at]
    return won + sums / (3 * (np.abs(sums) + 1))


def pairwise_shares(decisions: Floats, slope: Floats, offset: Floats) -> Floats:
    """P(first class | one of the pair): 1 / (1 + exp(slope * decision + offset)) (Platt 2000)."""
    z = decisions * slope + offset
    small = exp(-np.abs(z))
    return np.clip(np.where(z >= 0, small, 1.0) / (1.0 + small), LEAST, 1.0 - LEAST)


def coupled(shares: Floats) -> Floats:
    """Class probabilities, (rows, classes), that agree best with pairwise ones, (rows, pairs).

    The second method of Wu, Lin and Weng (2004), with LIBSVM's steps and stopping rule (of two classes too, as in
    scikit-learn's copy of it); each row by itself.
    """
    n_classes = classes_of_pairs(shares.shape[1])
    r = np.zeros((n_classes, n_classes, len(shares)))
    for at, (first, second) in enumerate(combinations(range(n_classes), 2)):
        r[first, second], r[second, first] = shares[:, at], 1.0 - shares[:, at]
    q = -r.transpose(1, 0, 2) * r
    for own in range(n_classes):
        q[own, own] = _sum(r[other, own] ** 2 for other in range(n_classes) if other != own)
    found = np.empty((len(shares), n_classes))
    active = np.arange(len(shares))
    p = np.full((n_classes, len(shares)), 1.0 / n_classes)
    for _ in range(max(100, n_classes)):
        qp, pqp = _products(q, p)
        far = ~(np.abs(qp - pqp).max(axis=0) < 0.005 / n_classes)
        found[active[~far]] = p[:, ~far].T
        if not far.any():
            return found
        active, q, p = active[far], q[:, :, far], p[:, far]
        p = _step(q, p, qp[:, far], pqp[far])
    found[active] = p.T
    return found


def _products(q: Floats, p: Floats) -> tuple[Floats, Floats]:
    qp = np.stack([_sum(row[at] * p[at] for at in range(len(p))) for row in q])
    return qp, _sum(p[at] * qp[at] for at in range(len(p)))


def _step(q: Floats, p: Floats, qp: Floats, pqp: Floats) -> Floats:
    for own in range(len(p)):
        change = (pqp - qp[own]) / q[own, own]
        p[own] += change
        pqp = (pqp + change * (change * q[own, own] + 2 * qp[own])) / (1 + change) / (1 + change)
        qp = (qp + change * q[own]) / (1 + change)
        p = p / (1 + change)
    return p


def _sum(terms: Iterable[Floats]) -> Floats:
    """In the order given."""
    total, *rest = terms
    for term in rest:
        total = total + term
    return total


def split(raw: Floats) -> tuple[Floats, Floats]:
    """The decisions and the probabilities of outputs that hold both."""
    n_classes = classes_of_coupled(raw.shape[1])
    return raw[:, :-n_classes], raw[:, -n_classes:]
