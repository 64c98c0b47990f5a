"""Labels of keys as numbers, given as they come."""

import threading

import numpy as np

from gpupipe.backends import keys as grouping
from gpupipe.backends.gram.state import Label
from gpupipe.columns import Column, Values
from gpupipe.compiler.fitted import plain_values


class Labels:
    """Codes of keys' values, given as they come: from 1 on, 0 for NaN; the same for all threads."""

    def __init__(self, keys: int) -> None:
        self.of_key: list[list[Label]] = [[] for _ in range(keys)]
        self._codes: list[dict[Label, int]] = [{} for _ in range(keys)]
        self._lock = threading.Lock()

    def codes(self, key: int, column: Column) -> Values:
        """int32 of shape (rows,)."""
        ranks, (entries,) = grouping.factorize([column])
        found = plain_values(entries)
        with self._lock:
            known, listed = self._codes[key], self.of_key[key]
            for label in found:
                if label not in known:
                    listed.append(label)
                    known[label] = len(listed)
            codes = np.array([*(known[label] for label in found), 0], np.int32)
        return codes[ranks]  # -1, a NaN, is the last
