"""Principal components of every fold from one trip over the rows, and how much of the fold's own variance they keep."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.compiler.covariances import Covariances, covariances
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import Plan
from gpupipe.errors import TrainingError, counted
from gpupipe.models.estimators import describe
from gpupipe.models.families.cluster import Projection
from gpupipe.models.fitted import Model
from gpupipe.models.normal import principal_components, share_kept
from gpupipe.runtime.linear.path import LinearPath, linear_path
from gpupipe.runtime.linear.sums import MOST_COLUMNS, GatheredSums

_EXACT = ("auto", "full", "covariance_eigh")  # solvers that give what covariances give


def is_pca(model: Any) -> bool:
    """Whether it is scikit-learn's PCA, which is judged by the variance that it keeps."""
    row = describe(model)
    return row.module == "sklearn.decomposition" and row.name == "PCA"


def component_path(plan: Plan, model: Any) -> "ComponentPath | str":
    """The components of a plan's features; or why they must come from rows."""
    refused = _refused(model)
    if refused is not None:
        return refused
    found = covariances(plan, supervised=False)
    if isinstance(found, str):
        return found
    if len(found.columns) > MOST_COLUMNS:
        return f"there are more than {MOST_COLUMNS} columns of numbers"
    return ComponentPath(plan, found, model)


def _refused(model: Any) -> str | None:
    if model.svd_solver not in _EXACT:
        return f"svd_solver={model.svd_solver!r} works on rows"
    if not _is_count(model.n_components):
        return f"n_components={model.n_components!r} is no count from 1 on, no share below 1, and not None"
    try:
        copy.deepcopy(model).set_params(n_components=1).fit([[0.0, 1.0], [1.0, 3.0], [2.0, 4.0]])
    except (ValueError, TypeError) as error:
        return f"its library refuses its parameters: {error}"
    return None


def _is_count(wanted: Any) -> bool:
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        return int(wanted) >= 1
    return wanted is None or (isinstance(wanted, float) and 0 < wanted < 1)


@dataclass(frozen=True, slots=True, eq=False)
class Projected:
    """One fold's components.

    Attributes:
        models: the one model, ready to transform.
        n_trained, n_judged: how many rows it trained with, and is judged on.
        kept: the share of the latter's variance about the training mean that their projection keeps; NaN if there is
            none.
    """

    models: tuple[Model, ...]
    n_trained: int
    n_judged: int
    kept: float

    @property
    def notes(self) -> dict[str, Any]:
        """What is noted of each model."""
        return {"rows": self.n_trained, "baseline": None}


class ComponentPath(GatheredSums):
    """Principal components of any folds, from covariances of one trip over the rows.

    Args:
        plan: whose features they are of.
        found: what is gathered.
        model: the PCA.
    """

    def __init__(self, plan: Plan, found: Covariances, model: Any) -> None:
        super().__init__(plan, found)
        self._row, self._whiten, self._wanted = describe(model), bool(model.whiten), model.n_components

    def solved(self, trains: Iterable[int], tests: Iterable[int], fitted: Fitted, names: Sequence[str]) -> Projected:
        """A fold's components, and how much of its own rows they keep.

        Args:
            trains, tests: the cells it trains with, and is judged on.
            fitted: what its training rows taught.
            names: of its features, in order.

        Raises:
            TrainingError: more components than rows or features, or one row.
        """
        train, test = self.moments(fitted, trains, tests)
        self._refuse_few(train.n, len(names))
        found = principal_components(train, self._wanted)
        scale = np.ones(len(found.components))
        if self._whiten:
            scale = np.maximum(np.sqrt(found.explained_variance), np.finfo(np.float64).eps)
        body = Projection(found.mean, np.ascontiguousarray(found.components), scale)
        model = Model(self._row.path, self._row.kind, None, tuple(names), "none", body)
        return Projected((model,), train.n, test.n, share_kept(test, found.components, train.mean))

    def _refuse_few(self, n_rows: int, n_features: int) -> None:
        shape = f"{counted(n_rows, 'row')} × {counted(n_features, 'feature')}"
        if n_rows < 2:
            raise TrainingError(f"{self._row.path} cannot train on {shape}: one row has no variance. Give more rows.")
        if isinstance(self._wanted, int | np.integer) and self._wanted > min(n_rows, n_features):
            raise TrainingError(
                f"{self._row.path} cannot find {counted(int(self._wanted), 'component')} in {shape}. Ask for "
                f"n_components={min(n_rows, n_features)} or fewer."
            )


CovariancePath = LinearPath | ComponentPath


def path_from_covariances(plan: Plan, models: Sequence[Any]) -> CovariancePath | str:
    """How covariances give a cross-validation's models; or why they must be trained on rows."""
    return component_path(plan, models[0]) if is_pca(models[0]) else linear_path(plan, models)
