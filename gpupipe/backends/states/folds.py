"""States kept by fold, put together again for any folds: so one scan gives the training state of each fold."""

from collections.abc import Collection

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.states.gathering import regroup
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Values


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
        """The state of the rows of these folds, as if no others had been seen; the last key is dropped."""
        chosen = np.isin(self._fold, list(folds))
        if not self._keys:
            return regroup(self._state, [], self._group, chosen)
        seen = np.zeros(len(self._keys[0]), bool)
        seen[self._group[chosen]] = True
        kept = np.flatnonzero(seen)
        place: Values = np.cumsum(seen) - 1
        return regroup(self._state, [_taken(key, kept) for key in self._keys], place[self._group], chosen)


def _taken(key: Column, rows: Values) -> Column:
    """The keys of these groups; with nulls only where there are some, as rows that have none would say."""
    found = key.take(rows)
    return Column(found.dtype, found.values) if found.valid is not None and found.valid.all() else found
