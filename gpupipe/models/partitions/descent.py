"""Minima of convex losses that trips over rows evaluate: Newton's method, and L-BFGS where there are many parameters.

Each is a generator: it yields the parameters that it wants to know of, is sent what the rows say, and returns where it
ended. So it knows nothing of rows, and whoever goes over them nothing of it.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.backends.blas import ONE_THREAD

Floats = NDArray[np.float64]

_ENOUGH = 1e-4  # of the decrease that the slope promises (Nocedal and Wright 2006, section 3.1)
_SHORTEST = 2.0**-40  # share of a step
_ROUNDING = 1e-13  # of the loss, below which a difference tells nothing
_LAST = 1e-9  # the largest part of a step, of the largest parameter: squared by Newton's next, it is below rounding
_NULL = 1e-12  # of the largest eigenvalue
_SLOW, _EARLY = 0.1, 4  # a decrement that falls by less, after so many steps: the matrix is too coarse
_PAIRS = 10  # that L-BFGS remembers, as scikit-learn's
_SOLVED = 1e-9  # mean loss of rows that are told apart


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Parameters that something must be known of.

    Attributes:
        theta: float64 of shape (outputs, features and intercept).
        depth: how many digits of the second derivatives are wanted; 0: none are.
    """

    theta: Floats
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What the rows say: the sum of their losses, and its derivatives.

    Attributes:
        loss: the sum.
        gradient: float64, of the shape of theta.
        hessian: float64 of shape (size, size) of the size of theta, or None.
    """

    loss: float
    gradient: Floats
    hessian: Floats | None


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where it ended.

    Attributes:
        theta: the parameters.
        trips: over the rows.
        why: why they are not those of the minimum; None: they are.
    """

    theta: Floats
    trips: int
    why: str | None = None


Descent = Generator[Wanted, Point, Minimum]


@dataclass(frozen=True, slots=True, eq=False)
class Penalty:
    """``strength / 2 * sum(theta**2)`` over those that are penalised.

    Attributes:
        strength: from 0 on.
        of: 0 or 1 of the shape of theta.
    """

    strength: float
    of: Floats

    def added(self, theta: Floats, point: Point) -> tuple[float, Floats, Floats | None]:
        """(value, gradient, hessian) with the penalty."""
        some = self.of * theta
        value = point.loss + 0.5 * self.strength * float((some * some).sum())
        second = point.hessian
        if second is not None:
            second = second + np.diag(self.strength * self.of.ravel())
        return value, point.gradient + self.strength * some, second


def newton(start: Floats, penalty: Penalty, weight: float, max_iter: int) -> Descent:
    """Newton's method, its steps halved where the loss does not fall.

    Directions that no row and no penalty says anything of are left where they started, so that of many minima the one
    nearest to the start is found.

    Args:
        weight: of all rows together.
        max_iter: trips at most.
    """
    theta, depth, before = start, 1, np.inf
    value, gradient, hessian = penalty.added(theta, (yield Wanted(theta, depth)))
    for trips in range(1, max_iter + 1):
        assert hessian is not None
        step = _newton_step(hessian, gradient)
        decrement = -float((gradient * step).sum())
        if not np.isfinite(decrement) or (not penalty.strength and value <= _SOLVED * weight):
            return Minimum(theta, trips, _SEPARABLE)
        if np.abs(step).max(initial=0.0) <= _LAST * np.abs(theta + step).max(initial=0.0) or decrement <= 0:
            return Minimum(theta + step, trips)
        if trips > _EARLY and decrement > _SLOW * before:
            depth = 2
        share, before = 1.0, decrement
        while True:
            if trips >= max_iter or share < _SHORTEST:
                return Minimum(theta, trips, _no_end(max_iter))
            trial = theta + share * step
            found, slope, second = penalty.added(trial, (yield Wanted(trial, depth)))
            if found <= value - _ENOUGH * share * decrement + _ROUNDING * abs(value):
                break
            share /= 2
        theta, value, gradient, hessian = trial, found, slope, second
    return Minimum(theta, max_iter, _no_end(max_iter))


_SEPARABLE = (
    "a weighted sum of the features tells the classes apart in every row, and without a penalty the best coefficients "
    "have no bound"
)


def _no_end(max_iter: int) -> str:
    return f"max_iter={max_iter} trips were not enough"


def _newton_step(hessian: Floats, gradient: Floats) -> Floats:
    """The least norm solution of ``hessian @ step = -gradient``; rank is judged on parameters scaled alike."""
    found = np.zeros(gradient.size)
    live = np.flatnonzero(np.diagonal(hessian) > 0)
    size = np.sqrt(np.diagonal(hessian)[live])
    scaled = hessian[np.ix_(live, live)] / size[:, None] / size[None, :]
    with ONE_THREAD:
        values, vectors = np.linalg.eigh(scaled)
    kept = values > _NULL * values.max(initial=0.0)
    inside = vectors[:, kept] / size[:, None]
    step = -(inside @ ((inside.T @ gradient.ravel()[live]) / values[kept]))
    if not kept.all():
        outside = np.linalg.qr(vectors[:, ~kept] / size[:, None])[0]
        step -= outside @ (outside.T @ step)
    found[live] = step
    return found.reshape(gradient.shape)


def lbfgs(start: Floats, penalty: Penalty, weight: float, tol: float, max_iter: int) -> Descent:
    """L-BFGS (Liu and Nocedal 1989) with halved steps, until no part of the mean loss's gradient is above `tol`.

    Args:
        weight: of all rows together.
        max_iter: steps at most; a trip over the rows each, and a few to find how long it is.
    """
    theta, pairs = start, deque[tuple[Floats, Floats]](maxlen=_PAIRS)
    value, gradient, _ = penalty.added(theta, (yield Wanted(theta, 0)))
    trips = 1
    for _ in range(max_iter):
        if np.abs(gradient).max(initial=0.0) <= tol * weight:
            return Minimum(theta, trips)
        step = _lbfgs_step(gradient, pairs)
        slope = float((gradient * step).sum())
        share = 1.0
        while True:
            trial = theta + share * step
            found, new, _ = penalty.added(trial, (yield Wanted(trial, 0)))
            trips += 1
            if found <= value + _ENOUGH * share * slope + _ROUNDING * abs(value):
                break
            share /= 2
            if share < _SHORTEST:
                return Minimum(theta, trips, "the loss falls no further, and its gradient is not below tol yet")
        moved, turned = trial - theta, new - gradient
        if float((moved * turned).sum()) > 0:
            pairs.append((moved, turned))
        theta, value, gradient = trial, found, new
    return Minimum(theta, trips, _no_end(max_iter))


def _lbfgs_step(gradient: Floats, pairs: Any) -> Floats:
    step, weights = -gradient, []
    for moved, turned in reversed(pairs):
        weight = float((moved * step).sum()) / float((moved * turned).sum())
        weights.append(weight)
        step = step - weight * turned
    if pairs:
        moved, turned = pairs[-1]
        step = step * (float((moved * turned).sum()) / float((turned * turned).sum()))
    else:
        step = step / max(1.0, float(np.abs(gradient).sum()))
    for (moved, turned), weight in zip(pairs, reversed(weights), strict=True):
        step = step + moved * (weight - float((turned * step).sum()) / float((moved * turned).sum()))
    return step
