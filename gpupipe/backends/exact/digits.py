"""Exact sums of values of any size, one by one."""

from types import ModuleType

import numpy as np

from gpupipe.backends.exact.number import Exact, combined, from_places, stacked
from gpupipe.backends.exact.totals import Sums
from gpupipe.columns import Values

_DIGITS_AT_ONCE = 2**16


class Digits:
    """Sums of any values, one by one; slower, and for every exponent."""

    def __init__(self, run: ModuleType, n_groups: int, squares: bool) -> None:
        self._run, self._n_groups, self._squares = run, n_groups, squares

    def of(self, values: Values, groups: Values, times: Values | None) -> Sums | None:
        """The sums; None where a value is NaN or infinite."""
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return None
        found: dict[bool, list[tuple[Exact, Values]]] = {False: [], True: []}
        for first in range(0, max(len(values), 1), _DIGITS_AT_ONCE):
            rows = slice(first, first + _DIGITS_AT_ONCE)
            often = None if times is None else times[rows]
            present, local = np.unique(groups[rows], return_inverse=True)
            for squares in (False, True) if self._squares else (False,):
                found[squares].append((self._part(values[rows], local, len(present), often, squares), present))
        return Sums(self._whole(found[False]), self._whole(found[True]) if self._squares else None)

    def _part(self, values: Values, groups: Values, n_groups: int, times: Values | None, squares: bool) -> Exact:
        whole, exponents = _whole(values)
        used = exponents[whole != 0] >> 5
        base, last = (int(used.min()), int(used.max())) if len(used) else (0, 0)
        base, width = (2 * base, 2 * (last - base) + 8) if squares else (base, last - base + 5)
        places = np.zeros((width, n_groups), np.int64)
        self._run.digit_sums(whole, exponents, times, groups, base, squares, places)
        return from_places(places, base)

    def _whole(self, parts: list[tuple[Exact, Values]]) -> Exact:
        groups = np.concatenate([present for _, present in parts])
        return combined(stacked([part for part, _ in parts]), groups, self._n_groups)


def _whole(values: Values) -> tuple[Values, Values]:
    """(int64 whole, int64 exponent) of each value: value = whole * 2^exponent."""
    if values.dtype.kind != "f":
        return values.astype(np.int64), np.zeros(len(values), np.int64)
    parts, exponents = np.frexp(values.astype(np.float64))
    return (parts * 2.0**53).astype(np.int64), exponents.astype(np.int64) - 53
