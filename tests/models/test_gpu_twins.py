"""The table's GPU column: each twin learns what its estimator learns, and what it cannot is refused by name."""

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu.api.fakes import manifest, signature
from gpu.nvrtc import why_not as no_nvrtc
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR
from xgboost import XGBClassifier

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.backends.devices import Found
from gpupipe.errors import ModelOptionError, TrainingError, UnsupportedEstimatorError
from gpupipe.models.estimators import ROWS, describe
from gpupipe.models.gpu import places
from gpupipe.models.gpu.places import where_trained
from gpupipe.models.gpu.table import TWINS, made
from gpupipe.models.gpu.twin import Case
from gpupipe.models.model import train, trained

from .case import LABELS, NAMES, matrix, target
from .gpu_fakes import CLASSES, Counted, installed

TIGHT: dict[str, Any] = {"tol": 1e-10, "max_iter": 20_000}
# name: (estimator, number of classes, whether of counts)
LEARNERS: dict[str, tuple[Any, int, bool]] = {
    "LinearRegression": (LinearRegression(), 0, False),
    "LinearRegression no intercept": (LinearRegression(fit_intercept=False), 0, False),
    "Ridge": (Ridge(alpha=3.0), 0, False),
    "Ridge svd": (Ridge(solver="svd"), 0, False),
    "Lasso": (Lasso(alpha=0.05, **TIGHT), 0, False),
    "ElasticNet": (ElasticNet(alpha=0.05, l1_ratio=0.3, **TIGHT), 0, False),
    "LogisticRegression": (LogisticRegression(C=0.3, tol=1e-9, max_iter=500), 2, False),
    "LogisticRegression 3": (LogisticRegression(class_weight="balanced"), 3, False),
    "LogisticRegression by label": (LogisticRegression(class_weight={"no": 5.0, "yes": 1.0}), 2, False),
    "LogisticRegression no penalty": (LogisticRegression(C=np.inf), 2, False),
    "LogisticRegression l1": (LogisticRegression(l1_ratio=1, solver="saga", random_state=0, max_iter=2000), 2, False),
    "LogisticRegression mixed": (
        LogisticRegression(l1_ratio=0.4, solver="saga", random_state=0, max_iter=2000), 3, False,
    ),
    "LinearSVC": (LinearSVC(random_state=0, C=0.5), 2, False),
    "LinearSVC 3": (LinearSVC(random_state=0), 3, False),
    "LinearSVC balanced": (LinearSVC(random_state=0, class_weight="balanced", tol=1e-9), 2, False),
    "LinearSVR": (LinearSVR(random_state=0, epsilon=0.1), 0, False),
    "RandomForestClassifier": (RandomForestClassifier(7, random_state=0), 2, False),
    "RandomForestClassifier 3": (
        RandomForestClassifier(7, criterion="log_loss", max_depth=4, max_samples=0.5, random_state=0), 3, False,
    ),
    "RandomForestRegressor": (RandomForestRegressor(7, random_state=0, min_samples_leaf=0.02), 0, False),
    "RandomForestRegressor poisson": (RandomForestRegressor(7, random_state=0, criterion="poisson"), 0, False),
    "KMeans": (KMeans(4, n_init=1, random_state=0), -1, False),
    "PCA": (PCA(3), -1, False),
    "PCA of all": (PCA(7), -1, False),
    "PCA whiten": (PCA(3, whiten=True), -1, False),
    "TruncatedSVD": (TruncatedSVD(3, algorithm="arpack"), -1, False),
    "GaussianNB": (GaussianNB(), 3, False),
    "GaussianNB priors": (GaussianNB(priors=[0.2, 0.8]), 2, False),
    "MultinomialNB": (MultinomialNB(alpha=0.5), 3, True),
    "MultinomialNB prior": (MultinomialNB(alpha=0.0, force_alpha=False, class_prior=[0.3, 0.7]), 2, True),
    "BernoulliNB": (BernoulliNB(binarize=0.1), 2, False),
    "BernoulliNB counts": (BernoulliNB(binarize=None), 2, True),
    "ComplementNB": (ComplementNB(norm=True), 3, True),
    "CategoricalNB": (CategoricalNB(), 3, True),
    "KNeighborsClassifier": (KNeighborsClassifier(3, weights="distance"), 3, False),
    "KNeighborsClassifier chebyshev": (KNeighborsClassifier(metric="infinity"), 2, False),
    "KNeighborsRegressor": (KNeighborsRegressor(p=1), 0, False),
    "SVC": (SVC(C=2.0), 2, False),
    "SVC linear": (SVC(kernel="linear", class_weight="balanced"), 2, False),
    "SVR": (SVR(epsilon=0.2), 0, False),
    "KernelRidge": (KernelRidge(kernel="rbf", gamma=0.1), 0, False),
}  # fmt: skip


