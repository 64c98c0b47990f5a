"""The identities of rows that a fit keeps: hashes of a key, and of many rows no more than fit."""

import numpy as np

from gpupipe.columns import Frame, Values
from gpupipe.runtime.seen.provenance import MAX_KEYS


def hashes_of(frame: Frame) -> Values:
    """Each once, uint64; none where rows are known by their places."""
    return frame.row_ids[:0] if frame.places is None else np.unique(frame.row_ids)


def few(ids: tuple[Values, ...]) -> tuple[Values, ...]:
    """A large array and smaller ones, which become one when they are as large: each is so sorted a few times.

    >>> few((np.array([1, 5], np.uint64), np.array([5], np.uint64), np.array([3, 3], np.uint64)))
    (array([1, 3, 5], dtype=uint64),)
    """
    sizes = sorted(len(some) for some in ids)
    return (together(ids),) if sizes and sum(sizes[:-1]) > sizes[-1] else ids


def together(ids: tuple[Values, ...]) -> Values:
    """Each once; of more than can be kept of a fit the lowest."""
    each: Values = np.unique(np.concatenate([np.zeros(0, np.uint64), *ids]))
    return each[: MAX_KEYS + 2].copy() if len(each) > MAX_KEYS + 2 else each
