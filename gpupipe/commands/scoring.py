"""``gpupipe evaluate`` and ``gpupipe predict``."""

import argparse
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe.commands.options import add_data, add_split
from gpupipe.errors import counted
from gpupipe.examples import demo
from gpupipe.sources.write import write_parquet
from gpupipe.storage import failing, made_folders

SCORES = demo.SCORES


def add_evaluate(commands: Any) -> None:
    """``gpupipe evaluate``."""
    command = commands.add_parser("evaluate", help="metrics of an artifact on data", description=_evaluate.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    add_data(command)
    add_split(command, "only the rows that `fit --split` with this share and --seed held out of this data")
    command.add_argument("--by", metavar="COLUMN", action="append", help="also by slice of a column; repeatable")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--allow-overlap", action="store_true", help="judge by rows of the fit too, and tell how many")
    command.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    """Metrics with their 95 % intervals, beside those of a trivial model."""
    pipeline = gp.load(arguments.artifact)
    rows = pipeline.scan(arguments.data, target=True)
    if arguments.split is not None:
        rows = rows.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)[1]
    evaluation = pipeline.evaluate(rows, by=arguments.by or (), allow_overlap=arguments.allow_overlap)
    print(json.dumps(evaluation.to_dict(), indent=2) if arguments.json else evaluation)


def add_predict(commands: Any) -> None:
    """``gpupipe predict``."""
    command = commands.add_parser("predict", help="score data with an artifact", description=_predict.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    add_data(command)
    command.add_argument("--out", metavar="DIR", required=True, help="the folder for scores.parquet")
    command.add_argument(
        "--keep", metavar="COLUMN", action="append", default=[], help="write this column of the data too; repeatable"
    )
    command.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    """Write DIR/scores.parquet: a row for each row of the data, in order; an older one is replaced."""
    target = Path(os.path.abspath(arguments.out), SCORES)
    pipeline = gp.load(arguments.artifact)
    tables = pipeline.predictions(pipeline.scan(arguments.data), keep=arguments.keep)
    with ExitStack() as stack:
        with failing(f"The scores were not written to {target}", target):
            stack.enter_context(made_folders(target.parent))
        print(f"{counted(write_parquet(tables, target), 'row')} scored to {Path(arguments.out, SCORES)}")
