"""From covariances of columns and labels to those of features: nulls filled, labels chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gpupipe.backends.gram.state import Gram, Label
from gpupipe.columns import Values


@dataclass(frozen=True, slots=True)
class Number:
    """A feature that is a column, its nulls filled.

    Attributes:
        column: the column's number.
        fill: what stands for its nulls; None: it has none.
    """

    column: int
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class Indicator:
    """A feature that is 1 where a key has the label, and else 0.

    Attributes:
        key: the key's number.
        label: None is null.
        nulls: whether it is 1 where the key is null besides: the label is what fills nulls.
    """

    key: int
    label: Label
    nulls: bool = False


Feature = Number | Indicator
NO_KEY = -1  # of an indicator that is 0 in every row


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Means and centred sums of products of features.

    Attributes:
        n: how many rows.
        mean: of shape (features,).
        cross: of shape (features, features): the sums of ``(x - mean(x)) * (y - mean(y))``.

    Both are of NumPy's longest float, each value rounded to it once or twice: where it has more digits than float64,
    a solution can be refined with them.
    """

    n: int
    mean: Values
    cross: Values


def moments(gram: Gram, features: Sequence[Feature]) -> Moments:
    """The moments of features over the rows of a state; all arithmetic before the last rounding is exact.

    >>> cross = np.array([[3, 2, 5], [2, 2, 5], [5, 5, 13]], object)  # of 2, null, 3
    >>> none = np.zeros((0, 3), object), np.zeros((0, 0), np.int64)
    >>> found = moments(Gram((0,), np.zeros(1, np.int64), (), cross, *none), [Number(0, fill=4.0)])
    >>> found.n, float(found.mean[0]), float(found.cross[0, 0])
    (3, 3.0, 2.0)
    """
    numbers = [feature for feature in features if isinstance(feature, Number)]
    is_number = np.array([isinstance(feature, Number) for feature in features], bool)
    at, other = np.flatnonzero(is_number), np.flatnonzero(~is_number)
    low = np.array([_unit(gram, feature) for feature in numbers], np.int64)
    filled = _filled(gram, numbers, low, gram.cross)
    sums, square = filled[0], _filled(gram, numbers, low, filled.T)
    counts, beside, met = _chosen(gram, features, _filled(gram, numbers, low, gram.beside))
    n, longest = gram.n, np.longdouble
    mean, cross = np.zeros(len(features), longest), np.zeros((len(features), len(features)), longest)
    mean[at] = rounded(sums, n, low)
    mean[other] = counts.astype(longest) / longest(n)
    cross[np.ix_(at, at)] = rounded(n * square - sums[:, None] * sums[None, :], n, low[:, None] + low[None, :])
    across = rounded(n * beside - counts.astype(object)[:, None] * sums[None, :], n, low[None, :])
    cross[np.ix_(other, at)], cross[np.ix_(at, other)] = across, across.T
    cross[np.ix_(other, other)] = (met * n - counts[:, None] * counts[None, :]).astype(longest) / longest(n)
    return Moments(n, mean, cross)


def _unit(gram: Gram, feature: Number) -> int:
    low = int(gram.low[feature.column])
    if not feature.fill:
        return low
    return min(low, 1 - Fraction(feature.fill).denominator.bit_length())


def _filled(gram: Gram, numbers: Sequence[Number], low: Values, sums: Values) -> Values:
    """Columns of variables to columns of numbers, in units of ``2**low``."""
    found = np.empty((len(sums), len(numbers)), object)
    for at, (number, unit) in enumerate(zip(numbers, low.tolist(), strict=True)):
        found[:, at] = sums[:, gram.column(number.column)] * (1 << int(gram.low[number.column]) - unit)
        if number.fill and number.column in gram.masks:  # without a mask it was never null
            whole = int(Fraction(number.fill) / Fraction(2) ** unit)
            found[:, at] += whole * (sums[:, 0] - sums[:, gram.mask(number.column)])
    return found


def _chosen(gram: Gram, features: Sequence[Feature], beside: Values) -> tuple[Values, Values, Values]:
    """Of the indicators: in how many rows each is 1, its sums with numbers, and with the other indicators."""
    indicators = [feature for feature in features if isinstance(feature, Indicator)]
    places: dict[tuple[int, Label], int] = {}
    for key, known in enumerate(gram.labels):
        places |= {(key, label): at for label, at in zip(known, gram.places(key, known), strict=True)}
    first = np.array([places.get((each.key, each.label), -1) for each in indicators], np.int64)
    second = np.array([places.get((each.key, None), -1) if each.nulls else -1 for each in indicators], np.int64)

    def of(rows: Values) -> Values:
        padded = np.concatenate([rows, np.zeros_like(rows, shape=(1, rows.shape[1]))])
        return padded[first] + padded[second]

    met = of(of(gram.met).T)
    return np.diagonal(met), of(beside), met


def rounded(whole: Values, n: int, power: Values) -> Values:
    """``whole * 2**power / n`` in the longest float, from two float64 a number."""
    flat = whole.ravel().tolist()
    near = [float(number) for number in flat]
    rest = [float(number - int(close)) for number, close in zip(flat, near, strict=True)]
    both = np.array(near, np.longdouble) + np.array(rest, np.longdouble)
    return np.ldexp(both.reshape(whole.shape) / np.longdouble(n), power.astype(np.intc))
