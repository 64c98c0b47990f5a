"""Tables of any library in a GPU's memory, as the Arrow C device interface shows them: used where they stand.

Only pylibcudf reads what is shown, so it must be there; its columns are views of the same memory, which the library's
own lives as long as. (Booleans are bits there and bytes in cuDF: those are copied.) libcudf waits for the event that
says that the values are written.
"""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gpupipe import optional
from gpupipe.errors import TypeMismatchError


@dataclass(frozen=True, eq=False, slots=True)
class Shown:
    """One column.

    Attributes:
        column: a ``pylibcudf.Column`` over its memory.
        arrow: its type as it is shown: libcudf knows no time zones, and makes large text of any.
        nbytes: what its values take of the device's memory.
    """

    column: Any = field(repr=False)
    arrow: pa.DataType
    nbytes: int

    def __len__(self) -> int:
        return int(self.column.size())

    @property
    def null_count(self) -> int:
        """How many rows have no value."""
        return int(self.column.null_count())

    def rows(self, first: int, last: int) -> "Shown":
        """The rows from `first` up to, without, `last`; not copied."""
        (part,) = optional.load("pylibcudf").copying.slice(self.column, [first, last])
        return Shown(part, self.arrow, self.nbytes * (last - first) // max(len(self), 1))

    def to_arrow(self) -> pa.Array:
        """The same in this process's memory, in the type that was shown."""
        found = pa.array(self.column.to_arrow())
        return found if found.type == self.arrow else found.cast(self.arrow)


class _Schema:
    """What shows a schema by the Arrow PyCapsule interface."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __arrow_c_schema__(self) -> Any:
        return self._capsule


def shown(data: Any) -> Shown | list[tuple[str, Shown]]:
    """The columns of a table that is shown in a GPU's memory, and their names; of a single column that.

    Columns without any names are x0, x1, …

    Raises:
        MissingDependencyError: pylibcudf is not installed.
        TypeMismatchError: pylibcudf does not take it, such as a type that cuDF has not.
    """
    told = pa.field(_Schema(data.__arrow_c_device_array__()[0]))
    cudf = optional.load("pylibcudf")
    try:
        if not pa.types.is_struct(told.type):
            return _shown(cudf.Column.from_arrow(data), told.type)
        columns = cudf.Table.from_arrow(data).columns()
    except (NotImplementedError, ValueError, TypeError, OverflowError) as error:
        what, why = f"{type(data).__module__}.{type(data).__qualname__}", " ".join(str(error).split())[:200]
        raise TypeMismatchError(
            f"cuDF does not take the {what} that the Arrow C device interface shows in the GPU's memory ({why}). "
            "Leave out columns of types that cuDF has not, or give it as a pyarrow table, copied to the host."
        ) from error
    fields = list(told.type)
    unnamed = not any(each.name for each in fields)
    names = [f"x{at}" if unnamed else each.name for at, each in enumerate(fields)]
    return [(n, _shown(column, each.type)) for n, column, each in zip(names, columns, fields, strict=True)]


def _shown(column: Any, arrow: pa.DataType) -> Shown:
    return Shown(column, arrow, int(column.device_buffer_size()))


def on_host(data: Any) -> pa.Table | pa.Array:
    """What is shown, copied to this process's memory.

    Raises:
        MissingDependencyError, TypeMismatchError: as :func:`shown`.
    """
    found = shown(data)
    if isinstance(found, Shown):
        return found.to_arrow()
    return pa.table([column.to_arrow() for _, column in found], names=[name for name, _ in found])
