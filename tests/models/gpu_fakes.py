"""A stand-in for CuPy and cuML, bound to the API manifest: scikit-learn learns, on what a device holds.

Each class takes the parameters of cuML's own, is called as it is, and afterwards has what cuML's has and no more: by
the sources of cuML 26.10, `as_sklearn` sets these attributes and leaves out the others.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from gpu.api.fakes import Call, Fakes, Stand, check_call, manifest
from gpu.simulated import SimulatedDevice
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.kernels.gpu.failures import Health

Params = dict[str, Any]


class Counted(SimulatedDevice):
    """A device that counts the bytes downloaded, its stand-ins' own reading aside."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.downloaded = self.released = 0
        self.health = Health(self.name)

    def guarded(self, what: str) -> AbstractContextManager[None]:  # as the real one
        return self.health.guarded(what)

    def release(self) -> None:
        self.released += 1

    def download(self, array: DeviceArray, after: Any = None) -> NDArray[Any]:
        self.downloaded += array.nbytes
        return super().download(array, after)


class OnDevice:
    """An array of CuPy's: NumPy may not read it by itself."""

    def __init__(self, values: NDArray[Any], of: DeviceArray | None = None) -> None:
        self.values, self.of = values, of  # `of`: what it is a view of
        self.shape, self.dtype, self.ndim, self.size = values.shape, values.dtype, values.ndim, values.size

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __getitem__(self, key: Any) -> "OnDevice":
        assert isinstance(key, OnDevice)
        return OnDevice(self.values[key.values])

    def astype(self, dtype: Any, **how: Any) -> "OnDevice":
        check_call("cupy.ndarray.astype", (dtype,), how)
        return OnDevice(self.values.astype(dtype, order=how.get("order", "K")))


def _view(array: Any) -> OnDevice:
    assert isinstance(array, DeviceArray)
    return OnDevice(SimulatedDevice.download(array.device, array), array)  # type: ignore[arg-type]


def _host(values: Any) -> NDArray[Any]:
    return values.values if isinstance(values, OnDevice) else np.asarray(values)


def _penalized(p: Params) -> LogisticRegression:
    if p["penalty"] is None:
        return LogisticRegression(**_picked(p, "tol", "fit_intercept", "class_weight", "max_iter"), C=np.inf)
    ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": p.get("l1_ratio")}[p["penalty"]]
    solver = "lbfgs" if p["penalty"] == "l2" else "saga"
    how = _picked(p, "C", "tol", "fit_intercept", "class_weight", "max_iter")
    return LogisticRegression(**how, l1_ratio=ratio, solver=solver, random_state=0)


def _picked(p: Params, *names: str) -> Params:
    return {name: p[name] for name in names if name in p}


def _forest(kind: Any, back: Params) -> Callable[[Params], Any]:
    def make(p: Params) -> Any:
        assert p["n_streams"] == 1 and type(p["n_bins"]) is int
        names = ("n_estimators", "max_depth", "max_features", "min_samples_leaf", "min_samples_split", "bootstrap")
        how = _picked(p, *names, "random_state", "class_weight", "max_samples")
        return kind(**how, criterion=back[p["split_criterion"]])

    return make


def _liblinear(kind: Any, *names: str) -> Callable[[Params], Any]:
    def make(p: Params) -> Any:
        assert p["penalized_intercept"] is True and p["penalty"] in ("l1", "l2")
        return kind(**_picked(p, "loss", "C", "fit_intercept", "tol", "max_iter", *names), random_state=0)

    return make


_MACHINE = ("C", "kernel", "degree", "gamma", "coef0", "tol", "max_iter")
_NEAR = ("n_neighbors", "weights", "metric", "p")

