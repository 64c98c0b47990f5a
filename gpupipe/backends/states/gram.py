"""The state of covariances: sums of products of every two columns, whole numbers that nothing was rounded to become.

Its variables are: 1; for each column that may be null, 1 where it has a value; the columns, 0 where null; and for each
key, for each of its labels, 1 where the key has it. What a fill puts in place of nulls, which labels become features,
and what is taken off or divided by afterwards, is algebra on these sums, and may be known long after the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from gpupipe.columns import Values

Label = Any  # a plain value; None stands for null
_LEAST = 1074  # the least float64 is 2**-1074


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """Sums of products over some rows.

    Attributes:
        masks: the columns that may be null, ascending.
        low: int64 of shape (columns,): column j counts in units of ``2**low[j]``.
        labels: of each key its labels, sorted, null last.
        cross: Python ints of shape (variables, variables), symmetric.
    """

    masks: tuple[int, ...]
    low: Values
    labels: tuple[tuple[Label, ...], ...]
    cross: Values

    @property
    def n(self) -> int:
        """How many rows."""
        return int(self.cross[0, 0])

    @property
    def columns(self) -> int:
        return len(self.low)

    def column(self, number: int) -> int:
        """The variable of a column."""
        return 1 + len(self.masks) + number

    def mask(self, number: int) -> int:
        """The variable that says where a column has a value."""
        return 1 + self.masks.index(number)

    def label(self, key: int, label: Label) -> int | None:
        """The variable of a key's label; None where no row had it."""
        if label not in self.labels[key]:
            return None
        before = sum(len(each) for each in self.labels[:key])
        return 1 + len(self.masks) + self.columns + before + self.labels[key].index(label)

    def _count(self, key: int, label: Label) -> int:
        at = self.label(key, label)
        return 0 if at is None else int(self.cross[at, at])

    def __add__(self, other: "Gram") -> "Gram":
        """Of the rows of both."""
        return self._with(other, 1)

    def __sub__(self, other: "Gram") -> "Gram":
        """Without the rows of `other`, which are among these; to the bit, as if they had never been seen."""
        return self._with(other, -1)

    def _with(self, other: "Gram", sign: int) -> "Gram":
        low = np.minimum(self.low, other.low)
        labels = tuple(in_order({*a, *b}) for a, b in zip(self.labels, other.labels, strict=True))
        both = [each.aligned(low, labels) for each in (self, other)]
        return Gram(self.masks, low, labels, both[0] + sign * both[1])

    def aligned(self, low: Values, labels: Sequence[Sequence[Label]]) -> Values:
        """`cross` in finer units, with more labels."""
        if (low == self.low).all() and tuple(labels) == self.labels:
            return self.cross
        first = 1 + len(self.masks)
        shift = np.ones(first + self.columns + sum(map(len, labels)), object)
        shift[first : first + self.columns] = [1 << int(finer) for finer in self.low - low]
        found = [self.label(key, label) for key, each in enumerate(labels) for label in each]
        place = np.array([*range(first + self.columns), *(-1 if at is None else at for at in found)])
        return padded(self.cross)[np.ix_(place, place)] * shift[:, None] * shift[None, :]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Gram) or self.masks != other.masks or len(self.low) != len(other.low):
            return NotImplemented
        if len(self.labels) != len(other.labels):
            return False
        return not (self - other).cross.any()

    __hash__ = None  # type: ignore[assignment]

    def to_arrays(self) -> tuple[dict[str, Values], dict[str, Any]]:
        """Arrays of plain numbers and what else must be known, as a file can hold them: the same for the same rows."""
        low = np.full(self.columns, -_LEAST)
        kept = tuple(tuple(x for x in each if self._count(key, x)) for key, each in enumerate(self.labels))
        cross = self.aligned(low, kept)
        upper = cross[np.triu_indices(len(cross))]
        zeros = min((int(x & -x).bit_length() - 1 for x in upper if x), default=0) // 8
        width = max((x.bit_length() // 8 + 1 for x in upper), default=1) - zeros
        data = b"".join((x >> 8 * zeros).to_bytes(width, "little", signed=True) for x in upper)
        sums = np.frombuffer(data, np.uint8).reshape(len(upper), width)
        arrays = {"sums": sums, "masks": np.array(self.masks, np.int64)}
        return arrays, {"columns": self.columns, "zeros": zeros, "labels": [list(each) for each in kept]}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Values], known: dict[str, Any]) -> "Gram":
        """What :meth:`to_arrays` gave."""
        masks, labels = tuple(arrays["masks"].tolist()), tuple(map(tuple, known["labels"]))
        size = 1 + len(masks) + known["columns"] + sum(map(len, labels))
        cross = np.zeros((size, size), object)
        cross[np.triu_indices(size)] = [
            int.from_bytes(row.tobytes(), "little", signed=True) << 8 * known["zeros"] for row in arrays["sums"]
        ]
        cross = np.where(np.tri(size, dtype=bool), cross.T, cross)
        return cls(masks, np.full(known["columns"], -_LEAST), labels, cross)


