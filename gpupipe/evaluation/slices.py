"""Which rows belong to which slice."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpupipe.arrow_arrays import values_of
from gpupipe.errors import ParameterError
from gpupipe.evaluation.target import to_arrow

Values = np.ndarray[Any, Any]

MAX_SLICES = 1000


def split(name: str, labels: Any, n_rows: int) -> Iterator[tuple[Any, Values]]:
    """(label, its rows as ascending int64 positions) for each distinct label, sorted; rows of null come last
    as label None.

    Args:
        name: what the slices are by, for messages.
        labels: an array of `n_rows` bools, numbers, strings or dates.

    Raises:
        ParameterError: another length, or more than `MAX_SLICES` labels.

    >>> [(label, rows.tolist()) for label, rows in split("city", np.array(["b", "a", "b"]), 3)]
    [('a', [1]), ('b', [0, 2])]
    """
    array = to_arrow(labels)
    if len(array) != n_rows:
        raise ParameterError(f"{name!r} has {len(array):,} labels for {n_rows:,} rows.")
    encoded = array.dictionary_encode(null_encoding="encode")
    names = encoded.dictionary.to_pylist()
    if len(names) > MAX_SLICES:
        raise ParameterError(
            f"{name!r} has {len(names):,} distinct values, and slices are limited to {MAX_SLICES:,}. "
            "Put them into buckets first."
        )
    codes = values_of(encoded.indices)
    by_code = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_code], np.arange(len(names) + 1))
    for code in sorted(range(len(names)), key=lambda code: (names[code] is None, names[code])):
        yield names[code], by_code[starts[code] : starts[code + 1]]
