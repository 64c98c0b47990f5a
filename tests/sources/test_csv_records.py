"""CSV's records one by one: against Python's csv module, and against Arrow."""

import csv
import io

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_rows import rows_of

from gpupipe.errors import FileFormatError
from gpupipe.sources import scan
from gpupipe.sources.csv_records import is_plain, n_lines, record_at, records, refuse_unclosed

TEXTS = st.lists(st.sampled_from(['"', ",", "\n", "\r\n", "a", "bc", " ", '""', '"d,\ne"']), max_size=30).map("".join)


def by_python(text: str) -> list[tuple[int, list[str]]] | None:
    """(line it begins on, fields) of each record; None where a quote is never closed."""
    reader = csv.reader(io.StringIO(text + "\nEND\n", newline=""))
    found, begin = [], 1
    for record in reader:
        if record:
            found.append((begin, record))
        begin = reader.line_num + 1
    return found[:-1] if found[-1][1] == ["END"] else None


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_records_are_those_of_pythons_csv(text):
    expected, encoded = by_python(text), text.encode()
    if expected is None:
        with pytest.raises(FileFormatError, match="a quote opens here and is never closed"):
            refuse_unclosed("a.csv", encoded, 0)
        return
    refuse_unclosed("a.csv", encoded, 0)
    found = [(record.lines_before + 1, [field.decode() for field in record.fields]) for record in records(encoded)]
    assert found == expected
    for row, (line, _) in enumerate(expected):
        record = record_at(encoded, row)
        assert record is not None and record.lines_before == line - 1
    assert record_at(encoded, len(expected)) is None


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_where_quotes_are_plain_counting_them_tells_what_is_inside(text):
    encoded = text.encode()
    if not is_plain(encoded):
        return
    inside, at = 0, 0
    for record in records(encoded):
        at = encoded.index(record.text, at) + len(record.text)
        inside = encoded.count(b'"', 0, at)
        assert inside % 2 == 0


FIELDS = st.sampled_from(["1", 'x"y', 'say ""', '"q"z', '"two\nlines"', '"a,b"', '5" pipe', '"he said ""hi"""', "é"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=12), st.integers(1, 40))
def test_any_cut_of_quotes_anywhere_reads_as_arrow_reads_the_whole(tmp_path_factory, rows, size):
    text = "a,b\n" + "".join(f"{left},{right}\n" for left, right in rows)
    path = tmp_path_factory.mktemp("quotes") / "a.csv"
    path.write_text(text)
    whole = pa_csv.read_csv(
        pa.BufferReader(text.encode()),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()}),
    )
    asked = {"a": "String", "b": "String"}
    assert rows_of(scan(path, schema=asked, partition_bytes=size), ["a", "b"]) == {
        **whole.to_pydict(),
        "row_ids": list(range(len(whole))),
    }


def test_lines_of_every_kind():
    assert [n_lines(text) for text in (b"", b"a", b"a\n", b"a\r\nb\rc\n")] == [0, 0, 1, 3]
