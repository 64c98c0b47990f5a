"""How the state of a stage is said: as a sentence for logs, and as pieces of a line that a terminal has room for."""

from collections.abc import Sequence
from dataclasses import dataclass

from gpupipe.errors import counted
from gpupipe.runtime.machine import copy_bandwidth
from gpupipe.runtime.progress.stages import Running, Stage

#: A piece of a line and what it is, which says how it looks.
Piece = tuple[str, str]

_BAR = 8, 30  # columns of a bar, at least and at most
_NAME = 18  # columns of a name, where there is room: names stand above each other
_GAP = 2
_SLOW = 5e6  # bytes a second that are not worth telling


def amount(value: float) -> str:
    """A number in three digits or so.

    >>> amount(950), amount(12_345), amount(2_400_000), amount(3.2e9)
    ('950', '12.3 k', '2.40 M', '3.20 G')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f} {unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(0.034), duration(3.21), duration(75), duration(11_100)
    ('0.03 s', '3.2 s', '1 min 15 s', '3 h 05 min')
    """
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 1 else 1}f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def clock(seconds: float) -> str:
    """The same as on a clock.

    >>> clock(75), clock(11_100)
    ('1:15', '3:05:00')
    """
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes}:{left:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def sentence(running: Running, stage: Stage, *, ended: bool) -> str:
    """All that is known of a stage, for a log."""
    parts = [_how_far(running, stage, ended)]
    parts += [f"{counted(stage.rows_read_back, 'row')} of them read back"] if stage.rows_read_back else []
    if stage.rows > stage.rows_read_back:
        parts.append(f"{stage.rows_a_second:,.0f} rows/s")
    if stage.decoded_a_second > _SLOW:
        share = "" if stage.where else f", {of_bandwidth(running, stage)}"  # of this machine's; workers have others
        parts.append(f"{stage.decoded_a_second / 1e9:.2f} GB/s of decoded columns{share}")
    left = running.seconds_left
    if not ended and left is not None:
        parts.append(f"{duration(left)} left")
    parts += [_tries(stage.tried_again)] if stage.tried_again else []
    parts += [stage.where] if stage.where else []
    return f"{running.name}: {', '.join(parts)}"


def _how_far(running: Running, stage: Stage, ended: bool) -> str:
    told = duration(stage.seconds)
    if running.partitions:
        whole = ended and stage.finished and stage.partitions >= running.partitions
        of = "" if whole else f"{stage.partitions:,} of "
        told = f"{of}{counted(running.partitions, 'partition')}, {counted(stage.rows, 'row')} in {told}"
    if ended:
        return told if stage.finished else f"stopped after {told}"
    return told if running.partitions else f"{told} so far"


def of_bandwidth(running: Running, stage: Stage) -> str:
    """The share of what the machine's memory gives."""
    most = copy_bandwidth(running.threads)
    threads = "one thread copies" if running.threads == 1 else f"{running.threads} threads copy"
    return f"{stage.decoded_a_second / most:.0%} of the {most / 1e9:.1f} GB/s that {threads}"


@dataclass(frozen=True, slots=True)
class Line:
    """What there is to show of a stage in one line of a terminal, as much of it as there is room for.

    Attributes:
        name: of the stage.
        count: partitions done, of how many.
        share: the same from 0 to 1; None: there is no bar.
        more: what else there is, the most important first.
    """

    name: str
    count: str
    share: float | None
    more: Sequence[Piece]

    def fitted(self, width: int, full: str = "━", rest: str = "─") -> list[Piece]:
        """The pieces of a line of at most so many columns; what there is no room for is left out.

        >>> line = Line("scan 1 of 2", "3/4", 0.75, [("2.40 M rows/s", "speed")])
        >>> "".join(text for text, _ in line.fitted(30)), "".join(text for text, _ in line.fitted(12))
        ('scan 1 of 2  ━━━━━━──  3/4', 'scan 1…  3/4')
        >>> "".join(text for text, _ in line.fitted(70))
        'scan 1 of 2         ━━━━━━──  3/4  2.40 M rows/s'
        """
        count = self.count if len(self.count) + _GAP + 2 <= width else ""
        room = width - (len(count) + _GAP if count else 0)
        name = self.name if len(self.name) <= room else self.name[: max(room - 1, 0)] + "…"[:room]
        name = name.ljust(_NAME if width >= 60 else 0)
        room -= len(name)
        bar = min(max((width - 60) // 2, _BAR[0]), _BAR[1])
        bar = 0 if self.share is None or room < bar + _GAP else bar
        room -= bar + _GAP if bar else 0
        shown: list[Piece] = []
        for text, kind in self.more:
            if len(text) + _GAP <= room:
                shown.append((text, kind))
                room -= len(text) + _GAP
        done = int(bar * (self.share or 0.0))
        bars = [(full * done, "done"), (rest * (bar - done), "rest")] if bar else []
        groups = [[(name, "name")], bars, [(count, "count")] if count else [], *([piece] for piece in shown)]
        return _spaced([group for group in groups if group])


def _spaced(groups: Sequence[Sequence[Piece]]) -> list[Piece]:
    found: list[Piece] = []
    for group in groups:
        found += [(" " * _GAP, "gap"), *group] if found else group
    return found


def line_of(running: Running) -> Line:
    """What a stage that goes on shows."""
    stage, left = running.now(), running.seconds_left
    more = [(f"{clock(left)} left", "left")] if left is not None else [(clock(stage.seconds), "left")]
    more += _speeds(running, stage)
    count = f"{stage.partitions:,}/{running.partitions:,}" if running.partitions else ""
    return Line(running.name, count, running.share, more)


def line_at_end(running: Running, stage: Stage) -> Line:
    """What stays of a stage that is done, or was stopped."""
    whole = stage.finished and stage.partitions >= running.partitions
    count = f"{stage.partitions:,}" if whole else f"{stage.partitions:,}/{running.partitions:,}"
    more = [(duration(stage.seconds), "left")] if stage.finished else [(f"stopped, {duration(stage.seconds)}", "bad")]
    more += [(counted(stage.rows, "row"), "rows")] if stage.rows else []
    more += _speeds(running, stage)
    return Line(running.name, count if running.partitions else "", running.share, more)


def _speeds(running: Running, stage: Stage) -> list[Piece]:
    found = [(_tries(stage.tried_again), "bad")] if stage.tried_again else []
    if stage.rows > stage.rows_read_back:
        found.append((f"{amount(stage.rows_a_second)} rows/s", "speed"))
    if stage.decoded_a_second > _SLOW:
        share = stage.decoded_a_second / copy_bandwidth(running.threads)
        told = "" if stage.where else f" ({share:.0%})"
        found.append((f"{stage.decoded_a_second / 1e9:.2f} GB/s{told}", "speed"))
    found += [(stage.where, "where")] if stage.where else []
    return found


def _tries(count: int) -> str:
    return "1 retry" if count == 1 else f"{count:,} retries"
