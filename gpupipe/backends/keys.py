"""Keys: rows into groups. -0.0 equals 0.0, null is a key of its own, NaN is none."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe import optional
from gpupipe.arrow_arrays import array_of, filled, text_of, values_of
from gpupipe.backends import compiled
from gpupipe.backends.distinct import counted, encoded
from gpupipe.backends.order import order_of_strings
from gpupipe.backends.strings import entry_ids, of_entries, rows_of_entries
from gpupipe.columns import Column, Values
from gpupipe.kernels.reference import places
from gpupipe.schema import String

_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def ordered_bits(column: Column) -> Values:
    """int64 per row, ordered as the values are; equal values (0.0 and -0.0) have equal bits."""
    values = column.values
    if values.dtype.kind == "f":
        bits = (values.astype(np.float64) + 0.0).view(np.int64)
        return np.asarray(bits ^ ((bits >> 63) & _SIGN))
    return np.asarray(values.astype(np.int64))


def is_nan(column: Column) -> Values | None:
    """Where a float column is NaN; None for other types."""
    if isinstance(column.values, np.ndarray) and column.values.dtype.kind == "f":
        missing = np.isnan(column.values)
        return missing if missing.any() else None
    return None


def dense_ranks(bits: Values) -> tuple[Values, Values]:
    """(rank of each value among the distinct ones, the distinct ones, sorted), of int64."""
    if len(bits) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    low = int(bits.min())
    span = int(bits.max()) - low + 1
    if _is_dense(span, len(bits)):
        found: tuple[Values, Values] = kernels_for(len(bits)).ranks(bits, low, span)
        return found
    distinct, ranks = np.unique(bits, return_inverse=True)
    return ranks.astype(np.int64, copy=False), distinct


def _is_dense(span: int, n_rows: int) -> bool:
    """Whether a table of so many places costs less than sorting so many rows."""
    return span <= 4 * n_rows + 1024


def kernels_for(n_values: int) -> ModuleType:
    """The form of the kernels of places that is worth its start for so many values; both give the same."""
    return optional.load("gpupipe.kernels.cpu.places") if compiled.worth(n_values) else places


def _string_ranks(column: Column) -> tuple[Values, Column]:
    """Ranks among the distinct strings that rows use, and those strings, sorted by their UTF-8 bytes."""
    column = encoded(column)
    strings, used = column.values.dictionary, np.flatnonzero(rows_of_entries(column))
    if not len(used):
        return np.zeros(len(column), np.int64), Column(String, strings[:0])
    kept = strings if len(used) == len(strings) else strings.take(array_of(used))
    order = order_of_strings(kept)
    rank_of = np.zeros(len(strings), np.int64)
    rank_of[used[order]] = np.arange(len(used))
    return of_entries(rank_of, column), Column(String, kept.take(array_of(order)))


def value_counts(column: Column, times: Values | None = None) -> tuple[Column, Values]:
    """The distinct values of a column without NaN, numbers sorted, and how many rows have each.

    A dictionary's entries are counted, never compared; strings come in no order.

    Args:
        column: of numbers, without nulls; nulls of text count for nothing.
        times: int64 of shape (rows,), how often each row counts, from 1 on; None: once.
    """
    if column.dtype == String:
        return _string_counts(column, times)
    bits = ordered_bits(column)
    if times is None:
        bits = np.sort(bits)
    else:
        order = np.argsort(bits, kind="stable")
        bits, times = bits[order], times[order]
    first = np.flatnonzero(_changes(bits))
    counts = np.diff(first, append=len(bits)) if times is None else sums_of_runs(times, first)
    return Column(column.dtype, from_ordered_bits(bits[first], column.values.dtype)), counts


def _string_counts(column: Column, times: Values | None) -> tuple[Column, Values]:
    if not column.is_dictionary:
        strings, counts = counted(column, times)
        return Column(String, strings), counts
    strings, counts = column.values.dictionary, rows_of_entries(column)
    seen = counts > 0
    if times is not None:
        rows = slice(None) if column.valid is None else column.valid
        counts = np.zeros(len(strings), np.int64)
        np.add.at(counts, entry_ids(column)[rows], times[rows])
    if seen.all():
        return Column(String, strings), counts
    used = np.flatnonzero(seen)
    return Column(String, strings.take(array_of(used))), counts[used]


def order_of_distinct(column: Column) -> Values:
    """int64 positions that sort values without nulls and NaN; equal ones stay as they are."""
    if column.dtype == String:
        return order_of_strings(column.values)
    return np.argsort(ordered_bits(column), kind="stable")


def _changes(values: Values) -> Values:
    """Where a value is another than the one before."""
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    return new


def sums_of_runs(values: Values, first: Values) -> Values:
    """The sum of each stretch of `values`, which begin at `first`."""
    return np.add.reduceat(values, first) if len(first) else np.zeros(0, values.dtype)


def from_ordered_bits(bits: Values, dtype: np.dtype[Any]) -> Values:
    """The values whose :func:`ordered_bits` these are."""
    if dtype.kind != "f":
        return np.asarray(bits.astype(dtype))
    return np.asarray((bits ^ ((bits >> 63) & _SIGN)).view(np.float64).astype(dtype))


def runs(columns: Sequence[Column]) -> tuple[Values, Values]:
    """Of rows that are sorted by `columns` (at least, equal ones stand together): (the number of each row's stretch of
    equal rows, where each stretch begins)."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = False
    for column in columns:
        new[1:] |= _unlike_the_one_before(column)
    return np.cumsum(new) - 1, np.flatnonzero(new)


