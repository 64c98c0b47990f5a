"""What a fit takes of memory, in a process of its own, when its source is many times what it may keep."""

from pathlib import Path

import pytest

from benchmarks import cache
from benchmarks.measure import run

Found = dict[str, dict[str, float]]


def extra(found: Found) -> float:
    """MiB at the peak beyond those before the first row."""
    return found["process"]["peak"] - found["start"]["peak"]


def test_memory_stays_near_the_budget_and_a_partition(tmp_path: Path) -> None:
    """Columns of 98 MiB in 24 partitions, of which 32 MiB hold a few beside one at work: about what a trip takes that
    keeps nothing."""
    path = tmp_path / "table.parquet"
    cache.write(path, rows=600_000, group=25_000)
    kept, spilled, nothing = (run("cache", [str(path), "trips", m, "24"]) for m in ("64GiB", "32MiB", cache.NOTHING))
    assert kept["cache"]["found"] == spilled["cache"]["found"] == nothing["cache"]["found"]
    assert kept["cache"]["kept_mib"] > 90 and kept["cache"]["spilled_mib"] == 0
    assert 4 < spilled["cache"]["kept_mib"] <= 16 and spilled["cache"]["spilled_mib"] > 70
    assert extra(spilled) < extra(nothing) + 16 + 30
    assert extra(spilled) < extra(kept) - 60


@pytest.mark.slow
def test_a_fit_of_a_source_many_times_its_memory(tmp_path: Path) -> None:
    """Columns of 800 MiB in 8 partitions of about 100 MiB, 128 MiB of them kept, worked on by two threads."""
    path = tmp_path / "table.parquet"
    cache.write(path)
    found = {memory: run("cache", [str(path), "fit", memory]) for memory in ("64GiB", "128MiB", "16MiB")}
    for memory, one in found.items():
        print(memory, {"peak": round(extra(one)), **{name: round(mib) for name, mib in one["cache"].items()}})
    kept, *others = found.values()
    for budget, one in zip((128, 16), others, strict=True):
        assert one["cache"]["found"] == kept["cache"]["found"]
        assert one["cache"]["kept_mib"] <= budget and one["cache"]["spilled_mib"] > 600
        assert extra(one) < extra(kept) - 500
