"""Twins of trees, clusters, projections, naive Bayes, neighbours and kernel machines."""

from dataclasses import replace
from typing import Any

import numpy as np

from gpupipe.models.forms.trees import round_down
from gpupipe.models.gpu.numbers import Targets
from gpupipe.models.gpu.read import categorical_bayes, counted_bayes, gaussian_bayes, treelite_forest, with_signs
from gpupipe.models.gpu.twin import COUNT_OR_NONE, ONE_NUMBER, Case, Params, Rule, Twin


def _not_by_tree(given: Any) -> bool:
    return not isinstance(given, str) or given == "balanced"


_N_BINS = 128  # cuML's default: candidates for a split, of each feature
_OF_CLASSES = {"gini": "gini", "entropy": "entropy", "log_loss": "entropy"}
_OF_NUMBERS = {"squared_error": "mse", "poisson": "poisson"}


def _forest(params: Params, case: Case) -> dict[str, Any]:
    criterion = {**_OF_CLASSES, **_OF_NUMBERS}[params["criterion"]]
    found = {"split_criterion": criterion, "n_bins": min(_N_BINS, case.rows)}
    return found if params["max_samples"] is None else {**found, "max_samples": float(params["max_samples"])}


def _no_nan(case: Case) -> str | None:
    sampled = case.params["max_samples"] is not None or bool(case.params["oob_score"])
    if sampled and not case.params["bootstrap"]:  # which it refuses, and says why
        return "scikit-learn has no max_samples and no oob_score with bootstrap=False"
    if case.unfinite():
        return "the features hold nulls, and cuML's forests take none; fill them: fill_null"
    return None


def _in_float32(case: Case) -> str | None:
    """cuML's forests learn targets in the matrix's float32."""
    return Targets.of(np.asarray(case.target)).unsuited(case.params) or _no_nan(case)


_FOREST: dict[str, Any] = {
    "same": (
        "n_estimators", "max_depth", "max_features", "min_samples_leaf", "min_samples_split", "bootstrap",
        "random_state",
    ),
    "only": {
        "max_samples": Rule("a share, None", lambda given: given is None or isinstance(given, float)),
        "max_leaf_nodes": (None,),  # the best nodes first, which cuML's max_leaves does not promise
        "min_impurity_decrease": (0.0,),  # weighted by a node's share of the rows, which cuML's is not
        "min_weight_fraction_leaf": (0.0,),
        "ccp_alpha": (0.0,),
        "monotonic_cst": (None,),
        "warm_start": (False,),
    },
    "free": ("n_jobs", "verbose", "oob_score"),
    "makes": _forest,
    "always": {"n_streams": 1},
    "dtype": "float32",
    "tolerance": 1e-4,
    "read": treelite_forest,
}  # fmt: skip


def _few_components(case: Case) -> str | None:
    wanted = case.params["n_components"]
    if wanted is not None and wanted > min(case.rows, case.features):
        return f"n_components={wanted} of {case.rows} rows and {case.features} features is left to scikit-learn"
    return "cuML takes no single feature or row" if case.features < 2 or case.rows < 2 else None


def _few_rows(case: Case) -> str | None:
    wanted = case.params["n_clusters"]
    return f"scikit-learn has no {wanted} clusters of {case.rows} rows" if wanted > case.rows else None


def _init(params: Params, case: Case) -> dict[str, Any]:
    given = params["init"]
    return {"init": "scalable-k-means++" if isinstance(given, str) and given == "k-means++" else given}


_RANDOM = ("n_oversamples", "power_iteration_normalizer", "random_state", "tol")  # of approximations


def _smoothing(params: Params, case: Case) -> dict[str, Any]:
    alpha, prior = float(params["alpha"]), params["class_prior"]
    smoothed = alpha if params.get("force_alpha", True) else max(alpha, 1e-10)
    return {"alpha": smoothed, "class_prior": None if prior is None else np.asarray(prior, np.float64)}


def _binarized(params: Params, case: Case) -> dict[str, Any]:
    """The threshold in float32, in which cuML compares: of float32 features, the same ones are above it."""
    given = params["binarize"]
    below = None if given is None else float(round_down(np.array([given], np.float64))[0])
    return {**_smoothing(params, case), "binarize": below}


def _priors(params: Params, case: Case) -> dict[str, Any]:
    return {} if params["priors"] is None else {"priors": np.asarray(params["priors"], np.float64)}


_COUNTS = Twin(
    "",
    same=("fit_prior",),
    only={"alpha": ONE_NUMBER},
    read_by=("class_prior", "force_alpha"),
    makes=_smoothing,
    weights=False,
    compare="predict_proba",
    read=counted_bayes,
)


def _counts(name: str, **how: Any) -> Twin:
    return replace(_COUNTS, path=f"cuml.naive_bayes.{name}", **how)


_METRICS = {"infinity": "chebyshev", "p": "minkowski"}  # scikit-learn's other names for them


def _metric(params: Params, case: Case) -> dict[str, Any]:
    return {"metric": _METRICS.get(params["metric"], params["metric"])}


