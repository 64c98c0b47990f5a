"""Estimators to fitted state, from what trips over the rows add up to: a function for each kind.

Each is a generator that yields orders, is sent what comes of them, and gives the clone the attributes that its library
would have given it: the table of estimators reads them as it reads any.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf
from typing import Any

import numpy as np

from gpupipe.backends.gram.products import tops_of
from gpupipe.errors import CovarianceError, TrainingError, counted
from gpupipe.models.families.rows import Row
from gpupipe.models.normal import principal_components, ridge
from gpupipe.models.partitions import bayes
from gpupipe.models.partitions.convergence import warn_unconverged
from gpupipe.runtime.reductions.classes import SummingByGroup
from gpupipe.runtime.reductions.facts import Facts
from gpupipe.runtime.reductions.grams import Multiplying, moments_of, of_target
from gpupipe.runtime.reductions.kmeans import kmeans
from gpupipe.runtime.reductions.lesson import Lesson
from gpupipe.runtime.reductions.logistic import logistic

MOST_COLUMNS = 256  # sums of their digits take 20 MB a partition at work, and 16 times the products of float64


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be learned.

    Attributes:
        row: of the table of estimators.
        clone: the estimator, its parameters about labels told in codes.
        lesson: what partitions teach.
        facts: what is known of all rows.
    """

    row: Row
    clone: Any
    lesson: Lesson
    facts: Facts

    @property
    def weighted(self) -> bool:
        """Whether rows weigh differently."""
        return self.lesson.features.plan.weights is not None

    @property
    def class_weights(self) -> list[Fraction]:
        """Of each class, in order."""
        assert self.lesson.classes is not None
        return [self.facts.labels[label][1] for label in self.lesson.classes]


Steps = Generator[Any, Any, None]


def with_class_weights(task: Task, given: Any) -> Task:
    """Rows weighted by their class as well, as scikit-learn's ``class_weight`` asks."""
    if given is None:
        return task
    weights, classes = task.class_weights, len(task.class_weights)
    if isinstance(given, str):
        whole = sum(weights)
        factors = [float(whole / (classes * weight)) if weight else 0.0 for weight in weights]
    else:
        factors = [float(given.get(code, 1.0)) for code in range(classes)]
    total = sum((weight * Fraction(factor) for weight, factor in zip(weights, factors, strict=True)), Fraction(0))
    top = task.facts.weight_top + int(tops_of(np.array([[max(factors)]]))[0])
    lesson = replace(task.lesson, factors=tuple(factors))
    return replace(task, lesson=lesson, facts=replace(task.facts, weight=total, weight_top=top))


def logistic_regression(task: Task) -> Steps:
    """LogisticRegression."""
    clone = task.clone
    weighed = with_class_weights(task, clone.class_weight)
    free = clone.get_params()["penalty"] is None or isinf(clone.C)
    minimum = yield from logistic(
        weighed.lesson,
        weighed.facts,
        penalty=0.0 if free else 1.0 / float(clone.C),
        intercept=clone.fit_intercept,
        solver=clone.solver,
        tol=float(clone.tol),
        max_iter=int(clone.max_iter),
    )
    if minimum.why is not None:
        warn_unconverged(
            f"LogisticRegression stopped before the best coefficients: {minimum.why}. Scale the features "
            "(.standardize()), raise max_iter, or lower C."
        )
    clone.coef_, clone.intercept_ = minimum.theta[:, :-1], minimum.theta[:, -1]


def linear_regression(task: Task) -> Steps:
    """LinearRegression and Ridge, of any number of targets."""
    features, n_targets = len(task.facts.tops), len(task.facts.total)
    moments = yield from _moments(task, n_targets)
    alphas = np.broadcast_to(np.asarray(getattr(task.clone, "alpha", 0.0), np.float64).ravel(), (n_targets,))
    found = []
    for target in range(n_targets):
        try:
            chosen = of_target(moments, features, target)
            found.append(ridge(chosen, [float(alphas[target])], intercept=task.clone.fit_intercept))
        except CovarianceError as error:
            raise _no_covariances(task, error) from error
    task.clone.coef_ = np.concatenate([each.coefficients for each in found])
    task.clone.intercept_ = np.concatenate([each.intercepts for each in found])


