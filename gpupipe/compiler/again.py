"""Which source columns the trips after the first take in: those alone are worth keeping."""

from collections.abc import Iterator

from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.folding import operands
from gpupipe.compiler.plan import Plan
from gpupipe.expr.node import Node, rewrite
from gpupipe.expr.reductions import REDUCTIONS

_REFINED = "order"  # states that are settled in a second trip over the values they took in


def columns_again(plan: Plan, *, features: bool, given_back: bool = False) -> list[str]:
    """The source columns that a trip after the first needs.

    Args:
        features: whether a trip computes the features, for a model.
        given_back: whether a trip after the fit computes them, to give them back; some rows at least were read by then.
    """
    return columns_of(rewrite([*_later(plan, given_back or (features and bool(plan.scans)))], _without_statistics))


def _later(plan: Plan, features: bool) -> Iterator[Node]:
    for number, scan in enumerate(plan.scans):
        for gather in scan.gathers:
            if number or gather.state == _REFINED:
                yield from (gather.value, *gather.keys)
    if features:
        yield from (feature.node for feature in plan.features)
        yield from (*plan.targets, *(node for node in (plan.weights, plan.groups) if node is not None))


def _without_statistics(node: Node) -> Node:
    """Known by then, but for the keys by which a row looks one up."""
    return Node("keys", operands(node)[1]) if node.op in REDUCTIONS else node
