"""Exact numbers, one for each group: what sums are kept as. Adding them rounds nothing, so no order can show.

A number is digits * 2^(32 scale): the digits are uint32, the least first, the last in two's complement. The form is
canonical: a number's least digit is not 0 (0 itself has scale 0), and the digits are as few as the longest number of
the array needs, so that equal numbers have equal arrays, whatever they were added up from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gpupipe.columns import Values

_BITS, _MASK = 32, 0xFFFF_FFFF
_PLACES_AT_ONCE = 2**25  # int64 places of one addition: 256 MiB
_EXACT_ADDITIONS = 2**22  # of numbers of one digit: below 2^53
_FEW = 64  # up to here Python's whole numbers are quicker than arrays


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """Exact numbers.

    Attributes:
        digits: uint32 of shape (n, length), the least first; two's complement.
        scale: int64 of shape (n,): digits are in units of 2^(32 scale).
    """

    digits: Values
    scale: Values

    def __len__(self) -> int:
        return len(self.scale)

    def integers(self) -> list[int]:
        """The digits of each number as one whole number, in units of 2^(32 scale).

        >>> from_integers([5, -3 << 40], 0).integers()
        [5, -768]
        """
        size = 4 * self.digits.shape[1]
        raw = np.ascontiguousarray(self.digits, "<u4").tobytes()
        return [int.from_bytes(raw[at : at + size], "little", signed=True) for at in range(0, len(raw), size)]

    def fractions(self) -> list[Fraction]:
        """Each number.

        >>> from_integers([3], -1).fractions()
        [Fraction(3, 2)]
        """
        return [scaled(whole, _BITS * scale) for whole, scale in zip(self.integers(), self.scale.tolist(), strict=True)]


def scaled(whole: int, exponent: int) -> Fraction:
    """whole * 2^exponent."""
    return Fraction(whole << exponent) if exponent >= 0 else Fraction(whole, 1 << -exponent)


def from_integers(wholes: Sequence[int], exponent: int) -> Exact:
    """The numbers whole * 2^exponent.

    >>> from_integers([1, 2**40], 64)
    Exact(digits=array([[  1],
           [256]], dtype=uint32), scale=array([2, 3]))
    """
    shift, scale = exponent % _BITS, exponent // _BITS
    found = []
    for whole in wholes:
        zeros = ((whole & -whole).bit_length() - 1 + shift) // _BITS if whole else 0
        found.append(((whole << shift) >> (_BITS * zeros), scale + zeros if whole else 0))
    size = max((1 + (whole ^ -(whole < 0)).bit_length() // _BITS for whole, _ in found), default=1)
    raw = b"".join(whole.to_bytes(4 * size, "little", signed=True) for whole, _ in found)
    digits = np.frombuffer(raw, "<u4").astype(np.uint32).reshape(-1, size)
    return Exact(digits, np.array([scale for _, scale in found], np.int64))


def from_places(places: Values, base: int) -> Exact:
    """The numbers whose digit k, not yet carried, is ``places[k]`` (signed) in units of 2^(32 (base + k)).

    Args:
        places: int64 of shape (width, n).
    """
    if places.shape[1] <= _FEW:
        return from_integers([_joined(column) for column in places.T.tolist()], _BITS * base)
    return _canonical(_carried(places), base)


def each_of_places(places: Values, bases: Values) -> list[Exact]:
    """The same, each number for itself and with a base of its own: as quick for many as :func:`from_places`.

    >>> [number.fractions() for number in each_of_places(np.array([[3, -1]]), np.array([0, 1]))]
    [[Fraction(3, 1)], [Fraction(-4294967296, 1)]]
    """
    return each(_canonical(_carried(places), bases))


def each(numbers: Exact) -> list[Exact]:
    """Each of some numbers by itself, with digits as few as it needs.

    >>> [number.digits.shape for number in each(from_integers([1, 1 << 100], -64))]
    [(1, 1), (1, 1)]
    """
    signs = _signs(numbers.digits[:, -1])
    unlike = numbers.digits != signs[:, None]
    last = unlike.shape[1] - 1 - unlike[:, ::-1].argmax(axis=1)
    above = _signs(numbers.digits[np.arange(len(last)), last]) != signs
    lengths = np.where(unlike.any(axis=1), last + 1 + above, 1).tolist()
    return [
        Exact(numbers.digits[at : at + 1, :length], numbers.scale[at : at + 1]) for at, length in enumerate(lengths)
    ]


def _carried(places: Values) -> Values:
    """Digits of 32 bits, the last two of them the carry's."""
    width, n = places.shape
    digits = np.empty((n, width + 2), np.uint32)
    carry = np.zeros(n, np.int64)
    for column in range(width):
        carry += places[column]
        digits[:, column] = carry & _MASK
        carry >>= _BITS
    digits[:, -2], digits[:, -1] = carry & _MASK, (carry >> _BITS) & _MASK
    return digits


def _joined(places: list[int]) -> int:
    total = 0
    for place in reversed(places):
        total = (total << _BITS) + place
    return total