#: The parameters of each class of cuML to an estimator of scikit-learn that learns the same; its attributes.
CLASSES: dict[str, tuple[Callable[[Params], Any], tuple[str, ...]]] = {
    "cuml.linear_model.LinearRegression": (
        lambda p: LinearRegression(**_picked(p, "fit_intercept")), ("intercept_", "coef_"),
    ),
    "cuml.linear_model.Ridge": (
        lambda p: Ridge(**_picked(p, "alpha", "fit_intercept"), solver=p["solver"]),
        ("intercept_", "coef_", "solver_", "n_iter_"),
    ),
    "cuml.linear_model.Lasso": (
        lambda p: Lasso(**_picked(p, "alpha", "fit_intercept", "max_iter", "tol", "selection"), random_state=0),
        ("intercept_", "coef_", "n_iter_"),
    ),
    "cuml.linear_model.ElasticNet": (
        lambda p: ElasticNet(**_picked(p, "alpha", "l1_ratio", "fit_intercept", "max_iter", "tol", "selection")),
        ("intercept_", "coef_", "n_iter_"),
    ),
    "cuml.linear_model.LogisticRegression": (_penalized, ("classes_", "intercept_", "coef_", "n_iter_")),
    "cuml.svm.LinearSVC": (
        _liblinear(LinearSVC, "penalty", "class_weight"), ("coef_", "intercept_", "classes_", "n_iter_"),
    ),
    "cuml.svm.LinearSVR": (_liblinear(LinearSVR, "epsilon"), ("coef_", "intercept_", "n_iter_")),
    "cuml.svm.SVC": (
        lambda p: SVC(**_picked(p, *_MACHINE, "class_weight")),
        ("dual_coef_", "_dual_coef_", "fit_status_", "intercept_", "_intercept_", "shape_fit_", "n_iter_", "_n_support",
         "support_", "support_vectors_", "_gamma", "_probA", "_probB", "_sparse", "classes_", "class_weight_"),
    ),
    "cuml.svm.SVR": (
        lambda p: SVR(**_picked(p, *_MACHINE, "epsilon")),
        ("dual_coef_", "_dual_coef_", "fit_status_", "intercept_", "_intercept_", "shape_fit_", "n_iter_", "_n_support",
         "support_", "support_vectors_", "_gamma", "_probA", "_probB", "_sparse"),
    ),
    "cuml.ensemble.RandomForestClassifier": (
        _forest(RandomForestClassifier, {"gini": "gini", "entropy": "entropy"}), (),
    ),
    "cuml.ensemble.RandomForestRegressor": (
        _forest(RandomForestRegressor, {"mse": "squared_error", "poisson": "poisson"}), (),
    ),
    "cuml.cluster.KMeans": (
        lambda p: KMeans(
            **_picked(p, "n_clusters", "max_iter", "tol", "random_state", "n_init"),
            init={"scalable-k-means++": "k-means++", "random": "random"}[p["init"]],
        ),
        ("cluster_centers_", "labels_", "inertia_", "n_iter_", "_n_features_out", "_n_threads"),
    ),
    "cuml.decomposition.PCA": (
        lambda p: PCA(**_picked(p, "n_components", "whiten"), svd_solver=p["svd_solver"]),
        ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_",
         "n_components_", "n_samples_", "noise_variance_"),
    ),
    "cuml.decomposition.TruncatedSVD": (
        lambda p: TruncatedSVD(**_picked(p, "n_components"), algorithm="arpack"),
        ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_"),
    ),
    "cuml.naive_bayes.GaussianNB": (lambda p: GaussianNB(**_picked(p, "priors", "var_smoothing")), ()),
    "cuml.naive_bayes.MultinomialNB": (lambda p: MultinomialNB(**_picked(p, "alpha", "fit_prior", "class_prior")), ()),
    "cuml.naive_bayes.BernoulliNB": (
        lambda p: BernoulliNB(**_picked(p, "alpha", "fit_prior", "class_prior", "binarize")), (),
    ),
    "cuml.naive_bayes.ComplementNB": (
        lambda p: ComplementNB(**_picked(p, "alpha", "fit_prior", "class_prior", "norm")), (),
    ),
    "cuml.naive_bayes.CategoricalNB": (lambda p: CategoricalNB(**_picked(p, "alpha", "fit_prior", "class_prior")), ()),
    "cuml.neighbors.KNeighborsClassifier": (
        lambda p: KNeighborsClassifier(**_picked(p, *_NEAR), algorithm=p["algorithm"]),
        ("n_samples_fit_", "effective_metric_", "effective_metric_params_", "_fit_X", "_fit_method", "_tree",
         "classes_", "_y", "outputs_2d_"),
    ),
    "cuml.neighbors.KNeighborsRegressor": (
        lambda p: KNeighborsRegressor(**_picked(p, *_NEAR), algorithm=p["algorithm"]),
        ("n_samples_fit_", "effective_metric_", "effective_metric_params_", "_fit_X", "_fit_method", "_tree", "_y"),
    ),
    "cuml.kernel_ridge.KernelRidge": (
        lambda p: KernelRidge(**_picked(p, "alpha", "kernel", "gamma", "degree", "coef0")), ("dual_coef_", "X_fit_"),
    ),
}  # fmt: skip


