"""XGBoost from batches of rows, by its data iterator: bins are kept, in memory or on disk, and no matrix of floats.

What its own estimators do as they fit is done here with matrices of batches, and put where they have it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import GpupipeError, ModelOptionError, TrainingError
from gpupipe.models.families.boosting import need
from gpupipe.models.families.xgb import alone

#: (X, y, weights or None) of some rows.
Batch = tuple[NDArray[np.float32], NDArray[Any], NDArray[np.float64] | None]
#: The batches of all rows, from the first on; asked for once a pass.
Batches = Callable[[], Iterator[Batch]]

BINS = 256  # of a feature, as XGBoost has them where nothing is said


@dataclass(frozen=True, slots=True, eq=False)
class Rounds:
    """What XGBoost's `train` is told.

    Attributes:
        params: as it takes them.
        n_rounds: how many.
        stops: after so many rounds without improvement, or None.
        max_bin: bins of a feature.
    """

    params: dict[str, Any]
    n_rounds: int
    stops: int | None
    max_bin: int


def rounds_of(clone: Any, n_classes: int | None, *, held: bool) -> Rounds:
    """What an estimator's parameters ask for.

    Args:
        clone: prepared, as its row of the table of estimators says.
        n_classes: of a classifier.
        held: whether there are rows to stop by.

    Raises:
        ModelOptionError: parameters that batches cannot be trained with; rows to stop by that would not matter.
        ParameterError: stopping early was asked for, and there are no rows to stop by.
    """
    params = clone.get_xgb_params()
    stops = getattr(clone, "early_stopping_rounds", None)
    if held:
        why = "early_stopping_rounds is not set, so they would not matter. Set it"
        need(stops is not None, type(clone).__name__, why)
    elif stops is not None:
        alone(clone)
    if callable(clone.eval_metric):
        raise ModelOptionError(
            "training='partitions' takes an eval_metric of XGBoost's, by name: a function sees a matrix of all rows."
        )
    if n_classes is not None and n_classes > 2:
        params |= {"objective": "multi:softprob", "num_class": n_classes}
    return Rounds(params, clone.get_num_boosting_rounds(), stops, int(clone.max_bin or BINS))


def learn(clone: Any, rounds: Rounds, batches: Batches, held: Batches | None, folder: str | None) -> None:
    """Train, and give the clone what its own `fit` would have.

    Args:
        folder: where bins are kept that memory has no room for; None: in memory.

    Raises:
        TrainingError: XGBoost refused.
    """
    xgboost = optional.load("xgboost")
    with_refusals(lambda: _learn(xgboost, clone, rounds, batches, held, folder), clone)


def _learn(
    xgboost: Any, clone: Any, rounds: Rounds, batches: Batches, held: Batches | None, folder: str | None
) -> None:
    how: dict[str, Any] = {"max_bin": rounds.max_bin, "nthread": clone.n_jobs}
    made = xgboost.QuantileDMatrix if folder is None else xgboost.ExtMemQuantileDMatrix
    matrix = made(_iterator(xgboost, batches, folder, "rows"), **how)
    watched = []
    if held is not None:
        watched = [(made(_iterator(xgboost, held, folder, "held"), ref=matrix, **how), "validation_0")]
    booster = xgboost.train(
        rounds.params,
        matrix,
        rounds.n_rounds,
        evals=watched,
        early_stopping_rounds=rounds.stops,
        verbose_eval=False,
        callbacks=clone.callbacks,
    )
    taken_over(clone, booster, rounds)


def taken_over(clone: Any, booster: Any, rounds: Rounds) -> None:
    """The clone is as its own `fit` leaves it."""
    clone._Booster = booster
    clone.objective = rounds.params.get("objective", clone.objective)
    if hasattr(clone, "predict_proba"):
        clone.n_classes_ = int(rounds.params.get("num_class", 2))


def with_refusals(train: Callable[[], None], clone: Any) -> None:
    """XGBoost's own words about data or parameters, as ours."""
    try:
        train()
    except GpupipeError:
        raise
    except (ValueError, TypeError) as error:  # XGBoostError is a ValueError
        raise TrainingError(f"xgboost.{type(clone).__name__} refused to train on partitions: {error}") from (
            error.with_traceback(None)  # whose frames hold matrices, and these the files of their bins
        )


def _iterator(xgboost: Any, batches: Batches, folder: str | None, name: str) -> Any:
    class Passes(xgboost.DataIter):
        def __init__(self) -> None:
            self._left = batches()
            super().__init__(cache_prefix=None if folder is None else f"{folder}/{name}")

        def reset(self) -> None:
            self._left = batches()

        def next(self, input_data: Callable[..., None]) -> bool:
            for X, y, weights in self._left:
                if len(X):
                    input_data(data=X, label=y, weight=weights)
                    return True
            return False

    return Passes()
