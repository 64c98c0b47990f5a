"""What a first trip over the rows leaves open: quantiles, known to a bin, settled by the rows that lie in it."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.states.settling import Asked, Settling
from gpupipe.backends.states.spans import Found, Spans
from gpupipe.backends.states.state import Groups, State, groups_of
from gpupipe.backends.states.tails import Division, Sought, Tails
from gpupipe.backends.taking import widened
from gpupipe.columns import AnyColumn, Column, Values, on_host
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import BoundScan, Intake
from gpupipe.compiler.late import needs_ends
from gpupipe.compiler.scans import REFINED, TAILS, Slot
from gpupipe.errors import InternalError

Seen = list[tuple[Any, Found | None]]  # by one look at some rows, a pair for each column looked at
#: Looks at the columns of these outputs in all partitions, and gives what was seen to the function, from any thread.
Trip = Callable[[Sequence[Output], "Look", Callable[[Seen], None]], None]
#: How many rows, of each group of a slot's state, each of its late constants stands for.
Later = Callable[[Slot], Sequence[Values]]

_MOST_ROWS = 2**23  # taken in one by one in a trip, of all columns together
_AT_ONCE = 8


def refined(
    bound: BoundScan,
    states: Sequence[State],
    trip: Trip,
    training: Iterable[Collection[int]] = (),
    later: Later | None = None,
) -> list[State]:
    """The merged states of a scan with nothing left open: those of kind ``order`` become states of values.

    Each is exact at the ranks that its slots ask for, of all rows and of what each fold trains with, and holds one
    entry for all values between two such. Usually that takes one trip; of many rows close together, a few more. Those
    of kind ``tails``, which stand beside one of the same column, are taken apart at these ranks by the last of them.

    Args:
        trip: goes over the rows again; one for all columns at a time.
        training: of an outer fold kept as the last key, the values of that key that each fold trains with.
        later: of slots with late constants, how many rows those are; they may be added to the result as they are
            (``gathering.with_rows``), whatever their values.
    """
    result = list(states)
    outer = list(training)
    opened = {
        number: Settling(state, _asked(intake, state, outer, later))
        for number, (intake, state) in enumerate(zip(bound.intakes, states, strict=True))
        if state.kind == REFINED
    }
    apart = _beside(bound, states)
    tails: dict[int, Tails] = {}
    waiting = dict(opened)
    while waiting:
        collecting = _next(waiting, apart, states, tails)
        waiting = {number: waiting[number] for number in collecting}
        if collecting:
            _go(bound, collecting, trip)
    for number, settling in opened.items():
        result[number] = settling.state()
    for number, found in tails.items():
        result[apart[number]] = found.state()
    return result


def _beside(bound: BoundScan, states: Sequence[State]) -> dict[int, int]:
    """For the number of an order state, that of the state of the same column that its trips take apart."""
    orders = {
        bound.intakes[number].value: number
        for number, state in enumerate(states)
        if state.kind == REFINED and not bound.intakes[number].gather.folds
    }
    intakes = enumerate(zip(bound.intakes, states, strict=True))
    return {orders[intake.value]: number for number, (intake, state) in intakes if state.kind == TAILS}


def _next(
    waiting: Mapping[int, Settling], apart: Mapping[int, int], states: Sequence[State], tails: dict[int, Tails]
) -> "dict[int, _Collecting]":
    """What the next trip is for; `tails` takes those that it is the last one for."""
    most = _MOST_ROWS // len(waiting)
    collecting = {}
    for number, settling in waiting.items():
        spans, beside = settling.wanted(most), None
        if number in apart and number not in tails and (spans is None or spans.widths is None):
            beside = tails[number] = Tails(settling, states[apart[number]])
        if spans is not None or (beside is not None and beside.needs_rows):
            collecting[number] = _Collecting(settling, spans, beside)
    return collecting


@dataclass(frozen=True, slots=True, eq=False)
class LookAt:
    """What is sought in one column, as data.

    Attributes:
        value, keys: the places of the column and its keys among those that the trip computes.
        groups: the keys of the groups that are known, whose numbers are told of; none: all rows are in one.
        both: where anything is sought; None: `spans` alone say.
        spans, aside: where values are told, and where rows are told for their sums.
    """

    value: int
    keys: tuple[int, ...]
    groups: list[Column]
    both: Spans | None
    spans: Spans | None
    aside: Sought | None

    def ready(self) -> Callable[[Sequence[AnyColumn], Groups], tuple[Any, Found | None]]:
        """(the columns, the groups of their rows) -> what was found."""
        index = KeyIndex(self.groups) if self.groups else None

        def found(columns: Sequence[AnyColumn], by: Groups) -> tuple[Any, Found | None]:
            group_of = np.zeros(1, np.int64) if index is None else index.find(by.keys)
            column = columns[self.value]
            column, by = (column, by) if self.both is None else self.both.part_of(column, by)
            aside = None if self.aside is None else self.aside.found(column, by, group_of)
            return aside, None if self.spans is None else self.spans.found(column, by, group_of)

        return found

    def merged(self, parts: Sequence[tuple[Any, Found | None]]) -> tuple[Any, Found | None]:
        """What was found in several parts of the rows."""
        asides = [aside for aside, _ in parts if aside is not None]
        found = [part for _, part in parts if part is not None]
        aside = None if not asides or self.aside is None else self.aside.merged(asides)
        return aside, None if not found or self.spans is None else self.spans.merged(found)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a trip looks for, as data: in another process it is the same."""

    each: tuple[LookAt, ...]

    def ready(self) -> Callable[[Sequence[AnyColumn], list[Column], int], Seen]:
        """(the columns, the last key if states have one besides their own, how many rows) -> what was seen."""
        ready = [one.ready() for one in self.each]

        def look(columns: Sequence[AnyColumn], last: list[Column], n_rows: int) -> Seen:
            groups = {
                keys: groups_of([widened(on_host(columns[place])) for place in keys] + last, n_rows)
                for keys in dict.fromkeys(one.keys for one in self.each)
            }
            return [found(columns, groups[one.keys]) for one, found in zip(self.each, ready, strict=True)]

        return look

    def merged(self, seen: Sequence[Seen]) -> Seen:
        """What was seen in several parts of the rows."""
        return [one.merged(parts) for one, parts in zip(self.each, zip(*seen, strict=True), strict=True)]


