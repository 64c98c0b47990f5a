"""Skops files as we write and read them: a small part of the format, of which every byte is looked at first.

A skops file is a zip archive of ``schema.json``, a tree of nodes that say what to build, and ``.npy`` arrays. What a
node may be is a list of ours (:data:`LOADERS`, :data:`TYPES`): no functions, methods, pickles, or types that are not
named here. skops itself sees only archives that this module has taken apart, checked, and put together anew.
"""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpupipe.errors import ArtifactCorruptError
from gpupipe.models.forms import checks

MAX_ENTRIES = 10_000
MAX_SCHEMA = 2 << 20  # bytes
MAX_NODES = 50_000
MAX_DEPTH = 40
MAX_LITERAL = 4096  # characters of a number or text

_GP = "sklearn.gaussian_process"
_KERNELS = (
    *("Sum", "Product", "Exponentiation", "CompoundKernel", "ConstantKernel", "WhiteKernel", "RBF", "Matern"),
    *("RationalQuadratic", "ExpSineSquared", "DotProduct", "PairwiseKernel"),
)
# (module, class) of each object that may be built. What a hostile file may put into their attributes can be wrong, or
# an error, but no index or shape that compiled code would trust: all score in NumPy, but for EllipticEnvelope's
# distances, before which the shape is checked (`skops_models`).
TYPES: frozenset[tuple[str, str]] = frozenset(
    {
        (f"{_GP}._gpr", "GaussianProcessRegressor"),
        (f"{_GP}._gpc", "GaussianProcessClassifier"),
        (f"{_GP}._gpc", "_BinaryGaussianProcessClassifierLaplace"),
        ("sklearn.multiclass", "OneVsRestClassifier"),
        ("sklearn.preprocessing._label", "LabelBinarizer"),
        *((f"{_GP}.kernels", name) for name in _KERNELS),
        ("sklearn.kernel_ridge", "KernelRidge"),
        ("sklearn.discriminant_analysis", "QuadraticDiscriminantAnalysis"),
        ("sklearn.covariance._elliptic_envelope", "EllipticEnvelope"),
        ("sklearn.decomposition._kernel_pca", "KernelPCA"),
        ("sklearn.preprocessing._data", "KernelCenterer"),
        ("sklearn.kernel_approximation", "Nystroem"),
        ("sklearn.kernel_approximation", "RBFSampler"),
    }
)
NUMBERS = frozenset({"ndarray", "float64", "float32", "int64", "int32", "bool", "bool_"})  # of NumPy

_ENTRY = re.compile(r"[0-9]{1,20}\.npy")
_ATTRIBUTE = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,99}")
_HEADER = re.compile(
    rb"\{'descr': '[<|][biuf](?P<size>[1248])', 'fortran_order': (?:False|True), "
    rb"'shape': \((?P<shape>|\d{1,15},|\d{1,15}(?:, \d{1,15}){1,7})\), \} *\n"
)
_OUTPUT = "_sklearn_output_config"  # has scikit-learn import pandas or polars
_PLACE = {"__loader__", "__module__", "__class__"}
_UNREADABLE = (zipfile.BadZipFile, EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError, struct.error)
_NOTHING = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "null", "is_json": True}


@dataclass(eq=False)
class Checked:
    """A schema whose nodes are all allowed, and the arrays it names.

    Attributes:
        schema: the node of the whole; names arrays by number in the order they are met, each once, and no identities.
        arrays: name to the bytes of a ``.npy`` file.
        protocol: skops's version of the format.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, bytes] = field(default_factory=dict)
    protocol: int = 0

    @property
    def root(self) -> tuple[str, str]:
        """Module and class of what it holds."""
        return self.schema["__module__"], self.schema["__class__"]

    def types(self) -> list[str]:
        """The full names of the types to be built, for skops's own list of the trusted."""
        return sorted(f"{module}.{name}" for module, name in TYPES)

    def archive(self) -> bytes:
        """A zip archive of these parts alone, the same bytes for the same parts: stored, not compressed, undated."""
        out = io.BytesIO()
        schema = json.dumps({**self.schema, "protocol": self.protocol}, separators=(",", ":"))
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name, data in {**self.arrays, "schema.json": schema.encode()}.items():
                archive.writestr(zipfile.ZipInfo(name), data)
        return out.getvalue()


