"""The first stage: selectors and several-in-one expressions become single expressions, each with its name."""

from collections.abc import Iterable

from gpupipe.errors import LeakageError, ParameterError, TypeMismatchError
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import Node, show, walk
from gpupipe.expr.selectors import SELECTORS, select_names
from gpupipe.schema import Schema


def flatten(features: object) -> list[Node]:
    """The nodes of a list of expressions, which may hold lists.

    Raises:
        ParameterError: something in it is no expression.
    """
    if isinstance(features, Expr):
        return [features._node]
    if isinstance(features, str) or not isinstance(features, Iterable):
        raise ParameterError(f"A feature is an expression such as gp.col('age'), not {features!r}.")
    return [node for feature in features for node in flatten(feature)]


def expand(nodes: list[Node], schema: Schema, excluded: frozenset[str] = frozenset()) -> list[tuple[str, Node]]:
    """Single named expressions.

    Args:
        nodes: what the user declared.
        schema: what selectors are expanded against.
        excluded: columns that no selector takes and no feature may name: target, weights, key.

    Raises:
        LeakageError: one names an excluded column.
    """
    memo: dict[Node, list[Node]] = {}
    singles = [single for node in nodes for single in _singles(node, schema, excluded, memo)]
    for single in singles:
        _refuse_leak(single, excluded)
    return [(output_name(single), single) for single in singles]


def _singles(root: Node, schema: Schema, excluded: frozenset[str], memo: dict[Node, list[Node]]) -> list[Node]:
    if root in memo:
        return memo[root]
    if root.op in SELECTORS:
        result = [Node("col", (), (("name", name),)) for name in select_names(root, schema, excluded)]
    elif root.op == "columns":
        result = [single for arg in root.args for single in _singles(arg, schema, excluded, memo)]
    else:
        result = _zipped(root, [_singles(arg, schema, excluded, memo) for arg in root.args])
    memo[root] = result
    return result


def _zipped(node: Node, operands: list[list[Node]]) -> list[Node]:
    counts = {len(operand) for operand in operands} - {1}
    if len(counts) > 1:
        raise TypeMismatchError(
            f"{show(node)} joins selections of {sorted(counts)} columns; they must be equally many."
        )
    count = counts.pop() if counts else 1
    return [
        node.with_args(tuple(operand[index if len(operand) > 1 else 0] for operand in operands))
        for index in range(count)
    ]


def _refuse_leak(node: Node, excluded: frozenset[str]) -> None:
    for part in walk(node):
        if part.op == "col" and part["name"] in excluded:
            raise LeakageError(
                f"The feature {show(node)} uses {part['name']!r}, which the target, weights or key refer to. "
                "For the target's mean of a category there is .target_mean()."
            )


def output_name(node: Node) -> str:
    """The name of an expression: its alias, else its leftmost column's with the suffixes operators add.

    >>> from gpupipe.expr import col
    >>> output_name((1 + col("a") * col("b")).suffix("_x")._node)
    'a_x'
    """
    if node.op == "alias":
        return str(node["name"])
    if node.op == "suffix":
        return output_name(node.args[0]) + str(node["text"])
    if node.op == "named_as":
        return output_name(node.args[1])
    if node.op == "col":
        return str(node["name"])
    if node.op == "target":
        return "target"
    for arg in node.args:
        if name := output_name(arg):
            return name
    return ""


def columns_of(nodes: Iterable[Node]) -> list[str]:
    """The source columns that expressions use, in order of first use."""
    found = dict.fromkeys(str(node["name"]) for node in walk(*nodes) if node.op == "col")
    return list(found)
