"""The reference backend: node by node over whole columns, in NumPy. Slow, plain, and the oracle of the others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.backends import strings
from gpupipe.backends.bins import bins
from gpupipe.backends.categories import CATEGORIES, Tables
from gpupipe.backends.registers import fold_numbers, height, leaving, literal_column, loaded, spread, spread_valid
from gpupipe.backends.taking import OnHost
from gpupipe.backends.text import TEXT
from gpupipe.columns import AnyColumn, Column, Frame, Values
from gpupipe.compiler.bind import Output
from gpupipe.compiler.expand import only_column
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.info import Info
from gpupipe.errors import CastError, DataError, IntegerOverflowError, InternalError
from gpupipe.expr.elementwise import ELEMENTWISE, Elementwise
from gpupipe.expr.forms import Checked
from gpupipe.expr.node import Node, show, walk
from gpupipe.schema import Boolean, DType, Float64, Int64, String, parse_dtype

_SHOWN = 200  # characters of an expression that a message shows


class ReferenceBackend(OnHost):
    """Evaluates bound nodes one by one.

    >>> ReferenceBackend().name
    'reference'
    """

    name = "reference"

    def prepare(self, outputs: Sequence[Output], info: Mapping[Node, Info], tables: Tables) -> "ReferenceProgram":
        """The outputs, ready to run."""
        return ReferenceProgram(tuple(outputs), tables)


@dataclass(frozen=True, slots=True)
class ReferenceProgram:
    """Bound outputs and the learned tables they refer to."""

    outputs: tuple[Output, ...]
    tables: Tables

    def columns(self, frame: Frame) -> list[Column]:
        """Each output over the rows of `frame`, in the type it leaves in."""
        values = evaluate_all([output.node for output in self.outputs], frame, self.tables)
        return [leaving(values[output.node], output.dtype, frame.n_rows) for output in self.outputs]

    def resident(self, frame: Frame) -> list[AnyColumn]:
        """The same: there is no other memory."""
        return list(self.columns(frame))

    def matrix(self, frame: Frame, out: Values) -> None:
        """The outputs as the columns of `out` (float32, shape (rows, outputs)); null as NaN."""
        for index, column in enumerate(self.columns(frame)):
            out[:, index] = column.values
            if column.valid is not None:
                out[~column.valid, index] = np.nan


def evaluate(expression: Node, frame: Frame) -> Column:
    """One core node without reductions over the rows of `frame`."""
    column = evaluate_all([expression], frame, Tables(Fitted()))[expression]
    return spread(column, frame.n_rows)


def evaluate_all(nodes: Sequence[Node], frame: Frame, tables: Tables) -> dict[Node, Column]:
    """Every node under `nodes`, over the rows of `frame`; scalars have one row."""
    done: dict[Node, Column] = {}
    with np.errstate(all="ignore"):
        for node in walk(*nodes):
            if node.op != "table":
                done[node] = _evaluate(node, [done[arg] for arg in node.args if arg.op != "table"], frame, tables)
    return done


def _evaluate(node: Node, args: list[Column], frame: Frame, tables: Tables) -> Column:
    if node.op == "col":
        return loaded(frame[node["name"]], node["name"])
    if node.op == "lit":
        return literal_column(node["value"], parse_dtype(node["dtype"]))
    if node.op == "state":
        return loaded(tables.learned(node).value, "")
    if node.op == "fold_of":
        return Column(Int64, fold_numbers(frame.row_ids, node["folds"]))
    if node.op == "pick":
        return Column(args[0].dtype, args[0].values[node["index"]], args[0].valid)
    if node.op in _SPECIAL:
        return _SPECIAL[node.op](node, args)
    return columnwise(node, args, tables) if node.op not in ELEMENTWISE else _elementwise(node, args)


def columnwise(node: Node, args: list[Column], tables: Tables) -> Column:
    """A whole-column operation, or a scalar one over text, in the type it is computed on in."""
    return loaded(as_made(node, args, tables), "")


def as_made(node: Node, args: list[Column], tables: Tables) -> Column:
    """The same, in the type that it comes in: codes are int32."""
    if node.op in TEXT:
        with computing(node):
            return TEXT[node.op](node, args[0])
    if node.op == "bins":
        return bins(*args)
    if node.op in CATEGORIES:
        with computing(node):
            return CATEGORIES[node.op](tables, node, *args)
    if node.op == "select":
        return strings.select(args[0], args[1], args[2])
    if node.op == "coalesce":
        return strings.coalesce(args[0], args[1])
    if node.op in ("is_null", "is_not_null"):
        return _null_test(node, args)
    if any(arg.dtype == String for arg in args):
        return strings.compare(node.op, args[0], args[1])
    return _elementwise(node, args)


def _elementwise(node: Node, args: list[Column]) -> Column:
    if any(arg.dtype == String for arg in args):
        return strings.compare(node.op, args[0], args[1])
    row = ELEMENTWISE[node.op]
    size = height(args)
    values, dtype = _form(row, args)
    valid = spread_valid(args, size)
    if not isinstance(values, Checked):
        return Column(dtype, values, valid)
    with computing(node):
        return _checked(node, args, values, valid, dtype)


def _form(row: Elementwise, args: list[Column]) -> tuple[Any, DType]:
    whole = row.integer is not None and args[0].values.dtype.kind in "i"
    function = row.integer if whole else row.numpy
    if function is None:
        raise InternalError(f"{row.name} has no NumPy form.")
    _, dtype = row.rule(row.name, [_kind(arg) for arg in args])
    return function(*(arg.values for arg in args)), dtype


def _kind(column: Column) -> DType:
    if column.values.dtype.kind == "b":
        return Boolean
    return column.dtype if column.dtype.is_temporal else (Float64 if column.values.dtype.kind == "f" else Int64)


def _checked(node: Node, args: list[Column], result: Checked, valid: Values | None, dtype: DType) -> Column:
    error = result.error
    if error is not None and valid is not None:
        error = error & valid
    null = result.null
    if error is not None and error.any():
        if node.get("strict", True):
            row = int(np.flatnonzero(np.atleast_1d(error))[0])
            raise _failure(node, [arg.values[row if len(arg) > 1 else 0].item() for arg in args]).at(row)
        null = error if null is None else null | error
    if null is not None and np.any(null):
        valid = ~null if valid is None else valid & ~null
    return Column(dtype, result.values, valid)


def _failure(node: Node, values: list[Any]) -> DataError:
    """The error of values that an operation cannot give a result for."""
    if node.op in ("to_integer", "narrow"):
        why = f"the value {values[0]!r} does not fit the type of the cast"
        return CastError(f"{why}. strict=False makes such values null.")
    shown = " and ".join(str(value) for value in values)
    return IntegerOverflowError(f"the result leaves int64, of {shown}. Cast an operand to Float64 before.")


@contextmanager
def computing(node: Node) -> Iterator[None]:
    """Errors of data inside say what was being computed, and of which column."""
    try:
        yield
    except DataError as error:
        raise error.within(show(node)[:_SHOWN]).at(column=only_column(node)) from None


def _view(node: Node, args: list[Column]) -> Column:
    (column,) = args
    values = column.values.astype(np.int64) if column.values.dtype.kind == "b" else column.values
    return Column(parse_dtype(node["dtype"]), values, column.valid)


def _to_float(node: Node, args: list[Column]) -> Column:
    return Column(Float64, args[0].values.astype(np.float64), args[0].valid)


def _null_test(node: Node, args: list[Column]) -> Column:
    column = args[0]
    valid = np.ones(len(column), bool) if column.valid is None else np.array(column.valid)
    return Column(Boolean, valid if node.op == "is_not_null" else ~valid)


def _kleene(node: Node, args: list[Column]) -> Column:
    deciding = node.op == "or"  # true decides an or, false an and
    size = height(args)
    a, b = (spread(arg, size) for arg in args)
    decided = _known(a, deciding) | _known(b, deciding)
    if a.valid is None and b.valid is None:
        return Column(Boolean, (a.values | b.values) if deciding else (a.values & b.values))
    both = _valid(a) & _valid(b)
    return Column(Boolean, np.where(decided, deciding, not deciding), decided | both)


def _known(column: Column, value: bool) -> Values:
    return np.asarray((column.values == value) & _valid(column))


def _valid(column: Column) -> Values:
    return np.ones(len(column), bool) if column.valid is None else column.valid


def _select(node: Node, args: list[Column]) -> Column:
    if String in (args[1].dtype, args[2].dtype):
        return strings.select(*args)
    size = height(args)
    condition, then, otherwise = (spread(arg, size) for arg in args)
    holds = _known(condition, True)
    values = np.where(holds, then.values, otherwise.values)
    if then.valid is None and otherwise.valid is None:
        return Column(then.dtype, values)
    return Column(then.dtype, values, np.where(holds, _valid(then), _valid(otherwise)))


def _coalesce(node: Node, args: list[Column]) -> Column:
    if args[0].dtype == String:
        return strings.coalesce(*args)
    if args[0].valid is None:
        return args[0]
    size = height(args)
    first, second = (spread(arg, size) for arg in args)
    valid = _valid(first) | _valid(second)
    values = np.where(_valid(first), first.values, second.values)
    return Column(first.dtype, values, None if valid.all() else valid)


def _null_if(node: Node, args: list[Column]) -> Column:
    size = height(args)
    value, condition = (spread(arg, size) for arg in args)
    return Column(value.dtype, value.values, _valid(value) & ~_known(condition, True))


_SPECIAL = {
    "view": _view,
    "to_float": _to_float,
    "is_null": _null_test,
    "is_not_null": _null_test,
    "and": _kleene,
    "or": _kleene,
    "select": _select,
    "coalesce": _coalesce,
    "null_if": _null_if,
}
