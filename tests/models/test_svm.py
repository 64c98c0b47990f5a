"""Kernel machines: sums of any length, pairs of classes, kernels that are refused, and hostile parts."""

import copy
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC, SVR, OneClassSVM

from gpupipe.errors import ArtifactCorruptError, ModelError, ParameterError, UnsafeModelError
from gpupipe.models.fitted import Model
from gpupipe.models.forms import pairs
from gpupipe.models.forms.sums import halving_sum
from gpupipe.models.model import train

from .cases import NAMES, matrix, ours, target

X, Y2, Y3, Y = matrix(False, False), target(False, 2), target(False, 3), target(False, 0)


@settings(max_examples=50, deadline=None)
@given(n_rows=st.integers(1, 40), n_terms=st.integers(0, 300), seed=st.integers(0, 99))
def test_halving_sums_hang_on_no_other_row(n_rows: int, n_terms: int, seed: int) -> None:
    terms = np.random.default_rng(seed).normal(size=(n_rows, n_terms))
    whole = halving_sum(terms.copy())
    for row in range(n_rows):
        assert halving_sum(terms[row].copy()) == whole[row] == halving_sum(terms[row : row + 1].copy())[0]
        size = math.fsum(np.abs(terms[row]))
        assert abs(whole[row] - math.fsum(terms[row])) <= 1e-15 * size


@given(n_classes=st.integers(2, 40))
def test_classes_are_counted_from_outputs(n_classes: int) -> None:
    n_pairs = n_classes * (n_classes - 1) // 2
    assert pairs.classes_of_pairs(n_pairs) == pairs.classes_of_coupled(n_pairs + n_classes) == n_classes
    if n_classes > 2:
        assert pairs.classes_of_pairs(n_pairs + 1) == pairs.classes_of_coupled(n_pairs + n_classes + 1) == -1


@given(shares=st.lists(st.floats(1e-7, 1 - 1e-7), min_size=3, max_size=3))
def test_coupled_probabilities_are_probabilities(shares: list[float]) -> None:
    found = pairs.coupled(np.array([shares, [0.5, 0.5, 0.5]]))
    assert (found >= 0).all() and np.abs(found.sum(axis=1) - 1).max() < 1e-9
    np.testing.assert_allclose(found[1], 1 / 3)
    assert (pairs.coupled(np.array([shares])) == found[0]).all()


@pytest.mark.parametrize("estimator", [SVC(kernel="linear"), SVC(kernel="poly"), SVC(kernel="sigmoid"), SVC()])
def test_a_score_of_zero_is_for_the_second_class(estimator: Any) -> None:
    """As LIBSVM counts votes: between two rows, and of rows that are all alike."""
    rows, y = np.array([[-1], [1], [-2], [2]], np.float32), np.array([0, 1, 0, 1])
    if estimator.kernel == "rbf":
        rows = np.zeros_like(rows)
    model = train(estimator, rows, y, feature_names=["x"])
    middle = np.zeros((1, 1), np.float32)
    assert model.decision_function(middle).tolist() == [0.0]
    assert model.predict(middle) == estimator.fit(rows.astype(float), y).predict(middle.astype(float)) == [1]


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_score_of_zero_is_an_outlier(kernel: Any) -> None:
    rows = np.ones((6, 1), np.float32)
    estimator = OneClassSVM(kernel=kernel)
    model = train(estimator, rows, feature_names=["x"])
    assert (model.decision_function(rows) == 0.0).all()
    assert model.predict(rows).tolist() == estimator.fit(rows.astype(float)).predict(rows.astype(float)).tolist()


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_class_of_no_weight_is_told(kernel: Any) -> None:
    """scikit-learn's SVC then predicts the first two of three classes, whichever these are."""
    with pytest.raises(UnsafeModelError, match="a class whose rows all weigh 0"):
        train(SVC(kernel=kernel), X, Y3, weights=(Y3 != 0).astype(float), feature_names=NAMES)


def test_ten_classes() -> None:
    classes = np.searchsorted(np.quantile(Y, np.arange(1, 10) / 10), Y)
    for shape in ("ovr", "ovo"):
        estimator = SVC(decision_function_shape=shape)
        model = train(estimator, X, classes, feature_names=NAMES)
        fitted = estimator.fit(X.astype(float), classes)
        assert (model.predict(X) == fitted.predict(X)).all()
        np.testing.assert_allclose(model.decision_function(X), fitted.decision_function(X), rtol=1e-9, atol=1e-11)