def read(data: bytes) -> Checked:
    """The parts of an archive that :meth:`Checked.archive` may have written.

    Raises:
        ArtifactCorruptError: anything else, or too much of it; nothing of it was imported, built or run.
    """
    entries = _entries(data)
    schema = _json(entries.pop("schema.json", b""))
    checks.require(isinstance(schema, dict), "its skops schema is no object")
    protocol = schema.pop("protocol", None)
    checks.require(type(protocol) is int and 0 <= protocol < 100, "its skops schema has no protocol")
    walk = _Walk(entries, strict=True)
    found = Checked(walk.node(schema, 0), walk.arrays, protocol)
    checks.require(set(walk.arrays) == set(entries), "its skops file holds arrays that nothing names")
    return found


def cleaned(data: bytes) -> Checked:
    """The parts of what ``skops.io.dumps`` wrote, without what scoring does not need.

    Identities (addresses in memory) are left out, random states and numbers of jobs become None.

    Raises:
        ArtifactCorruptError: it holds a node that is not allowed; the message names it.
    """
    entries = _entries(data)
    schema = _json(entries.pop("schema.json"))
    protocol = schema.pop("protocol")
    schema.pop("_skops_version", None)
    walk = _Walk(entries, strict=False)
    return Checked(walk.node(schema, 0), walk.arrays, protocol)


