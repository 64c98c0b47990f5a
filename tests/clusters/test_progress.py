"""What is told of a run whose partitions are done by a cluster's workers."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpupipe as gp
from gpupipe import col

ROWS, PARTITIONS = 3_000, 6


def test_workers_are_told_and_their_partitions_counted(
    two: gp.Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"x": np.random.default_rng(2).normal(size=ROWS), "s": np.arange(ROWS) % 7}
    pq.write_table(pa.table(values), path := tmp_path / "t.parquet", row_group_size=ROWS // PARTITIONS)
    source, features = gp.scan(path, partitions=PARTITIONS), [col("x").fill_null("median").standardize()]
    with gp.cluster("threads"):
        alone = gp.Pipeline(features).fit(source).report_
    fitted = gp.Pipeline(features).fit(source, progress=True)
    fitted.transform(source, output="numpy", progress=True)
    wrote, report, last = capsys.readouterr().err.splitlines(), fitted.report_, fitted.last_report_
    assert [stage.name for stage in report.stages] == ["scan 1 of 1", "settling quantiles"]
    assert last is not None and [stage.name for stage in last.stages] == ["features"]
    for stage in (*report.stages, *last.stages):
        assert (stage.rows, stage.partitions, stage.where, stage.finished) == (ROWS, PARTITIONS, "2 workers", True)
    assert report.stages[0].bytes_read == alone.stages[0].bytes_read > 0 and report.stages[0].reading_seconds > 0
    assert all(line.endswith(", 2 workers") and "6 partitions, 3,000 rows" in line for line in wrote)
    assert len(wrote) == 3 and not any("%" in line for line in wrote)  # no share of this machine's memory
    assert "2 workers" in repr(report) and json.dumps(report.to_dict())


@pytest.mark.parametrize("partitions", [1, 2, 3])
def test_a_partition_that_is_merged_with_no_other_is_counted_once(
    two: gp.Cluster, tmp_path: Path, partitions: int
) -> None:
    pq.write_table(pa.table({"x": np.arange(600.0)}), path := tmp_path / "t.parquet", row_group_size=100)
    fitted = gp.Pipeline([col("x").standardize()]).fit(gp.scan(path, partitions=partitions))
    assert [(stage.rows, stage.partitions) for stage in fitted.report_.stages] == [(600, partitions)]
