"""States of partitions, merged as they come; those that outgrow their share of memory are scattered over files."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gpupipe.backends.keys import factorize
from gpupipe.backends.named import named
from gpupipe.backends.run_texts import RunTexts
from gpupipe.backends.states.gathering import merge, merge_alike
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.numbered import resolved
from gpupipe.backends.states.state import State
from gpupipe.columns import concat
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.late import Late
from gpupipe.compiler.scans import REFINED
from gpupipe.memory import memory_bytes
from gpupipe.runtime.scattered import Scattered, nbytes, split
from gpupipe.runtime.spill import Spill

_AT_ONCE = 8
_SHARE = 16  # of the memory may be states that wait: merging them takes several times as much for a moment
_BESIDE = 4 << 20  # bytes that wait, from which on threads put them together for less than it takes to start them
_MOSTLY_SHARED = 0.7  # merging before writing is worth it where it leaves fewer groups than that


class Merging:
    """The states of one scan, of the partitions so far. Merging is exact, so the order of partitions never shows.

    Args:
        intakes: what the states are of, in order.
        memory: as `Pipeline` takes it. States beyond a share of it wait in scratch files, which never shows either.
    """

    def __init__(self, intakes: Sequence[Intake], memory: int | str | None = None) -> None:
        self._intakes = intakes
        most = memory_bytes(memory) // _SHARE
        spill = Spill()  # of all states, which may be more than the files a process may have open
        self._families = [
            _Family(numbers, [intakes[number] for number in numbers], spill if free else None)
            for free, numbers in _families(intakes)
        ]
        self._most, self._each = most, most // max(len(self._families), 1)

    def add(self, states: Sequence[Any]) -> None:
        """Take in the states of one partition; from any thread.

        Raises:
            StorageError: states are too large for memory, and cannot be written.
        """
        for family in self._families:
            if states[family.numbers[0]] is not None:  # see `divided`
                family.add([states[number] for number in family.numbers], self._is_large)

    def _is_large(self, size: int) -> bool:
        return size > self._each and sum(family.size for family in self._families) > self._most

    def states(self, threads: int = 1) -> list[State]:
        """The merged states in memory, in the order of the intakes; once all partitions are in."""
        states, scattered = self.merged(threads)
        return [scattered[number].whole() if number in scattered else state for number, state in enumerate(states)]

    def merged(self, threads: int = 1) -> tuple[list[State], dict[int, Scattered]]:
        """The same, but those that outgrew memory by their number, an empty state in their place; close them.

        Args:
            threads: how many may put together states of different keys, which is work of its own for each.
        """
        found: dict[int, State] = {}
        scattered: dict[int, Scattered] = {}
        for family in self._families:
            scattered |= zip(family.numbers, family.scattered(), strict=False)
        for family, states in zip(self._families, self._put_together(threads), strict=True):
            found |= zip(family.numbers, states, strict=False)
        empty = [State(intake.gather.state, [], np.zeros(1, np.int64), {}) for intake in self._intakes]
        return [found.get(number, state) for number, state in enumerate(empty)], scattered

    def _put_together(self, threads: int) -> Iterator[list[State]]:
        """What each family comes to, in their order; the largest are begun first."""
        if threads < 2 or len(self._families) < 2 or sum(family.nbytes for family in self._families) < _BESIDE:
            yield from map(_Family.merged, self._families)
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="gpupipe-merging") as pool:
            by_size = sorted(self._families, key=lambda family: -family.nbytes)
            begun = {id(family): pool.submit(family.merged) for family in by_size}
            yield from [begun[id(family)].result() for family in self._families]


def together(intakes: Sequence[Intake], parts: Sequence[Sequence[Any]]) -> list[Any]:
    """The states of several parts of the rows as those of one.

    Args:
        intakes: what the states are of, in order.
    """
    found: dict[int, Any] = {}
    for _, numbers in _families(intakes):
        each = [[part[number] for number in numbers] for part in parts]
        if each[0][0] is None:  # see `divided`
            found |= dict.fromkeys(numbers)
            continue
        found |= zip(numbers, _merged([intakes[number] for number in numbers], each), strict=True)
    return [found[number] for number in range(len(intakes))]


def divided(intakes: Sequence[Intake], states: Sequence[State], count: int) -> list[list[Any]]:
    """Some states as several lists that share no group: those by many keys, or of many distinct values, by a hash of
    these, `count` lists; the others whole, in a list more. None stands where a list has nothing of a state.
    """
    parts: list[list[Any]] = [[None] * len(states) for _ in range(count + 1)]
    for free, numbers in _families(intakes):
        for number in numbers:
            found = split(states[number], len(intakes[number].gather.keys), count) if free else [states[number]]
            for part, one in zip(parts if free else parts[count:], found, strict=False):
                part[number] = one
    return [part for part in parts if any(state is not None for state in part)]


def _families(intakes: Sequence[Intake]) -> list[tuple[bool, list[int]]]:
    """Numbers of states over the same keys, and whether they can be finished bucket by bucket."""
    counted = {pair for intake in intakes for slot in intake.gather.slots for pair in slot.counted}
    alike: dict[tuple[tuple[int, ...], bool, int], list[int]] = {}
    for number, intake in enumerate(intakes):
        free = _by_buckets(intake) and (intake.gather.value, intake.gather.keys) not in counted
        alike.setdefault((intake.keys, free, number if _listed(intake) else -1), []).append(number)
    return [(kind[1], numbers) for kind, numbers in alike.items()]


def _merged(intakes: Sequence[Intake], parts: list[list[State]]) -> list[State]:
    """States over the same keys, put together; their groups are found once."""
    if len(parts) == 1:
        return parts[0]
    if (numbering := _numbering(parts)) is not None:
        return list(numbering.merged(parts))
    parts = [resolved(part) for part in parts]
    merged, keys = [], parts[0][0].keys
    groups = factorize([concat([part[0].keys[at] for part in parts]) for at in range(len(keys))]) if keys else None
    alike = merge_alike(parts)
    for number, intake in enumerate(intakes):
        with named(intake.gather.node):
            merged.append(alike[number] or merge([part[number] for part in parts], groups))
    return merged


def _numbering(parts: list[list[State]]) -> Any:
    """What the groups of all parts are the numbers of; None: nothing, or not the same."""
    first = parts[0][0].numbering
    return first if all(part[0].numbering is first for part in parts) else None


def _listed(intake: Intake) -> bool:
    """Whether distinct values of all rows are counted: the values of one column have nothing to do with another's."""
    return not intake.gather.keys and KINDS[intake.gather.state].entries is not None


