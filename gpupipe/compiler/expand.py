"""The first stage: selectors and several-in-one expressions become single expressions, each with its name."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

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
    if isinstance(features, str):
        raise ParameterError(f"A feature is an expression, not text: write gp.col({features!r}).")
    if callable(features):
        raise ParameterError("A feature is an expression, not a function: write gp.col('age').map(function), say.")
    if isinstance(features, Mapping):
        raise ParameterError(f"Features are a list of expressions, not a dict. {_NAMED}")
    pair = isinstance(features, tuple) and len(features) == 2 and isinstance(features[0], str)
    if pair and isinstance(features[1], Expr):  # type: ignore[index]
        raise ParameterError(f"Features are a list of expressions, not pairs of a name and one. {_NAMED}")
    if not isinstance(features, Iterable):
        raise ParameterError(f"A feature is an expression such as gp.col('age'), not {features!r}.")
    return [node for feature in features for node in flatten(feature)]


_NAMED = "A name is given by .alias: [gp.col('x').standardize().alias('a'), …]."


def expand(
    nodes: list[Node], schema: Schema, excluded: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, Node]]:
    """Single named expressions.

    Args:
        nodes: what the user declared.
        schema: what selectors are expanded against.
        excluded: columns that no selector takes and no feature may name, each to what it is: "target", "weights",
            "groups" or "key".

    Raises:
        LeakageError: one names an excluded column.
    """
    made: dict[Node, list[Node]] = {}
    for node in walk(*nodes):
        made[node] = _singles(node, schema, frozenset(excluded), made)
    singles = [single for node in nodes for single in made[node]]
    _refuse_leak(singles, excluded)
    named = _have_names(singles)
    return [(_name(single, named), single) for single in singles]


def _singles(node: Node, schema: Schema, excluded: frozenset[str], made: Mapping[Node, list[Node]]) -> list[Node]:
    if node.op in SELECTORS:
        return [Node("col", (), (("name", name),)) for name in select_names(node, schema, excluded)]
    if node.op == "columns":
        return [_written_as(node, single, index, made) for arg in node.args for index, single in enumerate(made[arg])]
    return _zipped(node, [made[arg] for arg in node.args], made)


def _zipped(node: Node, operands: list[list[Node]], made: Mapping[Node, list[Node]]) -> list[Node]:
    counts = {len(operand) for operand in operands} - {1}
    if len(counts) > 1:
        raise TypeMismatchError(
            f"{show(node)} joins selections of {sorted(counts)} columns; they must be equally many."
        )
    count = counts.pop() if counts else 1
    if count == 1 and all(operand[0] == arg for operand, arg in zip(operands, node.args, strict=True)):
        return [node]
    return [
        _written_as(node, Node(node.op, tuple(_at(operand, index) for operand in operands), node.params), index, made)
        for index in range(count)
    ]


def _at(operand: list[Node], index: int) -> Node:
    return operand[index if len(operand) > 1 else 0]


def _written_as(node: Node, single: Node, index: int, made: Mapping[Node, list[Node]]) -> Node:
    """`single`, showing as the user wrote `node`, a column where that has a selector."""
    pieces: list[str | Node] = []
    for piece in node.written or ():
        if isinstance(piece, Node):
            columns = made.get(piece, [])
            if len(columns) != 1 and index >= len(columns):
                return single
            piece = _at(columns, index)
        pieces.append(piece)
    return single.as_written(*pieces) if pieces else single


_WHY = {
    "target": "which the target is made of, so it would tell the model what it is to learn. For the target's mean by "
    "another column there is .target_mean() of that column.",
    "weights": "which the weights are made of, and rows to score have none. To learn from it too, give the weights "
    "as fit(…, sample_weight=…).",
    "groups": "which the groups are made of. A feature of it would know groups of the fit alone, and rows to score "
    "come in others.",
    "key": "which is the key (or named as y is). It tells which rows belong together, and rows to score have other "
    "keys than those of the fit.",
}


def _refuse_leak(singles: Sequence[Node], excluded: Mapping[str, str]) -> None:
    leaks = [part for part in walk(*singles) if part.op == "col" and part["name"] in excluded]
    if leaks:
        name = leaks[0]["name"]
        feature = next(single for single in singles if leaks[0] in walk(single))
        raise LeakageError(f"The feature {show(feature)} uses {name!r}, {_WHY[excluded[name]]}")


def output_name(node: Node) -> str:
    """The name of an expression: its alias, else its leftmost column's with the suffixes operators add.

    >>> from gpupipe.expr import col
    >>> output_name((1 + col("a") * col("b")).suffix("_x")._node)
    'a_x'
    """
    return _name(node, _have_names([node]))


def _have_names(roots: Sequence[Node]) -> set[Node]:
    """The nodes under `roots` that have a name; a literal has none, and so what is made of literals alone."""
    named: set[Node] = set()
    for node in walk(*roots):
        own = node.op in ("col", "target") or bool(node.op in _NAMING and node[_NAMING[node.op]])
        if own or (node.op != "alias" and any(arg in named for arg in _naming_operands(node))):
            named.add(node)
    return named


_NAMING = {"alias": "name", "suffix": "text"}


def _naming_operands(node: Node) -> tuple[Node, ...]:
    return node.args[1:2] if node.op == "named_as" else node.args


def _name(node: Node, named: set[Node]) -> str:
    suffixes: list[str] = []
    while node.op not in ("alias", "col", "target"):
        if node.op == "suffix":
            suffixes.append(str(node["text"]))
        below = next((arg for arg in _naming_operands(node) if arg in named), None)
        if below is None:
            return "".join(reversed(suffixes))
        node = below
    start = "target" if node.op == "target" else str(node["name"])
    return start + "".join(reversed(suffixes))


def columns_of(nodes: Iterable[Node]) -> list[str]:
    """The source columns that expressions use, in order of first use."""
    found = dict.fromkeys(str(node["name"]) for node in walk(*nodes) if node.op == "col")
    return list(found)


def only_column(node: Node) -> str | None:
    """The one source column that an expression uses, for an error to name; None where there are others or none."""
    names = columns_of([node])
    return names[0] if len(names) == 1 else None
