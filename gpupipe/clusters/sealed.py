"""What is sent to workers: packed once, here, and unpacked where it is used. On its way it is bytes.

Dask's scheduler unpacks tasks and packs them again for their worker: of an order with hundreds of expressions that
takes longer than a partition's share of anything else that the scheduler does.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from gpupipe import optional

Thing = TypeVar("Thing")


class Sealed(Generic[Thing]):
    """A thing as bytes.

    Args:
        packed: those of it.
        buffers: its arrays, which are not copied.
    """

    __slots__ = ("_buffers", "_packed")

    def __init__(self, packed: bytes, buffers: Sequence[Any]) -> None:
        self._packed, self._buffers = packed, buffers

    def opened(self) -> Thing:
        """The thing."""
        thing: Thing = _pickle().loads(self._packed, buffers=self._buffers)
        return thing

    def __reduce__(self) -> tuple[Any, ...]:
        return Sealed, (self._packed, [*map(_pickle().pickle.PickleBuffer, self._buffers)])

    def __sizeof__(self) -> int:
        return 100 + len(self._packed) + sum(memoryview(each).nbytes for each in self._buffers)


def sealed(thing: Thing) -> Sealed[Thing]:
    """A thing as it is sent."""
    buffers: list[Any] = []
    packed = _pickle().dumps(thing, buffer_callback=buffers.append)
    return Sealed(packed, buffers)


def opened(thing: Thing | Sealed[Thing]) -> Thing:
    """What came, whether it was sealed or not."""
    return thing.opened() if isinstance(thing, Sealed) else thing


def _pickle() -> Any:
    return optional.load("distributed.protocol.pickle")
