"""Sums of integers by group, exactly; what several kinds of state count with."""

import numpy as np

from gpupipe.columns import Values


def counts(groups: Values, n_groups: int, times: Values | None = None, known: Values | None = None) -> Values:
    """int64 of shape (n_groups,): how many values each group has, each counted `times`; `known` if it was counted."""
    if known is not None:
        return known
    if times is not None:
        return total(times, groups, n_groups)
    return np.array([len(groups)]) if n_groups == 1 else np.bincount(groups, minlength=n_groups)


def total(values: Values, groups: Values, n_groups: int) -> Values:
    """int64 of shape (n_groups,): the sum of int64 `values` in each group."""
    if n_groups == 1:
        return np.array([values.sum()], np.int64)
    result = np.zeros(n_groups, np.int64)
    np.add.at(result, groups, values)
    return result


def distinct(numbers: Values) -> Values:
    """The distinct ones of some numbers, none of them NaN, ascending: `numpy.unique`, which without counts imports
    NumPy's masked arrays to ask whether these are one (.02 s).
    """
    return np.unique(numbers, return_counts=True)[0]
