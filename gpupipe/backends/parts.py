"""The finished value of a state that comes in parts, each with groups (or distinct values) of its own."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of, null_of, values_of
from gpupipe.backends.learn import learned
from gpupipe.backends.states.state import Entries, State
from gpupipe.backends.states.values import frequent
from gpupipe.columns import Column, Values, concat
from gpupipe.compiler.fitted import Learned
from gpupipe.compiler.scans import Gather, Slot
from gpupipe.schema import DType, Int64, String


def learned_from(slot: Slot, gather: Gather, parts: Iterable[State], dtype: DType) -> Learned:
    """The same as :func:`learn.learned` of all parts put together, of which one at a time stands in memory.

    Args:
        parts: of a state with keys of its own, groups that no other part has; else entries that no other has.
    """
    if gather.keys:
        found = [learned(slot, gather, part, dtype) for part in parts]
        return _by_key(found, places=slot.node.op == "place")
    return learned(slot, gather, _together([_kept(slot, part) for part in parts]), dtype)


def _together(parts: list[State]) -> State:
    """One state of parts whose entries are all different. The parts are taken off their list: there may be many."""
    kind, keys, rows = parts[0].kind, parts[0].keys, np.sum([part.rows for part in parts], axis=0)
    entries = [part.entries for part in parts if part.entries is not None]
    parts.clear()
    counts = np.concatenate([each.counts for each in entries])
    groups = np.concatenate([each.groups for each in entries]) if len(rows) > 1 else np.zeros(len(counts), np.int64)
    values = [each.values for each in entries]
    entries.clear()
    pa.default_memory_pool().release_unused()
    return State(kind, keys, rows, {}, Entries(concat(values), groups, counts, in_order=False))


def _kept(slot: Slot, part: State) -> State:
    """The part with those of its entries alone that the finished value may depend on."""
    entries = part.entries
    assert entries is not None
    chosen = _KEPT[slot.node.op](slot, entries) if slot.node.op in _KEPT else entries
    return State(part.kind, part.keys, part.rows, {}, chosen)


def _often(slot: Slot, entries: Entries) -> Entries:
    return frequent(entries, slot.node["min_count"], slot.node["max_size"])


def _most_often(slot: Slot, entries: Entries) -> Entries:
    return entries.take(np.flatnonzero(entries.counts == entries.counts.max())) if len(entries) else entries


def _counted(slot: Slot, entries: Entries) -> Entries:
    """A number for each value: how many there are is all that is asked."""
    return Entries(Column(Int64, np.zeros(len(entries), np.int64)), entries.groups, entries.counts, in_order=False)


_KEPT: dict[str, Callable[[Slot, Entries], Entries]] = {
    "vocabulary": _often,
    "mode": _most_often,
    "n_unique": _counted,
}


def _by_key(parts: list[Learned], places: bool) -> Learned:
    """Tables of different groups as one, sorted by key; the places in a group's list stay in their order.

    The parts are taken off their list, and column after column is put together: no two stand in memory twice.
    """
    n_keys = len(parts[0].keys)
    columns = [[part.keys[at] for part in parts] for at in range(n_keys)] + [[part.value for part in parts]]
    folds, heights = [part.by_fold for part in parts if part.by_fold is not None], [len(part.value) for part in parts]
    parts.clear()
    whole = []
    for column in columns:
        whole.append(concat(column))
        column.clear()
    order = _order(whole[: n_keys - 1] if places else whole[:n_keys])
    for at in range(len(whole)):
        whole[at] = whole[at].take(order)
    pa.default_memory_pool().release_unused()
    return Learned(whole[-1], tuple(whole[:-1]), by_fold=_folds(folds, np.array(heights), order))


def _folds(folds: Sequence[Column], heights: Values, order: Values) -> Column | None:
    if not folds:
        return None
    n_folds = sum(map(len, folds)) // max(int(heights.sum()), 1)
    starts = np.repeat(np.cumsum(heights * n_folds) - heights * n_folds, heights)
    within = np.arange(int(heights.sum())) - np.repeat(np.cumsum(heights) - heights, heights)
    first, step = (starts + within)[order], np.repeat(heights, heights)[order]
    return concat(folds).take(np.concatenate([first + fold * step for fold in range(n_folds)]))


def _order(keys: Sequence[Column]) -> Values:
    """Positions that sort by keys, nulls last; equal ones stay as they are."""
    columns = {str(at): _as_arrow(key) for at, key in enumerate(keys)}
    sort_keys = [(name, "ascending") for name in columns]
    return values_of(pc.sort_indices(pa.table(columns), sort_keys=sort_keys)).astype(np.int64)  # nulls last


def _as_arrow(key: Column) -> pa.Array:
    if key.dtype != String:
        return array_of(key.values, key.valid)
    return key.values if key.valid is None else pc.if_else(array_of(key.valid), key.values, null_of(key.values.type))
