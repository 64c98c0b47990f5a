"""The state of distinct values: each with how many rows of the group have it."""

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.state import Arrays, Entries, StateKind
from gpupipe.columns import Column, Values
from gpupipe.schema import Boolean, Float64, Int64, String


def distinct(column: Column, groups: Values, times: Values | None) -> Entries:
    """The distinct values of each group and how often they occur, each row counted `times` (None: once)."""
    column = counted_as(column)
    if times is not None and (times == 0).any():
        column, groups, times = column.take(times > 0), groups[times > 0], times[times > 0]
    if not groups.any():  # strings are sorted when the state is finished, and only those that are kept
        found, counts = grouping.value_counts(column, times)
        return Entries(found, np.zeros(len(counts), np.int64), counts, in_order=column.dtype != String)
    ids, (of_group, values) = grouping.factorize([Column(Int64, groups), column])
    weights = np.ones(len(ids), np.int64) if times is None else times
    return Entries(Column(values.dtype, values.values), of_group.values, total(weights, ids, len(of_group)))


def distinct_texts(column: Column) -> Entries:
    """The same of text, all of one group, where nulls count for nothing."""
    found, counts = grouping.value_counts(column)
    return Entries(found, np.zeros(len(counts), np.int64), counts, in_order=False)


def counted_as(column: Column) -> Column:
    """The column in the type that its values are counted in: booleans as 0 and 1, floats as Float64."""
    if column.dtype == Boolean:
        return Column(Int64, column.values.astype(np.int64))
    if column.dtype.is_float and column.dtype != Float64:
        return Column(Float64, column.values.astype(np.float64))
    return column


def in_order(entries: Entries) -> Entries:
    """The entries by group, then by value."""
    if entries.in_order:
        return entries
    found = entries.take(order_of(entries))
    return Entries(found.values, found.groups, found.counts)


def order_of(entries: Entries) -> Values:
    """int64 positions that put entries by group, then by value."""
    if entries.in_order:
        return np.arange(len(entries))
    by_value = grouping.order_of_distinct(entries.values)
    if not entries.groups.any():
        return by_value
    return by_value[np.argsort(entries.groups[by_value], kind="stable")]


def frequent(entries: Entries, min_count: int, max_size: int | None) -> Entries:
    """The entries of one group that may stand in a vocabulary: those often enough, less what `max_size` others beat."""
    least = min_count
    if max_size is not None and max_size < len(entries):
        least = max(least, int(np.partition(entries.counts, -max_size)[-max_size]))
    chosen = np.flatnonzero(entries.counts >= least)
    if len(chosen) == len(entries):
        return entries
    kept = entries.take(chosen)
    return Entries(kept.values, kept.groups, kept.counts, entries.in_order)


def no_arrays(*_: object) -> Arrays:
    """What a kind that keeps entries alone has besides."""
    return {}


VALUES = StateKind("values", no_arrays, no_arrays, invertible=True, stack=no_arrays, entries=distinct)
