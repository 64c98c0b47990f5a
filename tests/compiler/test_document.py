"""What was learned of every type comes back from an artifact as it was."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col

ROWS = {
    "day": [dt.date(2020, 1, 3), None, dt.date(1961, 5, 5)],
    "time": [dt.datetime(2020, 1, 1), None, dt.datetime(1960, 1, 1)],
    "span": [dt.timedelta(1), None, dt.timedelta(3)],
    "flag": [True, None, False],
    "whole": [3, None, -(2**60)],
    "number": [0.5, None, -0.0],
    "text": ["a", None, ""],
}
REDUCTIONS = ("min", "max", "mode", "n_unique", "count", "null_count")


@pytest.mark.parametrize("name", list(ROWS))
def test_statistics_of_every_type_come_back(name, tmp_path):
    kinds = [op for op in REDUCTIONS if name != "text" or op not in ("min", "max")]
    features = [getattr(col(name), op)().alias(op) for op in kinds]
    features += [getattr(col(name), op)().over("key").alias(f"{op}_over") for op in kinds]
    table = pa.table({**{key: pa.array(values) for key, values in ROWS.items()}, "key": ["u", None, "u"]})
    pipeline = gp.Pipeline([*features, col(name).codes()]).fit(table)
    pipeline.save(tmp_path / "all.gpp")
    assert gp.load(tmp_path / "all.gpp").transform(table) == pipeline.transform(table)
    assert gp.load(tmp_path / "all.gpp").state_digest() == pipeline.state_digest()


def test_the_null_key_of_a_target_mean_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table(
        {"city": pa.array(rng.choice(np.array(["a", "b", None], object), 90)), "late": pa.array(rng.random(90) < 0.4)}
    )
    pipeline = gp.Pipeline([col("city").target_mean()], target="late").fit(table)
    pipeline.save(tmp_path / "mean.gpp")
    found = gp.load(tmp_path / "mean.gpp").transform({"city": ["a", None, "unseen"]})
    assert found == pipeline.transform({"city": ["a", None, "unseen"]})
    assert len(set(found.column("city_target_mean").to_pylist())) == 3
