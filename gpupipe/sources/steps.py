"""What happens to rows between a reader and a frame: steps, each over one partition, in the order written."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from gpupipe.columns import Frame, Values
from gpupipe.schema import Schema
from gpupipe.sources.identity import chosen, key_hash
from gpupipe.sources.partition import Comparison
from gpupipe.sources.predicates import Predicate, columns_of, comparisons, satisfied


class Step(ABC):
    """One step. It knows which columns it needs, and what the schema is after it."""

    drops_rows: bool = False
    counted_as: str | None = None  # under which text the rows it drops are reported
    adds: frozenset[str] = frozenset()  # columns that come from elsewhere
    refused: Mapping[str, str] = MappingProxyType({})  # and those from there that cannot be used, with the reason
    nbytes: int = 0  # bytes read from elsewhere

    def __str__(self) -> str:
        return type(self).__name__.lower()

    def schema(self, before: Schema) -> Schema:
        """The schema after the step."""
        return before

    def needs(self, wanted: set[str]) -> set[str]:
        """The columns needed before the step for those wanted after it."""
        return wanted

    def without_key(self, frame: Frame, keep: Sequence[str]) -> dict[str, int]:
        """How many rows of `frame` have no key to be joined by, by the join's text."""
        return {}

    @abstractmethod
    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        """The frame after the step, with (at least) the columns `keep`."""


def _kept(frame: Frame, mask: Values, keep: Sequence[str]) -> Frame:
    needed = frame.select(keep)
    return needed if mask.all() else needed.take(np.flatnonzero(mask))


@dataclass(frozen=True, eq=False)
class Select(Step):
    """Fewer columns, in another order."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"select {', '.join(self.names)}"

    def schema(self, before: Schema) -> Schema:
        return before.select(self.names)

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        return frame


@dataclass(frozen=True, eq=False)
class Identify(Step):
    """Row identity becomes the hash of a key column."""

    name: str

    def __str__(self) -> str:
        return f"identified by {self.name}"

    def needs(self, wanted: set[str]) -> set[str]:
        return wanted | {self.name}

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        return Frame(frame.columns, frame.n_rows, key_hash(frame[self.name]), frame.positions)


@dataclass(frozen=True, eq=False)
class Filter(Step):
    """Only rows where a Boolean expression is true."""

    predicate: Predicate
    drops_rows = True

    @property
    def counted_as(self) -> str:  # type: ignore[override]
        return str(self.predicate)

    def __str__(self) -> str:
        return f"filter {self.predicate}"

    def needs(self, wanted: set[str]) -> set[str]:
        return wanted | set(columns_of(self.predicate.core))

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        return _kept(frame, satisfied(self.predicate, frame), keep)


@dataclass(frozen=True, eq=False)
class Split(Step):
    """One side of a split: the rows whose random number falls below `share`, or the others.

    `depth` counts the splits before it, so that a split of a side is decided by other numbers.
    """

    share: float
    seed: int
    key: str | None
    inside: bool
    depth: int = 0
    drops_rows = True

    def __str__(self) -> str:
        by = "" if self.key is None else f" by {self.key}"
        return f"{'test' if self.inside else 'train'} side of split {self.share:g}{by}, seed {self.seed}"

    def needs(self, wanted: set[str]) -> set[str]:
        return wanted if self.key is None else wanted | {self.key}

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        identities = frame.row_ids if self.key is None else key_hash(frame[self.key])
        return _kept(frame, chosen(identities, self.share, self.seed, self.depth) == self.inside, keep)


@dataclass(frozen=True, eq=False)
class Head(Step):
    """The first rows of each partition."""

    limits: tuple[int, ...]
    drops_rows = True

    def __str__(self) -> str:
        return f"first {sum(self.limits)} rows"

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        return _kept(frame, np.arange(frame.n_rows) < self.limits[partition], keep)


@dataclass(frozen=True, eq=False)
class AtPositions(Step):
    """Only rows at some positions of the source, known one by one; before any step that makes other identities.

    Attributes:
        bits: a bit for each position, eight in a byte as `numpy.packbits` puts them.
    """

    bits: Values
    drops_rows = True

    def __str__(self) -> str:
        return "some rows, one by one"

    def apply(self, frame: Frame, partition: int, keep: Sequence[str]) -> Frame:
        place, bit = np.divmod(frame.row_ids.astype(np.int64), 8)
        return _kept(frame, (self.bits[place] >> (7 - bit).astype(np.uint8)) & 1 == 1, keep)


def answerable(steps: Sequence[Step], schema: Schema) -> tuple[Comparison, ...]:
    """What the reader may leave rows out by: the first filter's tests, if no step drops rows before it.

    Only the first: so each filter's count of dropped rows is the same whatever statistics a file has.
    """
    joined: set[str] = set()
    for step in steps:
        if isinstance(step, Filter):
            tests = comparisons(step.predicate.node, schema)
            return tuple(test for test in tests if test.column not in joined)
        if step.drops_rows:
            break
        joined |= step.adds
    return ()
