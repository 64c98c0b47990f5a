"""Trees: the same decision for every row, at thresholds, at NaN, at float32's edges, and with categories."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from gpupipe.errors import ArtifactCorruptError, UnsafeModelError
from gpupipe.models.families import boosting
from gpupipe.models.fitted import Model
from gpupipe.models.forms.tree_walk import LANES, ROWS
from gpupipe.models.forms.trees import Trees, round_down
from gpupipe.models.model import train

from .cases import CASES, FEW, HIST, N_ROWS, NAMES, matrix, ours, target, theirs

X, Y2, Y3, Y = matrix(True, False), target(False, 2), target(False, 3), target(False, 0)
HUGE = np.float32(3e38)


@given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False))
def test_rounding_a_threshold_down_changes_no_decision(threshold: float, x: float) -> None:
    down = round_down(np.array([threshold]))[0]
    with np.errstate(over="ignore"):
        beside = [np.nextafter(down, np.float32(np.inf)), np.nextafter(down, np.float32(-np.inf))]
    for value in (np.float32(x), down, *beside):
        assert (value <= down) == (float(value) <= threshold)


def at_thresholds(body: Trees, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows that stand on a threshold, just below and just above it, at infinity, and rows of NaN."""
    rows = []
    for feature in range(X.shape[1]):
        mine = body.nodes.table[:, 0] == feature
        exact = body.nodes.table.view(np.float32)[mine, 1][:200]
        near = [exact, np.nextafter(exact, HUGE), np.nextafter(exact, -HUGE), [np.inf, -np.inf, np.nan, -0.0]]
        values = np.concatenate(near).astype(np.float32)
        edge = X[np.arange(len(values)) % len(X)].copy()
        edge[:, feature] = values
        rows.append(edge)
    return np.concatenate(rows)


@pytest.mark.parametrize("name", [name for name in CASES if ours(name).form == "trees"])
def test_decisions_at_the_edges_are_the_librarys(name: str) -> None:
    model, fitted = ours(name), theirs(name)
    rows = at_thresholds(model.body, CASES[name].X)  # type: ignore[arg-type]
    if "Hist" not in name:  # forests refuse infinities
        rows = rows[~np.isinf(rows).any(axis=1)]
    method = "predict_proba" if CASES[name].n_classes else "predict"
    if not CASES[name].missing and "Hist" not in name:
        rows = rows[~np.isnan(rows).any(axis=1)]
    assert len(rows) > 30
    np.testing.assert_allclose(getattr(model, method)(rows), getattr(fitted, method)(rows), rtol=1e-12, atol=1e-15)


def test_missing_values_that_training_never_saw() -> None:
    clean = matrix(False, False)
    holes = clean.copy()
    holes[np.random.default_rng(0).random(holes.shape) < 0.3] = np.nan
    model = train(HistGradientBoostingRegressor(**HIST), clean, Y, feature_names=NAMES)
    fitted = HistGradientBoostingRegressor(**HIST).fit(clean, Y)
    assert (model.predict(holes) == fitted.predict(holes)).all()


@pytest.mark.parametrize("estimator", [RandomForestRegressor, ExtraTreesRegressor, HistGradientBoostingRegressor])
def test_a_tree_may_be_a_single_leaf(estimator: Any) -> None:
    settings = {"random_state": 0, "min_samples_leaf": N_ROWS}
    model = train(estimator(**settings), X, Y, feature_names=NAMES)
    assert len(model.arrays["feature"]) == 0
    want = estimator(**settings).fit(X, Y).predict(X)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-12)
    Model.from_parts(*model.to_parts())


def test_more_trees_and_rows_than_go_down_at_once() -> None:
    many = np.concatenate([X] * (ROWS // N_ROWS + 2))
    forest = RandomForestClassifier(n_estimators=LANES // ROWS // 3 * 2 + 3, random_state=0, max_depth=4)
    model = train(forest, X, Y3, feature_names=NAMES)
    fitted = RandomForestClassifier(**forest.get_params()).fit(X, Y3)
    assert (model.predict_proba(many) == fitted.predict_proba(many)).all()
    assert (
        model.predict_proba(many)[:9] == np.concatenate([model.predict_proba(many[i : i + 1]) for i in range(9)])
    ).all()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "poisson", "gamma"])
def test_each_loss_has_its_link(loss: str) -> None:
    estimator = HistGradientBoostingRegressor(**HIST, loss=loss, quantile=0.3 if loss == "quantile" else None)
    model = train(estimator, X, Y, feature_names=NAMES)
    fitted = HistGradientBoostingRegressor(**estimator.get_params()).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), fitted.predict(X), rtol=1e-13)
    assert set(boosting.LOSS_LINKS) == {"squared_error", "absolute_error", "quantile", "poisson", "gamma"}


def test_a_loss_of_the_users_own_is_refused() -> None:
    with pytest.raises(UnsafeModelError, match="loss object"):
        boosting.hist_classifier(HistGradientBoostingClassifier(loss=None))
    with pytest.raises(UnsafeModelError, match=r"loss=.*There are: squared_error"):
        boosting.hist_regressor(HistGradientBoostingRegressor(loss="other"))


