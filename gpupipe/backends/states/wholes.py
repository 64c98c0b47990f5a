"""Counts, and sums of one digit, as int64: what most groups have, added and taken apart without carrying."""

from collections.abc import Mapping, Sequence

import numpy as np

from gpupipe.backends.keys import sorted_groups
from gpupipe.backends.states.gathering import outside_each, without_fold
from gpupipe.backends.states.state import Arrays, State
from gpupipe.columns import Values

_NAMES = {"n", "sum", "sum_scale", "infinite"}
_DIGIT = 2**31

Wholes = Mapping[str, Values]


def wholes_of(arrays: Arrays) -> Wholes | None:
    """int64 of shape (groups,) for each number that a group has; None: they are no counts and sums of one digit, or an
    infinity was counted.

    >>> wholes_of({"n": np.array([2, 1])})
    {'n': array([2, 1])}
    """
    if not arrays.keys() <= _NAMES or ("infinite" in arrays and arrays["infinite"].any()):
        return None
    if "sum" not in arrays:
        return {"n": arrays["n"]}
    if arrays["sum"].shape[1] > 1 or arrays["sum_scale"].any():
        return None
    return {"n": arrays["n"], "sum": arrays["sum"][:, 0].view(np.int32).astype(np.int64)}


def arrays_of(wholes: Wholes, like: Arrays) -> Arrays | None:
    """The arrays of a state; None where a sum has outgrown its digit.

    Args:
        like: the arrays of a state that the numbers were made of.
    """
    size = len(wholes["n"])
    arrays = {"n": wholes["n"]}
    if "sum" in wholes:
        whole = wholes["sum"]
        if size and max(-int(whole.min()), int(whole.max())) >= _DIGIT:
            return None
        digits = whole.astype(np.int32).view(np.uint32).reshape(-1, 1)
        arrays |= {"sum": digits, "sum_scale": np.zeros(size, np.int64)}
    if "infinite" in like:
        arrays["infinite"] = np.zeros((size, 2), np.int64)
    return arrays


def added(parts: Sequence[Arrays], size: int) -> Arrays | None:
    """The sums of the arrays of several states, group by group; a state may have fewer. None: as of both above."""
    known = [wholes for part in parts if (wholes := wholes_of(part)) is not None]
    if len(known) < len(parts):
        return None
    return arrays_of({name: total([each[name] for each in known], size) for name in known[0]}, parts[0])


def total(parts: Sequence[Values], size: int) -> Values:
    """int64 of shape (size,): the sum of arrays, which may be shorter."""
    found = np.zeros(size, np.int64)
    for part in parts:
        found[: len(part)] += part
    return found


def by_folds(state: State, folds: int) -> tuple[State, list[State]]:
    """(the state of all folds together, that of the rows outside each), of one whose last key is the fold."""
    found = _wholly_by_folds(state, folds)
    if found is not None:
        return found
    whole = without_fold(state)
    return whole, [outside_each(state, whole, fold) for fold in range(folds)]


def _wholly_by_folds(state: State, folds: int) -> tuple[State, list[State]] | None:
    wholes, fold = None if state.entries is not None else wholes_of(state.arrays), state.keys[-1]
    if wholes is None or fold.valid is not None or len(state.keys) == 1:
        return None
    groups, keys = sorted_groups(state.keys[:-1])
    of_folds = {name: _table(number, groups, fold.values, folds) for name, number in {**wholes, "": state.rows}.items()}
    all_of_them = {name: table.sum(axis=0) for name, table in of_folds.items()}
    outside = [{name: all_of_them[name] - table[at] for name, table in of_folds.items()} for at in range(folds)]
    made = []
    for found in (all_of_them, *outside):
        rows, arrays = found.pop(""), arrays_of(found, state.arrays)
        if arrays is None:
            return None
        made.append(State(state.kind, keys, rows, arrays))
    return made[0], made[1:]


def _table(numbers: Values, groups: Values, folds: Values, count: int) -> Values:
    """int64 of shape (folds, groups)."""
    table = np.zeros((count, int(groups[-1]) + 1 if len(groups) else 0), np.int64)
    table[folds, groups] = numbers
    return table