def components(task: Task) -> Steps:
    """PCA."""
    clone, n, wanted = task.clone, task.facts.n, task.clone.n_components
    shape = f"{counted(n, 'row')} × {counted(len(task.facts.tops), 'feature')}"
    if n < 2:
        raise TrainingError(f"{task.row.path} cannot train on {shape}: one row has no variance. Give more rows.")
    if isinstance(wanted, int | np.integer) and wanted > min(n, len(task.facts.tops)):
        raise TrainingError(
            f"{task.row.path} cannot find {counted(int(wanted), 'component')} in {shape}. Ask for "
            f"n_components={min(n, len(task.facts.tops))} or fewer."
        )
    share = isinstance(wanted, float) and wanted < 1
    found = principal_components((yield from _moments(task, 0)), wanted if share or wanted is None else int(wanted))
    clone.components_, clone.mean_ = np.ascontiguousarray(found.components), found.mean
    clone.explained_variance_ = found.explained_variance


def _moments(task: Task, n_targets: int) -> Generator[Any, Any, Any]:
    features = task.lesson.features
    shown = [*features.names, *(f"the target {number}" for number in range(n_targets)), "the weights"]
    if len(features.names) + n_targets > MOST_COLUMNS:
        raise TrainingError(
            f"{task.row.name} is trained on partitions with at most {MOST_COLUMNS} features and targets, and there are "
            f"{len(features.names) + n_targets}. Give fewer, or training='gather'."
        )
    order = Multiplying(task.lesson, "covariances of features", tuple(shown), task.facts.n * len(shown))
    try:
        gram = yield order
    except CovarianceError as error:
        raise _no_covariances(task, error) from error
    return moments_of(gram, weighted=task.weighted)


def _no_covariances(task: Task, error: CovarianceError) -> TrainingError:
    return TrainingError(
        f"{task.row.name} cannot be trained on partitions here: {str(error).rstrip('.')}. Leave such features out, "
        "take Ridge with a penalty, or give training='gather', which trains on a matrix of all rows in this process."
    )


def clusters(task: Task) -> Steps:
    """KMeans."""
    params, n_features = task.clone.get_params(deep=False), len(task.facts.tops)
    _refuse_clusters(task, params["n_clusters"], params["init"], n_features)
    tol = 0.0
    if params["tol"]:
        order = SummingByGroup(replace(task.lesson, unweighted=True), "variances", 1, squares=True)
        found = order.read((yield order))
        assert found.squares is not None
        mean = found.totals[0] / Fraction(task.facts.n)
        spread = (found.squares[0] / Fraction(task.facts.n) - mean * mean).sum()
        tol = float(spread) / n_features * float(params["tol"])
    centres = yield from kmeans(task.lesson, n_features, params, tol)
    distinct = len(np.unique(centres, axis=0))
    if distinct < len(centres):
        warn_unconverged(f"KMeans was asked for {len(centres)} clusters and found {distinct} different ones.")
    task.clone.cluster_centers_ = centres


def _refuse_clusters(task: Task, count: int, init: Any, n_features: int) -> None:
    if count > task.facts.n:
        raise TrainingError(f"{task.row.path} cannot find {count} clusters in {counted(task.facts.n, 'row')}.")
    if not isinstance(init, str) and np.shape(init) != (count, n_features):
        raise TrainingError(f"KMeans: init has the shape {np.shape(init)}, and it takes ({count}, {n_features}).")


def gaussian_bayes(task: Task) -> Steps:
    """GaussianNB."""
    classes = len(task.class_weights)
    order = SummingByGroup(task.lesson, "sums by class", classes, squares=True)
    found = order.read((yield order))
    plain = found
    if task.weighted:
        order = SummingByGroup(replace(task.lesson, unweighted=True), "sums without weights", classes, squares=True)
        plain = order.read((yield order))
    bayes.gaussian(task.clone, task.class_weights, found, plain, task.facts.n)


def counted_bayes(task: Task) -> Steps:
    """MultinomialNB, ComplementNB and BernoulliNB."""
    bernoulli = task.row.name == "BernoulliNB"
    above = float(task.clone.binarize) if bernoulli and task.clone.binarize is not None else None
    order = SummingByGroup(task.lesson, "sums by class", len(task.class_weights), above=above)
    order = replace(order, who=None if bernoulli else task.row.name)
    bayes.counted(task.clone, task.class_weights, order.read((yield order)), task.row.name)


TEACHERS: dict[str, Callable[[Task], Steps]] = {
    "LinearRegression": linear_regression,
    "Ridge": linear_regression,
    "LogisticRegression": logistic_regression,
    "PCA": components,
    "KMeans": clusters,
    "GaussianNB": gaussian_bayes,
    "MultinomialNB": counted_bayes,
    "ComplementNB": counted_bayes,
    "BernoulliNB": counted_bayes,
}
