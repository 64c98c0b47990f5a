"""A plan and what was learned as a JSON document and named arrays, and back. What an artifact stores."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.arrow_arrays import filled
from gpupipe.columns import Column, Values
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.expand import columns_of
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.compiler.folding import operands
from gpupipe.compiler.gathering import gathered_type, ranked_type
from gpupipe.compiler.info import Info
from gpupipe.compiler.plan import TASKS, Plan, make_plan
from gpupipe.errors import ArtifactCorruptError, GpupipeError, PlanError
from gpupipe.expr.node import Node, make, show
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.expr.serial import from_json, to_json
from gpupipe.schema import Schema, String, parse_dtype

Arrays = dict[str, Any]
# What data of the wrong kind raises where it is read; never MemoryError, which is no fault of the data.
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def plan_document(
    plan: Plan, target: Node | None, weights: Node | None, task: str | None, groups: Node | None = None
) -> dict[str, Any]:
    """The plan as JSON: the schema it read, and every expression as the user wrote it, selectors expanded."""
    written = columns_of(feature.source for feature in plan.features)  # planning may find some of no use
    used = [name for name in plan.schema if name in {*plan.fit_columns, *written}]
    several = target is not None and target.op == "columns"
    targets = target.args if several and target is not None else (target,)
    extras = [node for node in (*targets, weights, groups) if node is not None]
    return {
        "schema": plan.schema.select(used).to_dict(),
        "expressions": to_json([*(feature.source for feature in plan.features), *extras]),
        "has_target": target is not None,
        "has_weights": weights is not None,
        "task": task,
        **({} if groups is None else {"has_groups": True}),
        **({"several_targets": len(targets)} if several else {}),
    }


def load_plan(document: Mapping[str, Any]) -> tuple[Plan, Node | None, Node | None, Node | None]:
    """The plan, target, weights and groups that :func:`plan_document` described.

    Raises:
        ArtifactCorruptError: it describes no plan.
    """
    try:
        flags = document.get("has_groups", False), document["has_weights"], document["has_target"]
        if not all(isinstance(flag, bool) for flag in flags) or document["task"] not in (None, *TASKS):
            raise ValueError("has_target, has_weights, has_groups or task is none that is ever written")
        schema = _schema(document["schema"])
        roots = from_json(document["expressions"])
        groups, weights = (roots.pop() if flag else None for flag in flags[:2])
        target = _targets(roots, document.get("several_targets")) if flags[2] else None
        plan = make_plan(schema, roots, target=target, weights=weights, groups=groups, task=document["task"])
        return plan, target, weights, groups
    except (PlanError, *_WRONG) as error:
        raise ArtifactCorruptError(f"The artifact's plan cannot be read: {error}") from error


def _targets(roots: list[Node], several: Any) -> Node:
    """The target, taken off the end of the expressions; of several a node that holds them."""
    if several is None:
        return roots.pop()
    if type(several) is not int or not 0 < several < len(roots):
        raise ValueError(f"{several!r} targets")
    targets, roots[:] = roots[-several:], roots[:-several]
    return make("columns", *targets)


def _schema(rows: Any) -> Schema:
    for name, dtype, nullable in rows:
        if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(nullable, bool)):
            raise ValueError(f"a column {name!r} of type {dtype!r}")
    return Schema.from_dict(rows)


def fitted_document(fitted: Fitted) -> tuple[list[Any], Arrays]:
    """(for each slot, the types of its values and keys; the arrays by name)."""
    shapes: list[Any] = []
    arrays: Arrays = {}
    for slot in sorted(fitted.slots):
        entries = []
        for component, entry in enumerate(fitted.slots[slot]):
            base = f"{slot}.{component}"
            columns = [("value", entry.value), *((f"key{i}", key) for i, key in enumerate(entry.keys))]
            for name, column in columns:
                put_column(arrays, f"{base}.{name}", column)
            if entry.counts is not None:
                arrays[f"{base}.counts"] = entry.counts
            entries.append([[str(column.dtype) for _, column in columns], entry.counts is not None])
        shapes.append(entries)
    return shapes, arrays


def put_column(arrays: Arrays, name: str, column: Column) -> None:
    """Add a column to named arrays, as :func:`get_column` reads it."""
    if column.dtype == String:
        plain = column.values.dictionary_decode() if column.is_dictionary else column.values
        arrays[name] = filled(plain)
    else:
        arrays[name] = np.ascontiguousarray(column.values, column.dtype.storage)
    if column.valid is not None:
        arrays[f"{name}.present"] = column.valid


def load_fitted(shapes: Any, arrays: Mapping[str, Any], plan: Plan) -> Fitted:
    """What was learned, from its document and arrays.

    Raises:
        ArtifactCorruptError: arrays are missing, of another type or length than they should be.
    """
    fitted = Fitted()
    binder = Binder(plan.slots, fitted, plan.info)
    taken: set[str] = set()
    try:
        for slot, entries in zip(plan.slots, shapes, strict=True):
            if len(entries) != binder.width(slot.node):
                raise ValueError(f"{len(entries)} columns of {show(slot.node)}")
            fitted.slots[slot.index] = [
                _entry(f"{slot.index}.{at}", entry, arrays, taken, _types(slot.node, plan.info))
                for at, entry in enumerate(entries)
            ]
            _check(slot.node, fitted.slots[slot.index])
        if extra := arrays.keys() - taken:
            raise ValueError(f"arrays of no statistic: {sorted(extra)[:5]}")
    except (GpupipeError, *_WRONG) as error:
        raise ArtifactCorruptError(f"The artifact's statistics cannot be read: {error}.") from error
    return fitted


def _types(node: Node, info: Mapping[Node, Info]) -> list[set[str]]:
    """The types that a reduction's values and each of its keys may have."""
    value, keys = operands(node)
    columns = [*keys, value] if node.op == "place" else [*keys]
    wanted = [{str(info[node].dtype), str(gathered_type(info[node].dtype))}]
    return wanted + [{str(gathered_type(info[key].dtype)), str(ranked_type(info[key].dtype))} for key in columns]


