"""The states that a partition's computed columns give, on the host."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gpupipe.backends.named import named
from gpupipe.backends.states.gathering import gather
from gpupipe.backends.states.state import State, groups_of
from gpupipe.columns import AnyColumn, Column, Frame, on_host
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node
from gpupipe.kernels.gpu.device import Device


class OnHost:
    """How a backend takes in columns whose values are in this process's memory."""

    device: Device | None = None
    named = False
    on_host: Mapping[str, str] = MappingProxyType({})

    def hosted(self, nodes: Sequence[Node], info: Mapping[Node, Info]) -> Mapping[str, str]:
        """None: there is no other place."""
        return {}

    def placed(self, frame: Frame) -> Frame:
        """The frame as it is."""
        return frame

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The state of each intake, over `n_rows` rows of `columns`.

        Args:
            last: further keys of every state, after its own.

        Raises:
            NonFiniteError, IntegerOverflowError: as :func:`gather` does; the message names the expression.
        """
        held = [on_host(column) for column in columns]
        groups = {
            keys: groups_of([*(held[place] for place in keys), *last], n_rows)
            for keys in dict.fromkeys(intake.keys for intake in intakes)
        }
        states = []
        for intake in intakes:
            with named(intake.gather.node, intake.gather.value):
                states.append(gather(intake.gather.state, held[intake.value], groups[intake.keys]))
        return states
