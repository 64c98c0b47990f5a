"""Faults planted in the GPU's code by general operators, to see whether the tests find them.

    python tests/gpu/mutants.py                 # 60 of seed 0: a few minutes a core; survivors are listed
    python tests/gpu/mutants.py --count 5 --seed 3 --only exact

An operator knows no kernel: it moves a bound by one, weakens a comparison, drops a barrier, swaps operands, turns a
mask around, renames a keyword. In Python it changes what is handed over (to a kernel, to cuDF, cuML, CuPy, or to
ourselves): the order of arguments and of what a launch lists, whole numbers, names of keywords; and the CUDA C++ that
is written there as text. Each mutant is a copy of the project with one such change; it is killed when one of the test
files that hold the changed file fails. The files are drawn evenly, and then one of a file's changes.
"""

import argparse
import ast
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds of a core that the tests of one mutant may take; one that goes on for ever counts as surviving

#: What of the project is copied for a mutant.
PARTS = ("gpupipe", "kernels", "tests", "benchmarks", "pyproject.toml", "README.md", "docs")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: the file, below the project's root.
        start, stop: the characters that are replaced.
        text: by what.
        what: the operator's name.
    """

    path: str
    start: int
    stop: int
    text: str
    what: str

    def source(self, original: str) -> str:
        """The changed file."""
        return original[: self.start] + self.text + original[self.stop :]

    def described(self, original: str) -> str:
        """Where and what, in a line."""
        line = original.count("\n", 0, self.start) + 1
        return f"{self.path}:{line}: {self.what}: {original[self.start : self.stop]!r} -> {self.text!r}"


# -- CUDA C++ -----------------------------------------------------------------------------------------------------
_CUDA: tuple[tuple[str, str, str], ...] = (
    ("bound plus one", r"([<>]=? )(\w+)(?=[;)& |])", r"\1\2 + 1"),
    ("bound minus one", r"([<>]=? )(\w+)(?=[;)& |])", r"\1\2 - 1"),
    ("comparison weakened", r"(?<= )<(?= [\w(])", "<="),
    ("comparison weakened", r"(?<= )>(?= [\w(])", ">="),
    ("comparison strengthened", r"(?<= )<=(?= [\w(])", "<"),
    ("comparison strengthened", r"(?<= )>=(?= [\w(])", ">"),
    ("equality turned", r"(?<= )==(?= )", "!="),
    ("equality turned", r"(?<= )!=(?= )", "=="),
    ("barrier dropped", r"__syncthreads\(\);", ";"),
    ("index moved", r"\[([a-z]\w*)\]", r"[\1 + 1]"),
    ("index moved", r"(?<=\w)\[0\]", "[1]"),
    ("index moved", r"(?<=\w)\[1\]", "[0]"),
    ("sum turned into a difference", r"(?<=[\w)\]] )\+(?= [\w(])", "-"),
    ("difference turned into a sum", r"(?<=[\w)\]] )-(?= [\w(])", "+"),
    ("mask turned around", r">> \((\w+) & 31\)", r">> (31 - (\1 & 31))"),
    ("mask order", r"& 31\b", "& 30"),
    ("and turned into or", r"(?<= )&&(?= )", "||"),
    ("or turned into and", r"(?<= )\|\|(?= )", "&&"),
    ("shift by one more", r"(<<|>>) (\d+)\b", r"\1 (\2 + 1)"),
    ("arguments swapped", r"(?<=\()(\w+), (\w+)(?=[,)])", r"\2, \1"),
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*|^\s*template[^\n]*", re.S | re.M)


def of_cuda(path: str, text: str) -> Iterator[Mutant]:
    """Every change of a CUDA C++ file; comments and directives are left alone."""
    quiet = [match.span() for match in _COMMENT.finditer(text)]
    for what, pattern, by in _CUDA:
        for match in re.finditer(pattern, text):
            if not any(start <= match.start() < stop for start, stop in quiet):
                yield Mutant(path, *match.span(), match.expand(by), what)


# -- Python -------------------------------------------------------------------------------------------------------
_COMPARED = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
_PRINTED = ("printer.py", "fused.py")  # which hold CUDA C++ as text
Span = Callable[[ast.AST], tuple[int, int] | None]


def of_python(path: str, text: str, broad: bool) -> Iterator[Mutant]:
    """Every change of a Python file: of what is handed over, and of printed code; broadly, comparisons and sums too."""
    tree, span = ast.parse(text), _spans(text)
    unordered = _unordered(tree)
    if path.endswith(_PRINTED):
        yield from _of_printed(path, text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _of_call(path, text, node, span)
        elif isinstance(node, ast.Dict):
            yield from _renamed(path, node.keys, span)
        elif isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 2 and node not in unordered:
            yield from _swapped(path, text, node.elts, span, "elements swapped")
        elif not broad:
            continue
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
            left, right = span(node.left), span(node.comparators[0])
            if left and right:
                yield Mutant(path, left[1], right[0], f" {_COMPARED[type(node.ops[0])]} ", "comparison changed")
        elif isinstance(node, ast.BinOp):
            yield from _moved(path, [node.right], span)


def _unordered(tree: ast.Module) -> set[ast.AST]:
    """Lists whose order means nothing, or is not handed over: types, errors, constants, what is compared with."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            found.add(node.type)
        elif isinstance(node, ast.Subscript):
            found.add(node.slice)
        elif isinstance(node, ast.Compare):
            found.update(node.comparators)
        elif isinstance(node, ast.List | ast.Tuple):
            fixed = [e for e in node.elts if isinstance(e, ast.Constant | ast.Starred) or _is_class(e)]
            if isinstance(node.ctx, ast.Store) or len(fixed) == len(node.elts):
                found.add(node)
    return found


