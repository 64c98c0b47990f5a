"""Categories into numbers."""

import math
from collections.abc import Sequence
from typing import Any

from gpupipe.errors import ParameterError
from gpupipe.expr.expr import Expr, as_column, target
from gpupipe.expr.literal import literal, one_type
from gpupipe.expr.node import make
from gpupipe.expr.reductions import FOLDS, reduce
from gpupipe.expr.registry import operator
from gpupipe.features.arguments import checked_seed, is_whole, whole_number

WIDTH_LIMIT = 1000


@operator(peer="NVTabular Categorify", takes="text", arguments=(), family="categories")
def codes(x: Expr, min_count: int = 1, max_size: int | None = None, other_buckets: int = 1) -> Expr:
    """Category codes: 0 null, 1 … B other, from B + 1 the vocabulary, most frequent first.

    Values seen fewer than `min_count` times, beyond `max_size`, or never, are other; with several
    `other_buckets` (B) they are spread by their hash.
    """
    whole_number("other_buckets", other_buckets)
    vocabulary = x.vocabulary(min_count=min_count, max_size=max_size)
    return x._call("codes", vocabulary, other_buckets=other_buckets)


@operator(peer="OneHotEncoder; Polars to_dummies", takes="text", family="categories")
def one_hot(
    x: Expr, min_count: int = 1, max_size: int | None = None, null: bool = False, limit: int = WIDTH_LIMIT
) -> Expr:
    """A column of 0 and 1 for each value of the vocabulary, by value; all zeros for null and for unseen values.

    ``null=True`` gives null a column of its own. More than `limit` columns are refused, naming the column.
    """
    vocabulary = x.vocabulary(min_count=min_count, max_size=max_size, order="value")
    return x._call("one_hot", vocabulary, null=bool(null), limit=whole_number("limit", limit))


@operator(peer="OrdinalEncoder(categories=…)", takes="text", arguments=(["Bern", "Bonn"],), family="categories")
def ordinal(x: Expr, order: Sequence[Any], unknown: str = "error") -> Expr:
    """The position in `order`, from 0; a value not listed is an error, or null with ``unknown="null"``.

    Values are taken in the column's type, as with ``is_in``.
    """
    nodes = [literal(value) for value in order]
    values = [node["value"] for node in nodes]
    dtype = one_type("ordinal", order, nodes)
    if not values or len(set(values)) != len(values) or None in values:
        raise ParameterError(f"ordinal takes distinct values, none of them null, not {list(order)!r}.")
    if unknown not in ("error", "null"):
        raise ParameterError(f"unknown is 'error' or 'null', not {unknown!r}.")
    return x._call("ordinal", order=tuple(values), dtype=dtype, unknown=unknown)


@operator(peer="CountFrequencyEncoder (feature-engine)", takes="text", family="categories")
def frequency(x: Expr) -> Expr:
    """The share of training rows with the same value; null is a value of its own; unseen gives 0."""
    ones = Expr(literal(1))
    rows = reduce(ones, "count")
    share = reduce(ones, "count").over(x) / rows
    return Expr(make("named_as", share._call("coalesce", 0)._node, x._node)).suffix("_frequency")


@operator(peer="FeatureHasher; NVTabular HashBucket", takes="any", arguments=(16,), family="categories")
def hash_buckets(x: Expr, n_buckets: int, seed: int = 0) -> Expr:
    """The XXH64 hash of the value, modulo `n_buckets`; null has a hash of its own."""
    return x._call("hash_bucket", buckets=whole_number("n_buckets", n_buckets), seed=checked_seed(seed))


@operator(peer="NVTabular HashedCross", takes="any", arguments=("x", 16), family="categories")
def cross(x: Expr, *others: Any, seed: int = 0) -> Expr:
    """Several columns hashed together into the buckets that the last argument counts; order matters."""
    if len(others) < 2 or not isinstance(others[-1], int):
        raise ParameterError("cross takes one column or more, then the number of buckets: x.cross('y', 1000).")
    *columns, buckets = others
    nodes = [as_column(column) for column in columns]
    size, seed = whole_number("buckets", buckets), checked_seed(seed)
    crossed = Expr(make("hash_bucket", x._node, *nodes, buckets=size, seed=seed))
    names = [node["name"] for node in nodes if node.op == "col"]
    return crossed.suffix("".join(f"_{name}" for name in names) + "_cross")


@operator(peer="TargetEncoder", takes="text", family="categories")
def target_mean(x: Expr, smoothing: float = 20.0, folds: int = FOLDS) -> Expr:
    """The target's mean among rows of the same value, smoothed: (sum + s · mean) / (n + s).

    While fitting, a row's value comes from the folds it is not in; later from all training rows. A column a class
    when the target has more than two. Micci-Barreca 2001, in the m-estimate form.
    """
    if isinstance(smoothing, bool) or not isinstance(smoothing, int | float) or not 0 <= smoothing < math.inf:
        raise ParameterError(f"smoothing is a number from 0 on, not {smoothing!r}.")
    if not is_whole(folds) or folds < 2:
        raise ParameterError(f"folds is a whole number from 2 on, not {folds!r}.")
    y = target()
    total, rows, prior = (reduce(y, op, folds=folds) for op in ("sum", "count", "mean"))
    total, rows = total.over(x), rows.over(x)
    smoothed = (total + float(smoothing) * prior) / (rows + float(smoothing))
    return Expr(make("named_as", smoothed._call("coalesce", prior)._node, x._node)).suffix("_target_mean")
