"""The state of covariances: sums of products of every two columns, whole numbers that nothing was rounded to become.

Its variables are: 1; for each column that may be null, 1 where it has a value; the columns, 0 where null; and for each
key, for each of its labels, 1 where the key has it. What a fill puts in place of nulls, which labels become features,
and what is taken off or divided by afterwards, is algebra on these sums, and may be known long after the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
        cross: Python ints of shape (variables, variables), symmetric: of all variables but the labels.
        beside: Python ints of shape (labels, variables): of labels with the others.
        met: int64 of shape (labels, labels): in how many rows both were.
    """

    masks: tuple[int, ...]
    low: Values
    labels: tuple[tuple[Label, ...], ...]
    cross: Values
    beside: Values
    met: Values

    @property
    def n(self) -> int:
        """How many rows."""
        return int(self.cross[0, 0])

    def column(self, number: int) -> int:
        """The variable of a column."""
        return 1 + len(self.masks) + number

    def mask(self, number: int) -> int:
        """The variable that says where a column has a value."""
        return 1 + self.masks.index(number)

    def places(self, key: int, labels: Sequence[Label]) -> list[int]:
        """Where each of a key's labels stands among all labels; -1: no row had it."""
        before = sum(len(each) for each in self.labels[:key])
        known = {label: before + at for at, label in enumerate(self.labels[key])}
        return [known.get(label, -1) for label in labels]

    def __add__(self, other: "Gram") -> "Gram":
        """Of the rows of both."""
        return self._with(other, 1)

    def __sub__(self, other: "Gram") -> "Gram":
        """Without the rows of `other`, which are among these; to the bit, as if they had never been seen."""
        return self._with(other, -1)

    def _with(self, other: "Gram", sign: int) -> "Gram":
        low = np.minimum(self.low, other.low)
        labels = tuple(in_order({*a, *b}) for a, b in zip(self.labels, other.labels, strict=True))
        a, b = self.aligned(low, labels), other.aligned(low, labels)
        sums = (getattr(a, name) + sign * getattr(b, name) for name in ("cross", "beside", "met"))
        return Gram(self.masks, low, labels, *sums)

    def aligned(self, low: Values, labels: tuple[tuple[Label, ...], ...]) -> "Gram":
        """The same in finer units, with other labels."""
        cross, beside, met = self.cross, self.beside, self.met
        if (low != self.low).any():
            finer = [1 << shift for shift in (self.low - low).tolist()]
            scale = np.array([1] * (1 + len(self.masks)) + finer, object)
            cross, beside = cross * scale[:, None] * scale[None, :], beside * scale[None, :]
        if labels != self.labels:
            place = np.array([at for key, each in enumerate(labels) for at in self.places(key, each)], np.int64)
            beside, met = _taken(beside, place), _taken(_taken(met, place).T, place)
        return Gram(self.masks, low, labels, cross, beside, met)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Gram) or self.masks != other.masks or len(self.low) != len(other.low):
            return NotImplemented
        if len(self.labels) != len(other.labels):
            return False
        rest = self - other
        return not (rest.cross.any() or rest.beside.any() or rest.met.any())

    __hash__ = None  # type: ignore[assignment]

    def to_arrays(self) -> tuple[dict[str, Values], dict[str, Any]]:
        """Arrays of plain numbers and what else must be known, as a file can hold them: the same for the same rows."""
        counts = iter(np.diagonal(self.met).tolist())
        kept = tuple(tuple(label for label in each if next(counts)) for each in self.labels)
        own = self.aligned(np.full(len(self.low), -_LEAST), kept)
        whole = [*own.cross[np.triu_indices(len(own.cross))], *own.beside.ravel()]
        zeros = min((int(x & -x).bit_length() - 1 for x in whole if x), default=0) // 8
        width = max((x.bit_length() // 8 + 1 for x in whole), default=1) - zeros
        data = b"".join((x >> 8 * zeros).to_bytes(width, "little", signed=True) for x in whole)
        sums = np.frombuffer(data, np.uint8).reshape(len(whole), width)
        arrays = {"sums": sums, "met": own.met, "masks": np.array(self.masks, np.int64)}
        return arrays, {"columns": len(self.low), "zeros": zeros, "labels": [list(each) for each in kept]}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Values], known: dict[str, Any]) -> "Gram":
        """What :meth:`to_arrays` gave."""
        masks, labels = tuple(arrays["masks"].tolist()), tuple(map(tuple, known["labels"]))
        size = 1 + len(masks) + known["columns"]
        whole = [int.from_bytes(row.tobytes(), "little", signed=True) << 8 * known["zeros"] for row in arrays["sums"]]
        cross, half = np.zeros((size, size), object), size * (size + 1) // 2
        cross[np.triu_indices(size)] = whole[:half]
        cross = np.where(np.tri(size, dtype=bool), cross.T, cross)
        beside = np.array(whole[half:], object).reshape(-1, size)
        return cls(masks, np.full(known["columns"], -_LEAST), labels, cross, beside, arrays["met"])


def in_order(labels: Sequence[Label] | set[Label]) -> tuple[Label, ...]:
    """Sorted, null last."""
    return (*sorted(label for label in labels if label is not None), *([None] if None in labels else []))


def _taken(rows: Values, place: Values) -> Values:
    """Rows by their place; zeros where that is -1."""
    return np.concatenate([rows, np.zeros_like(rows, shape=(1, rows.shape[1]))])[place]
