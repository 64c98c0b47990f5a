"""XGBoost's UBJ: read by us before XGBoost sees it, and refused when anything in it could lead it astray."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from gpupipe.errors import (
    ArtifactCorruptError,
    ColumnNotFoundError,
    GpupipeError,
    ModelError,
    ParameterError,
    UnsafeModelError,
)
from gpupipe.models.fitted import Model
from gpupipe.models.forms import ubj
from gpupipe.models.model import train

from .cases import CASES, LABELS, NAMES, XGB, matrix, ours, target

X, Y2, Y3, Y = matrix(True, False), target(False, 2), target(False, 3), target(False, 0)


def write(value: Any) -> bytes:
    """`value` as UBJ, the way XGBoost writes it: the tests' own writer, to make damaged models with."""
    if isinstance(value, dict):
        members = [size(name) + name.encode() + write(item) for name, item in value.items()]
        return b"{" + b"".join(members) + b"}"
    if isinstance(value, list):
        return b"[#" + size(value) + b"".join(map(write, value))
    if isinstance(value, np.ndarray):
        code = {"i1": "i", "u1": "U", "i2": "I", "i4": "l", "i8": "L", "f4": "d", "f8": "D"}[value.dtype.str[1:]]
        return b"[$" + code.encode() + b"#" + size(value) + value.astype(value.dtype.newbyteorder(">")).tobytes()
    if isinstance(value, str):
        return b"S" + size(value) + value.encode()
    if isinstance(value, int):
        return b"L" + value.to_bytes(8, "big", signed=True)
    raise TypeError(value)


def size(value: Any) -> bytes:
    length = len(value.encode()) if isinstance(value, str) else len(value)
    return b"L" + length.to_bytes(8, "big", signed=True)


def tree(document: Any) -> Any:
    return document["learner"]["gradient_booster"]["model"]["trees"][0]


def test_what_is_read_is_what_xgboost_wrote() -> None:
    raw = ours("XGBClassifier 3").blobs["ubj"]
    document = ubj.read(raw)
    assert len(document["learner"]["gradient_booster"]["model"]["trees"]) == 36
    assert tree(document)["split_conditions"].dtype == np.float32
    parts = ours("XGBClassifier 3").to_parts()
    again = Model.from_parts(parts[0], {}, {"ubj": write(document)})
    rows = CASES["XGBClassifier 3"].X
    assert (again.predict_proba(rows) == ours("XGBClassifier 3").predict_proba(rows)).all()


def put(name: str, value: Any) -> Any:
    return lambda document: tree(document).__setitem__(name, value(tree(document)[name]))


