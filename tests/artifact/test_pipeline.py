"""Saved pipelines that were changed, their digests rewritten: refused as corrupt, at once, with nothing imported."""

import contextlib
import random
import sys
import time

import numpy as np
import pytest
from engine import TABLE
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import gpupipe as gp
from gpupipe import artifact, col
from gpupipe.errors import ArtifactCorruptError, ArtifactError, GpupipeError
from gpupipe.expr.serial import to_json

from .changes import Parts, changed

x, c, s, t = col("x"), col("c"), col("s"), col("t")
FEATURES = {
    "numbers": [
        x.fill_null("median").clip(0, 5).log1p().standardize(), col("i").bucketize([0, 2]), x.qcut(4).alias("q"),
        x.mean().over("c", "i").alias("m"), gp.when(col("a") & ~col("b")).then(x).otherwise(None).alias("w"),
        col("j").is_in([1, 2]), (col("i") ** 3 % 7).cast("Int32").alias("p"), col("f").nan_to_null().alias("n"),
    ],
    "categories": [
        c.one_hot(limit=50), c.codes(min_count=2, other_buckets=3).alias("k"), c.codes().over("i").alias("kk"),
        c.frequency(), c.cross("i", 16), col("i").ordinal(list(range(-9, 10))).alias("o"), s.hash_buckets(8, seed=3),
        x.group_statistics("c"), col("a").mode().over("c").alias("am"),
    ],
    "text": [
        s.str.word_ngrams(4, n=(1, 2)), s.str.contains("[aé]").alias("ct"), s.str.len_chars(),
        s.str.slice(0, 2).codes(),
        s.str.strip_chars("a").alias("st"), s.str.starts_with("z").alias("sw"), s.fill_null("mode").alias("fm"),
        col("d").cast("String").str.to_date("%Y-%m-%d", strict=False).dt.year().alias("y"),
    ],
    "times": [
        t.dt.hour().cyclic(24), col("z").dt.month().alias("zm"), t.dt.elapsed("t2").alias("el"),
        (col("d") > gp.lit(np.datetime64("2001-01-01").item())).alias("after"), col("u").dt.total_days().alias("ud"),
        col("t").max().over("c").dt.day().alias("td"), col("z").cast("Date").alias("zd"),
    ],
}  # fmt: skip
MODELS = {
    "linear": (LinearRegression(), col("w").fill_null(0), [x.fill_null(0).standardize(), c.target_mean()]),
    "logistic": (LogisticRegression(), c.fill_null("c1"), [x.fill_null(0), col("i").fill_null(1).target_mean()]),
    "forest": (RandomForestClassifier(3, max_depth=3), col("a").fill_null(False), [x.fill_null(0), s.codes()]),
}
KINDS = [*FEATURES, *MODELS]


