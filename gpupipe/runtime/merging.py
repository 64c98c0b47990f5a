"""States of partitions, merged as they come."""

import threading
from collections.abc import Sequence

from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.state import State
from gpupipe.compiler.gathering import Intake
from gpupipe.runtime.named import named

_AT_ONCE = 8


class Merging:
    """The states of one scan, of the partitions so far. Merging is exact, so the order of partitions never shows.

    Args:
        intakes: what the states are of, in order.
    """

    def __init__(self, intakes: Sequence[Intake]) -> None:
        self._intakes = intakes
        self._waiting: list[list[State]] = []
        self._lock = threading.Lock()

    def add(self, states: list[State]) -> None:
        """Take in the states of one partition; from any thread."""
        with self._lock:
            self._waiting.append(states)
            if len(self._waiting) < _AT_ONCE:
                return
            taken, self._waiting = self._waiting, []
        merged = self._merged(taken)
        with self._lock:
            self._waiting.append(merged)

    def states(self) -> list[State]:
        """The merged states, in the order of the intakes; once all partitions are in."""
        return self._merged(self._waiting)

    def _merged(self, parts: list[list[State]]) -> list[State]:
        merged = []
        for number, intake in enumerate(self._intakes):
            with named(intake.gather.slots[0].node):
                merged.append(merge([part[number] for part in parts]))
        return merged
