"""Takes out of a value what must wait for a statistic, so that one scan gathers both.

Null rows of a column that a fill fills all take one value. So a statistic of `f(fill(x, c))` is the statistic of `f(x)`
over the rows that are not null, to which as many rows of `f(c)` are added as there were nulls: `c` may be known after
the scan. Steps above that which are the same for all rows (less the mean, over the deviation) act on the statistic.
"""

from collections.abc import Callable

from gpupipe.compiler.info import Info, may_be_null
from gpupipe.compiler.late import Constant, Key, Late, gathered_as, gathered_value, rows_of
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.node import Node, make
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import Boolean, String

_PROPAGATES = {name for name, row in ELEMENTWISE.items() if row.nulls == "propagate"}
_PROPAGATES |= {name for name, row in COLUMNWISE.items() if row.nulls == "propagate"}
Step = Callable[[Node, Node], Node]  # (a node, the node over rewritten operands) -> what takes its place


def decomposed(node: Node, info: dict[Node, Info]) -> tuple[Node, Late] | None:
    """A core node as one without statistics, and what is left to do to what is gathered of it.

    Args:
        node: the core node of a row's value.
        info: what is known of core nodes; those that are made here are added.

    Returns:
        (the node to be gathered, null in every row of a constant; constants and suffix), or None where rows depend on
        statistics in another way.

    >>> from gpupipe.compiler.typing import Typer
    >>> from gpupipe import Field, Schema, col
    >>> from gpupipe.schema import Float64
    >>> typer = Typer(Schema({"x": Field(Float64)}))
    >>> core = typer.core(col("x").fill_null("median").log1p().standardize()._node)
    >>> base, late = decomposed(core, typer.info)
    >>> base, late.constants[0].absent, late.constants[0].value
    (x.log1p(), x, x.median().log1p())
    """
    return Decomposer(info, {}).split(node, 1)