_NEIGHBOURS: dict[str, Any] = {
    "same": ("n_neighbors", "weights", "p"),
    "only": {"metric_params": (None,)},
    "free": ("algorithm", "leaf_size", "n_jobs"),
    "read_by": ("metric",),
    "makes": _metric,
    "always": {"algorithm": "brute"},
    "dtype": "float32",
    "weights": False,
    "compare": None,
}

_KERNELS = ("linear", "poly", "rbf", "sigmoid")
_MACHINE = ("C", "kernel", "degree", "gamma", "coef0", "tol", "max_iter")


def _two_classes(case: Case) -> str | None:
    if case.classes != 2:
        return f"cuML gives back no SVC of {case.classes} classes"
    return None


OTHERS: dict[str, Twin] = {
    "sklearn.ensemble.RandomForestClassifier": Twin(
        "cuml.ensemble.RandomForestClassifier",
        **{
            **_FOREST,
            "same": (*_FOREST["same"], "class_weight"),
            "only": {
                "criterion": tuple(_OF_CLASSES),
                "class_weight": Rule("any but 'balanced_subsample'", _not_by_tree),
                **_FOREST["only"],
            },
        },
        suits=_no_nan,
        needs="no nulls",
        compare="predict_proba",
    ),
    "sklearn.ensemble.RandomForestRegressor": Twin(
        "cuml.ensemble.RandomForestRegressor",
        **{**_FOREST, "only": {"criterion": tuple(_OF_NUMBERS), **_FOREST["only"]}},
        suits=_in_float32,
        needs="no nulls; targets that float32 can tell apart",
        compare="predict",
    ),
    "sklearn.cluster.KMeans": Twin(
        "cuml.cluster.KMeans",
        same=("n_clusters", "max_iter", "tol", "random_state", "n_init"),
        only={"init": Rule("any but a function", lambda given: not callable(given))},
        free=("algorithm", "copy_x", "verbose"),
        makes=_init,
        suits=_few_rows,
        order="C",
        compare=None,  # far from 0 its distances have few digits
    ),
    "sklearn.decomposition.PCA": Twin(
        "cuml.decomposition.PCA",
        same=("n_components", "whiten"),
        only={"n_components": COUNT_OR_NONE},
        free=("copy", "svd_solver", "iterated_power", *_RANDOM),
        always={"svd_solver": "full"},
        weights=False,
        suits=_few_components,
        needs="two features",
        compare=None,  # whitened, its transform hangs on the number of rows that are transformed
        read=with_signs,
    ),
    "sklearn.decomposition.TruncatedSVD": Twin(
        "cuml.decomposition.TruncatedSVD",
        same=("n_components",),
        free=("algorithm", "n_iter", *_RANDOM),
        always={"algorithm": "full"},
        weights=False,
        suits=_few_components,
        needs="two features",
        compare="transform",
        read=with_signs,
    ),
    "sklearn.naive_bayes.GaussianNB": Twin(
        "cuml.naive_bayes.GaussianNB",
        same=("var_smoothing",),
        read_by=("priors",),
        makes=_priors,
        compare="predict_proba",
        read=gaussian_bayes,
    ),
    "sklearn.naive_bayes.MultinomialNB": _counts("MultinomialNB"),
    "sklearn.naive_bayes.BernoulliNB": _counts(
        "BernoulliNB", read_by=(*_COUNTS.read_by, "binarize"), makes=_binarized
    ),
    "sklearn.naive_bayes.ComplementNB": _counts("ComplementNB", same=("fit_prior", "norm")),
    "sklearn.naive_bayes.CategoricalNB": _counts(
        "CategoricalNB", only={"alpha": ONE_NUMBER, "min_categories": (None,)}, read=categorical_bayes
    ),
    "sklearn.neighbors.KNeighborsClassifier": Twin("cuml.neighbors.KNeighborsClassifier", **_NEIGHBOURS),
    "sklearn.neighbors.KNeighborsRegressor": Twin("cuml.neighbors.KNeighborsRegressor", **_NEIGHBOURS, several=True),
    "sklearn.svm.SVC": Twin(
        "cuml.svm.SVC",
        same=(*_MACHINE, "class_weight"),
        only={"kernel": _KERNELS, "probability": (False, "deprecated"), "break_ties": (False,)},
        free=("shrinking", "cache_size", "verbose", "random_state", "decision_function_shape"),
        suits=_two_classes,
        needs="two classes",
        compare="decision_function",
        tolerance=1e-4,
    ),
    "sklearn.svm.SVR": Twin(
        "cuml.svm.SVR",
        same=(*_MACHINE, "epsilon"),
        only={"kernel": _KERNELS},
        free=("shrinking", "cache_size", "verbose"),
        tolerance=1e-4,
    ),
    "sklearn.kernel_ridge.KernelRidge": Twin(
        "cuml.kernel_ridge.KernelRidge",
        same=("alpha", "kernel", "gamma", "degree", "coef0"),
        only={"kernel": ("linear", "poly", "polynomial", "rbf", "sigmoid", "laplacian"), "kernel_params": (None,)},
        order="C",
        tolerance=1e-4,
    ),
}
