"""The whole-column functions of categories and keys, by the names of their rows in ``expr/columnwise.py``."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gpupipe.arrow_arrays import texts_of
from gpupipe.backends.indexes import KeyIndex, ValueIndex, same_keys
from gpupipe.backends.keys import kernels_for
from gpupipe.backends.registers import height, spread
from gpupipe.backends.run_texts import TextOfRun
from gpupipe.backends.strings import of_entries, over_strings
from gpupipe.backends.text import hash_strings
from gpupipe.columns import Column, Values
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.errors import InternalError, UnknownCategoryError
from gpupipe.expr.node import Node
from gpupipe.kernels.reference import hashing
from gpupipe.schema import Boolean, Int32, Int64, Null, String, parse_dtype

_IN_ONE_PASS = (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_))
# What null hashes to, whatever the seed: "null" as ASCII, twice.
NULL_HASH = np.uint64(0x6E756C6C_6E756C6C)


class Tables:
    """The learned tables of a pipeline, with their indexes, each built once when first asked for."""

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted
        self._values: dict[Any, ValueIndex] = {}
        self._keys: dict[int, KeyIndex] = {}
        self._codes: dict[Any, Values] = {}
        self._coding = threading.Lock()

    def learned(self, node: Node) -> Learned:
        """What a state, table or lookup node refers to."""
        return self.fitted.slots[node["slot"]][node.get("component", 0)]

    def entries(self, table: Node) -> ValueIndex:
        """The index of a vocabulary."""
        slot = table["slot"]
        if slot not in self._values:
            self._values[slot] = ValueIndex(self.learned(table).value)
        return self._values[slot]

    def codes_of(self, node: Node, column: TextOfRun, make: Callable[[Column], Values]) -> Values:
        """The codes of all strings of a run that a column may have, made once when first asked for."""
        strings, key = column.values.dictionary, (node, column.texts)
        with self._coding:
            if len(self._codes.get(key, ())) < len(strings):
                self._codes[key] = make(Column(String, strings))
            return self._codes[key]

    def listed(self, node: Node, name: str) -> ValueIndex:
        """The index of values that stand in a node's parameter."""
        if node not in self._values:
            self._values[node] = ValueIndex(_literals(node[name], node["dtype"]))
        return self._values[node]

    def groups(self, lookup: Node) -> KeyIndex:
        """The index of a lookup's keys: one for all components, and for all statistics over the same keys."""
        slot = lookup["slot"]
        if slot not in self._keys:
            keys = self.learned(lookup).keys
            known = list(self._keys.values())  # other threads add theirs meanwhile
            alike = (index for index in known if same_keys(index.keys, keys))
            self._keys[slot] = next(alike, None) or KeyIndex(keys)
        return self._keys[slot]


def _literals(values: tuple[Any, ...], dtype: str) -> Column:
    """The values as planning wrote them: in the column's type, None where no row can have such a value."""
    kind = parse_dtype(dtype)
    if kind == String:
        return Column(String, texts_of(values))
    valid = np.array([value is not None for value in values], bool)
    return Column(kind, np.array([0 if value is None else value for value in values], kind.storage), valid)


def codes(tables: Tables, node: Node, x: Column) -> Column:
    """0 null, 1 … B other, then the vocabulary."""
    index, buckets = tables.entries(node.args[1]), node["other_buckets"]
    if isinstance(x, TextOfRun):
        result = of_entries(tables.codes_of(node, x, lambda strings: _codes_of(index, buckets, strings)), x)
    elif x.is_dictionary and 0 < len(x.values.dictionary) <= len(x):
        result = of_entries(_codes_of(index, buckets, Column(String, x.values.dictionary)), x)
    else:
        result = _codes_of(index, buckets, Column(x.dtype, x.values))
    if x.valid is not None:
        result *= x.valid
    return Column(Int32, result)


def _codes_of(index: ValueIndex, buckets: int, values: Column) -> Values:
    """int32, the code of each value, none of which is null."""
    found = index.find(values)
    if buckets == 1:  # -1, what is not listed, becomes 1
        result = (found + 2).astype(np.int32)
    else:
        other = 1 + (hash_column(values, 0) % np.uint64(buckets)).astype(np.int64)
        result = np.where(found < 0, other, found + (1 + buckets)).astype(np.int32)
    return result


