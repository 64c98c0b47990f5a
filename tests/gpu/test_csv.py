"""CSV split on a device: the host's values of every column that cuDF reads alike, and the reason for every other."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.errors import DeviceLostError, FileFormatError
from gpupipe.sources import csv_device, on_device
from gpupipe.sources.partition import Partition

from . import libcudf_standin as standin
from .nvrtc import why_not
from .simulated import SimulatedDevice
from .test_decode import Cudf, assert_same

ROUNDED = "cuDF does not read the nearest float"
FEW = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture
def cudf(monkeypatch: pytest.MonkeyPatch) -> Cudf:
    """A device, and cuDF's library over it; no kernel runs, so NVRTC is not needed."""
    device = SimulatedDevice()
    return device, *standin.installed(monkeypatch, device)


def compared(partition: Partition, device: SimulatedDevice) -> dict[str, str]:
    """That what is read on the device is what the host reads, column by column; why others are not."""
    names = list(partition.types)  # type: ignore[attr-defined]
    reading, refused = on_device.read(partition, names, device)
    host = partition.read(names)
    assert list(reading.frame.columns) == names and reading.frame.n_rows == host.frame.n_rows
    assert reading.bytes_read == host.bytes_read
    for name in names:
        found = reading.frame.resident(name)
        assert isinstance(found, DeviceColumn) == (name not in refused)
        assert_same(found, host.frame[name])
    return refused


def scanned(folder: Path, text: str | bytes, **options: Any) -> tuple[Partition, ...]:
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return gp.scan(path, **options).partitions


# -- the same values --------------------------------------------------------------------------------------------
WORDS = st.sampled_from(["", "a", "NA", "null", " NA", "b ", "\t", "x,y", 'say ""', '"', '""', "a\nb", "\n", "é😀",
                         "007", "nan", '\n"', ',"', "end\r\n", "0x1F", "\ufeff"])  # fmt: skip
VALUES: dict[str, st.SearchStrategy[str]] = {
    "text": WORDS | st.text(st.sampled_from('a",\n é'), max_size=5),
    "whole": st.sampled_from(["", "NA", "0", "-0", "7", "-12", str(2**63 - 1), str(-(2**63))]),
    "flag": st.sampled_from(["", "true", "False", "TRUE", "nan"]),
    "day": st.sampled_from(["", "2020-02-29", "0001-01-01", "9999-12-31", "1969-12-31"]),
    "real": st.sampled_from(["", "0.3", "-1e5", "2"]),
}


@FEW
@given(
    rows=st.lists(st.tuples(*VALUES.values()), min_size=1, max_size=8), order=st.permutations(range(len(VALUES))),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(), partitions=st.sampled_from([1, 3]),
)  # fmt: skip
def test_whatever_the_file_the_host_and_the_device_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], order: list[int], quoting: Any, end: str,
    last: bool, partitions: int,
) -> None:  # fmt: skip
    text = io.StringIO(newline="")
    names = list(VALUES)
    made = csv.writer(text, quoting=quoting, lineterminator=end)
    made.writerows([[each[at] for at in order] for each in ([*names], *rows)])
    written = text.getvalue() if last else text.getvalue().removesuffix(end)
    with pytest.MonkeyPatch.context() as patch:
        device = SimulatedDevice()
        standin.installed(patch, device)
        for partition in scanned(tmp_path_factory.mktemp("csv"), written, partitions=partitions):
            if partition.n_rows:
                compared(partition, device)


PLAIN = 'a,b,c,d,e\n1,x,true,2020-02-29,0.5\n,"y, ""z""",NA,,"1.5"\n-3,"two\nlines",FALSE,1999-12-31,\n'


