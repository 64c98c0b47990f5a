"""What rows add up to, by digit: how columns are cut, and the sums of the rows of one cell."""

from dataclasses import dataclass

import numpy as np

from gpupipe.columns import Values
from gpupipe.kernels.reference.gram import DIGIT

HALF = 40  # bits
_FITS = 900  # tiles, each sum below 2**53, that int64 holds
ZEROS = -(2**31)  # the exponent of a column of zeros


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How columns are cut into digits.

    Attributes:
        tops: int64 of shape (columns,): values are below ``2**top``.
        counts: int64 of shape (columns,): how many digits each has; 0: its values have all been 0.
    """

    tops: Values
    counts: Values

    @property
    def order(self) -> Values:
        """The columns, those of most digits first."""
        return np.argsort(-self.counts, kind="stable")

    def digits(self) -> list[tuple[int, int]]:
        """(column, exponent of its unit) of each digit, as tiles hold them: all first ones, all second ones, …."""
        order = self.order.tolist()
        return [
            (column, int(self.tops[column]) - DIGIT * (place + 1))
            for place in range(self.counts.max(initial=0))
            for column in order
            if self.counts[column] > place
        ]

    def reaching(self, exponents: Values) -> "Layout":
        """The same or a wider one, for values below ``2**exponent``; no column of zeros gets a digit."""
        live = exponents > ZEROS
        fresh = live & (self.counts == 0)
        more = np.where(live & ~fresh, np.maximum(-((self.tops - exponents) // DIGIT), 0), 0)
        return Layout(np.where(fresh, exponents, self.tops + DIGIT * more), self.counts + fresh + more)

    def deeper(self, columns: Values) -> "Layout":
        """With one digit more of some columns."""
        return Layout(self.tops, self.counts + columns)


class Cell:
    """The sums of one cell's rows, in the digits of a layout."""

    def __init__(self, size: int, labels: int, pairs: int) -> None:
        self.low, self.high = np.zeros((size, size), np.int64), np.zeros((size, size), np.int64)
        self.tiles = 0
        self.by_code, self.pairs = np.zeros((labels, size)), np.zeros(pairs, np.int64)

    def add(self, products: Values) -> None:
        self.low += products.astype(np.int64)
        self.tiles += 1
        if self.tiles % _FITS == 0:
            self.high += self.low >> HALF
            self.low &= (1 << HALF) - 1

    def moved(self, size: int, at: Values) -> None:
        """To a wider layout, in which the variables stand `at` other places."""
        for name in ("low", "high"):
            wider = np.zeros((size, size), np.int64)
            wider[np.ix_(at, at)] = getattr(self, name)
            setattr(self, name, wider)
        by_code = np.zeros((len(self.by_code), size))
        by_code[:, at] = self.by_code
        self.by_code = by_code

    def widened(self, old: Values, new: Values) -> None:
        """To more codes a key."""
        starts, parts = np.cumsum([0, *old]), []
        for key, (width, wider) in enumerate(zip(old, new, strict=True)):
            part = np.zeros((wider, self.by_code.shape[1]))
            part[:width] = self.by_code[starts[key] : starts[key + 1]]
            parts.append(part)
        self.by_code = np.concatenate(parts)
        found, at = [np.zeros(0, np.int64)], 0
        for a in range(len(old)):
            for b in range(a + 1, len(old)):
                part = np.zeros((new[a], new[b]), np.int64)
                part[: old[a], : old[b]] = self.pairs[at : at + old[a] * old[b]].reshape(old[a], old[b])
                at += old[a] * old[b]
                found.append(part.ravel())
        self.pairs = np.concatenate(found)