def _is_class(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id[0].isupper()


def _spans(text: str) -> Span:
    """Where a node stands, in characters; None of what stands inside a text, where Python 3.11 tells a wrong place."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode(errors="ignore"))

    def span(node: ast.AST) -> tuple[int, int] | None:
        assert isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None
        found = place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)
        try:
            there = ast.parse(f"({text[slice(*found)]})", mode="eval").body
        except SyntaxError:
            return None
        return found if ast.dump(there) == ast.dump(node) else None

    return span


def _of_call(path: str, text: str, node: ast.Call, span: Span) -> Iterator[Mutant]:
    for keyword in node.keywords:
        value = span(keyword.value)
        if keyword.arg is not None and value is not None and isinstance(node.func, ast.Attribute):
            start = value[0] - len(keyword.arg) - 1
            if text[start : start + len(keyword.arg)] == keyword.arg:
                yield Mutant(path, start, start + len(keyword.arg), f"{keyword.arg}_", "keyword renamed")
        if isinstance(keyword.value, ast.Tuple):  # of names: parameters, where another library's are written down
            yield from _renamed(path, keyword.value.elts, span)
    if isinstance(node.func, ast.Attribute):
        yield from _swapped(path, text, node.args, span, "arguments swapped")
        yield from _moved(path, [*node.args, *(keyword.value for keyword in node.keywords)], span)


def _swapped(path: str, text: str, nodes: list[ast.expr], span: Span, what: str) -> Iterator[Mutant]:
    """Neighbours in each other's place."""
    for one, other in pairwise(nodes):
        left, right = span(one), span(other)
        if left and right and ast.dump(one) != ast.dump(other):
            swapped = text[slice(*right)] + text[left[1] : right[0]] + text[slice(*left)]
            yield Mutant(path, left[0], right[1], swapped, what)


def _renamed(path: str, nodes: Sequence[ast.expr | None], span: Span) -> Iterator[Mutant]:
    """Names that stand as texts: of keywords that are put together first."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            place = span(node)
            if place:
                yield Mutant(path, *place, repr(f"{node.value}_"), "name renamed")


def _moved(path: str, nodes: list[ast.expr], span: Span) -> Iterator[Mutant]:
    """Whole numbers by one."""
    for node in nodes:
        place = span(node)
        if isinstance(node, ast.Constant) and type(node.value) is int and place:
            yield Mutant(path, *place, str(node.value + 1), "whole number plus one")


def _of_printed(path: str, text: str) -> Iterator[Mutant]:
    """The changes of CUDA C++ in texts of Python that are not documentation."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(StringIO(text).readline):
        documents = token.string.startswith('"""') and token.line.lstrip().startswith('"""')
        if token.type == tokenize.STRING and not documents:
            begin = starts[token.start[0] - 1] + token.start[1]
            for one in of_cuda(path, token.string):
                yield Mutant(path, begin + one.start, begin + one.stop, one.text, f"printed: {one.what}")


# -- drawing and judging ------------------------------------------------------------------------------------------
def held_by(*paths: str) -> list[str]:
    """The test files that hold files, nearest first."""
    return list(dict.fromkeys(f"tests/{name}.py" for path in paths for name in HELD[Path(path).stem]))


_SUMS = ("gpu/test_exact", "gpu/test_gather")
_KEYS = ("gpu/test_keys", "gpu/test_values", "gpu/test_lookup")
_FUSED = ("gpu/test_fused", "gpu/test_formulas", "gpu/test_backend")
_WHOLE = ("gpu/test_placed", "gpu/test_backend", "gpu/test_pipeline")
_TWINS = ("models/test_gpu_twins", "models/test_gpu_training", "models/test_gpu_forests")
_BORDER = ("gpu/test_frames", "gpu/test_decode", "gpu/test_csv")
#: By the stem of a file: the tests that hold it, nearest first.
HELD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("exact", "integers", "sums", "tallies", "rows", "words"), _SUMS),
    **dict.fromkeys(("batch", "found"), ("gpu/test_batch", "gpu/test_gather")),
    **dict.fromkeys(("sampled", "histogram", "collected", "order"), ("gpu/test_radix", "gpu/test_batch")),
    **dict.fromkeys(("bits", "taken"), ("gpu/test_bits", *_SUMS)),
    **dict.fromkeys(("radix", "orders"), ("gpu/test_radix", "gpu/test_gather")),
    **dict.fromkeys(("extremes", "gather"), ("gpu/test_gather",)),
    **dict.fromkeys(("keys", "counting", "lookup", "indexes", "numbers", "table", "values"), _KEYS),
    **dict.fromkeys(("hashing", "hashes", "avalanche"), ("gpu/test_hashing", "gpu/test_values")),
    **dict.fromkeys(("fused", "fused_columns", "fused_matrix", "fused_rows", "fused_steps", "formulas"), _FUSED),
    **dict.fromkeys(("interpreter", "printer", "records", "variants"), _FUSED),
    **dict.fromkeys(("backend", "program", "placed", "encoded", "wholly", "hosted", "columns"), _WHOLE),
    **dict.fromkeys(("bins", "ids", "copies"), _WHOLE),
    "decode": ("gpu/test_decode", "gpu/test_frames", "gpu/test_manifest"),
    "libcudf": ("gpu/test_decode", "gpu/test_frames", "gpu/test_texts", "gpu/test_manifest"),
    "texts": ("gpu/test_texts", "gpu/test_manifest"),
    **dict.fromkeys(("decode_csv", "csv_device"), ("gpu/test_csv", "gpu/test_manifest")),
    **dict.fromkeys(("cuda", "staging", "pool", "failures", "kept"), ("gpu/test_cuda", "gpu/test_manifest")),
    **dict.fromkeys(("compiler", "trial", "device"), ("gpu/test_cuda", "gpu/test_manifest", "gpu/test_detection")),
    **dict.fromkeys(("arrays", "forests", "linear", "others", "read", "training", "twin"), _TWINS),
    "finite": ("gpu/test_finite",),
    **dict.fromkeys(("on_device", "device_table", "from_device", "cudf_frames"), _BORDER),
    "places": ("models/test_gpu_twins", "gpu/test_pipeline"),
    "devices": ("gpu/test_detection", "models/test_gpu_twins"),
    "halving": ("gpu/test_halving", "runtime/test_halving"),
}


