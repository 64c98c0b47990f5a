"""Progress as bars: in a terminal, or in a notebook's cell. Both need `rich`."""

import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any, Protocol, TextIO

from gpupipe import optional
from gpupipe.runtime.machine import copy_bandwidth
from gpupipe.runtime.progress.display import Quiet, Ticker, is_terminal
from gpupipe.runtime.progress.stages import Running, Stage
from gpupipe.runtime.progress.words import Line, Piece, line_at_end, line_of

_STYLES = {
    "name": "", "gap": "", "done": "bar.complete", "rest": "bar.back", "count": "progress.download", "rows": "",
    "left": "progress.remaining", "speed": "progress.data.speed", "bad": "bold red", "where": "dim",
}  # fmt: skip
_WIDE = 110  # columns of a notebook's cell


class Surface(Protocol):
    """Where lines are drawn."""

    seconds: float

    def open(self) -> None:
        """It is drawn on from now on."""

    def keep(self, line: Line) -> None:
        """A line that stays."""

    def draw(self, lines: Sequence[Line]) -> None:
        """The lines that are there now, below those that stay."""

    def close(self) -> None:
        """It is drawn on no more."""


class Bars:
    """The stages of all runs that go on in this process, a line each; those that are done stay above them.

    One is shared by all runs, since two could not draw in one terminal.

    Args:
        surface: where they are drawn.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._lock = threading.RLock()
        self._running: list[Running] = []
        self._runs, self._broken = 0, False
        self._ticker = Ticker(self.draw, surface.seconds)

    def open(self) -> None:
        """As :class:`Display` says."""
        with self._lock:
            self._runs += 1
            if self._runs == 1:
                self._try(self._surface.open)
                self._ticker = Ticker(self.draw, self._surface.seconds)
                self._ticker.start()

    def begin(self, running: Running) -> None:
        """As :class:`Display` says."""
        if running.over is not None:
            copy_bandwidth(running.threads)  # now, while nothing of this run is at work beside it
        with self._lock:
            self._running.append(running)

    def advance(self, n_rows: int) -> None: ...

    def note(self, link: str) -> None:
        """As :class:`Display` says."""
        with self._lock:
            self._try(lambda: self._surface.keep(Line("dashboard", "", None, [(link, "link")])))

    def draw(self) -> None:
        """Draw what is there now."""
        with self._lock:
            if self._runs:
                self._try(lambda: self._surface.draw([line_of(running) for running in self._running]))

    def end(self, running: Running, stage: Stage) -> None:
        """As :class:`Display` says."""
        with self._lock:
            self._running = [one for one in self._running if one is not running]
            self.draw()
            self._try(lambda: self._surface.keep(line_at_end(running, stage)))

    def close(self) -> None:
        """As :class:`Display` says."""
        with self._lock:
            self._runs -= 1
            if not self._runs:
                self._ticker.stop()
                self._try(self._surface.close)

    def _try(self, drawn: Callable[[], None]) -> None:
        """Draw, unless that failed once: no run fails for it."""
        try:
            if not self._broken:
                drawn()
        except Exception as error:
            self._broken = True
            warnings.warn(
                f"Progress cannot be shown ({type(error).__name__}: {error}). The run goes on; progress='lines' needs "
                "no more than a stream.",
                RuntimeWarning,
                stacklevel=2,
            )


class Terminal:
    """The last lines of a terminal, by rich. What is printed meanwhile to stderr, and to stdout where that is a
    terminal, appears above them. The cursor stays visible: a process that is killed could not bring it back.

    Args:
        stream: the terminal.
    """

    seconds = 0.1

    def __init__(self, stream: TextIO) -> None:
        quiet: Any = Quiet(stream)
        self._console = optional.load("rich.console").Console(
            file=quiet, force_terminal=True, force_jupyter=False, highlight=False, markup=False, emoji=False
        )
        self._console.show_cursor = lambda show=True: False
        self._ascii = not str(getattr(stream, "encoding", None) or "ascii").lower().startswith("utf")
        self._live: Any = None

    def open(self) -> None:
        """As :class:`Surface` says."""
        self._live = optional.load("rich.live").Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=is_terminal(sys.stdout),
            vertical_overflow="crop",
        )
        self._live.start()

    def keep(self, line: Line) -> None:
        """As :class:`Surface` says."""
        self._console.print(self._text(line))

    def draw(self, lines: Sequence[Line]) -> None:
        """As :class:`Surface` says."""
        group = optional.load("rich.console").Group(*map(self._text, lines))
        self._live.update(group, refresh=True)

    def close(self) -> None:
        """As :class:`Surface` says."""
        self._live.update("")
        self._live.stop()

    def _text(self, line: Line) -> Any:
        # One column stays free: a terminal that breaks a full line would be one line lower than it seems.
        marks = ("#", ".") if self._ascii else ("━", "─")
        pieces = line.fitted(self._console.width - 1, *marks)
        return text_of([(text.replace("…", "~") if self._ascii else text, kind) for text, kind in pieces])


class Notebook:
    """The output of a notebook's cell, drawn as HTML by rich, in place.

    Args:
        display: IPython's function of that name.
    """

    seconds = 0.25

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display = display
        self._handle: Any = None
        self._kept: list[Line] = []

    def open(self) -> None:
        """As :class:`Surface` says."""
        self._kept = []
        self._handle = self._display(Page([]), display_id=True)

    def keep(self, line: Line) -> None:
        """As :class:`Surface` says."""
        self._kept.append(line)

    def draw(self, lines: Sequence[Line]) -> None:
        """As :class:`Surface` says."""
        self._handle.update(Page([*self._kept, *lines]))

    def close(self) -> None:
        """As :class:`Surface` says."""
        self.draw([])


class Page:
    """Lines as a notebook shows them: HTML, and text where it cannot."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = [line.fitted(_WIDE) for line in lines]

    def __repr__(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def _repr_html_(self) -> str:
        console = optional.load("rich.console").Console(
            file=StringIO(), record=True, width=_WIDE + 1, force_terminal=True, force_jupyter=False, highlight=False
        )
        for line in self._lines:
            console.print(text_of(line))
        lines: str = console.export_html(inline_styles=True, code_format="{code}")
        return f'<pre style="white-space:pre;overflow-x:auto;line-height:normal">{lines}</pre>'


def text_of(line: Sequence[Piece]) -> Any:
    """The pieces of a line as a text of rich."""
    text = optional.load("rich.text").Text(no_wrap=True, overflow="crop")
    for part, kind in line:
        text.append(part, f"link {part}" if kind == "link" else _STYLES[kind])
    return text