class Cuml:
    """An object of one of its classes.

    Args:
        path: which.
        off: added to what it predicts, for a library whose parts have changed.
        raises: what `fit` ends in.
        afterwards: what changes it once it is fitted.
    """

    def __init__(
        self, fakes: Fakes, path: str, p: Params, off: float = 0.0, raises: Any = None, afterwards: Any = None
    ) -> None:
        make, self._attributes = CLASSES[path]
        assert p["output_type"] == "cupy"
        self._fakes, self._path, self._off, self._raises, self._afterwards = fakes, path, off, raises, afterwards
        self._inside = make(p)

    def fit(self, *args: Any, **kwargs: Any) -> "Cuml":
        check_call(f"{self._path}.fit", args, kwargs)
        self._fakes.calls.append(Call(f"{self._path}.fit", args, kwargs))
        if self._raises is not None:
            raise self._raises
        assert all(isinstance(value, OnDevice) for value in (*args, *kwargs.values())), "all of it stands on the device"
        X = args[0].values
        assert np.isfinite(X).all(), "Input contains NaN"
        self._inside.fit(X, **{name: value.values for name, value in kwargs.items()})
        self.n_features_in_ = X.shape[1]
        if hasattr(self._inside, "classes_"):
            self.classes_ = self._inside.classes_  # NumPy's, whatever the output_type
        if self._path.startswith("cuml.naive_bayes"):
            self._set_counts()
        if self._afterwards is not None:
            self._afterwards(self)
        return self

    def _set_counts(self) -> None:
        """As cuML calls them; a table as wide for all features as for the one of most categories."""
        inside = self._inside
        if isinstance(inside, GaussianNB):
            found = inside.theta_, inside.var_, inside.class_prior_
            self.theta_, self.sigma_, self.class_prior_ = map(OnDevice, found)
            return
        self.class_log_prior_ = OnDevice(inside.class_log_prior_)
        if not isinstance(inside, CategoricalNB):
            self.feature_log_prob_ = OnDevice(inside.feature_log_prob_)
            return
        most = max(table.shape[1] for table in inside.category_count_)
        counts = np.zeros((len(inside.category_count_), len(inside.classes_), most), np.int32)
        table = np.full(counts.shape, -99.0)
        for feature, (count, found) in enumerate(
            zip(inside.category_count_, inside.feature_log_prob_, strict=True)
        ):
            counts[feature, :, : count.shape[1]] = count
            table[feature, :, : count.shape[1]] = found
        self.category_count_, self.feature_log_prob_ = OnDevice(counts), OnDevice(table)

    def __getattr__(self, name: str) -> Any:
        if name in ("predict", "predict_proba", "decision_function", "transform"):
            return lambda X: self._said(name, X)
        raise AttributeError(name)

    def _said(self, method: str, X: OnDevice) -> OnDevice:
        check_call(f"{self._path}.{method}", (X,), {})
        assert not isinstance(self._inside, PCA | KMeans), "they are not to be compared (see the table)"
        assert isinstance(X, OnDevice) and hasattr(self._inside, method)
        return OnDevice(np.asarray(getattr(self._inside, method)(X.values)) + self._off)

    def as_sklearn(self) -> Any:
        check_call(f"{self._path}.as_sklearn", (), {})
        assert self._attributes, f"{self._path} has no as_sklearn, or it leaves out what is needed"
        copy = type(self._inside)(**self._inside.get_params())
        for name in (*self._attributes, "n_features_in_"):
            if hasattr(self._inside, name):
                setattr(copy, name, getattr(self._inside, name))
        if isinstance(copy, SVC | SVR):  # its counts of support vectors are not those of the classes
            copy._n_support = np.array([len(self._inside.support_), 0], np.int32)
            copy._effective_probability = False
        if isinstance(copy, PCA | TruncatedSVD):  # signs as they come
            copy.components_ = copy.components_ * (-1.0) ** np.arange(len(copy.components_))[:, None]
        return copy

    def as_treelite(self) -> Any:
        check_call(f"{self._path}.as_treelite", (), {})
        return Treelite(self._inside)


