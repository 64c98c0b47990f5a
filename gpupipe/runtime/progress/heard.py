"""Progress: who hears of the stages of a run, and what is kept of them for its report."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, Self

from gpupipe.errors import ParameterError
from gpupipe.runtime.progress.debugging import Debugging, debugging
from gpupipe.runtime.progress.display import Display, Nothing
from gpupipe.runtime.progress.hearing import HEARD
from gpupipe.runtime.progress.shown import shown
from gpupipe.runtime.progress.stages import Running, Stage

if TYPE_CHECKING:
    from gpupipe.runtime.quarantine import LeftOut
    from gpupipe.runtime.rows import Rows

SHOWN = ("lines",)  # what `progress=` may be as text


class Progress(Protocol):
    """Hears of each stage, and of each partition done. Write one of your own to show it your way."""

    def begin(self, what: str, rows: "Rows") -> None:
        """A trip over `rows` begins."""

    def advance(self, n_rows: int) -> None:
        """A partition of so many rows is done; from any thread."""

    def end(self) -> None:
        """All is done, or failed."""


#: What ``progress=`` takes; :func:`progress_for` says what each means.
Shown = bool | str | Progress | None


class Silent:
    """No progress."""

    def begin(self, what: str, rows: "Rows") -> None: ...

    def advance(self, n_rows: int) -> None: ...

    def end(self) -> None: ...


class Heard:
    """A progress that keeps what each stage did, and tells it on. Use it in a ``with``: what it shows ends with that,
    whatever happens inside.

    Args:
        display: to whom it is told.

    Attributes:
        stages: what was done, stage by stage, those that failed too.
        left_out: partitions that could not be read and have no results.
    """

    def __init__(self, display: Display | None = None) -> None:
        self._display: Display = display or Nothing()
        self._running: Running | None = None
        self._depth = 0
        self._link: str | None = None
        self.stages: list[Stage] = []
        self.left_out: list[LeftOut] = []

    def begin(self, what: str, rows: "Rows") -> None:
        """A trip over `rows` begins; what went on before is done."""
        self._begin(Running(what, rows))

    def expect(self, n_partitions: int) -> None:
        """The trip goes over so many partitions, not all."""
        if self._running is not None:
            self._running.expect(n_partitions)

    def advance(self, n_rows: int) -> None:
        """A partition of so many rows is done; from any thread."""
        if self._running is not None:
            self._running.advance(n_rows)
            self._display.advance(n_rows)

    def read_back(self, n_rows: int) -> None:
        """What comes of a partition of so many rows was known from an earlier process."""
        if self._running is not None:
            self._running.read_back(n_rows)
            self._display.advance(n_rows)

    def carried_out(self, where: Callable[[], str], threads: int, link: str | None = None) -> None:
        """Others than threads of this process make the trip: `where` says who, and `link` is where more is told."""
        if link is not None and link != self._link:
            self._link = link
            self._display.note(link)
        if self._running is not None:
            self._running.where, self._running.threads = where, threads

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """A stage that goes over no rows."""
        self._begin(Running(what))
        yield
        self.end()

    def end(self) -> None:
        """What went on is done."""
        self._end(finished=True)

    def _begin(self, running: Running) -> None:
        self.end()
        self._display.begin(running)
        running.start()
        self._running = running

    def _end(self, finished: bool) -> None:
        running, self._running = self._running, None
        if running is not None:
            self.stages.append(stage := running.now(finished))
            self._display.end(running, stage)

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1:
            self._display.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._depth -= 1
        try:
            self._end(finished=kind is None)
        finally:
            if not self._depth:
                self._display.close()


class Own:
    """A progress of the user's, which may fail: that is told in a warning, and the run goes on without it."""

    def __init__(self, progress: Progress) -> None:
        self._progress: Progress | None = progress

    def open(self) -> None: ...

    def begin(self, running: Running) -> None:
        if running.over is not None:
            self._tell("begin", running.name, running.over)

    def advance(self, n_rows: int) -> None:
        self._tell("advance", n_rows)

    def note(self, link: str) -> None: ...

    def end(self, running: Running, stage: Stage) -> None: ...

    def close(self) -> None:
        self._tell("end")

    def _tell(self, what: str, *arguments: Any) -> None:
        progress = self._progress
        try:
            if progress is not None:
                getattr(progress, what)(*arguments)
        except Exception as error:  # of the user's: hours of work do not end for it
            self._progress = None
            name = type(progress).__name__
            warnings.warn(
                f"{name}.{what} of progress= raised {type(error).__name__}: {error}. It is told nothing more; the run "
                "goes on.",
                RuntimeWarning,
                stacklevel=4,
            )


def progress_for(progress: Shown) -> Heard:
    """What `progress=` stands for: False nothing; True a bar in a terminal or a notebook, and lines elsewhere; "lines"
    lines everywhere; None a bar in a terminal or a notebook, else nothing; or an object that is a :class:`Progress`.

    With GPUPIPE_DEBUG=1 what is silent tells what each stage took.

    Raises:
        ParameterError: it is none of these.
    """
    if isinstance(progress, Heard):
        return progress
    if progress is None or isinstance(progress, bool) or progress in SHOWN:
        return Heard(shown(progress) or (Debugging() if debugging() else None))
    methods = (getattr(progress, name, None) for name in ("begin", "advance", "end"))
    if not isinstance(progress, str) and all(map(callable, methods)):
        return Heard(Own(progress))
    raise ParameterError(
        f"progress={progress!r} says nothing. Give True, False, None (in a terminal or a notebook alone), 'lines', or "
        "an object with the methods begin(what, rows), advance(n_rows) and end()."
    )


@contextmanager
def listening(progress: Shown) -> Iterator[Heard]:
    """Who hears of all trips made inside, as `progress` asks, and shows them."""
    with progress_for(progress) as heard, hearing(heard):
        yield heard


@contextmanager
def hearing(heard: Heard) -> Iterator[None]:
    """Rows that begin to be read inside tell `heard` of their trips."""
    token = HEARD.set(heard)
    try:
        yield
    finally:
        HEARD.reset(token)


@contextmanager
def told(what: str, rows: "Rows") -> Iterator[Progress]:
    """A stage of whoever hears of these rows; where nobody does it is told with GPUPIPE_DEBUG=1 alone."""
    heard: Heard | None = rows.heard
    with progress_for(False) if heard is None else nullcontext(heard) as progress:
        progress.begin(what, rows)
        yield progress
        progress.end()


def during(progress: Progress, what: str) -> Any:
    """A stage that goes over no rows, where `progress` hears of such."""
    return progress.during(what) if isinstance(progress, Heard) else nullcontext()


def carried_out(progress: Progress, where: Callable[[], str], threads: int, link: str | None = None) -> None:
    """Others than threads of this process make the trip that began; see :meth:`Heard.carried_out`."""
    if isinstance(progress, Heard):
        progress.carried_out(where, threads, link)


def read_back(progress: Progress, n_rows: int) -> None:
    """What comes of a partition was known; see :meth:`Heard.read_back`."""
    if isinstance(progress, Heard):
        progress.read_back(n_rows)
    else:
        progress.advance(n_rows)


def expecting(progress: Progress, n_partitions: int) -> None:
    """The trip that began goes over so many partitions, not all."""
    if isinstance(progress, Heard):
        progress.expect(n_partitions)


def stages_of(progress: Progress) -> tuple[Stage, ...]:
    """What `progress` heard so far."""
    return tuple(progress.stages) if isinstance(progress, Heard) else ()
