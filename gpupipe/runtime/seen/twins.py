"""The target under another name: a column that stands in the target's memory, or was joined from where it came from."""

from collections.abc import Sequence
from dataclasses import dataclass

from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.plan import Plan
from gpupipe.errors import LeakageError
from gpupipe.expr.node import Node, show
from gpupipe.runtime.given import GIVEN_TARGET
from gpupipe.runtime.seen.overlap import memory_of
from gpupipe.sources.join import Join
from gpupipe.sources.listed import ListedFile
from gpupipe.sources.source import Source


def refuse_target_elsewhere(plan: Plan, target: Node | None, source: Source) -> None:
    """Refuse features of columns that are known to hold the target's values, by metadata and addresses alone.

    Raises:
        LeakageError: there is one.
    """
    targets = [] if target is None else columns_of([target])
    used = [name for name in columns_of(feature.source for feature in plan.features) if name not in targets]
    for wanted in targets:
        twin = _twin(source, wanted, used)
        if twin is not None:
            feature = next(f for f in plan.features if twin in columns_of([f.source]))
            of = "y" if wanted.startswith(GIVEN_TARGET) else f"the target's column {wanted!r}"
            raise LeakageError(
                f"The feature {show(feature.source)} uses {twin!r}, which is {of} under another name, so it would tell "
                "the model what it is to learn. Leave it out of the features, or out of the data."
            )


@dataclass(frozen=True, slots=True)
class _Traced:
    """Where a column comes from: one of the rows themselves, or one that a join brought."""

    source: Source
    name: str
    join: Join | None = None


def _traced(source: Source, name: str) -> _Traced:
    for step in reversed(source._steps):
        if isinstance(step, Join) and name in step.adds and isinstance(step.dimension.source, Source):
            there = next(there for there, here in step.renamed.items() if here == name)
            return _Traced(step.dimension.source, there, step)
    return _Traced(source, name)


def _twin(source: Source, wanted: str, used: Sequence[str]) -> str | None:
    """The first of the columns `used` that is the column `wanted`, row by row."""
    target = _traced(source, wanted)
    columns = {name: _traced(source, name) for name in used}
    beside = {column.name: name for name, column in columns.items() if column.join is target.join}
    memory = memory_of(target.source)
    if memory is not None and (found := memory.twin(target.name, list(beside))) is not None:
        return beside[found]
    for name, column in columns.items():
        if column.join is not target.join and _is_same(column, target) and _joined_to_itself(source, column, target):
            return name
    return None


def _joined_to_itself(source: Source, one: _Traced, other: _Traced) -> bool:
    """Whether the join that brought one of two columns found each row itself: its keys are the same column."""
    join, dimension = (one.join, one.source) if one.join is not None else (other.join, other.source)
    if join is None or (one.join is not None and other.join is not None):
        return False
    keys = zip(join.left_on, join.dimension.keys, strict=True)
    return all(_is_same(_traced(source, left), _traced(dimension, right)) for left, right in keys)


def _is_same(one: _Traced, other: _Traced) -> bool:
    """Whether two columns are one: of one file by their name, of tables in memory by where they stand."""
    here, there = memory_of(one.source), memory_of(other.source)
    if here is not None and there is not None:
        places = here.places([one.name]).get(one.name), there.places([other.name]).get(other.name)
        return places[0] is not None and places[1] is not None and places[0].is_that_of(places[1])
    return one.name == other.name and not _files(one.source).isdisjoint(_files(other.source))


def _files(source: Source) -> set[tuple[int, ...]]:
    origins = [origin for partition in source.partitions if (origin := partition.origin()) is not None]
    return {origin[0].identity for origin in origins if isinstance(origin[0], ListedFile)}