def categorical() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(8)
    X = matrix(True, False).copy()
    X[:, 2] = rng.choice([-5.0, 0.5, 2.0, 7.0, 40.0, 300.0, np.nan], N_ROWS)
    X[:, 5] = rng.integers(0, 60, N_ROWS)
    y = np.isin(X[:, 2], [-5.0, 7.0, 300.0]) * 2.0 + (X[:, 5] % 3 == 1) + rng.normal(size=N_ROWS) / 5
    return X, y


@pytest.mark.parametrize("chosen", [["f5", "f2"], [2, 5], [name in ("f2", "f5") for name in NAMES]])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_categorical_features(chosen: Any, n_classes: int) -> None:
    X, y = categorical()
    kind: Any = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
    if n_classes:
        y = np.searchsorted(np.quantile(y, np.arange(1, n_classes) / n_classes), y)
    model = train(kind(**HIST, categorical_features=chosen), X, y, feature_names=NAMES)
    fitted = kind(**HIST, categorical_features=[2, 5]).fit(X, y)
    assert (model.arrays["category_set"] >= 0).sum() > 5 and len(model.arrays["category_values"]) > 60
    odd = np.concatenate([X, X])
    odd[:N_ROWS, 2] = np.resize([3.0, np.nan, np.inf, -5.0, 301.0], N_ROWS)  # unknown ones too
    odd[N_ROWS:, 5] = np.resize([999.0, -1.0, 0.5, 59.0, np.nan], N_ROWS)
    method = "predict_proba" if n_classes else "predict"
    safe = ~np.isinf(odd).any(axis=1)
    np.testing.assert_allclose(getattr(model, method)(odd)[safe], getattr(fitted, method)(odd[safe]), rtol=1e-12)
    again = Model.from_parts(*model.to_parts())
    assert getattr(again, method)(odd).tobytes() == getattr(model, method)(odd).tobytes()
    one = np.concatenate([getattr(model, method)(odd[i : i + 1]) for i in range(20)])
    assert one.tobytes() == getattr(model, method)(odd)[:20].tobytes()


def test_constraints_are_given_by_name() -> None:
    model = train(HistGradientBoostingRegressor(**HIST, monotonic_cst={"f1": -1, "f0": 1}), X, Y, feature_names=NAMES)
    fitted = HistGradientBoostingRegressor(**HIST, monotonic_cst=[1, -1, 0, 0, 0, 0, 0]).fit(X, Y)
    assert (model.predict(X) == fitted.predict(X)).all()


def test_interactions_are_given_by_name() -> None:
    named = HistGradientBoostingRegressor(**HIST, interaction_cst=[["f0", "f1"], ["f2", "f3", "f4"]])
    fitted = HistGradientBoostingRegressor(**HIST, interaction_cst=[[0, 1], [2, 3, 4]]).fit(X, Y)
    assert (train(named, X, Y, feature_names=NAMES).predict(X) == fitted.predict(X)).all()


DAMAGES: dict[str, tuple[str, Any]] = {
    "a feature too far": ("feature", lambda a: np.full_like(a, len(NAMES))),
    "a feature below 0": ("feature", lambda a: np.full_like(a, -1)),
    "a child that is its own parent": ("left", lambda a: np.arange(len(a), dtype=a.dtype)),
    "a child before its parent": ("right", lambda a: np.zeros_like(a)),
    "a child too far": ("left", lambda a: np.full_like(a, 2**31 - 1)),
    "a root too far": ("roots", lambda a: np.full_like(a, 2**31 - 1)),
    "a root below 0": ("roots", lambda a: np.full_like(a, -1)),
    "no trees": ("roots", lambda a: a[:0]),
    "a tree too few": ("roots", lambda a: a[:-1]),
    "thresholds of NaN": ("threshold", lambda a: np.full_like(a, np.nan)),
    "leaves gone": ("value", lambda a: a[:-1]),
    "leaves too wide": ("value", lambda a: np.repeat(a, 2, axis=1)),
    "no outputs": ("start", lambda a: a[:0]),
    "a direction of 2": ("missing_left", lambda a: np.full_like(a, 2)),
    "a set too far": ("category_set", lambda a: np.full_like(a, 10**6)),
    "a set below -1": ("category_set", lambda a: np.full_like(a, -2)),
    "sets too few": ("category_set", lambda a: a[:-1]),
    "bits gone": ("category_bits", lambda a: a[:0]),
    "categories unsorted": ("category_values", lambda a: a[::-1].copy()),
    "categories gone": ("category_values", lambda a: a[:-1]),
    "offsets of nothing": ("category_offsets", lambda a: np.zeros_like(a)),
    "offsets backwards": ("category_offsets", lambda a: a[[0, 2, 1, 4, 3, 5, 6, 7]] + [0, 3, 1, 1, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damaged_trees_are_refused(damage: str) -> None:
    X, y = categorical()
    y = np.searchsorted(np.quantile(y, [0.3, 0.6]), y)
    estimator = HistGradientBoostingClassifier(**HIST, categorical_features=[2, 5])
    document, arrays, blobs = train(estimator, X, y, feature_names=NAMES).to_parts()
    part, change = DAMAGES[damage]
    arrays[part] = change(arrays[part])
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(document, arrays, blobs)


def test_a_forest_of_stumps_is_small() -> None:
    model = train(RandomForestClassifier(**FEW, max_depth=1), X, Y2, feature_names=NAMES)
    assert sum(array.nbytes for array in model.arrays.values()) < 2000
