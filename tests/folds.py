"""A source without some of its rows, identities kept: what a fold's fit must equal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import gpupipe as gp
from gpupipe.columns import Frame, Values
from gpupipe.crossval import CrossValidation
from gpupipe.sources.steps import Step


@dataclass(frozen=True, eq=False)
class Only(Step):
    """Only the rows at these places in the source."""

    places: Values
    drops_rows = True

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        return frame.select(keep).take(np.flatnonzero(np.isin(frame.positions, self.places)))


def only(source: gp.Source, places: Values) -> gp.Source:
    """The source's rows at these places."""
    return source._with(Only(np.asarray(places, np.uint64)))


def trained_with(found: CrossValidation, fold: int) -> Values:
    """The places of the rows that a fold of a plain cross-validation trained with."""
    rows, folds = found.predictions["row"].to_numpy(), np.array(found.predictions["fold"].to_pylist())
    return rows[folds != found.folds[fold].name]
