"""What a user writes: a thin wrapper around a node that overloads Python's operators."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gpupipe.arguments import named_arguments
from gpupipe.errors import ParameterError, TraceError
from gpupipe.expr.literal import literal
from gpupipe.expr.methods import Methods
from gpupipe.expr.node import Node, make, rewrite, show, walk
from gpupipe.expr.ufuncs import UFUNCS
from gpupipe.expr.untraceable import Untraceable, instead

_COMPOSED: dict[str, Callable[["Expr"], "Expr"]] = {
    "pos": lambda x: x,
    "square": lambda x: x * x,
    "log2": lambda x: x._call("log") * (1 / np.log(2.0)),
    "log10": lambda x: x._call("log") * (1 / np.log(10.0)),
    "radians": lambda x: x * (np.pi / 180.0),
    "reciprocal": lambda x: 1.0 / x,
    "tan": lambda x: x._call("sin") / x._call("cos"),
}


def as_node(value: Any) -> Node:
    """The node of an expression, or the literal of anything else."""
    return value._node if isinstance(value, Expr) else literal(value)


def as_column(value: Any) -> Node:
    """Like :func:`as_node`, where a string names a column."""
    return make("col", name=value) if isinstance(value, str) else as_node(value)


class Expr(Methods, Untraceable):
    """A column expression. Operators, NumPy's ufuncs and registered operators build larger ones.

    >>> import numpy as np
    >>> np.log(col("x") + 1) * 2
    ((x + 1).log() * 2)
    """

    __slots__ = ("_node",)
    __hash__ = None  # type: ignore[assignment]  # == builds an expression

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return show(self._node)

    def _as_written(self, result: Any, name: str, args: Any, kwargs: Any) -> Any:
        """`result`, showing as the call of an operator that made it."""
        if type(result) is not Expr:
            return result
        arguments = [_piece(arg) for arg in args] + [(f"{key}=", *_piece(value)) for key, value in kwargs.items()]
        between = [piece for argument in arguments for piece in (", ", *argument)][1:]
        return Expr(result._node.as_written(self._node, f".{name}(", *between, ")"))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Expr, (self._node,))

    def _call(self, op: str, *others: Any, **params: Any) -> "Expr":
        return Expr(make(op, self._node, *(as_node(other) for other in others), **params))

    def _reflected(self, op: str, other: Any) -> "Expr":
        return Expr(make(op, as_node(other), self._node))

    # -- Python's operators -------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> "Expr":
        return self._call("add", other)

    def __radd__(self, other: Any) -> "Expr":
        return self._reflected("add", other)

    def __sub__(self, other: Any) -> "Expr":
        return self._call("sub", other)

    def __rsub__(self, other: Any) -> "Expr":
        return self._reflected("sub", other)

    def __mul__(self, other: Any) -> "Expr":
        return self._call("mul", other)

    def __rmul__(self, other: Any) -> "Expr":
        return self._reflected("mul", other)

    def __truediv__(self, other: Any) -> "Expr":
        return self._call("div", other)

    def __rtruediv__(self, other: Any) -> "Expr":
        return self._reflected("div", other)

    def __floordiv__(self, other: Any) -> "Expr":
        return self._call("floordiv", other)

    def __rfloordiv__(self, other: Any) -> "Expr":
        return self._reflected("floordiv", other)

    def __mod__(self, other: Any) -> "Expr":
        return self._call("mod", other)

    def __rmod__(self, other: Any) -> "Expr":
        return self._reflected("mod", other)

    def __pow__(self, other: Any) -> "Expr":
        return self._call("power", other)

    def __rpow__(self, other: Any) -> "Expr":
        return self._reflected("power", other)

    def __neg__(self) -> "Expr":
        return self._call("neg")

    def __pos__(self) -> "Expr":
        return self

    def __abs__(self) -> "Expr":
        return self._call("abs")

    def __eq__(self, other: Any) -> "Expr":  # type: ignore[override]
        return self._call("eq", other)

    def __ne__(self, other: Any) -> "Expr":  # type: ignore[override]
        return self._call("ne", other)

    def __lt__(self, other: Any) -> "Expr":
        return self._call("lt", other)

    def __le__(self, other: Any) -> "Expr":
        return self._call("le", other)

    def __gt__(self, other: Any) -> "Expr":
        return self._call("gt", other)

    def __ge__(self, other: Any) -> "Expr":
        return self._call("ge", other)

    def __and__(self, other: Any) -> "Expr":
        return self._call("and", other)

    def __rand__(self, other: Any) -> "Expr":
        return self._reflected("and", other)

    def __or__(self, other: Any) -> "Expr":
        return self._call("or", other)

    def __ror__(self, other: Any) -> "Expr":
        return self._reflected("or", other)

    def __xor__(self, other: Any) -> "Expr":
        return self._call("xor", other)

    def __rxor__(self, other: Any) -> "Expr":
        return self._reflected("xor", other)

    def __invert__(self) -> "Expr":
        return self._call("not")

    # -- NumPy's functions --------------------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> "Expr":
        name = UFUNCS.get(ufunc.__name__)
        if method != "__call__" or kwargs or name is None:
            called = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            self._untraceable(f"np.{called} is not among what builds one", instead(ufunc.__name__))
        if name in _COMPOSED:
            return _COMPOSED[name](Expr(as_node(inputs[0])))
        return Expr(make(name, *(as_node(value) for value in inputs)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> "Expr":
        if function is np.where and len(args) == 3:
            return Expr(make("select", *(as_node(value) for value in args)))
        if function is np.clip and not kwargs:
            return Expr(as_node(args[0])).clip(*args[1:])
        self._untraceable(f"np.{function.__name__} is not among what builds one", instead(function.__name__))

    # -- structure ----------------------------------------------------------------------------------------------
    @named_arguments
    def alias(self, name: str) -> "Expr":
        """This expression under another name.

        >>> (col("a") / col("b")).alias("rate")
        (a / b).alias('rate')
        """
        if not isinstance(name, str) or not name:
            raise ParameterError(f"alias takes a name, not {name!r}.")
        return self._as_written(self._call("alias", name=name), "alias", (name,), {})

    @named_arguments
    def suffix(self, text: str) -> "Expr":
        """This expression, with `text` added to its name; for operators that change what a value means."""
        if not isinstance(text, str):
            raise ParameterError(f"suffix takes text to add to the name, not {text!r}.")
        return self._call("suffix", text=text)

    @named_arguments
    def over(self, *keys: Any) -> "Expr":
        """Every reduction in this expression taken for each group of rows that share `keys`.

        >>> col("charge").mean().over("region", "plan")
        charge.mean().over('region', 'plan')
        """
        if not keys:
            raise ParameterError("over takes one key or more: a column's name, or an expression.")
        for key in keys:
            if isinstance(key, list | tuple):
                raise ParameterError(f"over takes its keys one by one: .over({', '.join(map(repr, key))}).")
        nodes = tuple(as_column(key) for key in keys)
        marked = rewrite([self._node], lambda node: _keyed(node, nodes))[0]
        if marked == self._node:
            raise ParameterError(_why_not_over(self, keys))
        return self._as_written(Expr(marked), "over", keys, {})

    @named_arguments
    def map(self, function: Callable[["Expr"], Any]) -> "Expr":
        """`function` called once with this expression; what it builds fuses and saves like a built-in.

        Raises:
            TraceError: it branches on data, or leaves what can be expressed.

        >>> import numpy as np
        >>> col("x").map(lambda x: np.log(x) - x.mean())
        (x.log() - x.mean())
        """
        if not callable(function):
            raise ParameterError(f"map takes a function of an expression, not {function!r}.")
        result = function(self)
        if isinstance(result, Expr):
            return result
        try:
            return Expr(literal(result))
        except TypeError as error:
            raise TraceError(f"The function given to map returned {result!r}, which is no expression.") from error

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """``function(self, *args, **kwargs)``."""
        return function(self, *args, **kwargs)


def _why_not_over(expression: Expr, keys: tuple[Any, ...]) -> str:
    """Why ``over`` finds nothing to do: no statistic, or only those that have their keys already."""
    by = ", ".join(map(repr, keys))
    if any(node.get("keys") for node in walk(expression._node)):
        return f"{expression} is by group already, so not .over({by}) too. Give all keys at once: .over('a', 'b')."
    return f"{expression} has no statistic for over: write {expression}.mean().over({by}), say."


def _keyed(node: Node, keys: tuple[Node, ...]) -> Node:
    if "keys" in dict(node.params) and node["keys"] == 0:
        return Node(node.op, (*node.args, *keys), node.with_params(keys=len(keys)).params)
    return node


def _piece(argument: Any) -> tuple[str | Node, ...]:
    """An argument of an operator, as it shows."""
    return (argument._node,) if isinstance(argument, Expr) else (repr(argument),)


def col(name: str, *others: str) -> Expr:
    """The column `name`, and no others: for several there is `gpupipe.cols`.

    Raises:
        ParameterError: it is no name, or there are several.

    >>> col("age") + 1
    (age + 1)
    """
    if others:
        names = ", ".join(map(repr, (name, *others)))
        raise ParameterError(f"col is one column, and {1 + len(others)} are named. Several are gp.cols({names}).")
    if not isinstance(name, str):
        raise ParameterError(f"col takes a column's name, not {name!r}.")
    return Expr(make("col", name=name))


def lit(value: Any) -> Expr:
    """A constant.

    >>> lit(2) ** col("x")
    (2 ** x)
    """
    return Expr(literal(value))


def target() -> Expr:
    """The target as the model sees it: 0 and 1, one column a class, or the number itself; only statistics of it
    may stand in a feature, and while fitting a row sees those of other rows alone (out of fold)."""
    return Expr(make("target"))
