"""Neighbours, centroids and networks: ties, several targets, what is refused, and hostile parts."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPRegressor

from gpupipe.errors import ArtifactCorruptError, ModelError, ParameterError, UnsafeModelError
from gpupipe.models.families.neighbours import first_smallest
from gpupipe.models.families.network import SMALL, _sums
from gpupipe.models.fitted import Model
from gpupipe.models.model import train

from .cases import N_ROWS, NAMES, matrix, ours, target

X, Y2, Y = matrix(False, False), target(False, 2), target(False, 0)


@settings(max_examples=200, deadline=None)
@given(
    values=hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(0, 3)),
    data=st.data(),
)
def test_the_first_of_equal_values_come_first(values: Any, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, values.shape[1]))
    pairs = [[(value, at) for at, value in enumerate(row)] for row in values.tolist()]
    want = [[at for _, at in sorted(row)[:k]] for row in pairs]
    assert first_smallest(values, k).tolist() == want


def test_of_rows_equally_far_those_first_in_training_count() -> None:
    rows = np.array([[0], [2], [0], [2], [1], [1]], np.float32)
    y = np.array([0, 10, 20, 30, 40, 50])
    model = train(KNeighborsRegressor(3), rows, y, feature_names=["x"])
    at = np.array([[1], [0], [1.5]], np.float32)
    assert model.predict(at).tolist() == [(40 + 50 + 0) / 3, (0 + 20 + 40) / 3, (10 + 30 + 40) / 3]


@pytest.mark.parametrize("p", [0.5, 2.5, 17.0])
def test_any_power(p: float) -> None:
    estimator = KNeighborsRegressor(3, p=p, weights="distance", algorithm="brute")
    model = train(estimator, X[:60], Y[:60], feature_names=NAMES)
    want = estimator.fit(X[:60].astype(float), Y[:60]).predict(X[60:90].astype(float))
    np.testing.assert_allclose(model.predict(X[60:90]), want, rtol=1e-9)


def test_no_weights_are_uniform_ones() -> None:
    unset, uniform = (train(KNeighborsRegressor(weights=w), X, Y, feature_names=NAMES) for w in (None, "uniform"))
    assert unset.digest() == uniform.digest()


def test_rows_at_no_distance_weigh_alone() -> None:
    rows = np.array([[0], [0], [1]], np.float32)
    model = train(KNeighborsRegressor(3, weights="distance"), rows, np.array([1.0, 3.0, 50.0]), feature_names=["x"])
    assert model.predict(np.array([[0]], np.float32)).tolist() == [2.0]


@pytest.mark.parametrize(
    "estimator", [KNeighborsRegressor(weights="distance"), MLPRegressor(hidden_layer_sizes=(4,), max_iter=5)]
)
def test_several_targets(estimator: Any) -> None:
    estimator.set_params(**({"random_state": 0} if isinstance(estimator, MLPRegressor) else {}))
    y = np.stack([Y, Y**2], axis=1)
    model = train(estimator, X, list(y.T), feature_names=NAMES, targets=["a", "b"])
    np.testing.assert_allclose(model.predict(X), estimator.fit(X.astype(float), y).predict(X.astype(float)), rtol=1e-9)


@pytest.mark.parametrize(
    ("estimator", "error", "says"),
    [
        (KNeighborsClassifier(weights=lambda d: d), UnsafeModelError, r"weights of its own.*'uniform' or 'distance'"),
        (KNeighborsClassifier(metric=lambda a, b: 0.0), UnsafeModelError, r"metric=.*Use one of: manhattan"),
        (KNeighborsClassifier(metric="cosine"), UnsafeModelError, r"metric='cosine'"),
        (KNeighborsClassifier(metric_params={"w": np.ones(7)}), UnsafeModelError, "metric_params"),
        (KNeighborsClassifier(N_ROWS + 1), UnsafeModelError, r"401\) was given 400 rows"),
        (NearestCentroid(metric="nan_euclidean"), UnsafeModelError, "nan_euclidean.*euclidean, manhattan"),
        (NearestCentroid(priors=[1.0]), ModelError, "1 priors for 2 classes"),
    ],
)
def test_what_has_no_form_is_refused_with_what_to_do(estimator: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        train(estimator, X, Y2, feature_names=NAMES)


def test_neighbours_take_no_weights() -> None:
    with pytest.raises(ParameterError, match="takes no weights"):
        train(KNeighborsClassifier(), X, Y2, weights=np.ones(N_ROWS), feature_names=NAMES)


@pytest.mark.parametrize("n_rows", [1, 3, 200])
def test_a_layer_adds_in_the_order_of_the_units_before_it(n_rows: int) -> None:
    rng = np.random.default_rng(0)
    units, weights, start = rng.normal(size=(30, n_rows)), rng.normal(size=(30, 20)), rng.normal(size=20)
    got = _sums(units, weights, start)
    assert (weights.size * n_rows <= SMALL) == (n_rows < 200)
    for row in {0, n_rows - 1}:
        total = start.copy()
        for unit, weight in zip(units[:, row], weights, strict=True):
            total = total + weight * unit
        assert got[:, row].tobytes() == total.tobytes()


DAMAGES: list[tuple[str, str, Any]] = [
    ("KNeighborsClassifier", "k", lambda k: 0),
    ("KNeighborsClassifier", "k", lambda k: 401),
    ("KNeighborsClassifier", "k", lambda k: 2.5),
    ("KNeighborsClassifier", "classes", lambda c: -1),
    ("KNeighborsClassifier", "classes", lambda c: 3),
    ("KNeighborsClassifier", "classes", lambda c: 10**9),
    ("KNeighborsClassifier", "metric", lambda m: "code"),
    ("KNeighborsClassifier", "metric", lambda m: {}),
    ("KNeighborsClassifier", "by_distance", lambda b: 1),
    ("KNeighborsClassifier", "target", lambda a: a - 1),
    ("KNeighborsClassifier", "target", lambda a: a + 0.5),
    ("KNeighborsClassifier", "target", lambda a: a + 1),
    ("KNeighborsClassifier", "target", lambda a: a[:-1]),
    ("KNeighborsClassifier", "target", lambda a: np.concatenate([a, a], axis=1)),
    ("KNeighborsClassifier", "rows", lambda a: a[:, :-1]),
    ("KNeighborsClassifier", "rows", lambda a: a.astype(np.float16)),
    ("KNeighborsClassifier cubic", "p", lambda p: 0.0),
    ("KNeighborsClassifier cubic", "p", lambda p: float("nan")),
    ("KNeighborsRegressor", "target", lambda a: a[:, :0]),
    ("NearestCentroid 3", "metric", lambda m: "cosine"),
    ("NearestCentroid 3", "spread", lambda a: -a),
    ("NearestCentroid 3", "spread", lambda a: a[1:]),
    ("NearestCentroid 3", "offset", lambda a: a[1:]),
    ("NearestCentroid 3", "centroids", lambda a: a[1:]),
    ("MLPClassifier 3", "layers", lambda n: 2),
    ("MLPClassifier 3", "layers", lambda n: 10**12),
    ("MLPClassifier 3", "layers", lambda n: 0),
    ("MLPClassifier 3", "activation", lambda a: "softplus"),
    ("MLPClassifier 3", "activation", lambda a: ["relu"]),
    ("MLPClassifier 3", "weights_1", lambda a: a.T.copy()),
    ("MLPClassifier 3", "weights_0", lambda a: a * np.nan),
    ("MLPClassifier 3", "intercept_2", lambda a: a[:-1]),
]


@pytest.mark.parametrize(("name", "part", "change"), DAMAGES)
def test_damaged_parts_are_refused(name: str, part: str, change: Any) -> None:
    document, arrays, blobs = copy.deepcopy(ours(name).to_parts())
    where = arrays if part in arrays else document["params"]
    where[part] = change(where[part])
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, arrays, blobs)
