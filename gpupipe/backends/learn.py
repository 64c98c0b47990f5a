"""Finished states as what the compiler binds to."""

from collections.abc import Sequence

import numpy as np

from gpupipe.backends import states
from gpupipe.backends.finish import FINISH, place, vocabulary
from gpupipe.backends.states import State
from gpupipe.columns import Column, concat
from gpupipe.compiler.fitted import Learned
from gpupipe.compiler.scans import Gather, Slot
from gpupipe.schema import DType


def learned(slot: Slot, gather: Gather, state: State, dtype: DType) -> Learned:
    """The finished value of one slot from the merged state of its gather.

    Where folds are kept, the full value and each fold's training value.
    """
    if slot.node.op == "vocabulary":
        column, counts = vocabulary(state, slot.node, dtype)
        return Learned(column, counts=counts)
    if slot.node.op == "place":
        places, keys = place(state, slot.node)
        return Learned(places, keys)
    if not gather.folds:
        return _finished(slot, state, dtype)
    full = _finished(slot, states.without_fold(state), dtype)
    parts = [_finished(slot, part, dtype) for part in fold_parts(state, gather.folds)]
    value = concat([part.value for part in parts])
    keys = tuple(concat([part.keys[index] for part in parts]) for index in range(len(parts[0].keys)))
    return Learned(full.value, full.keys, by_fold=Learned(value, keys))


def fold_parts(state: State, folds: int) -> Sequence[State]:
    """For each fold, the state of the rows outside it, the fold as its last key."""
    return [states.outside_fold(state, fold) for fold in range(folds)]


def _finished(slot: Slot, state: State, dtype: DType) -> Learned:
    value = FINISH[slot.node.op](state, slot.node, dtype)
    if state.n_groups == 0:
        value = Column(value.dtype, value.values, np.zeros(0, bool))
    return Learned(value, tuple(state.keys))
