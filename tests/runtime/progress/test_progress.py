"""What is shown while a run goes on: in a terminal (a pseudo-terminal), in a notebook, in logs, to a user's own."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import col, optional
from gpupipe.cli import main
from gpupipe.errors import ParameterError
from gpupipe.runtime import machine
from gpupipe.runtime.journal.results import Results
from gpupipe.runtime.progress import Heard, carried_out, progress_for, told
from gpupipe.runtime.progress import bars as bars_module
from gpupipe.runtime.progress import lines as lines_module
from gpupipe.runtime.progress import shown as shown_module
from gpupipe.runtime.progress.bars import Bars, Terminal
from gpupipe.runtime.progress.debugging import Debugging
from gpupipe.runtime.progress.display import Nothing
from gpupipe.runtime.progress.lines import Lines
from gpupipe.runtime.progress.stages import Running, Stage
from gpupipe.runtime.progress.words import Line, line_at_end, line_of, sentence
from gpupipe.runtime.report import report_of_stages
from gpupipe.runtime.rows import Rows

ROWS, PARTITIONS = 4_000, 8
TABLE = pa.table({"x": np.arange(ROWS) % 97.0, "y": np.arange(ROWS) % 3 == 0})
FEATURES = [col("x").fill_null("median").standardize()]
STAGES = ["scan 1 of 1", "settling quantiles", "features", "training LogisticRegression"]


def source() -> gp.Source:
    return gp.scan(TABLE, partitions=PARTITIONS)


def rows() -> Rows:
    return Rows(source(), ["x"])


def pipeline() -> gp.Pipeline:
    return gp.Pipeline(FEATURES, "y", LogisticRegression(), device="cpu")


class Screened(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


# -- words ----------------------------------------------------------------------------------------------------
@given(
    st.text("abc é", max_size=40), st.text("0123456789/", max_size=12), st.none() | st.floats(0, 1),
    st.lists(st.tuples(st.text("xyz", min_size=1, max_size=30), st.just("speed")), max_size=6), st.integers(1, 200),
)  # fmt: skip
def test_a_line_fits_whatever_the_width(
    name: str, count: str, share: float | None, more: list[tuple[str, str]], width: int
) -> None:
    pieces = Line(name, count, share, more).fitted(width)
    text = "".join(part for part, _ in pieces)
    assert len(text) <= width and "\n" not in text
    if width >= 140:  # there is room for the least important too, as long as all of it fits
        assert len(" ".join(part for part, _ in more)) > width - 80 or all(part in text for part, _ in more)


def test_what_matters_most_stays_where_there_is_little_room() -> None:
    line = Line("scan 1 of 2", "45/128", 0.35, [("0:12 left", "left"), ("2.40 M rows/s", "speed")])

    def shown(width: int) -> str:
        return "".join(part for part, _ in line.fitted(width))

    assert shown(20) == "scan 1 of 2  45/128" and shown(12) == "sca…  45/128"
    assert re.fullmatch(r"scan 1 of 2  ━+─+  45/128  0:12 left", shown(45))
    assert shown(80).endswith("45/128  0:12 left  2.40 M rows/s")


def test_time_left_follows_the_pace_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    running = Running("scan", rows())
    assert running.seconds_left is None
    for _ in range(2):
        now[0] += 10.0
        running.advance(500)
    assert running.seconds_left == pytest.approx(60.0)
    now[0] += 4.0
    assert running.seconds_left == pytest.approx(56.0)  # and time passes


def test_what_was_read_back_makes_nothing_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    running, plain = Running("scan", rows()), Running("scan", rows())
    for _ in range(4):
        running.read_back(500)
    assert running.seconds_left is None and running.share == 0.5
    now[0] += 10.0
    assert running.now().rows_a_second == running.now().decoded_a_second == 0.0
    assert not any("rows/s" in text for text, _ in line_of(running).more)
    for each in (running, plain):
        each.advance(500)
    stage = running.now()
    assert (stage.rows, stage.partitions, stage.rows_read_back) == (2_500, 5, 2_000)
    assert (stage.rows_a_second, stage.decoded_bytes) == (50.0, plain.now().decoded_bytes)
    assert running.seconds_left == pytest.approx(30.0) and plain.seconds_left == pytest.approx(70.0)
    assert "5 of 8 partitions, 2,500 rows in 10.0 s, 2,000 rows of them read back, 50 rows/s" in sentence(
        running, stage, ended=False
    )
    assert "read back" in repr(report_of_stages([stage])) and "read back" not in repr(report_of_stages([plain.now()]))


def test_a_fit_that_is_gone_on_with_counts_what_it_did(tmp_path: Path) -> None:
    keep, left = Results.keep, [3]

    def ending(self: Results, *arguments: Any) -> None:
        keep(self, *arguments)
        left[0] -= 1
        if not left[0]:
            raise ZeroDivisionError

    made = gp.Pipeline([col("x").fill_null("mean").standardize()])
    with mock.patch.object(Results, "keep", ending), pytest.raises(ZeroDivisionError):
        made.fit(source(), run=tmp_path / "run")
    report = made.fit(source(), run=tmp_path / "run").report_
    (scan,) = report.stages
    assert report.resumed >= 3 and scan.rows == ROWS
    assert scan.rows_read_back == report.resumed * ROWS // PARTITIONS
    assert scan.rows_a_second == (ROWS - scan.rows_read_back) / scan.seconds


# -- lines ----------------------------------------------------------------------------------------------------
def test_lines_have_the_time_of_day_and_never_go_back(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline().fit(source(), progress=True)  # stderr is no terminal here
    lines = capsys.readouterr().err.splitlines()
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d gpupipe: (.+?): (8 partitions, 4,000 rows in )?\d+\.\d+ s.*"
    found = [re.fullmatch(form, line) for line in lines]
    assert all(found) and [match[1] for match in found if match] == STAGES


def test_a_long_stage_is_told_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = io.StringIO(), [0.0]
    lines = Lines(stream)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(lines_module, "copy_bandwidth", lambda threads: 1e9)
    lines.begin(running := Running("scan", rows()))
    told_at = []
    for second in range(1, 1001):  # no partition is done: it is told all the same
        now[0] = float(second)
        before = stream.tell()
        lines.look()
        told_at += [second] if stream.tell() > before else []
    assert told_at == [10, 20, 40, 80, 160, 320, 620, 920]
    assert "scan: 0 of 8 partitions, 0 rows in 5 min 20 s" in stream.getvalue()
    lines.end(running, running.now(finished=False))
    assert "scan: stopped after 0 of 8 partitions" in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize("stream", [None, "closed", "full"])
def test_a_stderr_that_is_gone_stops_nothing(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = None if stream is None else Screened() if stream == "closed" else open("/dev/full", "w")  # noqa: SIM115
    if gone is not None and stream == "closed":
        gone.close()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", gone)
        for progress in (True, "lines", None):
            assert pipeline().fit(source(), progress=progress).report_.rows == ROWS
        patched.setenv("GPUPIPE_DEBUG", "1")
        assert pipeline().fit(source()).report_.rows == ROWS


# -- what progress= says --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("progress", "terminal", "dumb", "rich", "kind"),
    [
        (False, True, False, True, None), (None, False, False, True, None), (None, True, False, True, Bars),
        (True, True, False, True, Bars), (True, False, False, True, Lines), (True, True, True, True, Lines),
        (True, True, False, False, Lines), ("lines", True, False, True, Lines), ("lines", False, False, True, Lines),
    ],
)  # fmt: skip
def test_who_shows_it(
    progress: Any, terminal: bool, dumb: bool, rich: bool, kind: type | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Screened() if terminal else io.StringIO())
    monkeypatch.setenv("TERM", "dumb" if dumb else "xterm")
    monkeypatch.setattr(optional, "available", lambda package: rich)
    found = shown_module.shown(progress)
    assert found is None if kind is None else isinstance(found, kind)


def test_what_progress_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    anything: tuple[Any, ...] = ("bar", 3, object())
    for wrong in anything:
        with pytest.raises(ParameterError, match="says nothing"):
            progress_for(wrong)


# -- a terminal -----------------------------------------------------------------------------------------------
def drawn(width: int, encoding: str = "utf-8") -> tuple[Bars, Screened, Any]:
    stream = Screened()
    stream.encoding = encoding
    terminal = Terminal(stream)
    terminal._console.width, terminal._console.height, terminal._console.record = width, 10, True
    return Bars(terminal), stream, terminal._console


@pytest.mark.parametrize("width", [20, 60, 100])
def test_stages_done_stay_and_the_one_that_goes_on_is_below(width: int) -> None:
    bars, stream, console = drawn(width)
    with Heard(bars) as heard:
        for name in ("scan 1 of 2", "scan 2 of 2"):
            heard.begin(name, rows())
            for _ in range(PARTITIONS):
                heard.advance(500)
        bars.draw()
        first, goes_on = screen(stream.getvalue())
        assert first.startswith("scan 1 of 2") and re.search("8/8|8$", goes_on)
    *_, last = stands = screen(stream.getvalue())
    assert len(stands) == 2 and all(len(line) < width for line in stands)
    assert last in console.export_text()
    assert last.startswith("scan 2 of 2") and "━" * 8 in last if width > 20 else last == "scan 2 of 2  8"
    if width == 100:
        assert "4,000 rows" in last and "rows/s" in last


def test_a_terminal_without_unicode_gets_none() -> None:
    bars, stream, _ = drawn(80, "ascii")
    with Heard(bars) as heard:
        for name in ("scan", "a name that is longer than a name should be, in a terminal of eighty columns at most"):
            heard.begin(name, rows())
            heard.advance(ROWS)
            bars.draw()
    assert stream.getvalue().isascii() and "#" in stream.getvalue() and "~" in stream.getvalue()


def test_what_cannot_be_drawn_is_said_once_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bars, _, _ = drawn(80)
    monkeypatch.setattr(bars._surface, "keep", lambda line: 1 / 0)
    with warnings.catch_warnings(record=True) as warned, Heard(bars) as heard:
        warnings.simplefilter("always")
        for _ in range(3):
            heard.begin("scan", rows())
            heard.end()
    assert len(heard.stages) == 3
    assert [str(one.message)[:48] for one in warned] == ["Progress cannot be shown (ZeroDivisionError: div"]


def test_drawing_costs_next_to_nothing() -> None:
    """Some ten drawings a second, and to count a partition of .01 s takes less than a hundredth of that."""
    bars, stream, _ = drawn(100)
    written: list[float] = []
    write = stream.write
    stream.write = lambda text: (written.append(time.perf_counter()), write(text))[1]  # type: ignore[method-assign]
    with Heard(bars) as heard:
        heard.begin("scan", rows())
        heard.expect(1000)
        used = time.thread_time()
        for _ in range(1000):
            heard.advance(100)
        counting = time.thread_time() - used
        before, started = len(written), time.perf_counter()
        time.sleep(1.0)
        a_second = (len(written) - before) / (time.perf_counter() - started)
    assert counting < 0.01 * 1000 * 0.01
    assert a_second <= 11


SCRIPT = """
import sys, threading, time, warnings
import numpy as np, pyarrow as pa
import gpupipe as gp
from gpupipe import col
from gpupipe.runtime.progress import progress_for
from gpupipe.runtime.report import report_of_stages
from gpupipe.runtime.rows import Rows

