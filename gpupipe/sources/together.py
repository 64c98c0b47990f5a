"""Files scanned together: the one schema of all of them, or which file, column and types stand against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpupipe.errors import SchemaMismatchError, nearest
from gpupipe.schema import DType, Field, Float64, Int64, Null, Schema

OTHERS = "in the other files"  # where a column has the type that one file's is brought to


@dataclass(frozen=True, slots=True)
class Described:
    """What a file's metadata say: its path, the columns that can be used, and why the others cannot."""

    path: str
    schema: Schema
    refused: Mapping[str, str]


def together(files: Sequence[Described]) -> Schema:
    """The schema of all the files, columns in the order of the first.

    Numbers of several types become one that holds them (:func:`one_type`), and a column of nulls alone becomes what it
    is elsewhere; values are brought to that type as they are read, exactly or not at all.

    Raises:
        SchemaMismatchError: a file lacks a column, has one more, or one of another type.
    """
    first = files[0]
    for file in files[1:]:
        _same_columns(first, file)
    return Schema((name, _field(name, files)) for name in first.schema)


def one_type(left: DType, right: DType) -> DType | None:
    """The type that holds the values of both, read exactly or refused one by one; None where there is none.

    >>> from gpupipe.schema import Int8, String, UInt32
    >>> one_type(Int8, Int64), one_type(Int8, UInt32), one_type(Int64, Float64), one_type(Null, String)
    (Int64, Int64, Float64, String)
    >>> one_type(Int64, String) is None
    True
    """
    if left == right or right == Null:
        return left
    if left == Null:
        return right
    if not (left.is_numeric and right.is_numeric):
        return None
    if left.is_float != right.is_float:
        return Float64
    if left.is_float or left.name.startswith("U") == right.name.startswith("U"):
        return max(left, right, key=lambda dtype: dtype.storage.itemsize)
    return Int64


def _field(name: str, files: Sequence[Described]) -> Field:
    fields = [file.schema[name] for file in files]
    dtype, shown = fields[0].dtype, files[0]
    for file, field in zip(files, fields, strict=True):
        found = one_type(dtype, field.dtype)
        if found is None:
            raise _mismatch(file.path, name, f"it is {field.dtype} here and {dtype} in {shown.path}.", "cast it")
        dtype, shown = found, shown if found == dtype else file
    return Field(dtype, any(field.nullable for field in fields))


def _same_columns(first: Described, file: Described) -> None:
    for name in [*first.schema, *file.schema]:
        for here, there in ((file, first), (first, file)):
            if name in here.refused and name in there.schema:
                refusal = here.refused[name].removeprefix(f"Column {name!r} cannot be used. ")
                refusal = f"it cannot be used here. {refusal} In {there.path} it is {there.schema[name].dtype}."
                raise _mismatch(here.path, name, refusal, "convert it")
    same_names(first.path, list(first.schema), file.path, list(file.schema))


def same_names(first: str, names: Sequence[str], path: str, found: Sequence[str]) -> None:
    """Raise SchemaMismatchError where a file has not the columns of the first, in any order."""
    if set(names) == set(found):
        return
    for name in names:
        if name not in found:
            what = f"the column is missing here; {first} has it. {nearest(name, found)}"
            raise _mismatch(path, name, what, "add it")
    for name in found:
        if name not in names:
            what = f"the column is not in {first}. {nearest(name, names)}"
            raise _mismatch(path, name, what, "add it there")


def _mismatch(path: str, name: str, what: str, remedy: str) -> SchemaMismatchError:
    return SchemaMismatchError(
        f"{what} Files scanned together need the same columns: {remedy} at the source, or scan them apart."
    ).of(path, column=name)
