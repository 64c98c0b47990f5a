"""Several targets, calibration and thresholds through the whole of a pipeline: fit, predict, save, score, judge."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, r2_score
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import (
    DuplicateNameError,
    LeakageError,
    ParameterError,
    TargetError,
    UnsupportedEstimatorError,
)
from gpupipe.evaluation.report import Evaluation
from gpupipe.evaluation.several import SeveralEvaluations

N = 400
RNG = np.random.default_rng(5)
X1, X2 = RNG.normal(size=(2, N)).astype(np.float32)
CITY = RNG.choice(["Lima", "Oslo", "Rome"], N)
PRICE = X1 + RNG.normal(size=N)
AREA = 2.0 * X2 + RNG.normal(size=N)
SOLD = np.where(X1 + RNG.normal(size=N) > 0, "yes", "no")
ROOMS = RNG.integers(1, 4, N)
TABLE = pa.table({"x1": X1, "x2": X2, "city": CITY, "price": PRICE, "area": AREA, "sold": SOLD, "rooms": ROOMS})
TRAIN, TEST = TABLE.slice(0, 300), TABLE.slice(300)
FEATURES = [gp.cols("x1", "x2").standardize(), col("city").one_hot()]
FOREST = RandomForestRegressor(6, random_state=0)


def regression(model: Any = None, **how: Any) -> gp.Pipeline:
    return gp.Pipeline(FEATURES, ["price", (col("area") * 2).alias("double")], model or Ridge(), **how).fit(TRAIN)


def classification(model: Any = None) -> gp.Pipeline:
    model = model or MultiOutputClassifier(LogisticRegression())
    return gp.Pipeline(FEATURES, ["sold", "rooms"], model).fit(TRAIN)


def matrix(pipeline: gp.Pipeline, rows: pa.Table) -> Any:
    return pipeline.features_.transform(rows, output="numpy").astype(np.float64)


def test_numbers_of_several_targets() -> None:
    pipeline = regression()
    y = np.stack([PRICE, AREA * 2], axis=1)
    theirs = Ridge().fit(matrix(pipeline, TRAIN), y[:300])
    want = theirs.predict(matrix(pipeline, TEST))
    found = pipeline.predict(TEST, output="numpy")
    assert found.shape == (100, 2)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    table = pipeline.predict(TEST)
    assert table.column_names == ["prediction_price", "prediction_double"]
    assert np.array_equal(np.stack([column.to_numpy() for column in table.columns], axis=1), found)
    assert pipeline.score(TEST) == pytest.approx(r2_score(y[300:], want), rel=1e-12)
    assert not hasattr(pipeline, "classes_")


def test_labels_of_several_targets_in_every_kind() -> None:
    pipeline = classification()
    assert [labels.tolist() for labels in pipeline.classes_] == [["no", "yes"], [1, 2, 3]]
    y = np.stack([(SOLD == "yes").astype(int), ROOMS], axis=1)
    theirs = MultiOutputClassifier(LogisticRegression()).fit(matrix(pipeline, TRAIN), y[:300])
    want, shares = theirs.predict(matrix(pipeline, TEST)), theirs.predict_proba(matrix(pipeline, TEST))
    sold = np.array(["no", "yes"])[want[:, 0]].tolist()
    table = pipeline.predict(TEST)
    assert table.column("prediction_sold").to_pylist() == sold
    assert table.column("prediction_rooms").to_pylist() == want[:, 1].tolist()
    assert table.schema.types == [pa.string(), pa.int64()]
    frame = pipeline.predict(TEST.to_pandas().set_index(np.arange(100) + 7))
    assert isinstance(frame, pd.DataFrame) and frame.index[0] == 7 and frame["prediction_sold"].tolist() == sold
    polars = pipeline.predict(pl.from_arrow(TEST))
    assert isinstance(polars, pl.DataFrame) and polars.schema["prediction_rooms"] == pl.Int64
    whole = pipeline.predict(TEST, output="numpy")
    assert whole.shape == (100, 2) and whole.dtype == object and whole[:, 0].tolist() == sold
    for found, known in zip(pipeline.predict_proba(TEST, output="numpy"), shares, strict=True):
        np.testing.assert_allclose(found, known, rtol=0, atol=1e-12)
    names = ["probability_sold_no", "probability_sold_yes", *(f"probability_rooms_{n}" for n in (1, 2, 3))]
    assert pipeline.predict_proba(TEST).column_names == names
    (written,) = pipeline.predictions(TEST)
    assert written.column_names == ["prediction_sold", "prediction_rooms", *names]
    right = (np.array(sold) == SOLD[300:]) & (want[:, 1] == ROOMS[300:])
    assert pipeline.score(TEST) == pytest.approx(right.mean())
    assert pipeline.score(TEST) == theirs.score(matrix(pipeline, TEST), y[300:])


@pytest.mark.parametrize("make", [regression, classification])
def test_saved_and_loaded(make: Any, tmp_path: Path) -> None:
    pipeline = make()
    pipeline.save(tmp_path / "p.gpp")
    again = gp.load(tmp_path / "p.gpp")
    assert again.predict(TEST).equals(pipeline.predict(TEST)) and again.state_digest() == pipeline.state_digest()
    assert again.evaluate(TEST).to_dict() == pipeline.evaluate(TEST).to_dict()
    scorer = gp.Scorer.load(tmp_path / "p.gpp")
    rows = TEST.to_pylist()[:3]
    assert scorer.predict(rows).tolist() == pipeline.predict(TEST, output="numpy")[:3].tolist()
    assert scorer.predict(rows[0]).shape == (1, 2)
    copy = tmp_path / "again.gpp"
    assert again.save(copy) and gp.load(copy).predict(TEST).equals(pipeline.predict(TEST))


def test_targets_beside_the_rows() -> None:
    frame = TRAIN.to_pandas()
    X, Y = frame[["x1", "x2"]], frame[["price", "area"]]
    pipeline = gp.Pipeline([gp.numeric()], model=FOREST).fit(X, Y)
    assert pipeline.predict(X).columns.tolist() == ["prediction_price", "prediction_area"]
    by_array = gp.Pipeline([gp.numeric()], model=FOREST).fit(X.to_numpy(), Y.to_numpy())
    assert by_array.model_ and by_array.model_.targets == ("y0", "y1")
    want = clone(FOREST).fit(X.to_numpy(), Y.to_numpy()).predict(X.to_numpy())
    assert np.array_equal(by_array.predict(X.to_numpy()), want)
    assert np.array_equal(pipeline.predict(X, output="numpy"), want)
    assert pipeline.score(X, Y) == by_array.score(X.to_numpy(), Y.to_numpy()) == pytest.approx(r2_score(Y, want))
    lists = gp.Pipeline([gp.numeric()], model=FOREST).fit(X, Y.to_numpy().tolist())
    assert np.array_equal(lists.predict(X, output="numpy"), want)
    polars = gp.Pipeline([gp.numeric()], model=FOREST).fit(pl.from_pandas(X), pl.from_pandas(Y))
    assert polars.predict(pl.from_pandas(X)).columns == ["prediction_price", "prediction_area"]
    with pytest.raises(ParameterError, match="given the targets 'area', 'price', and here y has one target"):
        pipeline.evaluate(X, Y["price"])
    with pytest.raises(ParameterError, match="Give y here too"):
        pipeline.evaluate(X)
    with pytest.raises(ParameterError, match="target was declared and given"):
        gp.Pipeline([gp.numeric()], "price", FOREST).fit(frame, Y)


def test_a_column_that_y_names_is_no_feature() -> None:
    frame = TRAIN.to_pandas()[["x1", "price", "area"]]
    pipeline = gp.Pipeline([gp.numeric()], model=FOREST).fit(frame, frame[["price", "area"]])
    assert pipeline.get_feature_names_out().tolist() == ["x1"]


def test_weights_and_key() -> None:
    table = TRAIN.append_column("w", pa.array(RNG.uniform(0.1, 2, 300)))
    pipeline = gp.Pipeline(FEATURES, ["price", "area"], Ridge(), weights="w").fit(table)
    y, w = np.stack([PRICE, AREA], axis=1)[:300], table["w"].to_numpy()
    theirs = Ridge().fit(matrix(pipeline, table), y, sample_weight=w)
    want = theirs.predict(matrix(pipeline, table))
    np.testing.assert_allclose(pipeline.predict(table, output="numpy"), want, rtol=1e-11)
    assert pipeline.score(table) == pytest.approx(r2_score(y, want, sample_weight=w))
    together = classification()
    weighed = together.score(TEST.to_pandas(), sample_weight=np.where(ROOMS[300:] == 1, 2.0, 0.5))
    assert 0 < weighed < 1 and weighed != together.score(TEST)


def test_each_target_is_judged() -> None:
    found = classification().evaluate(TEST, by="city")
    told = found.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["kind"] == "classifier" and list(told["targets"]) == ["sold", "rooms"]
    alone = gp.Pipeline(FEATURES, "sold", LogisticRegression()).fit(TRAIN).evaluate(TEST, by="city").to_dict()
    assert told["targets"]["sold"] == alone
    assert "sold: Evaluation of a classifier" in repr(found) and "accuracy of all together" in repr(found)
    assert found._repr_html_().count("<h4>") == 2
    numbers = regression().evaluate(TEST)
    assert isinstance(numbers, SeveralEvaluations)
    each: list[Any] = [part.metrics["r2"].value for part in numbers.targets.values()]
    assert numbers.to_dict()["metrics"]["r2"]["value"] == pytest.approx(np.mean(each))
    assert "mean r2" in repr(numbers)


def test_selectors_leave_all_targets_out() -> None:
    pipeline = gp.Pipeline([gp.numeric()], ["price", col("area") > 0], Ridge()).fit(TRAIN)
    assert pipeline.get_feature_names_out().tolist() == ["x1", "x2", "rooms"]
    assert pipeline.plan_.columns == ["x1", "x2", "rooms"]
    assert pipeline.predict(TEST.select(["x1", "x2", "rooms"])).num_rows == 100


def test_validation_rows_for_several_targets() -> None:
    stops = XGBRegressor(n_estimators=200, early_stopping_rounds=2, learning_rate=1.0, n_jobs=1)
    pipeline = gp.Pipeline([gp.cols("x1", "x2")], ["price", "area"], stops).fit(TRAIN, validation=TEST)
    y = np.stack([PRICE, AREA], axis=1)
    X = np.stack([X1, X2], axis=1)
    theirs = clone(stops).fit(X[:300], y[:300], eval_set=[(X[300:], y[300:])], verbose=False)
    assert np.array_equal(pipeline.predict(TEST, output="numpy"), theirs.predict(X[300:]))


HOLES = TRAIN.set_column(4, "area", pa.array([None, *AREA[1:300]]))


@pytest.mark.parametrize(
    ("target", "model", "features", "error", "says"),
    [
        (["price", "price"], Ridge(), FEATURES, DuplicateNameError, "Two targets are named 'price'"),
        (["price", (col("area") + 1).alias("price")], Ridge(), FEATURES, DuplicateNameError, r"alias\(…\)"),
        ([], Ridge(), FEATURES, ParameterError, "lists no target"),
        ([gp.lit(1), "price"], Ridge(), FEATURES, ParameterError, "has no name"),
        (["price", "area"], Ridge(), [col("price")], LeakageError, "uses 'price'"),
        (["price", "area"], Ridge(), [col("city").target_mean()], ParameterError, "there are 2 targets: 'price'"),
        (
            ["price", "area"],
            HistGradientBoostingRegressor(),
            FEATURES,
            UnsupportedEstimatorError,
            "learns one target, and there are 2: 'price', 'area'. Put it into sklearn.multioutput.MultiOutputReg",
        ),
        ("price", MultiOutputRegressor(Ridge()), FEATURES, UnsupportedEstimatorError, r"Give target=\[…\], or use"),
        (["price", "area"], Ridge(), FEATURES, TargetError, "The target area is null in 1 of 300 rows"),
        (["sold", "price"], DecisionTreeClassifier(), FEATURES, TargetError, "'price'.*fractional"),
    ],
)
def test_what_is_refused(target: Any, model: Any, features: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        gp.Pipeline(features, target, model).fit(HOLES)


def test_the_same_is_refused_while_planning() -> None:
    boosted = HistGradientBoostingRegressor()
    for target, model in ((["price", "area"], boosted), ("price", MultiOutputRegressor(boosted))):
        with pytest.raises(UnsupportedEstimatorError):
            gp.Pipeline(FEATURES, target, model).explain(TRAIN)


def test_names_of_probabilities_that_would_be_one() -> None:
    table = pa.table({"x": X1, "a": np.where(X1 > 0, "b_c", "d"), "a_b": np.where(X2 > 0, "c", "d")})
    pipeline = gp.Pipeline([col("x")], ["a", "a_b"], DecisionTreeClassifier(max_depth=2)).fit(table)
    with pytest.raises(DuplicateNameError, match="'probability_a_b_c'"):
        pipeline.predict_proba(table)


# -- thresholds and calibration -----------------------------------------------------------------------------------
def test_a_threshold_decides_everywhere(tmp_path: Path) -> None:
    inside = CalibratedClassifierCV(XGBClassifier(n_estimators=5, n_jobs=1), cv=3)
    pipeline = gp.Pipeline(FEATURES, "sold", FixedThresholdClassifier(inside, threshold=0.25)).fit(TRAIN)
    share = pipeline.predict_proba(TEST, output="numpy")[:, 1]
    want = np.where(share >= 0.25, "yes", "no").tolist()
    assert want != np.where(share >= 0.5, "yes", "no").tolist()
    assert pipeline.predict(TEST).column("prediction").to_pylist() == want
    pipeline.save(tmp_path / "p.gpp")
    assert gp.load(tmp_path / "p.gpp").predict(TEST).column("prediction").to_pylist() == want
    assert gp.Scorer.load(tmp_path / "p.gpp").predict(TEST).tolist() == want
    pq.write_table(TEST, tmp_path / "new.parquet")
    assert cli.main(["predict", str(tmp_path / "p.gpp"), "--data", str(tmp_path / "new.parquet"), "--out",
                     str(tmp_path / "scores")]) == 0  # fmt: skip
    scores = pq.read_table(tmp_path / "scores")
    assert scores.column("prediction").to_pylist() == want
    assert np.array_equal(scores.column("probability_yes").to_numpy(), share)
    found = pipeline.evaluate(TEST)
    assert isinstance(found, Evaluation)
    metrics = found.to_dict()["metrics"]
    truth = SOLD[300:].tolist()
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy_score(truth, want)) == pipeline.score(TEST)
    assert metrics["f1"]["value"] == pytest.approx(f1_score(truth, want, pos_label="yes"))
    assert found.confusion_matrix is not None
    assert found.confusion_matrix.tolist() == confusion_matrix(truth, want).tolist()
    assert found.to_dict()["threshold"] == {"value": 0.25, "label": "yes", "response": "predict_proba"}
    assert "positive class 'yes', threshold 0.25" in repr(found)


def test_inspect_tells_thresholds_and_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = TunedThresholdClassifierCV(LogisticRegression(), cv=3)
    gp.Pipeline(FEATURES, "sold", model).fit(TRAIN).save(tmp_path / "tuned.gpp")
    classification().save(tmp_path / "several.gpp")
    assert cli.main(["inspect", str(tmp_path / "tuned.gpp")]) == 0
    assert "'yes' from a predict_proba of 0." in capsys.readouterr().out
    assert cli.main(["inspect", str(tmp_path / "several.gpp")]) == 0
    assert "of the targets sold, rooms, kept as several" in capsys.readouterr().out


def test_nulls_reach_the_model_inside() -> None:
    holes = TRAIN.set_column(0, "x1", pa.array([None, *X1[1:300]]))
    boosted = HistGradientBoostingClassifier(max_iter=3)
    pipeline = gp.Pipeline([gp.cols("x1", "x2")], "sold", CalibratedClassifierCV(boosted, cv=3)).fit(holes)
    assert pipeline.predict(holes).num_rows == 300


def test_folds_by_time_calibrate_on_later_rows() -> None:
    """What a method on a fitted pipeline would be for: a splitter, or splits listed, say it in the fit."""
    later = [(np.arange(200), np.arange(200, 300))]
    model = CalibratedClassifierCV(LogisticRegression(), cv=later, method="isotonic")
    pipeline = gp.Pipeline(FEATURES, "sold", model).fit(TRAIN)
    X, y = matrix(pipeline, TRAIN), (SOLD[:300] == "yes").astype(int)
    want = clone(model).fit(X, y).predict_proba(matrix(pipeline, TEST))
    np.testing.assert_allclose(pipeline.predict_proba(TEST, output="numpy"), want, rtol=0, atol=1e-12)


def test_rows_without_one_of_the_targets_are_told_by_the_targets_names():
    rows = {"x": [1.0, 2.0, 3.0, 5.0], "up": [1.0, 2.0, 3.0, 4.0], "down": [4.0, 3.0, 1.0, 0.0]}
    pipeline = gp.Pipeline([gp.col("x")], target=["up", "down"], model=Ridge()).fit(rows)
    with pytest.raises(gp.errors.ColumnNotFoundError, match="no column 'down', which the targets up, down are made of"):
        pipeline.evaluate({"x": [1.0], "up": [2.0]})