DAMAGES: dict[str, Any] = {
    "a child too far": put("left_children", lambda a: np.where(a >= 0, 10**6, a).astype(a.dtype)),
    "a child below -1": put("right_children", lambda a: np.where(a >= 0, -7, a).astype(a.dtype)),
    "a child that is the root": put("left_children", lambda a: np.where(a == a.max(), 0, a).astype(a.dtype)),
    "two parents": put("left_children", lambda a: np.where(a >= 0, a.max(), a).astype(a.dtype)),
    "one child": put("left_children", lambda a: np.full_like(a, -1)),
    "a feature too far": put("split_indices", lambda a: np.full_like(a, 7)),
    "categories": put("split_type", lambda a: np.full_like(a, 1)),
    "short thresholds": put("split_conditions", lambda a: a[:-1]),
    "children as floats": put("left_children", lambda a: a.astype(np.float32)),
    "no directions": lambda document: tree(document).pop("default_left"),
    "a tree of nothing": put("tree_param", lambda a: {**a, "num_nodes": "0"}),
    "nodes as a number": put("tree_param", lambda a: {**a, "num_nodes": 11}),
    "vector leaves": put("tree_param", lambda a: {**a, "size_leaf_vector": "3"}),
    "features": lambda d: d["learner"]["learner_model_param"].update(num_feature="8"),
    "classes": lambda d: d["learner"]["learner_model_param"].update(num_class="4"),
    "targets": lambda d: d["learner"]["learner_model_param"].update(num_target="2"),
    "booster": lambda d: d["learner"]["gradient_booster"].update(name="gblinear"),
    "groups": lambda d: d["learner"]["gradient_booster"]["model"].update(tree_info=[9] * 36),
    "fewer trees": lambda d: d["learner"]["gradient_booster"]["model"]["trees"].pop(),
    "rounds": lambda d: d["learner"]["gradient_booster"]["model"].update(iteration_indptr=[0, 99]),
    "no learner": lambda d: d.pop("learner"),
    "a list for a learner": lambda d: d.update(learner=[]),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_booster_that_could_lead_astray_is_refused(damage: str) -> None:
    document = ubj.read(ours("XGBClassifier 3").blobs["ubj"])
    DAMAGES[damage](document)
    with pytest.raises(ArtifactCorruptError, match="damaged"):
        Model.from_parts(ours("XGBClassifier 3").to_parts()[0], {}, {"ubj": write(document)})


@pytest.mark.parametrize("outputs", [0, 2, 1.5, True, "3", None])
def test_a_wrong_number_of_outputs_is_refused(outputs: Any) -> None:
    document, _, blobs = ours("XGBClassifier 3").to_parts()
    with pytest.raises(ArtifactCorruptError):
        Model.from_parts({**document, "params": {"outputs": outputs}}, {}, blobs)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_cut_or_flip_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(ours("XGBRegressor").blobs["ubj"])
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw = raw[:at]
    else:
        raw[at] = data.draw(st.integers(0, 255))
    try:
        Model.from_parts(ours("XGBRegressor").to_parts()[0], {}, {"ubj": bytes(raw)}).predict(X[:5])
    except GpupipeError:
        return


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "cut short"),
        (b"{", "cut short"),
        (b"{}x", "1 bytes too many"),
        (b"[" * 100, "nested deeper"),
        (b"?", "unknown marker"),
        (b"Si\xff", "impossible length"),
        (b"SL\x7f" + b"\xff" * 7, "impossible length"),
        (b"Si\x01\xff", "not UTF-8"),
        (b"[$S#i\x01", "malformed array"),
        (b"[$d#l\x7f\xff\xff\xff", "impossible length"),
        (b"{i\x01aTi\x01aT}", "twice"),
    ],
)
def test_bytes_that_are_no_ubj(raw: bytes, says: str) -> None:
    with pytest.raises(ArtifactCorruptError, match=says):
        ubj.read(raw)


def test_the_kinds_of_value_there_are() -> None:
    raw = b"{i\x01a[TFZU\xffI\xff\xfel\x00\x00\x00\x01d\x3f\x80\x00\x00]i\x01bSi\x02\xc3\xbc}"
    assert ubj.read(raw) == {"a": [True, False, None, 255, -2, 1, 1.0], "b": "ü"}


@pytest.mark.parametrize(
    "objective",
    ["reg:squarederror", "reg:absoluteerror", "count:poisson", "reg:gamma", "reg:tweedie", "reg:pseudohubererror"],
)
def test_a_regression_predicts_through_its_objective(objective: str) -> None:
    estimator = XGBRegressor(**XGB, objective=objective)
    model = train(estimator, X, Y, feature_names=NAMES)
    fitted = XGBRegressor(**XGB, objective=objective).fit(X, Y)
    assert (model.predict(X) == fitted.predict(X)).all()


@pytest.mark.parametrize("name", ["XGBRFClassifier", "XGBRFRegressor"])
def test_random_forests_grow_in_one_round(name: str) -> None:
    estimator = (XGBRFClassifier if name.endswith("Classifier") else XGBRFRegressor)(**XGB)
    model = train(estimator, X, Y2, feature_names=NAMES)
    theirs: Any = type(estimator)(**XGB)
    assert (model.predict(X) == theirs.fit(X, Y2).predict(X)).all()
    with pytest.raises(ParameterError, match="it does not stop early"):
        train(estimator, X, Y2, validation=(X, Y2, None), feature_names=NAMES)


