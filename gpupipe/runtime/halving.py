"""Too little memory: what failed is tried again, then in halves, down to few rows. Rows are independent: the same bits.

One mechanism for the device's memory and the machine's. Whoever uses it computes first and takes in afterwards, so that
what is tried again is not taken in twice.
"""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from gpupipe.backends.devices import in_use
from gpupipe.columns import Frame
from gpupipe.errors import DataError, DeviceError, DeviceMemoryError, HostMemoryError, counted
from gpupipe.runtime.orders import PartitionRows

Result = TypeVar("Result")

FEWEST = 4096  # rows that are not halved any more
_EVEN = 2048  # where halves begin, as a multiple: bitmaps of so many rows are as aligned as what is allocated
_LEAST_EVEN = 32  # the same where there are fewer: whole words of a bitmap


class _Room:
    """What is tried again runs alone: partitions that had too little memory together would have it together again.

    What a thread begins amid its own work (a model or a function of a user may run a pipeline) never waits: it would
    wait for that work.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running, self._is_taken = 0, False
        self._own = threading.local()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others; wait while one runs alone."""
        with self._unless_inside(self._beside):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run when all others are done."""
        with self._unless_inside(self._apart):
            yield

    @contextlib.contextmanager
    def _unless_inside(self, entered: Callable[[], contextlib.AbstractContextManager[None]]) -> Iterator[None]:
        if getattr(self._own, "is_inside", False):
            yield
            return
        with entered():
            self._own.is_inside = True
            try:
                yield
            finally:
                self._own.is_inside = False

    @contextlib.contextmanager
    def _beside(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._is_taken = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._running == 0)
            yield
        finally:
            with self._changed:
                self._is_taken = False
                self._changed.notify_all()


_ROOM = _Room()
_SMALL = threading.local()


@contextlib.contextmanager
def in_quarters() -> Iterator[None]:
    """Inside, in this thread, rows are taken by a quarter of a partition at a time: less memory, the same bits."""
    _SMALL.are_wanted = True
    try:
        yield
    finally:
        _SMALL.are_wanted = False


def in_parts(rows: PartitionRows, index: int, frame: Frame, compute: Callable[[int, int], Result]) -> list[Result]:
    """`compute(0, n_rows)`; for want of memory once more, then of both halves, and so on; in the order of rows.

    Args:
        index: the partition's number.
        frame: its rows.
        compute: (first row, last row + 1) -> what comes of them. It changes nothing that a second try would see.

    Raises:
        DeviceMemoryError, HostMemoryError: so few rows need more than there is; the message names the partition.
    """
    if getattr(_SMALL, "are_wanted", False) and frame.n_rows > FEWEST:
        with _ROOM.alone():
            quarters = [part for half in _halves(0, frame.n_rows) for part in _halves(*half)]
            return [found for part in quarters for found in _tried_again(rows, index, compute, *part)]
    with _ROOM.shared():
        done, error = _attempt(compute, 0, frame.n_rows)
    if error is None:
        return done
    with _ROOM.alone():
        gc.collect()  # what cycles alone hold; once, since it takes a while
        _make_room(rows)
        return list(_tried_again(rows, index, compute, 0, frame.n_rows))


def _tried_again(
    rows: PartitionRows, index: int, compute: Callable[[int, int], Result], start: int, stop: int
) -> Iterator[Result]:
    done, error = _attempt(compute, start, stop)
    if error is not None:
        if stop - start <= FEWEST:
            raise _refused(error, rows, index, stop - start)
        _make_room(rows)
        for half in _halves(start, stop):
            yield from _tried_again(rows, index, compute, *half)
    yield from done


def once_more(rows: PartitionRows, index: int, read: Callable[[], Result]) -> Result:
    """`read()`, whose rows cannot be halved before they are there; for want of memory once more.

    Raises:
        DeviceMemoryError, HostMemoryError: there is not enough memory; the message names the partition.
    """
    with _ROOM.shared():
        found, error = _attempt(lambda *_: read(), 0, 0)
    if error is not None:
        with _ROOM.alone():
            gc.collect()
            _make_room(rows)
            found, error = _attempt(lambda *_: read(), 0, 0)
    if error is not None:
        raise _refused(error, rows, index, rows.source.partitions[index].n_rows)
    return found[0]


def _attempt(compute: Callable[[int, int], Result], start: int, stop: int) -> tuple[list[Result], MemoryError | None]:
    """(what came of some rows, why nothing did), the error without the frames it went through, which hold memory."""
    try:
        with _from(start):
            return [compute(start, stop)], None
    except MemoryError as error:
        told = error.with_traceback(None)
        told.__cause__ = told.__context__ = None
        return [], told


@contextlib.contextmanager
def _from(start: int) -> Iterator[None]:
    """An error of data inside is of a row counted from the beginning of the partition."""
    try:
        yield
    except DataError as error:
        if error.row is not None and not error.is_placed and error.position is None:
            error.row += start
        raise


def _halves(start: int, stop: int) -> list[tuple[int, int]]:
    """Two stretches, the second of which begins where bitmaps can be cut.

    >>> _halves(0, 10000), _halves(4096, 4200)
    ([(0, 4096), (4096, 10000)], [(4096, 4128), (4128, 4200)])
    """
    even = _EVEN if stop - start >= 2 * _EVEN else _LEAST_EVEN
    middle = start + max((stop - start) // 2 // even, 1) * even
    return [(start, middle), (middle, stop)]


def _make_room(rows: PartitionRows) -> None:
    """Before another try: columns kept on the device leave it, and what it keeps for later arrays goes back."""
    rows.note_retry()
    rows.leave_device()
    device = in_use()
    if device is not None:
        with contextlib.suppress(DeviceError):  # the second try tells
            device.release()


def _refused(error: MemoryError, rows: PartitionRows, index: int, count: int) -> DeviceMemoryError | HostMemoryError:
    """The same, saying where it was and what to try."""
    where = f"{counted(count, 'row')} of {rows.source.partitions[index].named(index, rows.n_partitions)}"
    told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(error, DeviceMemoryError):
        message = (
            f"There is not enough memory on the GPU for {where}: {told}. Try a smaller partition_bytes in gp.scan(…), "
            "free what else uses the GPU (nvidia-smi shows it), or device='cpu'."
        )
        return DeviceMemoryError(message, error.asked, error.device)
    return HostMemoryError(
        f"There is not enough memory for {where}: {told}. Try a smaller partition_bytes in gp.scan(…), a smaller "
        "memory= of the pipeline, or a machine with more."
    )
