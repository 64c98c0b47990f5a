"""``gpupipe evaluate`` and ``gpupipe predict``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe.commands.options import add_cluster, add_data, add_progress, add_split, on_cluster, progress_asked
from gpupipe.errors import ParameterError, counted
from gpupipe.examples import demo
from gpupipe.runtime.out import write_predictions
from gpupipe.runtime.progress import listening
from gpupipe.runtime.quarantine import quarantine_for, scanned
from gpupipe.runtime.standing import is_dataset
from gpupipe.sources.write import write_parquet
from gpupipe.storage import failing, made_folders

SCORES = demo.SCORES
LEFT_OUT = 3  # the exit code: some data could not be read
_MOST_TOLD = 20


def add_evaluate(commands: Any) -> None:
    """``gpupipe evaluate``."""
    command = commands.add_parser("evaluate", help="metrics of an artifact on data", description=_evaluate.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    add_data(command)
    add_split(command, "only the rows that `fit --split` with this share and --seed held out of this data")
    command.add_argument("--by", metavar="COLUMN", action="append", help="also by slice of a column; repeatable")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--allow-overlap", action="store_true", help="judge by rows of the fit too, and tell how many")
    add_progress(command)
    add_cluster(command)
    command.set_defaults(run=on_cluster(_evaluate))


def _evaluate(arguments: argparse.Namespace) -> None:
    """Metrics with their 95 % intervals, beside those of a trivial model."""
    pipeline = gp.load(arguments.artifact)
    rows = pipeline.scan(arguments.data, target=True)
    if arguments.split is not None:
        rows = rows.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)[1]
    how = {"allow_overlap": arguments.allow_overlap, "progress": progress_asked(arguments)}
    evaluation = pipeline.evaluate(rows, by=arguments.by or (), **how)
    print(json.dumps(evaluation.to_dict(), indent=2) if arguments.json else evaluation)


def add_predict(commands: Any) -> None:
    """``gpupipe predict``."""
    command = commands.add_parser("predict", help="score data with an artifact", description=_predict.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    add_data(command)
    command.add_argument("--out", metavar="DIR", required=True, help="the folder for the scores")
    command.add_argument(
        "--keep", metavar="COLUMN", action="append", default=[], help="write this column of the data too; repeatable"
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument("--one-file", action="store_true", help="write DIR/scores.parquet; an older one is replaced")
    how.add_argument(
        "--overwrite", action="store_true", help="replace scores in DIR that are of another artifact or other data"
    )
    command.add_argument(
        "--on-bad-partition", choices=["raise", "quarantine"], default="raise",
        help="of what cannot be read: fail (raise), or score the rest, say so, and end with exit code 3",
    )  # fmt: skip
    add_progress(command)
    add_cluster(command)
    command.set_defaults(run=on_cluster(_predict))


def _predict(arguments: argparse.Namespace) -> int | None:
    """Write scores to DIR, a row for each row of the data, in order: a Parquet file for each file or piece of it, each
    of which is whole or not there, and _manifest.json at the end. The same command goes on with what was not finished.
    """
    out, single = Path(arguments.out), Path(os.path.abspath(arguments.out), SCORES)
    _refuse_both_forms(arguments, single)
    pipeline = gp.load(arguments.artifact)
    if arguments.one_file:
        rows = pipeline.scan(arguments.data)
        tables = pipeline.predictions(rows, keep=arguments.keep, progress=progress_asked(arguments))
        with ExitStack() as stack:
            with failing(f"The scores were not written to {single}", single):
                stack.enter_context(made_folders(single.parent))
            print(f"{counted(write_parquet(tables, single), 'row')} scored to {out / SCORES}")
        return None
    quarantine = quarantine_for(arguments.on_bad_partition)
    rows = scanned(pipeline.scan, arguments.data, quarantine)
    how: dict[str, Any] = {"overwrite": arguments.overwrite, "quarantine": quarantine}
    with listening(progress_asked(arguments)):
        written = write_predictions(pipeline._fitted(), rows, arguments.keep, out, **how)
    stood = written.files - written.made
    before = f", {stood:,} of which stood there" if stood else ""
    print(f"{counted(written.rows, 'row')} scored to {out}: {counted(written.files, 'file')}{before}")
    return _told([each.why for each in written.left_out])


def _told(left_out: Sequence[str]) -> int | None:
    """Say what was left out; the exit code that says so too."""
    for why in left_out[:_MOST_TOLD]:
        print(f"gpupipe: left out: {why}", file=sys.stderr)
    if len(left_out) > _MOST_TOLD:
        print(f"gpupipe: left out: {counted(len(left_out) - _MOST_TOLD, 'other')}", file=sys.stderr)
    return LEFT_OUT if left_out else None


def _refuse_both_forms(arguments: argparse.Namespace, single: Path) -> None:
    """One file beside files by partition would be read as twice the rows.

    Raises:
        ParameterError: one of the two forms stands where the other is asked for.
    """
    with failing(f"The scores were not written to {single}", single):
        are_many = arguments.one_file and is_dataset(single.parent)
    if are_many:
        raise ParameterError(f"{arguments.out} holds scores as many files. Choose another folder for --one-file.")
    if not arguments.one_file and single.is_file():
        raise ParameterError(
            f"{arguments.out} holds {SCORES}, all scores in one file. Pass --one-file to replace it, or choose a new "
            "folder: then there is a file for each piece of the data."
        )
