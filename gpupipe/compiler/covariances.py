"""Features taken apart for covariances: what a row gives, and what statistics make of it once they are known.

A feature that is a column with its nulls filled, less a number and over another, whatever these numbers are, has
covariances that follow from those of the column and of where it is null. So has an indicator of a label.
"""

from dataclasses import dataclass

from gpupipe.compiler.info import Info
from gpupipe.compiler.late import is_affine
from gpupipe.compiler.plan import Feature, Plan
from gpupipe.compiler.rewrite import decomposed
from gpupipe.expr.node import Node, show


@dataclass(frozen=True, slots=True)
class Term:
    """A feature (a wide one: all its columns).

    Attributes:
        feature: as planned.
        value: the position, among the columns or the keys, of what its rows give.
        fill: the core node of what stands for nulls; None: nothing.
        suffix: affine steps over :func:`gpupipe.compiler.late.gathered_value`; None: none.
    """

    feature: Feature
    value: int
    fill: Node | None
    suffix: Node | None

    @property
    def is_wide(self) -> bool:
        return self.feature.info.wide is not None


@dataclass(frozen=True, slots=True)
class Covariances:
    """What is gathered of rows, so that covariances of features and target follow.

    Attributes:
        terms: the features, in order.
        columns: core nodes of numbers, the target last; keys: of values whose labels are told apart.
        target: the core node of the target; None: models learn without one.
        rounded: for each column whether it is a feature as it stands, and so is rounded to float32 at once.
        info: what is known of these nodes.
    """

    terms: tuple[Term, ...]
    columns: tuple[Node, ...]
    keys: tuple[Node, ...]
    rounded: tuple[bool, ...]
    info: dict[Node, Info]
    target: Node | None


def covariances(plan: Plan, *, supervised: bool = True) -> Covariances | str:
    """What to gather for a plan's features and its one target; or why that is not enough.

    Args:
        supervised: whether a target is learned; else none is gathered.
    """
    if supervised and (plan.target is None or plan.target_names is not None):
        return "there is not one target"
    if plan.weights is not None:
        return "rows are weighted"
    info, columns, keys = dict(plan.info), dict[tuple[Node, bool], int](), dict[Node, int]()
    terms = []
    for feature in plan.features:
        found = _one_hot(feature, info, keys) if feature.info.wide else _number(feature, info, columns)
        if found is None:
            return f"the rows of {show(feature.source)} take more from statistics than a fill and affine steps"
        terms.append(found)
    nodes, rounded = [node for node, _ in columns], [how for _, how in columns]
    target = plan.target if supervised else None
    if target is not None:
        nodes, rounded = [*nodes, target], [*rounded, False]
    return Covariances(tuple(terms), tuple(nodes), tuple(keys), tuple(rounded), info, target)


def _number(feature: Feature, info: dict[Node, Info], columns: dict[tuple[Node, bool], int]) -> Term | None:
    if feature.info.scalar:
        return None
    found = decomposed(feature.node, info)
    if found is None:
        return None
    base, late = found
    fills, suffix = late.constants, late.suffix
    if len(fills) > 1 or any(fill.keys for fill in fills) or not (suffix is None or is_affine(suffix, info)):
        return None
    column = columns.setdefault((base, not fills and suffix is None), len(columns))
    return Term(feature, column, fills[0].value if fills else None, suffix)


def _one_hot(feature: Feature, info: dict[Node, Info], keys: dict[Node, int]) -> Term | None:
    node = feature.node
    if node.op != "one_hot" or info[node.args[0]].wide:
        return None
    found = decomposed(node.args[0], info)
    if found is None or found[1].suffix is not None:
        return None
    base, fills = found[0], found[1].constants
    if len(fills) > 1 or any(fill.keys for fill in fills):
        return None
    return Term(feature, keys.setdefault(base, len(keys)), fills[0].value if fills else None, None)