def _entries(data: bytes) -> dict[str, bytes]:
    listed = data.count(b"PK\x01\x02")  # zipfile makes an object, of many more bytes, of each before any can be counted
    checks.require(listed <= MAX_ENTRIES, f"its skops file has {listed} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            checks.require(len(set(names)) == len(names), "its skops file has two entries of one name")
            for info in infos:
                plain = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
                checks.require(plain and not info.flag_bits & 0x1, "its skops file is compressed or encrypted")
                fits = info.filename == "schema.json" or _ENTRY.fullmatch(info.filename) is not None
                checks.require(fits, f"its skops file has an entry {info.filename[:80]!r}")
            whole = sum(info.file_size for info in infos) <= len(data)
            checks.require(whole, "its skops file has entries that overlap")
            return {name: archive.read(name) for name in names}
    except _UNREADABLE as error:
        if isinstance(error, ArtifactCorruptError):
            raise
        raise checks.corrupt(f"its skops file is no zip archive ({error})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _json(data: bytes) -> Any:
    checks.require(len(data) <= MAX_SCHEMA, f"its skops schema has {len(data):,} bytes")
    try:
        return json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise checks.corrupt("its skops schema is no JSON") from error


class _Walk:
    """One walk over a schema; gives each node as it will be written."""

    def __init__(self, entries: Mapping[str, bytes], *, strict: bool) -> None:
        self.entries, self.strict = entries, strict
        self.arrays: dict[str, bytes] = {}
        self.nodes = 0

    def node(self, found: Any, depth: int) -> dict[str, Any]:
        self.nodes += 1
        checks.require(self.nodes <= MAX_NODES and depth <= MAX_DEPTH, "its skops schema is too large or too deep")
        checks.require(isinstance(found, dict), "its skops schema has a node that is no object")
        place = [found.get(key) for key in ("__loader__", "__module__", "__class__")]
        checks.require(all(isinstance(name, str) and len(name) < 200 for name in place), "a skops node has no type")
        loader, module, name = place
        if not self.strict:
            found = {key: value for key, value in found.items() if key != "__id__"}
            if loader == "RandomStateNode":
                return dict(_NOTHING)
        what = f"{loader} {module}.{name}"
        checks.require(loader in LOADERS, f"skops would have to build a {what}, which is not allowed")
        keys, build = LOADERS[loader]
        checks.require(set(found) == _PLACE | keys, f"a skops node, {what}, has other keys than it should")
        content = build(self, found, f"{module}.{name}", depth)
        return {"__class__": name, "__module__": module, "__loader__": loader, **content}

    def literal(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        content = found["content"]
        small = isinstance(content, str) and 0 < len(content) <= MAX_LITERAL and content[0] not in "[{ \t\r\n"
        checks.require(small and found["is_json"] is True and name == "builtins.str", "a skops literal is none")
        value = _json(content.encode("utf-8", "surrogatepass"))
        checks.require(not isinstance(value, list | dict), "a skops literal holds several values")
        return {"content": content, "is_json": True}

    def many(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        wanted = {"ListNode": "builtins.list", "TupleNode": "builtins.tuple"}[found["__loader__"]]
        right = name == wanted and isinstance(found["content"], list)
        checks.require(right, f"a skops {name} is not allowed")
        return {"content": [self.node(item, depth + 1) for item in found["content"]]}

    def attributes(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        content, types = found["content"], found["key_types"]
        checks.require(name == "builtins.dict" and isinstance(content, dict), f"a skops {name} is not allowed")
        for key in content:
            checks.require(_ATTRIBUTE.fullmatch(key) is not None, f"a skops object has an attribute {key[:80]!r}")
        keys = self.node(types, depth + 1)
        of_text = keys["__loader__"] == "ListNode" and all(key["__loader__"] == "TypeNode" for key in keys["content"])
        checks.require(of_text and len(keys["content"]) == len(content), "the names of a skops object are no texts")
        if _OUTPUT in content:
            checks.require(not self.strict, "a skops object asks for data frames")
            content = {key: value for key, value in content.items() if key != _OUTPUT}
            keys["content"].pop()  # all are alike
        made = {key: self._attribute(key, value, depth) for key, value in content.items()}
        return {"content": made, "key_types": keys}

    def _attribute(self, key: str, value: Any, depth: int) -> dict[str, Any]:
        if key == "n_jobs":  # scoring starts no processes
            if not self.strict:
                return dict(_NOTHING)
            checks.require(value == _NOTHING, "a skops object asks for jobs")
        return self.node(value, depth + 1)

    def text_type(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        checks.require(name == "builtins.str", f"skops would have to look up {name}, which is not allowed")
        return {}

    def object(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        known = (found["__module__"], found["__class__"]) in TYPES
        checks.require(known, f"skops would have to build a {name}, which is not allowed")
        content = self.node(found["content"], depth + 1)
        checks.require(content["__loader__"] == "DictNode", f"the skops state of a {name} is no dict")
        return {"content": content}

    def array(self, found: dict[str, Any], name: str, depth: int) -> dict[str, Any]:
        module, _, kind = name.rpartition(".")
        right = module == "numpy" and kind in NUMBERS and found["type"] == "numpy"
        checks.require(right, f"a skops array of type {name} ({str(found['type'])[:20]}) is not allowed")
        file = found["file"]
        checks.require(isinstance(file, str) and file in self.entries, "a skops array is not in its file")
        ours = f"{len(self.arrays)}.npy"  # one for each place: building takes no more memory than the file
        checks.require(not self.strict or ours == file, "the arrays of a skops file are shared or out of order")
        self.arrays[ours] = _check_npy(self.entries[file])
        return {"file": ours, "type": "numpy"}


_Builder = Callable[[_Walk, dict[str, Any], str, int], dict[str, Any]]
# Loader to the keys of its nodes, and what looks at them.
LOADERS: dict[str, tuple[frozenset[str], _Builder]] = {
    "JsonNode": (frozenset({"content", "is_json"}), _Walk.literal),
    "ListNode": (frozenset({"content"}), _Walk.many),
    "TupleNode": (frozenset({"content"}), _Walk.many),
    "DictNode": (frozenset({"content", "key_types"}), _Walk.attributes),
    "TypeNode": (frozenset(), _Walk.text_type),
    "ObjectNode": (frozenset({"content"}), _Walk.object),
    "NdArrayNode": (frozenset({"file", "type"}), _Walk.array),
}


def _check_npy(data: bytes) -> bytes:
    """`data` if it is an array of plain numbers, as NumPy writes one, with exactly the bytes that its shape needs.

    NumPy's own reader of headers evaluates a Python literal; it sees only those that are matched here.
    """
    length = int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10 : 10 + length]) if data[:8] == b"\x93NUMPY\x01\x00" else None
    if header is None:
        raise checks.corrupt("an array of a skops file is not of plain numbers as NumPy writes them")
    size = int(header["size"])
    for side in re.findall(rb"\d+", header["shape"]):
        size *= int(side)
    checks.require(size == len(data) - 10 - length, "an array of a skops file has another size than its shape")
    return data
