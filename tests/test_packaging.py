"""What is installed: the extras, the packages of the wheel and the sdist, and the names they promise."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gpupipe.optional import EXTRAS

ROOT = Path(__file__).resolve().parent.parent

# Where a package's name on the registry differs from the name it is imported by.
DISTRIBUTIONS = {
    "sklearn": "scikit-learn", "xgboost": "xgboost-cpu", "cupy": "cupy-cuda13x", "rmm": "rmm-cu13", "cudf": "cudf-cu13",
    "pylibcudf": "pylibcudf-cu13", "cuml": "cuml-cu13", "nvforest": "nvforest-cu13", "dask_cuda": "dask-cuda",
    "raft_dask": "raft-dask-cu13",
}  # fmt: skip


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def extras() -> dict[str, list[str]]:
    """Each extra of pyproject with the names (not the bounds) it requires."""
    table = pyproject()["project"]["optional-dependencies"]
    return {extra: [re.split(r"[\s<>=!\[;]", line)[0] for line in lines] for extra, lines in table.items()}


@pytest.mark.parametrize("package", EXTRAS)
def test_the_extra_that_an_error_names_brings_the_package(package: str) -> None:
    assert DISTRIBUTIONS.get(package, package) in extras()[EXTRAS[package]]


def test_what_the_user_extras_bring_is_known_to_optional() -> None:
    known = {DISTRIBUTIONS.get(package, package) for package in EXTRAS}
    for extra in ("cpu", "xgboost", "lightgbm", "catboost", "skops", "frames", "cluster", "examples"):
        assert set(extras()[extra]) <= known


def test_the_gpu_stacks_stay_apart_from_the_cpu_extras() -> None:
    for extra in ("cuda12", "cuda13"):
        assert "xgboost" in extras()[extra] and "xgboost-cpu" not in extras()[extra]
        lines = pyproject()["project"]["optional-dependencies"][extra]
        assert {"numpy>=2.0,<2.5", "pandas>=3.0,<3.1", "numba<0.65"} <= set(lines)
    assert not any("cu12" in name or "cu13" in name for name in [*extras()["cpu"], *extras()["xgboost"]])


def test_every_package_folder_is_listed() -> None:
    listed = set(pyproject()["tool"]["setuptools"]["packages"])
    found = {
        ".".join((prefix, *path.parent.relative_to(ROOT / folder).parts))
        for folder, prefix in (("gpupipe", "gpupipe"), ("kernels", "gpupipe.kernels"))
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == found


def test_conda_has_the_core_dependencies_and_the_same_rapids() -> None:
    lines = re.findall(r"^ +- (.+)$", (ROOT / "environment.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(pyproject()["project"]["dependencies"]) - set(lines) == {"numpy>=2.0"}
    assert {"numpy>=2.0,<2.5", "pandas>=3.0,<3.1", "numba<0.65", "cudf=26.10", "cuml=26.10"} <= set(lines)
    assert "cudf-cu13==26.10.*" in pyproject()["project"]["optional-dependencies"]["cuda13"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built from a copy of the project's files with no network."""
    folder = tmp_path_factory.mktemp("built")
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("gpupipe", "kernels"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    build = "from setuptools import build_meta as b; b.build_wheel('dist'); b.build_sdist('dist')"
    made = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stderr
    return folder / "dist"


def sources() -> set[str]:
    return {
        str(path.relative_to(ROOT)) for name in ("gpupipe", "kernels") for path in (ROOT / name).rglob("*.py")
    }


def test_the_wheel_holds_every_module_and_kernels_inside_gpupipe(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    installed = {re.sub(r"^kernels/", "gpupipe/kernels/", name) for name in sources()}
    assert installed <= names
    assert "gpupipe/py.typed" in names and not any(name.startswith(("kernels/", "tests/")) for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_every_module_where_the_repository_has_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() | {"LICENSE", "README.md", "pyproject.toml"} <= names


def test_the_installed_wheel_imports_and_its_script_has_a_target(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    ask = (
        "import gpupipe, gpupipe.kernels, gpupipe.kernels.reference, gpupipe.cli;"
        "print(gpupipe.kernels.__file__); assert callable(gpupipe.cli.main)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(tmp_path))
    assert pyproject()["project"]["scripts"] == {"gpupipe": "gpupipe.cli:main"}


def test_kernels_refuse_to_load_under_another_name() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import kernels"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode != 0 and "gpupipe.kernels" in ran.stderr


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert set(phony.split()) == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {"demo", "test", "test-all", "lint", "types", "docs", "clean", "bench"} <= set(phony.split())
    assert re.search(r"^\.DEFAULT_GOAL := help$", makefile, re.MULTILINE)
