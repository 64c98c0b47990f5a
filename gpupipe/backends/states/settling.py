"""Settling quantiles: those bins of an order state that hold a rank asked for give way to the values in them.

What is settled for some groups of the rows alone also serves rows added later whose one value is not yet known: of n
values and m copies of another one, the value at a rank is that copy, or the value that was at the rank, or at the rank
less m. All of those are settled, so that where the copies belong among the others never matters.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gpupipe.backends.states.integers import distinct
from gpupipe.backends.states.orders import ranks_of
from gpupipe.backends.states.spans import Found, Spans
from gpupipe.backends.states.state import Entries, State
from gpupipe.columns import Column, Values
from gpupipe.errors import InternalError
from gpupipe.kernels.reference import radix
from gpupipe.schema import Int64

_FEW_ROWS = 65_536  # so many rows, or this share of all, are taken one by one, which settles them in one trip
_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One quantile asked of some groups of an order state, taken together.

    Attributes:
        groups: bool, which of the state's groups.
        q: the fraction, 0 to 1.
        later: how many rows of one value, known later, are added to them; a number for each such value.
        mirrored: whether the quantile may be asked of the values in falling order besides.
    """

    groups: Values
    q: float
    later: tuple[int, ...] = ()
    mirrored: bool = False


class Settling:
    """An order state on its way to exact values at the ranks asked for.

    Args:
        state: merged, of kind ``order``.
        asked: the quantiles.
    """

    def __init__(self, state: State, asked: Sequence[Asked]) -> None:
        if state.entries is None:
            raise InternalError("A state without entries was to be settled. Please report this.")
        self._state, self._asked = state, asked
        self._dtype = state.entries.values.dtype
        self._take(state.entries.values.values, state.entries.groups, state.entries.counts)
        self._trips: list[Spans] = []

    def _take(self, values: Values, groups: Values, counts: Values) -> None:
        order = np.argsort(values, kind="stable")
        self._values, self._groups, self._counts = values[order], groups[order], counts[order]

    @property
    def keys(self) -> list[Column]:
        """The keys of the groups."""
        return self._state.keys

    def wanted(self, most: int) -> Spans | None:
        """The bins in which ranks asked for lie and whose values are not known; None when all is settled.

        Args:
            most: of so many rows the values are taken one by one; of more, the bins are divided first.
        """
        bits = radix.ordered_bits(self._values[self._places()])
        low, high, settled = self._bounds(bits)
        low, first = np.unique(low[~settled], return_index=True)
        if not len(low):
            return None
        spans = Spans(low, high[~settled][first])
        rows = int(self._counts[self._inside(spans)].sum())
        few = max(_FEW_ROWS, min(most, int(_SHARE * self._counts.sum())))
        one_by_one = min(rows, self._distinct_in(spans)) <= few or not spans.divisible
        return spans if one_by_one else spans.divided()

    @property
    def known(self) -> Found:
        """The entries: values where those are known, else the least value of a bin, and how many rows lie in it."""
        return Found(self._values, self._groups, self._counts)

    @property
    def exact(self) -> Values:
        """float64 or int64, ascending: the values at the ranks asked for, once all is settled."""
        return distinct(self._values[self._places()])

    def asks_of(self, value: float) -> bool:
        """Whether a rank asked for lies in the bin, or at the value, of the entry of this value."""
        return bool((self._values[self._places()] == value).any())

    def aside(self) -> Spans:
        """Where no rank asked for lies, beside and between the bins that hold one, and not all values are known."""
        low, high, _ = self._bounds(radix.ordered_bits(self._values[self._places()]))
        low, first = np.unique(low, return_index=True)
        ends = radix.first_bits()[[0, -1]]
        low, high = np.append(ends[0], high[first]), np.append(low, ends[1])
        some = low < high
        gaps = Spans(low[some], high[some])
        bits = radix.ordered_bits(self._values)
        at, inside = gaps.places(bits)
        unknown = distinct(at[inside & ~self._bounds(bits)[2]])
        return Spans(gaps.low[unknown], gaps.high[unknown])

    def _distinct_in(self, spans: Spans) -> int:
        """How many different values the spans could hold."""
        if self._dtype == Int64:
            low, high = np.ceil(radix.floats_of(spans.low)), np.floor(radix.floats_of(spans.high - 1))
            return int((high - low + 1025).sum())  # beyond 2**53 up to 1,024 integers are one float64
        return sum((spans.high - spans.low).tolist())

    def _inside(self, spans: Spans) -> Values:
        return spans.places(radix.ordered_bits(self._values))[1]

    def _places(self) -> Values:
        """The entries at the ranks asked for, ascending."""
        found = [np.zeros(0, np.int64)]
        for asked in alike(self._asked, lambda one: one.groups.tobytes()):
            running = np.cumsum(np.where(asked[0].groups[self._groups], self._counts, 0))
            n = int(running[-1]) if len(running) else 0
            for same in alike(asked, lambda one: (one.later, one.mirrored)):
                ranks = ranks_of(n, np.array([one.q for one in same]), same[0].later, mirrored=same[0].mirrored)
                found.append(np.searchsorted(running, ranks, side="right"))
        return distinct(np.concatenate(found))

    def _bounds(self, bits: Values) -> tuple[Values, Values, Values]:
        """Where the bin of each of these bits begins and has ended, and whether it holds but one value."""
        first = radix.first_bits()
        at = np.searchsorted(first, bits, side="right") - 1
        low, high, settled = first[at], first[at + 1], np.zeros(len(bits), bool)
        for spans in self._trips:
            at, inside = spans.places(bits)
            start, end = spans.part(at, bits)
            low, high = np.where(inside, start, low), np.where(inside, end, high)
            settled |= inside & spans.is_settled(start)
        if self._dtype == Int64:
            least = np.ceil(radix.floats_of(low))
            settled |= (least == np.floor(radix.floats_of(high - 1))) & (np.abs(least) < 2.0**53)
        return low, high, settled

    def settle(self, spans: Spans, parts: Sequence[Found]) -> None:
        """Put what was found in all partitions in the place of the spans.

        Raises:
            InternalError: these are not the rows that the state saw.
        """
        found = spans.merged(parts)
        inside = self._inside(spans)
        size = self._state.n_groups
        seen, again = np.zeros(size, np.int64), np.zeros(size, np.int64)
        np.add.at(seen, self._groups[inside], self._counts[inside])
        np.add.at(again, found.groups, found.counts)
        if not np.array_equal(seen, again):
            raise InternalError("The rows changed between two trips over them. Please report this.")
        spans, found = spans.after(found, self._dtype)
        self._trips.append(spans)
        old = (self._values, self._groups, self._counts)
        new = (found.values, found.groups, found.counts)
        self._take(*(np.concatenate([array[~inside], more]) for array, more in zip(old, new, strict=True)))

    def state(self) -> State:
        """The state as one of values: exact at the ranks asked for, one entry for all between two of those."""
        exact = self.exact
        slot = run_of(self._values, exact)
        slots = 2 * len(exact) + 1
        least = np.zeros(slots, self._values.dtype)
        least[slot[::-1]] = self._values[::-1]
        total = np.zeros(self._state.n_groups * slots, np.int64)
        np.add.at(total, self._groups * slots + slot, self._counts)
        used = np.flatnonzero(total)
        entries = Entries(Column(self._dtype, least[used % slots]), used // slots, total[used])
        return State("values", self._state.keys, self._state.rows, {}, entries)


def alike(asked: Iterable[Asked], key: Callable[[Asked], Hashable]) -> Iterable[list[Asked]]:
    found: dict[Hashable, list[Asked]] = {}
    for one in asked:
        found.setdefault(key(one), []).append(one)
    return found.values()


def run_of(values: Values, exact: Values) -> Values:
    """The number of the run that each value lies in: one of `exact`, which ascends, or between two of them."""
    return np.searchsorted(exact, values, side="left") + np.searchsorted(exact, values, side="right")