def test_class_weights_are_given_by_label() -> None:
    labels = np.array(["low", "mid", "high"])[Y3]  # sorted: high, low, mid
    codes = np.array([1, 2, 0])[Y3]
    model = train(SVC(class_weight={"low": 9.0}), X, labels, feature_names=NAMES)
    fitted = SVC(class_weight={1: 9.0}).fit(X.astype(float), codes)
    np.testing.assert_allclose(model.decision_function(X), fitted.decision_function(X), rtol=1e-9, atol=1e-11)
    with pytest.raises(ParameterError, match=r"'hihg'.*high"):
        train(SVC(class_weight={"hihg": 9.0}), X, labels, feature_names=NAMES)


@pytest.mark.parametrize("kernel", [lambda a, b: a @ b.T, "precomputed"])
@pytest.mark.parametrize("kind", [SVC, SVR, OneClassSVM])
def test_kernels_that_are_code_or_a_matrix_are_refused(kernel: Any, kind: Any) -> None:
    y = {SVC: Y2, SVR: Y, OneClassSVM: None}[kind]
    with pytest.raises(UnsafeModelError, match=r"kernel.*no saved form\. Use one of: linear, poly, rbf, sigmoid"):
        train(kind(kernel=kernel), X, y, feature_names=NAMES)


def test_what_an_svm_does_not_have_is_said() -> None:
    with pytest.raises(ModelError, match=r"no predict_proba\. Use decision_function"):
        ours("SVC").predict_proba(X)


def test_far_rows_are_finite_or_ieee_and_never_a_crash() -> None:
    far = np.array([[3e38] * 7, [-3e38] * 7, [0] * 7], np.float32)
    for name in ("SVC 3", "SVC poly", "SVC sigmoid", "SVC Platt 3", "SVR", "OneClassSVM"):
        assert len(ours(name).predict(far)) == 3


DAMAGES: dict[str, tuple[str, Any]] = {
    "a kernel of another name": ("kernel", lambda value: "os.system"),
    "a kernel of another type": ("kernel", lambda value: ["rbf"]),
    "gamma gone": ("gamma", lambda value: None),
    "gamma infinite": ("gamma", lambda value: float("inf")),
    "a degree below 0": ("degree", lambda value: -1),
    "a broken degree": ("degree", lambda value: 2.5),
    "a degree without end": ("degree", lambda value: 1e300),
    "no counts": ("counts", lambda a: a[:0]),
    "counts below 0": ("counts", lambda a: a * [1, 1, -1]),
    "counts beyond the vectors": ("counts", lambda a: a + 1),
    "two counts": ("counts", lambda a: np.array([a[0], a[1] + a[2]])),
    "counts that wrap": ("counts", lambda a: np.array([2**62, 2**62, 2**62])),
    "vectors gone": ("support", lambda a: a[1:]),
    "vectors of another width": ("support", lambda a: a[:, 1:]),
    "weights gone": ("dual", lambda a: a[1:]),
    "intercepts too many": ("intercept", lambda a: np.concatenate([a, a])),
    "sigmoids too few": ("platt", lambda a: a[:, :1]),
    "no sigmoids, though linked": ("platt", lambda a: a[:, :0]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_machines_are_refused(damage: str) -> None:
    document, arrays, blobs = copy.deepcopy(ours("SVC Platt 3").to_parts())
    part, change = DAMAGES[damage]
    where = arrays if part in arrays else document["params"]
    where[part] = change(where[part])
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, arrays, blobs)


@pytest.mark.parametrize("link", ["votes", "pairs", "margin", "coupled_margin", "softmax"])
def test_a_link_for_other_outputs_is_refused(link: str) -> None:
    document, arrays, blobs = copy.deepcopy(ours("SVC Platt 3").to_parts())
    for classes in ([], ["a", "b"], ["a", "b", "c"]):
        with pytest.raises(ArtifactCorruptError, match="damaged"):
            Model.from_parts({**document, "link": link, "classes": classes}, arrays, blobs)
