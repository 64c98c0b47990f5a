"""Computed columns that nobody keeps: made a few at a time, in memory that the next few are written to again.

A scan that takes in the sums of 200 computed columns has no need of all of them at once. Four of a partition stay in a
processor's cache, and no page of memory is asked for anew.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpupipe.backends.backend import Backend
from gpupipe.backends.categories import Tables
from gpupipe.backends.cpu import CpuBackend, CpuProgram
from gpupipe.backends.states import together
from gpupipe.backends.states.state import State
from gpupipe.columns import Frame, Values
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.groups import is_tile
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node, walk

AT_ONCE = 4


def passing(outputs: Sequence[Output], intakes: Sequence[Intake], info: Mapping[Node, Info]) -> list[int]:
    """The places of outputs that tile programs compute, and that are taken in by states of one pass alone."""
    kept = {place for intake in intakes for place in intake.keys}
    kept |= {intake.value for intake in intakes if intake.keys or intake.gather.state not in together.KINDS}
    return [place for place, output in enumerate(outputs) if place not in kept and _is_tiled(output, info)]


def _is_tiled(output: Output, info: Mapping[Node, Info]) -> bool:
    if output.node.op == "col" or not (output.dtype.is_float or output.dtype.is_integer) or info[output.node].scalar:
        return False
    return all(_is_step(node, info) for node in walk(output.node))


def _is_step(node: Node, info: Mapping[Node, Info]) -> bool:
    return node.op == "col" or (node.op != "table" and (info[node].scalar or is_tile(node, info)))


@dataclass(frozen=True, slots=True, eq=False)
class _Few:
    places: tuple[int, ...]
    program: CpuProgram
    numbers: tuple[int, ...]
    intakes: tuple[Intake, ...]


class Passing:
    """The states of computed columns, each gone once it was taken in.

    Args:
        places: as :func:`passing` gives them.
        outputs, intakes: those of the scan.

    Attributes:
        numbers: of the intakes that it serves.
        places: of the outputs that it computes.
        backend: as given.
    """

    def __init__(
        self,
        places: Sequence[int],
        outputs: Sequence[Output],
        intakes: Sequence[Intake],
        info: Mapping[Node, Info],
        tables: Tables,
        backend: CpuBackend,
    ) -> None:
        self.backend, self._rooms, self.places = backend, threading.local(), frozenset(places)
        self._few: list[_Few] = []
        for first in range(0, len(places), AT_ONCE):
            some = tuple(places[first : first + AT_ONCE])
            numbers = tuple(number for number, intake in enumerate(intakes) if intake.value in some)
            program = backend.prepare([outputs[place] for place in some], info, tables)
            self._few.append(_Few(some, program, numbers, tuple(intakes[number] for number in numbers)))
        self.numbers = frozenset(number for few in self._few for number in few.numbers)

    def states(self, frame: Frame) -> dict[int, State]:
        """The state of each of its intakes, by number, over the rows of a frame; from any thread."""
        found: dict[int, State] = {}
        for few in self._few:
            columns = dict(zip(few.places, few.program.passing(frame, self._room), strict=True))
            states = self.backend.states(few.intakes, columns, frame.n_rows)
            found |= zip(few.numbers, states, strict=True)
        return found

    def _room(self, number: int, size: int, storage: str) -> Values:
        """An array of this thread's, the same one for the same number."""
        held: dict[str, Values] = self._rooms.__dict__
        name = f"{number} {storage}"
        if name not in held or len(held[name]) < size:
            held[name] = np.empty(size, storage)
        return held[name][:size]


def passing_of(
    outputs: Sequence[Output], intakes: Sequence[Intake], info: Mapping[Node, Info], tables: Tables, backend: Backend
) -> Passing | None:
    """What passes of a scan; None: nothing, or not on this backend."""
    if not isinstance(backend, CpuBackend):
        return None
    places = passing(outputs, intakes, info)
    return Passing(places, outputs, intakes, info, tables, backend) if places else None
