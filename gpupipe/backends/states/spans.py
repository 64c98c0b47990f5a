"""Spans of the order of float64, and the values of rows that lie in them: all of them, or counted in finer bins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpupipe.backends.states.integers import distinct
from gpupipe.backends.states.orders import between, least_of
from gpupipe.backends.states.state import Groups
from gpupipe.columns import AnyColumn, Column, Values
from gpupipe.kernels.reference import radix
from gpupipe.schema import DType

_PARTS = 65_536  # all spans of a trip are divided into about so many parts together
_LEAST_BITS = 4
_DENSE = 16 * _PARTS  # tables of so many places are written to directly
_FEW = 65_536  # so many values are kept as they come; of more, each once


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Values found in spans, and how often.

    Attributes:
        values: float64 or int64.
        groups, counts: int64.
    """

    values: Values
    groups: Values
    counts: Values


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Runs of ordered bits, apart from each other, ascending.

    Attributes:
        low, high: int64, where each begins, and where it has ended.
        widths: int64, the bits of the parts into which each is divided; None: all values are kept.
        single: int64, ascending: the parts that have turned out to hold one value, by where they begin.
    """

    low: Values
    high: Values
    widths: Values | None = None
    single: Values | None = None

    @property
    def divisible(self) -> bool:
        """Whether any is of more than one float64."""
        return bool((self.high - self.low > 1).any())

    @property
    def greatest(self) -> Values:
        """float64, the greatest value that can lie in each."""
        return radix.floats_of(self.high - 1)

    def beside(self, others: "Spans") -> "Spans":
        """Where these and others, apart from them, lie together; none twice, and those that touch as one."""
        order = np.argsort(low := np.concatenate([self.low, others.low]))
        low, high = low[order], np.concatenate([self.high, others.high])[order]
        touches = low[1:] == high[:-1]
        return Spans(low[np.append(True, ~touches)], high[np.append(~touches, True)])

    def divided(self) -> "Spans":
        """The same, to be divided into parts."""
        bits = max(_LEAST_BITS, (_PARTS // len(self.low)).bit_length() - 1)
        sizes = (self.high - self.low).tolist()
        return replace(self, widths=np.array([max(0, (size - 1).bit_length() - bits) for size in sizes], np.int64))

    def places(self, bits: Values) -> tuple[Values, Values]:
        """The span of each of these bits, and whether they are in it."""
        if len(self.low) == 1:  # no search is needed, which takes longer than all else
            return np.zeros(len(bits), np.int64), (bits >= self.low[0]) & (bits < self.high[0])
        at = np.searchsorted(self.low, bits, side="right") - 1
        return at, (at >= 0) & (bits < self.high[at])

    def holds(self, bits: Values) -> Values:
        """bool, whether each of these bits is in a span; there may be none."""
        return self.places(bits)[1] if len(self.low) else np.zeros(len(bits), bool)

    def part(self, at: Values, bits: Values) -> tuple[Values, Values]:
        """Where the part of each of these bits, in the span `at`, begins and has ended."""
        if self.widths is None:
            return bits, bits + 1
        width = self.widths[at]
        begin = self.low[at] + ((bits - self.low[at]) >> width << width)
        return begin, np.minimum(begin + (np.int64(1) << width), self.high[at])

    def is_settled(self, begin: Values) -> Values:
        """Whether all values of the parts that begin there are known."""
        return np.ones(len(begin), bool) if self.single is None else np.isin(begin, self.single)

    def rows_in(self, column: AnyColumn, by: Groups) -> tuple[Values, Values]:
        """(the rows of a partition's column whose values lie in the spans, those values), of rows of a group."""
        if isinstance(column, Column):
            rows, values = between(column, self.low, self.high)
        else:
            rows, values = column.between(self.low, self.high)
        if by.of_row is None:
            return rows, values
        kept = by.of_row[rows] >= 0
        return rows[kept], values[kept]

    def part_of(self, column: AnyColumn, by: Groups) -> tuple[Column, Groups]:
        """A partition's column and its groups, of the rows whose values lie in the spans alone."""
        rows, values = self.rows_in(column, by)
        groups = Groups(None if by.of_row is None else by.of_row[rows], by.keys, by.rows)
        return Column(column.dtype, values), groups

    def found(self, column: AnyColumn, by: Groups, group_of: Values) -> Found:
        """What a partition's column holds in the spans.

        Args:
            group_of: int64, the number that each group of `by` has among the groups of all partitions.
        """
        rows, values = self.rows_in(column, by)
        groups = np.zeros(len(rows), np.int64) if by.of_row is None else group_of[by.of_row[rows]]
        exact = values.astype(np.float64) + 0.0 if column.dtype.is_float else values.astype(np.int64)
        return self._reduced(Found(exact, groups, np.ones(len(values), np.int64)))

    def merged(self, parts: Sequence[Found]) -> Found:
        """What was found in several partitions."""
        names = ("values", "groups", "counts")
        return self._reduced(Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in names)))

    def _reduced(self, found: Found) -> Found:
        if self.widths is None:
            return found if len(found.values) <= _FEW else _distinct(found)
        return _two_of_each(found, self._numbers(found.values))

    def _numbers(self, values: Values) -> Values:
        """The number of each value's part, counted through all spans."""
        assert self.widths is not None
        bits = radix.ordered_bits(values)
        if len(self.low) == 1:
            return (bits - self.low[0]) >> self.widths[0]
        at = np.searchsorted(self.low, bits, side="right") - 1
        most = int(((self.high - self.low - 1) >> self.widths).max()) + 1
        return at * most + ((bits - self.low[at]) >> self.widths[at])

    def after(self, found: Found, dtype: DType) -> tuple["Spans", Found]:
        """The spans once all is found; the least value a part can hold in the place of those of a part of several."""
        if self.widths is None or not len(found.values):
            return self, found
        _, number = np.unique(self._numbers(found.values), return_inverse=True)
        one = np.zeros(int(number.max()) + 1, found.values.dtype)
        one[number] = found.values
        mixed = np.zeros(len(one), bool)
        mixed[number[one[number] != found.values]] = True
        bits = radix.ordered_bits(found.values)
        begin, _ = self.part(self.places(bits)[0], bits)
        values = np.where(mixed[number], least_of(dtype, begin), found.values)
        single = distinct(begin[~mixed[number]])
        return replace(self, single=single), Found(values, found.groups, found.counts)


