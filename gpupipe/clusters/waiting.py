"""The partitions of a trip that wait: several go to one task, where that is one's work for a worker."""

from collections import deque
from collections.abc import Callable, Sequence

AT_ONCE = 8  # of one task at most: what comes of them is merged where it is
_SHARES = 2  # so often those that are begun would have to be begun for all that waits: what is begun last is little


class Waiting:
    """Partitions that wait.

    Args:
        chosen: their numbers, ascending.
        most: how many of them one task takes.
        together: whether one task can take both of two.
    """

    def __init__(self, chosen: Sequence[int], most: int, together: Callable[[int, int], bool]) -> None:
        self._numbers, self._most, self._together = deque(chosen), min(most, AT_ONCE), together
        self._single: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._numbers)

    @property
    def first(self) -> int:
        """The one that is next."""
        return self._numbers[0]

    def share(self, tasks: int) -> int:
        """How many of them each of so many tasks takes that are begun at once, or by so many threads."""
        return min(-(-len(self._numbers) // (_SHARES * tasks)), self._most)

    def taken(self, most: int) -> tuple[int, ...]:
        """Those of the next task, which follow each other: an error of theirs is that of the first that fails."""
        found = [self._numbers.popleft()]
        while self._numbers and len(found) < most and self._goes_with(found):
            found.append(self._numbers.popleft())
        return tuple(found)

    def _goes_with(self, found: list[int]) -> bool:
        following = self._numbers[0]
        single = found[-1] in self._single or following in self._single
        return not single and following == found[-1] + 1 and self._together(found[0], following)

    def back(self, indices: Sequence[int]) -> None:
        """These are to be begun again, each by itself."""
        self._single.update(indices)
        self._numbers.extendleft(reversed(indices))

    def leave(self, beyond: int) -> None:
        """Those from this one on are not begun any more."""
        self._numbers = deque(index for index in self._numbers if index < beyond)