def _canonical(digits: Values, base: int | Values) -> Exact:
    used = digits != 0
    filled = used.any(axis=1)
    least = np.where(filled, used.argmax(axis=1), -1)
    moves = np.flatnonzero(np.bincount(least[filled], minlength=1))
    if len(moves) == 1:
        digits = digits[:, moves[0] :]
    elif len(moves):
        digits = _moved_down(digits, least, moves)
    return Exact(_trimmed(digits), np.where(filled, least + base, 0))


def _moved_down(digits: Values, least: Values, moves: Values) -> Values:
    """Each row from its least digit on, its sign repeated after its last."""
    moved = np.zeros_like(digits)
    moved[digits[:, -1] >> 31 == 1] = _MASK
    length = digits.shape[1]
    for move in moves.tolist():
        rows = least == move
        moved[rows, : length - move] = digits[rows, move:]
    moved[least < 0] = 0
    return moved


def _trimmed(digits: Values) -> Values:
    """Without the last digits that only repeat the sign, of all rows."""
    length = digits.shape[1]
    while length > 1 and (digits[:, length - 1] == _signs(digits[:, length - 2])).all():
        length -= 1
    return np.ascontiguousarray(digits[:, :length])


def _signs(last: Values) -> Values:
    """The digit that would follow a last digit: its sign repeated."""
    return -(last >> np.uint32(31))


def stacked(parts: Sequence[Exact]) -> Exact:
    """The numbers of all parts, one below the other; not canonical before they are `combined`."""
    length = max(part.digits.shape[1] for part in parts)
    return Exact(
        np.concatenate([_lengthened(part.digits, length) for part in parts]),
        np.concatenate([part.scale for part in parts]),
    )


def _lengthened(digits: Values, length: int) -> Values:
    missing = length - digits.shape[1]
    return np.hstack([digits, np.repeat(_signs(digits[:, -1:]), missing, axis=1)]) if missing else digits


def combined(numbers: Exact, groups: Values, n_groups: int) -> Exact:
    """The sum of the numbers of each group.

    Args:
        groups: int64 of shape (n,), the group of each number.
    """
    if n_groups == 1 and 0 < len(numbers) <= _FEW:
        scales = numbers.scale.tolist()
        base = min(scales)
        wholes = zip(numbers.integers(), scales, strict=True)
        return from_integers([sum(whole << _BITS * (scale - base) for whole, scale in wholes)], _BITS * base)
    filled = np.flatnonzero(numbers.digits.any(axis=1))  # a zero has no scale of its own
    if len(filled) < len(numbers):
        numbers, groups = Exact(numbers.digits[filled], numbers.scale[filled]), groups[filled]
    if not len(filled):
        return Exact(np.zeros((n_groups, 1), np.uint32), np.zeros(n_groups, np.int64))
    width = int(numbers.scale.max() - numbers.scale.min()) + numbers.digits.shape[1]
    at_once = max(1, _PLACES_AT_ONCE // width)
    if n_groups <= at_once:
        return _added(numbers, groups, n_groups)
    parts = []
    for first in range(0, n_groups, at_once):
        rows = np.flatnonzero((groups >= first) & (groups < first + at_once))
        part = Exact(numbers.digits[rows], numbers.scale[rows])
        parts.append(combined(part, groups[rows] - first, min(at_once, n_groups - first)))
    return stacked(parts)


def _added(numbers: Exact, groups: Values, n_groups: int) -> Exact:
    if (small := _of_one_digit(numbers, groups, n_groups)) is not None:
        return small
    length, base = numbers.digits.shape[1], int(numbers.scale.min())
    places = np.zeros((int(numbers.scale.max()) - base + length, n_groups), np.int64)
    scales = np.unique(numbers.scale, return_counts=True)[0].tolist()  # counts, or numpy.ma is imported
    for scale in scales:
        rows = np.flatnonzero(numbers.scale == scale) if len(scales) > 1 else slice(None)
        digits, of = numbers.digits[rows], groups[rows]
        for number in range(length):
            column = digits[:, number].view(np.int32) if number == length - 1 else digits[:, number]
            column = column.astype(np.int64)
            if n_groups == 1:
                places[scale - base + number] += column.sum()
            else:
                np.add.at(places[scale - base + number], of, column)
    return from_places(places, base)


def _of_one_digit(numbers: Exact, groups: Values, n_groups: int) -> Exact | None:
    """The sums where numbers and sums are whole numbers of one digit, which float64 adds exactly; else None."""
    if numbers.digits.shape[1] > 1 or numbers.scale.any() or len(numbers) > _EXACT_ADDITIONS:
        return None
    found = np.bincount(groups, numbers.digits[:, 0].view(np.int32), n_groups)
    if len(found) and max(-found.min(), found.max()) >= 2**31:
        return None
    return Exact(found.astype(np.int32).view(np.uint32).reshape(-1, 1), np.zeros(n_groups, np.int64))


def negated(numbers: Exact) -> Exact:
    """Each number with the other sign: adding these takes a part out again.

    >>> negated(from_integers([7, -1], 0)).integers()
    [-7, 1]
    """
    places = -numbers.digits.T.astype(np.int64)
    places[-1] = -numbers.digits[:, -1].view(np.int32).astype(np.int64)
    found = from_places(places, 0)
    return Exact(found.digits, np.where(found.digits.any(axis=1), found.scale + numbers.scale, 0))