def lesson(name: str) -> tuple[Any, Any, Any]:
    estimator, n_classes, counts = LEARNERS[name]
    X = np.minimum(matrix(False, counts), 3) if name == "BernoulliNB counts" else matrix(False, counts)
    X = (X > 0).astype(np.float32) if name == "BernoulliNB counts" else X
    y = None if n_classes < 0 else target(counts, n_classes)
    return estimator, X, LABELS[n_classes][y] if n_classes > 0 else y


def needs_kernels(name: str) -> None:
    if "Forest" in name and no_nvrtc():
        pytest.skip(no_nvrtc())


def test_every_twin_is_tried_here() -> None:
    assert {describe(estimator).path for estimator, *_ in LEARNERS.values()} == set(TWINS)
    assert {twin.path for twin in TWINS.values()} == set(CLASSES) <= set(manifest())
    assert set(TWINS) <= {row.path for row in ROWS}


@pytest.mark.filterwarnings("ignore:alpha too small")
@pytest.mark.parametrize("name", LEARNERS)
def test_a_twin_learns_what_its_estimator_learns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_kernels(name)
    estimator, X, y = lesson(name)
    here = train(estimator, X, y, feature_names=NAMES)
    device = Counted()
    with installed(monkeypatch) as fakes:
        there = trained(estimator, device.upload(X), y, feature_names=NAMES)
    assert (there.device, there.why) == ("gpu", None)
    assert (there.model.estimator, there.model.link, there.model.classes) == (here.estimator, here.link, here.classes)
    methods = [method for method in ("predict", "predict_proba", "transform") if has(here, method)]
    for method in methods:
        ours, theirs = getattr(there.model, method)(X), getattr(here, method)(X)
        if ours.dtype == object:
            assert (ours == theirs).mean() > 0.99
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    twin = TWINS[describe(estimator).path]
    (fit,) = fakes.called(f"{twin.path}.fit")
    assert fit.args[0].dtype == twin.dtype and fit.args[0].values.flags[f"{twin.order}_CONTIGUOUS"] | (
        twin.dtype == "float32"
    )
    assert device.downloaded <= X[:64].nbytes + 100, "the matrix was downloaded"


def has(model: Any, method: str) -> bool:
    try:
        getattr(model, method)(matrix(False, False)[:1])
    except Exception:
        return False
    return True


@pytest.mark.parametrize("path", TWINS)
def test_each_parameter_of_an_estimator_has_its_place_in_the_table(path: str) -> None:
    module, _, name = path.rpartition(".")
    params = getattr(importlib.import_module(module), name)().get_params(deep=False)
    twin = TWINS[path]
    assert set(params) <= twin.known, "a parameter nobody has thought of"
    extra = twin.known - set(params) - {"multi_class", "force_alpha", "probability"}  # of other releases
    assert not extra, "parameters that there are not"
    known = signature(twin.path)
    assert known is not None and {*twin.same, *twin.always} <= set(known.parameters)
    assert twin.refused(params, params) == [], "the defaults of the library can be trained"


@pytest.mark.parametrize("path", TWINS)
def test_methods_that_are_called_are_cumls(path: str) -> None:
    twin = TWINS[path]
    fit = signature(f"{twin.path}.fit")
    assert fit is not None and ("sample_weight" in fit.parameters) == twin.weights
    assert twin.compare is None or f"{twin.path}.{twin.compare}" in manifest()


