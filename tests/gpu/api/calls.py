"""Which names of GPU packages our source uses, and how it calls them: read off the source, nothing is imported."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

#: The packages of the manifest. XGBoost is the same on the CPU, whose tests call it; its GPU calls are here too.
PACKAGES = ("cudf", "pylibcudf", "rmm", "cupy", "cuml", "nvforest", "dask_cudf", "dask_cuda", "xgboost", "treelite")

_LOADS = re.compile(rf"load\(\s*[\"'](?:{'|'.join(PACKAGES)})\b")
_LOADERS = ("load", "optional.load")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True, eq=False)
class Use:
    """One place where our source names something of a package.

    Attributes:
        name: dotted, as ``cupy.cuda.runtime.getDeviceCount``.
        place: file and line.
        call: how it is called there; None where it is only named.
    """

    name: str
    place: str
    call: ast.Call | None


def sources(root: Path = ROOT) -> list[Path]:
    """The files whose calls the manifest holds."""
    folders = (root / "gpupipe", root / "kernels", root / "benchmarks" / "gpu")
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def package(name: str) -> str:
    """What a dotted name begins with."""
    return name.partition(".")[0]


@cache
def uses(path: Path) -> list[Use]:
    """What one file names of the packages, in order of lines."""
    text = path.read_text(encoding="utf-8")
    return list(uses_in(text, str(path.relative_to(ROOT)))) if _LOADS.search(text) else []


def uses_in(text: str, where: str = "text") -> Iterator[Use]:
    """What a piece of source names of the packages: the longest dotted name at each place.

    >>> [use.name for use in uses_in("cp = optional.load('cupy')\\ncp.cuda.Stream(non_blocking=True)")]
    ['cupy', 'cupy.cuda.Stream']
    """
    tree = ast.parse(text)
    known = _Known(tree)
    taken: set[int] = set()
    for node, scope in _scoped(tree, ()):
        call = node if isinstance(node, ast.Call) else None
        named = call.func if call is not None and not _is_load(call) else node
        if id(named) in taken or not isinstance(named, ast.Call | ast.Attribute):
            continue
        name = known.resolved(named, scope)
        if name is not None:
            taken.update(id(inner) for inner in ast.walk(named) if isinstance(inner, ast.Attribute))
            yield Use(name, f"{where}:{named.lineno}", call if named is not node else None)


def methods_called(path: Path) -> Iterator[tuple[str, str, ast.Call]]:
    """(name, place, call) of each ``something.name(…)`` in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, f"{path.relative_to(ROOT)}:{node.lineno}", node


def _scoped(node: ast.AST, scope: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node below, calls before what they are made of, with the functions it stands in."""
    for child in ast.iter_child_nodes(node):
        yield child, scope
        yield from _scoped(child, (*scope, child) if isinstance(child, _FUNCTIONS) else scope)


def _is_load(node: ast.AST) -> bool:
    literal = isinstance(node, ast.Call) and bool(node.args) and isinstance(node.args[0], ast.Constant)
    return literal and ast.unparse(node.func) in _LOADERS  # type: ignore[attr-defined]


class _Known:
    """Which names of a file stand for something of a package, by the function that they are bound in."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[tuple[ast.AST | None, str], str] = {}
        self._given: dict[str, str] = {}  # what a function or property of that name gives back
        self._attributes: dict[str, str] = {}  # self.NAME
        for _ in range(3):  # a name may be bound by a function that stands below it
            for node, scope in _scoped(tree, ()):
                self._learn(node, scope)

    def _learn(self, node: ast.AST, scope: tuple[ast.AST, ...]) -> None:
        if isinstance(node, ast.FunctionDef):
            returns = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value]
            found = {self.resolved(value, (*scope, node)) for value in returns} - {None}
            if len(found) == 1:
                self._given[node.name] = found.pop() or ""
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value, scope)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            self._bind(node.target, node.value, scope)

    def _bind(self, target: ast.expr, value: ast.expr, scope: tuple[ast.AST, ...]) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, its in zip(target.elts, value.elts, strict=False):
                self._bind(each, its, scope)
            return
        name = self.resolved(value, scope)
        if name is None:
            return
        if isinstance(target, ast.Name):
            self._bound[scope[-1] if scope else None, target.id] = name
        elif isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
            self._attributes[target.attr] = name

    def resolved(self, node: ast.AST, scope: tuple[ast.AST, ...]) -> str | None:
        """The dotted name that an expression stands for; None for anything else."""
        if isinstance(node, ast.Name):
            places = [*reversed(scope), None]
            return next((self._bound[place, node.id] for place in places if (place, node.id) in self._bound), None)
        if isinstance(node, ast.Attribute):
            if ast.unparse(node.value) == "self" and (found := self._of_self(node.attr)) is not None:
                return found
            base = self.resolved(node.value, scope)
            return None if base is None else f"{base}.{node.attr}"
        return self._called(node) if isinstance(node, ast.Call) else None

    def _of_self(self, name: str) -> str | None:
        return self._attributes.get(name, self._given.get(name))

    def _called(self, node: ast.Call) -> str | None:
        if _is_load(node):
            name = str(node.args[0].value)  # type: ignore[attr-defined]
            return name if package(name) in PACKAGES else None
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        return self._given.get(function)
