"""What is done to a merged state before it is finished: rows of values that were not known during the scan."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from gpupipe.backends.categories import Tables
from gpupipe.backends.indexes import KeyIndex
from gpupipe.backends.keys import factorize, is_nan
from gpupipe.backends.reference import evaluate_all
from gpupipe.backends.registers import leaving
from gpupipe.backends.states.gathering import gather, regroup, with_rows, without_nulls
from gpupipe.backends.states.integers import total
from gpupipe.backends.states.moments import INFINITE, TAILS
from gpupipe.backends.states.state import State, groups_of
from gpupipe.backends.states.tails import Clipped, amid, clipped, ends_clipped
from gpupipe.columns import Column, Frame, Values
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan, gathered_type
from gpupipe.compiler.late import Constant, Key, Late, rows_of
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import Slot
from gpupipe.errors import DataError, NonFiniteError
from gpupipe.expr.node import Node, make, show, walk
from gpupipe.schema import DType, Float64

_KEY = "key {}"


def seen(state: State) -> Values:
    """int64 of shape (n_groups,): how many rows of each group are not null."""
    if "n" in state.arrays or state.entries is None:
        return state.arrays["n"].astype(np.int64)
    return total(state.entries.counts, state.entries.groups, state.n_groups)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows that all have one value in each group.

    Attributes:
        keys: the groups' keys; none for one group.
        times: int64, how many rows each group has.
    """

    keys: list[Column]
    times: Values