table = pa.table({"x": np.arange(4000) % 97.0, "y": np.arange(4000) % 3 == 0})
source = gp.scan(table, partitions=8)
features = gp.Pipeline([col("x").fill_null("median").standardize()], device="cpu")


def slowly(what, seconds=0.05, fails=False):
    with progress_for(True) as heard:
        heard.begin(what, Rows(source, ["x"]))
        for number in range(8):
            time.sleep(seconds)
            heard.advance(500)
            if fails and number == 4:
                raise ValueError("the fifth failed")
"""
ENDS = {
    "done": "features.fit(source, progress=True); print('after')",
    "prints": "with progress_for(True) as heard:\n heard.begin('scan', Rows(source, ['x'])); time.sleep(.3); "
    "print('said amid it'); print('and there', file=sys.stderr); time.sleep(.3)",
    "fails": "slowly('scan', fails=True)",
    "waits": "print('ready', flush=True); slowly('scan', 5.0)",
    "two": "two = [threading.Thread(target=slowly, args=(name,)) for name in ('one', 'other')]\n"
    "[each.start() for each in two]; [each.join() for each in two]",
    "inside": "with progress_for(True) as heard:\n heard.begin('outer', Rows(source, ['x'])); time.sleep(.2); "
    "features.fit(source, progress=True); time.sleep(.2)",
}


def in_a_terminal(what: str, width: int = 100, then: Callable[[int], None] | None = None) -> tuple[int, str]:
    """The exit code of SCRIPT with this end in a terminal of its own, and all that it wrote there."""
    ours, theirs = pty.openpty()
    how = {**os.environ, "TERM": "xterm", "COLUMNS": str(width), "LINES": "20", "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + ENDS[what]], stdin=theirs, stdout=theirs, stderr=theirs, env=how,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    wrote, waited = b"", time.monotonic()
    try:
        while time.monotonic() - waited < 60:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                wrote += part
                if then is not None and b"0/8" in wrote:
                    then(child.pid)
                    then = None
            elif child.poll() is not None:
                break
        return child.wait(timeout=30), wrote.decode()
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def screen(wrote: str) -> list[str]:
    """What stands on the terminal in the end: of its language only what rich writes."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;.*?\x1b\\|\r|\n|[^\x1b\r\n]+", wrote):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            kind, number = part[-1], int(part[2:-1]) if part[2:-1].isdigit() else 1
            row -= number if kind == "A" else 0
            if part == "\x1b[2K":
                lines[row] = ""
            assert kind in "AKmhl", part
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines if line.strip()]


