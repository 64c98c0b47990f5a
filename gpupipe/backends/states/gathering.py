"""States made of a partition's rows, combined, and taken apart by folds."""

from collections.abc import Sequence

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.run_texts import TextOfRun
from gpupipe.backends.states.counts import COUNT
from gpupipe.backends.states.ends import ENDS
from gpupipe.backends.states.ends import merged as merged_ends
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.kinds import KINDS, MERGED
from gpupipe.backends.states.moments import MEANS, MOMENTS, SUM, TAILS, each
from gpupipe.backends.states.state import Entries, Groups, State
from gpupipe.backends.states.values import VALUES, distinct_texts
from gpupipe.columns import Column, Values, concat, taken_from
from gpupipe.errors import NonFiniteError
from gpupipe.schema import String

_SUMS = (SUM.name, MOMENTS.name, TAILS.name)
NAN = "NaN stands among the values. Use .nan_to_null() before, then .fill_null(…) if needed."


def gather(kind: str, column: Column, by: Groups, times: Values | None = None, *, squares: bool = True) -> State:
    """The state of `column` over the rows of one partition, grouped as `by` says.

    Args:
        times: int64 of shape (rows,), how often each row counts; None: once.
        squares: whether moments are asked for more than a mean.

    Raises:
        NonFiniteError: NaN among the values, or an infinity in moments.
        IntegerOverflowError: a sum of integers that may leave int64.
    """
    if kind == VALUES.name and column.dtype == String and by.of_row is None and times is None:
        if isinstance(column, TextOfRun):
            return column.texts.counted(column, by.rows)
        return State(kind, [], by.rows, {}, distinct_texts(column))  # nulls need not be taken out before
    if kind == COUNT.name and by.of_row is None and times is None:
        _refuse_nan(column)
        return State(kind, [], by.rows, {"n": np.array([len(column) - column.null_count])})
    n_groups = len(by.rows)
    seen = column.valid
    if by.of_row is not None and by.numbering is None and (by.of_row < 0).any():
        seen = by.of_row >= 0 if seen is None else seen & (by.of_row >= 0)
    groups = np.zeros(len(column), np.int64) if by.of_row is None else by.of_row
    rows = None if seen is None or seen.all() else np.flatnonzero(seen)
    if rows is not None:
        column, groups, times = column.take(rows), groups[rows], None if times is None else times[rows]
    column = Column(column.dtype, column.values)
    with taken_from(rows):
        _refuse_nan(column)
        made = KINDS[kind] if squares or kind != MOMENTS.name else MEANS
        entries = None if made.entries is None else made.entries(column, groups, times)
        all_counted = rows is None and times is None and int(by.rows.sum()) == len(column)
        arrays = made.update(column, groups, n_groups, times, by.rows if all_counted else None)
        return State(kind, list(by.keys), by.rows, arrays, entries, by.numbering)


def _refuse_nan(column: Column) -> None:
    nan = grouping.is_nan(column)
    rows = np.zeros(0, np.int64) if nan is None else np.flatnonzero(nan if column.valid is None else nan & column.valid)
    if len(rows):
        raise NonFiniteError(NAN).at(int(rows[0]))


def with_rows(state: State, values: Column, times: Values, groups: Values) -> State:
    """The state as if it had seen more rows: `times[i]` of the value `values[i]` in the group `groups[i]`.

    A null value counts as a row that is null. This is how a value known only after the scan fills in for nulls: take
    the rows out with :func:`without_nulls` first, where they were counted as nulls.
    """
    rows = total(times, groups, state.n_groups)
    more = gather(state.kind, values, Groups(groups, state.keys, rows), times)
    both = _stacked([state, more])
    both.keys = []
    return regroup(both, state.keys, np.tile(np.arange(state.n_groups), 2))


def without_nulls(state: State, times: Values, groups: Values) -> State:
    """The state as if `times[i]` rows of the group `groups[i]`, all of them null, had not been seen."""
    rows = state.rows - total(times, groups, state.n_groups)
    return State(state.kind, state.keys, rows, state.arrays, state.entries)


