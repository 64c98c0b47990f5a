"""Linear models solved from covariances: a whole path of penalties from one decomposition, judged without rows.

Solutions are those of scikit-learn's estimators of the same name, found another way: eigenvectors of the centred sums
of products in float64, then refined with residuals in NumPy's longest float, so that few of the digits are lost that
normal equations are known to lose (Björck 1996, section 2.9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.backends.blas import ONE_THREAD
from gpupipe.backends.gram.moments import Moments
from gpupipe.errors import CovarianceError

Floats = NDArray[Any]

_STEPS = 2  # of refinement
_SMALL, _VAGUE = 1e-9, 1e-11  # of the largest eigenvalue
_NULL = 16 * max(float(np.finfo(np.longdouble).eps), 1e-19)  # the same, for each feature: what rounding may leave of 0


@dataclass(frozen=True, slots=True, eq=False)
class Solutions:
    """Linear models on the same features.

    Attributes:
        coefficients: float64 of shape (models, features).
        intercepts: float64 of shape (models,).
    """

    coefficients: Floats
    intercepts: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How well each of some models predicts rows.

    Attributes:
        r2, mse: float64 of shape (models,). R² is NaN where the target is the same in all rows.
    """

    r2: Floats
    mse: Floats


def ridge(moments: Moments, penalties: Sequence[float], *, intercept: bool = True) -> Solutions:
    """The minimum of ``sum((y - X w - b)**2) + penalty * sum(w**2)`` for each penalty; `b` is not penalised.

    Args:
        moments: of the features, then of the target.
        penalties: from 0 on; with 0, the least squares solution of least norm.
        intercept: whether there is a `b`.

    Raises:
        CovarianceError: without a penalty, of features that are nearly dependent, and not quite.

    >>> x_and_y = np.array([[0.0, 1.0, 2.0], [1.0, 3.0, 5.0]])
    >>> mean = x_and_y.mean(axis=1)
    >>> centred = x_and_y - mean[:, None]
    >>> ridge(Moments(3, mean, centred @ centred.T), [0.0, 2.0]).coefficients.round(6).tolist()
    [[2.0], [1.0]]
    """
    about = moments if intercept else _about_zero(moments)
    gram, target = about.cross[:-1, :-1], about.cross[:-1, -1]
    values, vectors = _eigh(gram)
    values = np.maximum(values, 0.0)
    found = np.empty((len(penalties), len(target)))
    for at, penalty in enumerate(penalties):
        if penalty == 0:
            found[at] = _least_norm(gram, target)
        else:
            found[at] = _refined(gram, target, vectors, values + penalty, penalty)
    return _with_intercepts(moments, found, intercept)


def least_squares(moments: Moments, *, intercept: bool = True) -> Solutions:
    """The least squares solution; of several, that of the least norm, as scikit-learn's LinearRegression gives it."""
    return ridge(moments, [0.0], intercept=intercept)


def _about_zero(moments: Moments) -> Moments:
    """Sums of products that are not centred."""
    mean = np.asarray(moments.mean)
    return Moments(moments.n, np.zeros_like(mean), moments.cross + moments.n * mean[:, None] * mean[None, :])


def _refined(gram: Floats, target: Floats, vectors: Floats, values: Floats, penalty: float) -> Floats:
    """``w`` in ``(gram + penalty) w = target``, given the eigenvectors of gram and the eigenvalues of the sum."""
    found = np.zeros_like(target)
    for _ in range(1 + _STEPS):
        residual = target - gram @ found - penalty * found
        found = found + vectors @ ((vectors.T @ residual.astype(np.float64)) / values)
    return found.astype(np.float64)


def _least_norm(gram: Floats, target: Floats) -> Floats:
    """Rank is judged on features scaled to length 1; what a solution has of the null space is then taken off."""
    found = np.zeros(len(target))
    size = np.sqrt(np.diagonal(gram).astype(np.float64))
    live = np.flatnonzero(size)  # a constant feature has no part in the least norm
    gram, target, size = gram[np.ix_(live, live)], target[live], size[live]
    values, vectors = _spectrum(gram / size[:, None] / size[None, :])
    largest = values.max(initial=0.0)
    kept = values > _NULL * len(values) * largest
    if (values[kept] < _VAGUE * largest).any():
        raise CovarianceError("some features are so nearly dependent that their covariances do not tell it from fully")
    inside = vectors[:, kept] / size[:, None]
    solution = np.zeros_like(target)
    for _ in range(1 + _STEPS):
        residual = (target - gram @ solution).astype(np.float64)
        solution = solution + inside @ ((inside.T @ residual) / values[kept])
    outside = np.linalg.qr(vectors[:, ~kept] / size[:, None])[0]
    found[live] = solution - outside @ (outside.T @ solution.astype(np.float64))
    return found


