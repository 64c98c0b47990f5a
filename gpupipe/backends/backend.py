"""What a device can do, and which one to use."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.backends.categories import Tables
from gpupipe.backends.cpu import CpuBackend
from gpupipe.backends.reference import ReferenceBackend
from gpupipe.backends.states.state import State
from gpupipe.columns import AnyColumn, Column, Frame
from gpupipe.compiler.bind import Output
from gpupipe.compiler.gathering import Intake
from gpupipe.compiler.info import Info
from gpupipe.errors import ParameterError, nearest
from gpupipe.expr.node import Node
from gpupipe.kernels.gpu.device import Device


class Prepared(Protocol):
    """Bound outputs, ready to run on any number of frames, from any number of threads."""

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same, in the memory of the device that computed them."""

    def matrix(self, frame: Frame, out: Any) -> None:
        """The outputs as the columns of `out` (float32, shape (rows, outputs)); null as NaN.

        Args:
            out: a NumPy array, or one in the memory of the device that computes.
        """


class Backend(Protocol):
    """One device.

    Attributes:
        device: the GPU; None: there is none to it.
        named: whether the GPU was asked for by name.
        on_host: what the host had to do in the GPU's place so far, and why, by expression.
        takes_narrow: whether states take in floats and integers of any width as they are stored.
    """

    device: Device | None
    named: bool
    on_host: Mapping[str, str]
    takes_narrow: bool

    @property
    def name(self) -> str:
        """``cpu``, ``gpu`` or ``reference``."""

    def prepare(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> Prepared:
        """Make `outputs` ready to run."""

    def hosted(self, nodes: Sequence[Node], info: Mapping[Node, Info]) -> Mapping[str, str]:
        """Which steps of bound nodes the host does in the GPU's place, and why, by expression."""

    def placed(self, frame: Frame) -> Frame:
        """The frame, its columns where this device computes over them, or on their way there."""

    def states(
        self, intakes: Sequence[Intake], columns: Sequence[AnyColumn], n_rows: int, last: Sequence[Column] = ()
    ) -> list[State]:
        """The state of each intake over the rows of `columns`; `last`: further keys of every state, after its own."""


DEVICES = ("auto", "cpu", "gpu", "reference")


def backend_for(device: str) -> Backend:
    """The backend of a device's name; of ``auto`` the GPU, where there is one that works.

    Raises:
        DeviceError: the GPU was asked for by name, and cannot be used; the message says why.
        ParameterError: there is no such device.

    >>> backend_for("cpu").name
    'cpu'
    """
    if device not in DEVICES:
        raise ParameterError(f"There is no device {device!r}. {nearest(str(device), DEVICES)}")
    there = devices.required() if device == "gpu" else devices.gpu().device if device == "auto" else None
    if there is not None:
        backend: Backend = optional.load("gpupipe.backends.gpu.backend").GpuBackend(there, named=device == "gpu")
        return backend
    return ReferenceBackend() if device == "reference" else CpuBackend()
