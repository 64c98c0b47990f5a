"""Models as parts: the same bytes after a round trip, a digest of all of it, and every damage noticed."""

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpupipe.errors import ArtifactCorruptError, GpupipeError, ModelError
from gpupipe.models.bodies import FORMS
from gpupipe.models.fitted import Model

from .cases import CASES, NAMES, ours, outputs

EACH = pytest.mark.parametrize("name", list(CASES))
ONE_OF_EACH_FORM = {ours(name).form: name for name in CASES}


def reloaded(model: Model) -> Model:
    document, arrays, blobs = model.to_parts()
    return Model.from_parts(json.loads(json.dumps(document)), arrays, blobs)


@EACH
def test_parts_and_back_give_the_same_bytes(name: str) -> None:
    model, X = ours(name), CASES[name].X
    again = reloaded(model)
    before, after = outputs(model, X), outputs(again, X)
    assert before.keys() == after.keys() != set()
    for method, want in before.items():
        assert want.dtype == after[method].dtype
        same = want.tolist() == after[method].tolist() if want.dtype == object else None
        assert same or want.tobytes() == after[method].tobytes()
    assert again.digest() == model.digest() and len(model.digest()) == 64
    assert (again.kind, again.classes, again.feature_names) == (model.kind, model.classes, tuple(NAMES))
    assert again.params == model.params and again.arrays.keys() == model.arrays.keys()
    assert again.form == model.form == model.to_parts()[0]["form"]


def test_every_form_is_tried() -> None:
    assert set(ONE_OF_EACH_FORM) == set(FORMS)


@EACH
def test_any_changed_part_changes_the_digest(name: str) -> None:
    model = ours(name)
    document, arrays, blobs = model.to_parts()
    renamed = {**document, "feature_names": ["other", *NAMES[1:]]}
    digests = {model.digest(), Model.from_parts(renamed, arrays, blobs).digest()}
    floats = [part for part, array in arrays.items() if array.dtype == np.float64 and array.size]
    for part in floats:
        changed = {**arrays, part: arrays[part].copy()}
        changed[part].flat[-1] += 1.0
        digests.add(Model.from_parts(document, changed, blobs).digest())
    assert len(digests) == 2 + len(floats)


def test_a_model_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ours("Ridge").kind = "classifier"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "method", "instead"),
    [
        ("Ridge", "predict_proba", "predict"),
        ("Ridge", "decision_function", "predict"),
        ("Ridge", "transform", "predict"),
        ("PCA", "predict", "transform"),
        ("SGDClassifier hinge", "predict_proba", "decision_function"),
        ("RandomForestClassifier", "decision_function", "predict_proba"),
        ("XGBClassifier", "decision_function", "predict_proba"),
    ],
)
def test_a_method_that_means_nothing_says_which_does(name: str, method: str, instead: str) -> None:
    with pytest.raises(ModelError, match=f"no {method}. Use {instead}"):
        getattr(ours(name), method)(CASES[name].X)


Damage = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None]


def put(key: str, value: Any) -> Damage:
    return lambda document, arrays, blobs: document.__setitem__(key, value)


DAMAGES: dict[str, Damage] = {
    "version": put("version", 2),
    "an entry missing": lambda document, arrays, blobs: document.pop("link"),
    "an entry more": put("code", "import os"),
    "kind": put("kind", "oracle"),
    "kind of another type": put("kind", ["classifier"]),
    "form": put("form", "pickle"),
    "form of another type": put("form", {}),
    "link": put("link", "identity"),
    "link of another type": put("link", []),
    "links that need more outputs": put("link", "softmax"),
    "names": put("feature_names", NAMES[:-1]),
    "names twice": put("feature_names", [*NAMES[:-1], NAMES[0]]),
    "names of another type": put("feature_names", "abcdefg"),
    "classes gone": put("classes", None),
    "classes unsorted": put("classes", ["yes", "no"]),
    "classes mixed": put("classes", [1, True]),
    "classes nested": put("classes", [["a"], ["b"]]),
    "too many classes": put("classes", ["a", "b", "c"]),
    "classes NaN": put("classes", [1.0, float("nan")]),
    "params": put("params", {}),
    "params of another type": put("params", []),
    "binarize": put("params", {"binarize": "x"}),
    "binarize infinite": put("params", {"binarize": float("inf")}),
    "estimator": put("estimator", 3),
    "array missing": lambda document, arrays, blobs: arrays.pop("intercept"),
    "array more": lambda document, arrays, blobs: arrays.update(extra=np.zeros(1)),
    "array a list": lambda document, arrays, blobs: arrays.update(intercept=[0.0]),
    "array of another dtype": lambda d, arrays, b: arrays.update(intercept=np.zeros(1, np.float32)),
    "array of another shape": lambda d, arrays, b: arrays.update(intercept=np.zeros(2)),
    "array of another rank": lambda d, arrays, b: arrays.update(coefficients=np.zeros(7)),
    "array with NaN": lambda d, arrays, b: arrays.update(intercept=np.array([np.nan])),
    "array of objects": lambda d, arrays, b: arrays.update(intercept=np.array([None])),
    "a blob": lambda document, arrays, blobs: blobs.update(ubj=b"{}"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_model_is_refused(damage: str) -> None:
    document, arrays, blobs = copy.deepcopy(ours("LogisticRegression").to_parts())
    Model.from_parts(document, arrays, blobs)
    DAMAGES[damage](document, arrays, blobs)
    with pytest.raises(ArtifactCorruptError, match=r"The saved model is damaged: .*another copy"):
        Model.from_parts(document, arrays, blobs)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"xgboost", "skops"}))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_changed_it_predicts_or_is_refused(form: str, data: st.DataObject) -> None:
    """A changed number may be another valid model; it must never be a crash, a read outside, or a hang."""
    document, arrays, blobs = copy.deepcopy(ours(ONE_OF_EACH_FORM[form]).to_parts())
    if data.draw(st.booleans()):
        where = data.draw(st.sampled_from([document, document["params"]]))
        if where:
            where[data.draw(st.sampled_from(sorted(where)))] = data.draw(JUNK)
    name = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    change = data.draw(st.sampled_from(["bytes", "shorter", "dtype"]))
    if change == "bytes" and array.size:
        raw = bytearray(array.tobytes())
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + 4] = data.draw(st.binary(min_size=len(raw[at : at + 4]), max_size=len(raw[at : at + 4])))
        arrays[name] = np.frombuffer(bytes(raw), array.dtype).reshape(array.shape)
    elif change == "shorter":
        arrays[name] = array[: data.draw(st.integers(0, len(array)))]
    else:
        arrays[name] = array.astype(data.draw(st.sampled_from(["int64", "float32", "uint8", "float64"])))
    try:
        model = Model.from_parts(document, arrays, blobs)
    except ArtifactCorruptError:
        return
    X = CASES[ONE_OF_EACH_FORM[form]].X[:20, : len(model.feature_names)]
    with np.errstate(all="ignore"):
        for method in ("predict", "predict_proba", "decision_function", "transform"):
            try:
                getattr(model, method)(X)
            except GpupipeError:
                continue


def test_a_model_shows_what_it_is_not_its_numbers():
    shown = repr(ours("XGBClassifier"))
    assert shown.startswith("Model(xgboost.XGBClassifier, classifier, 7 features, kept as xgboost, digest ")
    assert len(shown) < 120
