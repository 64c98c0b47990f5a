"""Expressions as JSON and back. Loading looks operations up in the tables and runs nothing."""

import math
from collections.abc import Sequence
from typing import Any

from gpupipe.errors import ArtifactCorruptError
from gpupipe.expr.node import Node, walk
from gpupipe.expr.signatures import check_node


def to_json(roots: Sequence[Node]) -> dict[str, Any]:
    """Nodes as a list of [operation, operands' positions, parameters], and the roots' positions.

    >>> from gpupipe.expr import col
    >>> to_json([(col("x") + 1)._node])["roots"]
    [2]
    """
    place: dict[Node, int] = {}
    rows: list[list[Any]] = []
    for node in walk(*roots):
        place[node] = len(rows)
        rows.append([node.op, [place[arg] for arg in node.args], {k: _encode(v) for k, v in node.params}])
    return {"nodes": rows, "roots": [place[root] for root in roots]}


def from_json(document: Any) -> list[Node]:
    """The roots that :func:`to_json` wrote.

    Raises:
        ArtifactCorruptError: not what it writes: an unknown operation, a reference forward, operands or parameters
            that the operation does not take.

    >>> from gpupipe.expr import col
    >>> from_json(to_json([(col("x") + 1)._node]))
    [(x + 1)]
    """
    try:
        nodes: list[Node] = []
        known: dict[Node, Node] = {}  # so that equal nodes are one, and comparing any two ends at once
        for op, args, params in document["nodes"]:
            node = _node(op, [_earlier(nodes, arg) for arg in args], params)
            nodes.append(known.setdefault(node, node))
        return [_earlier(nodes, root) for root in document["roots"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ArtifactCorruptError(f"The artifact's expressions cannot be read: {error}.") from error


def _earlier(nodes: list[Node], position: Any) -> Node:
    if type(position) is not int or not 0 <= position < len(nodes):
        raise ValueError(f"an operand at {position!r} of {len(nodes)}")
    return nodes[position]


def _node(op: Any, args: list[Node], params: dict[str, Any]) -> Node:
    if not isinstance(op, str):
        raise ValueError(f"an operation {op!r}")
    node = Node(op, tuple(args), tuple(sorted((str(name), _decode(value)) for name, value in params.items())))
    check_node(node)
    return node


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if isinstance(value, dict):
        if set(value) != {"float"} or value["float"] not in ("nan", "inf", "-inf"):
            raise ValueError(f"an odd parameter {value!r}")
        return float(value["float"])
    if value is not None and type(value) not in (bool, int, float, str):
        raise ValueError(f"an odd parameter {value!r}")
    return value