def test_multi_softmax_gives_probabilities_too() -> None:
    fitted = XGBClassifier(**XGB, objective="multi:softmax").fit(X, Y3)
    model = train(XGBClassifier(**XGB, objective="multi:softmax"), X, Y3, feature_names=NAMES)
    assert (model.predict(X) == fitted.predict(X)).all()
    soft = XGBClassifier(**XGB, objective="multi:softprob").fit(X, Y3)
    assert (model.predict_proba(X) == soft.predict_proba(X)).all()


def test_weights_of_a_class() -> None:
    model = train(XGBClassifier(**XGB, scale_pos_weight=4.0), X, LABELS[2][Y2], feature_names=NAMES)
    fitted = XGBClassifier(**XGB, scale_pos_weight=4.0).fit(X, Y2)
    assert (model.predict_proba(X)[:, 1] == fitted.predict_proba(X)[:, 1]).all()


@pytest.mark.parametrize(
    "together",
    [[["f0", "f1"], ["f2", "f3", "f4"]], [[0, 1], [2, 3, 4]], "[[0, 1], [2, 3, 4]]", (("f0", 1), (2, "f3", 4))],
)
def test_interactions_are_given_by_name(together: Any) -> None:
    model = train(XGBRegressor(**XGB, interaction_constraints=together), X, Y, feature_names=NAMES)
    fitted = XGBRegressor(**XGB, interaction_constraints="[[0, 1], [2, 3, 4]]").fit(X, Y)
    assert (model.predict(X) == fitted.predict(X)).all()
    with pytest.raises(ColumnNotFoundError, match="interaction_constraints names the feature 'nowhere'"):
        train(XGBRegressor(interaction_constraints=[["nowhere", "f1"]]), X, Y, feature_names=NAMES)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"objective": "binary:hinge"}, UnsafeModelError, "does not give probabilities"),
        ({"booster": "gblinear"}, UnsafeModelError, "gblinear"),
        ({"multi_strategy": "multi_output_tree"}, UnsafeModelError, "vectors for leaves"),
        ({"missing": 0.0}, ModelError, "null_if"),
        ({"quantile_alpha": [0.1, 0.9]}, ModelError, "2 numbers a row.*a pipeline for each"),
        ({"monotone_constraints": {"f9": 1}}, ColumnNotFoundError, "names the feature 'f9'"),
    ],
)
def test_what_has_no_form_is_refused(given: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        train(XGBClassifier(**XGB, **given), X, Y2, feature_names=NAMES)


def test_constraints_are_given_by_name() -> None:
    model = train(XGBRegressor(**XGB, monotone_constraints={"f0": 1}), X, Y, feature_names=NAMES)
    fitted = XGBRegressor(**XGB, monotone_constraints=(1, 0, 0, 0, 0, 0, 0)).fit(X, Y)
    assert (model.predict(X) == fitted.predict(X)).all()


def test_categories_are_refused() -> None:
    estimator = XGBClassifier(**XGB, feature_types=["c"] + ["q"] * 6, enable_categorical=True)
    with pytest.raises(UnsafeModelError, match="feature_types"):
        train(estimator, matrix(False, True), Y2, feature_names=NAMES)


@pytest.mark.parametrize("base_score", [b"[1E0-0]", b"[2E+0]", b"[9E-1]"])
def test_a_base_score_that_its_objective_refuses_is_damage(base_score: bytes) -> None:
    document, arrays, blobs = ours("XGBClassifier").to_parts()
    where = blobs["ubj"].index(b"base_score") + len(b"base_scoreSL")
    size = int.from_bytes(blobs["ubj"][where : where + 8], "big")
    changed = len(base_score).to_bytes(8, "big") + base_score
    data = blobs["ubj"][:where] + changed + blobs["ubj"][where + 8 + size :]
    try:
        found = Model.from_parts(document, arrays, {"ubj": data}).predict_proba(matrix(True, False)[:3])
    except ArtifactCorruptError as error:
        assert base_score != b"[9E-1]" and "base score" in str(error).replace("_", " ")
    else:
        assert base_score == b"[9E-1]" and found.shape == (3, 2)
