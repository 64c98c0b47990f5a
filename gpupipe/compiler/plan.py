"""The plan: what a pipeline will compute, worked out from the schema alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gpupipe.compiler.casts import convert
from gpupipe.compiler.expand import columns_of, expand, output_name
from gpupipe.compiler.folding import operands
from gpupipe.compiler.info import Info
from gpupipe.compiler.scans import Scan, Slot, plan_scans
from gpupipe.compiler.typing import Typer
from gpupipe.compiler.words import noted
from gpupipe.errors import DuplicateNameError, LeakageError, ParameterError, TargetError, TypeMismatchError
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.node import Node, make, rewrite, show, walk
from gpupipe.expr.reductions import FOLDS, REDUCTIONS
from gpupipe.schema import DType, Float32, Float64, Int32, Schema

TASKS = ("classification", "regression")


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature as declared (it may be several columns once fitted).

    Attributes:
        name: the output's name, or the beginning of the names of a wide feature.
        source: what the user wrote, single and named.
        node: its core node, reductions in place.
        dtype: the type it leaves in.
        info: what is known of it.
    """

    name: str
    source: Node
    node: Node
    dtype: DType
    info: Info


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fit will do and what a transform will compute.

    Attributes:
        schema: the source's schema.
        features: the features, in order.
        target: the target's own core node (a model's labels or numbers), or None; of several targets one of the
            operation ``columns`` that holds theirs.
        target_names: the names of several targets; None of one.
        weights: the weights' core node, or None.
        slots: every distinct reduction, in the order of first use; fitted state is kept by slot.
        scans: the trips over the data, each with the states it gathers.
        info: what is known of every core node.
        columns: the source columns that features need (scoring reads no others).
        fit_columns: those that a fit needs: what statistics take in, the target, weights and groups besides.
        groups: the core node of what a ranker's rows are ranked in, or None.
    """

    schema: Schema
    features: tuple[Feature, ...]
    target: Node | None
    weights: Node | None
    slots: tuple[Slot, ...]
    scans: tuple[Scan, ...]
    info: dict[Node, Info]
    columns: list[str]
    fit_columns: list[str]
    target_names: tuple[str, ...] | None = None
    groups: Node | None = None

    @property
    def targets(self) -> tuple[Node, ...]:
        """The core node of each target."""
        if self.target is None:
            return ()
        return (self.target,) if self.target_names is None else self.target.args


def make_plan(
    schema: Schema,
    features: list[Node],
    *,
    target: Node | None = None,
    weights: Node | None = None,
    groups: Node | None = None,
    task: str | None = None,
    key: Iterable[str] = (),
) -> Plan:
    """Plan `features` (and the target, weights and groups a model needs) against a schema.

    Args:
        target: what a model learns; a node of the operation ``columns`` holds several.
        task: ``"classification"``, ``"regression"``, or None to decide by the target's type.

    Raises:
        PlanError: any of its kinds; nothing has been read.
    """
    beside = [node for node in (target, weights, groups) if node is not None]
    _refuse_statistics(*beside)
    labels = Typer(schema)
    names = target_names(target)
    target_core = _target_core(labels, target)
    weights_core = None if weights is None else _number(labels, weights, "weights")
    groups_core = None if groups is None else labels.core(groups)
    excluded = {**dict.fromkeys(key, "key"), **_roles({"groups": groups, "weights": weights, "target": target})}
    if names is not None:
        _refuse_target_statistics(features, names)
    typer = Typer(schema, None if target_core is None or names else _as_numbers(labels, target_core, task))
    typer.info.update(labels.info)
    named = expand(features, schema, excluded)
    if not named:
        raise ParameterError(
            f"{'The features select no column' if features else 'The list of features is empty'}. List columns, or "
            "check the selectors against the schema."
            f"{noted(schema, schema.notes)}"
        )
    planned = tuple(_feature(typer, name, node) for name, node in named)
    _refuse_twins(planned)
    slots, scans = plan_scans([feature.node for feature in planned], typer.info)
    nodes = [feature.node for feature in planned]
    needed = columns_of(rewrite(nodes, _without_statistics))
    extra = [node for node in (target_core, weights_core, groups_core) if node is not None]
    used = columns_of([*nodes, *extra])
    return Plan(
        schema, planned, target_core, weights_core, slots, scans, typer.info, needed, used, names, groups_core
    )


def target_names(target: Node | None) -> tuple[str, ...] | None:
    """The names of several targets; None of one, or none.

    Raises:
        ParameterError: there are none in the list, or one has no name.
        DuplicateNameError: two have one name.
    """
    if target is None or target.op != "columns":
        return None
    if not target.args:
        raise ParameterError("target=[] lists no target. Give target= a column's name, or a list of some.")
    named: dict[str, Node] = {}
    for node in target.args:
        name = output_name(node)
        if not name:
            raise ParameterError(f"The target {show(node)} has no name. Give it an .alias(…).")
        if name in named:
            raise DuplicateNameError(
                f"Two targets are named {name!r}: {show(named[name])} and {show(node)}. Give one an .alias(…), or "
                "remove it."
            )
        named[name] = node
    return tuple(named)


def _target_core(typer: Typer, target: Node | None) -> Node | None:
    if target is None or target.op != "columns":
        return None if target is None else typer.core(target)
    return make("columns", *(typer.core(node) for node in target.args))


def _refuse_target_statistics(features: Sequence[Node], names: Sequence[str]) -> None:
    """Of several targets none is *the* target: a column for each would multiply features behind the user's back."""
    if any(part.op == "target" for part in walk(*features)):
        raise ParameterError(
            f"A feature takes a statistic of the target, as target_mean does, and there are {len(names)} targets: "
            f"{', '.join(map(repr, names))}. Leave it out, or fit a pipeline for each target."
        )