def mutants_of(path: str, broad: bool) -> list[Mutant]:
    """Every change of a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return list(of_python(path, text, broad) if path.endswith(".py") else of_cuda(path, text))


def drawn(count: int, seed: int, only: str = "", broad: bool = False) -> list[Mutant]:
    """`count` mutants: first a file, then one of its changes, so that a long file is not drawn more often."""
    rng = random.Random(seed)
    files = sorted(
        str(path.relative_to(ROOT))
        for pattern in ("kernels/gpu/*.cu", "kernels/gpu/*.cuh", "kernels/gpu/*.py", "gpupipe/backends/gpu/*.py",
                        "gpupipe/models/gpu/*.py", "gpupipe/sources/*device*.py", "gpupipe/sources/cudf_frames.py",
                        "gpupipe/backends/devices.py", "gpupipe/runtime/halving.py")
        for path in ROOT.glob(pattern)
        if path.stem in HELD and only in str(path)
    )  # fmt: skip
    every = {path: mutants_of(path, broad) for path in files}
    found: list[Mutant] = []
    while len(found) < count and any(every.values()):
        path = rng.choice([name for name, left in every.items() if left])
        found.append(every[path].pop(rng.randrange(len(every[path]))))
    return found


def survives(mutant: Mutant, tests: list[str] | None = None) -> bool:
    """Whether no test that holds the file fails; or none of those given."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        _copied(Path(folder))
        place = Path(folder) / mutant.path
        place.write_text(mutant.source(place.read_text(encoding="utf-8")), encoding="utf-8")
        words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
        # Safe path: else the folder itself comes first, where gpupipe has no kernels, and the installed ones are taken.
        settings = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
        settings["PYTHONPATH"] = f"{Path(folder) / 'installed'}{os.pathsep}{folder}"
        done = subprocess.run(
            [sys.executable, *words, *(tests or held_by(mutant.path))], cwd=folder, env={**os.environ, **settings},
            capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 5)),
        )  # fmt: skip
        alive = done.returncode in (0, -signal.SIGXCPU)
        if tests is not None and not alive:
            print(done.stdout.decode(errors="replace")[-4000:])
        return alive


