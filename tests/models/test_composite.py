"""Models inside models as parts: whatever a file says, it is refused by name or scores the same."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, RegressorChain
from xgboost import XGBClassifier

from gpupipe.errors import ArtifactCorruptError, UnsupportedEstimatorError
from gpupipe.models.bodies import MAX_DEPTH, MAX_MEMBERS, NESTING
from gpupipe.models.fitted import Model
from gpupipe.models.forms.member import member_parts, split_arrays
from gpupipe.models.model import train
from gpupipe.models.scoring import takes_nan

from .composites import FEW, LABELS, NAMES, SCORES, X, codes, reloaded

LR = LogisticRegression()
XGB = XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1)
TWO = [LABELS[2][column] for column in (SCORES > 0).astype(int).T]
NESTED: dict[str, tuple[Any, int]] = {  # an estimator, and its classes; 0: several targets
    "calibrated": (CalibratedClassifierCV(LR, cv=2, method="isotonic"), 3),
    "sigmoid": (CalibratedClassifierCV(XGB, cv=2), 2),
    "temperature": (CalibratedClassifierCV(LR, cv=2, method="temperature"), 3),
    "threshold": (FixedThresholdClassifier(CalibratedClassifierCV(XGB, cv=2), threshold=0.3), 2),
    "against_rest": (OneVsRestClassifier(LR), 3),
    "against_one": (OneVsOneClassifier(RandomForestClassifier(**FEW, max_depth=2)), 3),
    "several": (MultiOutputClassifier(FixedThresholdClassifier(XGB, threshold=0.4)), 0),
    "chain": (ClassifierChain(LR, order=[1, 2, 0]), 0),
    "regressor chain": (RegressorChain(Ridge()), -1),
}


def model(name: str) -> Model:
    estimator, n_classes = NESTED[name]
    if n_classes > 0:
        return train(estimator, X, LABELS[n_classes][codes(n_classes)], feature_names=NAMES)
    y = list(SCORES.T) if n_classes < 0 else TWO
    return train(estimator, X, y, feature_names=NAMES, targets=["a", "b", "c"])


MODELS = {name: model(name) for name in NESTED}


def test_every_nesting_form_of_these_is_tried() -> None:
    others = {"voting", "stacking"}
    assert {found.form for found in MODELS.values()} == set(NESTING) - others


@pytest.mark.parametrize("name", list(NESTED))
def test_no_part_is_a_file_of_its_own(name: str) -> None:
    _, arrays, blobs = MODELS[name].to_parts()
    assert not blobs and all(isinstance(array, np.ndarray) for array in arrays.values())
    assert reloaded(MODELS[name]).digest() == MODELS[name].digest()
    if name == "several":
        assert "0.0.ubj" in arrays and arrays["0.0.ubj"].dtype == np.uint8


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything in a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from spots(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any, drop: bool = False) -> Any:
    found = copy.deepcopy(document)
    at = found
    for key in path[:-1]:
        at = at[key]
    if drop:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return found


def refused_or_sound(document: Any, arrays: Any, blobs: Any) -> bool:
    """Whether the parts are refused, in our words; what is accepted must score every row."""
    try:
        found = Model.from_parts(document, arrays, blobs)
        assert len(found.predict(X[:5])) == 5
        if found.has_probabilities:
            assert all(np.shape(part)[0] == 5 for part in found.proba_each(X[:5]))
    except ArtifactCorruptError as error:
        assert "damaged" in str(error) or "cannot read" in str(error)
        return True
    return False


WRONG = (None, True, -1, 7, 2**70, 0.5, "x", [], {}, [1, True], ["__import__"], {"members": []}, [[0]], float("nan"))


@pytest.mark.parametrize("name", list(NESTED))
def test_every_entry_changed_or_dropped(name: str) -> None:
    document, arrays, blobs = MODELS[name].to_parts()
    document = json.loads(json.dumps(document))
    places = list(spots(document))
    for number, path in enumerate(places):
        assert refused_or_sound(changed(document, path, None, drop=True), arrays, blobs)
        for value in (WRONG[number % len(WRONG)], WRONG[(number * 5 + 3) % len(WRONG)]):
            refused_or_sound(changed(document, path, value), arrays, blobs)


@pytest.mark.parametrize("name", list(NESTED))
def test_every_array_changed_or_dropped(name: str) -> None:
    document, arrays, blobs = MODELS[name].to_parts()
    for part, array in arrays.items():
        rest = {other: values for other, values in arrays.items() if other != part}
        assert refused_or_sound(document, rest, blobs)
        assert refused_or_sound(document, {**rest, part: array[None]}, blobs)
        assert refused_or_sound(document, {**rest, part: array.astype("float16")}, blobs)
        refused_or_sound(document, {**rest, part: array[: len(array) // 2]}, blobs)
        if array.dtype.kind == "f" and array.size:
            assert refused_or_sound(document, {**rest, part: np.full_like(array, np.nan)}, blobs)
        if array.dtype == np.int64 and array.size:
            for value in (-1, 10**6, np.iinfo(np.int64).max):
                assert refused_or_sound(document, {**rest, part: np.full_like(array, value)}, blobs)
    for odd in ("0", "0.", ".0", "9.coefficients", "00.x", "0.0.0.0.0.x", "-1.x", "1e0.x", ""):
        assert refused_or_sound(document, {**arrays, odd: np.zeros(1)}, blobs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_byte_of_any_array_changed(data: st.DataObject) -> None:
    change_a_byte(data)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_byte_of_any_array_changed_5_000_times(data: st.DataObject) -> None:
    change_a_byte(data)


def change_a_byte(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(NESTED)))
    document, arrays, blobs = MODELS[name].to_parts()
    part = data.draw(st.sampled_from([key for key, array in arrays.items() if array.size]))
    raw = bytearray(arrays[part].tobytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    damaged = np.frombuffer(bytes(raw), arrays[part].dtype).reshape(arrays[part].shape)
    refused_or_sound(document, {**arrays, part: damaged}, blobs)


Damage = Callable[[dict[str, Any]], Any]


def put(*path: Any) -> Damage:
    *keys, value = path

    def change(document: dict[str, Any]) -> Any:
        return changed(document, tuple(keys), value)

    return change


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("calibrated", put("params", "members", 0, "form", "pickle"), "its form 'pickle' is unknown"),
        ("calibrated", put("params", "members", 0, "kind", "regressor"), "its link 'softmax' is not for a regressor"),
        ("calibrated", put("params", "members", 0, "classes", ["a", "b", "ü"]), "are no codes"),
        ("calibrated", put("params", "members", 0, "classes", [0, 1, 5]), "not among those calibrated"),
        ("calibrated", put("params", "members", []), "no list, or more than there can be"),
        ("calibrated", put("params", "classes", 4), "4 outputs|other outputs|lacks|classes"),
        ("calibrated", put("params", "response", "predict"), "its response 'predict' is unknown"),
        ("sigmoid", put("params", "method", "temperature"), "'beta' has shape"),
        ("threshold", put("params", "positive", 2), "neither of two"),
        ("threshold", put("params", "threshold", float("inf")), "not a number"),
        ("threshold", put("classes", ["a", "b", "c"]), "3 classes for"),
        ("chain", put("params", "method", "eval"), "its method 'eval' is unknown"),
        ("chain", put("targets", ["a", "b"]), "not those of its targets"),
        ("chain", put("targets", ["a", "a", "b"]), "names of its targets are wrong"),
        ("chain", put("widths", [3, 0, 0]), "not those of its targets"),
        ("chain", put("widths", [True, 1, 1]), "not those of its targets"),
        ("chain", put("link", "sigmoid"), "its link is not of its form"),
        ("several", put("classes", None), "its classes are of another kind"),
        ("regressor chain", put("classes", [None, None, None]), "its classes are of another kind"),
        ("several", put("classes", [["no", "yes"]]), "classes of other targets"),
        ("regressor chain", put("kind", "classifier"), "its classes are of another kind"),
    ],
)
def test_damage_is_told(name: str, damage: Damage, says: str) -> None:
    document, arrays, blobs = MODELS[name].to_parts()
    document = damage(json.loads(json.dumps(document)))
    with pytest.raises(ArtifactCorruptError, match=says):
        Model.from_parts(document, arrays, blobs)


def test_a_model_of_several_targets_stands_in_no_other() -> None:
    inner_document, inner_arrays, _ = MODELS["chain"].to_parts()
    document, arrays, blobs = MODELS["against_rest"].to_parts()
    document = json.loads(json.dumps(document))
    member = {key: inner_document[key] for key in ("estimator", "kind", "classes", "link", "form", "params")}
    document["params"]["members"][0] = {**member, "blobs": []}
    own = {name: array for name, array in arrays.items() if not name.startswith("0.")}
    own.update({f"0.{name}": array for name, array in inner_arrays.items()})
    with pytest.raises(ArtifactCorruptError, match="several targets stands in another"):
        Model.from_parts(document, own, blobs)
    document, arrays, blobs = MODELS["chain"].to_parts()
    single = {key: value for key, value in document.items() if key not in ("targets", "widths")}
    with pytest.raises(ArtifactCorruptError, match="of several targets, and does not name them"):
        Model.from_parts(single, arrays, blobs)


def around(found: Model) -> Model:
    """A threshold around a model, its own document made by hand: training would refuse what is too deep."""
    (output,) = found.outputs
    documents, arrays = member_parts([output.relabelled((0, 1))])
    params = {"threshold": 0.5, "positive": 1, "response": "predict_proba", "single": False, "members": documents}
    document, _, _ = found.to_parts()
    return Model.from_parts({**document, "form": "threshold", "params": params}, arrays, {})


def test_models_in_models_end_somewhere() -> None:
    found = MODELS["sigmoid"]  # one deep
    for _ in range(MAX_DEPTH - 1):
        found = around(found)
    with pytest.raises(ArtifactCorruptError, match=f"more than {MAX_DEPTH} deep"):
        around(found)
    document, arrays, blobs = MODELS["temperature"].to_parts()
    many = document["params"]["members"] * MAX_MEMBERS
    with pytest.raises(ArtifactCorruptError, match="more than there can be"):
        Model.from_parts({**document, "params": {**document["params"], "members": many}}, arrays, blobs)


def test_wrappers_too_deep_are_refused_before_training() -> None:
    deep: Any = CalibratedClassifierCV(LR, cv=2)
    for _ in range(MAX_DEPTH):
        deep = FixedThresholdClassifier(deep)
    with pytest.raises(UnsupportedEstimatorError, match=f"more than {MAX_DEPTH} deep"):
        train(deep, X, LABELS[2][codes(2)], feature_names=NAMES)


def test_prefixes_come_off_whole_numbers_alone() -> None:
    arrays: Any = {"0.x": 1, "1.0.y": 2, "2.x": 3, "01.x": 4, "x.0": 5, "0": 6}
    assert split_arrays(arrays, 2) == ({"2.x": 3, "01.x": 4, "x.0": 5, "0": 6}, [{"x": 1}, {"0.y": 2}])


def test_nan_needs_every_model_inside() -> None:
    assert takes_nan(MODELS["sigmoid"]) and takes_nan(MODELS["several"])
    assert not takes_nan(MODELS["calibrated"]) and not takes_nan(MODELS["chain"])
    chain = RegressorChain(LinearRegression())
    assert not takes_nan(train(chain, X, list(SCORES.T), feature_names=NAMES, targets=["a", "b", "c"]))
    boosted = CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=2), cv=2)
    assert takes_nan(train(boosted, X, LABELS[2][codes(2)], feature_names=NAMES))
