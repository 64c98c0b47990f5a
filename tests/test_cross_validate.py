"""`gp.cross_validate`: each fold is a fit on the other folds' rows, to the bit; no row is judged by what it taught."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
import scipy.stats
from folds import only, trained_with
from lightgbm import LGBMClassifier, LGBMRanker
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import PredefinedSplit, TimeSeriesSplit, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import FoldsError, GpupipeError, ParameterError, TargetError
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.runtime.folds.rows import STOPPING

N = 400


def customers(n: int = N, seed: int = 0) -> pa.Table:
    """Numbers with nulls, text, dates, a customer of two or three rows, and answers that hang on some of it."""
    rng = np.random.default_rng(seed)
    holes = rng.random(n) < 0.1
    x, y = rng.normal(5, 3, n), np.exp(rng.normal(size=n))
    city = rng.choice(["Oslo", "Rome", "Lima", "Bern", "Kiel"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    odds = x - 5 + (city == "Oslo") + rng.normal(size=n)
    return pa.table(
        {
            "x": pa.array(x, mask=holes),
            "y": pa.array(y, mask=rng.random(n) < 0.1),
            "k": rng.integers(0, 9, n),
            "trust": rng.integers(1, 4, n),
            "city": pa.array(city, mask=rng.random(n) < 0.05),
            "day": pa.array(rng.integers(18_000, 20_000, n).astype("i4")).cast(pa.date32()),
            "customer": rng.integers(0, n // 2, n),
            "when": rng.permutation(n),
            "bought": np.where(odds > 0, "yes", "no"),
            "kind": np.where(odds > 1, "c", np.where(odds > -1, "b", "a")),
            "paid": np.where(holes, 3.0, x) * 2 + rng.normal(size=n),
        }
    )


TABLE = customers()
NUMBERS = gp.cols("x", "y").fill_null("median")

FAMILIES: dict[str, list[Any]] = {
    "mean, deviation": [gp.cols("x", "y").fill_null("mean").standardize()],
    "quantiles": [gp.cols("x", "y").fill_null("median").robust()],
    "clip by quantiles": [NUMBERS.clip(col("x").quantile(0.1), col("x").quantile(0.9))],
    "extremes": [gp.cols("x", "y").fill_null(0).min_max(), NUMBERS.max_abs().suffix("_abs")],
    "a chain": [NUMBERS.clip(0).log1p().standardize()],
    "modes": [col("city").fill_null("mode").one_hot(), col("k").fill_null("mode")],
    "vocabularies": [col("city").codes(min_count=3), col("city").one_hot().alias("hot")],
    "frequencies": [col("city").frequency(), col("k").frequency()],
    "bins": [NUMBERS.qcut(4)],
    "groups": [col("y").mean().over("city").fill_null(0).alias("u"), (NUMBERS - NUMBERS.mean().over("k")).suffix("_d")],
    "target mean": [col("city").target_mean(smoothing=5), col("k").target_mean()],
    "over a target mean": [col("city").target_mean().standardize()],
    "group value": [col("x").fill_null(col("x").mean().over("city")).fill_null(0).standardize()],
    "row by row": [NUMBERS.clip(0).sqrt(), col("day").dt.month().cyclic(12), col("city").is_null()],
    "a null's flag": [gp.cols("x", "y").missing_flag()],
}  # fmt: skip


def same_as_fits(found: Any, pipeline: gp.Pipeline, source: gp.Source, rows: Any = trained_with) -> None:
    """Every fold's features and model are those of a fit on a source without the fold's rows."""
    for number, fold in enumerate(found.folds):
        alone = clone(pipeline).fit(only(source, rows(found, number)))
        assert fold.pipeline.state_digest() == alone.state_digest(), number
        assert fold.pipeline.model_.digest() == alone.model_.digest(), number
        ours, theirs = fold.pipeline.transform(source), alone.transform(source)
        assert ours.column_names == theirs.column_names
        assert all(a.equals(b) for a, b in zip(ours.columns, theirs.columns, strict=True))


def one_fold_each(found: Any, keys: Any) -> bool:
    """Whether all rows of a key are in one fold."""
    rows = pa.table({"fold": found.predictions["fold"], "key": keys}).group_by("key")
    return set(rows.aggregate([("fold", "count_distinct")])["fold_count_distinct"].to_pylist()) == {1}


@pytest.mark.parametrize(
    ("name", "target"),
    [(name, target) for name in FAMILIES for target in ("bought", "kind") if target == "bought" or "target" in name],
)
def test_a_fold_is_a_fit_on_the_other_rows(name, target):
    source = gp.scan(TABLE, partitions=3)
    pipeline = gp.Pipeline(FAMILIES[name], target=target, model=DecisionTreeClassifier(max_depth=3, random_state=0))
    same_as_fits(gp.cross_validate(pipeline, source, folds=3), pipeline, source)


TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
PLAIN = [NUMBERS.standardize(), col("city").target_mean(), col("k").one_hot()]
MODELS = {
    "logistic": (LogisticRegression(max_iter=500), "bought"),
    "three classes": (LogisticRegression(max_iter=50, tol=0.1), "kind"),
    "ridge": (Ridge(), "paid"),
    "linear": (LinearRegression(), "paid"),
    "naive Bayes": (GaussianNB(), "kind"),
    "margins alone": (SGDClassifier(random_state=0), "bought"),
    "xgboost": (XGBClassifier(n_estimators=5, n_jobs=1), "kind"),
    "forest": (RandomForestClassifier(5, random_state=0), "bought"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_that_of_a_fit_on_the_other_rows(name):
    model, target = MODELS[name]
    pipeline, source = gp.Pipeline(PLAIN, target=target, model=model), gp.scan(TABLE, partitions=2)
    found = gp.cross_validate(pipeline, source, folds=3, seed=5)
    same_as_fits(found, pipeline, source)
    for number, fold in enumerate(found.folds):
        mine = np.setdiff1d(np.arange(N), trained_with(found, number))
        alone = fold.pipeline.evaluate(only(source, mine)).to_dict()["metrics"]
        assert {name: metric.folds[number] for name, metric in found.metrics.items()} == {
            name: metric["value"] for name, metric in alone.items()
        }


def test_several_targets():
    several = MultiOutputClassifier(LogisticRegression(max_iter=500))
    pipeline, source = gp.Pipeline([NUMBERS.standardize()], target=["bought", "kind"], model=several), gp.scan(TABLE)
    found: Any = gp.cross_validate(pipeline, source, folds=3)
    same_as_fits(found, pipeline, source)
    assert list(found.targets) == ["bought", "kind"]
    assert found.metrics["accuracy"].value < found.targets["kind"]["accuracy"].value
    assert {"prediction_bought", "target_kind", "probability_kind_c"} <= set(found.predictions.column_names)
    told = {name: np.array(found.predictions[name].to_pylist()) for name in found.predictions.column_names}
    right = [told[f"target_{name}"] == told[f"prediction_{name}"] for name in ("bought", "kind")]
    assert found.pooled.metrics["accuracy"].value == pytest.approx(np.mean(right[0] & right[1]))


def test_a_ranking_is_not_torn():
    rng = np.random.default_rng(0)
    table = pa.table({"query": np.repeat(np.arange(60), 5), "price": rng.normal(size=300)})
    table = table.append_column("when", pa.array(rng.permutation(300)))
    table = table.append_column("grade", pa.array((table["price"].to_numpy() + rng.normal(size=300) > 0.5).astype(int)))
    ranker = LGBMRanker(n_estimators=5, min_child_samples=5, verbose=-1, n_jobs=1)
    pipeline, source = gp.Pipeline([col("price")], target="grade", groups="query", model=ranker), gp.scan(table)
    found: Any = gp.cross_validate(pipeline, source, folds=4)
    same_as_fits(found, pipeline, source)
    assert one_fold_each(found, table["query"])
    assert found.metrics["ndcg"].value > 0.5 and found.pooled.n_groups == 60
    with pytest.raises(FoldsError, match="time='when' puts rows of one group into several folds"):
        gp.cross_validate(pipeline, source, folds=4, time="when")


# -- against scikit-learn ---------------------------------------------------------------------------------------------
def theirs(model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(ColumnTransformer([("n", numbers, ["x", "y"]), ("w", words, ["city"])]), model)


@pytest.mark.parametrize("target", ["bought", "paid"])
def test_scores_are_those_of_scikit_learn(target):
    table = customers(1000).filter(pa.compute.is_valid(customers(1000)["city"]))
    model = Ridge(alpha=2.0) if target == "paid" else LogisticRegression(C=0.5, tol=1e-9, max_iter=500)
    scoring = {"rmse": "neg_root_mean_squared_error", "r2": "r2"}
    if target == "bought":
        scoring = {"accuracy": "accuracy", "log_loss": "neg_log_loss", "roc_auc": "roc_auc"}
    pipeline = gp.Pipeline([NUMBERS.standardize(), col("city").one_hot()], target=target, model=model)
    found: Any = gp.cross_validate(pipeline, table, folds=4)
    frame = table.to_pandas()
    split = PredefinedSplit(found.predictions["fold"].to_numpy())
    expected = cross_validate(theirs(model), frame, frame[target], cv=split, scoring=scoring)
    for name in scoring:
        assert np.abs(found.metrics[name].folds) == pytest.approx(np.abs(expected[f"test_{name}"]), abs=1e-6), name


def test_windows_in_time_are_those_of_scikit_learn():
    found = gp.cross_validate(gp.Pipeline(PLAIN, target="bought", model=TREE), TABLE, folds=4, time="when")
    when = TABLE["when"].to_numpy()
    judged, expected = found.predictions, TimeSeriesSplit(4).split(np.sort(when))
    for number, (before, window) in enumerate(expected):
        mine = judged["row"].to_numpy()[judged["fold"].to_numpy() == number]
        assert sorted(when[mine]) == window.tolist()
        assert found.folds[number].n_trained == len(before)
    assert judged.num_rows == found.n_rows == 4 * (N // 5)


@pytest.mark.parametrize("kind", ["int", "float", "date", "ties"])
def test_a_fold_in_time_is_a_fit_on_the_rows_before(kind):
    when = TABLE["when"].to_numpy()
    times = {"int": when, "float": when / 7, "date": pa.array((when // 2 + 9000).astype("i4")).cast(pa.date32())}
    table = TABLE.append_column("at", pa.array(when // 9) if kind == "ties" else pa.array(times[kind]))
    pipeline, source = gp.Pipeline(PLAIN, target="bought", model=TREE), gp.scan(table, partitions=3)
    found = gp.cross_validate(pipeline, source, folds=3, time="at")
    at = np.array(table["at"].to_pylist())
    rows, folds = found.predictions["row"].to_numpy(), found.predictions["fold"].to_numpy()

    def before(_: Any, number: int) -> Any:
        return np.flatnonzero(at < at[rows[folds == number]].min())

    same_as_fits(found, pipeline, source, before)
    assert sum(fold.n_rows for fold in found.folds) + len(before(found, 0)) == N


def test_nothing_is_learned_from_rows_after_the_last_training_window():
    table = TABLE.append_column("z", pa.array(np.where(TABLE["when"].to_numpy() > 390, np.nan, 1.0)))
    pipeline = gp.Pipeline([col("z").standardize()], target="bought", model=LogisticRegression())
    with pytest.raises(GpupipeError, match="feature 'z' is null or NaN"):  # in the features, not in the statistics
        gp.cross_validate(pipeline, table, folds=3, time="when")


# -- folds ------------------------------------------------------------------------------------------------------------
def folds_of(pipeline: gp.Pipeline, data: Any, **options: Any) -> list[Any]:
    return gp.cross_validate(pipeline, data, **options).predictions["fold"].to_pylist()


def test_folds_hang_on_row_and_seed_alone():
    pipeline = gp.Pipeline(PLAIN, target="bought", model=TREE)
    whole = gp.cross_validate(pipeline, gp.scan(TABLE, partitions=7))
    assert whole.predictions["row"].to_pylist() == list(range(N))
    assert whole.report_.source_reads == 1
    one = gp.cross_validate(pipeline, TABLE)
    assert one.predictions.equals(whole.predictions) and one.to_dict() == whole.to_dict()
    assert folds_of(pipeline, TABLE, seed=1) != whole.predictions["fold"].to_pylist()
    some = gp.cross_validate(pipeline, gp.scan(TABLE).filter(col("k") > 2)).predictions
    assert some["fold"].to_pylist() == whole.predictions["fold"].take(some["row"]).to_pylist()
    counts = np.bincount(whole.predictions["fold"].to_numpy())
    assert len(counts) == 5 and counts.min() > 40 and counts.max() < 120


@pytest.mark.parametrize("way", ["key", "groups", "stratified key"])
def test_rows_of_one_customer_share_a_fold(way):
    table = TABLE.append_column("side", pa.array(TABLE["customer"].to_numpy() % 3 == 0))
    key = None if way == "groups" else "customer"
    pipeline, source = gp.Pipeline(PLAIN, target="bought", model=TREE, key=key), gp.scan(table, partitions=3)
    options: dict[str, Any] = {"key": {}, "groups": {"groups": "customer"}, "stratified key": {"stratify": "side"}}[way]
    found = gp.cross_validate(pipeline, source, folds=3, **options)
    assert one_fold_each(found, table["customer"])
    keyed = gp.Pipeline(PLAIN, target="bought", model=TREE, key="customer")  # inner folds keep customers whole too
    same_as_fits(found, keyed, source)


@pytest.mark.parametrize("by", [True, "city"])
def test_stratified_folds_have_equal_shares(by):
    table = TABLE.filter(pa.compute.is_valid(TABLE["city"]))
    pipeline = gp.Pipeline([NUMBERS.standardize()], target="kind", model=TREE)
    found = gp.cross_validate(pipeline, gp.scan(table, partitions=3), stratify=by).predictions
    assert found.equals(gp.cross_validate(pipeline, table, stratify=by).predictions)
    labels = np.array(table["kind" if by is True else by].to_pylist())
    folds = found["fold"].to_numpy()
    for label in np.unique(labels):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) <= 1


@pytest.mark.parametrize("names", [["b", "a", "c"], [3, 1, 2], [True, False, False]])
def test_folds_in_a_column(names):
    values = [names[at] for at in np.random.default_rng(0).integers(0, 3, N)]
    table = TABLE.append_column("part", pa.array(values))
    features = [gp.numeric().fill_null(0), gp.booleans()]
    pipeline, source = gp.Pipeline(features, target="bought", model=TREE), gp.scan(table)
    found: Any = gp.cross_validate(pipeline, source, folds="part")
    assert [fold.name for fold in found.folds] == sorted(set(names))
    assert found.predictions["fold"].to_pylist() == values
    assert "part" not in found.pipelines[0].get_feature_names_out()
    for number, fold in enumerate(found.folds):
        alone = clone(pipeline).fit(only(source.select(*TABLE.column_names), trained_with(found, number)))
        assert fold.pipeline.model_.digest() == alone.model_.digest()


# -- leaks ------------------------------------------------------------------------------------------------------------
def test_pure_noise_is_told_from_nothing():
    rng = np.random.default_rng(3)
    n = 2000
    table = {"key": rng.integers(0, n // 2, n), "x": rng.normal(size=n), "y": rng.integers(0, 2, n).astype(bool)}
    mean = col("key").target_mean(smoothing=5)
    features = [mean, mean.standardize().suffix("_s"), col("x")]
    for model in (LogisticRegression(), DecisionTreeClassifier(min_samples_leaf=50)):
        found: Any = gp.cross_validate(gp.Pipeline(features, target="y", model=model), table)
        assert abs(found.metrics["roc_auc"].value - 0.5) < 0.04
        assert found.pooled.metrics["roc_auc"].low < 0.5 < found.pooled.metrics["roc_auc"].high + 0.01


@pytest.mark.parametrize("options", [{}, {"groups": "customer"}, {"time": "when"}])
def test_what_is_in_a_fold_moves_no_bit_of_its_model(options):
    features = [*PLAIN, col("y").mean().over("k").fill_null(0).alias("u"), col("city").codes(), col("k").target_mean()]
    pipeline = gp.Pipeline(features, target="bought", model=LogisticRegression(max_iter=100))
    before: Any = gp.cross_validate(pipeline, TABLE, folds=3, **options)
    number = 2
    rows = before.predictions["row"].to_numpy()[before.predictions["fold"].to_numpy() == number]
    columns = {name: TABLE[name].to_pylist() for name in TABLE.column_names}
    for row in rows:
        columns["bought"][row] = "no" if columns["bought"][row] == "yes" else "yes"
        columns["x"][row], columns["y"][row], columns["k"][row], columns["city"][row] = 1e6, None, 77, "Atlantis"
    after: Any = gp.cross_validate(pipeline, pa.table(columns, TABLE.schema), folds=3, **options)
    assert after.predictions["fold"].equals(before.predictions["fold"])
    assert after.pipelines[number].state_digest() == before.pipelines[number].state_digest()
    assert after.pipelines[number].model_.digest() == before.pipelines[number].model_.digest()
    if not options.get("time"):
        assert after.pipelines[0].state_digest() != before.pipelines[0].state_digest()


@pytest.mark.parametrize("model", [
    XGBClassifier(n_estimators=50, early_stopping_rounds=3, n_jobs=1),
    LGBMClassifier(n_estimators=50, early_stopping_round=3, verbose=-1, n_jobs=1),
])  # fmt: skip
def test_rows_that_stop_a_training_are_neither_its_own_nor_those_it_is_judged_on(model):
    pipeline, source = gp.Pipeline(PLAIN, target="bought", model=model), gp.scan(TABLE, partitions=2)
    found: Any = gp.cross_validate(pipeline, source, folds=3, validation=0.25)
    stops = np.flatnonzero(counter_uniform(0, STOPPING, np.arange(N)) < np.uint64(2**62))
    for number, fold in enumerate(found.folds):
        trained = trained_with(found, number)
        learn, stop = np.setdiff1d(trained, stops), np.intersect1d(trained, stops)
        alone = clone(pipeline).fit(only(source, learn), validation=only(source, stop))
        assert fold.n_trained == len(learn)
        assert fold.pipeline.state_digest() == alone.state_digest()
        assert fold.pipeline.model_.digest() == alone.model_.digest()


# -- what comes out ---------------------------------------------------------------------------------------------------
def test_what_is_found():
    pipeline = gp.Pipeline(PLAIN, target="bought", model=LogisticRegression(max_iter=500), weights="trust")
    found: Any = gp.cross_validate(pipeline, TABLE, folds=4)
    auc = found.to_dict()["metrics"]["roc_auc"]
    assert len(auc["folds"]) == 4 and auc["value"] == pytest.approx(np.mean(auc["folds"]))
    half = scipy.stats.t.ppf(0.975, 3) * np.std(auc["folds"], ddof=1) / 2
    assert (auc["low"], auc["high"]) == pytest.approx((auc["value"] - half, auc["value"] + half))
    judged = found.predictions
    assert judged.column_names == ["row", "fold", "target", "prediction", "probability_no", "probability_yes"]
    truth, said = (np.array(judged[name].to_pylist()) for name in ("target", "prediction"))
    weights = TABLE["trust"].to_numpy()
    assert truth.tolist() == TABLE["bought"].to_pylist()
    pooled = found.pooled.metrics["accuracy"]
    assert pooled.value == pytest.approx(np.average(truth == said, weights=weights))
    assert pooled.low < pooled.value < pooled.high
    assert "Cross-validation of a classifier: 4 folds, 400 rows" in repr(found) and "fold 3" in repr(found)
    assert "<table>" in found._repr_html_() and json.loads(json.dumps(found.to_dict()))["n_rows"] == N
    assert found.to_pandas().shape == (4, 9)
    assert not hasattr(pipeline, "model_")


def test_a_fold_s_pipeline_is_one_to_keep(tmp_path):
    found = gp.cross_validate(gp.Pipeline(PLAIN, target="bought", model=TREE), TABLE, folds=2)
    fold = found.folds[1]
    fold.pipeline.save(tmp_path / "fold.gpp")
    assert gp.load(tmp_path / "fold.gpp").predict(TABLE).equals(fold.pipeline.predict(TABLE))
    mine = found.predictions.filter(pa.compute.equal(found.predictions["fold"], 1))
    expected = fold.pipeline.predict(TABLE.take(mine["row"]))["prediction"]
    assert mine["prediction"].to_pylist() == expected.to_pylist()


def test_penalties():
    pipeline = gp.Pipeline([gp.cols("x", "y").fill_null(0).standardize()], target="paid", model=Lasso())
    alphas = [100.0, 1e-3, 1.0, 1e4]
    found: Any = gp.cross_validate(pipeline, TABLE, folds=4, alphas=alphas)
    each = [clone(pipeline).set_params(model__alpha=alpha) for alpha in alphas]
    single: list[Any] = [gp.cross_validate(one, TABLE, folds=4) for one in each]
    assert [one["rmse"].folds for one in found.path.metrics] == [one.metrics["rmse"].folds for one in single]
    best = int(np.argmin([one.metrics["rmse"].value for one in single]))
    assert found.path.alpha == alphas[best] and found.metrics == single[best].metrics
    assert found.predictions.equals(single[best].predictions)
    assert found.to_dict()["path"]["alphas"][3]["alpha"] == 1e4 and f"alpha {alphas[best]:g} of 4" in repr(found)


def test_penalties_of_ridge_come_from_covariances_of_the_scan():
    features = [NUMBERS.standardize(), col("city").one_hot()]
    pipeline, source = gp.Pipeline(features, target="paid", model=Ridge()), gp.scan(TABLE, partitions=3)
    alphas = [100.0, 1e-3, 1.0, 1e4]
    found: Any = gp.cross_validate(pipeline, source, folds=4, alphas=alphas)
    assert found.trained_on_rows is None and found.report_.scans == found.report_.source_reads == 1
    folds = found.predictions["fold"].to_numpy()
    for number, fold in enumerate(found.folds):
        alone = clone(pipeline).set_params(model__alpha=found.path.alpha)
        alone = alone.fit(only(source, trained_with(found, number)))
        assert fold.pipeline.state_digest() == alone.state_digest()
        assert fold.pipeline.model_.digest() == alone.model_.digest()
        judged = alone.evaluate(only(source, np.flatnonzero(folds == number)))
        assert judged.metrics["rmse"].value == pytest.approx(found.metrics["rmse"].folds[number], abs=1e-6)
        assert judged.baseline["rmse"].value == pytest.approx(fold.evaluation.baseline["rmse"].value, abs=1e-9)
    rows = gp.cross_validate(clone(pipeline).set_params(weights="trust"), source, folds=4, alphas=alphas)
    assert rows.trained_on_rows == "rows are weighted" and "covariances" in repr(found)
    mae = np.abs(np.array(found.predictions["target"]) - np.array(found.predictions["prediction"])).mean()
    assert found.pooled.metrics["mae"].value == pytest.approx(mae)
    assert found.metrics["mae"].value is None and "pooled has it" in repr(found)


def test_y_and_weights_given_beside_the_rows():
    X, y = TABLE.drop_columns(["bought"]).to_pandas(), np.array(TABLE["bought"].to_pylist())
    options: dict[str, Any] = {"folds": 3, "stratify": True}
    given = gp.cross_validate(gp.Pipeline(PLAIN, model=TREE), X, y, sample_weight=TABLE["trust"].to_numpy(), **options)
    declared = gp.Pipeline(PLAIN, target="bought", weights="trust", model=TREE)
    assert given.metrics == gp.cross_validate(declared, TABLE.to_pandas(), **options).metrics


def test_classes_that_a_fold_did_not_train_with():
    rare = np.array(TABLE["kind"].to_pylist()) == "c"
    table = TABLE.append_column("part", pa.array(np.where(rare, 0, np.arange(N) % 3)))
    with pytest.raises(TargetError, match=r"\(Fold 0 of the cross-validation.\) The target holds labels .*: 'c' \("):
        gp.cross_validate(gp.Pipeline([NUMBERS], target="kind", model=TREE), table, folds="part")
    late = TABLE.append_column("at", pa.array(np.where(rare, 1000, 0) + TABLE["when"].to_numpy()))
    with pytest.raises(TargetError, match="The target holds labels the model does not know"):
        gp.cross_validate(gp.Pipeline([NUMBERS], target="kind", model=TREE), late, folds=3, time="at")


# -- bad input --------------------------------------------------------------------------------------------------------
GOOD = gp.Pipeline([NUMBERS.standardize()], target="bought", model=TREE)
HOLES = TABLE.append_column("hole", pa.array(np.arange(N), mask=np.arange(N) == 7))
RARE = TABLE.append_column("rare", pa.array(np.where(np.arange(N) < 3, "rare", "usual")))
NULL = "Row 7, column 'hole': {}='hole' is null or NaN in 1 of 400 rows"
HALVES = TABLE.append_column("half", pa.array(np.arange(N) // 200))
WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "one fold": ({"folds": 1}, ParameterError, "folds=1 is no number of folds. Give an integer from 2 to 1,000"),
    "half a fold": ({"folds": 2.5}, ParameterError, "folds=2.5 is no number of folds"),
    "a flag": ({"folds": True}, ParameterError, "folds=True is no number of folds"),
    "a seed": ({"seed": -1}, ParameterError, "seed=-1 is no seed"),
    "two ways": ({"groups": "k", "time": "when"}, ParameterError, "groups= and time= were both given"),
    "a column and a way": ({"folds": "k", "stratify": True}, ParameterError, "folds='k' is a column .* and stratify="),
    "a column that is not there": ({"groups": "custmer"}, GpupipeError, "Did you mean 'customer'?"),
    "text as time": ({"time": "city"}, ParameterError, "time='city' is String. Give a column of dates, times or num"),
    "a share of all": ({"validation": 1.5}, ParameterError, "validation=1.5 is no share"),
    "nothing to stop": ({"validation": 0.1}, ParameterError, "DecisionTreeClassifier does not stop early"),
    "no alphas": ({"alphas": [1.0]}, ParameterError, "DecisionTreeClassifier has none"),
    "an array": ({"groups": [1, 2]}, ParameterError, "is no column's name"),
    "an unknown parameter": ({"fold": 3}, TypeError, "Did you mean 'folds'?"),
    "a null group": ({"data": HOLES, "groups": "hole"}, FoldsError, NULL.format("groups")),
    "a null time": ({"data": HOLES, "time": "hole"}, FoldsError, NULL.format("time")),
    "a null fold": ({"data": HOLES, "folds": "hole"}, FoldsError, NULL.format("folds")),
    "a null class": ({"data": HOLES, "stratify": "hole"}, FoldsError, NULL.format("stratify")),
    "a rare class": ({"data": RARE, "stratify": "rare"}, FoldsError, "class 'rare' has 3 rows, and there are 5 folds"),
    "many folds": ({"data": TABLE.slice(0, 8), "folds": 8}, FoldsError, "of 8 has no row to be judged on, of 8 rows"),
    "few groups": ({"data": RARE, "groups": "rare"}, FoldsError, "has no row to be judged on"),
    "few times": ({"data": HALVES, "time": "half"}, FoldsError, "time='half' has 2 distinct values in 400 rows, too"),
    "few folds": ({"data": RARE.filter(pa.compute.equal(RARE["rare"], "rare")), "folds": "rare"}, FoldsError,
                  "folds='rare' holds 1 distinct value"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    options, kind, words = WRONG[name]
    with pytest.raises(kind, match=words):
        gp.cross_validate(GOOD, **{"data": TABLE, **options})


def test_wrong_pipelines():
    with pytest.raises(ParameterError, match=r"takes a gpupipe.Pipeline, and got a LogisticRegression"):
        gp.cross_validate(LogisticRegression(), TABLE)
    with pytest.raises(ParameterError, match=r"the pipeline has no model. Declare it with model="):
        gp.cross_validate(gp.Pipeline([NUMBERS]), TABLE)
    with pytest.raises(ParameterError, match="KMeans learns without a target"):
        gp.cross_validate(gp.Pipeline([NUMBERS], model=KMeans(3)), TABLE)
    with pytest.raises(ParameterError, match=r"XGBClassifier stops early, .* give validation=0.1"):
        gp.cross_validate(gp.Pipeline([NUMBERS], "bought", XGBClassifier(early_stopping_rounds=2)), TABLE)
    with pytest.raises(ParameterError, match=r"stratify=True deals equal shares .* Ridge learns no classes"):
        gp.cross_validate(gp.Pipeline([NUMBERS], "paid", Ridge()), TABLE, stratify=True)
    with pytest.raises(ParameterError, match="groups='k' was given, and the pipeline keeps rows of one 'customer'"):
        gp.cross_validate(gp.Pipeline([NUMBERS], "bought", TREE, key="customer"), TABLE, groups="k")
    with pytest.raises(FoldsError, match="folds='k' puts rows of one key into several folds"):
        gp.cross_validate(gp.Pipeline([NUMBERS], "bought", TREE, key="customer"), TABLE, folds="k")
    with pytest.raises(FoldsError, match="rows of one key or group, which stay together, are of several classes"):
        gp.cross_validate(gp.Pipeline([NUMBERS], "bought", TREE, key="customer"), TABLE, stratify=True)


@pytest.mark.parametrize("features", [[NUMBERS.standardize()], [col("k")], [col("city").target_mean().standardize()]])
@pytest.mark.parametrize("model", [Ridge(), DecisionTreeRegressor(max_depth=2)])
def test_trips_are_those_that_explain_tells(features, model):
    pipeline, source = gp.Pipeline(features, target="paid", model=model), gp.scan(TABLE, partitions=3)
    told, done = pipeline.explain(source, folds=3), gp.cross_validate(pipeline, source, folds=3)
    assert told.fold_trips == done.report_.scans and done.report_.source_reads == 1
    assert told.on_rows == done.trained_on_rows
    later = {scan.level for scan in told.plan.scans[1:]}
    assert {reason.scan for reason in told.forced} == later
    assert f"3: scan 1 once for all{', scan 2 once for each' if later else ''}" in str(told) or not told.scans
    assert pipeline.explain(source).fold_trips == 0
    with pytest.raises(ParameterError, match="folds=1 is no number of folds"):
        pipeline.explain(source, folds=1)
