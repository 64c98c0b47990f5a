"""Ctrl-C while a cluster is at work: it ends what this process waits for, wherever it comes.

Python raises KeyboardInterrupt in the main thread, amid whatever that is at. Where it is a callback of the garbage
collector (Dask has one, which times collections) or a destructor, Python prints the exception and goes on as if nothing
had been. So it is written down that Ctrl-C came, and whoever finds that nothing came of it raises it again.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _State:
    """Whether Ctrl-C came while it was written down, and nobody has heard of it."""

    came = False


def _heard(number: int, frame: FrameType | None) -> None:
    _State.came = True
    signal.default_int_handler(number, frame)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def written_down() -> Iterator[None]:
    """Inside, Ctrl-C is written down as it comes, and in the end raised if it was dropped.

    That is so in the main thread, the only one that hears of it, and where KeyboardInterrupt is what comes of Ctrl-C:
    a program with a handler of its own decides itself.
    """
    if not _is_main() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    try:
        _State.came = False
        signal.signal(signal.SIGINT, _heard)
        yield
        raise_dropped()
    finally:
        if _is_main() and signal.getsignal(signal.SIGINT) is _heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_dropped() -> None:
    """Raise a Ctrl-C that was dropped; from the main thread. (One that was not is on its way up, and is not asked.)

    Raises:
        KeyboardInterrupt: it came, and nothing came of it.
    """
    if _State.came and _is_main():
        _State.came = False
        raise KeyboardInterrupt


def told() -> None:
    """Whoever is to hear of Ctrl-C has heard."""
    if _is_main():
        _State.came = False
