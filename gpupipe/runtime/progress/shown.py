"""Which way progress is shown: a bar where somebody watches, lines where somebody will read, or not at all."""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TextIO

from gpupipe import optional
from gpupipe.runtime.progress.bars import Bars, Notebook, Terminal
from gpupipe.runtime.progress.display import Display, is_terminal
from gpupipe.runtime.progress.lines import Lines


def shown(progress: Any) -> Display | None:
    """Who shows it as ``progress=`` asks; None: nobody.

    Args:
        progress: False: nobody; True: a bar in a terminal or a notebook, else lines; "lines": lines; None: a bar in a
            terminal or a notebook, else nobody.
    """
    display, stream = notebook(), sys.stderr
    if progress is False or stream is None:
        return None
    if progress == "lines":
        return Lines()
    if display is None and not is_terminal(stream):
        return Lines() if progress else None
    if not optional.available("rich") or (display is None and os.environ.get("TERM", "dumb") in ("dumb", "unknown")):
        return Lines()
    return _in_notebook(display) if display is not None else _in_terminal(getattr(stream, "rich_proxied_file", stream))


def notebook() -> Callable[..., Any] | None:
    """IPython's `display`, in a kernel of Jupyter's (a notebook, JupyterLab, VS Code, Colab); else None.

    Nothing is imported for it: whoever runs in a kernel has IPython.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else getattr(ipython, "get_ipython", lambda: None)()
    if ipython is None or getattr(shell, "kernel", None) is None:
        return None
    display: Callable[..., Any] | None = getattr(getattr(ipython, "display", None), "display", None)
    return display


@cache
def _in_terminal(stream: TextIO) -> Bars:
    return Bars(Terminal(stream))


@cache
def _in_notebook(display: Callable[..., Any]) -> Bars:
    return Bars(Notebook(display))
