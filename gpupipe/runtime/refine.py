"""What a first trip over the rows leaves open: quantiles, known to a bin, settled by the rows that lie in it."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gpupipe.backends.states.ends import ENDS, Kept
from gpupipe.backends.states.runs import Runs, runs_of, tails
from gpupipe.backends.states.settling import Asked, Settling
from gpupipe.backends.states.spans import Found, Spans
from gpupipe.backends.states.state import State, groups_of
from gpupipe.backends.states.tails import Division, Tails
from gpupipe.columns import Column, Values
from gpupipe.compiler.gathering import BoundScan, Intake
from gpupipe.compiler.late import needs_ends
from gpupipe.compiler.scans import REFINED, TAILS, Slot
from gpupipe.errors import InternalError
from gpupipe.runtime.looks import Bins, Look, LookAt, Seen, Trip

#: How many rows, of each group of a slot's state, each of its late constants stands for.
Later = Callable[[Slot], Sequence[Values]]

_MOST_ROWS = 2**23  # taken in one by one in a trip, of all columns together
_AT_ONCE = 8
_BESIDE = 4 << 20  # bytes of values kept, from which on threads sort them for less than it takes to start them


def refined(
    bound: BoundScan,
    states: Sequence[State],
    trip: Trip,
    training: Iterable[Collection[int]] = (),
    later: Later | None = None,
    threads: int = 1,
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
        threads: how many may sort what was kept of different columns.
    """
    result, outer = list(states), list(training)
    for number, state in _at_ends(bound, result, later, threads).items():
        result[number] = state
    kept = _kept(bound, result, trip, later)
    opened = {
        number: Settling(state, _asked(intake, state, outer, later))
        for number, (intake, state) in enumerate(zip(bound.intakes, result, strict=True))
        if state.kind == REFINED
    }
    apart = _beside(bound, result)
    tails: dict[int, Tails] = {}
    waiting = dict(opened)
    while waiting:
        collecting = _next(waiting, apart, states, tails)
        waiting = {number: waiting[number] for number in collecting}
        if collecting:
            _go(bound, collecting, kept, trip)
    for number, settling in opened.items():
        result[number] = settling.state()
    for number, found in tails.items():
        result[apart[number]] = found.state()
    return result


def _at_ends(bound: BoundScan, states: Sequence[State], later: Later | None, threads: int) -> dict[int, State]:
    """The states of columns that the values kept at their ends tell all of, by number: settled, and taken apart."""
    apart, asked = _beside(bound, states), dict[int, Sequence[Asked]]()
    for number, (intake, state) in enumerate(zip(bound.intakes, states, strict=True)):
        if state.kind == ENDS.name:
            asked[number] = _asked(intake, state, [], later)
    settled = _settled(threads, [states[number] for number in asked], asked.values())
    found = {number: runs for number, runs in zip(asked, settled, strict=True) if runs is not None}
    beside = {number: apart[number] for number in found if number in apart}
    divided = tails([found[number] for number in beside], [states[at] for at in beside.values()])
    return {number: runs.state() for number, runs in found.items()} | dict(zip(beside.values(), divided, strict=True))


def _settled(threads: int, states: Sequence[State], asked: Iterable[Sequence[Asked]]) -> list[Runs | None]:
    """`runs_of` each state, by several threads where the values kept are many: sorting them holds no lock."""
    if threads < 2 or sum(state.arrays["kept"].nbytes for state in states) < _BESIDE:
        return list(map(runs_of, states, asked))
    with ThreadPoolExecutor(threads, thread_name_prefix="gpupipe-settling") as pool:
        return list(pool.map(runs_of, states, asked))


def _kept(bound: BoundScan, states: list[State], trip: Trip, later: Later | None) -> dict[int, Column]:
    """The values kept of columns, by number of the state, which becomes one of bins; where these do not tell what was
    asked for, in one more trip for all such columns."""
    found: dict[int, Column] = {}
    missed = []
    for number, state in enumerate(states):
        if state.kind != ENDS.name:
            continue
        ends, states[number] = Kept(state), State(REFINED, [], state.rows, {})
        if ends.is_whole:
            states[number], found[number] = ends.binned(), ends.column
            settling = Settling(states[number], _asked(bound.intakes[number], states[number], [], later))
        if not ends.is_whole or settling.asks_of(ends.middle):
            missed.append(number)
    for number, binned in zip(missed, _binned(bound, missed, trip) if missed else [], strict=True):
        states[number] = binned
        found.pop(number, None)
    return found


def _binned(bound: BoundScan, numbers: Sequence[int], trip: Trip) -> list[State]:
    """The order states of these intakes, of rows in one group."""
    used = sorted({bound.intakes[number].value for number in numbers})
    parts: list[Seen] = []
    look = Bins((), tuple(used.index(bound.intakes[number].value) for number in numbers))
    trip([bound.outputs[place] for place in used], look, parts.append)
    return [state for state, _ in look.merged(parts)]


def _beside(bound: BoundScan, states: Sequence[State]) -> dict[int, int]:
    """For the number of an order state, that of the state of the same column that its trips take apart."""
    orders = {
        bound.intakes[number].value: number
        for number, state in enumerate(states)
        if state.kind in (REFINED, ENDS.name) and not bound.intakes[number].gather.folds
    }
    intakes = enumerate(zip(bound.intakes, states, strict=True))
    both = ((number, intake) for number, (intake, state) in intakes if state.kind == TAILS)
    return {orders[intake.value]: number for number, intake in both if intake.value in orders}


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


def _go(bound: BoundScan, collecting: dict[int, _Collecting], kept: Mapping[int, Column], trip: Trip) -> None:
    """One trip that takes in the columns of these intakes alone; none for those of which all it would see was kept."""
    for number in collecting.keys() & kept.keys():
        found = collecting[number].sought(0, ()).ready()([kept[number]], groups_of([], len(kept[number])))
        collecting[number].take_in(*found)
    left = [number for number in collecting if number not in kept]
    if left:
        _go_over(bound, {number: collecting[number] for number in left}, trip)
    for each in collecting.values():
        each.settle()


def _go_over(bound: BoundScan, collecting: Mapping[int, _Collecting], trip: Trip) -> None:
    intakes = {number: bound.intakes[number] for number in collecting}
    used = sorted({place for intake in intakes.values() for place in (intake.value, *intake.keys)})
    at = {place: position for position, place in enumerate(used)}

    places = {n: (at[intake.value], tuple(at[key] for key in intake.keys)) for n, intake in intakes.items()}
    look = Look(tuple(collecting[n].sought(*where) for n, where in places.items()))

    def take_in(seen: Seen) -> None:
        for each, found in zip(collecting.values(), seen, strict=True):
            each.take_in(*found)

    trip([bound.outputs[place] for place in used], look, take_in)


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
