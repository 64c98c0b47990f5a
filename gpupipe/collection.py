"""The search for garbage, left out while modules load."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Nothing that an import makes is garbage, and looking for some takes a tenth of its time.

    What it made is old afterwards, or the first search would look through all of it: frozen objects that are thawed
    are (unless some were frozen before, which must stay so). Garbage among them waits for the next full search.

    >>> with paused():
    ...     gc.isenabled()
    False
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
