"""States of partitions, merged as they come; those that outgrow their share of memory are scattered over files."""

import threading
from collections.abc import Callable, Sequence

from gpupipe.backends.keys import factorize
from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.kinds import KINDS
from gpupipe.backends.states.state import State
from gpupipe.columns import concat
from gpupipe.compiler.gathering import Intake
from gpupipe.memory import memory_bytes
from gpupipe.runtime.named import named
from gpupipe.runtime.scattered import Merged, Scattered, nbytes, whole

_AT_ONCE = 8
_SHARE = 8  # of the memory may be states that wait: merging them takes several times as much for a moment
_MOSTLY_SHARED = 0.7  # merging before writing is worth it where it leaves fewer groups than that


class Merging:
    """The states of one scan, of the partitions so far. Merging is exact, so the order of partitions never shows.

    Args:
        intakes: what the states are of, in order.
        memory: as `Pipeline` takes it. States beyond a share of it wait in scratch files, which never shows either.
    """

    def __init__(self, intakes: Sequence[Intake], memory: int | str | None = None) -> None:
        self._intakes = intakes
        alike: dict[object, list[int]] = {}
        for number, intake in enumerate(intakes):
            alike.setdefault((intake.keys, number if _listed(intake) else _may_scatter(intake)), []).append(number)
        most = memory_bytes(memory) // _SHARE
        self._families = [_Family(numbers, [intakes[number] for number in numbers]) for numbers in alike.values()]
        self._most, self._each = most, most // max(len(self._families), 1)

    def add(self, states: Sequence[State]) -> None:
        """Take in the states of one partition; from any thread.

        Raises:
            StorageError: states are too large for memory, and cannot be written.
        """
        for family in self._families:
            family.add([states[number] for number in family.numbers], self._is_large)

    def _is_large(self, size: int) -> bool:
        return size > self._each and sum(family.size for family in self._families) > self._most

    def states(self) -> list[State]:
        """The merged states in memory, in the order of the intakes; once all partitions are in."""
        return [whole(state) for state in self.merged()]

    def merged(self) -> list[Merged]:
        """The merged states, those that outgrew memory still scattered; close these."""
        found = {
            number: state
            for family in self._families
            for number, state in zip(family.numbers, family.merged(), strict=True)
        }
        return [found[number] for number in range(len(self._intakes))]


def _listed(intake: Intake) -> bool:
    """Whether distinct values of all rows are counted: the values of one column have nothing to do with another's."""
    return not intake.gather.keys and KINDS[intake.gather.state].entries is not None


def _may_scatter(intake: Intake) -> bool:
    """Whether the state can be finished bucket by bucket: what is refined by a further trip cannot."""
    return intake.gather.state != "order" and (bool(intake.gather.keys) or _listed(intake))


class _Family:
    """States over the same keys, whose groups are the same: what is found out about them is found out once.

    Attributes:
        numbers: their numbers among the intakes.
        size: bytes that wait to be merged.
    """

    def __init__(self, numbers: Sequence[int], intakes: Sequence[Intake]) -> None:
        self.numbers, self._intakes = numbers, intakes
        self.size = 0
        self._waiting: list[list[State]] = []
        self._scattered: list[Scattered] = []
        self._worth_merging = True
        self._lock = threading.Lock()

    def add(self, states: list[State], is_large: Callable[[int], bool]) -> None:
        """Take in states of one partition."""
        with self._lock:
            self._waiting.append(states)
            self.size += _size(states)
            large = is_large(self.size)
            if len(self._waiting) < _AT_ONCE and not large:
                return
            taken, self._waiting = self._waiting, []
            before, self.size = self.size, 0
        if self._worth_merging:
            taken = [self._together(taken)]
            self._worth_merging = not large or _size(taken[0]) < _MOSTLY_SHARED * before
        self._put(taken, large)

    def _put(self, taken: list[list[State]], large: bool) -> None:
        size = sum(map(_size, taken))
        with self._lock:
            if large and not self._scattered and all(map(_may_scatter, self._intakes)):
                self._scattered = [
                    Scattered(intake.gather.state, len(intake.gather.keys)) for intake in self._intakes
                ]
            if not self._scattered:
                self._waiting += taken
                self.size += size
                return
        self._scatter(taken)

    def _scatter(self, taken: list[list[State]]) -> None:
        for states in taken:
            for scattered, state in zip(self._scattered, states, strict=True):
                scattered.add(state)

    def merged(self) -> Sequence[Merged]:
        """All that was taken in."""
        if not self._scattered:
            return self._together(self._waiting)
        self._scatter(self._waiting)
        self._waiting, self.size = [], 0
        return self._scattered

    def _together(self, parts: list[list[State]]) -> list[State]:
        if len(parts) == 1:
            return parts[0]
        merged, keys = [], parts[0][0].keys
        groups = factorize([concat([part[0].keys[at] for part in parts]) for at in range(len(keys))]) if keys else None
        for number, intake in enumerate(self._intakes):
            with named(intake.gather.node):
                merged.append(merge([part[number] for part in parts], groups))
        return merged


def _size(states: Sequence[State]) -> int:
    return sum(map(nbytes, states))