class Treelite:
    """Treelite's model of a forest of scikit-learn: fields as 4.7 and 4.8 give them, nodes in no helpful order."""

    def __init__(self, forest: Any) -> None:
        self._forest, self._width = forest, int(getattr(forest, "n_classes_", 1))

    def get_header_accessor(self) -> Any:
        fields = {
            "average_tree_output": np.array([1], np.uint8),
            "base_scores": np.zeros(self._width),
            "leaf_vector_shape": np.array([1, self._width], np.int32),
            "num_tree": np.array([len(self._forest.estimators_)], np.uint64),
            "num_feature": np.array([self._forest.n_features_in_], np.int32),
        }
        return SimpleNamespace(get_field=fields.__getitem__)

    def get_tree_accessor(self, tree_id: int) -> Any:
        check_call("treelite.Model.get_tree_accessor", (tree_id,), {})
        tree = self._forest.estimators_[tree_id].tree_
        n = tree.node_count
        order = np.concatenate([[0], 1 + np.random.default_rng(tree_id).permutation(n - 1)]).astype(int)
        place = np.argsort(order)
        leaf = tree.children_left[order] == -1
        values = tree.value[order, 0, :]
        sides = tree.children_left, tree.children_right
        children = [np.where(leaf, -1, place[side[order]]).astype(np.int32) for side in sides]
        begin = np.zeros(n, np.uint64)
        begin[leaf] = np.arange(leaf.sum(), dtype=np.uint64) * self._width
        fields = {
            "cleft": children[0],
            "cright": children[1],
            "split_index": np.where(leaf, -1, tree.feature[order]).astype(np.int32),
            "threshold": np.where(leaf, 0.0, tree.threshold[order]),
            "default_left": tree.missing_go_to_left[order].astype(np.uint8),
            "cmp": np.where(leaf, 0, 3).astype(np.int8),
            "has_categorical_split": np.array([0], np.uint8),
            "leaf_value": values[:, 0] if self._width == 1 else np.zeros(n),
            "leaf_vector": values[leaf].ravel() if self._width > 1 else np.zeros(0),
            "leaf_vector_begin": begin,
        }
        return SimpleNamespace(get_field=fields.__getitem__)


@contextmanager
def installed(monkeypatch: Any, **how: Any) -> Iterator[Fakes]:
    """CuPy and cuML where imports find them; `how`: of :class:`Cuml`."""
    fakes = Fakes({"cupy.asarray": _view, "cupy.asnumpy": _host})
    fakes.behaviour["cupy.cuda.get_current_stream"] = lambda: Stand(fakes, "cupy.cuda.Stream")
    for path in CLASSES:
        fakes.behaviour[path] = lambda path=path, **p: Cuml(fakes, path, p, **how)
    assert set(CLASSES) <= set(manifest())
    fakes.install(monkeypatch, "cupy", "cuml")
    yield fakes