def _pipeline(kind):
    if kind in FEATURES:
        return gp.Pipeline(FEATURES[kind])
    model, target, features = MODELS[kind]
    return gp.Pipeline(features, target=target, model=model)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The contents of one artifact of each kind; each loaded once, so that what loads lazily has."""
    folder, found = tmp_path_factory.mktemp("saved"), {}
    for kind in KINDS:
        _pipeline(kind).fit(TABLE).save(folder / kind)
        gp.load(folder / kind).transform(TABLE.slice(0, 3))
        found[kind] = artifact.read(folder / kind)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_contents_written_again_are_loaded(saved, tmp_path, kind):
    pipeline = gp.load(Parts(saved[kind]).write(tmp_path / "again"))
    assert pipeline.transform(ROWS, output="arrow").num_rows == ROWS.num_rows


ROWS = TABLE.slice(0, 7)
SLOW = 1.5  # seconds; most take a hundredth


def _load(path):
    """What came of loading: the pipeline, or None where it was refused; any other error fails the test."""
    started = time.perf_counter()
    try:
        return gp.load(path)
    except ArtifactError as error:
        assert isinstance(error, ArtifactCorruptError)
        return None
    finally:
        assert time.perf_counter() - started < SLOW  # and no recursion, no expansion, no large array


def _try(saved, tmp_path, seed):
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    path = changed(saved[kind], rng).write(tmp_path / "changed")
    loaded = _load(path)
    if loaded is not None:  # what was changed does not matter to anything that is checked; it must still work
        with contextlib.suppress(GpupipeError):
            loaded.transform(ROWS)
    return loaded is not None


def _many(saved, tmp_path, seeds):
    modules = set(sys.modules)
    kept = sum(_try(saved, tmp_path, seed) for seed in seeds)
    assert set(sys.modules) == modules
    assert kept < len(seeds) / 2  # most changes matter


def test_changed_artifacts_are_refused_as_such(saved, tmp_path):
    _many(saved, tmp_path, range(350))


@pytest.mark.slow
def test_very_many_changed_artifacts_are_refused_as_such(saved, tmp_path):
    _many(saved, tmp_path, range(1_000, 13_000))


# -- sizes that are hostile -------------------------------------------------------------------------------------------
def _doubled(step, times=200):
    made = x
    for _ in range(times):
        made = step(made)
    return made


HOSTILE = {
    "doubling nodes and a type error": (_doubled(lambda e: (e + e) * 0.5).str.len_chars(), "takes String"),
    "a chain of nodes": (_doubled(lambda e: e + 1, 5_000).str.len_chars(), "takes String"),
    "doubling statistics of groups": (_doubled(lambda e: e.mean().over(e), 60).str.len_chars(), "takes String"),
    "a number of columns": (s.str.word_ngrams(10**9, limit=10**9), "one feature has 1000000000 columns"),
    "literals without a name": (_doubled(lambda e: e + e).map(lambda e: gp.lit(1) + e).str.len_chars(), "takes String"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_sizes_are_refused_at_once(saved, tmp_path, what):
    expression, message = HOSTILE[what]
    parts = Parts(saved["numbers"])
    parts.document["plan"]["schema"] = [["s", "String", True], ["x", "Float64", True]]
    parts.document["plan"]["expressions"] = to_json([expression._node])
    parts.document["statistics"] = []
    parts.arrays.pop("state", None)
    path = parts.write(tmp_path / "hostile")
    started = time.perf_counter()
    with pytest.raises(ArtifactCorruptError, match=message) as caught:
        gp.load(path)
    assert time.perf_counter() - started < SLOW and len(str(caught.value)) < 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.update({"0.0.value": arrays["0.0.value"].astype("f4")}), "is no array of Float64"),
        (lambda arrays: arrays.update({"0.0.value": np.append(arrays["0.0.value"], 1.0)}), "has 2 values"),
        (lambda arrays: arrays.pop("0.0.value"), "cannot be read"),
        (lambda arrays: arrays.update(other=np.zeros(1)), "arrays of no statistic"),
    ],
    ids=["another type", "too long", "missing", "one more"],
)
def test_statistics_are_those_of_the_plan(saved, tmp_path, change, message):
    parts = Parts(saved["numbers"])
    change(parts.arrays["state"])
    with pytest.raises(ArtifactCorruptError, match=message):
        gp.load(parts.write(tmp_path / "changed"))


def test_a_statistic_is_of_the_type_its_reduction_gives(saved, tmp_path):
    parts = Parts(saved["numbers"])
    parts.document["statistics"][0][0][0][0] = "Int64"
    parts.arrays["state"]["0.0.value"] = parts.arrays["state"]["0.0.value"].astype(np.int64)
    with pytest.raises(ArtifactCorruptError, match="holds 'Int64', not Float64"):
        gp.load(parts.write(tmp_path / "changed"))


def test_a_device_that_is_not_there_is_no_fault_of_the_artifact(saved, tmp_path):
    with pytest.raises(gp.errors.ParameterError, match="abacus"):
        gp.load(Parts(saved["numbers"]).write(tmp_path / "whole"), device="abacus")
