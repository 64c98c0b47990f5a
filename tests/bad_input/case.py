"""The rows of the bad-input table: what a user did, and what is said, word by word.

A file of tests declares its cases with :func:`bad_input` and ends with one test that runs them; `docs/generate.py`
makes the page `docs/bad-input.md` of them. `python -m bad_input.case` in `tests/` prints what each case says now.
"""

import functools
import importlib
import itertools
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gpupipe.errors import GpupipeError
from gpupipe.sources.source import Source

FOLDER = "FOLDER"  # stands in messages for the folder of the test
BACKENDS = ("cpu", "reference")

# Where a user is told, in the order of a job. Of the first two nothing may have been read.
WRITING, PLANNING = "writing", "planning"
TOLD = (WRITING, PLANNING, "reading", "fitting", "evaluating", "scoring", "saving", "loading", "command line")

Run = Callable[[str, Path], Any]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        row: the row's name, as the list of `test_list.py` has it; several cases may share one.
        did: what was wrong, in a line of Markdown.
        told: where the user is told, one of :data:`TOLD`.
        error: the class that is raised, exactly; None where all is well.
        message: the whole message, the folder written as FOLDER; where all is well, what the answer is, in words.
        run: does it, given a device and an empty folder.
        answer: what `run` gives where all is well.
        backends: whether a backend has a part in it, so that it is run on both.
    """

    row: str
    did: str
    told: str
    error: type[GpupipeError] | None
    message: str
    run: Run
    answer: Any = None
    backends: bool = True

    @property
    def name(self) -> str:
        return self.run.__name__


_CASES: dict[str, list[Case]] = {}


def bad_input(
    row: str,
    did: str,
    *,
    told: str,
    error: type[GpupipeError] | None = None,
    message: str,
    answer: Any = None,
    backends: bool = True,
) -> Callable[[Run], Run]:
    """Register a function of (device, folder) as a case; see :class:`Case`.

    What raises nothing gives its answer, which is compared with `answer`; both must be plain values.
    """
    assert told in TOLD, told
    assert (error is None) or answer is None

    def register(run: Run) -> Run:
        cases = _CASES.setdefault(run.__module__, [])
        case = Case(row, did, told, error, message, run, answer, backends)
        assert case.name not in [other.name for other in cases], f"two cases are called {case.name}"
        cases.append(case)
        return run

    return register


def runs(module: str) -> list[Any]:
    """The parameters ("case", "device") of the test that runs the cases of a module."""
    return [
        pytest.param(case, device, id=f"{case.name}-{device}" if case.backends else case.name)
        for case in _CASES[module]
        for device in (BACKENDS if case.backends else BACKENDS[:1])
    ]


def check(case: Case, device: str, folder: Path) -> None:
    """Run the case: the class, that it is a builtin's too, and every word of the message."""
    raised, answer = outcome(case, device, folder)
    if case.error is None:
        assert raised is None, f"{case.name} is fine, but raised {said(raised, folder)}"
        assert answer == case.answer
        return
    assert raised is not None, f"{case.name} raised nothing and gave {answer!r}"
    if not isinstance(raised, GpupipeError):
        raise raised
    assert said(raised, folder) == case.message
    assert is_a(raised, case.error)
    assert builtin_of(case.error) is not None, f"{case.error.__name__} is no builtin's kind"


def is_a(raised: BaseException, error: type[GpupipeError]) -> bool:
    """Whether it is of this class, and not of one below: but ours may be scikit-learn's of the same name too."""
    return isinstance(raised, error) and type(raised).__name__ == error.__name__


def outcome(case: Case, device: str, folder: Path) -> tuple[Exception | None, Any]:
    """What the case raises, and what it gives. Told before any reading, nothing may be read."""
    before = case.error is not None and case.told in (WRITING, PLANNING)
    try:
        with mock.patch.object(Source, "load_with_report", _refuse) if before else nullcontext():
            return None, case.run(device, folder)
    except Exception as error:
        return error, None


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("Rows were read, though this is told before any is.")


# Bytes on this disk, bytes of an artifact, estimators in the table.
_VARYING = re.compile(r"[\d,]+(?= bytes are free| bytes are to be written| that are supported)")


