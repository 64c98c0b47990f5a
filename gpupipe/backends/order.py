"""The order of strings, by their UTF-8 bytes."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from gpupipe.arrow_arrays import values_of
from gpupipe.backends.text import layout
from gpupipe.columns import Values

_WORD = 8  # bytes
_FEW = 256  # up to here Arrow has sorted them before this begins


def order_of_strings(strings: Any) -> Values:
    """int64 positions that sort a ``pa.StringArray`` without nulls; equal ones stay as they are.

    Where their first eight bytes tell all strings apart, as they do codes and hashes, those are sorted as numbers: a
    tenth of the time that comparisons take.

    >>> import pyarrow as pa
    >>> order_of_strings(pa.array(["b", "a", "aa", "é"])).tolist()
    [1, 2, 0, 3]
    """
    if len(strings) > _FEW:
        words = _first_words(*layout(strings))
        order = np.argsort(words)
        found = words[order]
        if not (found[1:] == found[:-1]).any():
            return order
    return values_of(pc.sort_indices(strings)).astype(np.int64)


def _first_words(data: Values, ends: Values) -> Values:
    """uint64, the first eight bytes of each string as a number, the first byte the highest; 0 beyond its end."""
    first, last = int(ends[0]), int(ends[-1])
    padded = np.zeros(last - first + _WORD, np.uint8)
    padded[: last - first] = data[first:last]
    each = np.ndarray(len(padded) - _WORD + 1, ">u8", padded, strides=(1,))  # one from every byte on
    words = each[ends[:-1] - first].astype(np.uint64)
    beyond = 8 * np.maximum(_WORD - np.diff(ends), 0).astype(np.uint64)  # bits
    return np.where(beyond == 64, 0, (words >> (beyond & 63)) << (beyond & 63))
