"""Artifacts damaged at random, their digests left as they were: every one is refused, and nothing of it is run.

Three readers see each: `gpupipe.load`, `gpupipe.Scorer.load` and `gpupipe inspect`. They run in a process of their
own, where an audit hook fails on an import, on code compiled or run, on a process, a socket, a library or a file opened
for writing.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .damage import DAMAGE

TESTS = Path(__file__).parent.parent
MEMORY = 64 * 2**20
SECONDS = 1.0  # of processor time; most take a thousandth


def watched(*arguments):
    """The lines that `artifact.watched` prints."""
    command = [sys.executable, "-m", "artifact.watched", *map(str, arguments)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(whole, work, first, last):
    *lines, end = watched("damage", whole, work, first, last)
    assert len(lines) == last - first
    found = [(line, one) for line in lines for one in line["found"]]
    for line, one in found:
        where = (line["seed"], line["artifact"], line["kind"], one["reader"], one["message"])
        assert one["error"] is not None, ("accepted", *where)
        assert "ArtifactError" in one["kinds"], (one["error"], *where)
        assert one["refused"] == [], (one["refused"], *where)
        assert 20 < len(one["message"]) < 1000, where
        assert one["busy"] < SECONDS, (one["busy"], *where)
    assert end["peak"] < MEMORY
    kinds = Counter(line["kind"] for line in lines)
    errors = Counter(one["error"] for _, one in found)
    slowest = max(one["seconds"] for _, one in found)
    print(f"\n{len(lines)} damaged, {len(found)} loads, {dict(errors)}, slowest {slowest:.3f} s, "
          f"memory grew by {end['peak'] / 2**20:.1f} MiB at most; {dict(sorted(kinds.items()))}")  # fmt: skip
    return kinds


def test_damaged_artifacts_are_refused_and_nothing_runs(whole, tmp_path):
    assert check(whole, tmp_path, 0, 300).keys() == DAMAGE.keys()


@pytest.mark.slow
def test_ten_thousand_damaged_artifacts_are_refused_and_nothing_runs(whole, tmp_path):
    check(whole, tmp_path, 1_000, 11_000)


def test_the_watch_sees_what_it_is_for(tmp_path):
    """Else that nothing was seen would say nothing."""
    code = """
import contextlib, os, subprocess, sys
from artifact.watched import Watch
watch = Watch()
for act in ("import colorsys", "eval('1')", "compile('1', '', 'eval')", "subprocess.run(['true'])", "os.system('true')",
            "open(sys.argv[1], 'w')", "os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)", "os.mkdir(sys.argv[1])",
            "__import__('socket').socket()", "__import__('ctypes').CDLL(None)",
            "__import__('pickle').loads(b'cos\\\\nsystem\\\\n.')"):
    ready = compile(act, "act", "exec")
    import socket, ctypes, pickle
    with contextlib.suppress(RuntimeError), watch.watching():
        exec_ = exec
        exec_(ready)
    assert watch.seen, act
    watch.seen.clear()
assert not os.path.exists(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "made"], cwd=TESTS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