def regroup(state: State, keys: list[Column], groups: Values, chosen: Values | None = None) -> State:
    """The state with its groups mapped to others (many may become one); rows of `chosen` alone, if given."""
    n_groups = len(keys[0]) if keys else 1
    kept = np.ones(state.n_groups, bool) if chosen is None else chosen
    all_of_them = bool(kept.all())
    into = groups if all_of_them else groups[kept]
    arrays = state.arrays if all_of_them else {name: array[kept] for name, array in state.arrays.items()}
    rows = total(state.rows if all_of_them else state.rows[kept], into, n_groups)
    made = MERGED[state.kind]
    combined = made.combine(arrays, into, n_groups)
    if state.entries is None or made.entries is None:
        return State(state.kind, keys, rows, combined)
    found = state.entries if all_of_them else state.entries.take(kept[state.entries.groups])
    entries = made.entries(found.values, groups[found.groups], found.counts)
    return State(state.kind, keys, rows, combined, entries)


def _stacked(states: list[State], with_keys: bool = True) -> State:
    """The states one below the other: groups of equal keys still apart."""
    first = states[0]
    offsets = np.cumsum([0, *(state.n_groups for state in states)])
    keys = [concat([state.keys[index] for state in states]) for index in range(len(first.keys) if with_keys else 0)]
    arrays = MERGED[first.kind].stack([state.arrays for state in states])
    rows = np.concatenate([state.rows for state in states])
    found = [(state.entries, offset) for state, offset in zip(states, offsets, strict=False)]
    parts = [(entries, entries.groups + offset) for entries, offset in found if entries is not None]
    if not parts:
        return State(first.kind, keys, rows, arrays)
    values = concat([entries.values for entries, _ in parts])
    groups = np.concatenate([moved for _, moved in parts])
    return State(
        first.kind, keys, rows, arrays, Entries(values, groups, np.concatenate([each.counts for each, _ in parts]))
    )


def merge(states: list[State], known: tuple[Values, list[Column]] | None = None) -> State:
    """One state of all rows that `states` saw, in whatever order.

    Args:
        known: what :func:`keys.factorize` gives of their keys, one below the other, where that is known already.
    """
    if len(states) == 1:
        return states[0]
    if states[0].kind == ENDS.name:
        return merged_ends(states)
    whole = _stacked(states, with_keys=known is None)
    if known is not None:
        groups, keys = known
        return regroup(whole, keys, groups)
    if not whole.keys:
        return regroup(whole, [], np.zeros(whole.n_groups, np.int64))
    groups, keys = grouping.factorize(whole.keys)
    return regroup(whole, keys, groups)


def merge_alike(parts: Sequence[Sequence[State]]) -> list[State | None]:
    """States of whole columns, those of each partition side by side: many sums are added as one array.

    Returns:
        each merged, as :func:`merge` would; None for those that are not of this kind.
    """
    merged: list[State | None] = [None] * len(parts[0])
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, state in enumerate(parts[0]):
        if state.kind in _SUMS and not state.keys:
            names = {name for part in parts for name in part[number].arrays}
            alike.setdefault((state.kind, *sorted(names)), []).append(number)
    for (kind, *_), numbers in alike.items():
        states = [part[number] for part in parts for number in numbers]
        groups, size = np.tile(np.arange(len(numbers)), len(parts)), len(numbers)
        arrays = KINDS[kind].combine(KINDS[kind].stack([state.arrays for state in states]), groups, size)
        rows = total(np.concatenate([state.rows for state in states]), groups, size)
        for at, (number, of_one) in enumerate(zip(numbers, each(arrays), strict=True)):
            merged[number] = State(kind, [], rows[at : at + 1], of_one)
    return merged


def without_fold(state: State) -> State:
    """The state of all folds together: the last key, the fold, is dropped."""
    if len(state.keys) == 1:
        return regroup(state, [], np.zeros(state.n_groups, np.int64))
    groups, keys = grouping.sorted_groups(state.keys[:-1])
    return regroup(state, keys, groups)


def outside_each(state: State, whole: State, fold: int) -> State:
    """The state of the rows whose last key, the fold, is another, by the groups of `whole`: the state without folds."""
    outside = state.keys[-1].values != fold
    groups = np.zeros(state.n_groups, np.int64)
    if whole.keys:
        groups, _ = grouping.runs(state.keys[:-1])
    return regroup(state, whole.keys, groups, outside)
