"""XGBoost on a cluster: `xgboost.dask` trains where the partitions' matrices are made."""

import uuid
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.clusters import tasks
from gpupipe.clusters.reading import Reading
from gpupipe.clusters.recipes import Asked
from gpupipe.models.partitions.boosted import Rounds, taken_over, with_refusals
from gpupipe.runtime.orders import Order
from gpupipe.runtime.reductions.lesson import Part


def boost(client: Any, clone: Any, rounds: Rounds, training: "Matrices", held: "Matrices | None") -> None:
    """Train, and give the clone what its own `fit` would have.

    Args:
        training: the :class:`Matrices` of the rows; held: of those to stop early by, or None.

    Raises:
        TrainingError: XGBoost refused.
    """
    with client.as_current():  # by which Dask's arrays find it
        with_refusals(lambda: _boost(client, clone, rounds, training, held), clone)


def _boost(client: Any, clone: Any, rounds: Rounds, training: "Matrices", held: "Matrices | None") -> None:
    xgboost = optional.load("xgboost.dask")
    matrix = xgboost.DaskQuantileDMatrix(client, **training.columns(), max_bin=rounds.max_bin)
    watched = []
    if held is not None:
        unseen = xgboost.DaskQuantileDMatrix(client, **held.columns(), max_bin=rounds.max_bin, ref=matrix)
        watched = [(unseen, "validation_0")]
    found = xgboost.train(
        client,
        rounds.params,
        matrix,
        num_boost_round=rounds.n_rounds,
        evals=watched,
        early_stopping_rounds=rounds.stops,
        verbose_eval=False,
        callbacks=clone.callbacks,
    )
    taken_over(clone, found["booster"], rounds)


class Matrices:
    """The features, targets and weights of each partition, on the workers that have its rows.

    Args:
        reading: how partitions are read there.
        order: makes the parts.
    """

    def __init__(self, reading: Reading, order: Order[list[Part]]) -> None:
        self._reading = reading
        reading.see_recipes()
        sent = reading.submit("order", tasks.kept, tasks.Sent(uuid.uuid4().hex, order))
        self._parts = [self._part(index, sent) for index in range(reading.rows.n_partitions)]

    def _part(self, index: int, sent: Any) -> Any:
        reading = self._reading
        asked, batch = rows_of(reading, index)
        outcome = reading.submit("features", tasks.worked, reading.recipes, sent, asked, batch)
        return reading.submit("matrix", _whole, outcome)

    def columns(self) -> dict[str, Any]:
        """`data`, `label` and `weight` as Dask arrays."""
        submit = self._reading.submit
        shapes = self._reading.client.gather([submit("shape", _shapes, part) for part in self._parts])
        found: dict[str, list[Any]] = {"data": [], "label": [], "weight": []}
        array = optional.load("dask.array")
        for part, each in zip(self._parts, shapes, strict=True):
            for place, (name, kind) in enumerate(zip(found, each, strict=True)):
                if kind is not None and kind[0][0]:
                    values = submit(name, _one_of, part, place)
                    found[name].append(array.from_delayed(values, kind[0], dtype=kind[1]))
        return {name: array.concatenate(parts) for name, parts in found.items() if parts}


def rows_of(reading: Reading, index: int) -> tuple[tuple[Asked, ...], Any]:
    """What names a partition in messages, and the future of a task that read it, now if it is not held."""
    how = reading.rows.how_read
    columns = how.again or how.columns
    batch = reading.held_at(index, columns)
    if batch is None:
        batch = reading.hold(index, columns)
    return (reading.asked(index, columns, rows=False),), batch


def _whole(outcome: tasks.Outcome) -> tuple[Any, Any, Any]:
    """What came of a partition, as one."""
    parts: list[Part] = outcome.result
    each = [[part.X for part in parts], [part.y for part in parts], [part.weights for part in parts]]
    return tuple(None if some[0] is None else np.concatenate(some) for some in each)  # type: ignore[return-value]


def _shapes(arrays: tuple[Any, ...]) -> list[Any]:
    return [None if array is None else (array.shape, array.dtype) for array in arrays]


def _one_of(arrays: tuple[Any, ...], place: int) -> Any:
    return arrays[place]
