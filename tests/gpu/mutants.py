"""Faults planted in the GPU's code by general operators, to see whether the tests find them.

    python tests/gpu/mutants.py                 # 60 of seed 0: a few minutes a core; survivors are listed
    python tests/gpu/mutants.py --count 5 --seed 3 --only exact

An operator knows no kernel: it moves a bound by one, weakens a comparison, drops a barrier, swaps operands, turns a
mask around, renames a keyword. Each mutant is a copy of the project with one such change; it is killed when one of the
test files that hold the changed file fails. The files are drawn evenly, and then one of a file's changes.
"""

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds that the tests of one mutant may take: an endless loop is found by then

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
_REACHED = ("launch", "rows", "view", "empty", "zeros")  # calls whose arguments reach the device


def of_python(path: str, text: str, broad: bool) -> Iterator[Mutant]:
    """Every change of a Python file: of what reaches a device or a library; broadly, all comparisons and sums."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield from _of_call(path, text, node, span)
        elif not broad:
            continue
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
            start, stop = span(node.left)[1], span(node.comparators[0])[0]
            yield Mutant(path, start, stop, f" {_COMPARED[type(node.ops[0])]} ", "comparison changed")
        elif isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and type(node.right.value) is int:
            yield Mutant(path, *span(node.right), str(node.right.value + 1), "whole number plus one")


def _of_call(path: str, text: str, node: ast.Call, span) -> Iterator[Mutant]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    for keyword in node.keywords:
        if keyword.arg is not None and name:
            start = span(keyword.value)[0] - len(keyword.arg) - 1
            if text[start : start + len(keyword.arg)] == keyword.arg:
                yield Mutant(path, start, start + len(keyword.arg), f"{keyword.arg}_", "keyword renamed")
    if name in _REACHED:
        for one, other in zip(node.args, node.args[1:], strict=False):
            left, right = span(one), span(other)
            swapped = text[slice(*right)] + text[left[1] : right[0]] + text[slice(*left)]
            yield Mutant(path, left[0], right[1], swapped, "arguments swapped")


# -- drawing and judging ------------------------------------------------------------------------------------------
def held_by(path: str) -> list[str]:
    """The test files that hold a file, nearest first."""
    stem = Path(path).stem
    return [f"tests/{name}.py" for name in HELD[stem]]


_SUMS = ("gpu/test_exact", "gpu/test_gather")
_KEYS = ("gpu/test_keys", "gpu/test_values", "gpu/test_lookup")
_FUSED = ("gpu/test_fused", "gpu/test_formulas", "gpu/test_backend")
_WHOLE = ("gpu/test_placed", "gpu/test_backend", "gpu/test_pipeline")
_TWINS = ("models/test_gpu_twins", "models/test_gpu_training", "models/test_gpu_forests")
_BORDER = ("gpu/test_frames", "gpu/test_decode")
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
    **dict.fromkeys(("bins", "ids"), _WHOLE),
    **dict.fromkeys(("decode", "libcudf"), ("gpu/test_decode", "gpu/test_frames", "gpu/test_manifest")),
    **dict.fromkeys(("cuda", "staging", "pool", "failures", "kept"), ("gpu/test_cuda", "gpu/test_manifest")),
    "compiler": ("gpu/test_cuda", "gpu/test_manifest"),
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


def survives(mutant: Mutant, python: str = sys.executable) -> bool:
    """Whether no test that holds the file fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for part in PARTS:
            source, target = ROOT / part, Path(folder) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
            else:
                shutil.copy(source, target)
        place = Path(folder) / mutant.path
        place.write_text(mutant.source(place.read_text(encoding="utf-8")), encoding="utf-8")
        installed = Path(folder) / "installed" / "gpupipe"
        installed.mkdir(parents=True)
        for entry in (Path(folder) / "gpupipe").iterdir():
            (installed / entry.name).symlink_to(entry)
        (installed / "kernels").symlink_to(Path(folder) / "kernels")
        words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *held_by(mutant.path)]
        # Safe path: else the folder itself comes first, where gpupipe has no kernels, and the installed ones are taken.
        path = f"{installed.parent}{os.pathsep}{folder}"
        settings = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
        environment = {**os.environ, **settings}
        try:
            done = subprocess.run([python, *words], cwd=folder, env=environment, capture_output=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


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
    if mutants and not survives(Mutant(mutants[0].path, 0, 0, "", "nothing")):
        print(f"the tests of {mutants[0].path} fail without a change: nothing can be told")
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
