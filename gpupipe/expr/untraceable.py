"""What an expression cannot be: data. Each of Python's ways to ask for its values is refused, with what to write."""

from typing import Any, NoReturn

from gpupipe.errors import TraceError, nearest
from gpupipe.expr.node import Node, show
from gpupipe.expr.registry import find
from gpupipe.expr.ufuncs import UFUNCS


class Untraceable:
    """The refusals of an expression, which has a node."""

    __slots__ = ()
    _node: Node

    def _untraceable(self, what: str, hint: str) -> NoReturn:
        raise TraceError(f"{show(self._node)} is an expression, not data: {what}. {hint}")

    def __bool__(self) -> bool:
        self._untraceable(
            "it is neither true nor false",
            "Use gp.when(…).then(…).otherwise(…) for if, & | ~ for and, or, not, .is_in([…]) for in, "
            "and (0 < x) & (x < 1) for 0 < x < 1.",
        )

    def __contains__(self, item: Any) -> bool:
        self._untraceable("it holds no values", "Use .is_in([…]), or .str.contains(…) for a part of a text.")

    def __getitem__(self, item: Any) -> NoReturn:
        self._untraceable("it has no items", "Columns are gp.col(name); of a text .str.slice takes a part.")

    def __float__(self) -> float:
        self._untraceable("it is no number", "Use NumPy's functions on it, not those of math; they build expressions.")

    __int__ = __index__ = __float__

    def __len__(self) -> int:
        self._untraceable("it has no length", "Use .count() for the number of values, .str.len_chars() for texts'.")

    def __iter__(self) -> NoReturn:
        self._untraceable("no rows to walk over", "Write what happens to one row with operators and NumPy functions.")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._untraceable("it is no array", "Use NumPy's ufuncs (np.log, np.maximum, …), which build expressions.")


def instead(name: str) -> str:
    """What to write for a function of NumPy that builds no expression."""
    if find(name) is not None:
        return f"Write .{name}()."
    return f"{nearest(name, UFUNCS)} np.where and np.clip build expressions too."
