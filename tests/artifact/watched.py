"""Loading under watch, in a process of its own: what it gave or raised, its time, its memory, and that no code ran.

    python -m artifact.watched damage WHOLE WORK FIRST LAST    artifacts damaged at random, digests left as they were
    python -m artifact.watched load PATH...                    artifacts as they stand

from the folder of the tests. A line of JSON for each artifact on stdout.
"""

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

import gpupipe as gp
from gpupipe import cli
from gpupipe.errors import GpupipeError

from .damage import damage

_CODE = ("import", "exec", "compile", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
         "os.startfile", "pty.spawn", "socket.", "ctypes.dl", "ctypes.call", "pickle.", "marshal.", "code.",
         "cpython.run", "shutil.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "tempfile.",
         "sys.addaudithook", "sys.setprofile", "sys.settrace", "function.", "mmap.")  # fmt: skip
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
           "os.chown", "os.utime", "os.setxattr", "os.putenv", "os.chdir", "os.kill")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """An audit hook that is only ever on around a load. What is not allowed is noted, and fails there."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and self._is_refused(event, arguments):
            self.seen.append(f"{event} {arguments!r}"[:300])
            raise RuntimeError(f"not allowed while loading: {event} {arguments!r}"[:300])

    def _is_refused(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            _, mode, flags = arguments
            return bool((flags or 0) & _WRITING) or (isinstance(mode, str) and not set(mode) <= set("rbt"))
        return event.startswith(_CODE) or event.startswith(_WRITES)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        self.on = True
        try:
            yield
        finally:
            self.on = False


def _inspect(path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["--debug", "inspect", "--json", str(path)])


READERS: dict[str, Callable[[Path], object]] = {"load": gp.load, "scorer": gp.Scorer.load, "inspect": _inspect}


def _memory(name: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at most."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) * 1024


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def told(watch: Watch, path: Path, reader: str) -> dict[str, Any]:
    """What one reader makes of the artifact, and its seconds."""
    started, cpu = time.perf_counter(), time.process_time()
    error: BaseException | None = None
    watch.seen.clear()
    try:
        with watch.watching():
            READERS[reader](path)
    except Exception as caught:
        error = caught
    seconds, busy = time.perf_counter() - started, time.process_time() - cpu
    return {
        "reader": reader,
        "error": None if error is None else type(error).__name__,
        "kinds": [] if error is None else [kind.__name__ for kind in type(error).__mro__],
        "message": "" if error is None else str(error),
        "seconds": seconds,
        "busy": busy,
        "refused": watch.seen[:],
    }


def _measured(watch: Watch, path: Path, reader: str) -> dict[str, Any]:
    """The same, with the growth of memory while it read."""
    _forget_peak()
    before = _memory("VmRSS")
    found = told(watch, path, reader)
    return {**found, "grown": _memory("VmHWM") - before}


def _tell(**found: Any) -> None:
    print(json.dumps(found), flush=True)


def _warm(whole: list[Path]) -> None:
    """Load every whole artifact, so that what is imported or compiled once, is; and see a few refused."""
    metadata.version("gpupipe")  # which messages say
    for path in whole:
        for read in READERS.values():
            read(path)
            with contextlib.suppress(GpupipeError):
                read(path / "nothing here")


def _damaged(watch: Watch, whole: list[Path], work: Path, seeds: range) -> None:
    _forget_peak()
    start = _memory("VmRSS")
    for seed in seeds:
        rng = Random(seed)
        one, other = rng.sample(whole, 2)
        kind = damage(one, work / "damaged", rng, other)
        found = [told(watch, work / "damaged", reader) for reader in READERS]
        _tell(seed=seed, artifact=one.name, kind=kind, found=found)
    _tell(peak=_memory("VmHWM") - start)


def main(task: str, *arguments: str) -> None:
    watch = Watch()
    if task == "damage":
        whole = sorted(Path(arguments[0]).iterdir())
        _warm(whole)
        _damaged(watch, whole, Path(arguments[1]), range(int(arguments[2]), int(arguments[3])))
    else:
        _warm(sorted(Path(arguments[0]).iterdir()))
        for path in arguments[1:]:
            for reader in READERS:
                _tell(path=path, **_measured(watch, Path(path), reader))


if __name__ == "__main__":
    main(*sys.argv[1:])
