"""A storage whose k-th call fails, writes half, or ends the process, put in place of `gpupipe.storage.disk`."""

import contextlib
import errno
import functools
import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpupipe.storage import Storage, disk

CALLS = tuple(name for name, method in vars(Storage).items() if isinstance(method, staticmethod))
#: Those that need space, and those that change anything at all.
GROWING = ("open", "write", "pwrite", "fallocate", "fsync", "mkdir", "rename", "renameat2", "link")
CHANGING = (*GROWING, "unlink", "rmdir", "fchmod")
#: The errors that are tried at every call.
ERRNOS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EINTR)


class Counting:
    """Does every call, and counts it."""

    def __init__(self) -> None:
        self.count = 0
        self.log: list[str] = []

    def call(self, name: str, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self.count += 1
        self.log.append(name)
        return self.act(name, functools.partial(original, *args, **options), args)

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        return do()

    @property
    def tally(self) -> dict[str, int]:
        return dict(Counter(self.log))


class FailsOnce(Counting):
    """The k-th call fails, and all others go well.

    `done`: it takes place all the same, and only the answer is an error, as a network file system may do it. `close` is
    always done: the system gives the descriptor back, whatever it answers.
    """

    def __init__(self, at: int, code: int, done: bool = False) -> None:
        super().__init__()
        self.at, self.code, self.done = at, code, done

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if self.count != self.at:
            return do()
        if self.done or name == "close":
            result = do()
            if name == "open":
                os.close(result)
        raise failure(self.code, args)


class FailsFrom(Counting):
    """From the k-th call on, every call of a kind fails: a disk that is full, or one that became read-only.

    The first write, where the disk is full, is short: half of it is written.
    """

    def __init__(self, at: int, code: int, kinds: tuple[str, ...]) -> None:
        super().__init__()
        self.at, self.code, self.kinds = at, code, kinds
        self.halved = False

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if self.count < self.at or name not in self.kinds or (name == "open" and not creates(args[1])):
            return do()
        if name == "pwrite" and self.code == errno.ENOSPC and not self.halved and len(args[1]) > 1:
            self.halved = True
            return os.pwrite(args[0], args[1][: len(args[1]) // 2], args[2])
        if name == "write" and self.code == errno.ENOSPC and not self.halved and len(args[1]) > 1:
            self.halved = True
            return os.write(args[0], args[1][: len(args[1]) // 2])
        raise failure(self.code, args)


class Dies(Counting):
    """The process is killed before its k-th call: so also just after the one before."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def act(self, name: str, do: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return do()


def creates(flags: int) -> bool:
    """Whether a file is made where there is none, by a name or without one."""
    return bool(flags & os.O_CREAT) or flags & os.O_TMPFILE == os.O_TMPFILE


def failure(code: int, args: tuple[Any, ...]) -> OSError:
    path = next((os.fspath(arg) for arg in args if isinstance(arg, str | os.PathLike)), None)
    return OSError(code, os.strerror(code)) if path is None else OSError(code, os.strerror(code), path)


@contextmanager
def in_place(storage: Counting) -> Iterator[Counting]:
    """Inside, all calls of `disk` go through `storage`."""
    before = dict(vars(disk))
    try:
        for name in CALLS:
            setattr(disk, name, functools.partial(storage.call, name, getattr(disk, name)))
        yield storage
    finally:
        vars(disk).clear()
        vars(disk).update(before)


def no_exchange(monkeypatch: Any) -> None:
    """As on a file system that lacks renameat2's flags."""
    monkeypatch.setitem(vars(disk), "renameat2", lambda source, target, flags: False)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in another process, forked from this one; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def exit_of(child: int) -> int:
    """How it ended: its exit status, negative for the signal that killed it, 1 for an error."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked(work: Callable[[], object]) -> int:
    """`work` in another process, awaited; how it ended."""
    return exit_of(in_child(work))


def open_files(folder: os.PathLike[str]) -> list[str]:
    """The files of a folder that this process holds open."""
    held = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            held.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in held if path.startswith(os.fspath(folder))]


def no_waiting(monkeypatch: Any) -> None:
    """fsync without the wait: what it does shows after a power failure alone, and no test has one."""
    monkeypatch.setitem(vars(disk), "fsync", lambda descriptor: None)
