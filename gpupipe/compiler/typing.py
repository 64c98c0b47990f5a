"""The stage that types: from what the user wrote to core nodes whose operands have exactly the types they need.

Casts become explicit, convenience operations become core ones, and every type error is raised here, naming the
expression. Both backends run what this stage leaves.
"""

from gpupipe.compiler.casts import cast, convert
from gpupipe.compiler.checks import CHECKS
from gpupipe.compiler.info import Info, may_be_null
from gpupipe.compiler.listed import LISTED, with_listed
from gpupipe.compiler.macros import MACROS, codes_within
from gpupipe.compiler.words import in_words
from gpupipe.errors import ParameterError, PlanError, TypeMismatchError, nearest
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.node import Node, show, walk
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import DType, Schema, parse_dtype

LEAVES = ("col", "lit", "target")
TRANSPARENT = ("alias", "suffix", "named_as")
_TAKES_LIST = ("codes", "one_hot", "class_indicator")


class Typer:
    """Types nodes against a schema; each distinct node once.

    Attributes:
        info: for every core node made so far, what is known of it.
    """

    def __init__(self, schema: Schema, target: Node | None = None) -> None:
        self._schema = schema
        self._target = target
        self._core: dict[Node, Node] = {}
        self.info: dict[Node, Info] = {}

    def core(self, root: Node) -> Node:
        """The core node of `root`.

        Raises:
            ColumnNotFoundError: it names a column that the schema lacks.
            TypeMismatchError: an operand is of a type its operation cannot take.
        """
        for node in walk(root):
            if node not in self._core:
                args = tuple(self._core[arg] for arg in node.args)
                try:
                    self._core[node] = _shows_as(node, self.apply(node, args), args)
                except PlanError as error:
                    known = {arg: self.info[core].dtype for arg, core in zip(node.args, args, strict=True)}
                    raise in_words(error, node, root, known, self._schema.notes) from None
        if _is_list(self._core[root]):
            raise TypeMismatchError(f"{show(root)} is a list, not a value for each row. Use .codes() or .one_hot().")
        return self._core[root]

    def note(self, node: Node, info: Info) -> Node:
        """Record what is known of a core node, and give it back."""
        self.info.setdefault(node, info)
        return node

    def apply(self, node: Node, args: tuple[Node, ...]) -> Node:
        """The core node of an operation whose operands are core nodes already."""
        if node.op in TRANSPARENT:
            return args[0]
        if any(map(_is_list, args[: 1 if node.op in _TAKES_LIST else None])):
            raise TypeMismatchError(f"{node.op} takes values; a vocabulary is a list, for .codes() and .one_hot().")
        if node.op == "col":
            field = self._schema[node["name"]]
            return self.note(node, Info(field.dtype, field.nullable))
        if node.op == "lit":
            return self.note(node, Info(parse_dtype(node["dtype"]), node["value"] is None, scalar=True))
        if node.op == "target":
            return self._target_node()
        if node.op == "cast":
            return cast(self, args[0], parse_dtype(node["dtype"]), node["strict"])
        if node.op == "codes" and args[1].op == "place":
            return codes_within(self, node, args)
        if node.op in MACROS:
            return MACROS[node.op](self, node, args)
        if node.op in ELEMENTWISE:
            return self.elementwise(node.op, *args)
        if node.op in REDUCTIONS:
            return self._reduction(node, args)
        if node.op in COLUMNWISE:
            return self._columnwise(node, args)
        raise ParameterError(f"There is no operation {node.op!r}. {nearest(node.op, [*ELEMENTWISE, *COLUMNWISE])}")

    def _target_node(self) -> Node:
        if self._target is None:
            raise ParameterError("A feature uses the target, and the pipeline has none. Give Pipeline(target=…).")
        return self._target

    def elementwise(self, op: str, *args: Node) -> Node:
        """The typed node of a scalar operation over core nodes."""
        row = ELEMENTWISE[op]
        infos = [self.info[arg] for arg in args]
        wanted, result = row.rule(op, _in_one_zone(args, [info.dtype for info in infos]))
        operands = tuple(convert(self, arg, dtype) for arg, dtype in zip(args, wanted, strict=True))
        node = Node(op, operands)
        wides = {info.wide for info in infos if info.wide is not None}
        if len(wides) > 1:
            raise TypeMismatchError(f"{op} joins two features of several columns each; combine them before.")
        scalar = all(info.scalar for info in infos)
        operand_infos = [self.info[operand] for operand in operands]
        return self.note(node, Info(result, may_be_null(node, operand_infos), scalar, next(iter(wides), None)))

    def _reduction(self, node: Node, args: tuple[Node, ...]) -> Node:
        row = REDUCTIONS[node.op]
        n_keys = node["keys"]
        values, keys = args[: len(args) - n_keys], args[len(args) - n_keys :]
        info = self.info[values[0]]
        if any(self.info[key].wide for key in keys):
            raise TypeMismatchError(f"over takes keys of one column each, not {show(node)}.")
        if row.table and info.wide:
            raise TypeMismatchError("vocabulary is a list for one column; it takes no feature of several.")
        if row.table and n_keys:
            return self._reduction(Node("place", node.args, node.params), args)
        dtype = row.result(info.dtype)
        return self.note(node.with_args(args), Info(dtype, bool(n_keys), scalar=not n_keys, wide=info.wide))

    def _columnwise(self, node: Node, args: tuple[Node, ...]) -> Node:
        row = COLUMNWISE[node.op]
        infos = [self.info[arg] for arg in args]
        wides = {info.wide for info in infos if info.wide is not None}
        if len(wides) > row.each:
            raise TypeMismatchError(f"{node.op} takes one column, not a feature of several.")
        if row.wide and len(args) > 1 and not _is_list(args[1]):
            raise TypeMismatchError("A feature of several columns takes no over. There is .codes().over(…).")
        dtype = row.rule(node, [info.dtype for info in infos])
        if node.op in CHECKS:
            CHECKS[node.op](node)
        core = node.with_args(args)
        if node.op in LISTED:
            core = with_listed(core, infos[0].dtype)
        scalar = all(info.scalar for info in infos)
        wide = core if row.wide else next(iter(wides), None)
        return self.note(core, Info(dtype, may_be_null(core, infos), scalar, wide))


def _in_one_zone(args: tuple[Node, ...], types: list[DType]) -> list[DType]:
    """The types, literals of an instant in the time zone of what they meet: the same instant, shown as local there."""
    zoned = [dtype for arg, dtype in zip(args, types, strict=True) if arg.op != "lit" and dtype.time_zone]
    if not zoned:
        return types
    return [zoned[0] if arg.op == "lit" and dtype.time_zone else dtype for arg, dtype in zip(args, types, strict=True)]


def _shows_as(node: Node, core: Node, args: tuple[Node, ...]) -> Node:
    """The core node, which from now on shows as what the user wrote for it."""
    if core.written is None and core is not node and core not in args and core.op not in LEAVES:
        written = node.written or (None if core == node else (node,))
        object.__setattr__(core, "written", written)  # nobody has shown it yet
    elif node.op == "suffix" and node.written and core.op not in LEAVES and _is_unwritten(core):
        object.__setattr__(core, "written", node.written)  # the operator that ends in a suffix made it
    return core


def _is_unwritten(core: Node) -> bool:
    """Whether nobody wrote it: an operator made it of others."""
    pieces = core.written or ()
    return all(isinstance(piece, Node) and piece.written is None for piece in pieces) and len(pieces) <= 1


def _is_list(core: Node) -> bool:
    return core.op in REDUCTIONS and REDUCTIONS[core.op].table
