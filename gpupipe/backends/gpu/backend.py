"""The GPU backend: fused kernels for groups of expressions, statistics by kernels; the host does what they do not."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from gpupipe.backends.categories import Tables
from gpupipe.backends.gpu.gather import Gathered
from gpupipe.backends.gpu.hosted import hosted, hosted_of_texts
from gpupipe.backends.gpu.keys import DeviceGroups, column_ranks, groups_by
from gpupipe.backends.gpu.placed import Placed, on_device, placed, placed_frame, plain
from gpupipe.backends.gpu.program import GpuProgram
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.backends.named import named
from gpupipe.backends.states import gathering
from gpupipe.backends.states import state as host
from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.info import Info
from gpupipe.expr.node import Node, show
from gpupipe.kernels.gpu.device import Device, DeviceArray


class GpuBackend:
    """Computes on one device. It does not travel: a copy of fitted features is given what there is where it is loaded.

    Args:
        device: the device.
        named: whether it was asked for by name.

    Attributes:
        device, named: as given.
        on_host: what the host had to do so far, and why, by expression.
    """

    name = "gpu"
    takes_narrow = False

    def __init__(self, device: Device, *, named: bool = False) -> None:
        self.device, self.named = device, named
        self.on_host: dict[str, str] = {}
        self._noting = threading.Lock()

    def prepare(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> GpuProgram:
        """The outputs, ready to run on any number of frames, from any number of threads."""
        for expression, why in self.hosted([output.node for output in outputs], info).items():
            self._note(expression, why)
        return GpuProgram(outputs, info, tables, self.device, self._note)

    def hosted(self, nodes: Sequence[Node], info: Mapping[Node, Info]) -> dict[str, str]:
        """Which steps of bound nodes the host does, and why, by expression: over rows, or over their distinct texts."""
        return {show(node): why for node, why in (*hosted(nodes, info), *hosted_of_texts(nodes, info))}

    def placed(self, frame: Frame) -> Frame:
        """The frame, each column copied to the device when it is first needed there."""
        return placed_frame(self.device, frame)

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The state of each intake over `n_rows` rows of `columns`; `last`: further keys of every state.

        Raises:
            NonFiniteError, IntegerOverflowError: as on the host; the message names the expression.
            DeviceMemoryError: the device has not so much memory.
        """
        by = {each.keys for each in intakes}
        there = plain(self.device, [placed(self.device, column) for column in [*columns, *last]])
        rows = _Rows(there, len(columns), n_rows, by)
        able = [number for number, intake in enumerate(intakes) if rows.why_not(intake.keys) is None]
        wanted = [
            (each.gather.state, on_device(rows.columns[each.value]), rows.groups(each.keys))
            for each in (intakes[number] for number in able)
        ]
        gathered, place = Gathered(wanted), {number: at for at, number in enumerate(able)}
        return [self._state(intake, rows, gathered, place.get(number)) for number, intake in enumerate(intakes)]

    def _state(self, intake: Intake, rows: "_Rows", gathered: Gathered, place: int | None) -> State:
        with named(intake.gather.node, intake.gather.value):
            try:
                if place is not None:
                    return gathered.state(place)
                why = rows.why_not(intake.keys)
            except NotOnDevice as refused:
                why = refused
            self._note(show(intake.gather.node), str(why))
            value = rows.columns[intake.value].to_host()
            return gathering.gather(intake.gather.state, value, rows.groups_on_host(intake.keys))

    def _note(self, expression: str, why: str) -> None:
        with self._noting:
            self.on_host[expression] = why


class _Rows:
    """A partition's columns and the groups of its rows, each made when first needed."""

    def __init__(self, columns: list[Placed], n_values: int, n_rows: int, by: Collection[tuple[int, ...]]) -> None:
        self.columns, self._n_rows = columns, n_rows
        self._last = tuple(range(n_values, len(columns)))
        self._uses = Counter(number for keys in by for number in (*keys, *self._last))
        self._ranks: dict[int, tuple[DeviceArray, Column]] = {}
        self._there: dict[tuple[int, ...], DeviceGroups | NotOnDevice] = {}
        self._here: dict[tuple[int, ...], host.Groups] = {}

    def why_not(self, keys: tuple[int, ...]) -> NotOnDevice | None:
        """Why the device cannot make the groups of these columns; None where it has."""
        if keys not in self._there:
            try:
                self._there[keys] = groups_by(map(self._ranked, (*keys, *self._last)), self._n_rows)
            except NotOnDevice as why:
                self._there[keys] = why
        found = self._there[keys]
        return found if isinstance(found, NotOnDevice) else None

    def groups(self, keys: tuple[int, ...]) -> DeviceGroups:
        """The groups that the columns of these numbers make, and those that every state has; the device made them."""
        found = self._there[keys]
        assert isinstance(found, DeviceGroups)
        return found

    def groups_on_host(self, keys: tuple[int, ...]) -> host.Groups:
        """The same, in this process's memory."""
        if keys not in self._here:
            self._here[keys] = host.groups_of([column.to_host() for column in self._keys(keys)], self._n_rows)
        return self._here[keys]

    def _ranked(self, number: int) -> tuple[DeviceArray, Column]:
        """What `column_ranks` gives; of a column that is a key more than once (folds are of all) worked out once."""
        found = self._ranks.get(number) or column_ranks(on_device(self.columns[number]))
        if self._uses[number] > 1:
            self._ranks[number] = found
        return found

    def _keys(self, keys: tuple[int, ...]) -> list[Placed]:
        return [self.columns[place] for place in (*keys, *self._last)]
