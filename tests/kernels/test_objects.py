"""The machine code of kernels: kept by one process, used by the next without Numba, and never when it is damaged."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpupipe.kernels.cpu import objects, types_of
from gpupipe.kernels.cpu.jit import Kernel, kernel, part


@part
def _twice(x):
    return x + x


@kernel
def _scaled(values, by, flag, pair, out):
    for i in range(len(values)):
        out[i] = _twice(values[i]) * by + pair[0][i] if flag else pair[1][i]
    return len(values)


@kernel
def _nothing(values):
    values[0] = 1


@kernel
def _makes_an_array(n):
    return np.arange(n)


VALUES = np.arange(6.0)
PAIR = (np.full(6, 100, np.int64), np.arange(12).reshape(6, 2)[:, 1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(objects, "_folder", lambda: tmp_path)
    return tmp_path


def fresh(declared: Kernel) -> Kernel:
    """As another process has it."""
    return Kernel(declared._function)


def scaled(run: Kernel, flag: bool = True) -> list[float]:
    out = np.zeros(6)
    assert run(VALUES[::1], 2.5, flag, PAIR, out) == 6
    return out.tolist()


def test_arguments_of_all_kinds_and_results(folder: Path) -> None:
    expected = (VALUES * 2 * 2.5 + 100).tolist()
    for _ in range(2):
        run = fresh(_scaled)
        assert scaled(run) == expected
        assert scaled(run, flag=False) == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]
    assert len(list(folder.glob("test_objects._scaled-*.kernel"))) == 1
    strided = np.zeros((6, 3))
    assert fresh(_scaled)(np.repeat(VALUES, 2)[::2], 2.5, True, PAIR, strided[:, 1]) == 6
    assert strided[:, 1].tolist() == expected
    assert not strided[:, ::2].any()
    assert fresh(_nothing)(strided[0]) is None
    assert strided[0, 0] == 1


def test_what_gives_an_array_runs_too(folder: Path) -> None:
    for _ in range(2):
        assert fresh(_makes_an_array)(4).tolist() == [0, 1, 2, 3]
    (file,) = folder.glob("*.kernel")
    assert file.read_bytes().endswith(b"\n")  # no code of its own


def test_files_are_their_owners(folder: Path) -> None:
    scaled(fresh(_scaled))
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_have_written_is_not_run(folder: Path, mode: int) -> None:
    """A shared NUMBA_CACHE_DIR: machine code that somebody else left there would run as the user."""
    expected = scaled(fresh(_scaled))
    (file,) = folder.iterdir()
    kinds = tuple(types_of.kind_of(each) for each in (VALUES, 2.5, True, PAIR, np.zeros(6)))
    file.chmod(mode)
    assert objects.kept(_scaled._function, kinds) is None
    assert scaled(fresh(_scaled)) == expected
    assert objects.kept(_scaled._function, kinds) is not None  # written anew, the owner's alone


def test_a_file_of_somebody_else_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled(fresh(_scaled))
    kinds = tuple(types_of.kind_of(each) for each in (VALUES, 2.5, True, PAIR, np.zeros(6)))
    assert objects.kept(_scaled._function, kinds) is not None
    (file,) = folder.iterdir()
    monkeypatch.setattr(objects.os, "geteuid", lambda: file.stat().st_uid + 1)
    if file.stat().st_uid != 0:
        assert objects.kept(_scaled._function, kinds) is None
    else:  # the system's owner is trusted: it installs the package
        assert objects.kept(_scaled._function, kinds) is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "no head"])
def test_a_damaged_file_is_not_run(folder: Path, damage: str) -> None:
    expected = scaled(fresh(_scaled))
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    head, _, code = whole.partition(b"\n")
    flipped = bytes([code[len(code) // 2] ^ 1])
    file.write_bytes({
        "cut": whole[:-100],
        "flipped": head + b"\n" + code[: len(code) // 2] + flipped + code[len(code) // 2 + 1 :],
        "empty": b"",
        "no head": code,
    }[damage])  # fmt: skip
    run = fresh(_scaled)
    kinds = tuple(types_of.kind_of(each) for each in (VALUES, 2.5, True, PAIR, np.zeros(6)))
    assert objects.kept(run._function, kinds) is None
    assert scaled(run) == expected
    assert file.read_bytes() == whole or json.loads(file.read_bytes().partition(b"\n")[0])["sha256"]


def test_a_source_that_may_have_changed_since_it_was_imported_keeps_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade beneath a running process: the code of the old would be kept under the digest of the new."""
    objects._are_as_imported.cache_clear()
    monkeypatch.setattr(objects, "_STARTED", 1.0)
    try:
        assert scaled(fresh(_scaled)) == (VALUES * 2 * 2.5 + 100).tolist()
        assert not list(folder.iterdir())
    finally:
        objects._are_as_imported.cache_clear()


