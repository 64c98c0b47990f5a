"""The whole-column functions of text, by the names of their rows in ``expr/columnwise.py``."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.compute as pc

from gpupipe import optional
from gpupipe.arrow_arrays import filled, texts_of
from gpupipe.backends import compiled
from gpupipe.backends.parse import convert
from gpupipe.backends.strings import over_strings
from gpupipe.backends.times import to_date, to_datetime, to_local
from gpupipe.columns import Column, Values
from gpupipe.expr.node import Node
from gpupipe.expr.patterns import replacement
from gpupipe.kernels.reference import hashing
from gpupipe.schema import Boolean, Float64, Int64, String

_WORD = re.compile(r"\b\w\w+\b")


def len_chars(node: Node, x: Column) -> Column:
    return over_strings(x, Int64, pc.utf8_length)


def len_bytes(node: Node, x: Column) -> Column:
    return over_strings(x, Int64, pc.binary_length)


def to_lowercase(node: Node, x: Column) -> Column:
    return over_strings(x, String, pc.utf8_lower)


def to_uppercase(node: Node, x: Column) -> Column:
    return over_strings(x, String, pc.utf8_upper)


def strip_chars(node: Node, x: Column) -> Column:
    characters = node["characters"]
    if characters is None:
        return over_strings(x, String, pc.utf8_trim_whitespace)
    return over_strings(x, String, lambda strings: pc.utf8_trim(strings, characters=characters))


def slice_chars(node: Node, x: Column) -> Column:
    start, length = node["offset"], node["length"]
    stop = None if length is None or (start < 0 and start + length >= 0) else start + length
    return over_strings(x, String, lambda strings: pc.utf8_slice_codeunits(strings, start=start, stop=stop))


def contains(node: Node, x: Column) -> Column:
    find = pc.match_substring if node["literal"] else pc.match_substring_regex
    return over_strings(x, Boolean, lambda strings: find(strings, pattern=node["pattern"]))


def replace(node: Node, x: Column) -> Column:
    change, value = pc.replace_substring_regex, node["value"]
    if not node["literal"]:
        value = replacement(value)
    elif node["pattern"]:
        change = pc.replace_substring
    else:  # an empty text is everywhere, which Arrow's search for a text never comes to the end of
        value = value.replace("\\", r"\\")
    most = 1 if node.op == "replace" else None

    def changed(strings: Any) -> Any:
        return change(strings, pattern=node["pattern"], replacement=value, max_replacements=most)

    return over_strings(x, String, changed)


def starts_with(node: Node, x: Column) -> Column:
    return over_strings(x, Boolean, lambda strings: pc.starts_with(strings, pattern=node["pattern"]))


def ends_with(node: Node, x: Column) -> Column:
    return over_strings(x, Boolean, lambda strings: pc.ends_with(strings, pattern=node["pattern"]))


def word_ngrams(node: Node, x: Column) -> Column:
    """Shape (n_features, rows): counts of hashed word n-grams."""

    def count(strings: Any) -> Values:
        grams = [_grams(text or "", node["low"], node["high"]) for text in strings.to_pylist()]
        flat = texts_of([gram for row in grams for gram in row])
        buckets = (hash_strings(flat, node["seed"]) % np.uint64(node["n_features"])).astype(np.int64)
        rows = np.repeat(np.arange(len(grams)), [len(row) for row in grams])
        counts = np.zeros((node["n_features"], len(grams)))
        np.add.at(counts, (buckets, rows), 1.0)
        return counts

    column = over_strings(x, Float64, count)
    if x.valid is not None:
        column.values[:, ~x.valid] = 0.0
    return Column(Float64, column.values)


def _grams(text: str, low: int, high: int) -> list[str]:
    words = _WORD.findall(text)
    longest = min(high, len(words))
    return [" ".join(words[i : i + n]) for n in range(low, longest + 1) for i in range(len(words) - n + 1)]


_A_STRING = 30  # numbers: NumPy's form takes .3 µs a string, the compiled one .01


def hash_strings(strings: Any, seed: int) -> Values:
    """uint64 XXH64 of each string's UTF-8 bytes (that of a null is arbitrary)."""
    data, offsets = layout(filled(strings))
    return np.asarray(_hashing(len(strings)).hash_strings(data, offsets, seed))


def _hashing(n_strings: int) -> ModuleType:
    """The form of the kernels of hashes that is worth its start; both give the same."""
    return optional.load("gpupipe.kernels.cpu.hashing") if compiled.worth(_A_STRING * n_strings) else hashing


def layout(strings: Any) -> tuple[Values, Values]:
    """(uint8 bytes, int64 offsets, one more than there are strings) of a ``pa.StringArray`` without nulls."""
    _, offsets, data = strings.buffers()
    if len(strings) == 0 or offsets is None:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    ends = np.frombuffer(offsets, np.int32, len(strings) + 1, strings.offset * 4).astype(np.int64)
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), ends


TEXT: dict[str, Callable[[Node, Column], Column]] = {
    "len_chars": len_chars,
    "len_bytes": len_bytes,
    "to_lowercase": to_lowercase,
    "to_uppercase": to_uppercase,
    "strip_chars": strip_chars,
    "slice": slice_chars,
    "contains": contains,
    "replace": replace,
    "replace_all": replace,
    "starts_with": starts_with,
    "ends_with": ends_with,
    "to_datetime": to_datetime,
    "to_date": to_date,
    "convert": convert,
    "to_local": to_local,
    "word_ngrams": word_ngrams,
}
