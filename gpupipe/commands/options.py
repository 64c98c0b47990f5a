"""Options that several commands share."""

import argparse


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


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
