"""The peers, and a virtual environment for each: made from its pins once, and anew when they change.

    python -m benchmarks.environments                      # makes those of all peers, and says which cannot be made
    python -m benchmarks.environments polars duckdb        # or of some

Pins lie in ``peers/requirements/PEER.txt``; ``PEER-no-deps.txt`` beside it, where there is one, is installed first, and
without what it asks for. A first line ``# python 3.10`` asks for that version.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOME = Path("~/.cache/gpupipe-bench/environments").expanduser()
PINS = Path(__file__).with_name("peers") / "requirements"


class NotMeasured(Exception):
    """A peer cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One that is measured.

    Attributes:
        name: on the command line, and of its pins.
        label: in tables.
        package: whose version is told.
    """

    name: str
    label: str
    package: str

    @property
    def module(self) -> str:
        """Its script, under ``benchmarks``."""
        return f"peers.{self.name}_"


PEERS = {
    peer.name: peer
    for peer in (
        Peer("ours", "gpupipe", "gpupipe"),
        Peer("polars", "Polars", "polars"),
        Peer("duckdb", "DuckDB", "duckdb"),
        Peer("pandas", "pandas", "pandas"),
        Peer("sklearn", "scikit-learn", "scikit-learn"),
        Peer("nvtabular", "NVTabular, CPU", "nvtabular"),
        Peer("dask_ml", "dask-ml", "dask-ml"),
        Peer("spark", "Spark ML", "pyspark"),
        Peer("ray", "Ray Data", "ray"),
    )
}
LIGHT = ("polars", "duckdb", "pandas", "sklearn")
HEAVY = ("nvtabular", "dask_ml", "spark", "ray")


def python(peer: Peer, home: Path = HOME) -> Path:
    """The interpreter of the peer's environment, made where it is not there; ours is the one that runs this.

    Raises:
        NotMeasured: it cannot be made.
    """
    if peer.name == "ours":
        return Path(sys.executable)
    steps = _steps(peer.name)
    pins = hashlib.sha256(b"\0".join(path.read_bytes() for _, path in steps)).hexdigest()
    folder = home / peer.name
    ready, found = folder / "ready", folder / "bin" / "python"
    if not (ready.exists() and ready.read_text() == pins):
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, _interpreter(steps[-1][1]), steps)
        ready.write_text(pins)
    return found


def version(peer: Peer, interpreter: Path) -> str:
    """The peer's version, as its environment has it."""
    asked = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    return subprocess.run([interpreter, "-c", asked], capture_output=True, text=True).stdout.strip() or "unknown"


def _steps(name: str) -> list[tuple[tuple[str, ...], Path]]:
    """What pip is called with, in turn."""
    steps = [(("--no-deps",), PINS / f"{name}-no-deps.txt"), ((), PINS / f"{name}.txt")]
    found = [(words, path) for words, path in steps if path.exists()]
    if not found:
        raise NotMeasured(f"no pins of {name} in {PINS.name}/")
    return found


def _interpreter(pins: Path) -> str:
    asked = re.match(r"# python (\d+\.\d+)", pins.read_text())
    if asked is None:
        return sys.executable
    found = shutil.which(f"python{asked[1]}")
    if found is None:
        raise NotMeasured(f"there is no python{asked[1]} here, which its pins ask for")
    return found


def _make(folder: Path, interpreter: str, steps: Sequence[tuple[tuple[str, ...], Path]]) -> None:
    _call([interpreter, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for words, path in steps:
        _call([*pip, *words, "-r", str(path)])


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        why = done.stdout.strip().splitlines() or ["no word of why"]
        raise NotMeasured(f"its environment cannot be made: {why[-1][:200]}")


def _peer(name: str) -> str:  # argparse's choices refuse that none is named
    if name not in PEERS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PEERS)}")
    return name


def main(words: list[str] | None = None) -> int:
    """Make them, and say what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("peers", nargs="*", type=_peer, help=f"some of {', '.join(PEERS)} (default: all)")
    parser.add_argument("--environments", type=Path, default=HOME, help="a folder (default: %(default)s)")
    chosen = parser.parse_args(words)
    missing = 0
    for name in chosen.peers or PEERS:
        try:
            found = python(PEERS[name], chosen.environments)
            print(f"{PEERS[name].label} {version(PEERS[name], found)}: {found}")
        except NotMeasured as why:
            missing += 1
            print(f"{PEERS[name].label}: {why}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
