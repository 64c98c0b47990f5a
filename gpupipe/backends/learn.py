"""Finished states as what the compiler binds to."""

import numpy as np

from gpupipe.backends.finish import FINISH, place, vocabulary
from gpupipe.backends.states.gathering import by_fold, without_fold
from gpupipe.backends.states.state import State
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
    full = _finished(slot, without_fold(state), dtype)
    parts = [_finished(slot, by_fold(state, fold), dtype) for fold in range(gather.folds)]
    value = concat([part.value for part in parts])
    keys = tuple(concat([part.keys[index] for part in parts]) for index in range(len(parts[0].keys)))
    return Learned(full.value, full.keys, by_fold=Learned(value, keys))


def _finished(slot: Slot, state: State, dtype: DType) -> Learned:
    value = FINISH[slot.node.op](state, slot.node, dtype)
    if state.n_groups == 0:
        value = Column(value.dtype, value.values, np.zeros(0, bool))
    return Learned(value, tuple(state.keys))
