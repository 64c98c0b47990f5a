"""Logistic regression: one trip over the rows for each step, their losses and derivatives summed exactly."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

from gpupipe.backends.blas import ONE_THREAD
from gpupipe.backends.exact.sums import sums
from gpupipe.backends.gram.products import NO_TOP, Across, Adding, depth_of
from gpupipe.columns import Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference.math import exp, log, log1p, sigmoid
from gpupipe.models.forms.linear import weighted_sums
from gpupipe.models.partitions.descent import Minimum, Penalty, Point, Wanted, lbfgs, newton
from gpupipe.runtime.reductions.facts import Facts
from gpupipe.runtime.reductions.lesson import Lesson, OverParts, Part

_MOST_DIGITS = 4  # of a feature: 84 bits from the top of its largest value down
_RESIDUAL_DIGITS = 3
NEWTON_UP_TO = 512  # parameters: second derivatives of more cost more than the trips that they spare


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Sums over some rows.

    Attributes:
        loss: of the losses.
        gradient: digits of the first derivatives, as halves of :class:`Adding`.
        grams: for each pair of classes those of the features' products, where asked for.
    """

    loss: Fraction
    gradient: Values
    grams: tuple[Values, ...]


@dataclass(frozen=True, eq=False)
class Sloping(OverParts):
    """The losses of all rows and their derivatives, at some parameters.

    Attributes:
        theta: float64 of shape (outputs, features and intercept); one output for two classes.
        depth: how many digits of second derivatives; 0: none are wanted.
        tops: int64 of shape (features + 1,): all features and the 1 of the intercept are below 2**top.
        n_digits: of each feature.
        weight_top: weights are below 2**weight_top.
    """

    lesson: Lesson
    stage: str
    theta: Values
    depth: int
    tops: Values
    n_digits: int
    weight_top: int
    columns: Sequence[str] | None = None

    @property
    def first(self) -> Across:
        """How first derivatives are summed: features by residuals."""
        residuals = np.full(len(self.theta), self.weight_top)
        return Across(self.tops, residuals, self.n_digits, _RESIDUAL_DIGITS)

    @property
    def second(self) -> Across:
        """How second derivatives are summed: features by the root of a row's curvature, which is at most a half."""
        tops = np.where(self.tops > NO_TOP, self.tops - (-self.weight_top // 2) - 1, NO_TOP)
        return Across(tops, tops, self.depth, self.depth)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Of classes whose second derivatives are gathered."""
        return list(combinations(range(max(2, len(self.theta))), 2)) if self.depth else []

    def prepared(self) -> Callable[[Part], Slopes]:
        """As `OverParts` says."""
        return self._slopes

    def added(self, results: Sequence[Slopes]) -> Slopes:
        """As `OverParts` says."""
        grams = tuple(np.sum(each, axis=0) for each in zip(*(result.grams for result in results), strict=True))
        gradient = np.sum([result.gradient for result in results], axis=0)
        return Slopes(sum((result.loss for result in results), Fraction(0)), gradient, grams)

    def _slopes(self, part: Part) -> Slopes:
        first, second = self.first, self.second
        gradient, grams = Adding(first.shape), [Adding(second.shape) for _ in self.pairs]
        losses = [np.zeros(0)]
        with ONE_THREAD:
            for tile in part.tiles():
                loss, shares, residuals = _of_rows(tile, self.theta)
                losses.append(loss)
                X = np.ones((len(self.tops), len(loss)))
                X[:-1] = tile.X.T
                gradient.add(first.products(X, residuals.T))
                for (a, b), gram in zip(self.pairs, grams, strict=True):
                    gram.add(second.square(X * _curvature(shares, a, b, tile.weights)))
        total = sums(np.concatenate(losses))
        for adding in (gradient, *grams):
            adding.carry()
        loss_sum = Fraction(0) if total is None else total.total.fractions()[0]
        return Slopes(loss_sum, gradient.halves, tuple(gram.halves for gram in grams))

    def point(self, found: Slopes) -> Point:
        """What the sums say of `theta`."""
        gradient = self.first.sums(found.gradient).T
        return Point(float(found.loss), gradient, self._hessian(found) if self.depth else None)

    def _hessian(self, found: Slopes) -> Values:
        outputs, width = self.theta.shape
        blocks = {pair: self.second.sums(halves) for pair, halves in zip(self.pairs, found.grams, strict=True)}
        if outputs == 1:
            return blocks[0, 1]
        hessian = np.zeros((outputs, width, outputs, width))
        for (a, b), block in blocks.items():
            hessian[a, :, b] = hessian[b, :, a] = -block
            hessian[a, :, a] += block
            hessian[b, :, b] += block
        return hessian.reshape(outputs * width, -1)


def _of_rows(part: Part, theta: Values) -> tuple[Values, Values, Values]:
    """(loss of each row, the shares of the classes, the residuals of the outputs), weights in the first and last."""
    scores = weighted_sums(part.X, theta[:, :-1], theta[:, -1])
    loss, shares, residuals = (_two if len(theta) == 1 else _several)(scores, part.y)
    if part.weights is None:
        return loss, shares, residuals
    return loss * part.weights, shares, residuals * part.weights[:, None]


def _two(scores: Values, y: Values) -> tuple[Values, Values, Values]:
    score = scores[:, 0]
    against = np.where(y == 1, -score, score)
    loss = np.maximum(against, 0.0) + log1p(exp(-np.abs(against)))
    shares = np.stack([sigmoid(-score), sigmoid(score)], axis=1)
    wrong = np.where(y == 1, shares[:, 0], shares[:, 1])  # without taking anything from 1
    return loss, shares, np.where(y == 1, -wrong, wrong)[:, None]


def _several(scores: Values, y: Values) -> tuple[Values, Values, Values]:
    rows = np.arange(len(y))
    shifted = scores - scores.max(axis=1, keepdims=True)
    parts = exp(shifted)
    others = parts.copy()
    others[rows, y] = 0.0
    wrong = _in_order(others)
    total = wrong + parts[rows, y]
    shares = parts / total[:, None]
    residuals = shares.copy()
    residuals[rows, y] = -(wrong / total)
    return log(total) - shifted[rows, y], shares, residuals


def _in_order(parts: Values) -> Values:
    """The sum of each row, added in the order of columns."""
    total: Values = parts[:, 0].copy()
    for column in range(1, parts.shape[1]):
        total += parts[:, column]
    return total


def _curvature(shares: Values, a: int, b: int, weights: Values | None) -> Values:
    both = shares[:, a] * shares[:, b]
    found: Values = np.sqrt(both if weights is None else both * weights)
    return found


def logistic(
    lesson: Lesson, facts: Facts, *, penalty: float, intercept: bool, solver: str, tol: float, max_iter: int
) -> Generator[Sloping, Slopes, Minimum]:
    """Yields orders, is sent what comes of them, and returns the parameters: of shape (outputs, features + 1).

    Args:
        penalty: half of it times the sum of squared coefficients is added to the losses.
        intercept: whether there is one; else it is 0.
        solver: as scikit-learn calls it.
        tol, max_iter: of L-BFGS as scikit-learn's; of Newton's method the trips at most.
    """
    assert lesson.classes is not None
    outputs = 1 if len(lesson.classes) == 2 else len(lesson.classes)
    start = np.zeros((outputs, len(facts.tops) + 1))
    of = np.ones_like(start)
    of[:, -1] = 0.0
    tops = np.append(facts.tops, 1 if intercept else NO_TOP)
    how: dict[str, Any] = {
        "tops": tops,
        "n_digits": depth_of(facts.tops, facts.last_bits, _MOST_DIGITS),
        "weight_top": facts.weight_top,
    }
    by_newton = solver == "newton-cholesky" or (solver != "newton-cg" and start.size <= NEWTON_UP_TO)
    weight = float(facts.weight)
    steps = newton if by_newton else lbfgs
    beyond = (max_iter,) if by_newton else (tol, max_iter)
    descent = steps(start, Penalty(penalty, of), weight, *beyond)
    wanted: Wanted = next(descent)
    for number in range(1, 1 << 30):
        order = Sloping(lesson, f"step {number} of logistic regression", wanted.theta, wanted.depth, **how)
        found = yield order
        try:
            wanted = descent.send(_without_intercept(order.point(found), intercept))
        except StopIteration as end:
            minimum: Minimum = end.value
            return minimum
    raise InternalError("A descent did not end. Please report this.")


def _without_intercept(point: Point, intercept: bool) -> Point:
    """Where there is no intercept, nothing falls towards one."""
    if intercept:
        return point
    gradient, hessian = point.gradient.copy(), point.hessian
    gradient[:, -1] = 0.0
    if hessian is not None:
        outputs, width = gradient.shape
        blocks = hessian.reshape(outputs, width, outputs, width).copy()
        blocks[:, -1], blocks[:, :, :, -1] = 0.0, 0.0
        hessian = blocks.reshape(hessian.shape)
    return Point(point.loss, gradient, hessian)