def test_a_fit_in_a_terminal() -> None:
    code, wrote = in_a_terminal("done")
    stands = screen(wrote)
    assert code == 0 and [line[:18].strip() for line in stands] == ["scan 1 of 1", "settling quantiles", "after"]
    assert all("━" in line and "4,000 rows" in line for line in stands[:2])
    assert "\x1b[?25l" not in wrote  # the cursor was never away


def test_a_fit_in_a_narrow_terminal() -> None:
    code, wrote = in_a_terminal("done", width=20)
    assert code == 0 and screen(wrote) == ["scan 1 of 1  8", "settling quanti…  8", "after"]


def test_what_is_printed_amid_a_stage_stands_above_it() -> None:
    code, wrote = in_a_terminal("prints")
    *above, bar = screen(wrote)
    assert code == 0 and above == ["said amid it", "and there"] and bar.startswith("scan")


def test_an_error_amid_a_stage_stands_below_the_bar() -> None:
    code, wrote = in_a_terminal("fails")
    stands = screen(wrote)
    assert code == 1 and re.match(r"scan .*5/8 +stopped, 0\.\d+ s", stands[0])
    assert stands[1] == "Traceback (most recent call last):" and stands[-1] == "ValueError: the fifth failed"


def test_an_interrupt_amid_a_stage_ends_it() -> None:
    code, wrote = in_a_terminal("waits", then=lambda pid: os.kill(pid, signal.SIGINT))
    stands = screen(wrote)
    assert code in (1, 130, -signal.SIGINT) and stands[-1].startswith("KeyboardInterrupt")
    assert any(re.match(r"scan .*0/8 +stopped", line) for line in stands)


