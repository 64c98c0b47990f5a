"""A plan and what was learned as a JSON document and named arrays, and back. What an artifact stores."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe.columns import Column, Values
from gpupipe.compiler.fitted import Fitted, Learned
from gpupipe.compiler.plan import Plan, make_plan
from gpupipe.errors import ArtifactCorruptError, PlanError
from gpupipe.expr.node import Node
from gpupipe.expr.serial import from_json, to_json
from gpupipe.schema import Schema, String, parse_dtype

Arrays = dict[str, Any]


def plan_document(plan: Plan, target: Node | None, weights: Node | None, task: str | None) -> dict[str, Any]:
    """The plan as JSON: the schema it read, and every expression as the user wrote it, selectors expanded."""
    used = [name for name in plan.schema if name in set(plan.fit_columns)]
    extras = [node for node in (target, weights) if node is not None]
    return {
        "schema": plan.schema.select(used).to_dict(),
        "expressions": to_json([*(feature.source for feature in plan.features), *extras]),
        "has_target": target is not None,
        "has_weights": weights is not None,
        "task": task,
    }


def load_plan(document: Mapping[str, Any]) -> tuple[Plan, Node | None, Node | None]:
    """The plan, target and weights that :func:`plan_document` described.

    Raises:
        ArtifactCorruptError: it describes no plan.
    """
    try:
        schema = Schema.from_dict(document["schema"])
        roots = from_json(document["expressions"])
        weights = roots.pop() if document["has_weights"] else None
        target = roots.pop() if document["has_target"] else None
        return make_plan(schema, roots, target=target, weights=weights, task=document["task"]), target, weights
    except (PlanError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ArtifactCorruptError(f"The artifact's plan cannot be read: {error}") from error


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
                _put(arrays, f"{base}.{name}", column)
            if entry.counts is not None:
                arrays[f"{base}.counts"] = entry.counts
            entries.append([[str(column.dtype) for _, column in columns], entry.counts is not None])
        shapes.append(entries)
    return shapes, arrays


def _put(arrays: Arrays, name: str, column: Column) -> None:
    if column.dtype == String:
        plain = column.values.dictionary_decode() if column.is_dictionary else column.values
        arrays[name] = plain.fill_null("") if plain.null_count else plain
    else:
        arrays[name] = np.ascontiguousarray(column.values)
    if column.valid is not None:
        arrays[f"{name}.present"] = column.valid


def load_fitted(shapes: Any, arrays: Mapping[str, Any], plan: Plan) -> Fitted:
    """What was learned, from its document and arrays.

    Raises:
        ArtifactCorruptError: arrays are missing, of another type or length than they should be.
    """
    fitted = Fitted()
    try:
        if len(shapes) != len(plan.slots):
            raise ValueError(f"{len(shapes)} statistics for {len(plan.slots)} reductions")
        for slot, entries in enumerate(shapes):
            fitted.slots[slot] = [_entry(f"{slot}.{at}", entry, arrays) for at, entry in enumerate(entries)]
            _check(plan.slots[slot].node, fitted.slots[slot])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactCorruptError(f"The artifact's statistics cannot be read: {error}.") from error
    return fitted


def _entry(base: str, entry: Any, arrays: Mapping[str, Any]) -> Learned:
    (value_type, *key_types), counted = entry
    value = _get(arrays, f"{base}.value", value_type)
    keys = tuple(_get(arrays, f"{base}.key{at}", dtype) for at, dtype in enumerate(key_types))
    counts = arrays[f"{base}.counts"] if counted else None
    if any(len(key) != len(value) for key in keys) or (counts is not None and len(counts) != len(value)):
        raise ValueError(f"{base}: lengths differ")
    return Learned(value, keys, counts)


def _get(arrays: Mapping[str, Any], name: str, dtype: str) -> Column:
    kind = parse_dtype(dtype)
    values = arrays[name]
    if kind == String:
        if not isinstance(values, pa.Array):
            raise ValueError(f"{name} is no text")
    elif not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "bifu":
        raise ValueError(f"{name} is no array of numbers")
    valid: Values | None = arrays.get(f"{name}.present")
    if valid is not None and (valid.dtype != np.bool_ or len(valid) != len(values)):
        raise ValueError(f"{name}.present does not fit")
    return Column(kind, values, valid)


def _check(node: Node, entries: list[Learned]) -> None:
    for entry in entries:
        if len(entry.keys) != node["keys"] + (node.op == "place"):
            raise ValueError(f"{node.op} has {len(entry.keys)} keys")
        if node.op != "vocabulary" and not entry.keys and len(entry.value) != 1:
            raise ValueError(f"{node.op} has {len(entry.value)} values")


def state_digest(document: Mapping[str, Any], shapes: Any, arrays: Mapping[str, Any]) -> str:
    """SHA-256 of expressions, schema and learned values: no paths, times, versions or layouts."""
    digest = hashlib.sha256(json.dumps([document, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(_bytes(arrays[name]))
    return digest.hexdigest()


def _bytes(array: Any) -> bytes:
    if isinstance(array, np.ndarray):
        return f"{array.dtype.str}{array.shape}".encode() + (array + 0 if array.dtype.kind == "f" else array).tobytes()
    return json.dumps(array.to_pylist()).encode()
