"""Scaling numbers."""

from gpupipe.expr.expr import Expr
from gpupipe.expr.registry import operator


@operator(peer="StandardScaler", family="scaling")
def standardize(x: Expr) -> Expr:
    """Less the mean, over the standard deviation (ddof 0); a constant column becomes 0."""
    return (x - x.mean()) / x.std().nonzero()


@operator(peer="MinMaxScaler", family="scaling")
def min_max(x: Expr) -> Expr:
    """From 0 at the least value to 1 at the greatest; a constant column becomes 0."""
    return (x - x.min()) / (x.max() - x.min()).nonzero()


@operator(peer="RobustScaler", family="scaling")
def robust(x: Expr) -> Expr:
    """Less the median, over the distance between the quartiles."""
    return (x - x.median()) / (x.quantile(0.75) - x.quantile(0.25)).nonzero()


@operator(peer="MaxAbsScaler", family="scaling")
def max_abs(x: Expr) -> Expr:
    """Over the greatest absolute value."""
    return x / x.abs().max().nonzero()