def test_two_runs_at_once_have_a_line_each() -> None:
    code, wrote = in_a_terminal("two")
    assert code == 0 and sorted(line.split()[0] for line in screen(wrote)) == ["one", "other"]
    assert "Traceback" not in wrote


def test_a_run_inside_another_stands_beside_it() -> None:
    code, wrote = in_a_terminal("inside")
    assert code == 0 and [line[:11].strip() for line in screen(wrote)] == ["scan 1 of 1", "settling qu", "outer"]


def test_a_piped_run_writes_lines() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT + ENDS["done"]], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0 and ran.stdout == "after\n" and "\x1b" not in ran.stderr and "\r" not in ran.stderr
    assert ran.stderr.count("\n") == ran.stderr.count("gpupipe: ") == 2


# -- a notebook -----------------------------------------------------------------------------------------------
class Shown:
    """IPython as far as a notebook's cell goes."""

    def __init__(self, kernel: bool) -> None:
        shell = types.SimpleNamespace(**({"kernel": object()} if kernel else {}))
        self.pages: list[Any] = []
        display = types.SimpleNamespace(display=self._display)
        self.module: Any = types.SimpleNamespace(get_ipython=lambda: shell, display=display)

    def _display(self, page: Any, *, display_id: bool) -> Any:
        assert display_id
        self.pages.append(page)
        return types.SimpleNamespace(update=self.pages.append)


