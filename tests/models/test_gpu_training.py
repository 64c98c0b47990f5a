"""Training from a device's memory: what is handed over, what the rows decide, and what goes wrong."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost
from gpu.api.fakes import check_call
from gpu.nvrtc import why_not as no_nvrtc
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import SVC, LinearSVR
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier

import gpupipe as gp
from gpupipe.backends import devices
from gpupipe.errors import (
    DeviceLostError,
    DeviceMemoryError,
    ModelOptionError,
    ParameterError,
    SchemaMismatchError,
    TrainingError,
    UnsafeModelError,
    WeightsError,
)
from gpupipe.models.estimators import describe
from gpupipe.models.gpu.table import TWINS
from gpupipe.models.model import train, trained

from . import gpu_fakes
from .case import LABELS, N_ROWS, NAMES, matrix, target
from .gpu_fakes import Counted, OnDevice, installed

X, Y, Y2, Y3 = matrix(False, False), target(False, 0), target(False, 2), target(False, 3)
LABELLED = LABELS[2][Y2]
needs_kernels = pytest.mark.skipif(bool(no_nvrtc()), reason=no_nvrtc() or "")
SMALL: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1}


# What is handed over


@needs_kernels
def test_the_matrix_is_handed_over_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Counted()
    there = device.upload(X)
    with installed(monkeypatch) as fakes:
        trained(RandomForestRegressor(3, random_state=0), there, Y, feature_names=NAMES)
    views = [call.args[0] for call in fakes.called("cupy.asarray")]
    assert views[0].pointer == there.pointer and views[0].shape == X.shape
    (fit,) = fakes.called("cuml.ensemble.RandomForestRegressor.fit")
    assert fit.args[0].of is views[0], "a view, no copy"
    assert [view.dtype.name for view in views[1:]] == ["float64", "float32"], "the labels, and a few rows to compare"
    assert device.downloaded == X[:64].nbytes + 8, "those rows, and a flag that says that all is finite"
    assert device.released == 1, "what was kept for later arrays is XGBoost's and cuML's to have"


def test_weights_and_codes_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.random.default_rng(1).integers(0, 4, N_ROWS).astype(np.float64)
    with installed(monkeypatch) as fakes:
        there = trained(
            LogisticRegression(tol=1e-9), Counted().upload(X), LABELLED, weights=weights, feature_names=NAMES
        )
    (fit,) = fakes.called("cuml.linear_model.LogisticRegression.fit")
    assert {name: value.dtype.name for name, value in fit.kwargs.items()} == {"y": "int32", "sample_weight": "float64"}
    here = train(LogisticRegression(tol=1e-9), X, LABELLED, weights=weights, feature_names=NAMES)
    np.testing.assert_allclose(there.model.predict_proba(X), here.predict_proba(X), rtol=1e-6)


class Qn(LogisticRegression):
    """A cuML whose penalty is divided by the number of rows, and its loss by the sum of the weights."""

    C: Any

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        of = 1.0 if sample_weight is None else sample_weight.mean()
        given = self.C
        self.C = self.C / of
        super().fit(X, y, sample_weight)
        self.C = given
        return self


@pytest.mark.parametrize("by_class", [None, "balanced", {"no": 4.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_whose_mean_is_not_one_penalize_as_much(
    by_class: Any, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, attributes = gpu_fakes.CLASSES["cuml.linear_model.LogisticRegression"]
    own = "cuml.linear_model.LogisticRegression", (lambda p: Qn(**make(p).get_params()), attributes)
    monkeypatch.setitem(gpu_fakes.CLASSES, *own)
    weights = np.random.default_rng(2).uniform(0, 20, N_ROWS) if weighted else None
    estimator = LogisticRegression(C=0.01, tol=1e-10, class_weight=by_class)
    with installed(monkeypatch):
        there = trained(estimator, Counted().upload(X), LABELLED, weights=weights, feature_names=NAMES)
    here = train(estimator, X, LABELLED, weights=weights, feature_names=NAMES)
    assert there.device == "gpu"
    np.testing.assert_allclose(there.model.predict_proba(X), here.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("estimator", [Lasso(alpha=0.05), ElasticNet(alpha=0.05), LinearSVR(random_state=0, C=0.1)])
def test_weights_have_a_mean_of_one(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn itself takes those of Lasso and ElasticNet so."""
    estimator, weights = estimator.set_params(tol=1e-10, max_iter=100_000), np.linspace(1.0, 9.0, N_ROWS)
    with installed(monkeypatch) as fakes:
        there = trained(estimator, Counted().upload(X), Y, weights=weights, feature_names=NAMES)
    here = train(estimator, X, Y, weights=weights, feature_names=NAMES)
    np.testing.assert_allclose(there.model.predict(X), here.predict(X), rtol=1e-4, atol=1e-5)
    (fit,) = fakes.called(f"{TWINS[describe(estimator).path].path}.fit")
    np.testing.assert_allclose(fit.kwargs["sample_weight"].values, weights / 5.0)


