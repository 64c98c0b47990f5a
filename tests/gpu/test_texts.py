"""Functions of text over a dictionary in a device's memory: the CPU's bytes, by cuDF where it may, and told why not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_parity import bits, fitted

import gpupipe as gp
from benchmarks.gpu import texts as benchmark
from benchmarks.gpu.report import Record
from gpupipe import col
from gpupipe.backends import devices
from gpupipe.backends.categories import Tables
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.gpu import libcudf
from gpupipe.backends.gpu.backend import GpuBackend
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.libcudf import Texts, column_of
from gpupipe.columns import Column, Frame
from gpupipe.errors import DeviceMemoryError
from gpupipe.expr.expr import Expr
from gpupipe.schema import String
from gpupipe.sources.border import to_column

from . import cudf_standin
from . import libcudf_standin as standin
from .nvrtc import why_not
from .simulated import SimulatedDevice

CPU = CpuBackend(numba=False)
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
WORDS = ["b", "", None, "Ab aB", "  a\t", "zz~\x7f", "a", "aaa", "\x1fq\x00q ", "B"]

text = col("s")
BY_CUDF: dict[str, Expr] = {
    "lower": text.str.to_lowercase(),
    "upper": text.str.to_uppercase(),
    "chars": text.str.len_chars(),
    "bytes": text.str.len_bytes(),
    "strip": text.str.strip_chars(),
    "strip some": text.str.strip_chars("ab "),
    "from the second": text.str.slice(1),
    "one amid": text.str.slice(1, 1),
    "none": text.str.slice(2, 0),
    "the last two": text.str.slice(-2),
    "from behind": text.str.slice(-3, 1),
    "from behind to the end": text.str.slice(-2, 5),
    "far": text.str.slice(2**31 - 1, 2**31 - 1),
    "contains": text.str.contains("a", literal=True),
    "starts": text.str.starts_with("a"),
    "ends": text.str.ends_with("b "),
    "replace": text.str.replace("a", "xy", literal=True),
    "replace all": text.str.replace_all("a", "", literal=True),
    "replace overlapping": text.str.replace_all("aa", "b", literal=True),
    "fill": text.fill_null("none"),
    "null": text.is_null(),
    "not null": text.is_not_null(),
    "equal": text == "a",
    "unequal": text != "a",
    "below": text < "b",
    "up to": text <= "a",
    "above": text > "B",
    "from": text >= "a",
    "chain": text.fill_null(" A ").str.strip_chars().str.to_lowercase().str.slice(0, 2).str.len_chars(),
    "chain to text": text.str.to_uppercase().str.replace_all("A", " ", literal=True).str.strip_chars(),
}
BY_HOST: dict[str, tuple[Expr, str]] = {
    "regex": (text.str.contains("a+"), "regular expressions are matched on the host"),
    "regex replaced": (text.str.replace_all("a+", "x"), "regular expressions are matched on the host"),
    "parsed": (text.str.to_date(strict=False), "values are read from text on the host"),
    "number": (text.cast("Float64", strict=False), "values are read from text on the host"),
    "empty needle": (text.str.contains("", literal=True), "cuDF is given no such argument"),
    "nothing to strip": (text.str.strip_chars(""), "cuDF is given no such argument"),
    "needle": (text.str.contains("é", literal=True), "cuDF is given no such argument"),
    "value": (text.str.replace("a", "é", literal=True), "cuDF is given no such argument"),
    "filled": (text.fill_null("é"), "cuDF is given no such argument"),
    "compared": (text < "é", "cuDF is given no such argument"),
}  # fmt: skip


class There:
    """A device with cuDF, for which any dictionary has many texts, and what it computes beside the CPU."""

    def __init__(self, patch: Any, device: SimulatedDevice) -> None:
        self.device = device
        self.library, self.fakes = standin.installed(patch, device)
        patch.setattr(libcudf, "MANY", 1)

    def held(self, words: Sequence[str | None], dictionary: bool = False) -> DeviceColumn:
        array = pa.array(words, pa.string())
        if dictionary:
            return column_of(self.device, standin.Dictionary(self.device, array.dictionary_encode()), String)
        return column_of(self.device, standin.Column(self.device, array), String)

    def both(self, features: Sequence[Expr], column: DeviceColumn, words: Sequence[str | None]) -> tuple[Any, ...]:
        """(what the CPU makes, what the device makes, why the host did some of it, the device's program, its frame)."""
        source = gp.scan(pa.table({"s": pa.array(words, pa.string())}))
        made = fitted(features, source, CPU).features
        backend = GpuBackend(self.device)
        program = backend.prepare(made.outputs, made._binder.info, Tables(made.fitted))
        rows = np.arange(len(words), dtype=np.uint64)
        frame = Frame({"s": column}, len(words), rows)
        expected = made.columns(Frame({"s": to_column(pa.array(words, pa.string()))}, len(words), rows))
        return expected, program.columns(frame), backend.on_host, program, frame


@pytest.fixture(scope="module")
def shared() -> SimulatedDevice:
    """One device for all: kernels are compiled once."""
    if why_not():
        pytest.skip(why_not())
    return SimulatedDevice()


@pytest.fixture
def there(shared: SimulatedDevice, monkeypatch: pytest.MonkeyPatch) -> There:
    return There(monkeypatch, shared)


def called(there: There) -> set[str]:
    """The functions of text that cuDF was asked for."""
    names = {call.name for call in there.fakes.calls}
    return {name for name in names if name.startswith(("pylibcudf.strings.", "pylibcudf.binaryop", "pylibcudf.repl"))}


def same(expected: Sequence[Column], found: Sequence[Column]) -> bool:
    return [bits(column) for column in expected] == [bits(column) for column in found]


# -- what cuDF does ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", BY_CUDF)
def test_a_function_over_entries_on_the_device_gives_the_cpus_bytes(there: There, name: str) -> None:
    column = there.held(WORDS)
    assert isinstance(column.entries, Texts)
    there.fakes.calls.clear()
    expected, found, on_host, _, _ = there.both([BY_CUDF[name].alias("made")], column, WORDS)
    assert same(expected, found) and on_host == {}
    assert called(there) or name in ("null", "not null")
    assert column.entries._host is None, "the texts that it is made of did not come down"


def test_numbers_of_texts_never_leave_the_device(there: There) -> None:
    features = [BY_CUDF[name].alias(name) for name in ("bytes", "chain", "contains", "null")]
    _, _, _, program, frame = there.both(features, there.held(WORDS), WORDS)
    wanted = fitted(features, gp.scan(pa.table({"s": WORDS})), CPU).features.matrix(
        Frame({"s": to_column(pa.array(WORDS, pa.string()))}, len(WORDS), frame.row_ids)
    )
    out = there.device.empty((len(WORDS), len(features)), np.float32)
    downloads = there.device.downloads
    program.matrix(frame, out)
    assert there.device.downloads == downloads, "nothing that may fail is waited for either"
    assert out.to_host().tobytes() == np.ascontiguousarray(wanted).tobytes()


ASCII = st.text(st.characters(max_codepoint=127), max_size=6)
ODD = st.sampled_from(["ß", "Ünï", "😀", "ı", "ŉ"])


@FEW
@given(words=st.lists(st.none() | ASCII, min_size=1, max_size=9), odd=st.lists(ODD, max_size=1), needle=ASCII)
def test_whatever_the_texts_the_cpus_bytes_come_out(
    shared: SimulatedDevice, words: list[str | None], odd: list[str], needle: str
) -> None:
    rows = [*words, *odd, *words]
    asked = [
        text.str.contains(needle, literal=True), text.str.replace_all(needle, "ab", literal=True),
        text.str.strip_chars(needle), text < needle, text.fill_null(needle),
        text.str.replace("a", needle, literal=True).str.starts_with(needle[:1]),
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        there = There(patch, shared)
        column = there.held(rows)
        assert isinstance(column.entries, Column) == bool(odd)
        features = [made.alias(f"made {at}") for at, made in enumerate((*BY_CUDF.values(), *asked))]
        expected, found, on_host, _, _ = there.both(features, column, rows)
        assert same(expected, found)
        assert bool(on_host) == bool(odd or not needle)


def test_learned_codes_find_what_was_made_on_the_device(there: There) -> None:
    feature = text.str.to_lowercase().str.slice(0, 1).codes().alias("made")
    expected, found, on_host, _, _ = there.both([feature], there.held(WORDS), WORDS)
    assert same(expected, found) and on_host == {}


@pytest.mark.parametrize("missing", [False, True])
def test_keys_of_a_dictionary_stay_too_where_no_row_is_null(there: There, missing: bool) -> None:
    words = ["b", "A", "b", None] if missing else ["b", "A", "b"]
    column = there.held(words, dictionary=True)
    assert isinstance(column.entries, Column) == missing
    expected, found, _, _, _ = there.both([BY_CUDF["chain"].alias("made"), BY_CUDF["lower"].alias("l")], column, words)
    assert same(expected, found)


# -- what it does not -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", BY_HOST)
def test_what_the_host_does_over_many_texts_is_said(there: There, name: str) -> None:
    feature, why = BY_HOST[name]
    column = there.held(WORDS)
    there.fakes.calls.clear()
    expected, found, on_host, _, _ = there.both([feature.alias("made")], column, WORDS)
    assert same(expected, found) and not called(there)
    assert list(on_host.values()) == [f"{why}, once for each distinct text"]


def test_texts_that_are_not_ascii_are_the_hosts(there: There) -> None:
    words = ["Straße", "a", None]
    column = there.held(words)
    expected, found, on_host, _, _ = there.both([text.str.to_uppercase().alias("made")], column, words)
    assert isinstance(column.entries, Column) and same(expected, found) and not called(there)
    assert [why.partition(";")[0] for why in on_host.values()] == ["cuDF is given only ASCII that it decoded"]


def test_few_texts_are_the_hosts_without_a_word(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcudf, "MANY", 1 << 16)
    column = there.held(WORDS)
    features = [BY_CUDF["chain"].alias("a"), BY_HOST["compared"][0]]
    expected, found, on_host, _, _ = there.both(features, column, WORDS)
    assert isinstance(column.entries, Column) and same(expected, found) and on_host == {} and not called(there)


def test_a_refusal_of_cudf_is_done_again_by_the_host(there: There) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDF failure: it would not")

    there.fakes.behaviour["pylibcudf.strings.case.to_lower"] = refuse
    expected, found, on_host, _, _ = there.both([BY_CUDF["lower"].alias("made")], there.held(WORDS), WORDS)
    assert same(expected, found) and "it would not" in str(on_host)


def test_too_little_memory_is_an_error_of_its_own(there: There) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise standin.OutOfMemory("std::bad_alloc: out_of_memory")

    there.fakes.behaviour["pylibcudf.strings.case.to_lower"] = refuse
    with pytest.raises(DeviceMemoryError, match="to_lowercase"):
        there.both([BY_CUDF["lower"].alias("made")], there.held(WORDS), WORDS)


def test_texts_too_long_for_the_host_do_not_stay(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcudf, "_MOST_BYTES", 40)
    words = ["abc" * 5, "b" * 5]
    expected, found, on_host, _, _ = there.both(
        [text.str.replace_all("b", "xyz" * 3, literal=True).alias("made")], there.held(words), words
    )
    assert same(expected, found)
    assert list(on_host.values()) == ["its texts have more than 40 bytes"]


def test_memory_of_texts_counts_and_goes_with_them(there: There) -> None:
    column = there.held(WORDS)
    assert isinstance(column.entries, Texts) and column.ids is not None
    assert column.device_bytes == column.ids.nbytes + column.entries.device_bytes > column.ids.nbytes
    assert column.rows(0, 3).to_host().values.to_pylist() == WORDS[:3]


# -- whole pipelines ----------------------------------------------------------------------------------------------
@pytest.fixture
def found(there: There, monkeypatch: pytest.MonkeyPatch) -> There:
    """The same, taken for the machine's."""
    monkeypatch.setattr(devices._Look, "found", devices.Found(there.device, "a simulated one"))
    return there


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_fit_from_a_file_has_the_cpus_bits(found: There, tmp_path: Path, partitions: int) -> None:
    rng = np.random.default_rng(1)
    words = [WORDS[at] for at in rng.integers(0, len(WORDS), 90)]
    pq.write_table(pa.table({"s": pa.array(words, pa.string())}), tmp_path / "a.parquet", row_group_size=30)
    features = [
        text.str.to_lowercase().str.strip_chars().codes().alias("code"), text.str.len_chars().fill_null("mean"),
        text.fill_null("none").str.slice(0, 2).one_hot(), (text == "a").alias("is a"), text.alias("as it is"),
        text.str.contains("a|b").alias("either"), text.hash_buckets(5).alias("bucket"),
    ]  # fmt: skip
    here, there = (gp.Pipeline(features, device=device) for device in ("cpu", "gpu"))
    rows = gp.scan(tmp_path / "a.parquet", partitions=partitions)
    wanted, made = here.fit_transform(rows), there.fit_transform(rows)
    assert made.equals(wanted) and here.state_digest() == there.state_digest()
    assert len(called(found)) >= 5
    told = {"s.str.contains('a|b')": "regular expressions are matched on the host, once for each distinct text"}
    assert there.explain(rows).on_host == told


@pytest.mark.parametrize("name", [*BY_CUDF, *BY_HOST])
def test_what_explain_tells_of_an_expression_alone(found: There, name: str) -> None:
    feature, why = BY_HOST.get(name) or (BY_CUDF[name], "")
    page = gp.Pipeline([feature.alias("made")], device="gpu").explain(pa.table({"s": WORDS}))
    told = why.startswith(("regular", "values are"))
    reasons = [reason for what, reason in page.on_host.items() if not what.startswith("reading ")]
    assert reasons == ([f"{why}, once for each distinct text"] if told else [])


def test_the_check_of_a_real_device_runs_and_finds_what_is_wrong(
    shared: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = cudf_standin.installed(monkeypatch, shared)
    monkeypatch.setattr(devices._Look, "found", devices.Found(shared, "a simulated one"))
    record = Record()
    benchmark.run(record, 40)
    assert "they were copied to the host" in record.errors["texts stay on the device"]
    monkeypatch.setattr(libcudf, "MANY", 1)
    record = Record()
    benchmark.run(record, 40)
    steps = [record.figures[name] for name in (*benchmark.FUNCTIONS, "pipelines")]
    assert record.errors == {} and [step["wrong values"] for step in steps] == [0] * len(steps)
    assert record.figures["pipelines"]["equal digests"] and not record.figures["pipelines"]["on the host"]
    gpu.fakes.behaviour["pylibcudf.strings.case.to_lower"] = lambda input, stream=None: input
    again = Record()
    benchmark.run(again, 40)
    assert again.figures["lower case"]["wrong values"] > 0 and again.figures["pipelines"]["wrong values"] > 0