@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\r\n"), "\ufeff" + PLAIN])
def test_columns_that_cudf_reads_alike_are_on_the_device(cudf: Cudf, tmp_path: Path, text: str) -> None:
    device, _, fakes = cudf
    (partition,) = scanned(tmp_path, text)
    assert compared(partition, device) == {"e": ROUNDED} == on_device.decodable(partition, ["a", "b", "c", "d", "e"])
    (call,) = fakes.called("pylibcudf.io.csv.read_csv")
    assert call.args[0]._used == ["a", "b", "c", "d"]


def test_an_empty_last_field_that_no_line_ends(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    for partition in scanned(tmp_path, "a,b\n1,x\n2,"):
        assert compared(partition, device) == {}


def test_a_compressed_file_is_unpacked_first(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    with gzip.open(tmp_path / "a.csv.gz", "wb") as file:
        file.write(PLAIN.encode())
    (partition,) = gp.scan(tmp_path / "a.csv.gz").partitions
    assert compared(partition, device) == {"e": ROUNDED}


def test_one_column_whose_empty_lines_are_no_rows(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    (partition,) = scanned(tmp_path, "a\n1\n\n2\n\r\n3\n")
    assert partition.n_rows == 3 and compared(partition, device) == {}


# -- what the host reads ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "why"), [
    ('a,b\n1,5" pipe\n', "quotes stand amid its fields"),
    ('a,b\n1,"x"y\n', "quotes stand amid its fields"),
    ('a,b\n1,"x\n""y"""\n', "cuDF loses count of quotes that stand twice where a line begins"),
    ('a,b\n"1",x\n"",y\n', "cuDF loses count of quotes that stand twice where a line begins"),
    ("a,b\n1,x\r2,y\n", "a carriage return alone ends no line for cuDF"),
    ("a,b\n1,x\0y\n", "it holds NUL bytes"),
    ("a,b\n\ufeffx,y\n", "it begins with what cuDF takes for a mark of UTF-8"),
])  # fmt: skip
def test_text_that_cudf_would_split_otherwise(cudf: Cudf, tmp_path: Path, text: str, why: str) -> None:
    device, _, fakes = cudf
    (partition,) = scanned(tmp_path, text)
    assert compared(partition, device) == {"a": why, "b": why}
    assert not fakes.called("pylibcudf.io.csv.read_csv")


@pytest.mark.parametrize("text", [
    'b\n"x\n""y""\nz"\n', "b,c\n1,x\r2,y\n", 'b,c\n1,"x"y\n', "b,c\n1,\n2,",
])  # fmt: skip
def test_the_stand_in_reads_such_text_otherwise(
    cudf: Cudf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Were it not looked for, values or rows would differ: the faults of the stand-in are those of libcudf's source."""
    device, _, fakes = cudf
    partitions = scanned(tmp_path, text, schema={"b": "String"})
    usual = csv_device.decoded

    def bare(device: Any, records: Any) -> Any:
        octets = partitions[0].file and text.encode().partition(b"\n")[2]  # type: ignore[attr-defined]
        return usual(device, type(records)(records.path, octets, *(getattr(records, n) for n in _REST)))

    monkeypatch.setattr(csv_device, "irregular", lambda octets: None)
    monkeypatch.setattr(csv_device, "decoded", bare)
    try:
        refused = compared(partitions[0], device)
    except AssertionError:
        return
    assert any("records" in why for why in refused.values()) and fakes.called("pylibcudf.io.csv.read_csv")


_REST = ("header", "n_rows", "types", "nulls", "truths")


def test_types_that_were_given_are_the_hosts_unless_text(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    schema = {"a": "Int64", "b": "String", "c": "Boolean"}
    (partition,) = scanned(tmp_path, "a,b,c,d\n0x1F,007,1,5\n 7,8,0,6\n", schema=schema)
    why = "its type was given, and texts of it that are read as such differ"
    assert compared(partition, device) == {"a": why, "c": why}


def test_other_types_are_the_hosts(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    (partition,) = scanned(tmp_path, "a,b,c\n2020-01-01 05:06:07,2020-01-01 05:06Z,\n,,\n")
    refused = compared(partition, device)
    assert refused == {
        name: f"cuDF reads {kind} from other texts than the host does"
        for name, kind in (("a", "Datetime"), ("b", "Datetime(UTC)"), ("c", "Null"))
    }


@pytest.mark.parametrize("fails", [
    RuntimeError("CUDF failure: it would not"), standin.OutOfMemory("std::bad_alloc: out_of_memory: RMM failure"),
])  # fmt: skip
def test_what_cudf_refuses_is_read_again_on_the_host(cudf: Cudf, tmp_path: Path, fails: Exception) -> None:
    device, library, _ = cudf
    library.fails = fails
    (partition,) = scanned(tmp_path, PLAIN)
    refused = compared(partition, device)
    assert refused.keys() == set("abcde") and refused["e"] == ROUNDED
    assert "it would not" in refused["a"] or refused["a"] == "the device has too little memory to split it"


def test_a_lost_device_is_no_refusal(cudf: Cudf, tmp_path: Path) -> None:
    device, library, _ = cudf
    library.fails = RuntimeError("CUDA error: cudaErrorIllegalAddress: an illegal memory access was encountered")
    (partition,) = scanned(tmp_path, PLAIN)
    with pytest.raises(DeviceLostError):
        on_device.read(partition, ["a"], device)


def test_other_rows_or_columns_than_the_host_found(cudf: Cudf, tmp_path: Path) -> None:
    device, library, fakes = cudf
    (partition,) = scanned(tmp_path, "a,b\n1,x\n2,y\n")
    usual = library.read_csv
    ways = {
        "cuDF finds 1 records, and the host 2": lambda found: [column._slice(0, 1) for column in found],
        "cuDF reads the columns ['a']": lambda found: found[:1],
    }
    for why, change in ways.items():

        def read(options: Any, stream: Any = None, change: Any = change) -> Any:
            table = usual(options)
            columns = change(list(table.tbl.columns()))
            return standin.TableWithMetadata(standin.Table(columns), table.column_names()[: len(columns)])

        fakes.behaviour["pylibcudf.io.csv.read_csv"] = read
        assert compared(partition, device) == {"a": why, "b": why}


def test_a_file_that_was_changed_is_refused(cudf: Cudf, tmp_path: Path) -> None:
    device, _, _ = cudf
    (partition,) = scanned(tmp_path, "a\n1\n2\n")
    (tmp_path / "a.csv").write_text("a\n1\n2\n3\n")
    with pytest.raises(FileFormatError):
        on_device.read(partition, ["a"], device)


def test_without_cudf_it_is_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpupipe.optional.available", lambda package: False)
    (partition,) = scanned(tmp_path, "a\n1\n2\n")
    assert "not installed" in compared(partition, SimulatedDevice())["a"]


# -- whole pipelines ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_fit_from_csv_has_the_cpus_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: int) -> None:
    if why_not():
        pytest.skip(why_not())
    device = SimulatedDevice()
    standin.installed(monkeypatch, device)
    monkeypatch.setattr(devices._Look, "found", devices.Found(device, "a simulated one"))
    rng = np.random.default_rng(5)
    lines = [f'{a},"k {b}",{a / 7},{["true", "false", ""][b % 3]}' for a, b in rng.integers(0, 9, (60, 2))]
    (tmp_path / "a.csv").write_text("\n".join(["i,s,f,b", *lines, ""]))
    features = [
        col("i").standardize(), col("s").codes(), col("f").fill_null("mean"), col("b"), col("s").frequency(),
    ]  # fmt: skip
    here, there = (gp.Pipeline(features, device=name) for name in ("cpu", "gpu"))
    rows = gp.scan(tmp_path / "a.csv", partitions=partitions)
    assert there.fit_transform(rows).equals(here.fit_transform(rows))
    assert there.state_digest() == here.state_digest()
    assert there.report_.on_host == {"reading f": ROUNDED} == there.explain(rows).on_host
