"""``gpupipe explain``, ``inspect``, ``demo`` and ``doctor``."""

import argparse
import json
from pathlib import Path
from typing import Any

import gpupipe as gp
from gpupipe import doctor
from gpupipe.artifact import format as artifact
from gpupipe.commands.options import add_data
from gpupipe.errors import UsageError, counted
from gpupipe.examples import demo
from gpupipe.expr.node import show
from gpupipe.own_file import load_pipeline, run_file


def add_explain(commands: Any) -> None:
    """``gpupipe explain``."""
    command = commands.add_parser("explain", help="the plan of a pipeline", description=_explain.__doc__)
    command.add_argument("file", metavar="FILE.py[:NAME]|ARTIFACT")
    add_data(command, required=False)
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


def add_inspect(commands: Any) -> None:
    """``gpupipe inspect``."""
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


def add_demo(commands: Any) -> None:
    """``gpupipe demo``."""
    command = commands.add_parser("demo", help="the main job on real data", description=_demo.__doc__)
    command.add_argument("name", nargs="?", default="flights", choices=demo.NAMES)
    command.add_argument("--out", metavar="DIR", help="where results go (default: demo-out/NAME)")
    command.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    """Prepare real data, show the plan, fit, evaluate on held-out rows, save; then a new process loads the
    artifact and scores the held-out rows again, and the scores are compared byte by byte."""
    out = Path(arguments.out or Path("demo-out", arguments.name))
    demo.run(arguments.name, run_file(demo.file_of(arguments.name)), out)


def add_doctor(commands: Any) -> None:
    """``gpupipe doctor``."""
    command = commands.add_parser("doctor", help="what this installation can do", description=doctor.__doc__)
    command.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> None:
    print(doctor.report())
