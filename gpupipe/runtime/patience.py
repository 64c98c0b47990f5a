"""Failures of disks and networks that pass: what failed is tried again, a few times, later each time."""

import errno
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Result = TypeVar("Result")

#: What a network file system says while its server is away or was changed, and a disk that reads at the second try.
PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.ECONNRESET, errno.ENETUNREACH,
     errno.EHOSTUNREACH, errno.ECONNABORTED, getattr(errno, "EREMOTEIO", errno.EIO)}
)  # fmt: skip
WAITS = (0.1, 0.5, 2.0)  # seconds before each further try


def patiently(read: Callable[[], Result], again: Callable[[], None]) -> Result:
    """`read()`, tried again where it failed for a reason that may pass.

    Args:
        again: told before each further try.

    >>> tries = iter([OSError(errno.EIO, "Input/output error"), None])
    >>> def read():
    ...     if (failed := next(tries)) is not None:
    ...         raise failed
    ...     return "read"
    >>> patiently(read, lambda: print("again"))
    again
    'read'
    """
    for wait in WAITS:
        try:
            return read()
        except Exception as error:
            if not passes(error):
                raise
        again()
        time.sleep(wait)
    return read()


def passes(error: BaseException) -> bool:
    """Whether an error, or what it came of, is one that may pass."""
    return any(
        isinstance(one, TimeoutError) or (isinstance(one, OSError) and one.errno in PASSING) for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