def sorted_groups(keys: Sequence[Column]) -> tuple[Values, list[Column]]:
    """What :func:`factorize` gives of rows that are sorted by `keys` already, without comparing any but neighbours."""
    of_row, first = runs(keys)
    return of_row, [key.take(first) for key in keys]


def _unlike_the_one_before(column: Column) -> Values:
    if column.dtype == String:
        strings = column.values.dictionary_decode() if column.is_dictionary else column.values
        strings = filled(strings)
        changed = values_of(pc.not_equal(strings[1:], strings[:-1]))
    else:
        changed = column.values[1:] != column.values[:-1]
    if column.valid is None:
        return np.asarray(changed)
    both = column.valid[1:] & column.valid[:-1]
    return np.asarray((changed & both) | (column.valid[1:] != column.valid[:-1]))


def column_ranks(column: Column) -> tuple[Values, Column]:
    """Ranks with nulls after all values and -1 for NaN, and the distinct keys, a null last if there is one."""
    nan, valid = is_nan(column), None if column.valid is None or column.valid.all() else column.valid
    if column.dtype == String:
        ranks, uniques = _string_ranks(column)
    elif nan is None and valid is None:
        ranks, bits = dense_ranks(column.values if column.values.dtype == np.int64 else ordered_bits(column))
        uniques = Column(column.dtype, from_ordered_bits(bits, column.values.dtype))
    else:
        usable = ~nan if valid is None and nan is not None else valid if nan is None else valid & ~nan
        ranks = np.full(len(column), -1, np.int64)
        ranks[usable], bits = dense_ranks(ordered_bits(column)[usable])
        uniques = Column(column.dtype, from_ordered_bits(bits, column.values.dtype))
    if valid is not None:
        ranks[~valid] = len(uniques)
        uniques = with_null(uniques)
    return ranks, uniques


def with_null(column: Column) -> Column:
    """The column with a null row after its last."""
    valid = np.append(np.ones(len(column), bool) if column.valid is None else column.valid, False)
    if column.dtype == String:
        return Column(String, pa.concat_arrays([column.values, text_of("")]), valid)
    return Column(column.dtype, np.append(column.values, column.values.dtype.type(0)), valid)


def factorize(columns: Sequence[Column]) -> tuple[Values, list[Column]]:
    """Rows into groups.

    Returns:
        The group of each row (int64; -1 where a key is NaN) and the keys of each group, sorted, nulls last.
    """
    ranks, uniques = column_ranks(columns[0])
    keys = [uniques]
    for column in columns[1:]:
        inner, distinct = column_ranks(column)
        size = max(len(distinct), 1)
        ranks, both = _ranks_of_pairs(ranks, inner, size, len(keys[0]) * size)
        keys = [key.take(both // size) for key in keys] + [distinct.take(both % size)]
    return ranks, keys


def _ranks_of_pairs(first: Values, second: Values, size: int, span: int) -> tuple[Values, Values]:
    """(the rank of each first * size + second, -1 where one of them is; the distinct ones, sorted)."""
    if _is_dense(span, len(first)):
        found: tuple[Values, Values] = kernels_for(len(first)).ranks_of_pairs(first, second, size, span)
        return found
    combined = first * size + second
    if not len(first) or min(first.min(), second.min()) >= 0:
        return dense_ranks(combined)
    known = (first >= 0) & (second >= 0)
    ranks = np.full(len(first), -1, np.int64)
    ranks[known], both = dense_ranks(combined[known])
    return ranks, both
