"""Files of records: what a kill or a failing disk leaves of them, at every byte."""

import errno
import os
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from faults import FailsFrom, FailsOnce, in_place
from hypothesis import given
from hypothesis import strategies as st

from gpupipe.errors import RunCorruptError
from gpupipe.runtime.journal.packing import packed, unpacked
from gpupipe.runtime.journal.records import Records
from gpupipe.storage import disk


def written(path: Path, *payloads: bytes) -> bytes:
    records = Records.new(path)
    for payload in payloads:
        records.append([payload])
    records.sync()
    records.close()
    return path.read_bytes()


def found(path: Path) -> list[bytes]:
    records = Records.at(path)
    try:
        return [data for _, data in records.whole()]
    finally:
        records.close()


def test_they_come_back_in_their_order(tmp_path: Path) -> None:
    written(tmp_path / "r", b"one", b"", b"three" * 1000)
    assert found(tmp_path / "r") == [b"one", b"", b"three" * 1000]
    assert os.stat(tmp_path / "r").st_mode & 0o777 == 0o600


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_records_come_back(payloads: list[bytes]) -> None:
    path = Path("/dev/shm" if os.path.isdir("/dev/shm") else "/tmp") / f"records-{os.getpid()}-{threading.get_ident()}"
    try:
        written(path, *payloads)
        assert found(path) == payloads
    finally:
        path.unlink()


def test_what_was_cut_short_anywhere_in_the_last_record_is_gone_and_no_more(tmp_path: Path) -> None:
    whole = written(tmp_path / "r", b"first", b"second")
    two = written(tmp_path / "two", b"first")
    begins = len(two)  # marks are random, lengths are not
    for size in range(begins, len(whole)):
        (tmp_path / "r").write_bytes(whole[:size])
        records = Records.at(tmp_path / "r")
        assert [data for _, data in records.whole()] == [b"first"], size
        records.cut()
        records.append([b"again"])
        records.close()
        assert found(tmp_path / "r") == [b"first", b"again"], size


def test_what_was_cut_short_in_its_first_bytes_holds_nothing(tmp_path: Path) -> None:
    whole = written(tmp_path / "r", b"first")
    first = len(written(tmp_path / "empty"))
    for size in range(first + 1):
        (tmp_path / "r").write_bytes(whole[:size])
        assert found(tmp_path / "r") == []
        records = Records.at(tmp_path / "r")
        assert records.is_empty == (size < first)
        records.close()


def test_an_altered_byte_anywhere_is_found(tmp_path: Path) -> None:
    whole = written(tmp_path / "r", b"first", b"second", b"third")
    last = len(whole) - len(b"third")
    header = len(written(tmp_path / "one", b"")) - len(written(tmp_path / "none"))
    for at in range(len(whole)):
        altered = bytearray(whole)
        altered[at] ^= 1 << (at % 8)
        (tmp_path / "r").write_bytes(altered)
        if at >= last - header:  # nothing whole follows: it may have been torn
            assert found(tmp_path / "r") == [b"first", b"second"], at
        else:
            with pytest.raises(RunCorruptError, match="was altered"):
                found(tmp_path / "r")


def test_a_record_that_holds_another_file_of_records_is_one_record(tmp_path: Path) -> None:
    inner = written(tmp_path / "inner", b"x", b"y")
    whole = written(tmp_path / "outer", inner, inner)
    assert found(tmp_path / "outer") == [inner, inner]
    (tmp_path / "outer").write_bytes(whole[:-1])
    assert found(tmp_path / "outer") == [inner]


def test_what_was_altered_after_it_was_listed_is_not_read(tmp_path: Path) -> None:
    written(tmp_path / "r", b"first", b"second")
    records = Records.at(tmp_path / "r")
    places = [place for place, _ in records.whole()]
    data = bytearray((tmp_path / "r").read_bytes())
    data[-1] ^= 1
    (tmp_path / "r").write_bytes(data)
    assert records.read(places[0]) == b"first"
    with pytest.raises(RunCorruptError, match="not what was written"):
        records.read(places[1])
    records.close()


def test_many_threads_append(tmp_path: Path) -> None:
    records = Records.new(tmp_path / "r")
    each = [[bytes([n]) * (n + k) for k in range(50)] for n in range(8)]
    threads = [threading.Thread(target=lambda own=own: [records.append([one]) for one in own]) for own in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records.close()
    assert sorted(found(tmp_path / "r")) == sorted(one for own in each for one in own)


@pytest.mark.parametrize("at", range(1, 9))
def test_a_record_that_was_not_written_does_not_count_and_later_ones_do(tmp_path: Path, at: int) -> None:
    records = Records.new(tmp_path / "r")
    records.append([b"before"])
    failed = False
    with in_place(FailsFrom(at, errno.ENOSPC, ("pwrite", "fsync"))):
        try:
            for _ in range(3):
                records.append([b"in vain" * 100, b"!"])
            records.sync()
        except OSError as error:
            failed = error.errno == errno.ENOSPC
    assert failed
    records.append([b"after"])
    records.close()
    there = found(tmp_path / "r")
    assert there[0] == b"before" and there[-1] == b"after"
    assert all(one == b"in vain" * 100 + b"!" for one in there[1:-1])


def test_whoever_syncs_waits_for_what_another_thread_forces_to_the_disk(tmp_path: Path) -> None:
    """Else what is noted afterwards could be there after a power failure, and what it hangs on not."""
    records, begun, end, order = Records.new(tmp_path / "r"), threading.Event(), threading.Event(), list[str]()

    def slow(descriptor: int) -> None:
        begun.set()
        end.wait(10)
        order.append("forced")

    records.append([b"one"])
    with mock.patch.dict(vars(disk), {"fsync": slow}):
        first = threading.Thread(target=records.sync)
        first.start()
        begun.wait(10)
        second = threading.Thread(target=lambda: (records.sync(), order.append("known")))
        second.start()
        second.join(0.1)
        assert second.is_alive() and not order
        end.set()
        first.join()
        second.join()
    assert order == ["forced", "known"]
    records.close()


def test_what_was_not_forced_to_the_disk_is_tried_again(tmp_path: Path) -> None:
    records = Records.new(tmp_path / "r")
    records.append([b"one"])
    with in_place(FailsOnce(1, errno.EIO)), pytest.raises(OSError):
        records.sync()
    forced: list[int] = []
    with mock.patch.dict(vars(disk), {"fsync": forced.append}):
        records.sync()
        records.sync()
    assert forced == [records.descriptor]
    records.close()


def test_half_a_write_goes_on_where_it_stopped(tmp_path: Path) -> None:
    records = Records.new(tmp_path / "r")
    with in_place(FailsOnce(10**6, errno.EIO)):
        halves = FailsFrom(2, errno.ENOSPC, ("pwrite",))
        with in_place(halves), pytest.raises(OSError):
            records.append([b"x" * 1000])
    records.append([b"y"])
    records.close()
    assert found(tmp_path / "r") == [b"y"]


def test_documents_and_arrays_are_packed() -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "t": pa.array(["x", "ö"])}
    document, back = unpacked(b"".join(packed({"n": [1, None, 2.5], "nan": float("inf")}, arrays)))
    assert document == {"n": [1, None, 2.5], "nan": float("inf")}
    assert np.array_equal(back["a"], arrays["a"]) and back["t"].to_pylist() == ["x", "ö"]
    for cut in (b"", b"\x05\0\0\0[", b"".join(packed({}, arrays))[:-40]):
        with pytest.raises(RunCorruptError):
            unpacked(cut)
