"""Stand-ins until gpupipe.backends.reference and gpupipe.kernels.reference.hashing are there."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.columns import Column
from gpupipe.schema import Boolean
from gpupipe.sources.border import to_arrow, to_column

_F = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "lt": pc.less,
    "le": pc.less_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
    "and": pc.and_kleene,
    "or": pc.or_kleene,
    "not": pc.invert,
    "is_null": pc.is_null,
    "is_not_null": pc.is_valid,
    "add": pc.add,
    "mod": lambda a, b: pc.subtract(
        a, pc.multiply(pc.cast(pc.floor(pc.divide(pc.cast(a, pa.float64()), b)), pa.int64()), b)
    ),
}


def evaluate(node, frame):
    def go(n):
        if n.op == "col":
            a = to_arrow(frame[n["name"]])
            return a.dictionary_decode() if isinstance(a, pa.DictionaryArray) else a
        if n.op == "lit":
            return pa.scalar(n["value"])
        return _F[n.op](*(go(x) for x in n.args))

    return to_column(go(node), Boolean)


def _mix(x):
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class hashing:
    @staticmethod
    def counter_uniform(seed, purpose, ids):
        return _mix(ids ^ _mix(np.array([seed ^ purpose], np.uint64)))

    @staticmethod
    def hash_int64(values, seed):
        return _mix(values.view(np.uint64))

    @staticmethod
    def hash_float64(values, seed):
        return _mix((values + 0.0).view(np.uint64))

    @staticmethod
    def hash_strings(data, offsets, seed):
        return np.array(
            [hash(data[a:b].tobytes()) % 2**64 for a, b in zip(offsets[:-1], offsets[1:])], np.uint64
        )
