"""Saved pipelines that were changed, their digests rewritten: refused as corrupt, at once, with nothing imported."""

import contextlib
import random
import sys
import time

import numpy as np
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import ArtifactCorruptError, ArtifactError, ArtifactVersionError, GpupipeError
from gpupipe.expr.serial import to_json

from .changes import Parts, changed
from .kinds import kinds

x, s = col("x"), col("s")
KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_contents_written_again_are_loaded(saved, tmp_path, kind):
    pipeline, rows = gp.load(Parts(saved[kind]).write(tmp_path / "again")), KINDS[kind].table.slice(0, 7)
    assert pipeline.transform(rows, output="arrow").num_rows == rows.num_rows


SLOW = 1.5  # seconds; most take a hundredth


def _load(path):
    """What came of loading: the pipeline, or None where it was refused; any other error fails the test."""
    started = time.perf_counter()
    try:
        return gp.load(path)
    except ArtifactError as error:
        assert isinstance(error, ArtifactCorruptError | ArtifactVersionError)
        return None
    finally:
        assert time.perf_counter() - started < SLOW  # and no recursion, no expansion, no large array


def _try(saved, tmp_path, seed):
    rng = random.Random(seed)
    kind = sorted(KINDS)[seed % len(KINDS)]
    path = changed(saved[kind], rng).write(tmp_path / "changed")
    loaded = _load(path)
    if loaded is not None:  # what was changed does not matter to anything that is checked; it must still work
        with contextlib.suppress(GpupipeError):
            loaded.transform(KINDS[kind].table.slice(0, 7))
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
