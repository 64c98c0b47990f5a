"""Category codes within a group: a vocabulary for each group, against counting by hand."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col


def table(rows: int = 400) -> pa.Table:
    rng = np.random.default_rng(3)
    return pa.table(
        {
            "group": pa.array(rng.choice(np.array(["a", "b", None], object), rows)),
            "text": pa.array(rng.choice(np.array(["p", "q", "r", None], object), rows)),
            "number": pa.array(rng.integers(-2, 3, rows)),
        }
    )


def by_hand(groups: list, values: list) -> list[int]:
    """0 null, then 2, 3, … by count within the group, ties by value."""
    code = {}
    for group in set(groups):
        counts = Counter(v for g, v in zip(groups, values, strict=True) if g == group and v is not None)
        ranked = sorted(counts, key=lambda value: (-counts[value], value))
        code.update({(group, value): place + 2 for place, value in enumerate(ranked)})
    return [0 if v is None else code[g, v] for g, v in zip(groups, values, strict=True)]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("name", ["text", "number"])
def test_codes_within_groups_are_those_counted_by_hand(device, name):
    data = table()
    pipeline = gp.Pipeline([col(name).codes().over("group")], device=device)
    found = pipeline.fit(gp.scan(data, partitions=3)).transform(data)
    assert found.column(name).to_pylist() == by_hand(data["group"].to_pylist(), data[name].to_pylist())


def test_a_value_or_group_not_seen_is_other(tmp_path):
    pipeline = gp.Pipeline([col("text").codes().over("group")]).fit(table())
    pipeline.save(tmp_path / "codes.gpp")
    rows = {"group": ["a", "z", "a"], "text": ["new", "p", None]}
    assert gp.load(tmp_path / "codes.gpp").transform(rows).column("text").to_pylist() == [1, 1, 0]
