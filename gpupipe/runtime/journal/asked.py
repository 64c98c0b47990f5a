"""A run as a fit is asked for one, and as the command line is."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpupipe.errors import ParameterError, UsageError, nearest
from gpupipe.optional import later
from gpupipe.runtime.crew import Crew
from gpupipe.storage import place

if TYPE_CHECKING:
    from gpupipe.runtime.journal.crew import Journaled
    from gpupipe.runtime.journal.opening import at_work_in, begun, goes_on_with
    from gpupipe.runtime.journal.results import reading
    from gpupipe.runtime.journal.run import Run
else:
    (Journaled,) = later("gpupipe.runtime.journal.crew", "Journaled")
    at_work_in, begun, goes_on_with = later("gpupipe.runtime.journal.opening", "at_work_in", "begun", "goes_on_with")
    (reading,) = later("gpupipe.runtime.journal.results", "reading")

CHANGES = ("refuse", "recompute")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a fit is to be kept, and what is done where that is of something else.

    Attributes:
        path: the run's folder.
        recompute: whether a run of something else is begun anew; else it is refused.
        ends: whether the run is over with the fit; else whoever asked for it ends it.
        command: of the command line, the folder it was given in and its arguments, so that the run is enough to go on.
    """

    path: Path
    recompute: bool = False
    ends: bool = True
    command: Mapping[str, Any] | None = None


def asked(run: Any, on_change: Any) -> Asked | None:
    """What ``fit(run=…, on_change=…)`` asks for; None: nothing.

    Raises:
        ParameterError: it asks for nothing that there is.
    """
    if on_change not in CHANGES:
        raise ParameterError(f"on_change is 'refuse' or 'recompute', not {on_change!r}. {nearest(on_change, CHANGES)}")
    if run is None and on_change != CHANGES[0]:
        raise ParameterError(f"on_change={on_change!r} says what to do about a run: give run= too.")
    if run is None or isinstance(run, Asked):
        return run
    return Asked(place(run), on_change == "recompute")


@contextlib.contextmanager
def begun_as(wanted: Asked | None, told: Callable[[], dict[str, Any]]) -> Iterator["Run | None"]:
    """The run that was asked for, if any; it is finished when what stands inside is done.

    Args:
        told: tells what it is of.
    """
    if wanted is None:
        yield None
        return
    with begun(wanted.path, told(), recompute=wanted.recompute, command=wanted.command) as run:
        yield run
        if wanted.ends:
            run.finish()


def kept_by(crew: Crew, run: "Run | None") -> Crew:
    """The crew, which keeps what it does in a run if there is one."""
    return crew if run is None else Journaled(crew, run)


def resumed(run: "Run | None") -> int:
    """How many results of partitions were read back."""
    return 0 if run is None else run.resumed


# -- the command line -------------------------------------------------------------------------------------
def command_of(path: Path) -> tuple[str, dict[str, Any]]:
    """(the folder that the command of a run was given in, its arguments).

    Raises:
        UsageError: there is no such run, or no command began it.
        RunCorruptError: its journal was altered.
    """
    with reading(path):
        commands = [at_work.get("command") for at_work in at_work_in(path)]
    found = next((command for command in reversed(commands) if command is not None), None)
    if found is None:
        told = "It was begun by Pipeline.fit(run=…): run that again." if commands else "Is the path right?"
        raise UsageError(f"There is no run of `gpupipe fit` to resume at {path}. {told}")
    return str(found["folder"]), dict(found["arguments"])


def end(path: Path) -> None:
    """Finish a run whose fit was asked for with ``ends=False``."""
    with goes_on_with(path) as run:
        run.finish()
