"""Rankers through the whole pipeline: groups declared and given, kept together, saved, judged, and refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catboost import CatBoostRanker
from lightgbm import LGBMRanker
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ndcg_score
from xgboost import XGBRanker

import gpupipe as gp
from gpupipe import col
from gpupipe.cli import main
from gpupipe.errors import (
    ColumnNotFoundError,
    DataError,
    LeakageError,
    ModelError,
    ParameterError,
    TargetError,
    UnsafeModelError,
)
from gpupipe.models.families.ranking import by_group, group_codes
from gpupipe.models.families.rows import Lesson
from gpupipe.models.model import train

from .boosted_cases import CAT, LGBM, XGB
from .case import N_ROWS, NAMES, matrix, target

RANKERS: dict[str, Any] = {
    "xgboost": XGBRanker(**XGB),
    "lightgbm": LGBMRanker(**LGBM),
    "catboost": CatBoostRanker(**CAT),
}
EACH = pytest.mark.parametrize("library", list(RANKERS))
X, DEGREES = matrix(True, False), np.clip(np.round(target(False, 0)), 0, 4).astype(np.int64)
GROUPS = np.arange(N_ROWS) * 7 % 40
APPEARANCE = list(dict.fromkeys(GROUPS.tolist()))
ORDER = np.argsort([APPEARANCE.index(group) for group in GROUPS.tolist()], kind="stable")
SORTED: dict[str, dict[str, Any]] = {
    "xgboost": {"qid": np.repeat(np.arange(40), 10)},
    "lightgbm": {"group": np.full(40, 10)},
    "catboost": {"group_id": np.repeat(np.arange(40), 10)},
}


def table(n: int = 600, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {"price": rng.normal(size=n), "shown": rng.integers(0, 9, n)}
    columns |= {"brand": rng.choice(["x", "y", "z"], n), "query": rng.integers(0, n // 12, n)}
    score = columns["price"] + 0.2 * columns["shown"] + rng.normal(size=n) / 3
    return pa.table({**columns, "bought": np.clip(np.round(score), 0, 4).astype(np.int64)})


TABLE = table()
FEATURES = [gp.numeric(), col("brand").target_mean()]


def pipeline(library: str = "lightgbm", **given: Any) -> gp.Pipeline:
    return gp.Pipeline(FEATURES, **{"target": "bought", "groups": "query", "model": RANKERS[library], **given})


# -- the seam -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [str, lambda g: int(g) - 20, lambda g: g % 2 == 0])
def test_groups_are_any_values_in_order_of_appearance(name: Any) -> None:
    values = [name(group) for group in GROUPS.tolist()]
    codes = group_codes(values)
    assert [codes[at] for at in range(9)] == [list(dict.fromkeys(values)).index(v) for v in values[:9]]
    again = pa.array(values)
    assert (group_codes(again) == codes).all() and (group_codes(pa.chunked_array([again])) == codes).all()
    assert (group_codes(again.dictionary_encode()) == codes).all()


def test_rows_stand_by_group_in_their_own_order() -> None:
    lesson = by_group(Lesson(X, DEGREES, np.arange(N_ROWS, dtype=np.float64)), GROUPS, "XGBRanker")
    assert lesson.weights is not None and (lesson.weights == ORDER).all()
    assert lesson.X.tobytes() == X[ORDER].tobytes()
    assert lesson.groups is not None and (np.diff(lesson.groups) >= 0).all()


@EACH
def test_it_learns_what_the_library_learns_from_sorted_rows(library: str) -> None:
    model = train(RANKERS[library], X, DEGREES, groups=GROUPS, feature_names=NAMES)
    theirs = type(RANKERS[library])(**RANKERS[library].get_params())
    theirs.fit(X[ORDER], DEGREES[ORDER], **SORTED[library])
    assert model.kind == "ranker" and model.classes is None
    assert (model.predict(X) == theirs.predict(X)).all()


@EACH
def test_early_stopping_by_groups_of_validation_rows(library: str) -> None:
    stopping = {"n_estimators": 60, "learning_rate": 0.9, "early_stopping_rounds": 3}
    kind = type(RANKERS[library])
    estimator = kind(**{**RANKERS[library].get_params(), **stopping})
    held = np.random.default_rng(1).permutation(N_ROWS)[:200]
    given = (X[held], DEGREES[held], None, GROUPS[held])
    model = train(estimator, X, DEGREES, groups=GROUPS, validation=given, feature_names=NAMES)
    full = kind(**{**RANKERS[library].get_params(), "n_estimators": 60, "learning_rate": 0.9})
    whole = train(full, X, DEGREES, groups=GROUPS, feature_names=NAMES)
    size = {"xgboost": len(model.blobs.get("ubj", b"")), "lightgbm": len(model.arrays.get("roots", ()))}
    all_of = {"xgboost": len(whole.blobs.get("ubj", b"")), "lightgbm": len(whole.arrays.get("roots", ()))}
    size["catboost"], all_of["catboost"] = (len(m.arrays.get("depth", ())) for m in (model, whole))
    assert size[library] < all_of[library]
    with pytest.raises(ParameterError, match="ranks rows within groups, and none were given"):
        train(estimator, X, DEGREES, groups=GROUPS, validation=given[:3], feature_names=NAMES)


@EACH
def test_weights(library: str) -> None:
    by_group_weights = (1 + GROUPS).astype(np.float64)
    model = train(RANKERS[library], X, DEGREES, weights=by_group_weights, groups=GROUPS, feature_names=NAMES)
    plain = train(RANKERS[library], X, DEGREES, groups=GROUPS, feature_names=NAMES)
    assert (model.predict(X) != plain.predict(X)).any()
    each_row = np.arange(1, N_ROWS + 1, dtype=np.float64)
    if library == "lightgbm":
        train(RANKERS[library], X, DEGREES, weights=each_row, groups=GROUPS, feature_names=NAMES)
    else:
        with pytest.raises(ParameterError, match="one weight a group"):
            train(RANKERS[library], X, DEGREES, weights=each_row, groups=GROUPS, feature_names=NAMES)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("y", [DEGREES + 0.5, DEGREES - 1])
def test_degrees_are_whole_numbers_from_0(library: str, y: Any) -> None:
    with pytest.raises(TargetError, match="whole numbers from 0 on"):
        train(RANKERS[library], X, y, groups=GROUPS, feature_names=NAMES)
    train(XGBRanker(**XGB, objective="rank:pairwise"), X, abs(y), groups=GROUPS, feature_names=NAMES)
    with pytest.raises(ModelError, match="XGBRanker refused"):
        train(XGBRanker(**XGB, objective="rank:map"), X, y, groups=GROUPS, feature_names=NAMES)
    train(CatBoostRanker(**CAT, loss_function="QueryRMSE"), X, y, groups=GROUPS, feature_names=NAMES)


@pytest.mark.parametrize(
    "loss", ["YetiRank", "QueryRMSE", "QuerySoftMax", "PairLogit", "StochasticRank:metric=NDCG", "GroupQuantile"]
)
def test_losses_of_catboost(loss: str) -> None:
    estimator = CatBoostRanker(**CAT, loss_function=loss)
    if loss == "GroupQuantile":
        with pytest.raises(UnsafeModelError, match="loss 'GroupQuantile' has no saved form"):
            train(estimator, X, DEGREES, groups=GROUPS, feature_names=NAMES)
        return
    model = train(estimator, X, DEGREES, groups=GROUPS, feature_names=NAMES)
    theirs = CatBoostRanker(**CAT, loss_function=loss).fit(X[ORDER], DEGREES[ORDER], **SORTED["catboost"])
    assert (model.predict(X) == theirs.predict(X)).all()


@pytest.mark.parametrize(
    ("groups", "error", "says"),
    [
        (None, ParameterError, r"none were given. Give Pipeline\(groups"),
        (GROUPS[:-1], ParameterError, "399 groups for 400 rows"),
        (np.arange(N_ROWS), ParameterError, "each of the 400 groups has one row"),
        ([None, *GROUPS[1:].tolist()], DataError, "null in 1 of 400 rows"),
        ([1, "a"] * 200, DataError, "one type"),
    ],
)
def test_groups_that_cannot_be_ranked_in(groups: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        train(RANKERS["xgboost"], X, DEGREES, groups=groups, feature_names=NAMES)


# -- the pipeline -------------------------------------------------------------------------------------------
@EACH
def test_a_ranker_from_rows_to_a_saved_pipeline(library: str, tmp_path: Path) -> None:
    data = gp.scan(TABLE, partitions=3)
    train_rows, test_rows = data.split(test=0.3, seed=1, key="query")
    fitted = pipeline(library).fit(train_rows)
    found: Any = fitted.evaluate(test_rows, by="brand")
    held = gp.Pipeline([col("query").cast("Float64"), col("bought").cast("Float64")]).fit(test_rows)
    query, bought = held.transform(test_rows, output="numpy").T
    scores = np.asarray(fitted.predict(test_rows, output="numpy"))
    each = [
        ndcg_score([bought[query == one]], [scores[query == one]])
        for one in np.unique(query)
        if (query == one).sum() > 1 and bought[query == one].any()
    ]
    assert found.metrics["ndcg"].value == pytest.approx(np.mean(each), rel=1e-12)
    assert found.metrics["ndcg"].low > found.baseline["ndcg"].value  # it has learned something
    assert fitted.score(test_rows) == found.metrics["ndcg"].value and set(found.slices["brand"]) == {"x", "y", "z"}
    fitted.save(tmp_path / "r.gpp")
    loaded = gp.load(tmp_path / "r.gpp")
    without = TABLE.drop(["query", "bought"])
    assert fitted.predict(without) == loaded.predict(without) == loaded.predict(TABLE)
    assert loaded.evaluate(test_rows, by="brand").to_dict() == found.to_dict()
    one = gp.Scorer.load(tmp_path / "r.gpp").predict(without.slice(5, 1).to_pylist())
    assert one.dtype == np.float64 and one.tolist() == fitted.predict(without)["prediction"].to_pylist()[5:6]
    assert not hasattr(fitted, "predict_proba")


def test_groups_given_beside_the_rows_are_groups_declared() -> None:
    declared = pipeline().fit(TABLE)
    rows, y, groups = TABLE.drop(["query", "bought"]), TABLE["bought"], TABLE["query"]
    given = pipeline(target=None, groups=None).fit(rows, y, groups=groups)
    assert given.predict(rows) == declared.predict(rows)
    again = given.evaluate(rows, y, groups=groups, allow_overlap=True).to_dict()
    assert again == declared.evaluate(TABLE, allow_overlap=True).to_dict()
    with pytest.raises(ParameterError, match=r"The fit was given groups.*Give groups here too"):
        given.evaluate(rows, y)
    with pytest.raises(ParameterError, match="groups query declared, and groups were given here"):
        declared.evaluate(TABLE, groups=groups)
    with pytest.raises(ParameterError, match="groups was declared and given to fit too"):
        pipeline().fit(TABLE, groups=groups)
    with pytest.raises(ColumnNotFoundError, match="'query', which the groups query are made of"):
        declared.evaluate(TABLE.drop(["query"]))


def test_groups_may_be_an_expression() -> None:
    """Queries that a hundred share: 5 of 10 numbers apart."""
    by_expression = pipeline(groups=col("query") // 2).fit(TABLE)
    halved = TABLE.append_column("half", pa.array(TABLE["query"].to_numpy() // 2))
    by_column = gp.Pipeline(
        [col("price"), col("shown"), FEATURES[1]], "bought", RANKERS["lightgbm"], groups="half"
    ).fit(halved)
    assert list(by_expression.get_feature_names_out()) == ["price", "shown", "brand_target_mean"]
    assert by_expression.predict(TABLE) == by_column.predict(halved)
    found = by_expression.evaluate(TABLE, allow_overlap=True).to_dict()
    assert found == by_column.evaluate(halved, allow_overlap=True).to_dict()
    assert by_column.together == "half"
    with pytest.raises(ParameterError, match=r"the groups .* are in no column"):
        _ = by_expression.together


def test_the_order_of_rows_and_partitions_do_not_matter_to_a_fit_of_whole_groups() -> None:
    plain = pipeline().fit(TABLE)
    again = pipeline().fit(gp.scan(TABLE, partitions=7))
    assert plain.predict(TABLE) == again.predict(TABLE) and plain.state_digest() == again.state_digest()


def test_rows_of_a_group_share_folds() -> None:
    """Out-of-fold means of a category that is the group's own: no row's mean holds its group's targets."""
    rng = np.random.default_rng(3)
    query = np.repeat(np.arange(40), 5)
    data = pa.table({"query": query, "shop": query, "bought": rng.integers(0, 3, 200), "price": rng.normal(size=200)})
    features = [col("shop").target_mean(smoothing=1)]
    means = gp.Pipeline(features, "bought", groups="query").fit_transform(data)["shop_target_mean"].to_numpy()
    keyed = gp.Pipeline(features, "bought", key="query").fit_transform(data)["shop_target_mean"].to_numpy()
    apart = gp.Pipeline(features, "bought").fit_transform(data)["shop_target_mean"].to_numpy()
    assert (means == keyed).all() and (means != apart).any()
    assert all(len(set(means[query == one])) == 1 for one in range(40))  # the prior of the other folds alone


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"groups": None}, ParameterError, "LGBMRanker ranks rows within groups, and none were given"),
        ({"model": LogisticRegression()}, ParameterError, r"LogisticRegression takes no groups.*XGBRanker.*key="),
        ({"groups": "qery"}, ColumnNotFoundError, "'qery'.*'query'"),
        ({"groups": col("query").mean()}, ParameterError, "known row by row"),
        ({"groups": "brand"}, LeakageError, "uses 'brand', which the groups are made of"),
        ({"target": None}, TargetError, "LGBMRanker needs a target"),
        ({"target": col("bought") / 3}, TargetError, "whole numbers from 0 on"),
    ],
)
def test_what_is_refused(given: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        pipeline(**given).fit(TABLE)


def test_a_null_group_is_named_with_its_row() -> None:
    holes = TABLE.set_column(3, "query", pa.array([None if at == 7 else at % 9 for at in range(TABLE.num_rows)]))
    with pytest.raises(DataError, match=r"The group query is null in 1 of 600 rows.*") as caught:
        pipeline().fit(holes)
    assert "Row 7" in str(caught.value)


def test_validation_rows_pass_through_with_their_groups() -> None:
    stopping = LGBMRanker(**{**LGBM, "n_estimators": 80, "learning_rate": 0.8, "early_stopping_rounds": 2})
    train_rows, held = gp.scan(TABLE).split(test=0.4, seed=2, key="query")
    model = pipeline(model=stopping).fit(train_rows, validation=held).model_
    assert model is not None and len(model.arrays["roots"]) < 80
    rows, y, groups = TABLE.drop(["query", "bought"]), TABLE["bought"], TABLE["query"]
    other = table(seed=4)
    given = (other.drop(["query", "bought"]), other["bought"], None, other["query"])
    apart = pipeline(target=None, groups=None, model=stopping).fit(rows, y, groups=groups, validation=given)
    assert apart.model_ is not None and len(apart.model_.arrays["roots"]) < 80


def test_the_command_line_keeps_groups_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    code = (
        "import gpupipe as gp\nfrom lightgbm import LGBMRanker\n"
        "pipeline = gp.Pipeline([gp.numeric()], 'bought', LGBMRanker(n_estimators=5, n_jobs=1), groups='query')\n"
    )
    (tmp_path / "rank.py").write_text(code)
    data = ["--data", str(tmp_path / "rows.parquet")]
    out = str(tmp_path / "rank.gpp")
    assert main(["fit", str(tmp_path / "rank.py"), *data, "--split", "0.3", "--out", out, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "Evaluation of a ranker on" in printed and "ndcg_at_10" in printed
    assert main(["evaluate", out, *data, "--split", "0.3", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    held = gp.scan(TABLE).split(test=0.3, seed=0, key="query")[1]
    assert judged["n_rows"] == held.count() and f"{judged['metrics']['ndcg']['value']:.4f}" in printed
    assert judged["n_groups"] < 25
    assert main(["predict", out, *data, "--out", str(tmp_path / "scores")]) == 0
    assert pq.read_table(tmp_path / "scores").num_rows == TABLE.num_rows


def test_the_command_line_keeps_the_rows_of_a_key_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    code = (
        "import gpupipe as gp\nfrom sklearn.linear_model import Ridge\n"
        "pipeline = gp.Pipeline([gp.numeric().fill_null(0)], 'bought', Ridge(), key='query')\n"
    )
    (tmp_path / "ridge.py").write_text(code)
    data, out = ["--data", str(tmp_path / "rows.parquet")], str(tmp_path / "ridge.gpp")
    assert main(["fit", str(tmp_path / "ridge.py"), *data, "--split", "0.3", "--out", out, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert main(["evaluate", out, *data, "--split", "0.3", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    held = gp.scan(TABLE).split(test=0.3, seed=0, key="query")[1]
    assert judged["n_rows"] == held.count() and f"{judged['metrics']['rmse']['value']:.4f}" in printed


def test_a_saved_ranker_scores_without_its_library(tmp_path: Path) -> None:
    pipeline("catboost").fit(TABLE).save(tmp_path / "r.gpp")
    script = (
        f"import gpupipe as gp, sys; s = gp.Scorer.load({str(tmp_path / 'r.gpp')!r});"
        "print(s.predict({'price': 1.0, 'shown': 2, 'brand': 'x'}).shape);"
        "assert not {'catboost', 'lightgbm', 'xgboost', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "(1,)"


def test_lightgbm_is_the_installed_one() -> None:
    """Not a module of ours: the files that read its models have other names."""
    assert "site-packages" in str(lightgbm.__file__)