def _distinct(found: Found) -> Found:
    """Each value of a group once."""
    order = np.lexsort((found.values, found.groups))
    values, groups, counts = found.values[order], found.groups[order], found.counts[order]
    new = np.ones(len(values), bool)
    new[1:] = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
    first = np.flatnonzero(new)
    return Found(values[first], groups[first], np.add.reduceat(counts, first))


def _two_of_each(found: Found, number: Values) -> Found:
    """Of each part and group one value, and another one where not all are equal: that is all there is to know of it."""
    n_groups = int(found.groups.max(initial=0)) + 1
    at = number if n_groups == 1 else number * n_groups + found.groups
    size = int(at.max(initial=-1)) + 1
    if size > _DENSE:
        used, at = np.unique(at, return_inverse=True)
        size = len(used)
    counts, groups, one = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, found.values.dtype)
    np.add.at(counts, at, found.counts)
    one[at] = found.values
    if n_groups > 1:
        groups[at] = found.groups
    unlike = np.flatnonzero(one[at] != found.values)
    other = one.copy()
    other[at[unlike]] = found.values[unlike]
    used = np.flatnonzero(counts != 0)
    two = used[one[used] != other[used]]
    counts[two] -= 1
    columns = ((one[used], other[two]), (groups[used], groups[two]), (counts[used], np.ones(len(two), np.int64)))
    return Found(*(np.concatenate(pair) for pair in columns))
