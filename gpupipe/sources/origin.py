"""Where rows stand in files and tables, so that it can be told whether two sources hold the same ones."""

import functools
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gpupipe.errors import DataError
from gpupipe.sources.listed import ListedFile, opening

_SAMPLES, _SAMPLE = 8, 8192  # stretches of a file that tell it from another of its size, and their bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a file or table, and the positions they had in the source that listed them.

    Attributes:
        rows: where they stand: numbers in the file or table, or addresses in bits.
        positions: as many positions in the source.
    """

    rows: range
    positions: range


def together(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches put together where one goes on where another ends.

    >>> together([Stretch(range(3), range(7, 10)), Stretch(range(3, 5), range(10, 12))])
    [Stretch(rows=range(0, 5), positions=range(7, 12))]
    """
    found: list[Stretch] = []
    for stretch in stretches:
        last = found[-1] if found else None
        if last is not None and _goes_on(last.rows, stretch.rows) and _goes_on(last.positions, stretch.positions):
            rows = range(last.rows.start, stretch.rows.stop, last.rows.step)
            found[-1] = Stretch(rows, range(last.positions.start, stretch.positions.stop, last.positions.step))
        elif len(stretch.rows):
            found.append(stretch)
    return found


def _goes_on(first: range, then: range) -> bool:
    return first.step == then.step and first.start + len(first) * first.step == then.start


def shared(here: Stretch, there: Stretch) -> Stretch | None:
    """The rows that stand in both: their positions in the one, and their positions in the other.

    >>> shared(Stretch(range(0, 80, 8), range(10)), Stretch(range(16, 160, 16), range(9)))
    Stretch(rows=range(2, 9, 2), positions=range(0, 4))
    >>> shared(Stretch(range(0, 80, 16), range(5)), Stretch(range(8, 80, 16), range(5))) is None
    True
    """
    a, one = _ascending(here)
    b, other = _ascending(there)
    if not (a and b) or a[-1] < b[0] or b[-1] < a[0]:
        return None
    common = math.gcd(a.step, b.step)
    if (b.start - a.start) % common:
        return None
    turns = b.step // common
    step = a.step * turns
    first = a.start + (b.start - a.start) // common * pow(a.step // common, -1, turns) % turns * a.step
    first += max(0, -((first - max(a.start, b.start)) // step)) * step
    last = min(a[-1], b[-1])
    if first > last:
        return None
    count = (last - first) // step + 1
    at, beside = (first - a.start) // a.step, (first - b.start) // b.step
    return Stretch(_every(one, at, step // a.step, count), _every(other, beside, step // b.step, count))


def _ascending(stretch: Stretch) -> tuple[range, range]:
    return (stretch.rows, stretch.positions) if stretch.rows.step > 0 else (stretch.rows[::-1], stretch.positions[::-1])


def _every(positions: range, first: int, step: int, count: int) -> range:
    return positions[first : first + (count - 1) * step + 1 : step]


# -- files ------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=65_536)
def fingerprint(file: ListedFile) -> str | None:
    """128 bits of the SHA-256 of a file's size and of eight stretches of it, as 32 hexadecimal digits.

    Copies of a file have one fingerprint, wherever they lie. None where the file is not what was listed any more.
    """
    digest = hashlib.sha256(f"{file.size}:".encode())
    try:
        with file.unchanged(), opening(file.path), open(file.path, "rb", buffering=0) as opened:
            for at in _sampled(file.size):
                digest.update(os.pread(opened.fileno(), _SAMPLE, at))
    except DataError:
        return None
    return digest.hexdigest()[:32]


def _sampled(size: int) -> list[int]:
    if size <= _SAMPLES * _SAMPLE:
        return list(range(0, size, _SAMPLE))
    return [(size - _SAMPLE) * number // (_SAMPLES - 1) for number in range(_SAMPLES)]


class FileRows:
    """Rows of files: by what the file system knows a file by, and by fingerprint.

    Args:
        files: each file with its rows.
        known: rows by (size, fingerprint), of files that were seen elsewhere.
    """

    def __init__(
        self,
        files: Mapping[ListedFile, list[Stretch]],
        known: Mapping[tuple[int, str], list[Stretch]] | None = None,
    ) -> None:
        self.files = {file: together(rows) for file, rows in files.items()}
        self._known = dict(known or {})
        self._by_identity = {file.identity: rows for file, rows in self.files.items()}
        self._sizes: dict[int, list[ListedFile]] = {size: [] for size, _ in self._known}
        for file in self.files:
            self._sizes.setdefault(file.size, []).append(file)

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def of(self, file: ListedFile) -> list[Stretch]:
        """The rows of a file, under this name or another, of it or of a copy of it."""
        found = self._by_identity.get(file.identity)
        if found is None and file.size in self._sizes and (digest := fingerprint(file)) is not None:
            found = self._known.get((file.size, digest))
            alike = (other for other in self._sizes[file.size] if fingerprint(other) == digest)
            found = next((self.files[other] for other in alike), found)
        return found or []

    def fingerprinted(self) -> dict[tuple[int, str], list[Stretch]]:
        """All rows by (size, fingerprint); without those of files that are gone or changed."""
        found = {(file.size, digest): rows for file, rows in self.files.items() if (digest := fingerprint(file))}
        return {**self._known, **found}
