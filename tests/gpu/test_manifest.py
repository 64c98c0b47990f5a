"""Every call that we make of a GPU package exists in the release named, and takes what we give it."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator

import pytest

from gpu.api import fakes
from gpu.api.calls import PACKAGES, ROOT, Use, methods_called, package, sources, uses, uses_in
from gpu.api.fakes import Checked, Fakes, NotInManifestError, Stand, check_call, manifest, signature

RELEASE = "26.10"


def faults(found: Use) -> str | None:
    """What is wrong with one use; None if nothing is."""
    if found.name not in manifest():
        return f"{found.place}: {found.name} is not in the manifest"
    known = signature(found.name) if found.call is not None else None
    if known is None or found.call is None:
        return None
    problem = unbound(known, found.call)
    return problem and f"{found.place}: {found.name}{known}: {problem}"


def unbound(known: inspect.Signature, call: ast.Call) -> str | None:
    """Why a call as it is written does not fit a signature; None if it does."""
    whole = all(not isinstance(each, ast.Starred) for each in call.args) and all(each.arg for each in call.keywords)
    args = [each for each in call.args if not isinstance(each, ast.Starred)]
    kwargs = {each.arg: each.value for each in call.keywords if each.arg}
    try:
        (known.bind if whole else known.bind_partial)(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return None


def test_every_name_and_call_of_ours_is_in_the_manifest() -> None:
    found = [use for path in sources() for use in uses(path)]
    assert len(found) > 100  # benchmarks/gpu alone has more: the scan sees them
    assert [problem for problem in map(faults, found) if problem] == []


def test_every_package_that_is_loaded_is_covered() -> None:
    loaded = {use.name for path in sources() for use in uses(path)}
    assert {package(name) for name in loaded} <= set(PACKAGES)
    literal = {
        found.group(1)
        for path in sources() for found in re.finditer(r"load\(\s*[\"']([\w.]+)", path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert {name for name in literal if package(name) in PACKAGES} <= set(manifest())
    assert {"cupy", "cudf", "pylibcudf", "rmm", "cuml"} <= {package(name) for name in literal}


def classes_with(name: str) -> Iterator[str]:
    return (known for known in manifest() if known.rpartition(".")[2] == name and is_class(known.rpartition(".")[0]))


def is_class(name: str) -> bool:
    return name in manifest() and manifest()[name]["is"] == "class"


def test_methods_called_on_what_cudf_gives_back_fit_one_of_its_classes() -> None:
    """By name alone, for names that no function of ours has: a call must fit one class that has such a method."""
    ours = {name for path in sources() for name in re.findall(r"\bdef (\w+)", path.read_text(encoding="utf-8"))}
    wrong = []
    for path in sources():
        if not {"cudf", "pylibcudf"} & {package(use.name) for use in uses(path)}:
            continue
        named = {(use.call.lineno, use.call.col_offset) for use in uses(path) if use.call}  # held to more, above
        for name, place, call in methods_called(path):
            if (call.lineno, call.col_offset) in named:
                continue
            known = [signature(each) for each in classes_with(name) if package(each) in ("cudf", "pylibcudf")]
            problems = [None if each is None else unbound(each, call) for each in known]
            if known and name not in ours and all(problems):
                wrong.append(f"{place}: .{name}: {problems[0]}")
    assert wrong == []


# -- what is planted is found -------------------------------------------------------------------------------------
PLANTED = {
    "a keyword that is misspelt": "rmm = optional.load('rmm')\nrmm.reinitialize(pool_alocator=True)",
    "a function that is gone": "def f():\n    cudf = load('cudf')\n    return cudf.from_nothing(1)",
    "one argument too many": "import x\nstream = optional.load('cupy').cuda.Stream(1, 2, 3, 4, 5)",
    "a keyword of a class read off its docs": "cp = load('cupy')\ncp.RawModule(code='', flags=())",
    "through an attribute of an object": """
        class A:
            def __init__(self):
                self._cupy = load("cupy")

            def f(self):
                return self._cupy.asarray(1, copied=True)
        """,
    "through a function that loads": "def _cupy():\n    return load('cupy')\ndef g():\n    return _cupy().asarry(1)",
    "through a tuple": "a, b = load('cupy'), load('pylibcudf')\nb.transform.encode(1, dictionary=2)",
    "through a name that stands for a module": "p = load('pylibcudf').io.parquet\np.read_parquet(1, columns=[])",
}


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED.keys())
def test_planted_faults_are_found(text: str) -> None:
    found = [problem for problem in map(faults, uses_in(textwrap.dedent(text))) if problem]
    assert len(found) == 1, found


RIGHT = {
    "keywords": "rmm = load('rmm')\nrmm.reinitialize(pool_allocator=True, initial_pool_size=1 << 30)",
    "others' names": "numpy = load('numpy')\nnumpy.nothing_like_it(1)",
    "keywords that are passed on": "def f(**more):\n    return load('cupy').asarray(1, **more)",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_what_is_right_is_left_alone(text: str) -> None:
    assert [problem for problem in map(faults, uses_in(text)) if problem] == []


# -- the manifest itself --------------------------------------------------------------------------------------------
def test_the_release_is_the_one_that_the_extra_installs() -> None:
    read_from = json.loads(fakes.MANIFEST.read_text(encoding="utf-8"))["read from"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("cudf", "cuml", "pylibcudf", "rmm", "nvforest", "dask_cuda"):
        assert read_from[name].startswith(f"{RELEASE}.")
    assert f"cudf-cu13=={RELEASE}.*" in project and f"cuml-cu13=={RELEASE}.*" in project


def test_a_row_gives_back_the_signature_it_was_read_from() -> None:
    assert str(signature("cupy.asarray")) == "(a, dtype=None, order=None, *, copy=None, blocking=False)"
    assert str(signature("pylibcudf.transform.encode")) == "(input, stream=None, mr=None)"
    assert signature("pylibcudf.DataType") is None  # Cython, without a word of how it is called
    assert manifest()["cupy.cuda.memory.OutOfMemoryError"]["bases"][0] == "MemoryError"


def test_most_calls_are_known_by_their_parameters() -> None:
    called = [row for row in manifest().values() if row["is"] in ("function", "class")]
    known = [row for row in called if "parameters" in row]
    assert len(known) >= 0.95 * len(called)


# -- the fakes --------------------------------------------------------------------------------------------------------
def test_a_fake_refuses_what_the_manifest_has_not() -> None:
    cupy = Fakes().get("cupy")
    with pytest.raises(NotInManifestError, match=r"cupy\.asarry is not in the manifest"):
        cupy.asarry  # noqa: B018
    with pytest.raises(TypeError, match=r"cupy\.asarray\(.*unexpected keyword argument 'copied'"):
        cupy.asarray(1, copied=True)
    with pytest.raises(NotInManifestError):
        Fakes({"cupy.asarry": 1})


def test_a_fake_remembers_calls_and_does_what_it_is_told() -> None:
    packages = Fakes({"cupy.asarray": lambda a, **_: [a], "cupy.cuda.is_available": lambda: True})
    cupy = packages.get("cupy")
    assert cupy.asarray(7, copy=False) == [7] and cupy.cuda.is_available() is True
    stream = cupy.cuda.Stream(non_blocking=True)
    assert isinstance(stream, Stand) and isinstance(stream, cupy.cuda.Stream)
    stream.synchronize()
    with pytest.raises(TypeError):
        stream.synchronize(1, 2)
    assert [call.name for call in packages.calls] == [
        "cupy.asarray", "cupy.cuda.is_available", "cupy.cuda.Stream", "cupy.cuda.Stream.synchronize",
    ]  # fmt: skip
    assert packages.called("cupy.asarray")[0].kwargs == {"copy": False}


def test_fake_exceptions_can_be_caught() -> None:
    cupy = Fakes().get("cupy")
    with pytest.raises(MemoryError):
        raise cupy.cuda.memory.OutOfMemoryError(10, 20)


def test_checked_objects_hold_a_stand_in_to_the_real_class() -> None:
    class Columns:
        def columns(self) -> list[int]:
            return [1]

        def rows(self) -> int:
            return 1

    packages = Fakes()
    table = Checked(packages, "pylibcudf.Table", Columns())
    assert table.columns() == [1] and packages.called("pylibcudf.Table.columns")
    with pytest.raises(NotInManifestError):
        table.rows()


def test_a_stand_in_has_methods_where_the_real_class_has() -> None:
    class Column:
        @property
        def size(self) -> int:
            return 1

    class Result:
        def tbl(self) -> int:
            return 1

    for name, stand_in in (("pylibcudf.Column", Column), ("pylibcudf.io.TableWithMetadata", Result)):
        with pytest.raises(NotInManifestError, match="in the manifest, and not so here"):
            fakes.held_to(name)(stand_in)


def test_installed_fakes_are_what_optional_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = Fakes({"cuml.linear_model.Ridge": lambda **given: given})
    packages.install(monkeypatch, "cuml")
    import cuml.linear_model  # noqa: PLC0415 (the fake must stand first)

    assert cuml.linear_model.Ridge(alpha=2.0) == {"alpha": 2.0}
    assert cuml.__version__.startswith(RELEASE)
    with pytest.raises(TypeError):
        cuml.linear_model.Ridge(positive=True)


def test_a_call_that_fits_no_signature_is_said_whole() -> None:
    with pytest.raises(TypeError, match=r"cuml\.linear_model\.Ridge\(alpha=1\.0, .*normalize"):
        check_call("cuml.linear_model.Ridge", (), {"normalize": True})