def _entry(base: str, entry: Any, arrays: Mapping[str, Any], taken: set[str], wanted: list[set[str]]) -> Learned:
    types, counted = entry
    for dtype, allowed in zip(types, wanted, strict=True):
        if dtype not in allowed:
            raise ValueError(f"{base} holds {dtype!r}, not {' or '.join(sorted(allowed))}")
    names = [f"{base}.value", *(f"{base}.key{at}" for at in range(len(types) - 1))]
    value, *keys = (get_column(arrays, name, dtype, taken) for name, dtype in zip(names, types, strict=True))
    counts = _counts(arrays, f"{base}.counts", taken) if counted else None
    if any(len(key) != len(value) for key in keys) or (counts is not None and len(counts) != len(value)):
        raise ValueError(f"{base}: lengths differ")
    return Learned(value, tuple(keys), counts)


def _counts(arrays: Mapping[str, Any], name: str, taken: set[str]) -> Values:
    taken.add(name)
    counts: Values = arrays[name]
    if not isinstance(counts, np.ndarray) or counts.ndim != 1 or counts.dtype != np.int64:
        raise ValueError(f"{name} is no array of counts")
    return counts


def get_column(arrays: Mapping[str, Any], name: str, dtype: str, taken: set[str]) -> Column:
    """The column that :func:`put_column` added; the names of its arrays go into `taken`.

    Raises:
        ValueError, KeyError: there is none, or it is of another type.
    """
    kind = parse_dtype(dtype)
    values, valid = arrays[name], arrays.get(f"{name}.present")
    taken.update((name, f"{name}.present"))
    if kind == String:
        if not isinstance(values, pa.StringArray) or values.null_count:
            raise ValueError(f"{name} is no text")
    elif not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype != kind.storage:
        raise ValueError(f"{name} is no array of {kind}")
    if valid is not None and (
        not isinstance(valid, np.ndarray) or valid.dtype != np.bool_ or valid.shape != (len(values),)
    ):
        raise ValueError(f"{name}.present does not fit")
    return Column(kind, values, valid)


def _check(node: Node, entries: list[Learned]) -> None:
    for entry in entries:
        if (entry.counts is not None) != REDUCTIONS[node.op].table:
            raise ValueError(f"{node.op} has counts, or has none")
        if not REDUCTIONS[node.op].table and not entry.keys and len(entry.value) != 1:
            raise ValueError(f"{node.op} has {len(entry.value)} values")


def state_digest(document: Mapping[str, Any], shapes: Any, arrays: Mapping[str, Any]) -> str:
    """SHA-256 of expressions, schema and learned values: no paths, times, versions or layouts.

    Whether metadata rule nulls out in a column is layout: the same rows in other files may have others, or none.
    """
    types = [[name, dtype] for name, dtype, _ in document["schema"]]
    digest = hashlib.sha256(json.dumps([{**document, "schema": types}, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(_bytes(arrays[name]))
    return digest.hexdigest()


def _bytes(array: Any) -> bytes:
    if isinstance(array, np.ndarray):
        return f"{array.dtype.str}{array.shape}".encode() + (array + 0 if array.dtype.kind == "f" else array).tobytes()
    return json.dumps(array.to_pylist()).encode()
