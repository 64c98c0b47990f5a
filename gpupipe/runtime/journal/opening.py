"""A run's folder: what it is a run of, and what was finished of it, so that another process can go on with it.

    journal          what the run is of, who was at work on it, and what was finished once; locked by whoever is
    results-…        what came of partitions: one file for each process that was at work, as it made them

All are files of records, and private (the folder 0700, files 0600): they may hold values of the data.
"""

import contextlib
import os
import socket
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpupipe.errors import RunBusyError, RunCorruptError, RunFolderError
from gpupipe.runtime.journal.identity import changed
from gpupipe.runtime.journal.packing import unpacked
from gpupipe.runtime.journal.records import Records
from gpupipe.runtime.journal.results import JOURNAL, RESULTS, remove_results, writing
from gpupipe.runtime.journal.run import Run
from gpupipe.storage import NO_LOCKS, disk, made_folders, sync_folder

_JOURNAL_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ANEW = "Remove the folder to begin anew, or pass on_change='recompute' (--on-change recompute), which does that."


def begun(
    path: Path, identity: dict[str, Any], *, recompute: bool = False, command: Mapping[str, Any] | None = None
) -> Run:
    """The run in a folder, which is made if it is not there: a new one, or the one that was left there, to go on with.

    Args:
        identity: what the run is of, as :func:`gpupipe.runtime.journal.identity.identity` tells it.
        recompute: whether a run of something else, or one that was altered, is begun anew.
        command: what a command line was, to be written down.

    Raises:
        RunBusyError: another process is at work on it.
        RunChangedError: it is a run of something else.
        RunCorruptError: it was altered.
        RunFolderError: it is finished, is another user's, or no folder of a run.
        StorageError: the folder cannot be made or written to.
    """
    with writing(path), contextlib.ExitStack() as undo, made_folders(path.parent):
        made(path)
        run = undo.enter_context(Run(path, _locked(path)))
        if not _goes_on(run, identity, recompute=recompute):
            run.begin_anew(identity)
        who = {"process": os.getpid(), "token": run.token, "host": socket.gethostname(), "time": time.time()}
        run.note({"at work": who | ({} if command is None else {"command": dict(command)})})
        undo.pop_all()
        return run


def goes_on_with(path: Path) -> Run:
    """The run in a folder, whatever it is of.

    Raises:
        RunBusyError: another process is at work on it.
    """
    with writing(path):
        run = Run(path, _locked(path))
        run.known()
        return run


def _goes_on(run: Run, identity: dict[str, Any], *, recompute: bool) -> bool:
    """Whether a run that was left there is gone on with."""
    try:
        known = run.known()
        if known is None:
            return False
        if "finished" in known:
            remove_results(run.folder)
            raise _finished(run.folder)
        if (error := changed(known["identity"], identity)) is not None:
            if not recompute:
                raise error
            return False
        run.take_stock(known["once"], known["tokens"])
        return True
    except RunCorruptError as error:
        if not recompute:
            raise RunCorruptError(f"{error} {_ANEW}") from error
        return False


def _finished(path: Path) -> RunFolderError:
    return RunFolderError(f"The run {path} is finished. To fit again, remove that folder or give another.")


def made(path: Path) -> None:
    """Make the folder, unless a run's folder stands there, or an empty one."""
    with contextlib.suppress(FileExistsError):
        disk.mkdir(path, 0o700)
        sync_folder(path.parent)
    found = disk.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise RunFolderError(f"{path} is a file, and a run is kept in a folder. Give another path.")
    if found.st_uid != os.geteuid():
        raise RunFolderError(f"The folder {path} belongs to another user. Give a folder of your own: a run is private.")
    others = [name for name in sorted(disk.listdir(path)) if not _is_ours(name)]
    if others:
        raise RunFolderError(
            f"{path} is no folder of a run: {others[0]!r} stands there. Give a folder that is empty, or not there yet."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        _make_private(path)


def _make_private(path: Path) -> None:
    """Nobody else may look into a folder that stood there, or put anything into it."""
    descriptor = disk.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fchmod(descriptor, 0o700)
    finally:
        disk.close(descriptor)


def _is_ours(name: str) -> bool:
    return name == JOURNAL or name.startswith(RESULTS)


def _locked(path: Path) -> Records:
    """The journal, which nobody else has. The system drops the lock of a process that ended, whatever ended it.

    Results in a folder do without a lock where there is none, since no file of theirs is written twice. A journal is
    appended to: two processes would write over each other.
    """
    descriptor = disk.open(path / JOURNAL, _JOURNAL_FILE, 0o600)
    try:
        disk.lock(descriptor)
        return Records.of(path / JOURNAL, descriptor)
    except BlockingIOError:
        who = _whoever(path / JOURNAL, descriptor)
        disk.close(descriptor)
        raise RunBusyError(
            f"Another process{who} is at work on the run {path}. Wait for it, end it, or give another folder."
        ) from None
    except BaseException as error:
        disk.close(descriptor)
        if isinstance(error, OSError) and error.errno in NO_LOCKS:
            raise RunFolderError(
                f"The file system of {path} has no locks, which keep two processes from being at one run. Give a "
                "folder on another one."
            ) from error
        raise


def _whoever(path: Path, descriptor: int) -> str:
    """Who wrote last that it is at work, as far as that can be told."""
    with contextlib.suppress(RunCorruptError, OSError):
        found = _at_work(Records.of(path, descriptor))
        return f" ({found[-1]['process']} on {found[-1]['host']})" if found else ""
    return ""


def at_work_in(path: Path) -> list[dict[str, Any]]:
    """What those who were at work on a run wrote of themselves; none where there is no run.

    Raises:
        RunFolderError: it is finished.
        RunCorruptError: the journal was altered.
        OSError: it cannot be read.
    """
    try:
        records = Records.at(path / JOURNAL)
    except (FileNotFoundError, NotADirectoryError):
        return []
    with contextlib.closing(Run(path, records)) as run:
        known = run.known()
        if known is not None and "finished" in known:
            raise _finished(path)
        return _at_work(records)


def _at_work(records: Records) -> list[dict[str, Any]]:
    documents = [unpacked(data)[0] for _, data in records.whole()]
    return [document["at work"] for document in documents if "at work" in document]
