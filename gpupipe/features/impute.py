"""Missing values."""

from typing import Any

from gpupipe.errors import ParameterError, nearest
from gpupipe.expr import reductions
from gpupipe.expr.expr import Expr
from gpupipe.expr.registry import operator

_STRATEGIES = {name: getattr(reductions, name) for name in reductions.FILLS}


@operator(peer="SimpleImputer; Polars fill_null", takes="any", arguments=(0,), family="missing values")
def fill_null(x: Expr, value: Any = None, *, strategy: str | None = None) -> Expr:
    """Nulls replaced: by a constant, an expression, or "mean", "median", "mode", "min", "max" of the column.

    A text constant that is not one of these words is taken as itself; ``strategy=`` says it beyond doubt, and
    ``fill_null(gp.lit("mean"))`` fills with the word.
    """
    if strategy is None and isinstance(value, str) and value in _STRATEGIES:
        value, strategy = None, value
    if strategy is None:
        if value is None:
            raise ParameterError('fill_null takes a value, or one of "mean", "median", "mode", "min", "max".')
        return x._call("coalesce", value)
    if strategy not in _STRATEGIES or value is not None:
        raise ParameterError(f"fill_null has no strategy {strategy!r}. {nearest(str(strategy), _STRATEGIES)}")
    return x._call("coalesce", _STRATEGIES[strategy](x))


@operator(peer="MissingIndicator", takes="any", family="missing values")
def missing_flag(x: Expr) -> Expr:
    """1 where it is null, 0 elsewhere."""
    return x._call("is_null").suffix("_missing")
