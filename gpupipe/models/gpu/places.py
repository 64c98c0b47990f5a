"""Where an estimator is trained, told before anything is read, and why not on the GPU."""

from typing import Any

from gpupipe import optional
from gpupipe.backends.devices import Found, unusable
from gpupipe.errors import ModelOptionError
from gpupipe.models.estimators import describe
from gpupipe.models.families.rows import Row
from gpupipe.models.gpu.table import ON_DEVICE, TWINS

# What XGBoost grows on a GPU; "exact" it does not.
_METHODS = (None, "auto", "hist", "approx", "gpu_hist")


def where_trained(estimator: Any, found: Found, *, named: bool = False) -> tuple[str, str | None]:
    """("gpu", None), or ("cpu", why not on the GPU).

    What the rows alone tell may still bring it to the CPU: nulls, say, where cuML takes none. The fit's report says so.

    Args:
        estimator: an object of the table of estimators.
        found: the device there is, or why there is none.
        named: whether the GPU was asked for by name.

    Raises:
        ModelOptionError: `named`, and what keeps it from the GPU can be changed: a parameter, or a library that is
            missing. What has no twin at all trains on the CPU.
        UnsupportedEstimatorError: it is not in the table.
    """
    if found.device is None:
        return "cpu", found.why
    row = describe(estimator)
    why = why_not(row, estimator)
    if named and why is not None and has_twin(row):
        raise _refused(row, why, parameters=bool(refused_parameters(row, estimator)))
    return ("gpu", None) if why is None else ("cpu", why)


def _refused(row: Row, why: str, *, parameters: bool) -> ModelOptionError:
    what = why if parameters else f"{row.name} cannot be trained on it: {why}"
    remedy = "Leave that out" if parameters else "Install that"
    return ModelOptionError(
        f"device='gpu' was asked for, and {what}. {remedy}, or give device='auto', which trains {row.name} on the CPU."
    )


def why_not(row: Row, estimator: Any) -> str | None:
    """Why it cannot be trained on a GPU that is there; None: it can, as far as its parameters tell."""
    if row.inner is not None or row.depth:
        return f"{row.name} holds other estimators, and these are trained on the CPU"
    if not has_twin(row):
        return f"gpupipe knows no class of cuML that learns what {row.name} learns"
    wrong = refused_parameters(row, estimator)
    return f"{trainer(row)} has no {' and no '.join(wrong)}" if wrong else installed(row)


def has_twin(row: Row) -> bool:
    """Whether anything trains in its place, or it itself, on a GPU."""
    return row.path in TWINS or _is_xgboost(row)


def trainer(row: Row) -> str:
    """What trains it on a GPU, as people call it."""
    return "XGBoost on a GPU" if _is_xgboost(row) else TWINS[row.path].name


def refused_parameters(row: Row, estimator: Any) -> list[str]:
    """The parameters, written as in a call, that keep it from the GPU."""
    if not has_twin(row):
        return []
    params = estimator.get_params(deep=False)
    if not _is_xgboost(row):
        return TWINS[row.path].refused(params, type(estimator)().get_params(deep=False))
    method, device = params.get("tree_method"), params.get("device")
    wrong = [] if method in _METHODS else [f"tree_method={method!r}"]
    return wrong if device is None or str(device).startswith(("cuda", "gpu")) else [*wrong, f"device={device!r}"]


def installed(row: Row) -> str | None:
    """None where the library that trains it on a GPU can be loaded; else what is missing."""
    if not _is_xgboost(row):
        return unusable("cuml", "cuML")
    if optional.load("xgboost").build_info().get("USE_CUDA"):
        return None
    return "the XGBoost that is installed was built without CUDA (install xgboost in place of xgboost-cpu)"


def _is_xgboost(row: Row) -> bool:
    return row.module == "xgboost" and row.name in ON_DEVICE
