"""A matrix of all rows: the same whether partitions' heights are known before they are read or not."""

import numpy as np
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.stacked import Stacked


def source(partitions: int) -> gp.Source:
    return gp.scan({"x": np.arange(100), "y": np.arange(100) % 3}, partitions=partitions)


def test_heights_are_known_where_no_step_drops_rows_or_all_were_read() -> None:
    assert Rows(source(3), ["x"]).heights == [34, 33, 33]
    rows = Rows(source(3).filter(col("y") == 1), ["x"])
    assert rows.heights is None
    found = [rows.frame(index).n_rows for index in (2, 0)]
    assert rows.heights is None
    found.insert(1, rows.frame(1).n_rows)
    assert rows.heights == [found[2], found[1], found[0]]
    assert sum(found) == 33


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("keep", [None, 0, 99], ids=["all rows", "some rows", "one row"])
def test_matrices_hold_the_rows_that_are_left(partitions: int, keep: int | None) -> None:
    rows = source(partitions)
    rows = rows if keep is None else rows.filter(col("x") >= keep) if keep else rows.filter(col("y") == 1)
    left = np.arange(100)
    left = left if keep is None else left[left >= keep] if keep else left[left % 3 == 1]
    pipeline = gp.Pipeline([col("x").cast("Float32"), col("y").cast("Float32")])
    expected = np.stack([left, left % 3], axis=1)
    np.testing.assert_array_equal(pipeline.fit_transform(rows, output="numpy"), expected)
    np.testing.assert_array_equal(pipeline.transform(rows, output="numpy"), expected)


def test_parts_are_put_together_where_heights_are_unknown() -> None:
    stacked = Stacked(None, 2)
    assert stacked.part(0) is None
    assert stacked.whole([]).shape == (0, 2)
    parts = [np.ones((1, 2), np.float32), np.zeros((2, 2), np.float32)]
    np.testing.assert_array_equal(stacked.whole(parts), np.concatenate(parts))
