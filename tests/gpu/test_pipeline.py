"""Whole pipelines with device="gpu" on the simulated device: what a user sees, compared with the CPU's to the bit."""

import pickle
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest
from engine import sample
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.gpu.columns import DeviceColumn, uploaded
from gpupipe.backends.gpu.copies import Copies
from gpupipe.backends.gpu.placed import Uploading, on_device, placed
from gpupipe.columns import Column, Frame
from gpupipe.errors import (
    CastError,
    DeviceError,
    DeviceMemoryError,
    IntegerOverflowError,
    ModelOptionError,
    NonFiniteError,
)
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.memory import Room
from gpupipe.models import model as training
from gpupipe.runtime import teaching
from gpupipe.runtime.cache import Cache
from gpupipe.runtime.journal.results import Results
from gpupipe.runtime.journal.values import packed, unpacked
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked, refuse_unfinite

from .nvrtc import why_not
from .simulated import SimulatedDevice


@pytest.fixture(scope="module")
def shared() -> SimulatedDevice:
    """One device for all: kernels are compiled once."""
    if why_not():
        pytest.skip(why_not())
    return SimulatedDevice()


@pytest.fixture
def there(shared: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    """The device that is found."""
    monkeypatch.setattr(devices._Look, "found", devices.Found(shared, "simulated device, compute capability 9.0"))
    return shared


@pytest.fixture
def none(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU."""
    monkeypatch.setattr(devices._Look, "found", devices.Found(None, "There is none. Try: a machine that has one."))


def table(seed: int = 1, n: int = 90) -> pa.Table:
    rng = np.random.default_rng(seed)
    return sample(seed, n).append_column("yes", pa.array(rng.random(n) < 0.4))


FEATURES = [
    col("x").fill_null("median").clip(-2, 4).standardize(),
    col("w").fill_null(1).log1p().alias("lw"),
    col("c").codes(),
    col("i").codes(),
    col("s").one_hot(),
    col("c").target_mean(),
    col("y").mean().over("a").fill_null(0).alias("by_a"),
]
TRAINING = "training LogisticRegression"
NUMBERS = [col("x").fill_null("median").standardize(), col("w").fill_null("mean").alias("w2")]


def pipeline(device: str, features: Any = FEATURES, model: Any = None, **more: Any) -> gp.Pipeline:
    return gp.Pipeline(features, target="yes", model=model, device=device, **more)


# -- the same answers -------------------------------------------------------------------------------------------
def test_fit_transform_evaluate_save_and_score_have_the_cpus_bits(there, tmp_path):
    train, test = table(1), table(2)
    here, gpu = (pipeline(d, model=LogisticRegression()).fit(gp.scan(train, partitions=2)) for d in ("cpu", "auto"))
    assert gpu.state_digest() == here.state_digest()
    assert gpu.features_.transform(test).equals(here.features_.transform(test))
    assert gpu.predict_proba(test).equals(here.predict_proba(test))
    assert gpu.evaluate(test).to_dict() == here.evaluate(test).to_dict()
    gpu.save(tmp_path / "a.gpp")
    for device in ("cpu", "gpu", "auto"):
        loaded = gp.load(tmp_path / "a.gpp", device=device)
        assert loaded.state_digest() == here.state_digest()
        assert loaded.predict_proba(test).equals(here.predict_proba(test))


def test_training_features_are_out_of_fold_and_the_same(there):
    found = [pipeline(device).fit_transform(gp.scan(table(), partitions=3)) for device in ("cpu", "gpu")]
    assert found[0].equals(found[1])


def test_an_artifact_of_the_gpu_is_scored_without_one(shared, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(devices._Look, "found", devices.Found(shared, "a simulated one"))
        fitted = pipeline("auto", model=LogisticRegression()).fit(table())
        fitted.save(tmp_path / "a.gpp")
        expected, copy = fitted.predict_proba(table(2), output="numpy"), pickle.dumps(fitted)
        scorer = gp.Scorer.load(tmp_path / "a.gpp", device="gpu")
        assert scorer.predict_proba(table(2)).tobytes() == expected.tobytes()
        assert gp.Scorer.load(tmp_path / "a.gpp").features.backend.name == "cpu"
    monkeypatch.setattr(devices._Look, "found", devices.Found(None, "There is none."))
    loaded = gp.load(tmp_path / "a.gpp")
    assert loaded.predict_proba(table(2), output="numpy").tobytes() == expected.tobytes()
    assert pickle.loads(copy).predict_proba(table(2), output="numpy").tobytes() == expected.tobytes()
    with pytest.raises(DeviceError, match="no GPU to compute on"):
        gp.load(tmp_path / "a.gpp", device="gpu")


def test_cross_validation_has_the_cpus_bits(there):
    found = [gp.cross_validate(pipeline(d, NUMBERS, LogisticRegression()), table(), folds=2) for d in ("cpu", "auto")]
    assert found[0].metrics == found[1].metrics
    assert found[1].report_.device == "gpu (simulated device)"
    assert "training LogisticRegression" in found[1].report_.on_host


def test_update_goes_on_from_the_states_of_either_device(there):
    first, more = table(1), table(2)
    whole = gp.Pipeline(NUMBERS, device="cpu").fit(pa.concat_tables([first, more])).state_digest()
    for one, other in (("cpu", "gpu"), ("gpu", "cpu")):
        begun = gp.Pipeline(NUMBERS, device=one).fit(first, keep_state=True)
        begun.device = other
        assert begun.update(more).state_digest() == whole


def test_a_fit_that_is_kept_in_a_run_goes_on_there(there, tmp_path):
    def made():
        return pipeline("auto", NUMBERS, LogisticRegression())

    source, keep, left = gp.scan(table(), partitions=3), Results.keep, [None] * 7

    def ending(self, *arguments):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        keep(self, *arguments)

    with mock.patch.object(Results, "keep", ending), pytest.raises(KeyboardInterrupt):
        made().fit(source, run=tmp_path / "run")
    found = made().fit(source, run=tmp_path / "run")
    assert found.report_.resumed == 7 and found.model_.digest() == made().fit(source).model_.digest()


def test_what_is_on_the_device_is_kept_on_the_host(shared):
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    document, arrays = packed([shared.upload(values)])
    (found,) = unpacked(document, arrays)
    assert isinstance(found, np.ndarray) and found.tobytes() == values.tobytes() and found.shape == (3, 2)


# -- errors -----------------------------------------------------------------------------------------------------
def test_errors_name_the_row_of_the_source(there):
    bad = pa.table({"x": pa.array([1.0, None, 3.0, 400.0, 500.0]), "yes": [True, False, True, False, True]})
    texts = set()
    for device in ("cpu", "gpu"):
        with pytest.raises(CastError) as raised:
            gp.Pipeline([col("x").cast("Int8")], device=device).fit_transform(gp.scan(bad, partitions=2))
        texts.add((str(raised.value), raised.value.row, raised.value.column))
    assert len(texts) == 1 and "the value 400 does not fit" in texts.pop()[0]


def test_the_gpu_by_name_where_there_is_none(none):
    with pytest.raises(DeviceError, match=r"device='gpu' was asked for.*There is none\. Try: a machine"):
        pipeline("gpu").fit(table())
    assert pipeline("auto").fit(table()).report_.device == "cpu"


def test_the_gpu_by_name_where_nothing_can_train_on_it(there, monkeypatch):
    """Refused before a row is read, and by name; auto trains on the CPU and says so; what has no twin, under both."""
    asked: dict[str, Any] = {"features": NUMBERS, "model": LogisticRegression()}
    says = r"LogisticRegression cannot be trained on it: cuML is not installed \(pip install .*device='auto'"
    with monkeypatch.context() as patch:
        patch.setattr(Rows, "frame", lambda *_: pytest.fail("rows are read"))
        for job in (
            lambda made: made.fit(table()),
            lambda made: made.explain(table()),
            lambda made: gp.cross_validate(made, table(), folds=2),
        ):
            with pytest.raises(ModelOptionError, match=says):
                job(pipeline("gpu", **asked))
    assert "cuML is not installed" in pipeline("auto", **asked).fit(table()).report_.on_host[TRAINING]
    without = pipeline("gpu", NUMBERS, GradientBoostingClassifier(n_estimators=2)).fit(table())
    assert "knows no class of cuML" in without.report_.on_host["training GradientBoostingClassifier"]


@pytest.mark.parametrize("name", ["sum", "min", "max", "mean", "median", "mode", "n_unique"])
def test_integers_without_a_sign_stay_on_the_device(there, monkeypatch, name):
    """Values of int64's range; above it the CPU's error."""
    monkeypatch.setattr("gpupipe.backends.gpu.backend.gathering.gather", lambda *_: pytest.fail("gathered on the host"))
    rows = pa.table({"v": pa.array([1, 2, 2, None, 2**62], pa.uint64()), "k": [1, 1, 2, 2, 1]})
    features = [getattr(col("v"), name)().alias("all"), getattr(col("v"), name)().over("k").alias("each")]
    gpu = gp.Pipeline(features, device="gpu").fit(rows)
    monkeypatch.undo()
    assert gpu.state_digest() == gp.Pipeline(features, device="cpu").fit(rows).state_digest()
    assert gpu.report_.on_host.keys() <= {"reading v, k", "reading k, v"}


def test_integers_beyond_int64_are_the_cpus_error(there):
    rows, texts = pa.table({"v": pa.array([1, 2**63], pa.uint64())}), set()
    for device in ("cpu", "gpu"):
        with pytest.raises(IntegerOverflowError) as raised:
            gp.Pipeline([col("v").sum()], device=device).fit(rows)
        texts.add(str(raised.value))
    assert len(texts) == 1


# -- what is said -----------------------------------------------------------------------------------------------
def device_lines(page: Any) -> list[str]:
    lines = str(page).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("Device"))
    return [line.strip() for line in lines[first:] if not line.startswith("Model")]


def test_explain_says_which_device_and_what_it_does_not_do(there):
    features = [*FEATURES, col("z").dt.hour().fill_null(0).alias("h")]
    page = pipeline("auto", features, LogisticRegression()).explain(table())
    assert page.device == "gpu" and page.gpu == "simulated device, compute capability 9.0"
    first, *others = device_lines(page)
    assert first == "Device     gpu (simulated device, compute capability 9.0)"
    assert [line.partition(" since ")[2] for line in others if "z.to_local" in line or "training" in line] == [
        "time zones are looked up on the host",
        "cuML is not installed (pip install 'gpupipe[cuda13]')",
    ]
    assert any(line.startswith("on the host: reading ") for line in others)
    assert page.on_host == {**page.on_host, "training LogisticRegression": others[-1].partition(" since ")[2]}


def test_explain_names_what_computes_a_partition(there):
    assert "of expression; one launch of a fused kernel a partition" in str(pipeline("gpu").explain(table()))
    assert "of expression; one call of the tile interpreter a partition" in str(pipeline("cpu").explain(table()))


def test_what_is_given_beside_rows_has_the_users_names(there):
    """Not those that its columns have inside."""
    rows = table().select(["x", "w"])
    y, weights = np.arange(90) % 2, np.ones(90)
    made = gp.Pipeline(NUMBERS, model=LogisticRegression(), device="auto").fit(rows, y, sample_weight=weights)
    assert "reading y, sample_weight, w, x" in made.report_.on_host and "__" not in str(made.report_.on_host)
    found = teaching.reading_on_host({"__target__ b": "z", "__groups__": "z", "__weight__": "other"})
    assert found == {"reading y (b), groups": "z", "reading sample_weight": "other"}


def test_explain_says_what_covariances_give(there):
    page = gp.Pipeline(NUMBERS, target="y", model=Ridge(), device="gpu").explain(table().drop_columns(["yes"]))
    assert page.on_host["training Ridge"].startswith("it is solved from covariances")


def test_explain_says_why_not_the_gpu(none):
    assert device_lines(pipeline("auto").explain(table())) == [
        "Device     cpu",
        "no GPU: There is none. Try: a machine that has one.",
    ]
    assert device_lines(pipeline("cpu").explain(table())) == ["Device     cpu"]


def test_the_report_says_what_the_host_did(there):
    made = pipeline("auto", [gp.coalesce("s", "c").codes(), col("x").fill_null(0)], LogisticRegression()).fit(table())
    assert made.report_.device == "gpu (simulated device)"
    assert made.report_.on_host["s.coalesce(c)"].startswith("it takes texts of several columns")
    assert "computed on gpu (simulated device)" in repr(made.report_)
    assert pipeline("cpu", NUMBERS).fit(table()).report_.on_host == {}


# -- the matrix of a fit ----------------------------------------------------------------------------------------
@pytest.fixture
def matrices(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The matrices that models were trained on, as if every estimator were trained on the device."""
    seen: list[Any] = []

    def trained(estimator: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(X)
        return training.trained(estimator, X, *args, **kwargs)

    monkeypatch.setattr("gpupipe.models.gpu.places.where_trained", lambda *_, **__: ("gpu", None))
    monkeypatch.setattr(teaching, "trained", trained)
    yield seen


def test_the_matrix_stays_on_the_device_that_trains(there, matrices):
    held = table(3, 40)
    gpu = pipeline("gpu", model=LogisticRegression()).fit(gp.scan(table(), partitions=3), validation=None)
    (X,) = matrices
    assert isinstance(X, DeviceArray) and X.shape == (90, len(gpu.get_feature_names_out()))
    here = pipeline("cpu", model=LogisticRegression()).fit(gp.scan(table(), partitions=3))
    assert matrices[1].tobytes() == X.to_host().tobytes()
    assert gpu.predict_proba(held).equals(here.predict_proba(held))


def test_the_features_of_a_partition_take_few_launches(there, matrices):
    """Of numbers and code columns: what text is on its way to the device costs none."""
    features = [
        *(col(name).fill_null("mean").standardize() for name in ("x", "w", "y")),
        col("c").codes(),
        col("s").codes(),
    ]
    made = gp.Pipeline(features, device="gpu").fit(gp.scan(table(), partitions=2))
    before = there.launches
    made.transform(gp.scan(table(), partitions=2), output="numpy")
    assert there.launches - before <= 3 * 2


def test_nobody_waits_for_features_that_cannot_fail(there):
    """Their matrix stays on the device: nothing comes down. Where a value may fail, a look a launch."""
    features = [
        *(col(name).fill_null("mean").clip(-2, 4).standardize() for name in ("x", "w", "y")),
        col("x").log1p().alias("log"),
        col("c").codes(),
        col("s").one_hot(),
        (col("i") > 2).alias("many"),
    ]
    fitted = gp.Pipeline(features, device="gpu").fit(table())._fit.features

    def downloads(features: Any, rows: pa.Table) -> int:
        frame = gp.scan(rows).load(0, rows.column_names)
        out = there.empty((frame.n_rows, len(features.outputs)), np.float32)
        before = there.downloads
        features.matrix(frame, out)
        return there.downloads - before

    assert downloads(fitted, table(2)) == 0
    strict = gp.Pipeline([col("x").fill_null(0).cast("Int8"), *NUMBERS[1:]], device="gpu").fit(table())._fit.features
    assert downloads(strict, table(2)) == 1


def test_nan_is_found_on_the_device_and_named_as_on_the_host(there, matrices):
    rows = pa.table({"x": [1.0, float("nan"), 3.0, 4.0], "yes": [True, False, True, False]})
    texts = set()
    for device in ("cpu", "gpu"):
        with pytest.raises(NonFiniteError) as raised:
            pipeline(device, [(col("x") * 2).fill_null(0)], LogisticRegression()).fit(rows)
        texts.add(str(raised.value))
    assert len(texts) == 1


def test_stacked_on_a_device(shared):
    for heights in ([2, 3], None):
        stacked = Stacked(heights, 2, shared)
        parts = []
        for index, rows in enumerate((2, 3)):
            values = np.full((rows, 2), index, np.float32)
            place = stacked.part(index)
            assert (place is None) == (heights is None)
            if place is not None:
                shared._space.write(place.pointer, values.reshape(-1).view(np.uint8))
            parts.append(values)
        whole = stacked.whole(parts)
        assert isinstance(whole, DeviceArray) and whole.to_host()[:, 0].tolist() == [0, 0, 1, 1, 1]
        refuse_unfinite(whole, ["a", "b"], "Ridge")


# -- columns that stay ------------------------------------------------------------------------------------------
def test_the_cache_keeps_columns_on_the_device_while_its_budget_lasts(shared):
    frame = gp.scan(table()).load(0, ["x", "w", "c"])
    held = {name: uploaded(shared, frame[name]) for name in ("x", "w", "c")}
    size = held["x"].device_bytes
    room = Room(size)
    cache = Cache(1 << 20, room)
    cache.put(0, Frame(held, frame.n_rows, frame.row_ids))
    found = cache.frame(0, ["x", "w", "c"])
    assert found is not None and room.used == size
    assert [isinstance(found.resident(name), DeviceColumn) for name in ("x", "w", "c")] == [True, False, False]
    before = shared.live_bytes
    del held
    assert shared.live_bytes < before, "what is not kept is freed"
    assert found["w"].values.tolist() == frame["w"].values.tolist()
    del found
    cache.leave_device()
    found = cache.frame(0, ["x", "c"])
    assert found is not None and not isinstance(found.resident("x"), DeviceColumn) and room.used == 0
    assert found["x"].values.tolist() == frame["x"].values.tolist() and found["c"].valid is not None
    cache.close()


def test_rows_are_decoded_on_the_device_and_kept_there(there, monkeypatch, tmp_path):
    """The decoder is asked once a partition; later trips find the columns where they are."""
    asked: list[int] = []

    def read(partition: Any, columns: Any, device: Any, where: Any = ()) -> Any:
        asked.append(partition.first_row)
        reading = partition.read(columns, where)
        names = [name for name in columns if name != "c"]
        columns_there = {name: uploaded(device, reading.frame[name]) for name in names}
        frame = reading.frame.with_columns(columns_there)
        return type(reading)(frame, reading.bytes_read), {name: "a reason" for name in columns if name == "c"}

    monkeypatch.setattr("gpupipe.sources.on_device.read", read)
    features = [col("x").fill_null("median").standardize(), col("c").codes(), col("s").codes(), col("i").codes()]
    gpu = pipeline("auto", features, LogisticRegression()).fit(gp.scan(table(), partitions=2))
    assert sorted(asked) == [0, 45] and gpu.report_.source_reads == 1
    assert gpu.report_.on_host["reading c"] == "a reason"
    assert gpu.state_digest() == pipeline("cpu", features, LogisticRegression()).fit(table()).state_digest()
    filtered = gp.scan(table()).filter(col("i") > 0)
    with Rows(filtered, ["x"], device=there) as rows:
        assert isinstance(rows.frame(0).resident("x"), DeviceColumn)
        assert rows.report.on_host == {}


def test_columns_of_the_host_go_up_once(there, matrices, tmp_path):
    """In the trips of two scans, of quantiles and of the features; of a table, a file and filtered rows."""
    n = 4096
    rng = np.random.default_rng(5)
    x, k = rng.normal(size=n), rng.integers(0, 9, n).astype(np.int32)
    rows = pa.table({"x": x, "k": k, "s": pa.array(np.array(["a", "b", "c"])[k % 3]), "yes": k > 3})
    csv.write_csv(rows, tmp_path / "rows.csv")
    features = [
        col("x").fill_null("median").standardize(),
        (col("x") - col("x").mean()).abs().mean().over("k").fill_null(0).alias("spread"),
        col("s").codes(),
    ]
    for source, size in (
        (gp.scan(rows, partitions=2), n * (8 + 4 + 4)),
        (gp.scan(tmp_path / "rows.csv", partitions=2), n * (8 + 8 + 4)),
        (gp.scan(rows, partitions=2).filter(col("k") < 9), n * (8 + 4 + 4)),
    ):
        there.uploaded.clear()
        gpu = pipeline("gpu", features, LogisticRegression()).fit(source)
        assert len(gpu.plan_.scans) == 2 and gpu.report_.source_reads == 1
        columns = sum(sent for sent in there.uploaded if sent >= n)  # others are tables, and words of launches
        assert columns == size, source
        assert gpu.state_digest() == pipeline("cpu", features, LogisticRegression()).fit(source).state_digest()


def test_copies_leave_the_device_with_its_memory(there):
    """They share the room of decoded columns, and go where memory is needed, at training, and at the end."""
    with Rows(gp.scan(table()), ["x", "c"], device=there) as rows:
        before = there.live_bytes
        first = placed(there, rows.frame(0).resident("x"))
        assert isinstance(first, Uploading) and rows.frame(0)["x"].values is not None
        copy = on_device(first)
        size = there.live_bytes - before
        assert on_device(placed(there, rows.frame(0).resident("x"))) is copy and there.live_bytes - before == size
        del first, copy
        assert there.live_bytes - before == size, "it stays without a frame"
        rows.leave_device()
        assert there.live_bytes == before
        on_device(placed(there, rows.frame(0).resident("x")))
        assert there.live_bytes == before, "nothing stays from now on"
        with Rows(gp.scan(table()), ["c"], device=there) as other:
            held = on_device(placed(there, other.frame(0).resident("c")))
            assert held.entries is not None and there.live_bytes > before
        del held
        assert there.live_bytes == before
    room = Room(size)
    copies = Copies(there, room)
    frame = copies.known(0, gp.scan(table()).load(0, ["x", "w"]), ["x", "w", "none"])
    for name in ("x", "w"):
        on_device(placed(there, frame.resident(name)))
    assert there.live_bytes - before == size == room.used, "the second one has no room"
    spans = np.array([-(2**63)]), np.array([2**63 - 1])
    resident = frame.resident("x")
    assert not isinstance(resident, Column)
    assert [len(found) for found in resident.between(*spans)] == [90 - frame["x"].null_count] * 2
    copies.free()
    assert room.used == 0 and there.live_bytes == before


def test_threads_of_a_large_source(there, monkeypatch):
    monkeypatch.setattr("gpupipe.runtime.rows._WORTH_THREADS", 0)
    assert Rows(gp.scan(table()), ["x"], device=there).n_workers == 3
    found = [gp.Pipeline(NUMBERS, device=d).fit(gp.scan(table(), partitions=5)).state_digest() for d in ("cpu", "gpu")]
    assert found[0] == found[1]


def test_too_little_memory_by_far_is_an_error(monkeypatch):
    device = SimulatedDevice(memory=1024)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a small one"))
    with pytest.raises(DeviceMemoryError):
        gp.Pipeline(NUMBERS, device="gpu").fit(table())