def _by_buckets(intake: Intake) -> bool:
    """Whether the state can be finished bucket by bucket: neither refined by a further trip, nor waiting for values."""
    gather = intake.gather
    waits = gather.tells_nulls or gather.state == REFINED or any(slot.late != Late() for slot in gather.slots)
    return not waits and (bool(gather.keys) or _listed(intake))


class _Family:
    """States over the same keys, whose groups are the same: what is found out about them is found out once.

    Args:
        spill: where they are scattered; None: nowhere.

    Attributes:
        numbers: their numbers among the intakes.
        size: bytes that wait to be merged.
    """

    def __init__(self, numbers: Sequence[int], intakes: Sequence[Intake], spill: Spill | None) -> None:
        self.numbers, self._intakes, self._spill = numbers, intakes, spill
        self.size = 0
        #: By how often they were merged: each state is merged with others as large as itself, so a few times at most.
        self._waiting: defaultdict[int, list[list[State]]] = defaultdict(list)
        self._counted: dict[RunTexts, State] = {}  # of text with numbers of a run, whose counts have room of their own
        self._scattered: list[Scattered] = []
        self._worth_merging = True
        self._lock = threading.Lock()

    def add(self, states: list[State], is_large: Callable[[int], bool]) -> None:
        """Take in states of one partition."""
        if isinstance(texts := states[0].numbering, RunTexts):
            with self._lock:
                self._counted[texts] = texts.added(self._counted.get(texts), states[0])
            return
        level, taken, large = 0, *self._queued(0, [states], is_large)
        while taken:
            before = sum(map(_size, taken))
            if self._worth_merging:
                taken = [_merged(self._intakes, taken)]
                self._worth_merging = not large or _size(taken[0]) < _MOSTLY_SHARED * before
            if self._is_scattered(large):
                self._scatter(taken)
                return
            level += 1
            taken, large = self._queued(level, taken, is_large)

    def _queued(
        self, level: int, states: list[list[State]], is_large: Callable[[int], bool]
    ) -> tuple[list[list[State]], bool]:
        """(what is to be merged next, if anything; whether all that waits has become too large)."""
        with self._lock:
            self._waiting[level] += states
            self.size += sum(map(_size, states))
            large = self._spill is not None and is_large(self.size)
            if not large and len(self._waiting[level]) < _AT_ONCE:
                return [], False
            taken = self._all() if large else self._waiting.pop(level)
            self.size -= sum(map(_size, taken))
            return taken, large

    def _all(self) -> list[list[State]]:
        taken = [states for waiting in self._waiting.values() for states in waiting]
        taken += [[state] for state in self._counted.values()]
        self._waiting.clear()
        self._counted.clear()
        return taken

    @property
    def nbytes(self) -> int:
        """The bytes that are to be put together."""
        return self.size + _size(list(self._counted.values()))

    def _is_scattered(self, large: bool) -> bool:
        """Whether states of this family go into files, from now on if they have become too large."""
        with self._lock:
            if large and self._spill is not None and not self._scattered:
                gathers = [intake.gather for intake in self._intakes]
                self._scattered = [Scattered(gather.state, len(gather.keys), self._spill) for gather in gathers]
            return bool(self._scattered)

    def _scatter(self, taken: list[list[State]]) -> None:
        for states in taken:
            for scattered, state in zip(self._scattered, resolved(states), strict=True):
                scattered.add(state)

    def scattered(self) -> list[Scattered]:
        """All that was taken in, if it is scattered."""
        if self._scattered:
            self._scatter(self._all())
            self.size = 0
        return self._scattered

    def merged(self) -> list[State]:
        """All that was taken in, if it is not."""
        return [] if self._scattered else resolved(_merged(self._intakes, self._all()))


def _size(states: Sequence[State]) -> int:
    return sum(map(nbytes, states))
