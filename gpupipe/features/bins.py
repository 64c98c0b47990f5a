"""Numbers into bins."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr
from gpupipe.expr.registry import operator
from gpupipe.features.arguments import is_whole


@operator(peer="Keras Discretization; NumPy digitize", arguments=([0.0, 1.0],), family="bins")
def bucketize(x: Expr, boundaries: Sequence[float]) -> Expr:
    """The number of `boundaries` at or below the value: 0 … len(boundaries). Null stays null.

    ``[a, b)`` bins, as ``numpy.digitize``; NaN falls beyond the last boundary.
    """
    try:
        listed = [float(bound) for bound in boundaries]
    except (TypeError, ValueError):
        listed = []
    if not listed or math.isnan(listed[0]) or any(not low < high for low, high in pairwise(listed)):
        raise ParameterError(f"bucketize takes a list of numbers that increase, not {boundaries!r}.")
    return _bins(x, listed)


@operator(peer="KBinsDiscretizer(strategy='quantile'); Polars qcut", arguments=(4,), family="bins")
def qcut(x: Expr, n_bins: int) -> Expr:
    """The bin between quantiles: 0 … n_bins - 1, of about equal counts in training. Null stays null.

    A value equal to a quantile falls in the upper bin; values beyond those seen fall in the outer bins.
    """
    if not is_whole(n_bins) or n_bins < 2:
        raise ParameterError(f"qcut takes 2 bins or more, not {n_bins!r}.")
    return _bins(x, [x.quantile(rank / n_bins) for rank in range(1, n_bins)])


def _bins(x: Expr, bounds: list[Any]) -> Expr:
    return x._call("bins", *bounds)
