"""A mergeable state as named arrays and a little JSON, and back: what is kept for later rows, and what a run keeps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.state import Entries, State
from gpupipe.backends.states.values import in_order
from gpupipe.columns import Column, Values
from gpupipe.compiler.document import get_column, put_column

_MOST = 70  # no square of a float64 has a digit beyond 2^(32 * 70), or below its inverse


def put_state(arrays: dict[str, Any], name: str, state: State, *, ordered: bool = True) -> dict[str, Any]:
    """Add a state to named arrays; gives what else :func:`get_state` must know, as JSON.

    Args:
        ordered: whether entries are put in order, so that equal states give equal arrays; else they stay as they are.
    """
    arrays[f"{name}.rows"] = state.rows
    arrays.update({f"{name}.array.{key}": array for key, array in state.arrays.items()})
    for at, key in enumerate(state.keys):
        put_column(arrays, f"{name}.key{at}", key)
    found: dict[str, Any] = {
        "kind": state.kind,
        "keys": [str(key.dtype) for key in state.keys],
        "arrays": sorted(state.arrays),
        "entries": None,
    }
    if state.entries is not None:
        entries = in_order(state.entries) if ordered else state.entries
        found |= {} if entries.in_order else {"in_order": False}
        found["entries"] = str(entries.values.dtype)
        put_column(arrays, f"{name}.entries", entries.values)
        arrays[f"{name}.groups"], arrays[f"{name}.counts"] = entries.groups, entries.counts
    return found


def get_state(arrays: Mapping[str, Any], name: str, shape: Mapping[str, Any], n_rows: int) -> State:
    """The state that :func:`put_state` added, of at most `n_rows` rows.

    Raises:
        ValueError, LookupError, TypeError: there is none, or it is one that no rows give.
    """
    taken: set[str] = set()
    keys = [get_column(arrays, f"{name}.key{at}", dtype, taken) for at, dtype in enumerate(shape["keys"])]
    rows = _counts(arrays, f"{name}.rows")
    if (rows > n_rows).any():
        raise ValueError(f"{name}.rows are more rows than there were")
    own = {key: arrays[f"{name}.array.{key}"] for key in shape["arrays"]}
    if any(len(column) != len(rows) for column in (*keys, *own.values())) or (not keys and len(rows) != 1):
        raise ValueError(f"state {name}: lengths differ")
    state = State(shape["kind"], keys, rows, own)
    made = KINDS[state.kind]
    for key, array in own.items():
        _check(f"{name}.array.{key}", key, array, rows)
    if (shape["entries"] is None) != (made.entries is None):
        raise ValueError(f"state {name} has entries, or has none")
    if shape["entries"] is not None:
        values = get_column(arrays, f"{name}.entries", shape["entries"], taken)
        state.entries = _entries(values, arrays, name, rows, shape.get("in_order", True) is not False)
    return state


def _check(name: str, key: str, array: Any, rows: Values) -> None:
    """Refuse numbers that no rows give: more values than rows, and exact sums too large for memory."""
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is no array of numbers")
    if key == "n" and (array.shape != rows.shape or (array < 0).any() or (array > rows).any()):
        raise ValueError(f"{name} counts more values than rows")
    if key.endswith("_scale") and ((array < -_MOST) | (array > _MOST)).any():
        raise ValueError(f"{name} is no scale of a sum")
    if array.ndim == 2 and not 0 < array.shape[1] <= 3 * _MOST:
        raise ValueError(f"{name} has no digits of a sum")


def _entries(values: Column, arrays: Mapping[str, Any], name: str, rows: Values, is_ordered: bool) -> Entries:
    groups, counts = _counts(arrays, f"{name}.groups"), _counts(arrays, f"{name}.counts")
    inside = len(groups) == 0 or int(groups.max()) < len(rows)
    if not len(values) == len(groups) == len(counts) or not inside:
        raise ValueError(f"state {name}: entries of no group")
    if (counts > rows[groups]).any():
        raise ValueError(f"state {name}: entries of more rows than there are")
    return Entries(values, groups, counts, is_ordered)


def _counts(arrays: Mapping[str, Any], name: str) -> Values:
    counts: Values = arrays[name]
    if not isinstance(counts, np.ndarray) or counts.ndim != 1 or counts.dtype != np.int64 or (counts < 0).any():
        raise ValueError(f"{name} is no array of counts")
    return counts
