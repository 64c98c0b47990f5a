"""Finished states as what the compiler binds to."""

import numpy as np

from gpupipe.backends.finish import FINISH, place, vocabulary
from gpupipe.backends.states.state import State
from gpupipe.backends.states.wholes import by_folds
from gpupipe.backends.steps import Steps, finished
from gpupipe.columns import Column, Values, concat
from gpupipe.compiler.fitted import Learned
from gpupipe.compiler.scans import Gather, Slot
from gpupipe.schema import DType


def learned(slot: Slot, gather: Gather, state: State, dtype: DType, steps: Steps | None = None) -> Learned:
    """The finished value of one slot from the merged state of its gather.

    Where folds are kept, the full value and each fold's training value.

    Args:
        steps: what is still to be done to the values; None: nothing.
    """
    if steps is not None:
        return _of_groups(finished(slot, state, dtype, steps), state)
    if slot.node.op == "vocabulary":
        column, counts = vocabulary(state, slot.node, dtype)
        return Learned(column, counts=counts)
    if slot.node.op == "place":
        places, keys = place(state, slot.node)
        return Learned(places, keys)
    if not gather.folds:
        return _finished(slot, state, dtype)
    whole, outside = by_folds(state, gather.folds)
    full = _finished(slot, whole, dtype)
    parts = [_where_seen(_finished(slot, part, dtype).value, part.rows) for part in outside]
    return Learned(full.value, full.keys, by_fold=concat(parts))


def _where_seen(value: Column, rows: Values) -> Column:
    """Null where a group has no row."""
    seen = rows > 0
    valid = seen if value.valid is None else seen & value.valid
    return _zero_under_nulls(Column(value.dtype, value.values, None if valid.all() else valid))


def _zero_under_nulls(column: Column) -> Column:
    """The digest sees what stands under a null too, and that may depend on which groups were finished together."""
    if column.valid is None or not isinstance(column.values, np.ndarray):
        return column
    return Column(column.dtype, np.where(column.valid, column.values, column.values.dtype.type(0)), column.valid)


def _finished(slot: Slot, state: State, dtype: DType) -> Learned:
    return _of_groups(FINISH[slot.node.op](state, slot.node, dtype), state)


def _of_groups(value: Column, state: State) -> Learned:
    if state.n_groups == 0:
        value = Column(value.dtype, value.values, np.zeros(0, bool))
    return Learned(_zero_under_nulls(value), tuple(state.keys))
