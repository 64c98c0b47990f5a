"""Which rows a fit has seen: what of it is kept in memory, and what of that in an artifact.

An artifact says of files their size, a fingerprint and numbers of rows, and of the steps that chose rows those that are
data: splits and filters. Neither paths nor keys nor anything of data in memory. It is read for one question, whether
rows to judge by were seen, and believed for nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpupipe.columns import Values
from gpupipe.errors import ArtifactCorruptError, GpupipeError
from gpupipe.expr.serial import from_json, to_json
from gpupipe.schema import DType, Schema, parse_dtype
from gpupipe.sources.addresses import Located, Memory
from gpupipe.sources.origin import FileRows, Stretch
from gpupipe.sources.predicates import predicate
from gpupipe.sources.steps import Filter, Identify, Split, Step

FIT, VALIDATION = "fit", "validation"
MAX_FILES, MAX_STRETCHES, MAX_STEPS = 50_000, 1_000, 1_000  # that an artifact tells of; stretches of one file
MAX_DEPTH = 1_000  # of splits
_SIGNS = frozenset("0123456789abcdef")


@dataclass(frozen=True, eq=False)
class Seen:
    """The rows of one source that a fit has seen.

    Attributes:
        use: what they were for: :data:`FIT`, or :data:`VALIDATION`, which a model stopped early by.
        files: rows of files, before any step.
        tables: rows of tables in memory that were scanned once, by what was scanned.
        columns: of a table that may be scanned again, where its columns stood.
        steps: what chose among those rows, in order.
        types: the columns that the steps need, as they were read.
    """

    use: str = FIT
    files: FileRows = field(default_factory=lambda: FileRows({}))
    tables: Mapping[Memory, list[Stretch]] = field(default_factory=dict)
    columns: Mapping[str, Located] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    types: Mapping[str, DType] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """For another process: files, and steps that are data."""
        return Seen, (self.use, self.files if is_data(self.steps) else FileRows({}), {}, {}, *self._steps_of_data())

    def _steps_of_data(self) -> tuple[tuple[Step, ...], Mapping[str, DType]]:
        return (self.steps, self.types) if is_data(self.steps) else ((), {})

    def __deepcopy__(self, memo: Any) -> "Seen":
        return self


@dataclass(frozen=True, eq=False)
class Keys:
    """The keys that a fit has seen.

    Attributes:
        name: the column they come from.
        hashes: uint64, sorted, each once.
        whole: whether they are all; else the lowest ones alone are kept.
    """

    name: str
    hashes: Values
    whole: bool = True


@dataclass(frozen=True, eq=False)
class Provenance:
    """What a fit has seen: rows of some sources, and keys (which no artifact keeps)."""

    parts: tuple[Seen, ...] = ()
    keys: Keys | None = None

    def noted(self) -> list[Any]:
        """What of it an artifact keeps, as JSON; empty where that is nothing."""
        parts = [part for part in self.parts if part.files and is_data(part.steps)]
        if sum(len(part.files.files) for part in parts) > MAX_FILES:
            return []
        return [found for part in parts if (found := _noted(part)) is not None]


NOTHING_SEEN = Provenance()


def is_data(steps: Sequence[Step]) -> bool:
    """Whether the steps can be told as data: splits and filters, but no join."""
    return all(isinstance(step, Split | Filter | Identify) for step in steps)


# -- to JSON ----------------------------------------------------------------------------------------------
def _noted(part: Seen) -> dict[str, Any] | None:
    files = part.files.fingerprinted()
    if not files or max(map(len, files.values())) > MAX_STRETCHES:
        return None
    return {
        "use": part.use,
        "files": [
            [size, digest, [[s.rows.start, s.positions.start, len(s.rows)] for s in rows]]
            for (size, digest), rows in sorted(files.items(), key=lambda item: item[0])
        ],
        "steps": [_step_noted(step) for step in part.steps],
        "types": {name: str(dtype) for name, dtype in sorted(part.types.items())},
    }


def _step_noted(step: Step) -> dict[str, Any]:
    if isinstance(step, Split):
        return {"split": [step.share, step.seed, step.key, step.inside, step.depth]}
    if isinstance(step, Identify):
        return {"key": step.name}
    assert isinstance(step, Filter)
    return {"filter": to_json([step.predicate.node])}


# -- from JSON --------------------------------------------------------------------------------------------
def load_seen(notes: Any) -> Provenance:
    """What :meth:`Provenance.noted` wrote; None: nothing.

    Raises:
        ArtifactCorruptError: it is nothing that is ever written.
    """
    if notes is None:
        return NOTHING_SEEN
    try:
        _require(isinstance(notes, list) and len(notes) <= MAX_STEPS, "no list of sources")
        _require(sum(len(part["files"]) for part in notes) <= MAX_FILES, "too many files")
        _require(sum(len(part["steps"]) for part in notes) <= MAX_STEPS, "too many steps")
        return Provenance(tuple(_part(part) for part in notes))
    except (GpupipeError, AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        what = "The artifact's record of the rows it was fitted on cannot be read"
        raise ArtifactCorruptError(f"{what}: {error}") from error


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)


def _part(part: Any) -> Seen:
    _require(isinstance(part, dict) and part.keys() == {"use", "files", "steps", "types"}, "other entries")
    _require(part["use"] in (FIT, VALIDATION), "a use that there is not")
    types = part["types"]
    _require(all(isinstance(text, str) for pair in types.items() for text in pair), "types that are no text")
    dtypes = {name: parse_dtype(text) for name, text in types.items()}
    known = {(_whole(size), _digest(digest)): _stretches(rows) for size, digest, rows in part["files"]}
    steps = tuple(_step(step, Schema(dtypes)) for step in part["steps"])
    return Seen(part["use"], FileRows({}, known), steps=steps, types=dtypes)


def _whole(number: Any, most: int = 2**62) -> int:
    _require(type(number) is int and 0 <= number <= most, f"{str(number)[:20]} is no number of rows or bytes")
    return int(number)


def _digest(text: Any) -> str:
    _require(isinstance(text, str) and len(text) == 32 and _SIGNS.issuperset(text), "a fingerprint that is none")
    return str(text)


def _stretches(rows: Any) -> list[Stretch]:
    _require(isinstance(rows, list) and len(rows) <= MAX_STRETCHES, "no list of rows")
    found = []
    for row, position, count in rows:
        first, at, size = _whole(row), _whole(position), _whole(count)
        found.append(Stretch(range(first, first + size), range(at, at + size)))
    return found


def _step(step: Any, schema: Schema) -> Step:
    ((kind, value),) = step.items()
    if kind == "filter":
        (node,) = from_json(value)
        return Filter(predicate(node, schema))
    if kind == "key":
        return Identify(_column(value, schema))
    _require(kind == "split", "a step that is none")
    share, seed, key, inside, depth = value
    _require(type(share) is float and 0 < share < 1 and isinstance(inside, bool), "a split that is none")
    return Split(share, _whole(seed, 2**64 - 1), None if key is None else _column(key, schema), inside,
                 _whole(depth, MAX_DEPTH))  # fmt: skip


def _column(name: Any, schema: Schema) -> str:
    _require(isinstance(name, str) and name in schema, "a column without a type")
    return str(name)


def sorted_once(hashes: Values) -> Values:
    """The different ones, sorted: faster than `numpy.unique`, which hashes them again."""
    found = np.sort(hashes)
    return found[np.concatenate([[True], found[1:] != found[:-1]])] if len(found) else found


def kept_keys(name: str, hashes: Values, most: int) -> Keys:
    """The keys of rows, uint64 in any order and number; of more than `most` the lowest.

    >>> kept_keys("id", np.array([5, 3, 5, 9], np.uint64), 2).hashes
    array([3, 5], dtype=uint64)
    """
    each = sorted_once(hashes)
    return Keys(name, each[:most].copy() if len(each) > most else each, len(each) <= most)
