"""Types and schemas: what a column is, before any value of it is seen.

Types carry Polars' names. Every reader normalises to these at the border, once: timestamps and durations
count microseconds, dates count days, decimals become Float64, dictionaries are a representation, not a type.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.errors import ColumnNotFoundError, DuplicateNameError, ParameterError, TypeMismatchError, nearest


@dataclass(frozen=True, slots=True)
class DType:
    """A logical type: a name, and for Datetime a time zone (None: naive).

    >>> Int8.is_integer, Float32.is_float, str(Datetime("Europe/Paris"))
    (True, True, 'Datetime(Europe/Paris)')
    """

    name: str
    time_zone: str | None = None

    @property
    def is_integer(self) -> bool:
        return self.name.startswith(("Int", "UInt"))

    @property
    def is_float(self) -> bool:
        return self.name.startswith("Float")

    @property
    def is_numeric(self) -> bool:
        return self.is_integer or self.is_float

    @property
    def is_temporal(self) -> bool:
        return self.name in ("Date", "Datetime", "Duration")

    @property
    def storage(self) -> np.dtype[Any]:
        """The NumPy dtype values are stored in.

        >>> Date.storage
        dtype('int32')
        """
        if self.name not in _STORAGE:
            raise ParameterError(f"{self} has no NumPy storage; strings are held as Arrow arrays.")
        return np.dtype(_STORAGE[self.name])

    def __str__(self) -> str:
        return f"{self.name}({self.time_zone})" if self.time_zone else self.name

    __repr__ = __str__


Boolean = DType("Boolean")
Int8, Int16, Int32, Int64 = (DType(f"Int{bits}") for bits in (8, 16, 32, 64))
UInt8, UInt16, UInt32, UInt64 = (DType(f"UInt{bits}") for bits in (8, 16, 32, 64))
Float32, Float64 = DType("Float32"), DType("Float64")
String, Date, Duration, Null = DType("String"), DType("Date"), DType("Duration"), DType("Null")


def Datetime(time_zone: str | None = None) -> DType:  # a type with a parameter reads as a type
    """The type of a timestamp in microseconds since 1970 (UTC when it has a time zone).

    >>> Datetime()
    Datetime
    """
    return DType("Datetime", time_zone)


_STORAGE = {
    "Boolean": "bool",
    "Int8": "int8",
    "Int16": "int16",
    "Int32": "int32",
    "Int64": "int64",
    "UInt8": "uint8",
    "UInt16": "uint16",
    "UInt32": "uint32",
    "UInt64": "uint64",
    "Float32": "float32",
    "Float64": "float64",
    "Date": "int32",
    "Datetime": "int64",
    "Duration": "int64",
    "Null": "bool",
}
_NAMES = (*_STORAGE, "String")


def _as_ours(given: object) -> str:
    """What a type of Python is called here, as a hint."""
    ours = {bool: "Boolean", int: "Int64", float: "Float64", str: "String"}
    return f" Write {ours[given]!r}." if isinstance(given, type) and given in ours else ""


_NAMED = 20


def require_columns(wanted: Iterable[str], there: Iterable[str], whose: str) -> None:
    """See that columns are there.

    Args:
        whose: what needs them, as a clause: "which the features need".

    Raises:
        ColumnNotFoundError: it names those that are missing, up to twenty.

    >>> require_columns(["a", "b", "c"], ["b", "d"], "which the features need")
    Traceback (most recent call last):
    gpupipe.errors.ColumnNotFoundError: There are no columns 'a', 'c', which the features need. There are: b, d.
    """
    known = dict.fromkeys(there)
    missing = [name for name in wanted if name not in known]
    if missing:
        more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        named = ", ".join(map(repr, missing[:_NAMED])) + more
        what = f"is no column {named}" if len(missing) == 1 else f"are no columns {named}"
        hint = nearest(missing[0], known) if len(missing) == 1 else nearest("", known)
        raise ColumnNotFoundError(f"There {what}, {whose}. {hint}")


def parse_dtype(text: str) -> DType:
    """The type that `str(dtype)` wrote.

    Raises:
        ParameterError: there is no such type.

    >>> parse_dtype("Datetime(UTC)").time_zone
    'UTC'
    """
    if not isinstance(text, str):
        raise ParameterError(f"A type is given by its name, such as 'Int64', not as {text!r}.{_as_ours(text)}")
    name, _, zone = text.partition("(")
    if name not in _NAMES or (zone and not (name == "Datetime" and zone.endswith(")"))):
        raise ParameterError(f"{text!r} is not a type. {nearest(name, _NAMES)}")
    return DType(name, zone[:-1] or None if zone else None)


@dataclass(frozen=True, slots=True)
class Field:
    """A column's type, and whether it may hold nulls."""

    dtype: DType
    nullable: bool = True


class Schema(Mapping[str, Field]):
    """An ordered mapping from column names to fields; immutable.

    Attributes:
        refused: columns that are there and cannot be used, with the reason; no part of what equal schemas share.
        notes: what may be said besides to who finds a column of another type than he thought; no part of it either.

    >>> schema = Schema({"age": Field(Int64), "city": Field(String, nullable=False)})
    >>> list(schema), schema["age"].dtype
    (['age', 'city'], Int64)
    >>> schema["ages"]
    Traceback (most recent call last):
    gpupipe.errors.ColumnNotFoundError: There is no column 'ages'. Did you mean 'age'?
    """

    __slots__ = ("_fields", "notes", "refused")

    def __init__(
        self,
        fields: Mapping[str, Field | DType] | Iterable[tuple[str, Field | DType]] = (),
        *,
        refused: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        pairs = list(fields.items() if isinstance(fields, Mapping) else fields)
        self._fields: dict[str, Field] = {}
        for name, field in pairs:
            if name in self._fields:
                raise DuplicateNameError(f"Two columns are named {name!r}. Rename one of them at the source.")
            self._fields[name] = field if isinstance(field, Field) else Field(field)
        self.refused = {name: why for name, why in (refused or {}).items() if name not in self._fields}
        self.notes = dict(notes or {})

    def __getitem__(self, name: str) -> Field:
        try:
            return self._fields[name]
        except KeyError:
            if name in self.refused:
                raise TypeMismatchError(self.refused[name]) from None
            raise ColumnNotFoundError(f"There is no column {name!r}. {nearest(name, self._fields)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(tuple(self._fields.items()))

    def select(self, names: Iterable[str]) -> "Schema":
        """The schema of the named columns, in the order asked.

        >>> Schema({"a": Int64, "b": String}).select(["b"])
        Schema(b: String?)
        """
        return Schema((name, self[name]) for name in names)

    def to_dict(self) -> list[list[Any]]:
        """A JSON form: a list of [name, type, nullable]."""
        return [[name, str(field.dtype), field.nullable] for name, field in self.items()]

    @classmethod
    def from_dict(cls, rows: Iterable[Iterable[Any]]) -> "Schema":
        """The schema that :meth:`to_dict` wrote.

        >>> Schema.from_dict([["a", "Int64", False]])
        Schema(a: Int64)
        """
        return cls((name, Field(parse_dtype(dtype), bool(nullable))) for name, dtype, nullable in rows)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}: {field.dtype}{'?' if field.nullable else ''}" for name, field in self.items())
        return f"Schema({inner})"
