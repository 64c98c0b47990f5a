"""A run as a fit is asked for one, and as the command line is."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpupipe.errors import ParameterError, RunCorruptError, UsageError, nearest
from gpupipe.runtime.crew import Crew
from gpupipe.runtime.journal.crew import Journaled
from gpupipe.runtime.journal.opening import COMMAND, JOURNAL, begun, goes_on_with, made
from gpupipe.runtime.journal.results import reading, writing
from gpupipe.runtime.journal.run import Run
from gpupipe.storage import ONE_FILE, disk, place, stands, sync_folder, temporary, write_all

CHANGES = ("refuse", "recompute")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a fit is to be kept, and what is done where that is of something else.

    Attributes:
        path: the run's folder.
        recompute: whether a run of something else is begun anew; else it is refused.
        ends: whether the run is over with the fit; else whoever asked for it ends it.
    """

    path: Path
    recompute: bool = False
    ends: bool = True


def asked(run: Any, on_change: Any) -> Asked | None:
    """What ``fit(run=…, on_change=…)`` asks for; None: nothing.

    Raises:
        ParameterError: it asks for nothing that there is.
    """
    if on_change not in CHANGES:
        raise ParameterError(f"on_change is 'refuse' or 'recompute', not {on_change!r}. {nearest(on_change, CHANGES)}")
    if run is None or isinstance(run, Asked):
        return run
    return Asked(place(run), on_change == "recompute")


@contextlib.contextmanager
def begun_as(wanted: Asked | None, told: Callable[[], dict[str, Any]]) -> Iterator[Run | None]:
    """The run that was asked for, if any; it is finished when what stands inside is done.

    Args:
        told: tells what it is of.
    """
    if wanted is None:
        yield None
        return
    with begun(wanted.path, told(), recompute=wanted.recompute) as run:
        yield run
        if wanted.ends:
            run.finish()


def kept_by(crew: Crew, run: Run | None) -> Crew:
    """The crew, which keeps what it does in a run if there is one."""
    return crew if run is None else Journaled(crew, run)


# -- the command line -------------------------------------------------------------------------------------
def write_command(path: Path, arguments: Mapping[str, Any]) -> None:
    """Write down, in a run's folder, what the command was and where, so that the folder is enough to go on.

    Raises:
        RunError: it is no folder of a run.
        StorageError: it cannot be made or written to.
    """
    document = {"folder": os.getcwd(), "arguments": dict(arguments)}
    with writing(path):
        made(path)
        with temporary(path / COMMAND, ONE_FILE) as (written, descriptor):
            write_all(descriptor, json.dumps(document).encode())
            disk.fsync(descriptor)
            disk.rename(written, path / COMMAND)
            sync_folder(path)


def read_command(path: Path) -> tuple[str, dict[str, Any]]:
    """(the folder that the command was given in, its arguments).

    Raises:
        UsageError: there is no such run.
        RunCorruptError: it cannot be read.
    """
    with reading(path):
        if not stands(path / COMMAND):
            begun_there = "It was not begun by `gpupipe fit --run`." if stands(path / JOURNAL) else "Is the path right?"
            raise UsageError(f"There is no run to resume at {path}. {begun_there}")
        try:
            found = json.loads((path / COMMAND).read_bytes())
            return str(found["folder"]), dict(found["arguments"])
        except (ValueError, LookupError, TypeError) as error:
            raise RunCorruptError(f"{path / COMMAND} was altered: {error}. Give the command itself again.") from error


def end(path: Path) -> None:
    """Finish a run whose fit was asked for with ``ends=False``."""
    with goes_on_with(path) as run:
        run.finish()


