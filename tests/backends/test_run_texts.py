"""Strings that have one number for a whole run; the oracles are dicts and Counter."""

import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.backends.run_texts import RunTexts, TextOfRun, reading, texts_of
from gpupipe.backends.states.gathering import gather
from gpupipe.backends.states.numbered import resolved
from gpupipe.backends.states.state import Groups, State
from gpupipe.backends.strings import entry_ids
from gpupipe.columns import Column
from gpupipe.memory import Room

QUICK = settings(max_examples=60, deadline=None)
TEXTS = st.lists(st.text(max_size=12), max_size=30)


def numbers_of(texts: RunTexts, strings: list[bytes]) -> np.ndarray | None:
    """The numbers of strings as a page holds them."""
    page = np.frombuffer(b"".join(struct.pack("<I", len(text)) + text for text in strings), np.uint8)
    return texts.numbers(page.ctypes.data, len(page), len(strings))


def column_of(texts: RunTexts, rows: list[str | None]) -> Column:
    found = numbers_of(texts, [b"" if row is None else row.encode() for row in rows])
    assert found is not None
    valid = None if None not in rows else np.array([row is not None for row in rows])
    return texts.column(found.view(np.int32), valid)


def counted(state: State) -> Counter:
    assert state.entries is not None
    pairs = zip(state.entries.values.values.to_pylist(), state.entries.counts.tolist(), strict=True)
    found = Counter(dict(pairs))
    assert len(found) == len(state.entries)
    return found


@QUICK
@given(st.lists(TEXTS, max_size=5))
def test_a_string_has_one_number(parts: list[list[str]]) -> None:
    texts, known = RunTexts(Room(2**30)), dict[str, int]()
    for part in parts:
        numbers = numbers_of(texts, [text.encode() for text in part])
        assert numbers is not None
        for text, number in zip(part, numbers.tolist(), strict=True):
            assert known.setdefault(text, number) == number
        assert texts.count == len(known)
    for text, number in known.items():
        assert texts.strings()[number].as_py() == text


def test_the_table_grows_amid_a_page() -> None:
    """Of pages of 700 strings, half of them known by then."""
    texts, known = RunTexts(Room(2**30)), dict[bytes, int]()
    for page in range(8):
        strings = [f"{number} of them".encode() for number in range(350 * page, 350 * page + 700)]
        numbers = numbers_of(texts, strings)
        assert numbers is not None
        assert [known.setdefault(text, number) for text, number in zip(strings, numbers.tolist(), strict=True)] == (
            numbers.tolist()
        )
    assert sorted(known.values()) == list(range(texts.count)) == list(range(350 * 9))
    assert [text.encode() for text in texts.strings().to_pylist()] == sorted(known, key=known.__getitem__)


@QUICK
@given(st.lists(st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=30), min_size=1, max_size=5))
def test_counts_are_those_of_the_rows(parts: list[list[str | None]]) -> None:
    """Added one after the other, put together at once, or by their strings."""
    texts = RunTexts(Room(2**30))
    columns = [column_of(texts, part) for part in parts]
    states = [gather("values", each, Groups(None, [], np.array([len(each)]))) for each in columns]
    whole = None
    for state in states:
        whole = texts.added(whole, state)
    assert whole is not None
    wanted = Counter(row for part in parts for row in part if row is not None)
    for state in (whole, texts.merged([[state] for state in states])[0]):
        (found,) = resolved([state])
        assert counted(found) == wanted and found.rows.tolist() == [sum(map(len, parts))]
    assert [counted(resolved([state])[0]) for state in states] == [
        Counter(row for row in part if row is not None) for part in parts
    ]


def test_text_that_is_not_utf8_gets_no_number_nor_does_any_after_it() -> None:
    texts = RunTexts(Room(2**30))
    before = column_of(texts, ["a", "b", "a"])
    assert numbers_of(texts, [b"c", b"\xff\xfe"]) is None and numbers_of(texts, [b"a"]) is None
    assert texts.count == 2 and texts.strings().to_pylist() == ["a", "b"]
    assert before.values.to_pylist() == ["a", "b", "a"]


def test_damaged_lengths_get_no_number() -> None:
    texts = RunTexts(Room(2**30))
    page = np.frombuffer(struct.pack("<I", 9) + b"short", np.uint8)
    assert texts.numbers(page.ctypes.data, len(page), 1) is None and texts.count == 0


def test_without_room_those_that_have_numbers_keep_them() -> None:
    texts = RunTexts(Room(0))
    column = column_of(texts, ["a", "b"])
    assert column.values.to_pylist() == ["a", "b"]
    assert numbers_of(texts, [b"a"]) is None


@pytest.mark.parametrize(("count", "dtype"), [(3, np.uint8), (300, np.uint16), (70_000, np.int32)])
def test_a_column_is_kept_in_few_bytes(count: int, dtype: type) -> None:
    texts = RunTexts(Room(2**30))
    rows = [f"t{number}" for number in range(count)] + ["t1", None]
    column = column_of(texts, rows)
    kept = column.narrowed()  # type: ignore[attr-defined]
    assert kept.values.dtype == dtype
    column_of(texts, ["later"])
    found = texts.widened(kept)
    assert isinstance(found, TextOfRun) and found.values.to_pylist() == rows
    assert found.valid is not None and not found.valid[-1] and found.valid[:-1].all()


def test_many_rows_keep_their_numbers_and_few_are_strings() -> None:
    texts = RunTexts(Room(2**30))
    column = column_of(texts, [f"t{number % 100}" for number in range(20_000)])
    some = column.take(np.arange(0, 20_000, 2))
    assert isinstance(some, TextOfRun) and entry_ids(some)[:3].tolist() == entry_ids(column)[:6:2].tolist()
    assert isinstance(column.rows(5, 9), TextOfRun) and column.rows(5, 9).values.to_pylist() == ["t5", "t6", "t7", "t8"]
    few = column.take(np.array([7, 3]))
    assert type(few) is Column and few.values.to_pylist() == ["t7", "t3"] and not few.is_dictionary


def test_only_what_a_thread_reads_meanwhile_is_numbered() -> None:
    texts = {"c": RunTexts(Room(0))}
    assert reading(texts, lambda: (texts_of("c"), texts_of("d"))) == (texts["c"], None)
    assert texts_of("c") is None
