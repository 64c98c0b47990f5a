"""What partitions teach: features, target and weights of some rows, in parts of few of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.kernels.gpu.device import Device
from gpupipe.kernels.reference.gram import ROWS
from gpupipe.models.forms import labels
from gpupipe.runtime.fitting import beside_rows
from gpupipe.runtime.halving import in_parts
from gpupipe.runtime.stacked import refuse_unfinite


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a partition, as a model learns them.

    Attributes:
        X: float32 of shape (rows, features), on the host or, where that was asked for, on a device.
        y: codes of a classifier's labels, int64, or numbers, float64, of shape (rows,) or (rows, targets); labels as
            they stand where the classes are not known yet; None without a target.
        weights: float64 of shape (rows,), or None.
        ids: uint64 of shape (rows,): the rows' identities.
    """

    X: Values
    y: Any
    weights: Values | None
    ids: Values

    def tiles(self) -> Iterator["Part"]:
        """The same, few rows at a time."""
        for first in range(0, len(self.X), ROWS):
            some = slice(first, first + ROWS)
            y = None if self.y is None else self.y[some]
            yield Part(self.X[some], y, None if self.weights is None else self.weights[some], self.ids[some])


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """How parts are made of a frame; data alone.

    Attributes:
        features: of the training rows.
        who: the estimator, in messages.
        kind: what it learns, as a row of the table of estimators says.
        takes_nan: whether nulls are allowed.
        classes: a classifier's labels, where they are known.
        factors: what a row's weight is multiplied by for its class; None: nothing.
        unweighted: whether weights are left out.
        resident: whether matrices stay on the device that computes them, where one does.
    """

    features: FittedFeatures
    who: str
    kind: str
    takes_nan: bool = False
    classes: tuple[Any, ...] | None = None
    factors: tuple[float, ...] | None = None
    unweighted: bool = False
    resident: bool = False

    def ready(self) -> Callable[[Frame], Part]:
        """A frame to its part."""
        features = self.features
        beside = beside_rows(features.plan, features.backend)
        names = features.names
        device = features.backend.device if self.resident else None

        def part(frame: Frame) -> Part:
            X = features.matrix(frame) if device is None else _resident(features, frame, device)
            if not self.takes_nan:
                refuse_unfinite(X, names, self.who)
            target, weights, _ = beside(frame)
            y = self._target(target)
            if self.factors is not None:
                more = np.array(self.factors)[y]
                weights = more if weights is None else weights * more
            return Part(X, y, None if self.unweighted else weights, frame.row_ids)

        return part

    def _target(self, target: Any) -> Any:
        if target is None or self.kind not in ("classifier", "regressor"):
            return None
        if self.kind == "regressor":
            several = isinstance(target, list)
            return np.stack([labels.numbers(one) for one in target], axis=1) if several else labels.numbers(target)
        return target if self.classes is None else labels.codes_of(target, self.classes)


def _resident(features: FittedFeatures, frame: Frame, device: Device) -> Any:
    return features.matrix(frame, device.empty((frame.n_rows, len(features.outputs)), np.float32))


class OverParts(ABC):
    """An order whose results are made of parts and add up. A class that is one says how, in `prepared` and `added`."""

    lesson: Lesson
    columns: Sequence[str] | None = None

    def ready(self) -> Callable[[Any, int, Frame], list[Any]]:
        """As any order's."""
        part, of = self.lesson.ready(), self.prepared()

        def work(rows: Any, index: int, frame: Frame) -> list[Any]:
            return in_parts(rows, index, frame, lambda start, stop: of(part(frame.rows(start, stop))))

        return work

    def merged(self, results: Sequence[list[Any]]) -> list[Any]:
        """As any order's whose results add up."""
        return [self.added([part for result in results for part in result])]

    @abstractmethod
    def prepared(self) -> Callable[[Part], Any]:
        """A part to what comes of it."""

    @abstractmethod
    def added(self, results: Sequence[Any]) -> Any:
        """What came of several parts as one."""
