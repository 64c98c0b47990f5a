"""States of many float32 columns, each all one group, in one call: their sums, and the values at their ends."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from gpupipe import optional
from gpupipe.backends.exact.number import Exact, each_of_places
from gpupipe.backends.exact.totals import Sums
from gpupipe.backends.states.ends import Bounds, most_kept, state_of
from gpupipe.backends.states.moments import MOMENTS, TAILS, arrays_of
from gpupipe.backends.states.orders import ORDER
from gpupipe.backends.states.state import State
from gpupipe.columns import Column, Values

_FEW_ROWS = 8_192
_SUMMED = {MOMENTS.name, TAILS.name}
_WANTS_NONE = (0.0, 0.0, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is wanted of a column.

    Attributes:
        kinds: of its states.
        bounds: of the ends that are kept in the place of an order state.
    """

    column: Column
    kinds: Collection[str]
    bounds: Bounds | None

    @property
    def is_taken(self) -> bool:
        """Whether it is taken in here: as it is stored, its sums, and bins only where the ends are kept instead."""
        column, kinds = self.column, set(self.kinds)
        if not isinstance(column.values, np.ndarray) or column.values.dtype != np.float32 or len(column) <= _FEW_ROWS:
            return False
        if not kinds & _SUMMED or not kinds <= (_SUMMED if self.bounds is None else {*_SUMMED, ORDER.name}):
            return False
        return _is_plain(column.values) and (column.valid is None or _is_plain(column.valid))

    @property
    def ends(self) -> tuple[float, float, int]:
        """As the kernel takes them."""
        if self.bounds is None or ORDER.name not in self.kinds:
            return _WANTS_NONE
        low, high = self.bounds.narrow.tolist()
        return low, high, most_kept(len(self.column))


def _is_plain(array: Values) -> bool:
    return array.ndim == 1 and array.flags.c_contiguous and array.flags.aligned


def gathered(wanted: Mapping[int, Wanted]) -> dict[int, dict[str, State]]:
    """The states of columns of one length that are taken in here, by the same numbers; none of a column in which
    something is NaN or infinite, since someone may have to be told.
    """
    each = list(wanted.values())
    found = _kernels().gather([(one.column.values, one.column.valid) for one in each], [one.ends for one in each])
    counts = found.counts
    states: dict[int, dict[str, State]] = {}
    for at, (number, sums) in enumerate(zip(wanted, sums_of(found.sums, found.squares), strict=True)):
        if not found.odd[at]:
            states[number] = _states(each[at], counts[at : at + 1], sums, found.kept[at])
    return states


def _states(wanted: Wanted, count: Values, sums: Sums, kept: Values | None) -> dict[str, State]:
    arrays, rows = {"n": count, **arrays_of(sums)}, np.array([len(wanted.column)])
    states = {}
    for kind in wanted.kinds:
        if kind == ORDER.name and wanted.bounds is not None:
            states[kind] = state_of(wanted.bounds, wanted.column, int(count[0]), kept)
        else:
            none = {"infinite": np.zeros((1, 2), np.int64)} if kind == TAILS.name else {}
            states[kind] = State(kind, [], rows, arrays | none)
    return states


def sums_of(sums: Values, squares: Values) -> list[Sums]:
    """Each row of digits, as the kernel gives them, as the exact sums of one group."""
    return list(map(Sums, *map(_numbers, (sums, squares), _kernels().BASES)))


def _numbers(digits: Values, base: int) -> Sequence[Exact]:
    return each_of_places(np.ascontiguousarray(digits.T), np.full(len(digits), base))


def _kernels() -> ModuleType:
    return optional.load("gpupipe.kernels.cpu.singles")