class Waiting:
    """What the slots of one scan wait for, known once the slots before them are finished.

    Args:
        states: the merged states of the scan, in the order of its intakes.
        fitted: what has been learned so far; slots that are finished later are added by others.
    """

    def __init__(self, plan: Plan, bound: BoundScan, states: Sequence[State], fitted: Fitted) -> None:
        self._info = plan.info
        self._binder = Binder(plan.slots, fitted, plan.info)
        self._tables = Tables(fitted)
        gathers = [intake.gather for intake in bound.intakes]
        self._states = {
            (gather.value, gather.keys): state
            for gather, state in zip(gathers, states, strict=True)
            if gather.tells_nulls
        }
        #: The last state that rows were added to, what for, and what came of it: a mean and a deviation share it.
        self._last: tuple[State, Late, State] | None = None
        #: The same of what clipping makes of a state's ends, which is asked for before and when rows are added.
        self._ends: tuple[State, Node, Clipped] | None = None

    def rows(self, slot: Slot) -> list[Rows]:
        """The rows of each constant of a slot."""
        found, before = [], None
        for absent, keys in slot.counted:
            state = self._states[absent, keys]
            nulls = state.rows - seen(state)
            found.append(Rows(state.keys, nulls if before is None else nulls - before))
            before = nulls
        return found

    def applied(self, slot: Slot, state: State) -> State:
        """The state of a slot with all its rows in it, in the groups they belong to.

        Raises:
            NonFiniteError: what nulls are filled with is NaN, or infinite where the state takes no infinity.
        """
        late = replace(slot.late, suffix=None)
        if self._last is None or self._last[0] is not state or self._last[1] != late:
            self._last = state, late, self._with_all(slot, state)
        whole = self._last[2]
        if late.clip is not None and slot.node.op != "sum" and whole.arrays["infinite"].any():
            raise NonFiniteError(INFINITE)
        return whole

    def _with_all(self, slot: Slot, state: State) -> State:
        if slot.late.clip is not None:
            state = self._clipped(slot.late.clip, state)
        for constant, rows in zip(slot.late.constants, self.rows(slot), strict=True):
            some = rows.times > 0
            if some.any():
                state = self._with(slot, constant, state, Rows([key.take(some) for key in rows.keys], rows.times[some]))
        return self._rekeyed(slot, state) if any(slot.late.keys) else state

    def amid(self, slot: Slot, state: State) -> Values:
        """float64, where the rows of a slot that clips must be divided first: bounds that lie amid a run of them."""
        clip = slot.late.clip
        if clip is None or state.entries is not None:
            return np.zeros(0)
        return amid(state, self._ends_clipped(clip, state))

    def _clipped(self, clip: Node, state: State) -> State:
        """The state as if all values had been clipped before."""
        if state.entries is None:
            return clipped(state, self._ends_clipped(clip, state))
        values = Column(Float64, state.entries.values.values.astype(np.float64))  # all of them were kept
        return gather(TAILS.name, self._taken(clip, values), groups_of([], len(values)), state.entries.counts)

    def _ends_clipped(self, clip: Node, state: State) -> Clipped:
        if self._ends is None or self._ends[0] is not state or self._ends[1] != clip:
            self._ends = state, clip, ends_clipped(state, lambda values: self._taken(clip, values))
        return self._ends[2]

    def _taken(self, steps: Node, values: Column) -> Column:
        """What steps make of the values gathered."""
        (leaf,) = (node for node in rows_of(steps) if node.op == "gathered")
        return self.values(steps, {leaf: values}, len(values), self._info[steps].dtype)

    def _with(self, slot: Slot, constant: Constant, state: State, rows: Rows) -> State:
        groups = np.zeros(len(rows.times), np.int64)
        if slot.keys:
            groups = KeyIndex(state.keys).find(rows.keys[: len(slot.keys)])
        with _filling(constant.value):
            bases = dict(zip(slot.counted[0][1], rows.keys, strict=True))
            by = {key.node: self._key(key, bases[key.base]) for key in constant.keys}
            clip, dtype = slot.late.clip, self._info[slot.base].dtype
            values = self.values(constant.value, by, len(groups), dtype if clip is None else Float64)
            values = values if clip is None else self._taken(clip, values)
            if is_nan(values) is not None:
                raise NonFiniteError("it is NaN, which has no place among the values. Fill with a number.")
            return with_rows(without_nulls(state, rows.times, groups), values, rows.times, groups)

    def values(self, node: Node, by: Mapping[Node, Column], n_groups: int, dtype: DType) -> Column:
        """The value of a core node over statistics for each of `n_groups` groups, in the type `dtype` is gathered in.

        Args:
            by: the keys of the groups, by their core nodes.
        """
        names = {self._binder.bind(key): _KEY.format(at) for at, key in enumerate(by)}
        placed = _placed(self._binder.bind(node), names)
        columns = {_KEY.format(at): column for at, column in enumerate(by.values())}
        return self._evaluated(placed, columns, n_groups, dtype)

    def _evaluated(self, node: Node, columns: Mapping[str, Column], n_rows: int, dtype: DType) -> Column:
        frame = Frame(columns, n_rows, np.zeros(n_rows, np.uint64))
        try:
            found = evaluate_all([node], frame, self._tables)[node]
            return leaving(found, gathered_type(dtype), n_rows)
        except DataError as error:
            error.row = error.column = None  # these are groups, and columns that nobody knows
            raise

    def _key(self, key: Key, column: Column) -> Column:
        """A key of groups, from what they were gathered by: nulls take the value that they are filled with."""
        if key.fill is None or column.valid is None or column.valid.all():
            return column
        node = make("coalesce", make("col", name="key"), self._binder.bind(key.fill))
        with _filling(key.fill):
            return self._evaluated(node, {"key": column}, len(column), self._info[key.base].dtype)

    def _rekeyed(self, slot: Slot, state: State) -> State:
        """The state with the groups of null keys among those of the value that nulls take."""
        keys = list(state.keys)
        for at, (base, fill) in enumerate(zip(slot.keys, slot.late.keys, strict=True)):
            keys[at] = self._key(Key(base, base, fill), keys[at])
        if all(new is old for new, old in zip(keys, state.keys, strict=True)):
            return state
        groups, merged = factorize(keys)
        return regroup(state, merged, groups, groups >= 0)


def _placed(root: Node, names: Mapping[Node, str]) -> Node:
    """`root` with columns of these names in the place of the nodes that have one; it shows as it was written."""
    done: dict[Node, Node] = {}
    for node in walk(root):
        if node in names:
            done[node] = make("col", name=names[node]).as_written(show(node))
        else:
            done[node] = Node(node.op, tuple(done[arg] for arg in node.args), node.params, node.written)
    return done[root]


@contextmanager
def _filling(value: Node) -> Iterator[None]:
    """Errors inside say what rows were filled with; of no one row, since it is the value of many."""
    try:
        yield
    except DataError as error:
        error.row = None
        raise error.within(f"nulls become {show(value)}") from None
