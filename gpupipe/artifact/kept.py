"""Mergeable states kept beside an artifact, so that a fit can go on with new rows. They may hold raw values.

A folder of the artifact's own format: data alone, every byte verified, files 0600. It is written only where the fit
was asked to keep its states, and never into the artifact itself.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpupipe.artifact import format as artifact
from gpupipe.artifact.states import get_state, put_state
from gpupipe.backends.states.state import State
from gpupipe.errors import ArtifactCorruptError, GpupipeError

KIND = "gpupipe.states"
SUFFIX = ".state"
MAX_ROWS = 2**53


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
    shapes = [put_state(arrays, str(number), state) for number, state in enumerate(kept.states)]
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
    states = [get_state(arrays, str(number), shape, rows) for number, shape in enumerate(document["states"])]
    if len(states) != len(labels):
        raise ValueError(f"{len(states)} states and {len(labels)} labels")
    return Kept(states, labels, listed, rows, exact)
