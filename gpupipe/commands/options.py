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


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
