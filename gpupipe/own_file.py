"""The user's own Python file, run for the pipeline it declares."""

import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe import optional
from gpupipe.errors import GpupipeError, UsageError, UserCodeError, nearest


def load_pipeline(spec: str) -> gp.Pipeline:
    """The pipeline that ``FILE.py[:NAME]`` means. Runs the file.

    Raises:
        UsageError: no such file, no such name, or something else under the name.
        UserCodeError: the file, or the function of that name, raised.
    """
    file, _, name = spec.partition(":")
    if not (file.endswith(".py") and Path(file).is_file()):
        raise UsageError(f"There is no Python file {file!r}. Give FILE.py or FILE.py:NAME.")
    name = name or "pipeline"
    namespace = run_file(Path(file))
    found = namespace.get(name)
    if callable(found) and not isinstance(found, gp.Pipeline):
        found = _running(found, Path(file))
    if not isinstance(found, gp.Pipeline):
        pipelines = [key for key, value in namespace.items() if isinstance(value, gp.Pipeline)]
        raise UsageError(f"{file} has no Pipeline called {name!r}. {nearest(name, pipelines)}")
    return found


def run_file(path: Path) -> dict[str, Any]:
    """Run a Python file the user named, as ``python FILE.py`` would but not as ``__main__``; its names.

    Raises:
        UserCodeError: it raised; the message is its traceback, from the file on.
        MissingDependencyError: it needs an optional package that is not installed.
    """
    sys.path.insert(0, str(path.resolve().parent))
    found: dict[str, Any] = _running(lambda: runpy.run_path(str(path)), path)
    return found


def _running(call: Callable[[], Any], path: Path) -> Any:
    try:
        return call()
    except ModuleNotFoundError as error:
        if error.name in optional.EXTRAS:
            raise optional.missing(error.name) from error
        raise UserCodeError(_told(error, path)) from error
    except Exception as error:
        raise UserCodeError(_told(error, path)) from error


def _told(error: Exception, path: Path) -> str:
    """Where in the user's code it was, and what; frames of ours and of runpy's are left out."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    if isinstance(error, GpupipeError) and frames:
        return f"{path}, line {frames[-1].lineno}, {frames[-1].line!r}: {error}"
    whole = traceback.extract_tb(error.__traceback__)
    start = next((at for at, frame in enumerate(whole) if Path(frame.filename) == path), len(whole))
    lines = [f'  File "{each.filename}", line {each.lineno}, in {each.name}\n    {each.line}' for each in whole[start:]]
    return "\n".join([f"{path} failed:", *lines, "".join(traceback.format_exception_only(error)).rstrip()])
