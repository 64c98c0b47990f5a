"""What a scan gathers: folds only where somebody asks for out-of-fold values."""

import numpy as np
import pyarrow as pa

import gpupipe as gp
from gpupipe import col
from gpupipe.compiler.gathering import without_idle_folds

RNG = np.random.default_rng(4)
TABLE = pa.table({"k": RNG.integers(0, 9, 300), "x": RNG.normal(size=300), "y": RNG.integers(0, 2, 300)})


def plan_of(features):
    return gp.Pipeline(features, target="y").explain(TABLE).plan


def folds_of(scans):
    return [gather.folds for scan in scans for gather in scan.gathers]


def test_folds_that_no_feature_of_training_rows_needs_are_not_kept():
    plan = plan_of([col("k").target_mean(), col("x").mean().over("k").alias("m")])
    assert 5 in folds_of(plan.scans) and not any(folds_of(without_idle_folds(plan.scans, plan.slots)))


def test_folds_under_a_further_statistic_are_kept():
    """The mean of the target means is one of out-of-fold values; it is itself asked for as a whole alone."""
    plan = plan_of([col("k").target_mean().standardize()])
    assert folds_of(plan.scans) == [5, 5, 5, 5] and folds_of(without_idle_folds(plan.scans, plan.slots)) == [5, 5, 5, 0]


def test_a_fit_alone_learns_what_a_fit_that_trains_learns():
    features = [col("k").target_mean(), col("k").target_mean().standardize().alias("scaled")]
    alone, trained = (gp.Pipeline(features, target="y") for _ in range(2))
    alone.fit(TABLE)
    training = trained.fit_transform(TABLE, output="numpy")
    assert alone.state_digest() == trained.state_digest()
    assert (alone.transform(TABLE, output="numpy") != training).any()