def test_a_full_disk_keeps_nothing_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objects.os, "replace", full)
    assert scaled(fresh(_scaled)) == (VALUES * 2 * 2.5 + 100).tolist()
    assert not list(folder.iterdir())


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(objects.os.path, "expanduser", lambda path: path)
    assert [place.name for place in objects._places()] == ["__pycache__"]


def test_code_that_takes_other_words_is_not_called_by_its_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another Numba may pass arrays in another way: that is seen when the code is made, and Numba calls it."""
    words = types_of.llvm_words
    monkeypatch.setattr(types_of, "llvm_words", lambda kind: [*words(kind), "i64"] if len(kind) == 3 else words(kind))
    assert scaled(fresh(_scaled)) == (VALUES * 2 * 2.5 + 100).tolist()
    (file,) = folder.glob("*.kernel")
    assert file.read_bytes().endswith(b"\n")  # no code of its own


@kernel
def _listed(a, b, c, d, e, f, g, h, out):
    out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7] = a, b, c, d, e, f, g, h


def test_numbers_of_every_width(folder: Path) -> None:
    out = np.zeros(8)
    numbers = (True, np.int8(-3), np.uint8(200), np.int32(-7), np.uint32(4_000_000_000), np.float32(1.5), 2.25, -9)
    for _ in range(2):
        fresh(_listed)(*numbers, out)
        assert out.tolist() == [float(number) for number in numbers]


def test_sources_are_those_that_may_be_compiled_in() -> None:
    here = Path(objects.__file__).parent
    found = {file.relative_to(here.parent).as_posix() for file in objects._sources(here / "radix.py")}
    assert found >= {"cpu/radix.py", "cpu/memory.py", "reference/radix.py", "cpu/jit.py"}
    assert "cpu/steps.py" not in found
    steps = {file.relative_to(here.parent).as_posix() for file in objects._sources(here / "interpreter.py")}
    assert steps >= {"cpu/steps.py", "cpu/nulls.py", "reference/math.py", "coefficients.py", "opcodes.py", "table.py"}


def test_the_next_process_needs_no_numba(tmp_path: Path) -> None:
    lines = [
        "import sys, numpy as np",
        "from gpupipe.kernels.cpu import radix",
        "assert radix.histogram(np.ones(9))[0, 49152] == 9",
        "print('numba' in sys.modules)",
    ]
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    told = [
        subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True)
        for _ in range(2)
    ]
    assert [each.stdout.strip() for each in told] == ["True", "False"], told


def test_no_kernel_of_ours_makes_an_array():
    """One that did would be compiled by every process anew."""
    kinds = ("kernel", "part", "inlined", "summing")
    making = {"empty", "zeros", "ones", "full", "copy", "arange", "empty_like", "zeros_like", "astype"}
    found, seen = [], 0
    for path in sorted(Path(objects.__file__).parent.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            marks = getattr(function, "decorator_list", [])
            if any(isinstance(mark, ast.Name) and mark.id in kinds for mark in marks):
                seen += 1
                calls = [call.func for call in ast.walk(function) if isinstance(call, ast.Call)]
                found += [f"{path.name}: {ast.unparse(c)}" for c in calls if getattr(c, "attr", "") in making]
    assert seen > 50 and not found


def test_what_needs_numba_leaves_nothing_of_numbas_own(tmp_path, monkeypatch):
    """Its cache is a pickle, which whoever may write to the folder could forge."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    objects._folder.cache_clear()
    try:
        assert Kernel(_makes_an_array._function)(3).tolist() == [0, 1, 2]
    finally:
        objects._folder.cache_clear()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
