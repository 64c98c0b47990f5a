"""Rows grouped by key: ids, counts, sums, extremes. Keys are int64 (bits of anything); ids count groups from 0.

An id of -1, as `lookup` gives for an unknown key, belongs to no group and is skipped.
"""

from typing import Any

import numpy as np

from ...errors import ParameterError

Array = np.ndarray[Any, Any]


def factorize(keys: Array) -> tuple[Array, Array]:
    """Each key's position among the distinct keys, and these, ascending; both int64.

    >>> ids, uniques = factorize(np.array([7, -1, 7]))
    >>> ids.tolist(), uniques.tolist()
    ([1, 0, 1], [-1, 7])
    """
    uniques, ids = np.unique(np.asarray(keys, dtype=np.int64), return_inverse=True)
    return ids.reshape(-1).astype(np.int64), uniques


def lookup(keys: Array, table: Array) -> Array:
    """Each key's position in `table`, int64, ascending and distinct; -1 where it is not there.

    >>> lookup(np.array([7, 8, -1]), np.array([-1, 7])).tolist()
    [1, -1, 0]
    """
    if not len(table):
        return np.full(len(keys), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, at, -1).astype(np.int64)


def check_ids(ids: Array, n_groups: int) -> None:
    """Raise ParameterError unless every id is in -1 … n_groups - 1."""
    if len(ids) and not -1 <= ids.min() <= ids.max() < n_groups:
        raise ParameterError(f"Group ids run from {ids.min()} to {ids.max()}; -1 to {n_groups - 1} is allowed.")


def keyed_count(ids: Array, n_groups: int) -> Array:
    """The number of rows of each group, int64 (n_groups,).

    >>> keyed_count(np.array([0, 2, -1, 2]), 3).tolist()
    [1, 0, 2]
    """
    check_ids(ids, n_groups)
    return np.bincount(ids + 1, minlength=n_groups + 1)[1:].astype(np.int64)


def keyed_sum(ids: Array, values: Array, n_groups: int) -> Array:
    """The sum of each group's float64 values, added in row order from 0.0.

    >>> keyed_sum(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, 0.0, 5.0]
    """
    check_ids(ids, n_groups)
    return np.bincount(ids + 1, weights=values, minlength=n_groups + 1)[1:]


def keyed_min(ids: Array, values: Array, n_groups: int) -> Array:
    """The smallest of each group's float64 values; inf for an empty group, NaN where there is one, 0.0 for -0.0.

    >>> keyed_min(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, inf, 2.0]
    """
    return _extreme(np.minimum, np.inf, ids, values, n_groups)


def keyed_max(ids: Array, values: Array, n_groups: int) -> Array:
    """The largest of each group's float64 values; -inf for an empty group, NaN where there is one, 0.0 for -0.0.

    >>> keyed_max(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, -inf, 3.0]
    """
    return _extreme(np.maximum, -np.inf, ids, values, n_groups)


def _extreme(ufunc: np.ufunc, empty: float, ids: Array, values: Array, n_groups: int) -> Array:
    check_ids(ids, n_groups)
    best = np.full(n_groups + 1, empty)
    with np.errstate(invalid="ignore"):
        ufunc.at(best, ids + 1, values + 0.0)
    return np.where(np.isnan(best), np.nan, best)[1:]


def value_counts(ids: Array, values: Array) -> tuple[Array, Array, Array]:
    """How often each int64 value stands in each group: (ids, values, counts), int64, ordered by id, then value.

    >>> [part.tolist() for part in value_counts(np.array([1, 0, 1, -1]), np.array([5, 9, 5, 5]))]
    [[0, 1], [9, 5], [1, 2]]
    """
    kept = ids >= 0
    ids, values = ids[kept], values[kept]
    order = np.lexsort((values, ids))
    ids, values = ids[order], values[order]
    new = np.ones(len(ids), dtype=np.bool_)
    new[1:] = (ids[1:] != ids[:-1]) | (values[1:] != values[:-1])
    first = np.flatnonzero(new)
    return ids[first], values[first], np.diff(np.append(first, len(ids)))
