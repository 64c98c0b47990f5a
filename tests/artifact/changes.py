"""Changes at random to what an artifact holds, written again with digests of their own."""

import copy
import struct
from typing import Any

import numpy as np
import pyarrow as pa

from gpupipe import artifact
from gpupipe.errors import ArtifactCorruptError
from gpupipe.expr.signatures import SIGNATURES
from gpupipe.models.forms import ubj


class Parts:
    """An artifact's contents, to be changed and written again with digests of their own."""

    def __init__(self, contents):
        self.document = copy.deepcopy(contents.document)
        self.arrays = {stem: dict(group) for stem, group in contents.arrays.items()}
        self.blobs, self.tables = dict(contents.blobs), dict(contents.tables)

    @classmethod
    def of(cls, path):
        """The contents of the artifact that stands at a path."""
        return cls(artifact.read(path))

    def write(self, path):
        artifact.write(path, document=self.document, arrays={k: v for k, v in self.arrays.items() if v},
                       blobs=self.blobs, tables=self.tables, overwrite=True)  # fmt: skip
        return path


_MARKERS = {"int8": "i", "uint8": "U", "int16": "I", "int32": "l", "int64": "L", "float32": "d", "float64": "D"}


def to_ubj(value: Any) -> bytes:
    """Universal Binary JSON of what `ubj.read` gives."""
    if isinstance(value, dict):
        return b"{" + b"".join(to_ubj(key)[1:] + to_ubj(item) for key, item in value.items()) + b"}"
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(to_ubj(item) for item in value)
    if isinstance(value, np.ndarray):
        marker = _MARKERS[value.dtype.name].encode()
        wide = value.astype(value.dtype.newbyteorder(">")).tobytes()
        return b"[$" + marker + b"#L" + struct.pack(">q", len(value)) + wide
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, int):
        return b"L" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    data = str(value).encode()
    return b"SL" + struct.pack(">q", len(data)) + data


JUNK = [
    None, True, False, 0, 1, -1, 2, 7, 10**6, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -1.5, 1e308, float("nan"),
    float("inf"), "", "x", "c", "i", "Int64", "String", "Float64", "Boolean", "Date", "Datetime(Nowhere)", "Null",
    "add", "col", "lit", "codes", "vocabulary", "mean", "quantile", "place", "lookup", "state", "one_hot", "cast", "(",
    "\ud800", "é" * 2_000, "os.system", [], {}, [[]], [0], [1, "x"], {"float": "nan"}, {"x": 1}, {"float": []}, [None],
    ["a", "b"],
]  # fmt: skip


def _places(value, found, path=()):
    """Every place in a JSON document, as a path of keys."""
    if path:
        found.append(path)
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in steps:
        _places(inner, found, (*path, key))
    return found


def _changed_document(document, rng):
    places = _places(document, [])
    if not places:  # an earlier change has left no document
        return
    *above, last = rng.choice(places)
    holder = document
    for key in above:
        holder = holder[key]
    what = rng.random()
    if what < 0.6:
        holder[last] = copy.deepcopy(rng.choice(JUNK))
    elif what < 0.75:
        *others, other = rng.choice(places)
        source = document
        for key in others:
            source = source[key]
        holder[last] = copy.deepcopy(source[other])
    elif what < 0.9:
        del holder[last]
    elif isinstance(holder, list):
        holder.insert(last, copy.deepcopy(rng.choice([*JUNK, holder[last]])))
    else:
        holder["more"] = rng.choice(JUNK)


TYPES = ["Int8", "Int64", "UInt64", "Float32", "Float64", "String", "Boolean", "Date", "Datetime", "Datetime(UTC)",
         "Datetime(Nowhere)", "Duration", "Null"]  # fmt: skip


def _changed_plan(document, rng):
    """A change that the shape of the document does not show: other operations, operands, parameters and types."""
    nodes = document["plan"]["expressions"]["nodes"]
    at = rng.randrange(len(nodes))
    node, what = nodes[at], rng.random()
    if what < 0.25:
        alike = [op for op, one in SIGNATURES.items() if one.params.keys() == SIGNATURES[node[0]].params.keys()]
        node[0] = rng.choice(alike)
    elif what < 0.5 and node[1]:
        node[1][rng.randrange(len(node[1]))] = rng.randrange(at)
    elif what < 0.75 and node[2]:
        name = rng.choice(sorted(node[2]))
        same = [value for value in JUNK if type(value) is type(node[2][name])]
        node[2][name] = rng.choice([*TYPES, *same] if name == "dtype" else same or JUNK)
    elif what < 0.9:
        rng.choice(document["plan"]["schema"])[1] = rng.choice(TYPES)
    else:
        document["plan"]["expressions"]["roots"][0] = rng.randrange(len(nodes))


