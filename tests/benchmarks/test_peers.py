"""A peer's script runs where that peer is installed, and gpupipe is not."""

import ast
import sys
from pathlib import Path

import pytest

import benchmarks.peers as peers
from benchmarks.environments import PEERS, PINS

FOLDER = Path(peers.__file__).parent
SCRIPTS = {path.stem.removesuffix("_"): path for path in sorted(FOLDER.glob("*_.py")) if path.stem != "__init__"}
OWN = {
    "ours": {"gpupipe"},
    "sklearn": {"sklearn", "pandas"},
    "spark": {"pyspark"},
    "dask_ml": {"dask_ml", "dask", "sklearn", "pandas"},
    "ray": {"ray", "pandas"},
    "nvtabular": {"nvtabular"},
}


def imported(path: Path) -> set[str]:
    """Packages that a file imports, of its own folder and the one above by their dots."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level or str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_its_peer_alone(name: str) -> None:
    assert imported(SCRIPTS[name]) <= {"numpy", "pyarrow", "."} | OWN.get(name, {name})


def test_what_the_scripts_share_needs_no_peer() -> None:
    assert imported(FOLDER / "command.py") == {".."}
    assert imported(FOLDER.parent / "measure.py") == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_listed_and_pinned(name: str) -> None:
    assert PEERS[name].module == f"peers.{SCRIPTS[name].stem}"
    if name != "ours":
        lines = [line for line in (PINS / f"{name}.txt").read_text().splitlines() if line[:1] != "#"]
        assert [line for line in lines if "==" not in line] in ([], ["setuptools"]) and lines