def test_several_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    both: dict[str, Any] = {"y": [Y, -2 * Y], "targets": ["up", "down"], "feature_names": NAMES}
    with installed(monkeypatch):
        there = trained(LinearRegression(), Counted().upload(X), **both)
        forest = trained(RandomForestRegressor(3, random_state=0), Counted().upload(X), **both)
    assert there.device == "gpu" and there.model.targets == ("up", "down")
    np.testing.assert_allclose(there.model.predict(X), train(LinearRegression(), X, **both).predict(X), rtol=1e-6)
    assert (forest.device, forest.why) == ("cpu", "cuML's RandomForestRegressor learns a single target")


def test_the_estimator_given_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = LogisticRegression()
    with installed(monkeypatch):
        trained(estimator, Counted().upload(X), LABELLED, feature_names=NAMES)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_a_model_is_saved_and_read_without_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch):
        model = trained(LogisticRegression(), Counted().upload(X), LABELLED, feature_names=NAMES).model
    document, arrays, blobs = model.to_parts()
    again = type(model).from_parts(json.loads(json.dumps(document)), arrays, blobs)
    assert again.digest() == model.digest() and (again.predict(X) == model.predict(X)).all()


def test_rows_in_this_process_are_trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch) as fakes:
        there = trained(LogisticRegression(), X, LABELLED, feature_names=NAMES)
    assert (there.device, there.why, fakes.calls) == ("cpu", None, [])


# What the rows decide


def _nan() -> Any:
    return matrix(True, False)


CPU_AFTER_ALL: list[tuple[Any, Callable[[], Any], Any, dict[str, Any], str]] = [
    (RandomForestClassifier(3, random_state=0), _nan, LABELLED, {}, "the features hold nulls"),
    (SVC(), lambda: X, LABELS[3][Y3], {}, "cuML gives back no SVC of 3 classes"),
    (MultinomialNB(), lambda: np.abs(X), LABELLED, {"weights": np.ones(N_ROWS)}, "takes no weights"),
    (RandomForestRegressor(3, random_state=0), lambda: X, Y + 1e7, {}, "less than float32"),
]


@needs_kernels
@pytest.mark.parametrize(("estimator", "rows", "y", "beside", "says"), CPU_AFTER_ALL)
def test_what_rows_keep_from_the_gpu_is_trained_on_the_cpu(
    estimator: Any, rows: Any, y: Any, beside: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, given = Counted(), rows()
    with installed(monkeypatch):
        there = trained(estimator, device.upload(given), y, **beside, feature_names=NAMES)
    assert there.device == "cpu" and says in str(there.why)
    assert there.model.digest() == train(estimator, given, y, **beside, feature_names=NAMES).digest()
    assert given.nbytes <= device.downloaded < given.nbytes + 100, "downloaded once"


@pytest.mark.parametrize(
    ("beside", "error"),
    [
        ({"weights": np.zeros(N_ROWS)}, WeightsError),
        ({"weights": np.ones(3)}, WeightsError),
        ({"groups": np.zeros(N_ROWS)}, ParameterError),
        ({"validation": (X, LABELLED, None)}, ParameterError),
    ],
)
def test_what_is_refused_on_the_cpu_is_refused(beside: Any, error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch) as fakes, pytest.raises(error):
        trained(LogisticRegression(), Counted().upload(X), LABELLED, **beside, feature_names=NAMES)
    assert not fakes.called("cuml.linear_model.LogisticRegression.fit")


def test_parameters_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch) as fakes, pytest.raises(TrainingError, match="The 'C' parameter of LogisticRegression"):
        trained(LogisticRegression(C=-1.0), Counted().upload(X), LABELLED, feature_names=NAMES)
    assert not fakes.called("cuml.linear_model.LogisticRegression")


