"""Ctrl-C ends what a cluster is at, wherever the process that waits for it is just then."""

import gc
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpupipe as gp
from gpupipe.clusters import interrupts
from gpupipe.clusters.interrupts import raise_dropped, written_down

ROWS = {"x": np.arange(800.0), "y": np.arange(800.0) % 7}


def fit(progress: Any = False) -> gp.Pipeline:
    pipeline = gp.Pipeline([gp.col("x").fill_null("median").standardize(), gp.col("y").qcut(4)])
    return pipeline.fit(gp.scan(ROWS, partitions=8), progress=progress)


class InCollection:
    """A progress in whose `nth` partition Ctrl-C comes amid a callback of the garbage collector, where it is lost."""

    def __init__(self, nth: int) -> None:
        self.left, self.came = nth, 0

    def begin(self, what: str, rows: Any) -> None: ...
    def end(self) -> None: ...

    def advance(self, n_rows: int) -> None:
        self.left -= 1
        if not self.left:
            gc.callbacks.append(self._called)
            try:
                gc.collect()
            finally:
                gc.callbacks.remove(self._called)

    def _called(self, phase: str, _: Any) -> None:
        if phase == "start":
            self.came += 1
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What Python printed and went on from."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    yield found


@pytest.mark.parametrize("nth", [1, 8, 11])
def test_one_that_python_drops_ends_the_fit(nth: int, two: gp.Cluster, dropped: list[Any]) -> None:
    progress = InCollection(nth)
    with pytest.raises(KeyboardInterrupt):
        fit(progress)
    assert progress.came == 1 and [each.exc_type for each in dropped] == [KeyboardInterrupt]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert fit().report_.rows == 800  # and the next one is none the worse for it


def drop(times: int = 1) -> None:
    """Ctrl-C in a destructor."""

    class Falls:
        def __del__(self) -> None:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    Falls()


def test_in_the_end_it_is_raised(dropped: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt), written_down():
        drop()
    with written_down():  # it was of the one before
        raise_dropped()
    assert len(dropped) == 1


def test_another_error_is_told_rather(dropped: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), written_down():
        drop()
        _ = 1 / 0


def test_it_is_told_once(dropped: list[Any]) -> None:
    with written_down():
        drop()
        with pytest.raises(KeyboardInterrupt):
            raise_dropped()
        raise_dropped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        interrupts.told()


def test_a_handler_of_the_program_stays(dropped: list[Any]) -> None:
    heard: list[int] = []

    def handler(number: int, _: Any) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with written_down():
            assert signal.getsignal(signal.SIGINT) is handler
            signal.raise_signal(signal.SIGINT)
            raise_dropped()
        with written_down():
            pass
        assert signal.getsignal(signal.SIGINT) is handler and heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_that_is_set_inside_stays() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with written_down():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_nothing_to_do_with_it(dropped: list[Any]) -> None:
    def elsewhere() -> None:
        try:
            with written_down():
                raise_dropped()
        except KeyboardInterrupt as error:  # pragma: no cover
            found.append(error)

    found: list[BaseException] = []
    with pytest.raises(KeyboardInterrupt), written_down():
        drop()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert not found


# -- at random moments ------------------------------------------------------------------------------------
PROGRAM = """
import gc, sys, time
import gpupipe as gp
from test_interrupts import fit

USUAL = gc.get_threshold()

class Collecting:
    # Dask's callback of full collections is called all the time while the cluster is at work. (Not before and after:
    # what Python drops there it drops in any program.)
    def begin(self, what, rows):
        gc.set_threshold(20, 2, 2)
    def advance(self, n_rows): ...
    def end(self):
        gc.set_threshold(*USUAL)

with gp.cluster("processes", n_workers=2, memory_limit="512MiB"):
    fit()
    for _ in range(int(sys.argv[1])):
        print("fits", flush=True)
        try:
            while True:
                fit(Collecting())
        except KeyboardInterrupt:
            gc.set_threshold(*USUAL)
            print("ended", flush=True)
"""


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_at_random_moments(times: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    draw, waits, said = random.Random(times), list[float](), tmp_path / "said"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(times)],
        stdout=subprocess.PIPE, stderr=said.open("w"), text=True, cwd=request.path.parent,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        for _ in range(times):
            assert program.stdout.readline() == "fits\n"
            time.sleep(draw.random() / 2)
            sent = time.monotonic()
            program.send_signal(signal.SIGINT)
            late = threading.Timer(10, program.kill)
            late.start()
            assert program.stdout.readline() == "ended\n", f"it went on, or failed: {said.read_text()[-4000:]}"
            late.cancel()
            waits.append(time.monotonic() - sent)
        assert program.wait(30) == 0 and max(waits) < 10
    finally:
        program.kill()
        program.wait()
        program.stdout.close() if program.stdout else None