def _copied(folder: Path) -> None:
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        else:
            shutil.copy(source, target)
    installed = folder / "installed" / "gpupipe"
    installed.mkdir(parents=True)
    for entry in (folder / "gpupipe").iterdir():
        (installed / entry.name).symlink_to(entry)
    (installed / "kernels").symlink_to(folder / "kernels")


def main(words: list[str] | None = None) -> int:
    """Draw, judge, and tell: 0 where at least nine of ten are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--broad", action="store_true", help="in Python, comparisons and whole numbers too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(words)
    mutants = drawn(chosen.count, chosen.seed, chosen.only, chosen.broad)
    if mutants and not survives(Mutant(mutants[0].path, 0, 0, "", "nothing"), held_by(*(m.path for m in mutants))):
        print("the tests fail without a change: nothing can be told")
        return 2
    left = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for number, (mutant, alive) in enumerate(zip(mutants, pool.map(survives, mutants), strict=True), 1):
            text = mutant.described((ROOT / mutant.path).read_text(encoding="utf-8"))
            print(f"{number:3} {'SURVIVES' if alive else 'killed  '} {text}", flush=True)
            left += [text] if alive else []
    share = 1 - len(left) / max(len(mutants), 1)
    print(f"{len(mutants) - len(left)} of {len(mutants)} killed ({share:.0%})", *left, sep="\n  ")
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
