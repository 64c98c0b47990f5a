"""Training on the features of rows: where it is done, what is checked before, what is noted after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.backends.backend import Backend
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Values
from gpupipe.compiler.expand import only_column
from gpupipe.compiler.plan import TASKS
from gpupipe.errors import TargetError
from gpupipe.expr.node import Node
from gpupipe.kernels.gpu.device import Device, DeviceArray
from gpupipe.models.fitted import Model
from gpupipe.optional import later
from gpupipe.runtime.finishing import no_rows
from gpupipe.runtime.fitting import Examples, labels_of
from gpupipe.runtime.given import as_given
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import refuse_unfinite

if TYPE_CHECKING:
    from gpupipe.models.estimators import Row, describe
    from gpupipe.models.model import Validation, trained
else:
    (describe,) = later("gpupipe.models.estimators", "describe")
    (trained,) = later("gpupipe.models.model", "trained")

FROM_COVARIANCES = "it is solved from covariances, without rows: the same bits on every device"


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """What training gave.

    Attributes:
        model: the model; None: there was nothing to train.
        notes: what is kept beside it.
        why: why it was not trained on the GPU; None: it was, or there is none.
        how: how it was trained, in words; None: on a matrix of all rows.
        trips: how many trips over the rows that took.
    """

    model: Model | None
    notes: dict[str, Any]
    why: str | None = None
    how: str | None = None
    trips: int = 1


def training_device(backend: Backend, estimator: Any) -> tuple[Device | None, str | None]:
    """(the device that the estimator is trained on, None: the host; why not on the GPU that computes the features).

    Raises:
        ModelOptionError: the GPU was asked for by name, and a parameter or a missing library keeps the model off it.
    """
    if backend.device is None:
        return None, None
    there = devices.Found(backend.device, backend.device.name)
    places = optional.load("gpupipe.models.gpu.places")
    place, why = places.where_trained(estimator, there, named=backend.named)
    return (backend.device if place == "gpu" else None), why


def reading_on_host(columns: Mapping[str, str]) -> dict[str, str]:
    """Why columns are read on the host, by what is read: those of one reason together."""
    found: dict[str, str] = {}
    for why in dict.fromkeys(columns.values()):
        names = [as_given(name) for name, reason in columns.items() if reason == why]
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        found[f"reading {shown}"] = why
    return found


def where_computed(backend: Backend, rows: Rows, estimator: Any, told: Taught) -> dict[str, Any]:
    """What a report says of devices."""
    if backend.device is None:
        return {"device": backend.name}
    training = {} if told.why is None else {f"training {describe(estimator).name}": told.why}
    return {
        "device": f"{backend.name} ({backend.device.name})",
        "on_host": {**reading_on_host(rows.report.on_host), **backend.on_host, **training},
    }


def taught(declared: Any, features: FittedFeatures, found: Examples, rows: Rows, held: "Validation | None") -> Taught:
    """What comes of training on `found`, the features of `rows`; `held` stops it early."""
    row = describe(declared.model)
    refuse_one_value(declared.target, declared.task, found, rows)
    if isinstance(found.matrix, DeviceArray):
        rows.free_copies()  # training needs memory there, and no columns
    there = trained(
        declared.model,
        found.matrix,
        found.target if row.supervised else None,
        weights=found.weights,
        groups=found.groups,
        validation=held,
        feature_names=features.names,
        targets=features.plan.target_names if row.supervised else None,
    )
    why = there.why if there.why is not None else training_device(features.backend, declared.model)[1]
    notes = {"rows": len(found.matrix), "baseline": _baseline(there.model, found)}
    return Taught(there.model, notes, why)


def _baseline(model: Model, found: Examples) -> Any:
    """What a trivial model would have learned: the classes' shares, or the mean; of several targets a list."""
    if model.targets is None:
        return None if found.target is None else _trivial(found.target, model.classes, found.weights)
    classes = model.classes or (None,) * len(model.targets)
    return [_trivial(target, labels, found.weights) for target, labels in zip(found.target, classes, strict=True)]


def _trivial(target: Values, classes: tuple[Any, ...] | None, weights: Values | None) -> Any:
    if classes is None:
        return float(np.average(target.astype(np.float64), weights=weights))
    place = {label: at for at, label in enumerate(classes)}
    codes = np.array([place[label] for label in target.tolist()])
    shares = np.bincount(codes, weights=weights, minlength=len(place))
    return (shares / shares.sum()).tolist()


def checked_rows(found: Examples, rows: Rows, row: "Row", features: FittedFeatures) -> None:
    """Refuse what no estimator can learn from: no rows, or NaN where it takes none."""
    if not len(found.matrix):
        raise no_rows(rows)
    if not row.accepts_nan:
        refuse_unfinite(found.matrix, features.names, row.name)


def refuse_one_value(target: Node | None, task: str | None, found: Examples, rows: Rows) -> None:
    """A comparison that holds for every row or for none: told by what the column holds, which the labels do not say."""
    told = found.target
    column = None if target is None or target.op not in _COMPARISONS else only_column(target)
    if column is None or task != TASKS[0] or not isinstance(told, np.ndarray) or (told != told[0]).any():
        return
    held = sorted({repr(value) for value in labels_of(rows.frame(0, [column])[column]).tolist()})
    shown = ", ".join(held[:8]) + (", …" if len(held) > 8 else "")
    raise TargetError(
        f"The target {target} is {bool(told[0])} in all {len(told):,} rows, and a classifier needs two classes. The "
        f"column {column!r} holds: {shown}. Compare it with one of its values."
    )


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "is_in")
