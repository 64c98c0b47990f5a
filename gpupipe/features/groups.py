"""Statistics of groups of rows."""

from collections.abc import Sequence
from typing import Any

from gpupipe.errors import ParameterError, nearest
from gpupipe.expr.expr import Expr, as_column
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.expr.registry import operator
from gpupipe.features.scalar import several


@operator(peer="NVTabular JoinGroupby", arguments=("city",), family="groups")
def group_statistics(x: Expr, *keys: Any, statistics: Sequence[str] = ("mean", "std", "count")) -> Expr:
    """Statistics of the column among rows that share `keys`, a column each: x_by_city_mean, … Unseen keys give null."""
    known = [name for name, row in REDUCTIONS.items() if not row.table and name not in ("quantile", "place")]
    for name in statistics:
        if name not in known:
            raise ParameterError(f"There is no statistic {name!r}. {nearest(str(name), known)}")
    nodes = [as_column(key) for key in keys]
    by = "_".join(str(node["name"]) for node in nodes if node.op == "col")
    return several(*(getattr(x, name)().over(*keys).suffix(f"_by_{by}_{name}") for name in statistics))


@operator(peer="Polars (x - x.mean()).over(key)", arguments=("city",), family="groups")
def standardize_over(x: Expr, *keys: Any) -> Expr:
    """Standardised within each group of rows that share `keys`."""
    return x.standardize().over(*keys)
