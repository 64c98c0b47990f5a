"""The stage after (or between) scans: reductions become what was learned, and wide features their columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpupipe.compiler.expand import only_column
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.folding import operands
from gpupipe.compiler.info import Info, may_be_null
from gpupipe.compiler.scans import Slot
from gpupipe.errors import DuplicateNameError, WideFeatureError
from gpupipe.expr.node import Node, make, show
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.schema import Boolean, DType, Int32, Int64

# Category codes: 0 is null, then the buckets of other values (one here), then the vocabulary.
_FIRST_CODE = 2


@dataclass(frozen=True, slots=True)
class Output:
    """One column to compute: a bound node, the type it leaves in, and its name."""

    name: str
    node: Node
    dtype: DType


class Binder:
    """Binds core nodes to what has been learned.

    Args:
        slots: the plan's slots.
        fitted: what has been learned so far; slots of later scans may be missing.
        info: what is known of core nodes; bound nodes are added.
        training: whether rows are those of the fit, so that out-of-fold values apply.
    """

    def __init__(
        self, slots: Sequence[Slot], fitted: Fitted, info: dict[Node, Info], *, training: bool = False
    ) -> None:
        self._slot = {slot.node: slot for slot in slots}
        self.fitted = fitted
        self.info = dict(info)
        self._training = training
        self._done: dict[tuple[Node, int], Node] = {}

    def width(self, node: Node) -> int:
        """How many columns a core node stands for.

        Raises:
            WideFeatureError: more than a one_hot's limit.
        """
        wide = self.info[node].wide
        return 1 if wide is None else len(self.labels(wide))

    def labels(self, wide: Node) -> list[str]:
        """The names of a wide node's components; a single empty one where it has become one column."""
        if wide.op == "word_ngrams":
            return [str(index) for index in range(wide["n_features"])]
        entries = self.fitted.labels(self._slot[wide.args[1]].index)
        if wide.op == "class_indicator":
            return entries if len(entries) > 2 else [""]
        labels = entries + (["null"] if wide["null"] else [])
        if len(labels) > wide["limit"]:
            raise WideFeatureError(
                f"{show(wide.args[0])}.one_hot() would become {len(labels):,} columns; its limit is {wide['limit']:,}. "
                "Raise limit=, give min_count= or max_size=, or use .codes() or .target_mean()."
            ).at(column=only_column(wide))
        return labels

    def bind(self, node: Node, component: int = 0) -> Node:
        """The bound node of one component of a core node."""
        waiting = [(node, component)]
        while waiting:  # a stack of our own: an expression may be deeper than Python's
            item = waiting[-1]
            if needed := [need for need in self._needs(*item) if need not in self._done]:
                waiting.extend(needed)
                continue
            waiting.pop()
            if item not in self._done:
                self._done[item] = self._bound(*item)
                self._note(self._done[item], self.info[item[0]].dtype)
        return self._done[node, component]

    def _needs(self, node: Node, component: int) -> list[tuple[Node, int]]:
        """What must be bound before: operands; of a reduction its keys, and of a place its value besides."""
        if node.op in REDUCTIONS:
            used = () if REDUCTIONS[node.op].table else operands(node)[1]
            return [(arg, 0) for arg in (*used, *(node.args[:1] if node.op == "place" else ()))]
        if node == self.info[node].wide:
            return [(node.args[0], 0)]
        return [(arg, component if self.info[arg].wide else 0) for arg in node.args]

    def _note(self, bound: Node, dtype: DType) -> None:
        operands = [self.info[arg] for arg in bound.args if arg.op != "table"]
        scalar = all(info.scalar for info in operands) if bound.args else bound.op in ("lit", "state", "table")
        # A column without nulls in training may have some when scoring: what runs is ready for them.
        nullable = bound.op == "col" or (bound.op == "lit" and bound["value"] is None) or may_be_null(bound, operands)
        self.info[bound] = Info(dtype, nullable, scalar)

    def _bound(self, node: Node, component: int) -> Node:
        if node.op in REDUCTIONS:
            return self._learned(node, component)
        if node == self.info[node].wide:
            return self._component(node, component)
        args = tuple(self.bind(arg, component if self.info[arg].wide else 0) for arg in node.args)
        return node if args == node.args else Node(node.op, args, node.params, node.written)

    def _learned(self, node: Node, component: int) -> Node:
        slot = self._slot[node]
        if REDUCTIONS[node.op].table:
            return make("table", slot=slot.index)
        _, keys = operands(node)
        bound = [self.bind(key) for key in keys]
        if node.op == "place":  # the value itself is what is looked up, within its group
            bound.append(self.bind(node.args[0]))
        by_fold = bool(slot.folds) and self._training
        if by_fold:
            bound.append(self.fold(slot.folds))
        if not bound:
            return make("state", slot=slot.index, component=component).as_written(node)
        dtype = str(self.info[node].dtype)
        found = make("lookup", *bound, slot=slot.index, component=component, by_fold=by_fold, dtype=dtype)
        return found.as_written(node)

    def fold(self, folds: int) -> Node:
        """The fold of each row, by the hash of its identity."""
        node = make("fold_of", folds=folds)
        self.info[node] = Info(Int64, nullable=False)
        return node

    def _component(self, node: Node, component: int) -> Node:
        source = self.bind(node.args[0])
        if node.op == "word_ngrams":
            counts = node.with_args((source,))
            if counts != node:  # over a source column the two are one, and the core node's width must stay known
                self._note(counts, self.info[node].dtype)
            return make("pick", counts, index=component)
        slot = self._slot[node.args[1]].index
        found = make("codes", source, make("table", slot=slot), other_buckets=1)
        self._note(found, Int32)
        code = self._code(node, component, len(self.fitted.labels(slot)))
        literal = make("lit", value=code, dtype="Int64")
        self._note(literal, Int64)
        equal = make("eq", found, literal).as_written(node)
        if node.op == "one_hot":
            return equal
        # A class is not known where the label is null; that is not the same as another class.
        missing = make("is_null", source)
        self._note(equal, Boolean)
        self._note(missing, Boolean)
        return make("null_if", equal, missing)

    def _code(self, node: Node, component: int, entries: int) -> int:
        if node.op == "class_indicator" and entries <= 2:
            return _FIRST_CODE + entries - 1
        return component + _FIRST_CODE if component < entries else 0


def bind_outputs(binder: Binder, features: Iterable[tuple[str, Node, DType]]) -> list[Output]:
    """The outputs of features (name, core node, type): a wide one becomes a column for each component."""
    outputs = []
    for name, node, dtype in features:
        wide = binder.info[node].wide
        labels = [""] if wide is None else binder.labels(wide)
        for component, label in enumerate(labels):
            full = f"{name}_{label}" if label or (wide is not None and len(labels) > 1) else name
            outputs.append(Output(full, binder.bind(node, component), dtype))
    _refuse_twins(outputs)
    return outputs


def _refuse_twins(outputs: Sequence[Output]) -> None:
    """Names that only the categories made equal."""
    seen: dict[str, Output] = {}
    for output in outputs:
        if output.name in seen:
            raise DuplicateNameError(
                f"Two features are named {output.name!r}, now that the categories are known: {show(output.node)} and "
                f"{show(seen[output.name].node)}. Give one of the expressions another .alias(…)."
            )
        seen[output.name] = output