@pytest.mark.parametrize("rows", [X[:, :3], X.astype(np.float64), X[:, 0]])
def test_another_matrix_than_the_features(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch), pytest.raises(SchemaMismatchError, match="float32 array"):
        trained(Ridge(), Counted().upload(np.ascontiguousarray(rows)), Y, feature_names=NAMES)


# What goes wrong


class XGBoostError(ValueError):
    pass


FULL = "std::bad_alloc: out_of_memory: CUDA error at: /rmm/cuda_memory_resource.hpp:64: cudaErrorMemoryAllocation"


@pytest.mark.parametrize("error", [MemoryError(FULL), XGBoostError("Memory allocation error: std::bad_alloc")])
def test_no_memory_is_told_with_bytes_and_nothing_is_trained_elsewhere(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(monkeypatch, raises=error), pytest.raises(DeviceMemoryError) as told:
        trained(Ridge(), Counted().upload(X), Y, feature_names=NAMES)
    text = str(told.value)
    assert "training sklearn.linear_model.Ridge on 400 rows × 7 features" in text
    assert "takes 11,200 bytes, its copy in float64 22,400 more" in text and "device='cpu'" in text
    assert (told.value.asked, told.value.device) == (33_600, "simulated device")


def test_no_memory_for_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Counted(memory=X.nbytes + 1000)
    with installed(monkeypatch), pytest.raises(DeviceMemoryError, match="on 400 rows × 7 features failed; the matrix"):
        trained(Ridge(), device.upload(X), Y, feature_names=NAMES)


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (RuntimeError("Fatal CUDA error: 700 cudaErrorIllegalAddress"), DeviceLostError, "lost to this process"),
        (ValueError("Input contains inf."), TrainingError, "cuML's Ridge refused to train on 400 rows × 7 features"),
        (RuntimeError("exception occurred! RAFT failure"), TrainingError, "RAFT failure"),
        (ZeroDivisionError("by zero"), TrainingError, "by zero"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (NotImplementedError("later"), TrainingError, "later"),
        (AssertionError("a bug of theirs"), AssertionError, "a bug of theirs"),
    ],
)
def test_what_a_library_raises_is_ours(
    error: Any, expected: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(monkeypatch, raises=error), pytest.raises(expected, match=says):
        trained(Ridge(), Counted().upload(X), Y, feature_names=NAMES)


@pytest.mark.parametrize("off", [1e-3, np.nan])
def test_a_form_that_does_not_say_what_the_library_says(off: float, monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(monkeypatch, off=off), pytest.raises(UnsafeModelError, match=r"cuml 26\.10\.0\) learned could not"):
        trained(Ridge(), Counted().upload(X), Y, feature_names=NAMES)


def test_classes_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(fitted: Any) -> None:
        fitted.classes_ = fitted.classes_[::-1]

    with installed(monkeypatch, afterwards=mixed), pytest.raises(UnsafeModelError, match="could not be read"):
        trained(LogisticRegression(), Counted().upload(X), LABELLED, feature_names=NAMES)


def test_an_attribute_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(fitted: Any) -> None:
        del fitted.feature_log_prob_

    with installed(monkeypatch, afterwards=gone), pytest.raises(UnsafeModelError, match="could not be read"):
        trained(MultinomialNB(), Counted().upload(np.abs(X)), LABELLED, feature_names=NAMES)


# XGBoost


pytestmark = pytest.mark.filterwarnings("ignore:.*Device is changed from GPU to CPU:UserWarning")


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """XGBoost as if it had a GPU: it takes what stands on a device, trains on the CPU, and says that it did not."""
    seen: list[dict[str, Any]] = []

    def host(value: Any) -> Any:
        if isinstance(value, list):
            return [tuple(map(host, part)) if isinstance(part, tuple) else host(part) for part in value]
        return value.values if isinstance(value, OnDevice) else value

    def taking(kind: str, real: Any) -> Any:
        def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
            check_call(f"xgboost.{kind}.fit", args, kwargs)
            given = {**dict(zip(("X", "y"), args, strict=False)), **kwargs}
            seen.append({"device": self.device, **given})
            self.set_params(device="cpu")
            real(self, **{name: host(value) for name, value in given.items()})
            self.set_params(device="cuda")
            return self

        return fit

    real_config = xgboost.Booster.save_config

    def config(self: Any) -> str:
        found = json.loads(real_config(self))
        found["learner"]["generic_param"]["device"] = "cuda:0"
        return json.dumps(found)

    for kind in ("XGBClassifier", "XGBRegressor", "XGBRanker"):  # the forests call these
        monkeypatch.setattr(getattr(xgboost, kind), "fit", taking(kind, getattr(xgboost, kind).fit))
    monkeypatch.setattr(xgboost.Booster, "save_config", config)
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})
    return seen


