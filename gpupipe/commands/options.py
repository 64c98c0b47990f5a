"""Options that several commands share."""

import argparse
from collections.abc import Callable
from functools import wraps

import gpupipe as gp
from gpupipe.errors import UsageError

Run = Callable[[argparse.Namespace], int | None]


def add_data(command: argparse.ArgumentParser, required: bool = True) -> None:
    """``--data``."""
    command.add_argument(
        "--data", metavar="DATA", nargs="+", action="extend", required=required, help="files, folders or globs"
    )


def add_split(command: argparse.ArgumentParser, text: str) -> None:
    """``--split`` and ``--seed``; `text` says what the share is for."""
    command.add_argument("--split", metavar="SHARE", type=_share, help=text)
    command.add_argument("--seed", type=int, default=0, help="another seed gives another split (default 0)")


def add_progress(command: argparse.ArgumentParser, besides: str = "") -> None:
    """``--progress`` and ``--quiet``; `besides` says what else is not told then."""
    command.add_argument(
        "--progress",
        choices=tuple(_PROGRESS),
        default="yes",
        help="what goes on, on stderr: yes (default), a bar in a terminal and lines in a log; lines; or no",
    )
    command.add_argument("--quiet", action="store_true", help=f"{besides}no progress")


def progress_asked(arguments: argparse.Namespace) -> bool | str:
    """What ``progress=`` of a call is to be."""
    return False if arguments.quiet else _PROGRESS[arguments.progress]


_PROGRESS: dict[str, bool | str] = {"yes": True, "no": False, "lines": "lines"}


def add_cluster(command: argparse.ArgumentParser) -> None:
    """``--cluster`` and ``--workers``; what is run is then wrapped by :func:`on_cluster`."""
    command.add_argument(
        "--cluster", metavar="WHAT", help="run on workers: threads, processes (of this machine), cuda (its GPUs), an "
        "address such as tcp://10.0.0.1:8786, the file of a scheduler, or `configured`: as Dask's configuration says"
    )  # fmt: skip
    command.add_argument(
        "--workers", metavar="N", type=_count, help="how many (default: a worker a core, or GPU); of a cluster that is "
        "there, how many to wait for"
    )  # fmt: skip


def on_cluster(run: Run) -> Run:
    """A command that runs on the cluster that its options name, which ends with it."""

    @wraps(run)
    def there(arguments: argparse.Namespace) -> int | None:
        what, count = arguments.cluster, arguments.workers
        if what is None:
            if count is not None:
                raise UsageError(f"--workers {count} goes with --cluster, such as: --cluster processes.")
            return run(arguments)
        with gp.cluster(None if what == "configured" else what, n_workers=count):
            return run(arguments)

    return there


def _count(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count. It takes an integer of at least 1")
    return count


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
