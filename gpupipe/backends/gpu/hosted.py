"""Which steps of an expression the host does while the GPU computes, and why: told before anything is read."""

from collections.abc import Mapping, Sequence

from gpupipe.backends.gpu.texts import refusal
from gpupipe.compiler.info import Info
from gpupipe.compiler.stages import in_memory
from gpupipe.expr.node import Node, walk
from gpupipe.schema import String

_SEVERAL = "it takes texts of several columns row by row, and dictionaries tell nothing of their pairs"
_WHY = {
    "to_local": "time zones are looked up on the host",
    "convert": "values are written as text on the host",
    "bins": "its bounds differ from row to row",
}
_ALONE = "it takes a constant beside columns"
#: What a device has kernels for, over columns alone. What those of the second set give has entries of its own.
_KERNELS = frozenset({"bins", "codes", "hash_bucket", "is_in", "ordinal", "lookup"})
_ENCODED = frozenset({"is_in", "ordinal", "lookup"})


def hosted(nodes: Sequence[Node], info: Mapping[Node, Info]) -> list[tuple[Node, str]]:
    """(node, why) of every whole-column operation under `nodes`, which are bound, that the host does for each row.

    One over a single text column is none of them: it is done once for each distinct text.
    """
    source: dict[Node, Node | None] = {}
    found = []
    for node in walk(*nodes):
        if node.op == "table" or info[node].scalar:
            continue
        source[node] = node if node.op == "col" and info[node].dtype == String else None
        if not in_memory(node, info):
            continue
        beneath = {source[arg] for arg in node.args if arg.op != "table" and not info[arg].scalar}
        if len(beneath) == 1 and None not in beneath:
            source[node] = beneath.pop()
        elif node.op != "pick" and (why := _why(node, info)) is not None:
            found.append((node, why))
        elif node.op in _ENCODED:
            source[node] = node
    return found


def hosted_of_texts(nodes: Sequence[Node], info: Mapping[Node, Info]) -> list[tuple[Node, str]]:
    """(node, why) of every function of text under `nodes` that the host does however many distinct texts there are."""
    of_text = [
        node for node in walk(*nodes)
        if node.op != "table" and not info[node].scalar and node.args and info[node.args[0]].dtype == String
    ]  # fmt: skip
    return [(node, why) for node in of_text if (why := refusal(node)) is not None]


def _why(node: Node, info: Mapping[Node, Info]) -> str | None:
    args = [arg for arg in node.args if arg.op != "table"]
    if any(info[arg].dtype.name == "Null" for arg in args):
        return "a column of no type has no kernels"
    if node.op in _KERNELS:
        return _same_bounds(args, info) if node.op == "bins" else _all_columns(args, info)
    return _WHY.get(node.op, _SEVERAL)


def _all_columns(args: Sequence[Node], info: Mapping[Node, Info]) -> str | None:
    return _ALONE if any(info[arg].scalar for arg in args) else None


def _same_bounds(args: Sequence[Node], info: Mapping[Node, Info]) -> str | None:
    return None if all(info[bound].scalar for bound in args[1:]) else _WHY["bins"]
