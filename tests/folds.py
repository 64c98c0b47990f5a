"""What a fold's fit must equal: a source without its rows, identities kept; a state merged of the others'."""

import numpy as np

import gpupipe as gp
from gpupipe.backends import keys as grouping
from gpupipe.backends.states.gathering import regroup
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Values
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


def outside_fold(state: State, fold: int) -> State:
    """The state of the rows whose last key, the fold, is another; that key is dropped."""
    outside = state.keys[-1].values != fold
    groups = np.zeros(state.n_groups, np.int64)
    keys: list[Column] = []
    if len(state.keys) > 1:
        groups[outside], keys = grouping.sorted_groups([key.take(outside) for key in state.keys[:-1]])
    return regroup(state, keys, groups, outside)