def _eigh(gram: Floats) -> tuple[Floats, Floats]:
    with ONE_THREAD:  # small: threads would wait for each other
        values, vectors = np.linalg.eigh(gram.astype(np.float64))
    return values, vectors


def _spectrum(gram: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues and eigenvectors, the small ones worked out again in the space that their vectors span.

    There the longest float tells an eigenvalue of 1e-14 of the largest from one that is 0.
    """
    values, vectors = _eigh(gram)
    small = vectors[:, values < _SMALL * values.max(initial=0.0)]
    if small.shape[1]:
        again, turned = _eigh(small.T @ gram @ small)
        values[: len(again)], vectors[:, : len(again)] = again, small @ turned
    return values, vectors


def _with_intercepts(moments: Moments, coefficients: Floats, intercept: bool) -> Solutions:
    means = moments.mean
    at_zero = means[-1] - coefficients @ means[:-1] if intercept else np.zeros(len(coefficients))
    return Solutions(coefficients, np.asarray(at_zero, np.float64))


def scores(moments: Moments, solutions: Solutions) -> Scores:
    """How well models predict the rows that `moments` are of: features, then the target."""
    weights = np.concatenate([-solutions.coefficients, np.ones((len(solutions.coefficients), 1))], axis=1)
    spread = ((weights @ moments.cross) * weights).sum(axis=1)
    offset = weights @ moments.mean - solutions.intercepts
    mse = np.asarray(np.maximum(spread, 0.0) / moments.n + offset**2, np.float64)
    variance = float(moments.cross[-1, -1]) / moments.n
    return Scores(1.0 - mse / variance if variance > 0 else np.full(len(mse), np.nan), mse)


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Principal components.

    Attributes:
        components: float64 of shape (components, features), of length 1, the entry of the largest magnitude positive.
        explained_variance: float64 of shape (components,), with ddof=1.
        explained_variance_ratio: float64 of shape (components,).
        mean: float64 of shape (features,).
    """

    components: Floats
    explained_variance: Floats
    explained_variance_ratio: Floats
    mean: Floats


def principal_components(moments: Moments, wanted: int | float | None) -> Components:
    """The first principal components of features, with the signs of scikit-learn's PCA.

    Args:
        wanted: how many; the share of the variance, between 0 and 1, that they are to explain more than; None: all.

    >>> found = principal_components(Moments(3, np.zeros(2), np.array([[8.0, 0.0], [0.0, 2.0]])), 1)
    >>> found.components.tolist(), found.explained_variance.tolist(), found.explained_variance_ratio.tolist()
    ([[1.0, 0.0]], [4.0], [0.8])
    """
    values, vectors = _eigh(moments.cross / (moments.n - 1))
    variances = np.maximum(values[::-1], 0.0)
    total = variances.sum()
    ratio = variances / total if total > 0 else np.zeros_like(variances)
    count = min(moments.n, len(variances))
    if isinstance(wanted, float):
        count = min(count, int(np.searchsorted(np.cumsum(ratio), wanted, side="right")) + 1)
    elif wanted is not None:
        count = wanted
    components = vectors.T[::-1][:count]
    largest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    mean = np.asarray(moments.mean, np.float64)
    return Components(components * np.sign(largest)[:, None], variances[:count], ratio[:count], mean)


def share_kept(moments: Moments, components: Floats, mean: Floats) -> float:
    """The share of the variance about `mean` that a projection on `components` keeps; NaN where there is none.

    Args:
        moments: of the features over the rows that are projected.
        components: of shape (components, features): of length 1, at right angles.
        mean: of shape (features,): what is taken off before.

    >>> share_kept(Moments(2, np.zeros(2), np.array([[6.0, 0.0], [0.0, 2.0]])), np.array([[1.0, 0.0]]), np.zeros(2))
    0.75
    """
    off = moments.mean - mean
    about = moments.cross + moments.n * off[:, None] * off[None, :]
    total = np.diagonal(about).sum()
    return float(((components @ about) * components).sum() / total) if total > 0 else float("nan")
