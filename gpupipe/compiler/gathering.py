"""A scan, bound: the columns to compute for it, and which state takes in which."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpupipe.compiler.bind import Binder, Output
from gpupipe.compiler.scans import Gather, Scan, Slot
from gpupipe.expr.node import Node, walk
from gpupipe.schema import DType, Float64, Int64


@dataclass(frozen=True, slots=True)
class Intake:
    """One state of a scan: positions, among the scan's outputs, of its value and keys.

    Attributes:
        gather: the planned state; `component`: which part of a wide value it takes in.
    """

    gather: Gather
    component: int
    value: int
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BoundScan:
    """What one scan computes of each partition.

    Attributes:
        outputs: the distinct columns that states take in.
        intakes: the states.
    """

    outputs: tuple[Output, ...]
    intakes: tuple[Intake, ...]


def bind_scan(scan: Scan, binder: Binder) -> BoundScan:
    """The scan over what earlier scans learned; a wide value becomes a state for each of its columns."""
    outputs: dict[Node, int] = {}
    intakes = []
    for gather in scan.gathers:
        keys = [binder.bind(key) for key in gather.keys]
        if gather.folds:
            keys.append(binder.fold(gather.folds))
        for component in range(binder.width(gather.value)):
            value = binder.bind(gather.value, component)
            places = tuple(outputs.setdefault(node, len(outputs)) for node in (value, *keys))
            intakes.append(Intake(gather, component, places[0], places[1:]))
    return BoundScan(tuple(_outputs(outputs, binder)), tuple(intakes))


def without_idle_folds(scans: Sequence[Scan], slots: Sequence[Slot]) -> tuple[Scan, ...]:
    """The scans, statistics kept by folds only where a further statistic is taken over out-of-fold values."""
    beneath = {part for slot in slots for part in walk(*slot.node.args)}

    def needed(gather: Gather) -> Gather:
        idle = not any(slot.node in beneath for slot in gather.slots)
        return replace(gather, folds=0) if idle and gather.folds else gather

    return tuple(replace(scan, gathers=tuple(map(needed, scan.gathers))) for scan in scans)


def _outputs(nodes: Iterable[Node], binder: Binder) -> Iterable[Output]:
    for number, node in enumerate(nodes):
        yield Output(str(number), node, gathered_type(binder.info[node].dtype))


def gathered_type(dtype: DType) -> DType:
    """The type in which values and keys of a type are gathered: whole, unrounded."""
    if dtype.is_integer:
        return Int64
    return Float64 if dtype.is_float or dtype.name == "Null" else dtype


def ranked_type(dtype: DType) -> DType:
    """The type in which a value is kept that has a place in its group's list: booleans as 0 and 1."""
    return Int64 if dtype.name == "Boolean" else gathered_type(dtype)