REFUSED = [
    (LinearRegression(positive=True), "cuML's LinearRegression has no positive=True"),
    (Ridge(positive=True, solver="lbfgs"), "cuML's Ridge has no positive=True and no solver='lbfgs'"),
    (Lasso(warm_start=True), "cuML's Lasso has no warm_start=True"),
    (ElasticNet(precompute=True), "cuML's ElasticNet has no precompute=True"),
    (LogisticRegression(solver="liblinear"), "cuML's LogisticRegression has no solver='liblinear'"),
    (LinearSVC(intercept_scaling=2.0), "cuML's LinearSVC has no intercept_scaling=2.0"),
    (LinearSVC(multi_class="crammer_singer"), "has no multi_class='crammer_singer'"),
    (RandomForestClassifier(ccp_alpha=0.1), "cuML's RandomForestClassifier has no ccp_alpha=0.1"),
    (RandomForestClassifier(class_weight="balanced_subsample"), "has no class_weight='balanced_subsample'"),
    (RandomForestClassifier(max_leaf_nodes=9), "has no max_leaf_nodes=9"),
    (RandomForestRegressor(criterion="absolute_error"), "has no criterion='absolute_error'"),
    (RandomForestRegressor(max_samples=100), "has no max_samples=100"),
    (KMeans(init=print), "cuML's KMeans has no init=<built-in function print>"),
    (PCA(0.95), "cuML's PCA has no n_components=0.95"),
    (PCA(0), "cuML's PCA has no n_components=0"),
    (PCA("mle"), "cuML's PCA has no n_components='mle'"),
    (MultinomialNB(alpha=np.ones(7)), "cuML's MultinomialNB has no alpha=array"),
    (CategoricalNB(min_categories=5), "cuML's CategoricalNB has no min_categories=5"),
    (SVC(break_ties=True), "cuML's SVC has no break_ties=True"),
    (KernelRidge(kernel="chi2"), "cuML's KernelRidge has no kernel='chi2'"),
    (XGBClassifier(tree_method="exact"), "XGBoost on a GPU has no tree_method='exact'"),
    (XGBClassifier(device="cpu"), "XGBoost on a GPU has no device='cpu'"),
]


@pytest.mark.parametrize(("estimator", "says"), REFUSED)
def test_a_parameter_that_cuml_has_not_is_refused_by_name(
    estimator: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Found(Counted(), "a device")
    monkeypatch.setattr(optional.load("xgboost"), "build_info", lambda: {"USE_CUDA": True})
    with installed(monkeypatch):
        place, why = where_trained(estimator, found)
        assert place == "cpu" and why is not None and says in why
        with pytest.raises(ModelOptionError, match=r"device='gpu' was asked for.*device='auto'") as error:
            where_trained(estimator, found, named=True)
    assert says in str(error.value)


@pytest.mark.skipif(not optional.available("cuml"), reason="cuML is not installed")
@pytest.mark.parametrize("name", LEARNERS)
def test_cumls_own_classes_take_what_they_are_given(name: str) -> None:
    """The real ones: they can be made, though not fitted, without a GPU."""
    estimator, X, y = lesson(name)
    twin, params = TWINS[describe(estimator).path], estimator.get_params(deep=False)
    given = twin.translated(Case(params, len(X), X.shape[1], 2, y, None, lambda: False))
    taken = made(twin.path, given).get_params()
    assert all(taken[name] is value or np.all(taken[name] == value) for name, value in given.items())


def case(estimator: Any, rows: int = 100, features: int = 5, **how: Any) -> tuple[Any, Case]:
    given = {"classes": None, "target": None, "weights": None, "unfinite": lambda: False, **how}
    return TWINS[describe(estimator).path], Case(estimator.get_params(deep=False), rows, features, **given)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (Ridge(alpha=2.0, solver="svd"), {"alpha": 2.0, "fit_intercept": True, "copy_X": False, "solver": "svd"}),
        (Ridge(solver="sag"), {"alpha": 1.0, "fit_intercept": True, "copy_X": False, "solver": "auto"}),
        (
            LogisticRegression(C=np.float64(0.5), l1_ratio=0.25),
            {"penalty": "elasticnet", "C": 0.5, "l1_ratio": 0.25, "tol": 1e-4, "fit_intercept": True,
             "class_weight": None, "max_iter": 100, "solver": "qn"},
        ),
        (
            RandomForestRegressor(np.int64(9), random_state=3),
            {"n_estimators": 9, "max_depth": None, "max_features": 1.0, "min_samples_leaf": 1, "min_samples_split": 2,
             "bootstrap": True, "random_state": 3, "split_criterion": "mse", "n_bins": 100, "n_streams": 1},
        ),
        (
            LinearSVR(),
            {"epsilon": 0.0, "loss": "epsilon_insensitive", "C": 1.0, "fit_intercept": True, "tol": 1e-4,
             "max_iter": 1000, "penalized_intercept": True, "penalty": "l2"},
        ),
        (
            BernoulliNB(alpha=1e-12, binarize=0.1, force_alpha=False),
            {"fit_prior": True, "alpha": 1e-10, "class_prior": None, "binarize": 0.09999999403953552},
        ),
        (
            KMeans(3, random_state=1),
            {"n_clusters": 3, "max_iter": 300, "tol": 1e-4, "random_state": 1, "n_init": "auto",
             "init": "scalable-k-means++"},
        ),
        (
            KMeans(3, init="random", n_init=2),
            {"n_clusters": 3, "max_iter": 300, "tol": 1e-4, "random_state": None, "n_init": 2, "init": "random"},
        ),
        (
            KNeighborsClassifier(metric="p", p=3),
            {"n_neighbors": 5, "weights": "uniform", "p": 3, "metric": "minkowski", "algorithm": "brute"},
        ),
    ],
)  # fmt: skip
def test_parameters_are_translated(estimator: Any, expected: dict[str, Any]) -> None:
    twin, found = case(estimator)
    assert twin.translated(found) == {**expected, "output_type": "cupy"}
    plain = [value for value in twin.translated(found).values() if isinstance(value, np.generic)]
    assert not plain, "cuML asks whether a number is Python's"


