"""Twins of what is kept as weighted sums: linear models and linear support vector machines."""

from dataclasses import replace
from typing import Any

import numpy as np

from gpupipe.models.gpu.twin import Case, Params, Rule, Twin

# liblinear's objective takes the intercept for one more weight, and penalizes it with them
_AS_LIBLINEAR = {"penalized_intercept": True}
_LINEAR = "cuml.linear_model"


def _penalty(params: Params, case: Case) -> dict[str, Any]:
    """The penalty that scikit-learn tells by `l1_ratio` and `C` (since 1.8), or by its name."""
    named, ratio, strength = params.get("penalty"), params["l1_ratio"], params["C"]
    if named in ("deprecated", "elasticnet"):
        named = {0: "l2", 1: "l1"}.get(ratio or 0, "elasticnet")
    if named is None or np.isinf(strength):
        return {"penalty": None}
    mixed = {"l1_ratio": float(ratio)} if named == "elasticnet" else {}
    return {"penalty": named, "C": strength, **mixed}


def _apart(case: Case) -> str | None:
    """What scikit-learn refuses to put together, and says why; cuML would learn something."""
    penalty, solver = _penalty(case.params, case)["penalty"], case.params["solver"]
    if penalty in ("l1", "elasticnet") and solver != "saga":
        return f"scikit-learn has no solver={solver!r} of penalty={penalty!r}"
    return None


def _apart_by_margins(case: Case) -> str | None:
    """The same of liblinear, which has each loss and penalty in the dual, in the primal, in both or in none."""
    penalty, loss, dual = case.params.get("penalty", "l2"), case.params["loss"], case.params["dual"]
    if penalty == "l1":
        wrong = loss != "squared_hinge" or (dual != "auto" and dual)
    else:
        wrong = not loss.startswith("squared_") and not dual
    return f"scikit-learn has no penalty={penalty!r} and loss={loss!r} with dual={dual!r}" if wrong else None


def _solver(params: Params, case: Case) -> dict[str, Any]:
    return {"solver": "svd" if params["solver"] == "svd" else "auto"}


def _of_mean_one(case: Case) -> Case:
    """Weights of mean 1, those of classes in them, and C in their unit: the same minimum.

    cuML divides the penalty by the number of rows and averages the loss: over these, or over the weights? So it is one.
    """
    by_class = case.params.get("class_weight")
    if (case.weights is None and by_class is None) or case.target is None:
        return case
    weights = np.ones(case.rows) if case.weights is None else case.weights
    if by_class is not None and case.classes is not None:
        weights = weights * _class_weights(by_class, case.target, weights, case.classes)[case.target]
    mean = weights.mean()
    told: dict[str, Any] = {"class_weight": None} if "class_weight" in case.params else {}
    if "C" in case.params:  # by alpha scikit-learn penalizes a mean of the losses, as cuML does
        told["C"] = case.params["C"] * mean
    return replace(case, params={**case.params, **told}, weights=weights / mean)


def _classes_weighed_apart(case: Case) -> str | None:
    """Of a class against the rest, liblinear weighs the one alone by its class."""
    if case.params["class_weight"] is not None and (case.classes or 0) > 2:
        return "cuML's LinearSVC weighs more than two classes otherwise than scikit-learn's"
    return _apart_by_margins(case)


def _class_weights(given: Any, codes: Any, weights: Any, classes: int) -> Any:
    if isinstance(given, str):  # "balanced"
        return weights.sum() / (classes * np.bincount(codes, weights, classes))
    return np.array([given.get(code, 1.0) for code in range(classes)], np.float64)


_DESCENT: dict[str, Any] = {
    "says": _of_mean_one,
    "only": {"positive": (False,), "warm_start": (False,), "precompute": (False,)},
    # the order in which coordinates are tried leads to the same minimum
    "free": ("copy_X", "random_state"),
}

LINEAR: dict[str, Twin] = {
    "sklearn.linear_model.LinearRegression": Twin(
        f"{_LINEAR}.LinearRegression",
        same=("fit_intercept",),
        only={"positive": (False,)},
        free=("copy_X", "n_jobs", "tol"),
        always={"copy_X": False},  # what it gets is ours: the float64 copy
        several=True,
    ),
    "sklearn.linear_model.Ridge": Twin(
        f"{_LINEAR}.Ridge",
        same=("alpha", "fit_intercept"),
        # lbfgs is scikit-learn's for positive=True alone
        only={"positive": (False,), "solver": Rule("any but 'lbfgs'", lambda given: given != "lbfgs")},
        # its solvers lead to one minimum, and cuML's to it without iterations
        free=("copy_X", "max_iter", "tol", "random_state"),
        makes=_solver,
        always={"copy_X": False},
        several=True,
    ),
    "sklearn.linear_model.Lasso": Twin(
        f"{_LINEAR}.Lasso", same=("alpha", "fit_intercept", "max_iter", "tol", "selection"), **_DESCENT
    ),
    "sklearn.linear_model.ElasticNet": Twin(
        f"{_LINEAR}.ElasticNet", same=("alpha", "l1_ratio", "fit_intercept", "max_iter", "tol", "selection"), **_DESCENT
    ),
    "sklearn.linear_model.LogisticRegression": Twin(
        f"{_LINEAR}.LogisticRegression",
        same=("tol", "fit_intercept", "class_weight", "max_iter"),
        only={
            # liblinear minimizes something else: it penalizes the intercept, and takes classes one by one
            "solver": ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"),
            "warm_start": (False,),
            "dual": (False,),
            "multi_class": ("auto", "deprecated", "multinomial"),
        },
        free=("n_jobs", "random_state", "verbose", "intercept_scaling"),  # the last two: of liblinear
        read_by=("penalty", "l1_ratio", "C"),
        makes=_penalty,
        always={"solver": "qn"},
        says=_of_mean_one,
        suits=_apart,
        compare="predict_proba",
    ),
    "sklearn.svm.LinearSVC": Twin(
        "cuml.svm.LinearSVC",
        same=("penalty", "loss", "C", "fit_intercept", "class_weight", "tol", "max_iter"),
        only={"multi_class": ("ovr",), "intercept_scaling": (1,)},
        free=("dual", "random_state", "verbose"),
        always=_AS_LIBLINEAR,
        says=_of_mean_one,
        suits=_classes_weighed_apart,
        needs="two classes, with class_weight",
        compare="decision_function",
    ),
    "sklearn.svm.LinearSVR": Twin(
        "cuml.svm.LinearSVR",
        same=("epsilon", "loss", "C", "fit_intercept", "tol", "max_iter"),
        only={"intercept_scaling": (1,)},
        free=("dual", "random_state", "verbose"),
        always={**_AS_LIBLINEAR, "penalty": "l2"},  # whatever the loss; cuML's own default is "l1"
        says=_of_mean_one,
        suits=_apart_by_margins,
    ),
}
