"""A frame of dask_cudf: what its partitions hold on a device is used there, and is what the host reads."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe.sources.border import to_arrow
from gpupipe.sources.dask_frames import DaskPartition, with_rows
from gpupipe.sources.dask_rows import computed
from gpupipe.sources.device_table import DevicePartition

from . import cudf_standin as standin
from .simulated import SimulatedDevice


class Frame:
    """What is asked of a frame of Dask's, with partitions in a device's memory."""

    ndim, divisions = 2, (None, None, None)

    def __init__(self, packages: standin.Packages, tables: list[pa.Table], chosen: list[str] | None = None) -> None:
        self._packages, self._tables = packages, tables
        self.columns = chosen or tables[0].column_names
        self.npartitions = len(tables)

    def __getitem__(self, labels: list[str]) -> "Frame":
        return Frame(self._packages, self._tables, labels)

    def optimize(self) -> "Frame":
        return self

    def __dask_keys__(self) -> list[Any]:
        return [("made", at, *self.columns) for at in range(self.npartitions)]

    def __dask_graph__(self) -> dict[Any, Any]:
        parts = [table.select(self.columns) for table in self._tables]
        return {key: (self._packages.frame, part) for key, part in zip(self.__dask_keys__(), parts, strict=True)}


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> standin.Packages:
    return standin.installed(monkeypatch, SimulatedDevice())


def tables() -> list[pa.Table]:
    draw = np.random.default_rng(3)
    return [
        pa.table(
            {
                "x": pa.array(draw.normal(size=n), mask=draw.random(n) < 0.2),
                "k": draw.integers(-9, 9, n),
                "word": draw.choice(["a", "äö", ""], n),
            }
        )
        for n in (256, 130)
    ]


def test_partitions_are_read_where_they_are(packages: standin.Packages) -> None:
    source = gp.scan(Frame(packages, tables()))
    assert source.schema == gp.scan(pa.concat_tables(tables())).schema
    assert [part.n_rows for part in source.partitions] == [256, 130]
    for number, table in enumerate(tables()):
        part = source.partitions[number]
        assert isinstance(part, DaskPartition)
        there = with_rows(part, computed(*part.task(["x", "word"])))
        assert isinstance(there, DevicePartition) and there.first_row == number * 256
        for made in (part.load(["x", "word"]), there.load(["x", "word"])):
            assert made.row_ids.tolist() == list(range(number * 256, number * 256 + len(table)))
            for name in ("x", "word"):
                assert to_arrow(made[name]).to_pylist() == table.column(name).to_pylist()


def test_a_fit_is_that_of_the_same_rows(packages: standin.Packages) -> None:
    features = [gp.col("x").fill_null("median").standardize(), gp.col("word").one_hot(), gp.col("k").abs()]
    made = gp.Pipeline(features, device="cpu").fit(Frame(packages, tables()))
    here = gp.Pipeline(features, device="cpu").fit(pa.concat_tables(tables()))
    assert made.transform(tables()[0]).equals(here.transform(tables()[0]))