@pytest.mark.parametrize(
    ("estimator", "how", "says"),
    [
        (PCA(2), {"features": 2, "rows": 2}, None),
        (PCA(1), {"features": 1}, "no single feature"),
        (PCA(1), {"rows": 1}, "no single feature or row"),
        (TruncatedSVD(6), {}, "n_components=6 of 100 rows and 5 features"),
        (RandomForestRegressor(), {"target": np.ones(100)}, None),
        (RandomForestRegressor(), {"target": np.arange(100) + 1e9}, "float32"),
        (RandomForestRegressor(), {"target": np.arange(100.0), "unfinite": lambda: True}, "hold nulls"),
        (Ridge(), {"target": np.ones((100, 2))}, None),
        (Lasso(), {"target": np.ones((100, 1))}, "learns a single target"),
        (SVC(), {"classes": 2}, None),
        (LinearSVC(class_weight="balanced"), {"classes": 2}, None),
        (LinearSVC(class_weight="balanced"), {"classes": 3}, "weighs more than two classes otherwise"),
        (LinearSVC(), {"classes": 3}, None),
    ],
)
def test_what_rows_must_be(estimator: Any, how: dict[str, Any], says: str | None) -> None:
    twin, found = case(estimator, **how)
    why = twin.unsuited(found)
    assert why is None if says is None else says in str(why)


NEGATIVE, NONE = np.linspace(-1, 5, 60), np.zeros(60)
TOGETHER: list[tuple[Any, Any]] = [
    *((LogisticRegression(l1_ratio=1.0, solver=solver), 2) for solver in ("lbfgs", "newton-cg", "sag", "saga")),
    (LogisticRegression(l1_ratio=0.5, solver="newton-cholesky"), 2),
    (LogisticRegression(C=np.inf), 2),
    *(
        (LinearSVC(penalty=penalty, loss=loss, dual=dual), 2)
        for penalty in ("l1", "l2") for loss in ("hinge", "squared_hinge") for dual in (True, False, "auto")
    ),
    *(
        (LinearSVR(loss=loss, dual=dual), 0)
        for loss in ("epsilon_insensitive", "squared_epsilon_insensitive") for dual in (True, False, "auto")
    ),
    *((RandomForestClassifier(2, bootstrap=also, max_samples=0.5), 2) for also in (False, True)),
    *((RandomForestClassifier(2, bootstrap=also, oob_score=True), 2) for also in (False, True)),
    *((RandomForestRegressor(2, criterion="poisson"), y) for y in (NEGATIVE, NONE, NEGATIVE + 1)),
    *((KMeans(n), -1) for n in (60, 61)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "y"), TOGETHER)
def test_what_scikit_learn_refuses_is_left_to_it(estimator: Any, y: Any) -> None:
    """cuML would learn something of it: what can be trained must not hang on the device."""
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    known = y if isinstance(y, np.ndarray) else None if y < 0 else np.arange(60) % y if y else np.arange(60.0)
    try:
        train(estimator, X, known, feature_names=["a", "b", "c"])
        taken = True
    except TrainingError:
        taken = False
    kind: dict[str, Any] = {"classes": y if isinstance(y, int) and y > 0 else None, "rows": 60, "features": 3}
    twin, found = case(estimator, target=known, **kind)
    assert (twin.unsuited(found) is None) == taken