CLASSIFIER = XGBClassifier(**SMALL)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (CLASSIFIER, LABELLED),
        (CLASSIFIER, LABELS[3][Y3]),
        (XGBRegressor(**SMALL), Y),
        (XGBRFClassifier(**SMALL), LABELLED),
    ],
)
def test_xgboost_trains_from_the_same_matrix(
    estimator: Any, y: Any, on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, weights = Counted(), np.linspace(0.5, 2.0, N_ROWS)
    there = device.upload(matrix(True, False))
    with installed(monkeypatch):
        found = trained(estimator, there, y, weights=weights, feature_names=NAMES)
    assert (found.device, found.why) == ("gpu", None)
    assert on_cuda[0]["device"] == "cuda" and on_cuda[0]["X"].of is there, "no copy"
    assert device.downloaded == 0, "nulls are XGBoost's to take"
    monkeypatch.undo()
    here = train(estimator, matrix(True, False), y, weights=weights, feature_names=NAMES)
    assert (found.model.predict(X) == here.predict(X)).all() and estimator.device is None


def test_xgboost_stops_early_on_rows_of_a_device(
    on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = XGBClassifier(n_estimators=200, early_stopping_rounds=3, n_jobs=1)
    device = Counted()
    held = X[250:], LABELLED[250:], None
    with installed(monkeypatch):
        both = [
            trained(
                estimator, device.upload(X[:250]), LABELLED[:250], validation=(rows, *held[1:]), feature_names=NAMES
            ).model
            for rows in (device.upload(held[0]), held[0])  # on the device, and in this process
        ]
    monkeypatch.undo()
    here = train(estimator, X[:250], LABELLED[:250], validation=held, feature_names=NAMES)
    assert [(model.predict_proba(X) == here.predict_proba(X)).all() for model in both] == [True, True]
    assert all(isinstance(call["eval_set"][0][0], OnDevice) for call in on_cuda)
    assert device.downloaded == 0


def test_a_rankers_rows_are_put_together_on_the_device(
    on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, degrees = np.arange(N_ROWS) * 7 % 40, np.clip(np.round(Y), 0, 4)
    device = Counted()
    with installed(monkeypatch):
        there = trained(XGBRanker(**SMALL), device.upload(X), degrees, groups=groups, feature_names=NAMES)
    monkeypatch.undo()
    here = train(XGBRanker(**SMALL), X, degrees, groups=groups, feature_names=NAMES)
    assert there.device == "gpu" and (there.model.predict(X) == here.predict(X)).all() and device.downloaded == 0


def test_a_rankers_validation_rows_are_downloaded_where_the_cpu_trains() -> None:
    """The XGBoost of the tests has no CUDA."""
    groups, degrees = np.arange(N_ROWS) * 7 % 40, np.clip(np.round(Y), 0, 4)
    estimator = XGBRanker(early_stopping_rounds=2, **SMALL)
    device = Counted()
    held = (device.upload(X), degrees, None, groups)
    there = trained(estimator, device.upload(X), degrees, groups=groups, validation=held, feature_names=NAMES)
    here = train(estimator, X, degrees, groups=groups, validation=(X, *held[1:]), feature_names=NAMES)
    assert "built without CUDA" in str(there.why) and there.model.digest() == here.digest()


def test_xgboost_that_trained_on_the_cpu_although_a_gpu_was_asked_for() -> None:
    """XGBoost itself only warns: this is the real one, without a GPU."""
    with pytest.raises(TrainingError, match="asked for device='cuda', and XGBoost trained it on 'cpu'"):
        train(XGBClassifier(device="cuda", **SMALL), X, LABELLED, feature_names=NAMES)


def test_xgboost_that_finds_no_gpu_where_the_matrix_is_on_one(
    on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xgboost.Booster, "save_config", lambda self: '{"learner":{"generic_param":{"device":"cpu"}}}')
    with installed(monkeypatch), pytest.raises(TrainingError, match="found no GPU that it can use"):
        trained(CLASSIFIER, Counted().upload(X), LABELLED, feature_names=NAMES)


ILLEGAL = "[10:00:00] device_helpers.cuh:132: Exception in hist: cudaErrorIllegalAddress: an illegal memory access"
FULL_CARD = "device_helpers.cuh:132: cudaErrorMemoryAllocation: out of memory"


@pytest.mark.parametrize(
    ("text", "expected", "lost"),
    [
        (ILLEGAL, DeviceLostError, True),
        (FULL_CARD, DeviceMemoryError, False),
        ("Check failed: label must be in [0, 1]", TrainingError, False),
    ],
)
def test_what_xgboost_says_of_a_device(
    text: str, expected: Any, lost: bool, on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise XGBoostError(text)

    monkeypatch.setattr(xgboost.XGBClassifier, "fit", fit)
    device = Counted()
    with installed(monkeypatch), pytest.raises(expected) as told:
        trained(CLASSIFIER, device.upload(X), LABELLED, feature_names=NAMES)
    assert type(told.value) is expected and (device.health.lost is not None) == lost


@pytest.mark.parametrize(("asked", "used"), [(None, "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("gpu", "gpu")])
def test_the_gpu_that_xgboost_was_given_stays(
    asked: str | None, used: str, on_cuda: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(monkeypatch):
        trained(XGBClassifier(device=asked, **SMALL), Counted().upload(X), LABELLED, feature_names=NAMES)
    assert on_cuda[0]["device"] == used


# Through a pipeline


@needs_kernels
@pytest.mark.parametrize(
    ("model", "label", "called"),
    [
        (LogisticRegression(tol=1e-9), True, "cuml.linear_model.LogisticRegression.fit"),
        (RandomForestRegressor(3, random_state=0), False, "cuml.ensemble.RandomForestRegressor.fit"),
    ],
)
def test_features_are_trained_on_where_they_were_computed(
    model: Any, label: bool, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Counted()
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, device.name))
    table = {name: X[:, at] for at, name in enumerate(NAMES)} | {"y": LABELLED if label else Y}
    features = [gp.col(name).fill_null(0).standardize() for name in NAMES]
    with installed(monkeypatch) as fakes:
        there = gp.Pipeline(features, target="y", model=model, device="gpu").fit(table)
        page = str(gp.Pipeline(features, target="y", model=model, device="gpu").explain(table))
        with pytest.raises(ModelOptionError, match="no warm_start=True"):
            gp.Pipeline(features, target="y", model=clone(model).set_params(warm_start=True), device="gpu").fit(table)
    (fit,) = fakes.called(called)
    assert fit.args[0].shape == X.shape and not any("training" in what for what in there.report_.on_host)
    assert "training" not in page.partition("Device")[2]
    assert f"trained by cuML's {type(model).__name__} on a" in page
    here = gp.Pipeline(features, target="y", model=model, device="cpu").fit(table)
    assert there.state_digest() == here.state_digest(), "the same features, to the bit"
    if label:
        got, want = (np.asarray(fitted.predict_proba(table, output="numpy")) for fitted in (there, here))
    else:
        got, want = (np.asarray(fitted.predict(table, output="numpy")) for fitted in (there, here))
    np.testing.assert_allclose(got, want, rtol=1e-5)
