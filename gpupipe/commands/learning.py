"""``gpupipe fit`` and ``gpupipe update``."""

import argparse
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe.artifact.kept import SUFFIX
from gpupipe.commands.options import add_data, add_split
from gpupipe.errors import ArtifactExistsError, counted
from gpupipe.own_file import load_pipeline
from gpupipe.runtime.given import scan_as


def add_fit(commands: Any) -> None:
    """``gpupipe fit``."""
    command = commands.add_parser("fit", help="learn from data and save an artifact", description=_fit.__doc__)
    command.add_argument("file", metavar="FILE.py[:NAME]", help="your file; NAME is `pipeline` unless given")
    add_data(command)
    command.add_argument("--out", metavar="DIR", required=True, help="where the artifact goes")
    command.add_argument("--overwrite", action="store_true", help="replace an artifact that stands there")
    command.add_argument("--validation", metavar="DATA", nargs="+", help="rows for a model that stops early")
    add_split(command, "hold out this share of the rows, and evaluate on them")
    command.add_argument(
        "--keep-state", choices=("yes", "values"), help="keep DIR.state, which `gpupipe update` goes on from"
    )
    command.add_argument("--quiet", action="store_true", help="no plan, no progress")
    command.set_defaults(run=_fit)


def _fit(arguments: argparse.Namespace) -> None:
    """Fit the pipeline of FILE.py, which is your own code and is run, and save it as an artifact."""
    pipeline = load_pipeline(arguments.file)
    if not arguments.overwrite:
        _refuse_standing(arguments.out, "add --overwrite", states=arguments.keep_state is not None)
    train, test = gp.scan(arguments.data), None
    if arguments.split is not None:
        train, test = train.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)
    if not arguments.quiet:
        print(pipeline.explain(train), "\n", sep="")
    held = None if arguments.validation is None else scan_as(arguments.validation, train.schema)
    keep = {None: False, "yes": True}.get(arguments.keep_state, arguments.keep_state)
    pipeline.fit(train, validation=held, keep_state=keep, progress=not arguments.quiet)
    if test is not None:
        print(pipeline.evaluate(test), "\n", sep="")
    pipeline.save(arguments.out, overwrite=arguments.overwrite)
    print(f"saved to {arguments.out}")


def _refuse_standing(out: str, otherwise: str, *, states: bool) -> None:
    """Say before the work, not after it, that what it would write is there already."""
    for path in (Path(out), *([Path(f"{Path(out)}{SUFFIX}")] if states else [])):
        if path.exists():
            raise ArtifactExistsError(f"{path} is there already. Choose another --out, or {otherwise}.")


def add_update(commands: Any) -> None:
    """``gpupipe update``."""
    command = commands.add_parser("update", help="learn from new rows too", description=_update.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT", help="fitted with --keep-state")
    add_data(command)
    command.add_argument(
        "--seen", metavar="DATA", nargs="+", help="the earlier rows, where some of their columns must be read again"
    )
    add_split(command, "the earlier rows are those that `fit --split` with this share and --seed learned from")
    command.add_argument(
        "--pipeline", metavar="FILE.py[:NAME]", help="your file, for its model: it is trained anew, on all rows"
    )
    command.add_argument("--out", metavar="DIR", help="where the artifact goes (default: it is replaced)")
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.set_defaults(run=_update)


def _update(arguments: argparse.Namespace) -> None:
    """Merge new rows with what the fit kept: the bits of a fit on all rows, reading the new ones."""
    pipeline = gp.load(arguments.artifact)
    if arguments.pipeline is not None:
        pipeline.model = load_pipeline(arguments.pipeline).model
    out = arguments.out or arguments.artifact
    if arguments.out is not None:
        _refuse_standing(out, "leave it out to replace ARTIFACT", states=True)
    seen = None if arguments.seen is None else pipeline.scan(arguments.seen, target=True)
    if seen is not None and arguments.split is not None:
        seen = seen.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)[0]
    pipeline.update(arguments.data, seen=seen, progress=not arguments.quiet)
    pipeline.save(out, overwrite=arguments.out is None)
    print(f"{counted(pipeline.report_.rows, 'row')} read, saved to {out}")
