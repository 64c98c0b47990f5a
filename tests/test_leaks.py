"""Leaks that were planted, each found and told; and pipelines without one, which no alarm disturbs."""

import os
import re
import shutil
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import LeakageError

N = 400
rng = np.random.default_rng(0)
CUSTOMER = rng.integers(0, 60, N)
TABLE = pa.table(
    {
        "id": np.arange(N),
        "x": rng.normal(size=N),
        "z": rng.normal(size=N),
        "customer": CUSTOMER,
        "city": rng.choice(["Rome", "Oslo", "Lima"], N).tolist(),
        "year": rng.integers(2020, 2025, N),
        "fold": CUSTOMER % 4,
        "y": rng.integers(0, 2, N),
    }
)
FRAME = TABLE.to_pandas()
X, Y = rng.normal(size=(N, 3)), rng.integers(0, 2, N)


def model(*features, **options):
    chosen = features or (gp.cols("x", "z").standardize(), col("city").one_hot())
    return gp.Pipeline(list(chosen), **{"target": "y", "model": LogisticRegression(), **options})


def given(*features):
    return gp.Pipeline(list(features or [gp.numeric()]), model=LogisticRegression())


@pytest.fixture
def files(tmp_path, monkeypatch):
    """One table as one file, and as three; nothing of this process is known of them."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(TABLE, "all.parquet", row_group_size=29)
    for number in range(4):
        pq.write_table(TABLE.slice(100 * number, 100), f"{number}.parquet")


def loaded(pipeline):
    pipeline.save("model.gpp", overwrite=True)
    return gp.load("model.gpp")


# -- rows that the fit has seen -------------------------------------------------------------------------------
LEAKS = {}


def leak(message):
    """Register a planted leak, with what is said of it: a function that plants it and asks."""

    def register(plant):
        LEAKS[plant.__name__.replace("_", " ")] = (plant, message)
        return plant

    return register


@leak(r"All 400 rows were in the fit, the first being row 0 of a table in memory of 400 rows\. What a model says of "
      r"rows it has seen does not tell how it does on new ones\. Split first: train, test = gp\.scan\(data\)\.split"
      r"\(test=0\.2\), then fit\(train\) and evaluate\(test\); on the command line, --split 0\.2 of both\. "
      r"To judge by them all the same: evaluate\(…, allow_overlap=True\), or --allow-overlap\.$")  # fmt: skip
def the_training_rows_themselves():
    model().fit(TABLE).evaluate(TABLE)


@leak(r"332 of the 400 rows were in the fit")
def all_rows_after_a_split():
    source = gp.scan(TABLE, partitions=3)
    model().fit(source.split(test=0.2)[0]).evaluate(source)


@leak(r"All 332 rows were in the fit")
def the_wrong_side():
    train, _ = gp.scan(TABLE, partitions=3).split(test=0.2)
    model().fit(train).evaluate(train)


@leak(r"All 68 rows were in the fit")
def a_test_side_of_what_was_fitted_whole():
    source = gp.scan(FRAME)
    model().fit(source).evaluate(source.split(test=0.2)[1])


@leak(r"\d+ of the \d+ rows were in the fit")
def two_splits_of_different_seeds():
    source = gp.scan("all.parquet")
    model().fit(source.split(test=0.2, seed=1)[0]).evaluate(source.split(test=0.2, seed=2)[1])


@leak(r"\d+ of the \d+ rows were in the fit")
def two_splits_of_different_shares():
    source = gp.scan("all.parquet")
    model().fit(source.split(test=0.2)[0]).evaluate(source.split(test=0.3)[1])


@leak(r"\d+ of the \d+ rows were in the fit")
def a_split_by_rows_and_one_by_a_key():
    source = gp.scan("all.parquet", partitions=5)
    model().fit(source.split(test=0.2)[0]).evaluate(source.split(test=0.2, key="customer")[1])


@leak(r"100 of the 300 rows were in the fit, the first being 2\.parquet, row group 0, row 0\.")
def a_file_among_others():
    model().fit(["1.parquet", "2.parquet"]).evaluate(["0.parquet", "2.parquet", "3.parquet"])


@leak(r"All 400 rows were in the fit, the first being \./3\.parquet, row group 0, row 0\.")
def files_in_another_order_under_other_paths():
    model().fit(["0.parquet", "1.parquet", "2.parquet", "3.parquet"]).evaluate([f"./{n}.parquet" for n in (3, 1, 0, 2)])


@leak(r"\d+ of the \d+ rows were in the fit")
def a_split_of_files_in_another_order():
    first, again = (gp.scan([f"{n}.parquet" for n in order]) for order in ((0, 1, 2, 3), (3, 2, 1, 0)))
    model().fit(first.split(test=0.2)[0]).evaluate(again.split(test=0.2)[1])


@leak(r"All 100 rows were in the fit, the first being link\.parquet")
def a_hard_link():
    os.link("1.parquet", "link.parquet")
    model().fit("1.parquet").evaluate("link.parquet")


@leak(r"All 100 rows were in the fit, the first being copy\.parquet")
def a_copy_of_a_file():
    shutil.copy("1.parquet", "copy.parquet")
    model().fit("1.parquet").evaluate("copy.parquet")


@leak(r"29 of the 400 rows were in the fit")
def a_head():
    source = gp.scan("all.parquet")
    model().fit(source.head(29)).evaluate(source)


@leak(r"\d+ of the 400 rows were in the fit")
def a_filter_on_the_side_of_the_fit():
    source = gp.scan("all.parquet", partitions=4)
    model().fit(source.filter(col("year") == 2021)).evaluate(source)


@leak(r"\d+ of the \d+ rows were in the fit")
def filters_that_meet():
    source = gp.scan("all.parquet", partitions=4)
    model().fit(source.filter(col("year") <= 2022)).evaluate(source.filter(col("year") >= 2022))


@leak(r"\d+ of the 400 rows were in the fit")
def an_inner_join():
    kept = pa.table({"city": ["Rome"], "size": [3]})
    source = gp.scan("all.parquet")
    model(col("x")).fit(source.join(kept, on="city", how="inner")).evaluate(source)


@leak(r"All 50 rows told the model when to stop \(validation=\), the first being all\.parquet")
def rows_of_early_stopping():
    learn, stop = gp.scan("all.parquet").split(test=0.3)
    booster = XGBClassifier(n_estimators=5, early_stopping_rounds=2, n_jobs=1)
    pipeline = model(col("x"), model=booster).fit(learn, validation=stop)
    pipeline.evaluate(stop.filter(col("year") > 2020).head(50))


@leak(r"10 of the 110 rows were in the fit, the first being row 0 of a table in memory of 110 rows")
def views_of_one_array():
    given().fit(X[:300], Y[:300]).evaluate(X[290:], Y[290:])


@leak(r"150 of the 200 rows were in the fit")
def every_other_row_from_the_end():
    given().fit(X[:300], Y[:300]).evaluate(X[::-2], Y[::-2])


@leak(r"10 of the 110 rows were in the fit")
def slices_of_a_frame():
    model().fit(FRAME[:300]).evaluate(FRAME[290:])


@leak(r"10 of the 110 rows were in the fit")
def slices_of_a_table_with_another_column():
    train, test = TABLE.slice(0, 300), TABLE.slice(290).append_column("new", pa.array(range(110)))
    model().fit(train).evaluate(test)


@leak(r"10 of the 110 rows were in the fit")
def slices_of_a_polars_frame():
    frame = pl.from_arrow(TABLE)
    train, test = frame[:300], frame[290:]
    model(col("x")).fit(train).evaluate(test)


@leak(r"All 400 rows were in the fit")
def a_dict_of_arrays():
    data = {name: TABLE[name].to_numpy() for name in ("x", "y")}
    model(col("x")).fit(data).evaluate(data)


@leak(r"\d+ of the 400 rows were in the fit")
def the_rows_of_a_folds_pipeline():
    source = gp.scan("all.parquet")
    found = gp.cross_validate(model(), source, folds="fold")
    for fold in found.folds:
        assert fold.pipeline.evaluate(source.filter(col("fold") == fold.name)).n_rows == fold.n_rows
        assert seen_in(fold.pipeline.evaluate(source, allow_overlap=True)) == fold.n_trained == 400 - fold.n_rows
    found.pipelines[0].evaluate(source)


def seen_in(evaluation):
    assert f"({evaluation.rows_seen} of them seen by the fit)" in repr(evaluation)
    return evaluation.to_dict()["rows_seen"]


@leak(r"All 100 rows were in the fit")
def rows_of_an_update():
    pipeline = model().fit("0.parquet", keep_state=True).update("1.parquet")
    pipeline.evaluate("2.parquet")
    pipeline.evaluate("1.parquet")


@leak(r"100 of the 200 rows were in the fit, the first being 1\.parquet, row group 0, row 0, and would count twice\. "
      r"Give only the rows that came after the fit\.")  # fmt: skip
def an_update_with_rows_it_has():
    model().fit(["0.parquet", "1.parquet"], keep_state=True).update(["1.parquet", "2.parquet"])


# -- keys that the fit has seen -------------------------------------------------------------------------------
@leak(r"(\d+) of the \d+ values of the key 'customer' in these rows were in the fit's rows too: rows of one key belong "
      r"together, and the model knows them\. Split by the key: gp\.scan\(data\)\.split\(test=0\.2, key='customer'\)\. "
      r"To judge by them all the same: evaluate\(…, allow_overlap=True\), or --allow-overlap\.$")  # fmt: skip
def a_key_on_both_sides():
    train, test = gp.scan("all.parquet").split(test=0.2)
    model(key="customer").fit(train).evaluate(test)


@leak(r"\d+ of the \d+ values of the key 'customer'")
def a_key_of_the_source():
    train, test = gp.scan(TABLE).split(test=0.2)
    model().fit(train.with_key("customer")).evaluate(test)


@leak(r"\d+ of the \d+ values of the key 'customer'")
def a_key_in_other_files():
    model(key="customer").fit("0.parquet").evaluate("1.parquet")


@leak(r"\d+ of the 20 values of the key 'query'")
def groups_of_a_ranking():
    lightgbm = pytest.importorskip("lightgbm")
    rows = {"query": np.arange(200) % 20, "a": rng.normal(size=200), "grade": rng.integers(0, 3, 200)}
    ranker = lightgbm.LGBMRanker(n_estimators=2, min_child_samples=2, n_jobs=1, verbose=-1)
    train, test = gp.scan(pa.table(rows)).split(test=0.5)
    gp.Pipeline([col("a")], target="grade", groups="query", model=ranker).fit(train).evaluate(test)


@leak(r"\d+ of the \d+ values of the key 'customer'")
def a_key_of_an_update():
    pipeline = model(key="customer").fit("0.parquet", keep_state=True)
    pipeline.update("1.parquet").evaluate("2.parquet")


# -- statistics that have seen the rows to judge by -----------------------------------------------------------
@leak(r"100 of the 100 rows came out of a transform whose statistics have seen them: its means, categories and "
      r"encodings know the rows to judge by\. Fit the features on the training rows alone; declared beside the model "
      r"they are: gp\.Pipeline\(features=…, model=…\)\.fit\(train\)\.")  # fmt: skip
def features_of_all_rows_cut_afterwards():
    made = gp.Pipeline([gp.numeric().standardize()]).fit_transform(X)
    given().fit(made[:300], Y[:300]).evaluate(made[300:], Y[300:])


@leak(r"\d+ of the \d+ rows came out of a transform whose statistics have seen them")
def features_fitted_on_everything():
    source = gp.scan("all.parquet")
    features = gp.Pipeline([gp.cols("x", "z").standardize(), col("y")]).fit(source)
    train, test = (features.transform(side) for side in source.split(test=0.2))
    model(gp.cols("x", "z")).fit(train).evaluate(test)


@leak(r"\d+ of the \d+ rows came out of a transform whose statistics have seen them")
def features_of_another_fit():
    train, test = gp.scan(TABLE).split(test=0.2)
    features = model(gp.cols("x", "z").standardize()).fit(TABLE).features_
    y_train, y_test = (side.load(0, ["y"])["y"].values for side in (train, test))
    made, judged = (features.transform(side, output="pandas") for side in (train, test))
    given().fit(made, y_train).evaluate(judged, y_test)


@leak(r"7 of the 7 rows came out of a transform whose statistics have seen them")
def some_rows_of_features_under_other_names():
    made = gp.Pipeline([gp.cols("x", "z").standardize()]).fit(FRAME).transform(FRAME)
    train, test = (made[part].assign(y=FRAME["y"][part]) for part in (slice(300), slice(300, 307)))
    model(gp.cols("x", "z")).fit(train).evaluate(test)


@leak(r"100 of the 100 rows came out of a transform whose statistics have seen them")
def components_of_all_rows():
    pca = gp.Pipeline([gp.numeric().standardize()], model=PCA(2)).fit(X)
    given().fit(pca.transform(X[:300]), Y[:300]).evaluate(pca.transform(X[300:]), Y[300:])


# -- the target among the features ----------------------------------------------------------------------------
def target_leak(message, *features, **options):
    def plant():
        model(*features, **options).fit(TABLE)

    return plant, message


OF_TARGET = "which the target is made of, so it would tell the model what it is to learn"
ANOTHER = "under another name, so it would tell the model what it is to learn. Leave it out of the features, or out of"
LEAKS |= {
    "the target itself": target_leak(OF_TARGET, col("x"), col("y")),
    "the target by an alias": target_leak(OF_TARGET, col("y").alias("label")),
    "the target cast": target_leak(OF_TARGET, col("y").cast("Float32").alias("q")),
    "the target in arithmetic": target_leak(OF_TARGET, (col("x") + 2 * col("y")).alias("q")),
    "the target in a condition": target_leak(OF_TARGET, gp.when(col("y") == 1).then(1).otherwise(0).alias("q")),
    "the target as a group": target_leak(OF_TARGET, col("x").mean().over("y").alias("q")),
    "the target's own mean": target_leak(OF_TARGET, col("y").mean().over("city").alias("q")),
    "the target traced": target_leak(OF_TARGET, col("y").map(lambda v: v**2).alias("q")),
    "gp.target()": target_leak("holds the target itself", gp.target() * 2),
    "a column of two that make the target": target_leak(OF_TARGET, col("z"), target=(col("z") > 0) & (col("y") == 1)),
    "the weights": target_leak("which the weights are made of", col("z"), weights=col("z").abs() + col("x").abs()),
    "the key": target_leak("which is the key", col("customer"), key="customer"),
}


@leak(f"The feature label uses 'label', which is the target's column 'y' {ANOTHER} the data.")
def the_targets_memory_under_another_name():
    model(gp.numeric()).fit(TABLE.append_column("label", TABLE["y"]))


@leak(f"'label', which is the target's column 'y' {ANOTHER}")
def so_in_a_frame():
    frame = FRAME.copy()
    frame["label"] = frame["y"]
    model(gp.numeric()).fit(frame)


@leak(f"'label', which is the target's column 'y' {ANOTHER}")
def so_in_a_polars_frame():
    frame: Any = pl.from_arrow(TABLE)
    model(gp.numeric()).explain(frame.with_columns(pl.col("y").alias("label")))


@leak(f"'label', which is the target's column 'y' {ANOTHER}")
def so_in_a_cross_validation():
    gp.cross_validate(model(gp.numeric()), TABLE.append_column("label", TABLE["y"]))


@leak(f"'label', which is the target's column 'y' {ANOTHER}")
def one_list_under_two_names():
    labels = Y.tolist()
    model(gp.numeric()).fit({"x": X[:, 0], "label": labels, "y": labels})


@leak(f"'label', which is y {ANOTHER}")
def y_among_the_columns():
    given().fit({"x": X[:, 0], "label": Y}, Y)


@leak(f"'label', which is y {ANOTHER}")
def a_column_given_as_y_under_another_name():
    frame = pd.DataFrame({"x": X[:, 0], "label": Y})
    given().fit(frame, frame["label"].rename("y"))


@leak(f"'outcome', which is the target's column 'y' {ANOTHER}")
def the_target_through_a_join():
    outcomes = TABLE.select(["id", "y"]).rename_columns(["id", "outcome"])
    model(col("outcome").fill_null(0)).fit(gp.scan(TABLE).join(outcomes, on="id"))


@leak(f"'y_right', which is the target's column 'y' {ANOTHER}")
def the_target_through_a_join_of_a_file_with_itself():
    model(col("y_right").fill_null(0)).explain(gp.scan("all.parquet").join("all.parquet", on="id"))


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found(name, files):
    plant, message = LEAKS[name]
    with pytest.raises(LeakageError) as told:
        plant()
    assert re.search(message, str(told.value)) or message in str(told.value), str(told.value)


FROM_FILES = {
    "all rows": lambda source: source,
    "its side": lambda source: source.split(test=0.2)[0],
    "another split": lambda source: source.split(test=0.5, seed=3)[1],
    "a filter": lambda source: source.filter(col("year") > 2021),
    "a head": lambda source: source.head(40),
}


@pytest.mark.parametrize("name", FROM_FILES)
def test_so_it_is_after_saving_and_loading(name, files):
    fitted = model().fit(gp.scan("all.parquet").split(test=0.2)[0])
    shutil.copy("all.parquet", "elsewhere.parquet")
    for path in ("all.parquet", "elsewhere.parquet"):
        rows = FROM_FILES[name](gp.scan(path, partitions=3))
        told = []
        for pipeline in (fitted, loaded(fitted), loaded(loaded(fitted))):
            with pytest.raises(LeakageError, match="in the fit") as raised:
                pipeline.evaluate(rows)
            told.append(str(raised.value))
        assert len(set(told)) == 1


def test_rows_that_are_allowed_are_counted():
    fitted = model().fit(FRAME[:300])
    found = fitted.evaluate(FRAME[250:], allow_overlap=True)
    assert seen_in(found) == 50 and found.n_rows == 150
    assert fitted.evaluate(FRAME[300:], allow_overlap=True).rows_seen == 0
    assert "rows_seen" not in fitted.evaluate(FRAME[300:]).to_dict()
    assert found.metrics["accuracy"].value == fitted.score(FRAME[250:])  # which never asks
    several = gp.Pipeline([col("x")], target=["z", "year"], model=LinearRegression()).fit(FRAME[:300])
    assert seen_in(several.evaluate(FRAME[250:], allow_overlap=True)) == 50


# -- pipelines without a leak ---------------------------------------------------------------------------------
def csv(path):
    pa.csv.write_csv(TABLE, path)
    return gp.scan(path, partition_bytes=4000)


def arrow(path):
    pa.feather.write_feather(TABLE, path, chunksize=61)
    return gp.scan(path, partitions=4)


SOURCES = {
    "parquet": lambda: gp.scan("all.parquet", partitions=5),
    "files": lambda: gp.scan([f"{number}.parquet" for number in range(4)]),
    "csv": lambda: csv("all.csv"),
    "arrow": lambda: arrow("all.arrow"),
    "table": lambda: gp.scan(TABLE, partitions=3),
    "pandas": lambda: gp.scan(FRAME, partitions=3),
    "polars": lambda: gp.scan(pl.from_arrow(TABLE)),
}


def nested(source):
    rest, test = source.split(test=0.3)
    return rest.split(test=0.3)[0], test


WAYS = {
    "split by rows": (lambda source: source.split(test=0.3, seed=5), {}),
    "split by a key": (lambda source: source.split(test=0.3, key="customer"), {"key": "customer"}),
    "split by text": (lambda source: source.split(test=0.4, key="city", seed=2), {}),
    "a side split again": (nested, {}),
    "filters of both sides": (lambda s: (s.filter(col("year") < 2023), s.filter(col("year") >= 2023)), {}),
    "a filter after the split": (lambda s: tuple(side.filter(col("x") > 0) for side in s.split(test=0.3)), {}),
    "a filter of one side alone": (lambda s: (s.split()[0].filter(col("x") > 0), s.split()[1]), {}),
    "a key before the split": (lambda source: source.with_key("customer").split(test=0.3), {}),
    "heads of both sides": (lambda source: tuple(side.head(60) for side in source.split(test=0.3)), {}),
}


@pytest.mark.parametrize(("kind", "way"), list(product(SOURCES, WAYS)))
def test_no_alarm_where_rows_are_new(kind, way, files):
    sides, options = WAYS[way]
    source = SOURCES[kind]()
    train, test = sides(source)
    fitted = model(gp.cols("x", "z").standardize(), **options).fit(train)
    assert fitted.evaluate(test).n_rows == test.count() > 0
    if kind in ("parquet", "files", "csv", "arrow"):
        assert loaded(fitted).evaluate(test, allow_overlap=True).rows_seen == 0


def test_there_are_more_than_fifty():
    assert len(SOURCES) * len(WAYS) >= 50


CLEAN = {}


def clean(run):
    CLEAN[run.__name__.replace("_", " ")] = run
    return run


@clean
def other_files():
    fitted = model().fit(["0.parquet", "1.parquet"])
    return [pipeline.evaluate(["2.parquet", "3.parquet"]) for pipeline in (fitted, loaded(fitted))]


@clean
def a_file_written_anew():
    fitted = model().fit("0.parquet")
    pq.write_table(TABLE.slice(100, 100), "0.parquet")
    return [pipeline.evaluate("0.parquet") for pipeline in (fitted, loaded(fitted))]


@clean
def views_side_by_side():
    return [given().fit(X[:300], Y[:300]).evaluate(X[300:], Y[300:]), model().fit(FRAME[:300]).evaluate(FRAME[300:])]


@clean
def rows_of_one_array_in_turn():
    return [given().fit(X[::2], Y[::2]).evaluate(X[1::2], Y[1::2])]


@clean
def copies_of_a_frame():
    return [model().fit(FRAME).evaluate(FRAME.sample(frac=0.5, random_state=1))]


@clean
def new_frames_where_old_ones_stood():
    found = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        fitted = model(col("x")).fit(pd.DataFrame({"x": draw.normal(size=500), "y": np.arange(500) % 2}))
        found.append(fitted.evaluate(pd.DataFrame({"x": draw.normal(size=500), "y": np.arange(500) % 2})))
    return found


@clean
def a_shared_column_of_ones():
    ones = np.ones(200)
    train, test = ({"x": draw.normal(size=200), "one": ones, "y": np.arange(200) % 2} for draw in (rng, rng))
    return [model(gp.cols("x", "one")).fit(train).evaluate(test)]


@clean
def a_key_that_was_declared_nowhere():
    train, test = gp.scan("all.parquet").split(test=0.2)
    return [model().fit(train).evaluate(test)]


@clean
def keys_that_are_null():
    keys = pa.array([None] * 50 + list(range(50)))
    train, test = (pa.table({"k": part, "x": rng.normal(size=50), "y": np.arange(50) % 2})
                   for part in (keys.slice(0, 50), keys.slice(25, 50).fill_null(7_000)))  # fmt: skip
    other = pa.table({"k": pa.array([None] * 50, pa.int64()), "x": rng.normal(size=50), "y": np.arange(50) % 2})
    return [model(col("x"), key="k").fit(train).evaluate(rows) for rows in (test, other)]


@clean
def early_stopping_and_a_third_side():
    rest, test = gp.scan("all.parquet").split(test=0.3)
    learn, stop = rest.split(test=0.3)
    booster = XGBClassifier(n_estimators=5, early_stopping_rounds=2, n_jobs=1)
    return [model(col("x"), model=booster).fit(learn, validation=stop).evaluate(test)]


@clean
def features_fitted_on_the_training_side():
    train, test = gp.scan("all.parquet").split(test=0.2)
    features = gp.Pipeline([gp.cols("x", "z").standardize(), col("y")]).fit(train)
    fitted = model(gp.cols("x", "z")).fit(features.transform(train))
    return [fitted.evaluate(features.transform(test))]


@clean
def features_that_hold_no_statistic():
    made = gp.Pipeline([gp.numeric().clip(-1, 1)]).fit_transform(X)
    return [given().fit(made[:300], Y[:300]).evaluate(made[300:], Y[300:])]


@clean
def the_folds_own_rows():
    found = gp.cross_validate(model(), (source := gp.scan("all.parquet")), folds="fold")
    return [fold.pipeline.evaluate(source.filter(col("fold") == fold.name)) for fold in found.folds]


@clean
def an_update_with_new_rows():
    fitted = model().fit("0.parquet", keep_state=True).update("1.parquet")
    train, test = gp.scan("2.parquet").split(test=0.3)
    return [fitted.evaluate("3.parquet"), fitted.update(train).evaluate(test)]


@clean
def the_outcome_of_an_earlier_row():
    table = TABLE.append_column("before", pa.array(np.maximum(np.arange(N) - 1, 0)))
    earlier = table.select(["id", "y"]).rename_columns(["id", "last"])
    train, test = gp.scan(table).join(earlier, left_on="before", right_on="id").split(test=0.3)
    return [model(col("x"), col("last").fill_null(0)).fit(train).evaluate(test)]


@clean
def a_mean_of_the_target_out_of_fold():
    train, test = gp.scan("all.parquet").split(test=0.3)
    return [model(col("city").target_mean()).fit(train).evaluate(test)]


@pytest.mark.parametrize("name", CLEAN)
def test_no_alarm(name, files):
    judged = list(CLEAN[name]())
    assert judged and all(found.n_rows for found in judged)


def test_what_an_artifact_keeps_of_the_rows_names_nothing(files, tmp_path):
    train = gp.scan("all.parquet").filter(col("year") > 2020).split(test=0.2, key="customer")[0]
    model(key="customer").fit(train).save("model.gpp")
    text = (tmp_path / "model.gpp" / "manifest.json").read_text()
    assert '"seen"' in text and "all.parquet" not in text and str(tmp_path) not in text
    model().fit(TABLE).save("other.gpp")
    assert '"seen"' not in (tmp_path / "other.gpp" / "manifest.json").read_text()