@pytest.fixture
def in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    shown = Shown(kernel=True)
    monkeypatch.setitem(sys.modules, "IPython", shown.module)
    yield shown


@pytest.mark.parametrize("progress", [True, None])
def test_a_notebook_s_cell_is_redrawn_as_html(
    in_a_notebook: Shown, progress: bool | None, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline().fit(source(), progress=progress)
    last = in_a_notebook.pages[-1]
    html, text = last._repr_html_(), repr(last)
    assert [line[:27].strip() for line in text.splitlines()][3] == STAGES[3] and len(text.splitlines()) == 4
    assert html.startswith("<pre") and html.count("━") == text.count("━") > 0 and "color:" in html
    assert "4,000 rows" in html and "\x1b" not in html and capsys.readouterr().err == ""


def test_each_run_has_a_cell_of_its_own(in_a_notebook: Shown) -> None:
    for _ in range(2):
        pipeline().fit(source(), progress=True)
    assert len(repr(in_a_notebook.pages[-1]).splitlines()) == 4


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", Shown(kernel=False).module)
    assert shown_module.notebook() is None
    monkeypatch.delitem(sys.modules, "IPython")
    assert shown_module.notebook() is None


def test_a_notebook_without_rich_gets_lines(in_a_notebook: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "available", lambda package: False)
    assert isinstance(shown_module.shown(True), Lines)


# -- one of the user's ----------------------------------------------------------------------------------------
class Kept:
    """A progress that keeps what it was told, and may fail."""

    def __init__(self, fails: str = "") -> None:
        self.told: list[Any] = []
        self._fails = fails

    def begin(self, what: str, rows: Rows) -> None:
        self._note("begin", (what, rows.n_partitions))

    def advance(self, n_rows: int) -> None:
        self._note("advance", n_rows)

    def end(self) -> None:
        self._note("end", None)

    def _note(self, method: str, what: Any) -> None:
        self.told.append((method, what))
        if method == self._fails:
            raise OSError("the page that it writes to is gone")


def test_an_own_progress_hears_of_each_trip_and_partition() -> None:
    heard = Kept()
    pipeline().fit(source(), progress=heard)
    trips = [what for method, what in heard.told if method == "begin"]
    assert trips == [(name, PARTITIONS) for name in STAGES[:3]]
    assert [what for method, what in heard.told if method == "advance"] == [ROWS // PARTITIONS] * PARTITIONS * 3
    assert heard.told[-1] == ("end", None) and heard.told.count(("end", None)) == 1


@pytest.mark.parametrize("fails", ["begin", "advance", "end"])
def test_an_own_progress_that_fails_is_left_alone(fails: str) -> None:
    heard, silent = Kept(fails), pipeline().fit(source())
    with pytest.warns(RuntimeWarning, match=rf"Kept\.{fails} of progress= raised OSError: the page.*the run goes on"):
        fitted = pipeline().fit(source(), progress=heard)
    assert fitted.state_digest() == silent.state_digest() and len(fitted.report_.stages) == 4
    assert sum(method == fails for method, _ in heard.told) == 1 and heard.told[-1][0] == fails


def test_an_own_progress_is_told_the_end_of_a_run_that_fails() -> None:
    heard = Kept()
    with pytest.raises(gp.GpupipeError):
        gp.Pipeline([col("x")], "y", LogisticRegression()).fit({"x": [1.0, 2.0], "y": [None, True]}, progress=heard)
    assert heard.told[-1] == ("end", None)


# -- where progress= is taken ---------------------------------------------------------------------------------
CALLS: dict[str, tuple[Callable[[gp.Pipeline, Any], object], list[str]]] = {
    "fit": (lambda one, to: pipeline().fit(source(), progress=to), STAGES[:3]),
    "fit_transform": (lambda one, to: gp.Pipeline(FEATURES).fit_transform(source(), progress=to), STAGES[:3]),
    "transform": (lambda one, to: one.transform(source(), progress=to), ["features"]),
    "transform to an array": (
        lambda one, to: one.transform(source(), out=np.empty((ROWS, 1), np.float32), progress=to), ["features"]
    ),
    "predict": (lambda one, to: one.predict(source(), progress=to), ["features"]),
    "predict_proba": (lambda one, to: one.predict_proba(source(), progress=to), ["features"]),
    "predictions": (lambda one, to: list(one.predictions(source(), progress=to)), ["predictions"]),
    "evaluate": (lambda one, to: one.evaluate(source(), allow_overlap=True, progress=to), ["features"]),
    "update": (
        lambda one, to: gp.Pipeline([col("x").standardize()]).fit(source(), keep_state=True).update(
            gp.scan({"x": [1.0, 2.0]}), progress=to
        ),
        ["scan 1 of 1"],
    ),
    "cross_validate": (
        lambda one, to: gp.cross_validate(pipeline(), source(), folds=2, progress=to),
        [*STAGES[:2], "fold 0, features", "fold 0, judging", "fold 1, features", "fold 1, judging"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_every_call_that_goes_over_rows_tells(call: str) -> None:
    fitted, heard = pipeline().fit(source()), Kept()
    run, stages = CALLS[call]
    run(fitted, heard)
    assert [what[0] for method, what in heard.told if method == "begin"] == stages
    assert sum(method == "advance" for method, _ in heard.told) > 0 and heard.told[-1][0] == "end"


def test_of_an_update_the_new_partitions_are_counted() -> None:
    seen: list[tuple[str, int, float | None]] = []

    class Seeing(Nothing):
        def end(self, running: Running, stage: Stage) -> None:
            seen.append((line_at_end(running, stage).count, stage.rows, running.share))

    kept = gp.Pipeline([col("x").fill_null("median").standardize()]).fit(source(), keep_state=True)
    kept.update(gp.scan({"x": np.arange(600.0)}, partitions=3), progress=Heard(Seeing()), seen=source())
    assert seen == [("3", 600, 1.0), (f"{PARTITIONS + 3}", ROWS + 600, 1.0)]  # medians are settled over all rows


@pytest.mark.parametrize(
    ("words", "told"),
    [([], "lines"), (["--progress", "lines"], "lines"), (["--progress", "no"], ""), (["--quiet"], "")],
)
def test_commands_show_it(words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(TABLE, data := tmp_path / "d.parquet")
    pipeline().fit(data).save(saved := tmp_path / "a.gpp")
    capsys.readouterr()
    assert main(["evaluate", str(saved), "--data", str(data), "--allow-overlap", "--json", *words]) == 0
    assert main(["predict", str(saved), "--data", str(data), "--out", str(tmp_path / "scores"), *words]) == 0
    wrote = capsys.readouterr()
    assert re.findall(r"gpupipe: (\w+):", wrote.err) == (["features", "metrics", "predictions"] if told else [])
    assert wrote.out.startswith("{") and "4,000 rows scored" in wrote.out


# -- what is reported -----------------------------------------------------------------------------------------
def test_the_report_has_a_table_of_stages() -> None:
    report = pipeline().fit(source()).report_
    assert [stage.name for stage in report.stages] == STAGES
    scan, trip, features, training = report.stages
    assert (scan.rows, scan.partitions, trip.rows, training.partitions) == (ROWS, PARTITIONS, ROWS, 0)
    assert scan.bytes_read + features.bytes_read == report.bytes_read and trip.bytes_read == 0
    assert all(stage.seconds > 0 and stage.peak_bytes > 1e6 and stage.finished for stage in report.stages)
    head, *lines = repr(report).splitlines()[-5:]
    assert head.split()[:2] == ["stage", "seconds"] and [line[:27].strip() for line in lines] == STAGES


def test_a_report_is_json_and_html() -> None:
    report = pipeline().fit(source()).report_
    found = json.loads(json.dumps(report.to_dict()))
    assert found["rows"] == ROWS and [stage["name"] for stage in found["stages"]] == STAGES
    assert found["predicted"]["bytes_read"] == report.bytes_read and found["errors"] == {"bytes_read": 1.0}
    html = report._repr_html_()
    assert html.count("<table>") == 2 and "<th>training LogisticRegression</th>" in html and "<td>1.00</td>" in html


def test_the_last_report_is_of_the_last_call_and_changes_no_pipeline() -> None:
    fitted = pipeline().fit(source())
    assert fitted.last_report_ is fitted.report_
    before = dict(fitted.__dict__)
    fitted.predict(source().head(700))
    last = fitted.last_report_
    assert last is not None and (last.rows, last.stages[0].name) == (700, "features")
    assert fitted.__dict__ == before and fitted.report_.rows == ROWS
    tables = fitted.predictions(source())
    assert fitted.last_report_ is last  # nothing was made yet
    assert sum(table.num_rows for table in tables) == ROWS and fitted.last_report_.rows == ROWS


def test_a_stage_that_fails_is_told_as_stopped() -> None:
    with pytest.raises(ZeroDivisionError), Heard() as heard:
        heard.begin("scan", rows())
        heard.advance(5)
        raise ZeroDivisionError
    (stage,) = heard.stages
    assert (stage.rows, stage.partitions, stage.finished) == (5, 1, False)


def test_who_carries_a_stage_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Heard(Lines())
    with lines:
        for _ in range(2):
            lines.begin("scan", rows())
            carried_out(lines, lambda: "2 workers, 1 lost", 4, "http://127.0.0.1:8787/status")
            for _ in range(PARTITIONS):
                lines.advance(500)
    wrote = capsys.readouterr().err
    assert wrote.count("dashboard http://127.0.0.1:8787/status") == 1 and wrote.count(", 2 workers, 1 lost") == 2
    assert [stage.where for stage in lines.stages] == ["2 workers, 1 lost"] * 2


def test_retries_are_told() -> None:
    stage = Stage("scan", 2.0, rows=4000, partitions=8, retries=1, io_retries=2)
    running = Running("scan", rows())
    assert "3 retries" in sentence(running, stage, ended=True)
    assert ("3 retries", "bad") in line_at_end(running, stage).more
    report = report_of_stages([stage, stage])
    assert (report.retries, report.io_retries) == (2, 4)
    assert "for want of memory tried again 2 times" in repr(report) and "a read was tried again 4 times" in repr(report)


# -- this machine ---------------------------------------------------------------------------------------------
def test_bandwidth_is_measured_once_and_quickly() -> None:
    for threads in (1, 2):
        machine.copy_bandwidth.cache_clear()
        started = time.perf_counter()
        found = machine.copy_bandwidth(threads)
        took = time.perf_counter() - started
        assert 2e8 < found < 5e12 and took < 0.6  # .05 where nothing is at work beside it
        started = time.perf_counter()
        assert machine.copy_bandwidth(threads) == found and time.perf_counter() - started < 0.01


def test_nothing_is_measured_where_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bars_module, lines_module, machine):
        monkeypatch.setattr(module, "copy_bandwidth", lambda *_: pytest.fail("measured"))
    fitted = pipeline().fit(source())
    fitted.predict(source())


def test_debugging_tells_what_is_told_nowhere_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Heard(Debugging()) as heard:
        held = rows()
        held.heard = heard
        with told("features", held) as progress:
            progress.advance(ROWS)
    assert re.match(r"gpupipe: features: 4,000 rows in \d\.\d{3} s, .* CPU s, ", capsys.readouterr().err)


def test_threads_tell_at_once() -> None:
    with Heard() as heard:
        heard.begin("scan", rows())
        each = [threading.Thread(target=lambda: [heard.advance(1) for _ in range(1000)]) for _ in range(4)]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join()
    assert (heard.stages[0].rows, heard.stages[0].partitions) == (4000, 4000)