def _changed_array(array, rng):
    if isinstance(array, np.ndarray) and array.ndim == 0:  # by an earlier change
        return array[None]
    size = len(array)
    if isinstance(array, pa.Array):
        return rng.choice([
            pa.array(["a"] * size, pa.string()), array[:-1], pa.array([None] * size, pa.string()),
            array.cast(pa.large_string()), np.arange(size), pa.array(array.to_pylist()[::-1], pa.string()),
            pa.concat_arrays([array, array]),
        ])  # fmt: skip
    dtype = rng.choice(["bool", "i1", "i4", "i8", "u8", "f2", "f4", "f8"])
    extreme = rng.choice([0, -1, 2**62, -(2**63)])
    with np.errstate(all="ignore"):
        return rng.choice([
            array.astype(dtype), array[:-1], np.append(array, array), array.reshape(-1, 1), array[::-1].copy(),
            np.full_like(array, np.asarray(extreme).astype(array.dtype)), np.zeros(0, array.dtype), array.reshape(())
            if array.size == 1 else array[:1], pa.array(["a"] * size, pa.string()), np.full(array.shape, np.nan),
            np.full(array.shape, -np.inf),
        ])  # fmt: skip


def _changed_arrays(parts, rng):
    group = parts.arrays[rng.choice(sorted(parts.arrays))]
    if not group:
        return
    name = rng.choice(sorted(group))
    what = rng.random()
    if what < 0.7:
        group[name] = _changed_array(group[name], rng)
    elif what < 0.85:
        del group[name]
    else:
        group[f"{name}{rng.choice(['x', '.present', '.counts'])}"] = group[name]


_TEXTS = ["", "0", "-1", "1", "3", "7", "100000", str(2**31), str(2**63), "1E0", "nan", "[1E0,2E0]", "[]", "gbtree",
          "multi:softprob", "binary:logistic", "reg:squarederror", "x"]  # fmt: skip


def _changed_blob(parts, rng):
    """Another value somewhere in a booster, of its own type; other bytes somewhere in another blob."""
    name = rng.choice(sorted(parts.blobs))
    if not name.endswith(".ubj"):
        data = bytearray(parts.blobs[name])
        for _ in range(rng.choice([1, 1, 4])):
            data[rng.randrange(len(data))] = rng.choice([0, 0x7F, 0xFF, *b"[{\"'0}]", rng.randrange(256)])
        parts.blobs[name] = bytes(data)[: rng.choice([None, None, None, len(data) // 2])]
        return
    try:
        booster = ubj.read(parts.blobs[name])
    except ArtifactCorruptError:  # an earlier change has left none
        return
    *above, last = rng.choice(_places(booster, []))
    holder = booster
    for key in above:
        holder = holder[key]
    value = holder[last]
    if isinstance(value, np.ndarray) and len(value):
        edges = [0, -1, 1, 2, len(value), 2**31 - 1, -(2**31), 1e30, float("nan")]
        with np.errstate(all="ignore"):
            at = rng.randrange(len(value))
            other = np.append(value[:at], np.array([rng.choice(edges)]).astype(value.dtype))
            holder[last] = rng.choice([np.append(other, value[at + 1 :]), other, value[::-1], np.append(value, value)])
    elif isinstance(value, str):
        holder[last] = rng.choice(_TEXTS)
    elif rng.random() < 0.5 or not isinstance(value, int | list):
        del holder[last]
    else:
        holder[last] = value[::-1] if isinstance(value, list) else rng.choice([0, -1, 2**31, 2**62])
    parts.blobs[name] = to_ubj(booster)


def _changed_probe(parts, rng):
    table = parts.tables["probe"]
    at = rng.randrange(table.num_columns)
    column = rng.choice([
        pa.nulls(table.num_rows), pa.array(["a"] * table.num_rows), pa.array(range(table.num_rows)),
        pa.array(["é"] * table.num_rows, pa.string()).dictionary_encode(), pa.array([2**63 - 1] * table.num_rows),
        pa.array([float("nan")] * table.num_rows), pa.array([2**62] * table.num_rows, pa.timestamp("s", "Nowhere")),
        table.column((at + 1) % table.num_columns),
    ])  # fmt: skip
    parts.tables["probe"] = rng.choice([
        table.set_column(at, table.field(at).name, column), table.remove_column(at),
        table.slice(0, 0), table.slice(0, 1),
        table.rename_columns([f"z{name}" for name in table.column_names]), pa.concat_tables([table] * 3),
    ])  # fmt: skip


def changed(contents, rng):
    parts = Parts(contents)
    if rng.random() < (0.1 if parts.blobs else 0.4):
        for _ in range(rng.choice([1, 1, 2])):
            _changed_plan(parts.document, rng)
        if rng.random() < 0.5:  # so that what the plan makes of the rows is not compared before it is computed
            parts.tables.pop("probe", None)
        return parts
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        what = rng.random()
        if parts.blobs and rng.random() < 0.7:
            _changed_blob(parts, rng)
        elif what < 0.72 or (what < 0.92 and not parts.arrays):
            _changed_document(parts.document if rng.random() < 0.3 else parts.document.get("plan"), rng)
        elif what < 0.92:
            _changed_arrays(parts, rng)
        else:
            _changed_probe(parts, rng)
    return parts
