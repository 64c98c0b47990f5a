"""Results in the kind that came in: NumPy, pandas, Polars, Arrow, or in a GPU's memory CuPy and cuDF."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.arrow_arrays import array_of, texts_of
from gpupipe.columns import Column, Values
from gpupipe.errors import ParameterError, nearest
from gpupipe.sources.border import to_arrow
from gpupipe.sources.from_device import is_cupy, is_shown
from gpupipe.sources.listing import is_paths
from gpupipe.sources.memory import has_no_names

KINDS = ("arrow", "numpy", "pandas", "polars", "cudf", "cupy")
ARRAYS = ("numpy", "cupy")  # what has no names
_OF_PROBABILITIES = {"pandas": "numpy", "polars": "numpy", "cudf": "cupy"}


def kind_of(data: Any) -> str:
    """The kind results leave in for such input.

    >>> kind_of(np.zeros((2, 2))), kind_of({"a": [1]})
    ('numpy', 'arrow')
    """
    if not is_paths(data) and has_no_names(data):
        return "cupy" if is_cupy(data) else "numpy"
    root = type(data).__module__.partition(".")[0]
    if root in ("pandas", "polars", "cudf"):
        return root
    return "cudf" if not is_paths(data) and is_shown(data) else "arrow"


def kind_of_probabilities(kind: str) -> str:
    """The kind of probabilities where rows are of `kind`: an array for data frames, as scikit-learn's scorers expect.

    >>> kind_of_probabilities("pandas"), kind_of_probabilities("arrow")
    ('numpy', 'arrow')
    """
    return _OF_PROBABILITIES.get(kind, kind)


def index_of(data: Any) -> Any:
    """The index of a pandas or cuDF frame, which results keep; None for anything else."""
    return data.index if kind_of(data) in ("pandas", "cudf") and not is_shown(data) else None


def checked_kind(kind: str, *besides: str) -> str:
    """`kind` if there is such an output, or if it is one of `besides`.

    Raises:
        ParameterError: there is not.
    """
    if kind not in (*KINDS, *besides):
        raise ParameterError(f"There is no output {kind!r}. {nearest(str(kind), KINDS)}")
    return kind


def columns_as(kind: str, names: Sequence[str], columns: Sequence[Column], index: Any = None) -> Any:
    """Columns as a table of `kind`; a matrix has one dtype and NaN for null."""
    if kind in ARRAYS:
        return array_in(kind, matrix_of(columns))
    table = pa.table([to_arrow(column) for column in columns], names=list(names))
    if kind == "pandas":
        frame = table.to_pandas()
        return frame if index is None else frame.set_axis(index, axis=0)
    return _frame_of(kind, table, index)


def _frame_of(kind: str, table: pa.Table, index: Any = None) -> Any:
    """An Arrow table as one of Polars, cuDF or Arrow."""
    if kind == "polars":
        return optional.load("polars").from_arrow(table)
    if kind == "arrow":
        return table
    columns = pa.table([plain(column) for column in table.columns], table.column_names)
    frame = optional.load("cudf").DataFrame.from_arrow(columns)
    if index is not None:
        frame.index = index
    return frame


def plain(column: Any) -> Any:
    """An Arrow column without a dictionary, which cuDF would take for categories."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def array_in(kind: str, values: Any) -> Any:
    """An array of numbers where `kind` has them: in this process's memory, or ("cupy") the GPU's.

    Not copied where they are there already. Of text CuPy has no arrays: it stays in NumPy's.

    Raises:
        MissingDependencyError: CuPy is asked for and not installed.
    """
    if kind == "cupy":
        cupy = optional.load("cupy")
        return values if isinstance(values, np.ndarray) and values.dtype == object else cupy.asarray(values)
    return values if isinstance(values, np.ndarray) else values.to_host()


def matrix_of(columns: Sequence[Column]) -> Values:
    """A matrix of shape (rows, columns): float32 if all are numbers, else objects."""
    if not columns:
        return np.zeros((0, 0), np.float32)
    numbers = all(isinstance(c.values, np.ndarray) and not c.dtype.is_temporal for c in columns)
    wide = any(c.dtype.name in ("Float64", "Int64", "UInt64", "Int32", "UInt32") for c in columns)
    out = np.empty((len(columns[0]), len(columns)), (np.float64 if wide else np.float32) if numbers else object)
    for at, column in enumerate(columns):
        out[:, at] = column.values if numbers else to_arrow(column).to_pandas()
        if numbers and column.valid is not None:
            out[~column.valid, at] = np.nan
    return out


def array_as(kind: str, name: str, values: Values, index: Any = None) -> Any:
    """A 1-D result: an array, a Series of pandas, Polars or cuDF, or an Arrow table of one column."""
    if kind in ARRAYS:
        return array_in(kind, values)
    if kind == "pandas":
        return optional.load("pandas").Series(values, index=index, name=name)
    if kind == "polars":
        polars = optional.load("polars")
        texts = values.dtype == object  # labels; of no row, too
        return polars.Series(name, values.tolist() if texts else values, dtype=polars.String if texts else None)
    array = texts_of(values.tolist()) if values.dtype == object else array_of(values)
    return pa.table({name: array}) if kind == "arrow" else _series_of(name, array, index)


def _series_of(name: str, array: pa.Array, index: Any) -> Any:
    series = optional.load("cudf").Series.from_arrow(array)
    series.name = name
    if index is not None:
        series.index = index
    return series


def arrays_as(kind: str, names: Sequence[str], arrays: Sequence[Values], index: Any = None) -> Any:
    """1-D results side by side as a table of `kind` (no array), each column in its own type."""
    if kind == "cudf":
        tables = [array_as("arrow", name, values) for name, values in zip(names, arrays, strict=True)]
        return _frame_of(kind, pa.table([table.column(0) for table in tables], names=list(names)), index)
    columns = {name: array_as(kind, name, values, index) for name, values in zip(names, arrays, strict=True)}
    if kind == "pandas":
        return optional.load("pandas").DataFrame(columns, index=index)
    if kind == "polars":
        return optional.load("polars").DataFrame(columns)
    return pa.table({name: table.column(name) for name, table in columns.items()})


def matrix_as(kind: str, names: Sequence[str], values: Values, index: Any = None) -> Any:
    """A 2-D result: an array, or a table of named columns."""
    if kind in ARRAYS:
        return array_in(kind, values)
    if kind == "pandas":
        return optional.load("pandas").DataFrame(values, columns=list(names), index=index)
    table = pa.table([np.ascontiguousarray(values[:, at]) for at in range(values.shape[1])], names=list(names))
    return _frame_of(kind, table, index)


def labels_array(classes: Sequence[Any]) -> Values:
    """Labels as scikit-learn's `classes_`: text as objects."""
    return np.array(classes, dtype=object if any(isinstance(label, str) for label in classes) else None)
