"""Mergeable states kept beside an artifact, so that a fit can go on with new rows. They may hold raw values.

A folder of the artifact's own format: data alone, every byte verified, files 0600. It is written only where the fit
was asked to keep its states, and never into the artifact itself.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.artifact import format as artifact
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.state import Entries, State
from gpupipe.backends.states.values import in_order
from gpupipe.columns import Column, Values
from gpupipe.compiler.document import get_column, put_column
from gpupipe.errors import ArtifactCorruptError, GpupipeError

KIND = "gpupipe.states"
SUFFIX = ".state"
MAX_ROWS = 2**53
_MOST = 70  # no square of a float64 has a digit beyond 2^(32 * 70), or below its inverse


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a fit must remember to go on with more rows.

    Attributes:
        states: those of the first scan over all rows so far, in the order of the plan.
        labels: what each is of, to be compared with the plan it goes on with.
        listed: how many rows all sources so far listed: the position of the next one.
        rows: how many of those were taken in: filters and splits drop some.
        exact: whether quantiles keep all values, so that no row has to be read again for them.
    """

    states: Sequence[State]
    labels: Sequence[str]
    listed: int
    rows: int
    exact: bool = False


def write(path: str | os.PathLike[str], kept: Kept, state_digest: str, *, overwrite: bool = False) -> None:
    """Keep the states in a folder at `path`; `state_digest` is that of the features they belong to.

    Raises:
        ArtifactExistsError: something stands there.
        StorageError: the disk is full, failing, or may not be written to.
    """
    arrays: dict[str, Any] = {}
    shapes = [_put(arrays, str(number), state) for number, state in enumerate(kept.states)]
    document = {
        "kind": KIND,
        "state_digest": state_digest,
        "labels": list(kept.labels),
        "states": shapes,
        "listed": kept.listed,
        "rows": kept.rows,
        "exact": kept.exact,
    }
    artifact.write(path, document=document, arrays={"states": arrays} if arrays else {}, overwrite=overwrite)


def _put(arrays: dict[str, Any], name: str, state: State) -> dict[str, Any]:
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
        entries = in_order(state.entries)
        found["entries"] = str(entries.values.dtype)
        put_column(arrays, f"{name}.entries", entries.values)
        arrays[f"{name}.groups"], arrays[f"{name}.counts"] = entries.groups, entries.counts
    return found


def read(path: str | os.PathLike[str], state_digest: str) -> Kept:
    """The states kept at `path` for the features of that digest.

    Raises:
        ArtifactNotFoundError: nothing stands there.
        ArtifactCorruptError: it holds no states, or those of another fit.
    """
    contents = artifact.read(path)
    document = contents.document
    if document.get("kind") != KIND:
        raise ArtifactCorruptError(f"{os.fspath(path)} holds no states of a fit.")
    if document.get("state_digest") != state_digest:
        raise ArtifactCorruptError(
            f"The states at {os.fspath(path)} belong to another fit than the artifact beside them. Fit again with "
            "keep_state=True, and save."
        )
    try:
        return _kept(document, contents.arrays.get("states", {}))
    except (GpupipeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactCorruptError(f"The states at {os.fspath(path)} cannot be read: {error}.") from error


def _kept(document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Kept:
    labels, listed, rows, exact = (document[name] for name in ("labels", "listed", "rows", "exact"))
    if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        raise ValueError("labels that are no text")
    if type(listed) is not int or type(rows) is not int or not 0 <= rows <= listed <= MAX_ROWS:
        raise ValueError("a number of rows that is none")
    if not isinstance(exact, bool):
        raise ValueError("a flag that is none")
    states = [_get(arrays, str(number), shape, rows) for number, shape in enumerate(document["states"])]
    if len(states) != len(labels):
        raise ValueError(f"{len(states)} states and {len(labels)} labels")
    return Kept(states, labels, listed, rows, exact)


def _get(arrays: Mapping[str, Any], name: str, shape: Mapping[str, Any], n_rows: int) -> State:
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
        state.entries = _entries(values, arrays, name, rows)
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


def _entries(values: Column, arrays: Mapping[str, Any], name: str, rows: Values) -> Entries:
    groups, counts = _counts(arrays, f"{name}.groups"), _counts(arrays, f"{name}.counts")
    inside = len(groups) == 0 or int(groups.max()) < len(rows)
    if not len(values) == len(groups) == len(counts) or not inside:
        raise ValueError(f"state {name}: entries of no group")
    if (counts > rows[groups]).any():
        raise ValueError(f"state {name}: entries of more rows than there are")
    return Entries(values, groups, counts)


def _counts(arrays: Mapping[str, Any], name: str) -> Values:
    counts: Values = arrays[name]
    if not isinstance(counts, np.ndarray) or counts.ndim != 1 or counts.dtype != np.int64 or (counts < 0).any():
        raise ValueError(f"{name} is no array of counts")
    return counts
