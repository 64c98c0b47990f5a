"""Principal components of folds, against scikit-learn's pipeline in float64, fold by fold."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, IncrementalPCA, KernelPCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import GpupipeError, ParameterError, TrainingError, UnavailableError

NUMBERS = ["a", "b", "c", "d", "e"]
N = 800


def frame(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 2))
    columns: dict[str, Any] = {}
    for at, name in enumerate(NUMBERS):
        values = np.exp(hidden @ rng.normal(size=2) * 0.7 + rng.normal(size=n) * (0.2 + 0.15 * at) + at)
        columns[name] = np.where(rng.random(n) < 0.1, np.nan, values)
    columns["u"] = np.array(["u0", "u1", "u2"], object)[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
    return pd.DataFrame({**columns, "fold": rng.integers(0, 4, n), "row": np.arange(n)})


FRAME = frame()
FEATURES = [
    gp.cols("a", "b").fill_null("median").log1p().standardize(),
    gp.cols("c", "d", "e").fill_null("mean").standardize(),
    col("u").one_hot(),
]


def equal_pipeline() -> Any:
    """The same features by scikit-learn, in float64."""
    skewed = make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler())
    plain = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    words = OneHotEncoder(sparse_output=False)
    return ColumnTransformer([("s", skewed, ["a", "b"]), ("p", plain, ["c", "d", "e"]), ("w", words, ["u"])])


def arrays_of(pipeline: gp.Pipeline) -> Any:
    """Those of its trained model."""
    assert pipeline.model_ is not None
    return pipeline.model_.arrays


def source(data: pd.DataFrame = FRAME, partitions: int = 3) -> Any:
    return gp.scan(pa.Table.from_pandas(data, preserve_index=False), partitions=partitions)


def kept(told: PCA, X: Any) -> float:
    """1 - reconstruction error / total, about the training mean."""
    again = told.inverse_transform(told.transform(X))
    return float(1 - ((X - again) ** 2).sum() / ((X - told.mean_) ** 2).sum())


@pytest.mark.parametrize(
    "model",
    [PCA(3), PCA(0.8), PCA(5, whiten=True), PCA(2, svd_solver="full"), PCA(1, svd_solver="covariance_eigh")],
    ids=str,
)
def test_components_of_folds_are_those_of_scikit_learn(model: Any) -> None:
    found = gp.cross_validate(gp.Pipeline(FEATURES, model=model), source(), folds="fold")
    assert found.trained_on_rows is None and found.report_.source_reads == 1 and found.kind == "transformer"
    assert found.report_.scans == 2  # the column of folds is looked at first
    for number, fold in enumerate(found.folds):
        made, inside = equal_pipeline(), FRAME["fold"] == number
        X, own = made.fit_transform(FRAME[~inside]), made.transform(FRAME[inside])
        told = PCA(**{**model.get_params(), "svd_solver": "full"}).fit(X)
        ours = arrays_of(fold.pipeline)
        assert ours["components"].shape == told.components_.shape
        assert np.abs(ours["components"] - told.components_).max() <= 1e-7
        assert np.abs(ours["mean"] - told.mean_).max() <= 1e-12
        scale = np.sqrt(told.explained_variance_) if model.whiten else np.ones(len(told.components_))
        assert np.allclose(ours["scale"], scale, rtol=1e-9)
        assert found.metrics["explained_variance"].folds[number] == pytest.approx(kept(told, own), abs=1e-9)
        projected = fold.pipeline.transform(source(FRAME[inside]), output="numpy")
        assert np.allclose(projected, told.transform(own), atol=1e-5)
        assert (fold.n_trained, fold.n_rows) == (len(X), len(own))


def test_all_components_keep_all() -> None:
    found: Any = gp.cross_validate(gp.Pipeline(FEATURES, model=PCA()), source(), folds=3)
    assert np.allclose(found.metrics["explained_variance"].folds, 1.0, atol=1e-12)
    assert arrays_of(found.pipelines[0])["components"].shape == (8, 8)


def test_on_its_own_training_rows_the_measure_is_the_sum_of_ratios() -> None:
    """Two folds of the same rows: each is judged on what the other trained with."""
    twice = pd.concat([FRAME.assign(fold=0), FRAME.assign(fold=1)])
    found = gp.cross_validate(gp.Pipeline(FEATURES, model=PCA(3)), source(twice), folds="fold")
    told = PCA(3, svd_solver="full").fit(equal_pipeline().fit_transform(FRAME))
    assert found.metrics["explained_variance"].folds == pytest.approx([told.explained_variance_ratio_.sum()] * 2)


def test_no_partitioning_shows_in_a_bit() -> None:
    rng, seen = np.random.default_rng(0), set()
    for partitions in (1, 2, 7):
        shuffled = source(FRAME.iloc[rng.permutation(N)], partitions)
        found: Any = gp.cross_validate(gp.Pipeline(FEATURES, model=PCA(3), key="row"), shuffled)
        digests = [pipeline.model_.digest() for pipeline in found.pipelines]
        seen.add((*digests, *found.metrics["explained_variance"].folds))
    assert len(seen) == 1


def test_a_fold_s_components_do_not_see_its_rows() -> None:
    spoilt = FRAME.assign(a=np.where(FRAME["fold"] == 2, 1e6 * np.arange(N), FRAME["a"]))
    pipeline = gp.Pipeline(FEATURES, model=PCA(3))
    plain: Any
    other: Any
    plain, other = (gp.cross_validate(pipeline, source(data), folds="fold") for data in (FRAME, spoilt))
    same = [a.model_.digest() == b.model_.digest() for a, b in zip(plain.pipelines, other.pipelines, strict=True)]
    assert same == [False, False, True, False]


def test_a_target_that_is_declared_has_no_part() -> None:
    data = FRAME.assign(y=np.where(FRAME["row"] % 7, 1.0, np.nan))
    found = gp.cross_validate(gp.Pipeline(FEATURES, target="y", model=PCA(2)), source(data))
    alone = gp.cross_validate(gp.Pipeline(FEATURES, model=PCA(2)), source())
    assert found.metrics == alone.metrics and found.trained_on_rows is None
    assert [fold.n_rows for fold in found.folds] == [fold.n_rows for fold in alone.folds]


@pytest.mark.parametrize("features", [[col("u").one_hot()], [col("a").fill_null(1)]], ids=["labels alone", "a number"])
def test_few_features(features: Any) -> None:
    found = gp.cross_validate(gp.Pipeline(features, model=PCA(1)), source(), folds="fold")
    assert found.trained_on_rows is None
    for number, value in enumerate(found.metrics["explained_variance"].folds):
        X = gp.Pipeline(features).fit_transform(source(), output="numpy").astype(np.float64)
        inside = (FRAME["fold"] == number).to_numpy()
        assert value == pytest.approx(kept(PCA(1, svd_solver="full").fit(X[~inside]), X[inside]), abs=1e-6)


ON_ROWS = {
    "randomized": (PCA(2, svd_solver="randomized", random_state=0), FEATURES, "svd_solver='randomized' works on rows"),
    "mle": (PCA("mle"), FEATURES[:2], "n_components='mle' is no count"),
    "whitened": (PCA(2, whiten=True), [FEATURES[1], col("a").fill_null("mean").standardize().clip(0).log1p()],
                 "take more from statistics than a fill"),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_ROWS)
def test_what_covariances_are_not_enough_for_is_trained_on_rows(name: str) -> None:
    model, features, words = ON_ROWS[name]
    pipeline = gp.Pipeline(features, model=model)
    found = gp.cross_validate(pipeline, source(), folds="fold")
    assert found.trained_on_rows is not None and words in found.trained_on_rows
    assert pipeline.explain(source(), folds=4).on_rows == found.trained_on_rows
    for number, fold in enumerate(found.folds):
        own = source(FRAME[FRAME["fold"] == number])
        X = gp.Pipeline(features).fit(source(FRAME[FRAME["fold"] != number])).transform(own, output="numpy")
        arrays = arrays_of(fold.pipeline)
        off = X.astype(np.float64) - arrays["mean"]
        error = ((off - off @ arrays["components"].T @ arrays["components"]) ** 2).sum()
        value = found.metrics["explained_variance"].folds[number]
        assert value == pytest.approx(1 - error / (off**2).sum(), abs=1e-6)


def test_what_is_found(tmp_path: Any) -> None:
    pipeline = gp.Pipeline(FEATURES, model=PCA(2))
    found: Any = gp.cross_validate(pipeline, source(), folds=4)
    metric, told = found.metrics["explained_variance"], found.to_dict()
    assert metric.value == pytest.approx(np.mean(metric.folds)) and metric.low < metric.value < metric.high
    assert told["kind"] == "transformer" and "pooled" not in told and len(told["folds"]) == 4
    assert found.folds[0].evaluation.baseline["explained_variance"].value == 0
    assert "Cross-validation of a transformer: 4 folds" in repr(found) and "explained_variance" in found._repr_html_()
    assert found.to_pandas().shape == (4, 1)
    explained = pipeline.explain(source(), folds=4)
    assert explained.on_rows is None and explained.fold_trips == found.report_.scans == 1
    for name in ("predictions", "pooled"):
        with pytest.raises(UnavailableError, match="A PCA predicts nothing"):
            getattr(found, name)
    found.pipelines[1].save(tmp_path / "fold.gpp")
    again = gp.load(tmp_path / "fold.gpp").transform(source(), output="numpy")
    assert np.array_equal(again, found.pipelines[1].transform(source(), output="numpy"))


def test_constant_features_have_no_variance_to_keep() -> None:
    data = pd.DataFrame({"x": np.ones(60), "z": np.full(60, 2.0)})
    found = gp.cross_validate(gp.Pipeline([gp.cols("x", "z")], model=PCA(1)), source(data), folds=2)
    metric = found.metrics["explained_variance"]
    assert metric.value is None and metric.reason == "the features are constant"


def test_what_is_refused() -> None:
    def crossed(model: Any, data: pd.DataFrame = FRAME, **options: Any) -> Any:
        return gp.cross_validate(gp.Pipeline(FEATURES[1:2], model=model), source(data), **options)

    for model in (KernelPCA(2), IncrementalPCA(2)):
        with pytest.raises(ParameterError, match=r"learns without a target, .* rankers, and PCA, by the variance"):
            crossed(model)
    with pytest.raises(ParameterError, match=r"stratify=True deals equal shares .* PCA learns no classes"):
        crossed(PCA(2), stratify=True)
    with pytest.raises(ParameterError, match="PCA has none"):
        crossed(PCA(2), alphas=[1.0])
    with pytest.raises(TrainingError, match=r"Fold 0 .* cannot find 4 components in \d+ rows × 3 features. Ask .*=3"):
        crossed(PCA(4), folds="fold")
    with pytest.raises(TrainingError, match="one row has no variance"):
        crossed(PCA(1), FRAME[:2].assign(fold=[0, 1], c=1.0, d=2.0, e=3.0), folds="fold")
    for wrong in (PCA(-1), PCA(1.5), PCA(2, whiten="no")):
        with pytest.raises(GpupipeError, match="refused to train"):
            crossed(wrong)
    with pytest.raises(GpupipeError, match="takes no weights"):
        gp.cross_validate(gp.Pipeline(FEATURES, model=PCA(2), weights="row"), source())


def test_a_fit_of_linear_models_is_not_touched() -> None:
    found = gp.cross_validate(gp.Pipeline(FEATURES, target="row", model=Ridge()), source(), folds=2)
    assert found.trained_on_rows is None and set(found.metrics) == {"rmse", "mae", "r2"}