class _Collecting:
    """What one column holds in its spans, of the partitions so far; and aside from them, where that is wanted."""

    def __init__(self, settling: Settling, spans: Spans | None, tails: Tails | None) -> None:
        self._settling, self._spans, self._tails = settling, spans, tails
        self._parts: list[Found] = []
        self._lock = threading.Lock()

    def sought(self, value: int, keys: tuple[int, ...]) -> LookAt:
        """What is sought in the column at that place, with keys at others."""
        both = self._tails.near(self._spans) if self._tails is not None and self._spans is not None else None
        aside = None if self._tails is None else self._tails.sought
        return LookAt(value, keys, self._settling.keys, both, self._spans, aside)

    def take_in(self, aside: Any, part: Found | None) -> None:
        """Take in what was found in some rows; from any thread."""
        if self._tails is not None and aside is not None:
            self._tails.add(aside)
        if self._spans is not None and part is not None:
            self._put(self._spans, part)

    def _put(self, spans: Spans, part: Found) -> None:
        with self._lock:
            self._parts.append(part)
            if len(self._parts) < _AT_ONCE:
                return
            taken, self._parts = self._parts, []
        merged = spans.merged(taken)
        with self._lock:
            self._parts.append(merged)

    def settle(self) -> None:
        """Once all partitions are in."""
        if self._spans is not None:
            self._settling.settle(self._spans, self._parts)


def _go(bound: BoundScan, collecting: dict[int, _Collecting], trip: Trip) -> None:
    """One trip that takes in the columns of these intakes alone."""
    intakes = {number: bound.intakes[number] for number in collecting}
    used = sorted({place for intake in intakes.values() for place in (intake.value, *intake.keys)})
    at = {place: position for position, place in enumerate(used)}

    places = {n: (at[intake.value], tuple(at[key] for key in intake.keys)) for n, intake in intakes.items()}
    look = Look(tuple(collecting[n].sought(*where) for n, where in places.items()))

    def take_in(seen: Seen) -> None:
        for each, found in zip(collecting.values(), seen, strict=True):
            each.take_in(*found)

    trip([bound.outputs[place] for place in used], look, take_in)
    for each in collecting.values():
        each.settle()


def divided(
    bound: BoundScan, states: Sequence[State], bounds: Mapping[int, Values], trip: Trip
) -> dict[int, State]:
    """States of kind ``tails``, by their number, runs of their rows divided at these bounds: one trip for all."""
    divisions = {number: Division(states[number], cuts) for number, cuts in bounds.items()}
    used = sorted({bound.intakes[number].value for number in divisions})
    at = {place: position for position, place in enumerate(used)}

    places = [at[bound.intakes[number].value] for number in divisions]
    aside = [each.sought for each in divisions.values()]
    look = Look(tuple(LookAt(value, (), [], None, None, sought) for value, sought in zip(places, aside, strict=True)))

    def take_in(seen: Seen) -> None:
        for each, (aside, _) in zip(divisions.values(), seen, strict=True):
            if aside is not None:
                each.add(aside)

    trip([bound.outputs[place] for place in used], look, take_in)
    return {number: each.state() for number, each in divisions.items()}


def _asked(intake: Intake, state: State, training: list[Collection[int]], later: Later | None) -> list[Asked]:
    masks = _parts(state, intake.gather.folds, training)
    asked = []
    for slot in intake.gather.slots:
        if slot.late.constants and later is None:
            raise InternalError("Rows are to be added to a quantile, and it was not told how many. Please report this.")
        times = later(slot) if slot.late.constants and later is not None else ()
        for mask in masks:
            rows = tuple(int(each[mask].sum()) for each in times)
            asked += [Asked(mask, q, rows, slot.late.suffix is not None) for q in _fractions(slot)]
    return asked


def _fractions(slot: Slot) -> tuple[float, ...]:
    """The quantile of a slot, and the ends of its values where steps want to see them."""
    q = float(slot.node.get("q", 0.5))
    return (q, 0.0, 1.0) if slot.late.suffix is not None and needs_ends(slot.late.suffix) else (q,)


def _parts(state: State, folds: int, training: list[Collection[int]]) -> list[Values]:
    """The groups whose rows a quantile may be asked of: all, those of each training part, those outside a fold."""
    every = np.ones(state.n_groups, bool)
    parts = [every] + [np.isin(state.keys[-1].values, list(cells)) for cells in training]
    return parts + [part & (state.keys[0].values != fold) for part in parts for fold in range(folds)]
