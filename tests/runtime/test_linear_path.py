"""Linear models from covariances: against scikit-learn's pipeline in float64, fold by fold."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

import gpupipe as gp
from gpupipe import col
from gpupipe.compiler.covariances import covariances
from gpupipe.compiler.plan import make_plan
from gpupipe.errors import TargetError
from gpupipe.runtime.linear.path import linear_path
from gpupipe.runtime.linear.sums import MOST_COLUMNS

NUMBERS, WORDS = ["a", "b", "c", "d"], ["u", "v"]
PENALTIES = [1e-3, 0.1, 10.0, 1e4]


def frame(n: int = 5000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for at, name in enumerate(NUMBERS):
        columns[name] = np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(at, 1, n))
    for size, name in zip((4, 9), WORDS, strict=True):
        columns[name] = np.array([f"{name}{code}" for code in range(size)], object)[rng.integers(0, size, n)]
    signal = np.log1p(np.nan_to_num(columns["a"], nan=1.0)) - 0.3 * np.log1p(np.nan_to_num(columns["c"], nan=5.0))
    return pd.DataFrame({**columns, "y": signal + (columns["u"] == "u1") + rng.normal(size=n)})


FRAME = frame()
FEATURES = [
    gp.cols("a", "b").fill_null("median").log1p().standardize(),
    gp.cols("c", "d").fill_null("mean").min_max(),
    gp.cols(*WORDS).one_hot(),
]


def equal_pipeline() -> Any:
    """The same features by scikit-learn, in float64."""
    skewed = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler())
    ranged = make_pipeline(SimpleImputer(strategy="mean"), MinMaxScaler())
    words = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    return ColumnTransformer([("s", skewed, ["a", "b"]), ("r", ranged, ["c", "d"]), ("w", words, WORDS)])


def arrays_of(pipeline: gp.Pipeline) -> Any:
    """Those of its trained model."""
    assert pipeline.model_ is not None
    return pipeline.model_.arrays


def source(data: pd.DataFrame = FRAME, partitions: int = 3) -> Any:
    return gp.scan(pa.Table.from_pandas(data, preserve_index=False), partitions=partitions)


@pytest.mark.parametrize("model", [Ridge(), Ridge(fit_intercept=False), LinearRegression()], ids=str)
def test_folds_and_penalties_are_those_of_scikit_learn(model: Any) -> None:
    alphas = PENALTIES if isinstance(model, Ridge) else None
    found = gp.cross_validate(gp.Pipeline(FEATURES, target="y", model=model), source(), alphas=alphas)
    assert found.trained_on_rows is None and found.report_.source_reads == found.report_.scans == 1
    folds = found.predictions["fold"].to_numpy()
    for number, fold in enumerate(found.folds):
        made, inside = equal_pipeline(), folds == number
        X, y = made.fit_transform(FRAME[~inside]), FRAME["y"].to_numpy()
        for at, alpha in enumerate(alphas or [None]):
            told = model if alpha is None else model.set_params(alpha=alpha)
            predicted = told.fit(X, y[~inside]).predict(made.transform(FRAME[inside]))
            metrics = found.metrics if found.path is None else found.path.metrics[at]
            rmse = mean_squared_error(y[inside], predicted) ** 0.5
            assert metrics["rmse"].folds[number] == pytest.approx(rmse, abs=1e-9)
            assert metrics["r2"].folds[number] == pytest.approx(r2_score(y[inside], predicted), abs=1e-9)
            if found.path is None or alpha == found.path.alpha:
                ours = arrays_of(fold.pipeline)
                assert np.abs(ours["coefficients"][0] - told.coef_).max() <= 1e-9 * np.abs(told.coef_).max()
                assert ours["intercept"][0] == pytest.approx(told.intercept_, abs=1e-9)


def test_no_order_of_rows_or_partitions_shows_in_a_fit() -> None:
    rng, digests = np.random.default_rng(0), set()
    for partitions in (1, 2, 7, 40):
        shuffled = FRAME.iloc[rng.permutation(len(FRAME))]
        fitted = gp.Pipeline(FEATURES, target="y", model=Ridge(0.5)).fit(source(shuffled, partitions))
        arrays = arrays_of(fitted)
        digests.add(arrays["coefficients"].tobytes() + arrays["intercept"].tobytes())
        assert fitted.report_.scans == fitted.report_.source_reads == 1
    assert len(digests) == 1


def test_a_fold_s_model_is_to_the_bit_that_of_a_fit_without_its_rows() -> None:
    found = gp.cross_validate(gp.Pipeline(FEATURES, target="y", model=Ridge()), source())
    folds = found.predictions["fold"].to_numpy()
    alone = gp.Pipeline(FEATURES, target="y", model=Ridge()).fit(source(FRAME[folds != 2], 5))
    for name in ("coefficients", "intercept"):
        assert arrays_of(found.pipelines[2])[name].tobytes() == arrays_of(alone)[name].tobytes()


ODD = pa.table(
    {
        "x": [1.0, None, 3.5, 2.0, None, 8.0, 1.5, 2.5] * 9,
        "n": [3, 1, None, 4, 1, 5, 9, 2] * 9,
        "word": ["a", None, "b", "a", "a", None, "c", "b"] * 9,
        "flag": [True, False, None, True, True, False, False, None] * 9,
        "day": pa.array([20_000 + 17 * at % 400 for at in range(72)], pa.int32()).cast(pa.date32()),
        "y": np.cos(np.arange(72.0)) + np.arange(72) / 40,
    }
)


@pytest.mark.parametrize(
    "feature",
    [
        col("x").fill_null("median") * -2 + 3,
        (10 - col("x").fill_null(1.25)) / 4,
        col("x").fill_null("max").robust(),
        col("n").fill_null("mode").standardize(),
        col("x").missing_flag(),
        col("day").dt.month(),
        col("word").one_hot(null=True),
        col("word").fill_null("mode").one_hot(),
        col("word").fill_null("mode").one_hot(null=True),
        col("n").one_hot(min_count=10),
        col("n").one_hot(max_size=2, null=True),
        col("flag").one_hot(),
        col("day").dt.weekday().one_hot(),
        (col("n") > 2).fill_null(False),
    ],
    ids=str,
)
def test_each_kind_of_feature_is_that_of_the_rows(feature: Any) -> None:
    """Against scikit-learn on the features themselves, as they leave: rounded to float32."""
    fitted = gp.Pipeline([feature], target="y", model=Ridge(0.1)).fit(gp.scan(ODD, partitions=4))
    assert fitted.report_.scans == 1 and not isinstance(linear_path(fitted.plan_, [Ridge()]), str)
    X = gp.Pipeline([feature]).fit_transform(ODD, output="numpy")
    told = Ridge(0.1).fit(X.astype(np.float64), np.array(ODD["y"]))
    assert np.allclose(arrays_of(fitted)["coefficients"][0], told.coef_, rtol=1e-5, atol=1e-7)
    assert arrays_of(fitted)["intercept"][0] == pytest.approx(told.intercept_, rel=1e-5, abs=1e-6)


def reason(*features: Any, model: Any = None, **beside: Any) -> Any:
    given = {"target": col("y"), **beside}
    plan = make_plan(source().schema, [feature._node for feature in features],
                     **{name: expr._node for name, expr in given.items()})  # fmt: skip
    return linear_path(plan, [Ridge() if model is None else model])


def test_what_must_be_trained_on_rows_is_told() -> None:
    plain = col("a").fill_null(0)
    assert not isinstance(reason(plain), str)
    assert "weighted" in reason(plain, weights=col("b"))
    assert "Lasso is no Ridge" in reason(plain, model=Lasso())
    assert "positive" in reason(plain, model=Ridge(positive=True))
    assert "alpha" in reason(plain, model=Ridge(alpha=-1))
    for feature in (col("u").target_mean(), plain.standardize().log1p(), plain * col("b").fill_null("mean").alias("ab"),
                    plain.clip(col("a").quantile(0.1), None)):  # fmt: skip
        assert "more from statistics" in reason(feature)
    many = [(plain + at).log1p().alias(f"f{at}") for at in range(MOST_COLUMNS)]
    assert f"more than {MOST_COLUMNS}" in reason(*many)


def test_of_no_target_there_are_no_covariances() -> None:
    plan = make_plan(source().schema, [col("a")._node])
    assert covariances(plan) == "there is not one target"


def test_values_that_sums_cannot_hold_are_trained_on_as_rows() -> None:
    data = FRAME.assign(a=np.where(np.arange(len(FRAME)) % 2, 1e-300, 1.0) * FRAME["b"].fillna(1.0))
    features = [col("a").standardize(), col("c").fill_null("mean").standardize()]
    pipeline = gp.Pipeline(features, target="y", model=Ridge())
    found = gp.cross_validate(pipeline, source(data), folds=2)
    assert found.trained_on_rows == "a feature has values that are too far apart"
    assert found.metrics["mae"].value is not None
    fitted = pipeline.fit(source(data))
    X = gp.Pipeline(pipeline.features).fit_transform(source(data), output="numpy").astype(np.float64)
    assert np.allclose(arrays_of(fitted)["coefficients"][0], Ridge().fit(X, data["y"]).coef_, rtol=1e-9)


def test_features_nearly_dependent_are_trained_on_as_rows() -> None:
    data = FRAME.assign(b=FRAME["a"].fillna(1.0) + 1e-6 * FRAME["y"] ** 2, a=FRAME["a"].fillna(1.0))
    pipeline = gp.Pipeline([col("a"), col("b")], target="y", model=LinearRegression())
    found = gp.cross_validate(pipeline, source(data), folds=2)
    assert found.trained_on_rows is not None and "nearly dependent" in found.trained_on_rows
    X = data[["a", "b"]].to_numpy().astype(np.float32).astype(np.float64)
    told = LinearRegression().fit(X, data["y"]).coef_
    assert np.allclose(arrays_of(pipeline.fit(source(data)))["coefficients"][0], told, rtol=1e-9)


def test_features_without_statistics_are_learned_from_as_they_leave() -> None:
    """So that weights of 1, which ask for rows, change nothing but the last digits."""
    X = np.random.default_rng(0).normal(size=(60, 3)) / 3
    y = X @ [1.0, -2.0, 0.5]
    told = LinearRegression().fit(X.astype(np.float32).astype(np.float64), y)
    for weights in (None, np.ones(60)):
        fitted = gp.Pipeline([gp.numeric()], model=LinearRegression()).fit(X, y, sample_weight=weights)
        assert np.allclose(arrays_of(fitted)["coefficients"][0], told.coef_, rtol=1e-13)


def test_a_null_target_is_refused() -> None:
    data = FRAME.assign(y=FRAME["y"].where(FRAME.index != 4321))
    for run in (lambda p: p.fit(source(data)), lambda p: gp.cross_validate(p, source(data))):
        with pytest.raises(TargetError, match="null in 1 of"):
            run(gp.Pipeline(FEATURES, target="y", model=Ridge()))


def test_a_fit_tells_why_rows_trained_a_linear_model() -> None:
    table = {"x": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 3.0]}
    for model, why in ((Ridge(), None), (Ridge(positive=True), "positive=True"), (Lasso(), None)):
        told = gp.Pipeline([gp.col("x")], target="y", model=model).fit(table).report_
        assert (told.trained_on_rows is None) if why is None else (why in str(told.trained_on_rows))
        assert ("trained on a matrix of rows" in repr(told)) == (why is not None)
