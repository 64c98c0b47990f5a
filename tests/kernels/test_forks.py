"""A process that is forked while another thread compiles kernels."""

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from gpupipe.kernels.cpu import objects
from gpupipe.kernels.cpu.jit import Kernel


def added(values, by):
    for i in range(len(values)):
        values[i] += by


def taken(values, by):
    for i in range(len(values)):
        values[i] -= by


def compile_again_and_again(began: threading.Event, end: threading.Event) -> None:
    while not end.is_set():
        began.set()
        Kernel(added)(np.zeros(3), 1.0)


def in_a_child() -> int:
    """How one ends that compiles: by a signal if it waits for a thread that it does not have."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(20)
    values = np.ones(3)
    Kernel(taken)(values, 1.0)
    os._exit(int(values.any()))


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_the_child_compiles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_folder", lambda: None)  # nothing is kept: each compiles
    began, end = threading.Event(), threading.Event()
    thread = threading.Thread(target=compile_again_and_again, args=(began, end))
    thread.start()
    try:
        began.wait()
        assert [in_a_child() for _ in range(3)] == [0, 0, 0]
    finally:
        end.set()
        thread.join()


def test_a_fork_waits_for_what_is_compiled_now(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, made = threading.Event(), list[str]()

    def slow(function: Any, kinds: Any) -> Any:
        inside.set()
        time.sleep(0.3)
        made.append(function.__name__)
        return compiled(function, kinds)

    compiled = objects.compiled
    monkeypatch.setattr(objects, "kept", lambda *_: None)
    monkeypatch.setattr(objects, "compiled", slow)
    thread = threading.Thread(target=lambda: Kernel(added)(np.zeros(3), 1.0))
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        os._exit(len(made))
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1 and made == ["added"]
    Kernel(added)(np.zeros(3), 1.0)  # and the lock is free again
