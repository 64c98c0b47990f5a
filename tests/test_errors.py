"""The tree of errors: as it is drawn, and the only thing that gpupipe raises."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpupipe import errors
from gpupipe.errors import GpupipeError

ROOT = Path(__file__).resolve().parents[1]
TREE = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, GpupipeError)
}
LINE = re.compile(r"^    (?P<stems>(?:[│ ] {3})*)(?:[├└]── )(?P<name>\w+)\s*(?:\((?P<kinds>[\w, ]+)\))?")
# Raised as what stands under them.
GROUPS = {"GpupipeError", "PlanError", "DataError", "ModelError", "ArtifactError", "RunError"}

# What else is raised, and why: by module, the class and the reason.
OTHERS = {
    ("gpupipe.backends.rows", "TypeError"): "of a value, caught where its column is known",
    ("gpupipe.backends.rows", "ValueError"): "of a value, caught where its column is known",
    ("gpupipe.sources.memory", "TypeError"): "of a value, caught where its column is known",
    ("gpupipe.sources.memory", "ValueError"): "of a value, caught where its column is known",
    ("gpupipe.sources.write", "IsADirectoryError"): "as the system's, within storage.failing",
    ("gpupipe.sources.write", "FileExistsError"): "as the system's, within storage.failing",
    ("gpupipe.storage.calls", "OSError"): "as the system's, within storage.failing",
    ("gpupipe.storage.temporary", "NotADirectoryError"): "as the system's, within storage.failing",
    ("gpupipe.runtime.cache", "OSError"): "as the system's, caught where the source is then read again",
    ("gpupipe.runtime.spill", "OSError"): "as the system's, caught where the source is then read again",
    ("gpupipe.commands.options", "ArgumentTypeError"): "argparse's own, which ends in a usage",
    ("gpupipe.kernels", "ImportError"): "imported under another name than its own",
    ("gpupipe.expr.methods", "AttributeError"): "Python asks for __names__ all the time, and wants no hint",
    ("gpupipe.expr.node", "KeyError"): "a mapping's own, of our operations alone",
    ("gpupipe.optional", "KeyError"): "a row that is missing from our table",
    ("gpupipe.kernels.gpu.kept", "OSError"): "as the system's, remembered: nothing is kept then",
    ("gpupipe.kernels.gpu.kept", "PermissionError"): "as the system's, remembered: nothing is kept then",
    ("gpupipe.models.gpu.read", "AttributeError"): "as a library's, where what it holds is another; told by the seam",
    ("gpupipe.models.gpu.training", "RuntimeError"): "as CUDA's, for the device to tell",
    ("gpupipe.sources.csv_device", "NotOnDevice"): "caught where the host then does it, and says so",
    ("gpupipe.sources.cudf_frames", "NotOnDevice"): "caught where the host then does it, and says so",
    ("gpupipe.sources.on_device", "NotOnDevice"): "caught where the host then does it, and says so",
    ("gpupipe.backends.finish", "AssertionError"): "cannot be, and type checkers want to know",
    ("gpupipe.clusters.interrupts", "KeyboardInterrupt"): "Ctrl-C itself, which came and was dropped",
}
# Builtins that a caller in the same package turns into an error of the tree: what a file holds, word by word.
READERS = (
    "gpupipe.artifact", "gpupipe.models.families.skops_file", "gpupipe.compiler.document", "gpupipe.expr.serial",
    "gpupipe.expr.signatures", "gpupipe.runtime.journal.packing", "gpupipe.runtime.journal.values",
)  # fmt: skip


def drawn() -> dict[str, tuple[str, list[str]]]:
    """Each class of the drawing: the one above it, and the builtins in brackets."""
    found: dict[str, tuple[str, list[str]]] = {}
    above = ["GpupipeError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match["stems"]) // 4
            above[depth + 1 :] = [match["name"]]
            kinds = [kind.strip() for kind in (match["kinds"] or "").split(",") if kind.strip()]
            found[match["name"]] = (above[depth], kinds)
    return found


def test_every_class_stands_in_the_drawing_and_the_other_way_round():
    assert set(drawn()) | {"GpupipeError"} == set(TREE)


@pytest.mark.parametrize("name", sorted(set(TREE) - {"GpupipeError"}))
def test_the_drawing_says_what_a_class_is(name):
    parent, kinds = drawn()[name]
    ours = [base.__name__ for base in TREE[name].__bases__ if issubclass(base, GpupipeError)]
    theirs = [base.__name__ for base in TREE[name].__bases__ if not issubclass(base, GpupipeError)]
    assert (ours, theirs) == ([parent], kinds)
    assert inspect.getdoc(TREE[name])


@pytest.mark.parametrize("name", sorted(set(TREE) - GROUPS))
def test_a_class_that_is_raised_is_a_builtin_too_and_says_its_message_plainly(name):
    bases = [base for base in TREE[name].__mro__ if base.__module__ == "builtins"]
    assert bases[0] not in (Exception, BaseException, object)
    assert str(TREE[name]("What was asked, what there is.")) == "What was asked, what there is."


# -- every raise of the sources -----------------------------------------------------------------------------------
def sources() -> Iterator[tuple[str, ast.Module]]:
    for top in ("gpupipe", "kernels"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__"]
            name = ".".join(parts if top == "gpupipe" else ["gpupipe", *parts])
            yield name, ast.parse(path.read_text(encoding="utf-8"))


SOURCES = dict(sources())


def makers() -> set[str]:
    """Functions and methods that are annotated to give an error of the tree, or any exception that is one."""
    names = {*TREE, "Self", "Exception", "NoReturn"}
    return {
        node.name
        for tree in SOURCES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None
        and names & set(re.findall(r"\w+", ast.unparse(node.returns)))
    }  # fmt: skip


def raised(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and name of each thing that is raised anew: a class, or a function that makes one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made: ast.expr = node.exc
            while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and _chained(made.func):
                made = made.func.value  # Error(…).at(…)
            if isinstance(made, ast.Name) and _caught(tree, made.id):
                continue  # what was caught, raised again
            name = made.func if isinstance(made, ast.Call) else made
            yield node.lineno, ast.unparse(name).rpartition(".")[2]


def _chained(function: ast.Attribute) -> bool:
    return function.attr in ("at", "of", "within", "in_row_group") or (
        isinstance(function.value, ast.Call) and function.attr == "with_traceback"
    )


def _caught(tree: ast.Module, name: str) -> bool:
    handlers = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    return name in handlers or not name[0].isupper()


def test_whatever_is_raised_is_of_the_tree():
    known = {*TREE, *makers(), "type(error)"}
    wrong = []
    for module, tree in SOURCES.items():
        for line, name in raised(tree):
            reader = module.startswith(READERS) and name in ("ValueError", "TypeError")
            refusal = module.startswith("gpupipe.backends.gpu.") and name == "NotOnDevice"  # the host then does it
            if name not in known and (module, name) not in OTHERS and not reader and not refusal:
                wrong.append(f"{module}:{line} raises {name}")
    assert not wrong, "\n".join(wrong)


def test_the_groups_of_the_tree_are_raised_as_what_stands_under_them():
    found = [f"{module}:{line} raises {name}" for module, tree in SOURCES.items()
             for line, name in raised(tree) if name in GROUPS]  # fmt: skip
    assert not found, "\n".join(found)


def test_every_exception_to_the_rule_is_needed():
    there = {(module, name) for module, tree in SOURCES.items() for _, name in raised(tree)}
    assert set(OTHERS) <= there, f"no longer raised: {set(OTHERS) - there}"
