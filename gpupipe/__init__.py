"""gpupipe: one declaration reads, validates, preprocesses, trains, evaluates and scores tables.

The language is imported at once; what runs it is imported when first used, so that ``import gpupipe`` is quick.
"""

from typing import TYPE_CHECKING, Any

import gpupipe.numpy_start  # noqa: F401  # isort: skip  # before whatever imports NumPy
from gpupipe import features, optional
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

if TYPE_CHECKING:
    from gpupipe.clusters.cluster import Cluster, cluster
    from gpupipe.crossval.validate import cross_validate
    from gpupipe.loading import load
    from gpupipe.pipeline import Pipeline
    from gpupipe.serve.scorer import Scorer
    from gpupipe.sources.source import Source, scan

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    return optional.first_use(name, __all__)


def __dir__() -> list[str]:
    return [*__all__]


__all__ = [
    "Boolean",
    "Cluster",
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
    "Scorer",
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
    "cluster",
    "coalesce",
    "col",
    "cols",
    "cross_validate",
    "dates",
    "features",
    "lit",
    "load",
    "numeric",
    "operator",
    "scan",
    "strings",
    "target",
    "when",
]
