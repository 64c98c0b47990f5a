"""``gpupipe fit`` and ``gpupipe update``."""

import argparse
import os
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe.artifact.kept import SUFFIX
from gpupipe.commands.options import add_cluster, add_data, add_progress, add_split, on_cluster, progress_asked
from gpupipe.errors import ArtifactExistsError, UsageError, counted
from gpupipe.own_file import load_pipeline
from gpupipe.runtime.given import scan_as
from gpupipe.runtime.journal.asked import CHANGES, Asked, command_of, end


def add_fit(commands: Any) -> None:
    """``gpupipe fit``."""
    command = commands.add_parser("fit", help="learn from data and save an artifact", description=_fit.__doc__)
    command.add_argument("file", metavar="FILE.py[:NAME]", nargs="?", help="your file; NAME is `pipeline` unless given")
    add_data(command, required=False)
    command.add_argument("--out", metavar="DIR", help="where the artifact goes")
    command.add_argument("--overwrite", action="store_true", help="replace an artifact that stands there")
    command.add_argument("--validation", metavar="DATA", nargs="+", help="rows for a model that stops early")
    add_split(command, "hold out this share of the rows, and evaluate on them")
    command.add_argument(
        "--keep-state", choices=("yes", "values"), help="keep DIR.state, which `gpupipe update` goes on from"
    )
    command.add_argument("--run", metavar="RUN", dest="kept", help="a folder that keeps what is done, as it is done")
    command.add_argument("--resume", metavar="RUN", help="go on with a fit that was killed; no more is needed")
    command.add_argument("--on-change", choices=CHANGES, help="where RUN is of another pipeline or of other rows")
    add_progress(command, "no plan, ")
    add_cluster(command)
    command.set_defaults(run=on_cluster(_fit))


def _fit(arguments: argparse.Namespace) -> None:
    """Fit the pipeline of FILE.py, which is your own code and is run, and save it as an artifact."""
    wanted = _wanted(arguments)
    pipeline = load_pipeline(arguments.file)
    if not arguments.overwrite and arguments.resume is None:
        _refuse_standing(arguments.out, "add --overwrite", states=arguments.keep_state is not None)
    train, test = gp.scan(arguments.data), None
    if arguments.split is not None:
        train, test = train.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)
    if not arguments.quiet:
        print(pipeline.explain(train), "\n", sep="")
    held = None if arguments.validation is None else scan_as(arguments.validation, train.schema)
    keep = {None: False, "yes": True}.get(arguments.keep_state, arguments.keep_state)
    pipeline.fit(train, validation=held, keep_state=keep, progress=progress_asked(arguments), run=wanted)
    if test is not None:
        print(pipeline.evaluate(test, progress=progress_asked(arguments)), "\n", sep="")
    again = arguments.resume is not None and _is_saved(pipeline, arguments.out)
    pipeline.save(arguments.out, overwrite=arguments.overwrite or again)
    if wanted is not None:
        end(wanted.path)
    resumed = pipeline.report_.resumed
    before = f", {counted(resumed, 'result')} of partitions read back from {wanted.path}" if wanted and resumed else ""
    print(f"saved to {arguments.out}{before}")


def _is_saved(pipeline: gp.Pipeline, out: str) -> bool:
    """Whether this very fit stands there: its command was killed when it had saved it, and had not yet told its run."""
    if not Path(out).exists():
        return False
    there = gp.load(out)
    same_model = (there.model_ and there.model_.digest()) == (pipeline.model_ and pipeline.model_.digest())
    return there.state_digest() == pipeline.state_digest() and same_model


def _wanted(arguments: argparse.Namespace) -> Asked | None:
    """The run that a fit is kept in, if it is; of one that is resumed, `arguments` become those that it began with."""
    if arguments.resume is not None:
        _resume(arguments)
    missing = {"FILE.py": arguments.file, "--data": arguments.data, "--out": arguments.out}
    if lacking := [name for name, value in missing.items() if value is None]:
        raise UsageError(f"{' and '.join(lacking)} must be given, or --resume RUN alone. Try: gpupipe fit --help")
    if arguments.kept is None:
        if arguments.on_change is not None:
            raise UsageError("--on-change says what to do about a run: give --run RUN too.")
        return None
    given = {name: value for name, value in vars(arguments).items() if name in _GIVEN}
    path = Path(arguments.kept).absolute()
    return Asked(path, arguments.on_change == "recompute", False, {"folder": os.getcwd(), "arguments": given})


_GIVEN = ("file", "data", "out", "overwrite", "validation", "split", "seed", "keep_state")


def _resume(arguments: argparse.Namespace) -> None:
    if others := [name for name in ("file", "data", "out", "kept", "validation", "split") if getattr(arguments, name)]:
        named = {"file": "FILE.py", "kept": "--run"}.get(others[0], f"--{others[0]}")
        raise UsageError(f"--resume RUN goes on with the arguments that the run began with. Leave {named} out.")
    path = Path(arguments.resume).absolute()
    folder, given = command_of(path)
    os.chdir(folder)  # where paths were given
    vars(arguments).update(given, kept=str(path), overwrite=given["overwrite"] or arguments.overwrite)


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
    add_progress(command)
    add_cluster(command)
    command.set_defaults(run=on_cluster(_update))


def _update(arguments: argparse.Namespace) -> None:
    """Merge new rows with what the fit kept: the bits of a fit on all rows, reading the new ones."""
    pipeline = gp.load(arguments.artifact)
    if arguments.pipeline is not None:
        pipeline.model = load_pipeline(arguments.pipeline).model
    elif pipeline.model_ is not None:
        raise UsageError(
            f"{arguments.artifact} has a model, which an update trains anew. Name the file that declares it: "
            "--pipeline FILE.py."
        )
    out = arguments.out or arguments.artifact
    if arguments.out is not None:
        _refuse_standing(out, "leave it out to replace ARTIFACT", states=True)
    seen = None if arguments.seen is None else pipeline.scan(arguments.seen, target=True)
    if seen is not None and arguments.split is not None:
        seen = seen.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)[0]
    pipeline.update(arguments.data, seen=seen, progress=progress_asked(arguments))
    pipeline.save(out, overwrite=arguments.out is None)
    print(f"{counted(pipeline.report_.rows, 'row')} read, saved to {out}")
