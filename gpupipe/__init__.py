"""gpupipe: one declaration reads, validates, preprocesses, trains, evaluates and scores tables."""

from gpupipe import features as _operators
from gpupipe.errors import GpupipeError
from gpupipe.expr import (
    Expr,
    Selector,
    all_columns,
    booleans,
    coalesce,
    col,
    cols,
    dates,
    lit,
    numeric,
    operator,
    strings,
    target,
    when,
)
from gpupipe.pipeline import Pipeline, load
from gpupipe.schema import (
    Boolean,
    Date,
    Datetime,
    Duration,
    Field,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from gpupipe.sources.source import Source, scan

__version__ = "0.1.0"

del _operators

__all__ = [
    "Boolean",
    "Date",
    "Datetime",
    "Duration",
    "Expr",
    "Field",
    "Float32",
    "Float64",
    "GpupipeError",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Pipeline",
    "Schema",
    "Selector",
    "Source",
    "String",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "__version__",
    "all_columns",
    "booleans",
    "coalesce",
    "col",
    "cols",
    "dates",
    "lit",
    "load",
    "numeric",
    "operator",
    "scan",
    "strings",
    "target",
    "when",
]
