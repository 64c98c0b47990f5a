"""Amounts of memory: as users write them, and as machines and control groups state them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupipe.errors import ParameterError
from gpupipe.memory import SHARE, Room, control_groups, memory_bytes, memory_free


@pytest.mark.parametrize(
    ("memory", "amount"),
    [
        ("4GiB", 4 * 1024**3),
        ("4GB", 4 * 1000**3),
        ("  512 mib ", 512 * 1024**2),
        ("0.5TiB", 1024**4 // 2),
        ("10kB", 10_000),
        ("10KiB", 10_240),
        ("7B", 7),
        (0, 0),
        (12345, 12345),
        (np.int64(9), 9),
    ],
)
def test_amounts(memory: int | str, amount: int) -> None:
    assert memory_bytes(memory) == amount


@given(st.integers(0, 2**60))
def test_bytes_are_bytes(amount: int) -> None:
    assert memory_bytes(amount) == amount


NO_AMOUNTS = [
    "",
    "GiB",
    "4",
    "4 4GiB",
    "-1GiB",
    "4GiBs",
    "nan",
    "1e9B",
    "9" * 400 + "TiB",
    "٤GiB",
    -1,
    0.5,
    True,
    [4],
    b"4GiB",
]


@pytest.mark.parametrize("memory", NO_AMOUNTS)
def test_what_is_no_amount(memory: object) -> None:
    with pytest.raises(ParameterError, match=r"is no amount of memory\. Give a number of bytes"):
        memory_bytes(memory)  # type: ignore[arg-type]


def test_a_letter_alone_is_asked_for_its_unit() -> None:
    with pytest.raises(ParameterError, match=r"memory='4g' is no amount of memory\. Write '4GiB' \(by 1024\) or '4GB'"):
        memory_bytes("4g")


def test_nothing_said_is_half_of_what_is_free() -> None:
    free = memory_free()
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert abs(memory_bytes(None) - SHARE * free) < 0.5 * free  # others take and give back memory meanwhile


def machine(root: Path, group: str, limits: dict[str, str], available: int | None = None) -> list[int]:
    """The limits on a machine whose ``/proc/self/cgroup`` and files of limits are these."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group)
    if available is not None:
        (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {available} kB\n")
    for path, text in limits.items():
        (root / "sys/fs/cgroup" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "sys/fs/cgroup" / path).write_text(text)
    return sorted(limit for limit, _ in control_groups(root))


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 8 * 1024),
        ({"memory.max": "5000"}, 5000),
        ({"memory.max": "5000", "memory.current": "1200\n"}, 3800),
        ({"memory.max": "5000", "memory.current": "1200", "memory.stat": "anon 5\ninactive_file 200\n"}, 4000),
        ({"memory.max": "5000", "memory.current": "6000"}, 0),
        ({"memory.max": "max", "memory.current": "6000"}, 8 * 1024),
        ({"memory.max": "50000"}, 8 * 1024),
    ],
)
def test_what_is_free_is_what_the_tightest_group_has_left(files: dict[str, str], free: int, tmp_path: Path) -> None:
    machine(tmp_path, "0::/\n", files, available=8)
    assert memory_free(tmp_path) == free


def test_the_older_version_of_groups_counts_what_it_uses_too(tmp_path: Path) -> None:
    files = {"memory/a/memory.limit_in_bytes": "2000", "memory/a/memory.usage_in_bytes": "500"}
    files["memory/a/memory.stat"] = "inactive_file 7\ntotal_inactive_file 100\n"
    machine(tmp_path, "4:memory,hugetlb:/a\n", files, available=8)
    assert memory_free(tmp_path) == 1600


def test_a_limit_of_any_group_above_counts(tmp_path: Path) -> None:
    limits = {"job/step": "max\n", "job": "3000\n", ".": "5000\n", "other": "1"}
    files = {f"{group}/memory.max": limit for group, limit in limits.items()}
    assert machine(tmp_path, "0::/job/step\n", files) == [3000, 5000]


def test_the_older_version_of_groups(tmp_path: Path) -> None:
    group = "5:cpu,cpuacct:/a\n4:memory,hugetlb:/a\n0::/a\nno line of ours\n"
    limits = {"memory/a/memory.limit_in_bytes": "2000", "memory/memory.limit_in_bytes": "9223372036854771712"}
    assert machine(tmp_path, group, limits) == [2000, 9223372036854771712]


def test_a_container_sees_its_own_group_as_the_uppermost(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/../../host/path\n", {"memory.max": "700"}) == [700]


def test_a_machine_without_groups(tmp_path: Path) -> None:
    assert list(control_groups(tmp_path)) == []


@given(st.integers(0, 50), st.lists(st.integers(0, 20), max_size=30))
def test_a_room_is_never_taken_beyond_its_size(size: int, asked: list[int]) -> None:
    room, taken = Room(size), 0
    for each in asked:
        fits = taken + each <= size
        assert room.take(each) == fits
        taken += each if fits else 0
        assert room.used == taken
    room.give_back(taken)
    assert room.used == 0
    room.close()
    assert not room.take(1)


def test_threads_share_a_room() -> None:
    room = Room(1000)
    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(lambda _: room.take(3), range(2000)))
    assert sum(took) == 333 and room.used == 999
