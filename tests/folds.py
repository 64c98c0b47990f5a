"""A source without some of its rows, identities kept: what a fold's fit must equal."""

import numpy as np

import gpupipe as gp
from gpupipe.columns import Values
from gpupipe.crossval import CrossValidation
from gpupipe.sources.steps import AtPositions


def only(source: gp.Source, places: Values) -> gp.Source:
    """The source's rows at these places."""
    marked = np.zeros(source.n_rows or 0, bool)
    marked[places] = True
    return source._with(AtPositions(np.packbits(marked)))


def trained_with(found: CrossValidation, fold: int) -> Values:
    """The places of the rows that a fold of a plain cross-validation trained with."""
    rows, folds = found.predictions["row"].to_numpy(), np.array(found.predictions["fold"].to_pylist())
    return rows[folds != found.folds[fold].name]
