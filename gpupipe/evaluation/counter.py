"""Counter-based random numbers, until the kernels have them."""

from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]


def counter_uniform(seed: int, purpose: int, ids: Values) -> Values:
    """A uint64 for each of `ids`, evenly spread, from nothing but (seed, purpose, id): splitmix64, twice."""
    with np.errstate(over="ignore"):
        key = _mix(_mix(np.array([seed & (2**64 - 1)], np.uint64)) + np.uint64(purpose & (2**64 - 1)))
        return _mix(_mix(ids + key) ^ key)


def _mix(x: Values) -> Values:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
