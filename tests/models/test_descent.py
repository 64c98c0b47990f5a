"""Newton's method and L-BFGS over losses known in closed form, against SciPy and algebra."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from gpupipe.models.partitions.descent import Descent, Minimum, Penalty, Point, lbfgs, newton

RNG = np.random.default_rng(0)
A = RNG.normal(size=(60, 5))


def driven(descent: Descent, loss: Any) -> Minimum:
    """What a descent returns, its questions answered."""
    wanted = next(descent)
    while True:
        try:
            wanted = descent.send(loss(wanted.theta, wanted.depth))
        except StopIteration as end:
            found: Minimum = end.value
            return found


def curved(theta: Any, depth: int = 1) -> Point:
    """The sum of log(cosh(a x - 1)), convex."""
    at = A @ theta.ravel() - 1
    gradient = (A.T @ np.tanh(at)).reshape(theta.shape)
    second = (A.T / np.cosh(at) ** 2) @ A if depth else None
    return Point(float(np.log(np.cosh(at)).sum()), gradient, second)


def start(width: int = 5) -> Any:
    return np.zeros((1, width))


@pytest.mark.parametrize("strength", [0.0, 2.0])
@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_the_minimum_is_scipys(method: str, strength: float) -> None:
    of = np.ones((1, 5))
    of[:, -1] = 0.0
    penalty = Penalty(strength, of)
    descent = newton(start(), penalty, 60.0, 50) if method == "newton" else lbfgs(start(), penalty, 60.0, 1e-12, 500)
    found = driven(descent, curved)

    def value(x: Any) -> float:
        return curved(x).loss + 0.5 * strength * float((of * x * x).sum())

    theirs = minimize(value, np.zeros(5), jac=lambda x: curved(x).gradient + strength * of[0] * x, tol=1e-12)
    assert found.why is None
    assert np.allclose(found.theta, theirs.x, rtol=1e-6, atol=1e-8)


def test_of_many_minima_newton_finds_the_least() -> None:
    """Two columns that are the same, and one of zeros."""
    columns = np.stack([A[:, 0], A[:, 0], A[:, 1], np.zeros(60)], axis=1)
    target = A @ np.arange(5.0)

    def squares(theta: Any, depth: int) -> Point:
        off = columns @ theta[0] - target
        return Point(float(off @ off) / 2, (columns.T @ off)[None], columns.T @ columns)

    found = driven(newton(start(4), Penalty(0.0, np.ones((1, 4))), 60.0, 20), squares)
    assert np.allclose(found.theta[0], np.linalg.lstsq(columns, target, rcond=None)[0], atol=1e-10)
    assert found.trips <= 3


def test_a_coarse_matrix_is_asked_for_more_exactly() -> None:
    asked = []

    def coarse(theta: Any, depth: int) -> Point:
        asked.append(depth)
        point = curved(theta)
        assert point.hessian is not None
        return point if depth == 2 else Point(point.loss, point.gradient, 3.0 * point.hessian)

    found = driven(newton(start(), Penalty(0.1, np.ones((1, 5))), 60.0, 50), coarse)
    exact = driven(newton(start(), Penalty(0.1, np.ones((1, 5))), 60.0, 50), curved)
    assert asked[-1] == 2 and found.why is None and np.allclose(found.theta, exact.theta, rtol=1e-9)


@pytest.mark.parametrize("method", ["newton", "lbfgs"])
def test_too_few_trips_are_told(method: str) -> None:
    descent = newton(start(), Penalty(0.0, np.ones((1, 5))), 60.0, 2)
    if method == "lbfgs":
        descent = lbfgs(start(), Penalty(0.0, np.ones((1, 5))), 60.0, 1e-12, 2)
    assert driven(descent, curved).why == "max_iter=2 trips were not enough"