def lookup(tables: Tables, node: Node, *keys: Column) -> Column:
    """The learned value of each row's group; null where the group was not seen."""
    size = height(keys)
    entry = tables.learned(node)
    value, plain = entry.value, keys[:-1] if node["by_fold"] else keys
    at = tables.groups(node).find([spread(key, size) for key in plain]) if plain else np.zeros(size, np.int64)
    folds, height_of_fold = None, len(value)
    if node["by_fold"]:
        if entry.by_fold is None:
            raise InternalError("Out-of-fold values exist only while fitting.")
        folds, value = spread(keys[-1], size).values, entry.by_fold
    if len(value) == 0:
        return _all_null(value, size)
    if isinstance(value.values, np.ndarray) and value.values.dtype in _IN_ONE_PASS:
        taken = kernels_for(size).taken
        found, seen = taken(value.values, at, folds, height_of_fold)
        if value.valid is not None:
            there, _ = taken(value.valid, at, folds, height_of_fold)
            seen = there if seen is None else np.logical_and(there, seen, out=there)
        return Column(value.dtype, found, None if seen is None or seen.all() else seen)
    return _taken(value, at if folds is None else np.where(at < 0, at, at + folds * height_of_fold))


def _taken(value: Column, at: Values) -> Column:
    seen = at >= 0
    found = value.take(at if seen.all() else np.where(seen, at, 0))
    valid = seen if found.valid is None else seen & found.valid
    return Column(found.dtype, found.values, None if valid.all() else valid)


def _all_null(value: Column, size: int) -> Column:
    valid = np.zeros(size, bool)
    if value.dtype == String:
        return Column(String, texts_of([""] * size), valid)
    return Column(value.dtype, np.zeros(size, value.values.dtype), valid)


def is_in(tables: Tables, node: Node, x: Column) -> Column:
    """Whether the value is listed; null stays null."""
    index = tables.listed(node, "values")
    return Column(Boolean, _found(index, x) >= 0, x.valid)


def _found(index: ValueIndex, x: Column) -> Values:
    return np.full(len(x), -1) if x.dtype == Null else index.find(Column(x.dtype, x.values))


def ordinal(tables: Tables, node: Node, x: Column) -> Column:
    """The position in the given order."""
    found = _found(tables.listed(node, "order"), x)
    missing = found < 0 if x.valid is None else (found < 0) & x.valid
    if missing.any() and node["unknown"] == "error":
        row = int(np.flatnonzero(missing)[0])
        shown = x.take(np.array([row])).values[0]
        value = shown.as_py() if hasattr(shown, "as_py") else shown.item()
        raise UnknownCategoryError(
            f"{value!r} is not among the {len(node['order'])} values listed. List it, or give unknown='null'."
        ).at(row)
    valid = x.valid if not missing.any() else (found >= 0) & (True if x.valid is None else x.valid)
    return Column(Int32, np.maximum(found, 0).astype(np.int32), valid)


def hash_bucket(tables: Tables, node: Node, *columns: Column) -> Column:
    """XXH64 of the values, mixed in order, modulo the number of buckets."""
    size = height(columns)
    first, *others = (hash_column(spread(column, size), node["seed"]) for column in columns)
    for other in others:
        first = hashing.mix(first, other)
    return Column(Int32, (first % np.uint64(node["buckets"])).astype(np.int32))


def hash_column(column: Column, seed: int) -> Values:
    """uint64 of shape (rows,): XXH64 of each value; null has a value of its own."""
    if column.dtype == String:
        hashes = over_strings(
            Column(String, column.values, column.valid), Int64, lambda s: hash_strings(s, seed)
        ).values
    elif column.dtype.is_float:
        hashes = hashing.hash_float64(column.values.astype(np.float64), seed)
    else:
        hashes = hashing.hash_int64(column.values.astype(np.int64), seed)
    if column.valid is None:
        return np.asarray(hashes)
    return np.where(column.valid, hashes, NULL_HASH)


CATEGORIES: dict[str, Callable[..., Column]] = {
    "codes": codes,
    "lookup": lookup,
    "is_in": is_in,
    "ordinal": ordinal,
    "hash_bucket": hash_bucket,
}
