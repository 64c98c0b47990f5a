"""States kept by fold, put together again for any folds: so one scan gives the training state of each fold."""

from collections.abc import Callable, Collection
from functools import cached_property

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.states.gathering import regroup
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.moments import negated
from gpupipe.backends.states.state import Arrays, State
from gpupipe.columns import Column, Values

#: Kinds that can be taken out of a whole again, to the bit, without their rows.
_TAKEN_OUT: dict[str, Callable[[Arrays], Arrays]] = {
    "count": lambda arrays: {name: -array for name, array in arrays.items()},
    "sum": negated,
    "moments": negated,
}


class ByFold:
    """A merged state whose last key is the number of a fold. What the other keys say is worked out once for all folds.

    >>> from gpupipe.backends.states.gathering import gather
    >>> from gpupipe.backends.states.state import groups_of
    >>> from gpupipe.schema import Int64
    >>> values, fold = Column(Int64, np.array([5, 6, 7])), Column(Int64, np.array([0, 1, 0]))
    >>> ByFold(gather("count", values, groups_of([fold], 3))).among({0}).arrays["n"].tolist()
    [2]
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._fold = state.keys[-1].values
        self._group, self._keys = np.zeros(state.n_groups, np.int64), list[Column]()
        if len(state.keys) > 1:
            self._group, self._keys = grouping.factorize(state.keys[:-1])

    def among(self, folds: Collection[int]) -> State:
        """The state of the rows of these folds, as if no others had been seen; the last key is dropped.

        It is merged, or, where that is less work, all folds' less the others'.
        """
        chosen = np.isin(self._fold, list(folds))
        if not self._keys:
            return regroup(self._state, [], self._group, chosen)
        seen = np.zeros(len(self._keys[0]), bool)
        seen[self._group[chosen]] = True
        less = len(seen) + 2 * int((~chosen).sum()) < int(chosen.sum())
        return self._less(~chosen, seen) if less and self._state.kind in _TAKEN_OUT else self._merged(chosen, seen)

    def _merged(self, chosen: Values, seen: Values) -> State:
        place: Values = np.cumsum(seen) - 1
        return regroup(self._state, self._kept(seen), place[self._group], chosen)

    def _less(self, others: Values, seen: Values) -> State:
        """All folds' state without that of the groups `others`."""
        whole, kind, group = self._whole, KINDS[self._state.kind], self._group[others]
        out = _TAKEN_OUT[kind.name]({name: array[others] for name, array in self._state.arrays.items()})
        groups = np.concatenate([np.arange(whole.n_groups), group])
        left = kind.combine(kind.stack([whole.arrays, out]), groups, whole.n_groups)
        rows = whole.rows - total(self._state.rows[others], group, whole.n_groups)
        return State(kind.name, self._kept(seen), rows[seen], {name: array[seen] for name, array in left.items()})

    @cached_property
    def _whole(self) -> State:
        return regroup(self._state, self._keys, self._group)

    def _kept(self, seen: Values) -> list[Column]:
        """The keys of the groups seen; with nulls only where there are some, as rows that have none would say."""
        taken = [key.take(np.flatnonzero(seen)) for key in self._keys]
        return [Column(key.dtype, key.values) if key.valid is not None and key.valid.all() else key for key in taken]