def in_order(labels: Sequence[Label] | set[Label]) -> tuple[Label, ...]:
    """Sorted, null last."""
    return (*sorted(label for label in labels if label is not None), *([None] if None in labels else []))


def padded(cross: Values) -> Values:
    """With a last row and column of zeros: what stands for a variable that there is not."""
    wider = np.zeros((len(cross) + 1, len(cross) + 1), object)
    wider[:-1, :-1] = cross
    return wider


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
    """A feature that is 1 where a key has one of some labels, and else 0."""

    key: int
    labels: tuple[Label, ...]


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


def moments(gram: Gram, features: Sequence[Number | Indicator]) -> Moments:
    """The moments of features over the rows of a state; all arithmetic before the last rounding is exact.

    >>> cross = np.array([[3, 2, 5], [2, 2, 5], [5, 5, 13]], object)  # of 2, null, 3
    >>> found = moments(Gram((0,), np.zeros(1, np.int64), (), cross), [Number(0, fill=4.0)])
    >>> found.n, float(found.mean[0]), float(found.cross[0, 0])
    (3, 3.0, 2.0)
    """
    low = np.array([_unit(gram, feature) for feature in features])
    rows = _combined(gram, features, low, _combined(gram, features, low, padded(gram.cross)).T)
    n, sums = gram.n, rows[0, 1:]
    centred = n * rows[1:, 1:] - sums[:, None] * sums[None, :]
    return Moments(n, _rounded(sums, n, low), _rounded(centred, n, low[:, None] + low[None, :]))


def _unit(gram: Gram, feature: Number | Indicator) -> int:
    if isinstance(feature, Indicator):
        return 0
    low = int(gram.low[feature.column])
    if not feature.fill:
        return low
    return min(low, 1 - Fraction(feature.fill).denominator.bit_length()) if feature.fill % 1 else min(low, 0)


def _combined(gram: Gram, features: Sequence[Number | Indicator], low: Values, rows: Values) -> Values:
    """Rows of variables to rows of features, in units of ``2**low``; the first stays that of 1."""
    none = len(gram.cross)
    made = np.empty((1 + len(features), rows.shape[1]), object)
    made[0] = rows[0]
    for at, (feature, unit) in enumerate(zip(features, low.tolist(), strict=True), start=1):
        if isinstance(feature, Indicator):
            found = [gram.label(feature.key, label) for label in feature.labels]
            made[at] = sum(rows[none if each is None else each] for each in found)
            continue
        made[at] = rows[gram.column(feature.column)] * (1 << int(gram.low[feature.column]) - unit)
        if feature.fill:
            whole = int(Fraction(feature.fill) / Fraction(2) ** unit)
            made[at] = made[at] + whole * (rows[0] - rows[gram.mask(feature.column)])
    return made


def _rounded(whole: Values, n: int, power: Values) -> Values:
    """``whole * 2**power / n`` in the longest float, from two float64 a number."""
    flat = whole.ravel().tolist()
    near = [float(number) for number in flat]
    rest = [float(number - int(close)) for number, close in zip(flat, near, strict=True)]
    both = np.array(near).astype(np.longdouble) + np.array(rest).astype(np.longdouble)
    return np.ldexp(both.reshape(whole.shape) / np.longdouble(n), power.astype(np.intc))