class Decomposer:
    """Decomposes values, given the scans that statistics belong to.

    Args:
        info: what is known of core nodes; made ones are added.
        levels: for each reduction its scan, from 1 (1 where it is not listed); nodes asked for are added.
    """

    def __init__(self, info: dict[Node, Info], levels: dict[Node, int]) -> None:
        self._info, self._levels = info, levels
        self._known: dict[tuple[Node, int, tuple[Node, ...]], tuple[Node, Late] | None] = {}

    def level(self, *nodes: Node) -> int:
        """After how many scans all of `nodes` can be computed for a row."""
        for node in rows_of(*(node for node in nodes if node not in self._levels)):
            if node not in self._levels:
                args = () if node.op in REDUCTIONS else node.args
                own = 1 if node.op in REDUCTIONS else 0
                self._levels[node] = max((self._levels[arg] for arg in args), default=own)
        return max((self._levels[node] for node in nodes), default=0)

    def split(self, value: Node, level: int, keys: tuple[Node, ...] = ()) -> tuple[Node, Late] | None:
        """`value` as a node that can be gathered in the scan `level`, and what is left to do after it.

        Args:
            keys: what the statistic is grouped by: steps after the scan may depend on these.
        """
        asked = (value, level, keys)
        if asked not in self._known:
            refilled = any(node.op == "coalesce" and self.level(node.args[0]) >= level for node in rows_of(value))
            plain = self._where_present(value, None) if refilled else value
            self._known[asked] = self._split(plain, level, keys)
        return self._known[asked]

    def _split(self, value: Node, level: int, keys: tuple[Node, ...]) -> tuple[Node, Late] | None:
        path = value
        while (found := self.filled(path, level)) is None:
            below = self._below(path, level, keys)
            if below is None:
                return None
            path = below
        base, constants = found
        return base, Late(constants, self.after(value, path))

    def after(self, value: Node, step: Node) -> Node | None:
        """The steps from `step` to `value`, over the value gathered; None: there are none."""
        if step == value:
            return None
        leaf = self._note(gathered_value(self._info[step].dtype), Info(self._info[step].dtype, nullable=False))
        return self._remade(value, lambda node, made: leaf if node == step else made)

    def own(self, of: Node, base: Node, level: int) -> Node | None:
        """What is gathered in the scan `level` for quantiles of `of`, if its values are those of `base`; else None."""
        found = self.split(of, level)
        return found[0] if found and found[1].suffix is None and gathered_as(found[0], base) else None

    def _below(self, node: Node, level: int, keys: tuple[Node, ...]) -> Node | None:
        """The one operand that is another for every row; None where there are more, or none."""
        if node.op in REDUCTIONS or self._info[node].wide:
            return None
        varying = []
        for arg in node.args:
            by = () if self._info[arg].scalar else self._groups_of(arg, level)
            if by is None or any(key.node not in keys for key in by):
                varying.append(arg)
        return varying[0] if len(varying) == 1 else None

    def filled(self, value: Node, level: int) -> tuple[Node, tuple[Constant, ...]] | None:
        """`value` without its fills, and the values that those give to their rows; None where that is not all."""
        constants: list[Constant] = []
        absent: list[Node] = []
        while self.level(value) >= level:
            missing = None if self._info[value].wide else self._first_fill(value, level)
            if missing is None:
                return None
            constant = self._where_null(value, missing)
            by = self._groups_of(constant, level)
            if by is None:
                return None
            constants.append(Constant(self._masked(missing, absent), by, constant))
            absent.append(missing)
            value = self._where_present(value, missing)
        return self._masked(value, absent), tuple(constants)

    def _first_fill(self, value: Node, level: int) -> Node | None:
        """What the innermost fill fills whose values are not known yet."""
        for node in rows_of(value):
            if node.op in ("coalesce", "select") and self.level(node) >= level:
                tested = node.args[0]
                if node.op == "select":
                    tested = tested.args[0] if tested.op in ("is_null", "is_not_null") else node
                if self.level(tested) < level and not self._info[tested].scalar:
                    return tested
        return None

    def _groups_of(self, value: Node, level: int) -> tuple[Key, ...] | None:
        """The keys of the groups within which `value` is the same for all rows; None where it differs by row."""
        keys: dict[Node, Key] = {}
        for node in rows_of(value):
            if node.op not in REDUCTIONS:
                if self._info[node].wide or (not node.args and node.op != "lit"):
                    return None
                continue
            own = node.args[len(node.args) - node["keys"] :] if node["keys"] else ()
            if node.op == "place" or node.get("folds") or self._info[node].wide:
                return None
            for key in own:
                found = self.key(key, level)
                if found is None:
                    return None
                keys[key] = found
        return tuple(keys.values())

    def key(self, key: Node, level: int) -> Key | None:
        """A grouping key as the scan `level` can compute it; None where it cannot."""
        if self.level(key) < level:
            return Key(key, key)
        found = self.filled(key, level)
        if found is None:
            return None
        base, constants = found
        if len(constants) != 1 or constants[0].keys or not self._null_only_where(base, constants[0].absent):
            return None
        return Key(key, base, constants[0].value)

    # -- rewriting ---------------------------------------------------------------------------------------------
    def _where_null(self, value: Node, absent: Node) -> Node:
        """`value` in the rows where `absent` is null."""
        info = self._info[absent]
        null = self._note(make("lit", value=None, dtype=str(info.dtype)), Info(info.dtype, True, scalar=True))

        def step(node: Node, made: Node) -> Node:
            if node == absent:
                return null
            return made.args[1] if made.op == "coalesce" and made.args[0] == null else _chosen(made, null, True)

        return self._remade(value, step)

    def _where_present(self, value: Node, absent: Node | None) -> Node:
        """`value` in the rows where `absent` is not null (None: in all rows), without fills of what is never null."""
        sure = set() if absent is None else {absent}  # whatever the schema says of columns

        def step(node: Node, made: Node) -> Node:
            if absent is not None and node == absent:
                return absent
            if made.op == "coalesce" and made.args[0] in sure:
                return made.args[0]
            if not self._may_be_null(made, sure):
                sure.add(made)
            return made if absent is None else _chosen(made, absent, False)

        return self._remade(value, step)

    def _may_be_null(self, node: Node, sure: set[Node]) -> bool:
        """Whether a node can be null in rows where all of `sure` are not."""
        if node.op in REDUCTIONS or not node.args:
            return self._info[node].nullable or not self._info[node].scalar
        operands = [Info(self._info[arg].dtype, arg not in sure) for arg in node.args]
        return may_be_null(node, operands)

    def _remade(self, value: Node, step: Step) -> Node:
        done: dict[Node, Node] = {}
        for node in rows_of(value):
            made = node if node.op in REDUCTIONS else node.with_args(tuple(done[arg] for arg in node.args))
            if made is not node:
                operands = [self._info[arg] for arg in made.args]
                scalar = all(operand.scalar for operand in operands)
                old = self._info[node]
                self._note(made, Info(old.dtype, may_be_null(made, operands), scalar, old.wide))
            done[node] = step(node, made)
        return done[value]

    def _note(self, node: Node, info: Info) -> Node:
        self._info.setdefault(node, info)
        return node

    def _masked(self, value: Node, absent: list[Node]) -> Node:
        """`value`, null in all rows where one of `absent` is."""
        for missing in absent:
            if _is_null_where(value, missing):
                continue
            test = self._note(make("is_null", missing), Info(Boolean, False))
            info = self._info[value]
            if info.dtype == String:
                null = self._note(make("lit", value=None, dtype="String"), Info(String, True, scalar=True))
                masked = make("select", test, null, value)
            else:
                masked = make("null_if", value, test)
            value = self._note(masked, Info(info.dtype, True))
        return value

    def _null_only_where(self, value: Node, absent: Node) -> bool:
        """Whether `value` is null in no row but those where `absent` is."""
        sure = {absent}
        for node in rows_of(value):
            if node == absent or not self._may_be_null(node, sure):
                sure.add(node)
        return value in sure


def _chosen(node: Node, tested: Node, is_null: bool) -> Node:
    """Of a choice by whether `tested` is null, the branch that holds."""
    if node.op != "select" or node.args[0].op not in ("is_null", "is_not_null") or node.args[0].args[0] != tested:
        return node
    return node.args[1] if (node.args[0].op == "is_null") == is_null else node.args[2]


def _is_null_where(value: Node, absent: Node) -> bool:
    """Whether `value` is known to be null wherever `absent` is."""
    null = {absent}
    for node in rows_of(value):
        if _gives_null(node, null):
            null.add(node)
    return value in null


def _gives_null(node: Node, null: set[Node]) -> bool:
    if node.op in REDUCTIONS or not node.args:
        return False
    if node.op == "null_if":
        return node.args[0] in null
    if node.op in ("coalesce", "and", "or"):
        return all(arg in null for arg in node.args)
    if node.op == "select":
        return node.args[1] in null and node.args[2] in null
    return node.op in _PROPAGATES and any(arg in null for arg in node.args)
