"""A target and weights given beside the rows, as scikit-learn gives them: columns under names of our own."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpupipe import optional
from gpupipe.arrow_arrays import array_from, with_nan
from gpupipe.backends.features import FittedFeatures
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.info import Info
from gpupipe.compiler.plan import Plan
from gpupipe.errors import ColumnNotFoundError, ParameterError, TargetError, nearest
from gpupipe.expr.expr import Expr, as_column
from gpupipe.expr.node import Node, make
from gpupipe.models.contract import warn_of_column_vector
from gpupipe.optional import later
from gpupipe.runtime.inputs import Inputs
from gpupipe.schema import Schema
from gpupipe.sources.addresses import Memory
from gpupipe.sources.dask_rows import is_dask
from gpupipe.sources.files import CSV, find_files, format_of
from gpupipe.sources.from_device import from_device, is_on_device
from gpupipe.sources.listing import is_paths, list_rows
from gpupipe.sources.memory import table_of
from gpupipe.sources.source import Source, scan

if TYPE_CHECKING:
    from gpupipe.sources.dask_frames import list_beside
else:
    (list_beside,) = later("gpupipe.sources.dask_frames", "list_beside")

# columns of y, sample_weight and groups
GIVEN_TARGET, GIVEN_WEIGHT, GIVEN_GROUPS = "__target__", "__weight__", "__groups__"


def as_given(column: str) -> str:
    """A column as its user knows it: what was given beside the rows by the name of its argument.

    >>> [as_given(name) for name in ("age", GIVEN_TARGET, GIVEN_WEIGHT, f"{GIVEN_TARGET} price")]
    ['age', 'y', 'sample_weight', 'y (price)']
    """
    if column.startswith(_OF):
        return f"y ({column.removeprefix(_OF)})"
    return {GIVEN_TARGET: "y", GIVEN_WEIGHT: "sample_weight", GIVEN_GROUPS: "groups"}.get(column, column)


def attached(table: pa.Table, extra: Mapping[str, Any]) -> pa.Table:
    """The table with arrays as further columns.

    Raises:
        TargetError: of another length or shape, or of several types.
        ParameterError: weights that no model can use, or complex numbers.
    """
    for name, values in extra.items():
        array = _one_column(values, of_target=name.startswith(GIVEN_TARGET))
        if name == GIVEN_WEIGHT:
            _check_weights(array)
        if len(array) != table.num_rows:
            raise TargetError(f"{len(array):,} values were given for {table.num_rows:,} rows. Give one for each row.")
        table = table.append_column(name, array)
    return table


def source_of(X: Any, y: Any, sample_weight: Any, key: str | None, groups: Any = None) -> Source:
    """The rows of `X` with y, sample weights and groups as columns; `key` makes their identity.

    Raises:
        ParameterError: y, weights or groups that are no values, or beside data that are not in memory.
    """
    _refuse_names({"sample_weight": sample_weight, "groups": groups})
    beside = {**given_targets(y), GIVEN_WEIGHT: sample_weight, GIVEN_GROUPS: groups}
    extra = {name: values for name, values in beside.items() if values is not None}
    if extra and isinstance(X, Source | str | os.PathLike):
        raise ParameterError(
            "y, sample_weight and groups go with data in memory; for a Source, declare target, weights and groups."
        )
    if not extra:
        return scan(X).with_key(key) if key else scan(X)
    if is_dask(X):
        source = Source(list_beside(X, extra, attached, as_given))
    elif is_on_device(X):
        lists = optional.load("gpupipe.sources.device_table")
        rows = pa.table({"": pa.nulls(lists.height_of(X))})
        source = Source(lists.list_device(X, beside=attached(rows, extra).drop_columns([""])))
    else:
        source = Source(list_rows(attached(table_of(X)[0], extra), memory=Memory(X, extra)))
    return source.with_key(key) if key else source


def own_columns(source: Source) -> list[str]:
    """The columns of the rows themselves, without what was given beside them."""
    beside = (GIVEN_WEIGHT, GIVEN_GROUPS)
    return [name for name in source.schema if name not in beside and not name.startswith(GIVEN_TARGET)]


def validation_of(validation: Any, y: Any, key: str | None, inputs: Inputs) -> Source:
    """The rows a model stops early by: X alone, or (X, y[, sample_weight[, groups]]), as the fit was given.

    Raises:
        ParameterError: y where the fit had none, or none where it had; a share, or anything else that is no rows.
    """
    _refuse_no_rows(validation)
    parts = validation if isinstance(validation, tuple) and len(validation) in (2, 3, 4) else (validation,)
    if (len(parts) > 1) != (y is not None):
        raise ParameterError(
            "validation is a pair (X, y) where fit is given y, and X alone where a target is declared."
        )
    rows, labels, weights, groups = (*parts, None, None, None)[:4]
    return source_of(inputs.by_name(rows, inputs.usable()), labels, weights, key, groups)


def _refuse_no_rows(validation: Any) -> None:
    share = isinstance(validation, bool | int | float)
    first = validation[0] if isinstance(validation, list) and validation else None
    of_tables = isinstance(first, tuple) and bool(first) and hasattr(first[0], "__len__")
    pairs = of_tables and not isinstance(first[0], str)  # type: ignore[index]
    if share or pairs:
        raise ParameterError(
            f"validation={validation if share else '[(X, y)]'} is no rows. It takes rows as X does, or a tuple (X, y), "
            "(X, y, sample_weight) or (X, y, sample_weight, groups). For a share of the data: "
            "train, held = gp.scan(data).split(test=0.2), then fit(train, validation=held)."
        )


def one_of(what: str, declared: Any, given: Any, name: str) -> Node | None:
    """The node of a target or weights, declared or given beside the rows; of several targets a node of ``columns``.

    Raises:
        ParameterError: both.
    """
    if declared is not None and given is not None:
        raise ParameterError(f"The {what} was declared and given to fit too. Give it in one place.")
    if given is not None:
        columns = list(given_targets(given)) if name == GIVEN_TARGET else [name]
        if columns == [name]:
            return make("col", name=name)
        return make("columns", *(make("alias", make("col", name=at), name=at.removeprefix(_OF)) for at in columns))
    if isinstance(declared, list | tuple):
        return make("columns", *(as_column(each) for each in declared))
    return None if declared is None else as_column(declared)


def _refuse_names(given: Mapping[str, Any]) -> None:
    """A text would be taken for its letters, a dict for its keys."""
    for name, values in given.items():
        if isinstance(values, str | bytes | Expr | Mapping | set | frozenset):
            kind = f"the expression {values}" if isinstance(values, Expr) else f"a {type(values).__name__}"
            shown = repr(values) if isinstance(values, str) else kind
            declared = {"y": "target", "sample_weight": "weights"}.get(name, name)
            raise ParameterError(
                f"{name} is values, one a row, as a list or an array, not {shown}. To name a column of the rows, "
                f"declare Pipeline({declared}={shown if isinstance(values, str) else '…'})."
            )


_OF = f"{GIVEN_TARGET} "  # before the name of each of several targets


def given_targets(y: Any) -> dict[str, Any]:
    """The columns that y becomes: one, or one for each of its own where it is a table or a matrix of several.

    Raises:
        ParameterError: y names a column, or is otherwise no values.
    """
    _refuse_names({"y": y})
    y = from_device(y)
    if type(y).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and getattr(y, "ndim", 2) == 2:
        table = table_of(y)[0] if hasattr(y, "columns") else None
        if table is not None and table.num_columns > 1:
            return {f"{_OF}{name}": table.column(name) for name in table.column_names}
    nested = isinstance(y, list | tuple) and len(y) > 0 and isinstance(y[0], list | tuple | np.ndarray)
    matrix = np.array(y, dtype=object) if nested else y  # else numbers beside text would become text
    if isinstance(matrix, np.ndarray) and matrix.ndim == 2 and matrix.shape[1] > 1:
        return {f"{_OF}y{at}": matrix[:, at] for at in range(matrix.shape[1])}
    return {GIVEN_TARGET: matrix if nested and matrix.ndim == 2 else y}


def scan_as(data: Any, schema: Schema) -> Source:
    """Like :func:`scan`; text of CSV files is read as the types of `schema`, not by what it looks like."""
    as_text = is_paths(data) and format_of(find_files(data)) == CSV
    return scan(data, schema=schema if as_text else None)


def name_of(values: Any) -> tuple[str, ...]:
    """The name that y brings, as a Series does: a column of X of that name is the target, and no feature."""
    if list(given_targets(values)) != [GIVEN_TARGET]:
        return tuple(name.removeprefix(_OF) for name in given_targets(values)) if hasattr(values, "columns") else ()
    name = getattr(values, "name", None)
    return (name,) if isinstance(name, str) and name else ()


def _one_column(values: Any, *, of_target: bool) -> Any:
    values = from_device(values)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "__array__") and not hasattr(values, "dtype"):
        values = np.asarray(values)
    if isinstance(values, np.ndarray) or hasattr(values, "ndim"):
        shape = np.shape(values)
        if len(shape) == 2 and shape[1] == 1:
            values = np.asarray(values)[:, 0]
            if of_target:
                warn_of_column_vector(shape)
        elif len(shape) != 1:
            raise TargetError(f"y and weights are one value a row, not of shape {shape}.")
    plain = values.tolist() if isinstance(values, np.ndarray) and values.dtype != np.uint64 else values
    if isinstance(values, np.ndarray) and values.dtype.kind == "c":
        raise ParameterError("Complex data not supported: y and weights are real numbers, or labels. Give .real.")
    try:
        found = array_from(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError) as error:
        raise TargetError(f"y and weights are values of one type, such as numbers or text: {error}.") from error
    if pa.types.is_nested(found.type):
        raise TargetError(
            "y and weights are values of one type, such as numbers or text: some are lists, of different lengths."
        )
    return found


def _check_weights(weights: pa.Array | pa.ChunkedArray) -> None:
    if not any(test(weights.type) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)):
        raise ParameterError(f"Sample weights are numbers, and these are {weights.type}.")
    numbers = with_nan(weights.cast(pa.float64()))
    bad = int((~np.isfinite(numbers) | (numbers < 0)).sum())
    if bad:
        raise ParameterError(
            f"{bad:,} of {len(numbers):,} sample weights are null, NaN, infinite or below 0. Fill or filter them."
        )
    if len(numbers) and not numbers.any():
        raise ParameterError("All sample weights are zero, so no row counts. Some must be above 0, or give none.")


def for_given(features: FittedFeatures, target: Node | None, source: Source) -> FittedFeatures:
    """The features for rows whose target, weights and groups may be given otherwise than in the fit.

    Raises:
        ParameterError: y is missing, or given beside a declared target; so with weights and groups.
    """
    wanted = {name for name in columns_of([target] if target else []) if name.startswith(GIVEN_TARGET)}
    found = {name for name in source.schema if name.startswith(GIVEN_TARGET)}
    if wanted and not found:
        raise ParameterError("The fit was given y, so its target is in no column. Give y here too.")
    if found and not wanted and target is not None:
        raise ParameterError(f"The target {target} was declared and y given too. Give it in one place.")
    if wanted != found:
        given = f"The fit was given {_y_of(wanted)}, and here y has {_y_of(found)}"
        raise ParameterError(f"{given}. Give the same columns.")
    if target is not None and not wanted:
        _require_target(target, source.schema)
    _require_groups(features.plan.groups, source.schema)
    return replace(features, plan=_weighed(features.plan, source))


def _require_groups(groups: Node | None, schema: Schema) -> None:
    given = groups == make("col", name=GIVEN_GROUPS)
    if given and GIVEN_GROUPS not in schema:
        raise ParameterError("The fit was given groups, so they are in no column. Give groups here too.")
    if not given and GIVEN_GROUPS in schema:
        known = "no groups" if groups is None else f"the groups {groups}"
        raise ParameterError(f"The fit had {known} declared, and groups were given here. Leave them out.")
    missing = [name for name in columns_of([] if groups is None else [groups]) if name not in schema]
    if missing:
        raise ColumnNotFoundError(
            f"There is no column {missing[0]!r}, which the groups {groups} are made of; rows to judge a ranking on "
            f"need their groups. {nearest(missing[0], schema)}"
        )


def _y_of(columns: set[str]) -> str:
    names = sorted(name.removeprefix(_OF) for name in columns)
    return "one target" if GIVEN_TARGET in columns or not names else f"the targets {', '.join(map(repr, names))}"


def _require_target(target: Node, schema: Schema) -> None:
    missing = [name for name in columns_of([target]) if name not in schema]
    if missing:
        what = f"targets {', '.join(map(str, target.args))} are" if target.op == "columns" else f"target {target} is"
        raise ColumnNotFoundError(
            f"There is no column {missing[0]!r}, which the {what} made of; rows to judge a model on need "
            f"their target. {nearest(missing[0], schema)}"
        )


def _weighed(plan: Plan, source: Source) -> Plan:
    """The plan with the weights that were given with these rows, or without those that were given in the fit."""
    given = make("col", name=GIVEN_WEIGHT)
    weights, info = (None if plan.weights == given else plan.weights), plan.info
    if GIVEN_WEIGHT in source.schema:
        if weights is not None:
            raise ParameterError(f"The weights {weights} were declared and sample_weight given too. Give one of them.")
        field = source.schema[GIVEN_WEIGHT]
        weights, info = given, {**plan.info, given: Info(field.dtype, field.nullable)}
    extra = columns_of([node for node in (plan.target, weights, plan.groups) if node is not None])
    return replace(plan, weights=weights, info=info, fit_columns=list(dict.fromkeys([*plan.columns, *extra])))
