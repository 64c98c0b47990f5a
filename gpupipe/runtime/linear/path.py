"""Linear regression and ridge over folds × penalties from one trip over the rows: covariances by fold, then algebra."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.compiler.covariances import Covariances, covariances
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import Plan
from gpupipe.models.estimators import describe
from gpupipe.models.fitted import Model
from gpupipe.models.forms.linear import Linear
from gpupipe.models.normal import Scores, Solutions, ridge, scores
from gpupipe.runtime.linear.sums import MOST_COLUMNS, GatheredSums


def is_linear(model: Any) -> bool:
    """Whether it is one of the models that covariances may be enough for."""
    row = describe(model)
    return row.module == "sklearn.linear_model" and row.name in ("Ridge", "LinearRegression")


def penalty_of(model: Any) -> float | str:
    """The penalty of a model that covariances are enough for; or why they are not."""
    if not is_linear(model):
        return f"{describe(model).name} is no Ridge or LinearRegression"
    if model.positive:
        return "positive=True asks for coefficients from 0 on"
    try:
        copy.deepcopy(model).fit([[0.0], [1.0]], [0.0, 1.0])
    except (ValueError, TypeError) as error:
        return f"its library refuses its parameters: {error}"
    alpha = getattr(model, "alpha", 0.0)
    return float(alpha) if np.ndim(alpha) == 0 else "there is a penalty for each target"


def linear_path(plan: Plan, models: Sequence[Any]) -> "LinearPath | str":
    """The path of some models over a plan's features; or why they must be trained on rows."""
    penalties = [penalty_of(model) for model in models]
    refused = [penalty for penalty in penalties if isinstance(penalty, str)]
    if refused:
        return refused[0]
    found = covariances(plan)
    if isinstance(found, str):
        return found
    if len(found.columns) > MOST_COLUMNS:
        return f"there are more than {MOST_COLUMNS} columns of numbers"
    return LinearPath(plan, found, models, [float(penalty) for penalty in penalties])


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """One fold's models.

    Attributes:
        models: one of each penalty, ready to score.
        n_trained, n_judged: how many rows they trained with, and are judged on.
        scores: on the rows that they are judged on.
        mean: of the target in the training rows; `baseline`: how well it predicts the others.
    """

    models: tuple[Model, ...]
    n_trained: int
    n_judged: int
    scores: Scores
    mean: float
    baseline: Scores

    @property
    def notes(self) -> dict[str, Any]:
        """What is noted of each model."""
        return {"rows": self.n_trained, "baseline": self.mean}


class LinearPath(GatheredSums):
    """Linear models of any folds, solved from covariances of one trip over the rows.

    Args:
        plan: whose features they are of.
        found: what is gathered.
        models, penalties: the estimators, alike but for their penalties.
    """

    def __init__(self, plan: Plan, found: Covariances, models: Sequence[Any], penalties: Sequence[float]) -> None:
        super().__init__(plan, found)
        self._row, self._models, self._penalties = describe(models[0]), models, penalties

    def solved(self, trains: Iterable[int], tests: Iterable[int], fitted: Fitted, names: Sequence[str]) -> Solved:
        """A fold's models, and how well they predict its own rows.

        Args:
            trains, tests: the cells it trains with, and is judged on.
            fitted: what its training rows taught.
            names: of its features, in order.
        """
        train, test = self.moments(fitted, trains, tests)
        found, row = ridge(train, self._penalties, intercept=self._models[0].fit_intercept), self._row
        models = tuple(
            Model(row.path, row.kind, None, tuple(names), "identity", Linear(weights[None], intercept[None]))
            for weights, intercept in zip(found.coefficients, found.intercepts, strict=True)
        )
        mean = float(train.mean[-1])
        trivial = Solutions(np.zeros((1, len(names))), np.array([mean]))
        return Solved(models, train.n, test.n, scores(test, found), mean, scores(test, trivial))