def _without_statistics(node: Node) -> Node:
    """What of a reduction a row to be scored must bring: its keys alone."""
    return Node("keys", operands(node)[1]) if node.op in REDUCTIONS else node


def _refuse_twins(features: Sequence[Feature]) -> None:
    """Wide features are told apart by their labels, known after the fit; others by their names, now."""
    named: dict[tuple[str, bool], Feature] = {}
    for feature in features:
        key = (feature.name, feature.info.wide is not None)
        if key in named:
            one, other = show(named[key].source), show(feature.source)
            both = f"{one} and {other}" if one != other else f"{one}, listed or selected twice"
            raise DuplicateNameError(
                f"Two features are named {feature.name!r}: {both}. Give one an .alias(…), or remove it."
            )
        named[key] = feature


def _number(typer: Typer, node: Node, what: str) -> Node:
    core = typer.core(node)
    if not (typer.info[core].dtype.is_numeric or typer.info[core].dtype.name == "Boolean"):
        raise TypeMismatchError(f"{what} are numbers, not {typer.info[core].dtype}: {show(node)}.")
    return core


def _as_numbers(typer: Typer, target: Node, task: str | None) -> Node:
    dtype = typer.info[target].dtype
    classes = dtype.name in ("String", "Boolean") if task is None else task == TASKS[0]
    if task == TASKS[1] and not (dtype.is_numeric or dtype.name in ("Boolean", "Null")):
        raise TargetError(
            f"The target of a regression must be numbers, and {show(target)} is {dtype}. Cast it, or use a classifier."
        )
    if dtype.name == "Boolean" or not classes:
        return convert(typer, target, Float64)
    vocabulary = typer.apply(make("vocabulary", keys=0, min_count=1, max_size=None, order="value"), (target,))
    return typer.apply(make("class_indicator"), (target, vocabulary))


def _roles(beside: Mapping[str, Node | None]) -> dict[str, str]:
    """Each column to what is made of it; the last counts."""
    return {name: what for what, node in beside.items() if node is not None for name in columns_of([node])}


def _refuse_statistics(*nodes: Node) -> None:
    for node in nodes:
        if any(part.op in REDUCTIONS for part in walk(node)):
            raise ParameterError(
                f"The target, weights and groups are known row by row; {show(node)} needs a statistic of all rows. "
                "Compute it beforehand and compare with the number."
            )


def _kept_out_of_fold(source: Node) -> Node:
    """Statistics of the target kept by folds, so that no training row sees its own label.

    Raises:
        LeakageError: the target stands in a feature as it is.
    """

    if not any(part.op == "target" for part in walk(source)):
        return source

    def step(node: Node) -> Node:
        of_target = node.op in REDUCTIONS and any(part.op == "target" for part in walk(operands(node)[0]))
        return node.with_params(folds=FOLDS) if of_target and not node.get("folds") else node

    folded = rewrite([source], step)[0]
    if any(part.op == "target" for part in walk(*rewrite([folded], _without_statistics))):
        raise LeakageError(f"The feature {show(source)} holds the target itself. There is .target_mean().")
    return folded


def _feature(typer: Typer, name: str, source: Node) -> Feature:
    core = typer.core(_kept_out_of_fold(source))
    info = typer.info[core]
    return Feature(name, source, core, _leaving(source, info), info)


def _leaving(source: Node, info: Info) -> DType:
    while source.op in ("alias", "suffix", "named_as"):
        source = source.args[0]
    kept = source.op == "cast" or (source.op in COLUMNWISE and info.dtype == Int32)
    if kept or not (info.dtype.is_numeric or info.dtype.name in ("Boolean", "Null")):
        return info.dtype
    return Float32
