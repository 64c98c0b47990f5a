"""Private parts of libraries change: what was read of a fitted estimator is held against what the library says."""

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import ArtifactCorruptError, TrainingError, UnsafeModelError
from gpupipe.models.families.rows import Row
from gpupipe.models.fitted import Model

COMPARED_ROWS = 64


def refuse_unusable(row: Row, model: Model) -> None:
    """What is saved must be what can be loaded: numbers that are none, as a fit that diverged leaves, are told now."""
    if model.form == "xgboost":  # checked as it was converted
        return
    try:
        Model.from_parts(*model.to_parts())
    except ArtifactCorruptError as error:
        what = str(error).removeprefix("The saved model is damaged: ").partition(". Load it from")[0]
        raise TrainingError(
            f"{row.path} was trained, and no prediction can be made of what it learned: {what}. Look for features that "
            "are constant or very large: standardize() them, or leave them out."
        ) from error


def compare_classes(row: Row, clone: Any, classes: tuple[Any, ...] | None) -> None:
    """The classes of a library that was given codes are the codes, in their order; else labels would be mixed up."""
    known = getattr(clone if row.fits is None else row.fits(clone), "classes_", None)
    if classes is None or known is None:
        return
    if not all(map(are_codes, known if isinstance(known, list) else [known])):
        raise unread_here(row)


def are_codes(known: Any) -> bool:
    """Whether classes are 0, 1, … in this order; of several targets nothing is said."""
    return np.ndim(known) != 1 or np.array_equal(known, np.arange(len(known)))


def compare(row: Row, clone: Any, model: Model, X: NDArray[np.float32]) -> None:
    """See that our form says on some rows what the estimator says."""
    if row.compare is not None:
        _agree(row, getattr(clone, row.compare), getattr(model, row.compare)(X), X)
    if row.inner is not None and row.parts is not None:
        pairs = list(zip(row.parts(clone), getattr(model.body, "members", ()), strict=True))
        for part, member in pairs[:1] if row.form == "chain" else pairs:  # of a chain, the first link alone sees X
            inside = Model(member.estimator, member.kind, member.classes, model.feature_names, member.link, member.body)
            compare(row.inner, part, inside, X)


def _agree(row: Row, method: Any, ours: Any, X: NDArray[np.float32]) -> None:
    theirs = method(X.astype(row.dtype, copy=False))
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
    for mine, their in pairs:
        same = mine.shape == np.shape(their) and np.allclose(mine, their, rtol=1e-9, atol=1e-12)
        if not same:
            raise unread_here(row)


def unread_here(row: Row) -> UnsafeModelError:
    package = row.module.partition(".")[0]
    version = sys.modules[package].__version__  # it has just trained
    return UnsafeModelError(
        f"The fitted {row.name} of {package} {version} could not be read: its inner parts are not those "
        f"gpupipe knows. Install another version of {package}, or use another estimator."
    )


def refuse_other_device(clone: Any) -> None:
    """XGBoost that finds no GPU trains on the CPU and only warns.

    Raises:
        TrainingError: the clone asked for a GPU, and its booster was trained elsewhere.
    """
    asked = str(getattr(clone, "device", None) or "cpu")
    if not asked.startswith(("cuda", "gpu")):
        return
    config = json.loads(clone.get_booster().save_config())
    used = config["learner"]["generic_param"]["device"]
    if not used.startswith("cuda"):
        raise TrainingError(
            f"{type(clone).__name__} was asked for device={asked!r}, and XGBoost trained it on {used!r}: it found no "
            "GPU that it can use. gpupipe doctor says what there is; or leave device unset."
        )