@pytest.mark.parametrize("path", TWINS)
def test_only_a_copy_of_ours_may_be_written_to(path: str) -> None:
    twin = TWINS[path]
    assert twin.dtype == "float64" or twin.always.get("copy_X", True)


def test_a_parameter_that_the_table_does_not_know_may_stay_at_its_default() -> None:
    twin = TWINS["sklearn.linear_model.Ridge"]
    params = Ridge().get_params()
    assert twin.refused({**params, "new": 1}, {**params, "new": 1}) == []
    assert twin.refused({**params, "new": 2}, {**params, "new": 1}) == ["new=2"]
    assert twin.refused({**params, "new": np.ones(2)}, {**params, "new": None}) == ["new=array([1., 1.])"]


WRAPPED = VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())])


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (GradientBoostingClassifier(random_state=0), "no class of cuML that learns what GradientBoostingClassifier"),
        (WRAPPED, "VotingClassifier holds other estimators, and these are trained on the CPU"),
        (CalibratedClassifierCV(LogisticRegression()), "CalibratedClassifierCV holds other estimators"),
    ],
)
def test_what_has_no_twin_is_trained_on_the_cpu_and_says_so(
    estimator: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(monkeypatch):
        for named in (False, True):  # nothing about the estimator could be changed
            place, why = where_trained(estimator, Found(Counted(), ""), named=named)
            assert place == "cpu" and says in str(why)
        X, y = matrix(False, False), LABELS[2][target(False, 2)]
        if not isinstance(estimator, GradientBoostingClassifier):
            return
        there = trained(estimator, Counted().upload(X), y, feature_names=NAMES)
    assert (there.device, there.why) == ("cpu", why)
    assert there.model.digest() == train(estimator, X, y, feature_names=NAMES).digest()


def test_without_a_device_or_without_cuml() -> None:
    assert where_trained(Ridge(), Found(None, "There is no GPU.")) == ("cpu", "There is no GPU.")
    assert where_trained(Ridge(), Found(None, "There is no GPU."), named=True) == ("cpu", "There is no GPU.")
    with pytest.raises(ModelOptionError, match=r"no positive=True\. Leave that out"):  # cuML would not help
        where_trained(Ridge(positive=True), Found(Counted(), ""), named=True)
    place, why = where_trained(Ridge(), Found(Counted(), ""))
    assert place == "cpu" and why == places.installed(describe(Ridge())) and "cuML is not installed" in str(why)


@pytest.mark.parametrize("error", [AttributeError("no row_stack"), ImportError("libcuml++.so: cannot open")])
def test_cuml_that_does_not_load(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise error

    with installed(monkeypatch):
        monkeypatch.setattr(devices, "optional", SimpleNamespace(available=optional.available, load=load))
        monkeypatch.setattr(devices._Look, "broken", {})
        place, why = where_trained(Ridge(), Found(Counted(), ""))
        there = trained(Ridge(), Counted().upload(matrix(False, False)), target(False, 0), feature_names=NAMES)
        with pytest.raises(ModelOptionError, match=r"does not load.*versions that gpupipe\[cuda13\] names.*'auto'"):
            where_trained(Ridge(), Found(Counted(), ""), named=True)
    assert (place, there.device) == ("cpu", "cpu") and there.why == why
    assert f"does not load ({error})" in str(why)


def test_an_xgboost_built_without_cuda() -> None:
    place, why = where_trained(XGBClassifier(), Found(Counted(), ""))
    assert place == "cpu" and "built without CUDA" in str(why)
    says = r"device='gpu' was asked for, and XGBClassifier .* built without CUDA \(install xgboost in .*device='auto'"
    with pytest.raises(ModelOptionError, match=says):
        where_trained(XGBClassifier(), Found(Counted(), ""), named=True)


@pytest.mark.parametrize("name", ["Ridge", "DBSCAN", "UMAP"])
def test_an_object_of_cuml_is_refused_with_what_to_give_instead(name: str) -> None:
    kind = type(name, (), {"__module__": "cuml.somewhere", "get_params": lambda self, deep=True: {}})
    says = {
        "Ridge": "cuml's Ridge is no estimator.*Give sklearn.linear_model.Ridge, with its parameters",
        "DBSCAN": "It places the rows it was trained on, and no others. The nearest there is: KMeans",
        "UMAP": "It places a new row by a random search among all rows.*The nearest there is: PCA",
    }
    with pytest.raises(UnsupportedEstimatorError, match=says[name]):
        describe(kind())