def said(error: Exception | None, folder: Path) -> str:
    """The message, with the folder of the test written as FOLDER, and N for numbers that vary."""
    return _VARYING.sub("N", str(error).replace(str(folder), FOLDER))


def builtin_of(error: type[GpupipeError]) -> type[BaseException] | None:
    """The builtin that a class of our tree also is."""
    plain = (Exception, BaseException, object)
    return next((base for base in error.__mro__ if base.__module__ == "builtins" and base not in plain), None)


def modules() -> Iterator[str]:
    """The files of cases: those that end with the test of their cases."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if "@bad_input(" in path.read_text(encoding="utf-8"):
            yield f"bad_input.{path.stem}"


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """Every case of every file, in the order of where the user is told, then of the files."""
    for module in modules():
        importlib.import_module(module)
    cases = list(itertools.chain.from_iterable(_CASES[module] for module in modules()))
    return tuple(sorted(cases, key=lambda case: TOLD.index(case.told)))


def print_all(*wanted: str) -> None:
    """Print what each case, or each whose name or file holds a word of `wanted`, says now."""
    for case in all_cases():
        where = f"{case.run.__module__.partition('.')[2]}.{case.name}"
        if wanted and not any(word in where for word in wanted):
            continue
        with tempfile.TemporaryDirectory() as folder:
            raised, answer = outcome(case, BACKENDS[0], Path(folder))
            right = raised is None and case.error is None and answer == case.answer
            if raised is not None and case.error is not None:
                right = said(raised, Path(folder)) == case.message and is_a(raised, case.error)
            print(f"\n{'    ' if right else '>>> '}{where}  [{case.told}]")
            print(f"    {type(raised).__name__}: {said(raised, Path(folder))}" if raised else f"    gave {answer!r}")
            if raised is not None and not isinstance(raised, GpupipeError):
                traceback.print_exception(raised, limit=-4)


# -- the page -------------------------------------------------------------------------------------------------
INTRO = """\
# What bad input gets

Generated from the tests by `make docs`: do not edit. Each row is a case of `tests/bad_input/`, run on both backends
where one has a part in it; the test compares every word.

Nothing is lost and nothing silently changed: what is wrong is an error that says what was asked, what is there, and
what to try, as early as it can be known. Rows of *fine* are what looks wrong and is not, with the answer. Every error
is a `gpupipe.errors.GpupipeError` and also the builtin in brackets. FOLDER stands for the folder that held the files.
"""
HEADINGS = {
    WRITING: ("While an expression is written", "Before any data is named."),
    PLANNING: ("While planning", "`fit` and `explain`, from names and types alone: no row has been read."),
    "reading": ("While files are listed and read", "`gp.scan`, and the reading of its partitions."),
    "fitting": ("While fitting", "Statistics and training: the rows have been seen."),
    "evaluating": ("While evaluating", ""),
    "scoring": ("While scoring", "`transform`, `predict`, and a loaded `Scorer`."),
    "saving": ("While saving", "Nothing half-written is left."),
    "loading": ("While loading an artifact", ""),
    "command line": ("On the command line", "The message on stderr; exit code 1, or 2 for a UsageError."),
}


def page() -> str:
    """docs/bad-input.md."""
    parts = [INTRO]
    for told, group in itertools.groupby(all_cases(), key=lambda case: case.told):
        title, note = HEADINGS[told]
        parts += [f"## {title}\n"] + ([f"{note}\n"] if note else [])
        parts += ["| What was wrong | Error | Message |", "| --- | --- | --- |"]
        before = ""
        for case in group:
            name = f"**{case.row}**: " if case.row != before else ""
            parts.append(f"| {name}{_cell(case.did)} | {_error(case)} | {_message(case)} |")
            before = case.row
        parts.append("")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _error(case: Case) -> str:
    if case.error is None:
        return "fine"
    builtins = [base.__name__ for base in case.error.__bases__ if not issubclass(base, GpupipeError)]
    return f"{case.error.__name__} ({', '.join(builtins)})"


def _message(case: Case) -> str:
    if case.error is None:
        return _cell(case.message)
    fence = "``" if "`" in case.message else "`"
    pad = " " if "`" in case.message else ""
    return f"{fence}{pad}{_cell(case.message)}{pad}{fence}"


if __name__ == "__main__":
    importlib.import_module("bad_input.case").print_all(*sys.argv[1:])
