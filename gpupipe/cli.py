"""The command line: ``gpupipe fit | evaluate | predict | explain | inspect | demo | doctor``.

Exit codes: 0 done, 1 failed (one message on stderr), 2 wrong usage.
"""

import argparse
import difflib
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import gpupipe as gp
from gpupipe import doctor
from gpupipe.artifact import format as artifact
from gpupipe.errors import ArtifactExistsError, GpupipeError, UsageError, counted
from gpupipe.examples import demo
from gpupipe.expr.node import show
from gpupipe.own_file import load_pipeline, run_file
from gpupipe.runtime.given import scan_as
from gpupipe.sources.write import write_parquet
from gpupipe.storage import failing, made_folders

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
SCORES = demo.SCORES

EPILOG = """\
a first run:
  gpupipe demo churn                                        the whole job on real data, in seconds
  gpupipe doctor                                            what is installed here, and what each package brings

the main job, with a file of yours that holds a pipeline:
  gpupipe explain churn.py --data 'customers/*.parquet'     scans, columns and bytes, before a row is read
  gpupipe fit churn.py --data 'customers/*.parquet' --split 0.2 --out churn.gpp
  gpupipe evaluate churn.gpp --data 'holdout/*.parquet' --by contract
  gpupipe predict churn.gpp --data 'new/*.parquet' --out scores --keep customer_id

FILE.py is Python of your own and is run as `python FILE.py` would run it. It assigns a gpupipe.Pipeline to the
name `pipeline` (or to NAME in FILE.py:NAME), or defines a function of that name that gives one. An artifact holds
no code: loading one runs nothing of anybody's.

DATA is a file, folder or glob of Parquet, CSV or Arrow IPC; quote globs, and give several after one --data.

exit codes: 0 done, 1 failed (the reason on stderr), 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    >>> main(["inspect", "nowhere.gpp"])
    1
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = parser().parse_args(words)
        arguments.run(arguments)
        sys.stdout.flush()
        return DONE
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (GpupipeError, OSError) as error:
        if "--debug" in words:
            raise
        print(f"gpupipe: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse has it."""
    top = _Parser(
        prog="gpupipe",
        description="Pipelines for tables: read, preprocess, train, evaluate, save and score.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"gpupipe {gp.__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_fit, _add_evaluate, _add_predict, _add_explain, _add_inspect, _add_demo, _add_doctor):
        add(commands)
    return top


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """What argparse found wrong, with the nearest option or command and a word on where help is."""
        self.print_usage(sys.stderr)
        unknown = re.match(r"unrecognized arguments: (\S+)|argument (\S+): invalid choice: '([^']*)'", message)
        if unknown is None:
            raise UsageError(f"{message}. Try: {self.prog} --help")
        asked = unknown[1] or unknown[3]
        close = difflib.get_close_matches(asked.partition("=")[0], self.names(), n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        kind = "option" if unknown[1] else unknown[2].lower()
        raise UsageError(f"There is no {kind} {asked!r}.{meant} Try: {self.prog} --help")

    def names(self) -> list[str]:
        """Its options and commands, and their options."""
        found = list(self._option_string_actions)
        for action in self._actions:
            found += map(str, action.choices or ())
            if isinstance(action, argparse._SubParsersAction):
                found += [name for command in action.choices.values() for name in command.names()]
        return found


# -- fit ----------------------------------------------------------------------------------------------------
def _add_fit(commands: Any) -> None:
    command = commands.add_parser("fit", help="learn from data and save an artifact", description=_fit.__doc__)
    command.add_argument("file", metavar="FILE.py[:NAME]", help="your file; NAME is `pipeline` unless given")
    _add_data(command)
    command.add_argument("--out", metavar="DIR", required=True, help="where the artifact goes")
    command.add_argument("--overwrite", action="store_true", help="replace an artifact that stands there")
    command.add_argument("--validation", metavar="DATA", nargs="+", help="rows for a model that stops early")
    _add_split(command, "hold out this share of the rows, and evaluate on them")
    command.add_argument("--quiet", action="store_true", help="no plan, no progress")
    command.set_defaults(run=_fit)


def _fit(arguments: argparse.Namespace) -> None:
    """Fit the pipeline of FILE.py, which is your own code and is run, and save it as an artifact."""
    pipeline = load_pipeline(arguments.file)
    if Path(arguments.out).exists() and not arguments.overwrite:
        raise ArtifactExistsError(f"{arguments.out} is there already. Choose another --out, or add --overwrite.")
    train, test = gp.scan(arguments.data), None
    if arguments.split is not None:
        train, test = train.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)
    if not arguments.quiet:
        print(pipeline.explain(train), "\n", sep="")
    held = None if arguments.validation is None else scan_as(arguments.validation, train.schema)
    pipeline.fit(train, validation=held, progress=not arguments.quiet)
    if test is not None:
        print(pipeline.evaluate(test), "\n", sep="")
    pipeline.save(arguments.out, overwrite=arguments.overwrite)
    print(f"saved to {arguments.out}")


# -- evaluate -----------------------------------------------------------------------------------------------
def _add_evaluate(commands: Any) -> None:
    command = commands.add_parser("evaluate", help="metrics of an artifact on data", description=_evaluate.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    _add_data(command)
    _add_split(command, "only the rows that `fit --split` with this share and --seed held out of this data")
    command.add_argument("--by", metavar="COLUMN", action="append", help="also by slice of a column; repeatable")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    """Metrics with their 95 % intervals, beside those of a trivial model."""
    pipeline = gp.load(arguments.artifact)
    rows = pipeline.scan(arguments.data, target=True)
    if arguments.split is not None:
        rows = rows.split(test=arguments.split, seed=arguments.seed, key=pipeline.together)[1]
    evaluation = pipeline.evaluate(rows, by=arguments.by or ())
    print(json.dumps(evaluation.to_dict(), indent=2) if arguments.json else evaluation)


# -- predict ------------------------------------------------------------------------------------------------
def _add_predict(commands: Any) -> None:
    command = commands.add_parser("predict", help="score data with an artifact", description=_predict.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    _add_data(command)
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


# -- explain, inspect ---------------------------------------------------------------------------------------
def _add_explain(commands: Any) -> None:
    command = commands.add_parser("explain", help="the plan of a pipeline", description=_explain.__doc__)
    command.add_argument("file", metavar="FILE.py[:NAME]|ARTIFACT")
    _add_data(command, required=False)
    command.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> None:
    """Scans, columns, features and bytes, told before any row is read. A pipeline not yet fitted needs --data."""
    if Path(arguments.file).is_dir():
        pipeline = gp.load(arguments.file)
        print(pipeline.explain(gp.scan(arguments.data)) if arguments.data else _features(pipeline))
    elif arguments.data:
        print(load_pipeline(arguments.file).explain(gp.scan(arguments.data)))
    else:
        raise UsageError(f"The plan of {arguments.file} depends on the data's types. Add --data DATA.")


def _features(pipeline: gp.Pipeline) -> str:
    plan = pipeline.plan_
    lines = [f"Reads      {', '.join(f'{name}: {plan.schema[name].dtype}' for name in plan.columns)}"]
    columns = counted(len(pipeline.get_feature_names_out()), "column")
    lines += [f"Features   {counted(len(plan.features), 'expression')}, {columns}"]
    lines += [f"  {feature.name}: {feature.dtype} = {show(feature.source)}" for feature in plan.features]
    return "\n".join(lines)


def _add_inspect(commands: Any) -> None:
    command = commands.add_parser("inspect", help="what an artifact holds", description=_inspect.__doc__)
    command.add_argument("artifact", metavar="ARTIFACT")
    command.add_argument("--json", action="store_true", help="the whole document as JSON")
    command.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> None:
    """What an artifact holds, every byte of it verified, and nothing of it run."""
    contents = artifact.read(arguments.artifact)
    if arguments.json:
        print(json.dumps(contents.document, indent=2))
        return
    pipeline = gp.load(arguments.artifact)
    print(f"Artifact   {arguments.artifact}, written by gpupipe {contents.written_by}")
    print(f"Digest     {contents.digest}")
    for path in sorted(Path(arguments.artifact).iterdir()):
        print(f"  {path.name}: {path.stat().st_size:,} bytes")
    print(_features(pipeline))
    print(f"Columns    {', '.join(pipeline.get_feature_names_out())}")
    print(f"Model      {_model(pipeline)}")


def _model(pipeline: gp.Pipeline) -> str:
    model = pipeline.model_
    if model is None:
        return "none: the pipeline only transforms"
    if model.targets is not None:
        return f"{model.estimator}, a {model.kind} of the targets {', '.join(model.targets)}, kept as {model.form}"
    classes = "" if model.classes is None else f" of the labels {', '.join(map(repr, model.classes))}"
    chosen = model.threshold
    decides = "" if chosen is None else f", {chosen['label']!r} from a {chosen['response']} of {chosen['value']:.4g} on"
    return f"{model.estimator}, a {model.kind}{classes}, kept as {model.form}{decides}"


# -- demo, doctor -------------------------------------------------------------------------------------------
def _add_demo(commands: Any) -> None:
    command = commands.add_parser("demo", help="the main job on real data", description=_demo.__doc__)
    command.add_argument("name", nargs="?", default="flights", choices=demo.NAMES)
    command.add_argument("--out", metavar="DIR", help="where results go (default: demo-out/NAME)")
    command.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    """Prepare real data, show the plan, fit, evaluate on held-out rows, save; then a new process loads the
    artifact and scores the held-out rows again, and the scores are compared byte by byte."""
    out = Path(arguments.out or Path("demo-out", arguments.name))
    demo.run(arguments.name, run_file(demo.file_of(arguments.name)), out)


def _add_doctor(commands: Any) -> None:
    command = commands.add_parser("doctor", help="what this installation can do", description=doctor.__doc__)
    command.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> None:
    print(doctor.report())


# -- shared -------------------------------------------------------------------------------------------------
def _add_data(command: argparse.ArgumentParser, required: bool = True) -> None:
    command.add_argument(
        "--data", metavar="DATA", nargs="+", action="extend", required=required, help="files, folders or globs"
    )


def _add_split(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--split", metavar="SHARE", type=_share, help=text)
    command.add_argument("--seed", type=int, default=0, help="another seed gives another split (default 0)")


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
