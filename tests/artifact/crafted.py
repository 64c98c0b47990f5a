"""Hostile artifacts, made by hand: the digests are right, and what they cover is not.

Each case changes a copy of a whole artifact; CASES says which, how, and what is said of it.
"""

import hashlib
import json
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from gpupipe import col
from gpupipe.artifact import tables
from gpupipe.expr.serial import to_json
from gpupipe.models.forms import ubj

from .changes import Parts, to_ubj

MANIFEST = "manifest.json"
Change = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A hostile artifact.

    Attributes:
        says: what the message must hold, a regular expression.
        change: makes it of a whole artifact, in place.
        base: which kind of artifact.
        error: the class of the error.
    """

    says: str
    change: Change
    base: str = "numbers"
    error: str = "ArtifactCorruptError"


# -- making them ----------------------------------------------------------------------------------------------
def plain(value: Any) -> bytes:
    """Canonical JSON, as the specification has it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / MANIFEST).read_bytes())


def forge(folder: Path, change: Callable[[Any], object]) -> None:
    """Change the manifest and make its digest right again."""
    manifest = manifest_of(folder)
    del manifest["digest"]
    change(manifest)
    manifest["digest"] = hashlib.sha256(plain(manifest)).hexdigest()
    (folder / MANIFEST).write_bytes(plain(manifest))


def put(folder: Path, name: str, data: bytes) -> None:
    """A file of these bytes, listed in the manifest."""
    (folder / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    forge(folder, lambda manifest: manifest["files"].update({name: entry}))


def text(data: bytes) -> Change:
    """The manifest is these bytes."""
    return lambda folder: (folder / MANIFEST).write_bytes(data)


def edited(old: bytes, new: bytes) -> Change:
    """The manifest with the first `old` replaced, its digest left."""

    def change(folder: Path) -> None:
        data = (folder / MANIFEST).read_bytes()
        assert old in data
        (folder / MANIFEST).write_bytes(data.replace(old, new, 1))

    return change


def manifest(**changes: Any) -> Change:
    """A forged manifest with other entries."""
    return lambda folder: forge(folder, lambda found: found.update(changes))


def entry(name: str, **changes: Any) -> Change:
    """A forged entry of a file, which is added if there is none."""
    whole = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}

    def change(found: Any) -> None:
        found["files"][name] = {**found["files"].get(name, whole), **changes}

    return lambda folder: forge(folder, change)


def document(change: Callable[[Any], object]) -> Change:
    """A forged document."""
    return lambda folder: forge(folder, lambda found: change(found["document"]))


def put_at(*path: Any) -> Change:
    """A forged document with `path[-1]` at the place that the other keys lead to."""
    *keys, last, value = path

    def change(found: Any) -> None:
        for key in keys:
            found = found[key]
        found[last] = value

    return document(change)


def header(spec: Any, data: bytes = b"", name: str = "state.safetensors") -> Change:
    """A safetensors file with this header."""
    head = spec if isinstance(spec, bytes) else plain(spec)
    return lambda folder: put(folder, name, len(head).to_bytes(8, "little") + head + data)


def tensor(shape: list[int], start: int, end: int, dtype: str = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def parts(change: Callable[[Parts], object]) -> Change:
    """The contents of the artifact changed and written again."""

    def make(folder: Path) -> None:
        from_disk = Parts.of(folder)
        change(from_disk)
        from_disk.write(folder)

    return make


def strings(offsets: list[int], utf8: bytes) -> Change:
    """The first array of strings of the state with other bytes and offsets."""

    def change(folder: Path) -> None:
        name = min(manifest_of(folder)["strings"]["state.safetensors"])
        found = load_tensors((folder / "state.safetensors").read_bytes())
        found[f"{name}.utf8"], found[f"{name}.offsets"] = np.frombuffer(utf8, np.uint8), np.array(offsets, np.int64)
        put(folder, "state.safetensors", save_tensors(found))

    return change


def array(stem: str, name: str, change: Callable[[Any], Any]) -> Change:
    """One array changed."""
    return parts(lambda found: found.arrays[stem].update({name: change(found.arrays[stem][name])}))


def at(where: Any, value: Any) -> Callable[[Any], Any]:
    """An array with one other value."""

    def change(values: Any) -> Any:
        changed = values.copy()
        changed[where] = value
        return changed

    return change


def arrow(table: pa.Table, **options: Any) -> bytes:
    """An Arrow file of any table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def probe(data: Callable[[pa.Table], bytes] | bytes) -> Change:
    """The probe's file is these bytes, or made of the table that it holds."""

    def change(folder: Path) -> None:
        table = tables.decode((folder / "probe.arrow").read_bytes(), "probe.arrow")
        put(folder, "probe.arrow", data if isinstance(data, bytes) else data(table))

    return change


def column(values: Any, name: str = "in.x") -> Change:
    """The probe with other values in a column."""

    def change(table: pa.Table) -> bytes:
        made = values(table) if callable(values) else values
        return arrow(table.set_column(table.column_names.index(name), name, made))

    return probe(change)


def repeated_footer(table: pa.Table) -> bytes:
    """A file whose footer names its one batch three times."""
    good = arrow(table)
    (size,) = struct.unpack_from("<i", good, len(good) - 10)
    start = len(good) - 10 - size
    foot = bytearray(good[start : start + size])
    root = struct.unpack_from("<I", foot)[0]
    fields = root - struct.unpack_from("<i", foot, root)[0]
    at_blocks = root + struct.unpack_from("<H", foot, fields + 10)[0]
    blocks = at_blocks + struct.unpack_from("<I", foot, at_blocks)[0]
    block = bytes(foot[blocks + 4 : blocks + 28])
    foot += b"\0" * (-len(foot) % 8 + 4)
    struct.pack_into("<I", foot, at_blocks, len(foot) - at_blocks)
    foot += struct.pack("<I", 3) + block * 3
    return good[:start] + bytes(foot) + struct.pack("<i", len(foot)) + b"ARROW1"


def runs() -> bytes:
    """One run of as many rows as a file can say."""
    return arrow(pa.table({"in.x": pa.RunEndEncodedArray.from_arrays(pa.array([2**31 - 1]), pa.array([1.0]))}))


def lying_rows(table: pa.Table) -> bytes:
    """A file of one null column whose batch says it has 2**40 rows."""
    good = bytearray(arrow(pa.table({"in.x": pa.nulls(77_777)})))
    for found in range(len(good) - 8):
        if struct.unpack_from("<q", good, found)[0] == 77_777:
            struct.pack_into("<q", good, found, 2**40)
    return bytes(good)


def bad_offsets(table: pa.Table) -> pa.Array:
    data, offsets = pa.py_buffer(b"abc"), np.full(table.num_rows + 1, 3, np.int32)
    offsets[1] = 2**30
    return pa.StringArray.from_buffers(table.num_rows, pa.py_buffer(offsets), data)


def out_of_dictionary(table: pa.Table) -> pa.Array:
    indices = pa.array(np.full(table.num_rows, 7, np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)


def long_dictionary(table: pa.Table) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, np.int32)), pa.array(["z" * 4_000_000]))


def blob(data: bytes) -> Change:
    return lambda folder: put(folder, "model.ubj", data)


def booster(change: Callable[[Any], object]) -> Change:
    """The booster changed and written again."""

    def make(folder: Path) -> None:
        found = ubj.read((folder / "model.ubj").read_bytes())
        change(found)
        put(folder, "model.ubj", to_ubj(found))

    return make


def in_booster(*path: Any) -> Change:
    """The booster with another value at a path; a function is given the old one."""
    *keys, last, value = path

    def change(found: Any) -> None:
        for key in ("learner", *keys):
            found = found[key]
        found[last] = value(found[last]) if callable(value) else value

    return booster(change)


def in_tree(name: str, value: Any) -> Change:
    return in_booster("gradient_booster", "model", "trees", 1, name, value)


def plan(
    *expressions: Any, schema: Any = (("s", "String", True), ("x", "Float64", True)), outputs: Any = None
) -> Change:
    """Another plan, with nothing learned and no probe."""

    def change(found: Parts) -> None:
        found.document["plan"]["schema"] = [list(field) for field in schema]
        found.document["plan"]["expressions"] = to_json([expression._node for expression in expressions])
        found.document["statistics"] = []
        found.document["outputs"] = outputs or found.document["outputs"]
        found.arrays.pop("state", None)
        found.tables.pop("probe", None)

    return parts(change)


def nodes(*rows: Any, roots: Any = (0,), outputs: Any = None) -> Change:
    """A plan of these nodes."""

    def change(found: Parts) -> None:
        found.document["plan"]["schema"] = [["s", "String", True], ["x", "Float64", True]]
        found.document["plan"]["expressions"] = {"nodes": [list(row) for row in rows], "roots": list(roots)}
        found.document["statistics"] = []
        found.document["outputs"] = outputs or found.document["outputs"]
        found.arrays.pop("state", None)
        found.tables.pop("probe", None)

    return parts(change)


def replaced(make: Callable[[Path], object], name: str = "state.safetensors") -> Change:
    """Something else in the place of a file, whose bytes lie beside the artifact."""

    def change(folder: Path) -> None:
        beside = folder.parent / f"{folder.name}-beside"
        os.rename(folder / name, beside)
        make(folder / name)

    return change


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero, which never ends
    except PermissionError:
        path.symlink_to("/dev/zero")


def _sparse(folder: Path) -> None:
    with open(folder / "state.safetensors", "r+b") as file:
        file.truncate(2**42)
    forge(folder, lambda found: found["files"]["state.safetensors"].update(size=2**42))


def _as_file(folder: Path) -> None:
    for name in os.listdir(folder):
        (folder / name).unlink()
    folder.rmdir()
    folder.write_bytes(b"PK\x03\x04")


def _emptied(folder: Path) -> None:
    for name in os.listdir(folder):
        (folder / name).unlink()


def _loop(folder: Path) -> None:
    _emptied(folder)
    folder.rmdir()
    folder.symlink_to(folder.name)


def _link_elsewhere(folder: Path) -> None:
    _emptied(folder)
    folder.rmdir()
    folder.symlink_to("nowhere")


def _many(folder: Path) -> None:
    for number in range(64):
        put(folder, f"a{number}.arrow", b"")


def _twice(folder: Path) -> None:
    put(folder, "other.ubj", (folder / "model.ubj").read_bytes())


def _nest(depth: int, inner: Any = 0) -> Any:
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def _doubled(step: Callable[[Any], Any], times: int = 200) -> Any:
    made = col("x")
    for _ in range(times):
        made = step(made)
    return made


def _chain(arrays: dict[str, Any], depth: int = 20_000) -> None:
    """A tree that is one long branch: as deep as it has nodes."""
    count, zeros = np.arange(depth, dtype=np.int32), np.zeros(depth, np.int32)
    arrays.update(feature=zeros, threshold=zeros.astype("f4"), missing_left=zeros.astype("u1"))
    arrays.update(right=count + 1, left=np.full(depth, depth, np.int32), roots=zeros[:1], start=np.zeros(2))
    arrays.update(value=np.zeros((1, 2)), category_set=zeros[:0], category_bits=np.zeros((0, 8), np.uint32))


def _long_runs(folder: Path) -> None:
    """Every run of words of a text of 30,000: some 10**13 letters."""
    found = Parts.of(folder)
    for op, _, params in found.document["plan"]["expressions"]["nodes"]:
        if op == "word_ngrams":
            params["high"] = 10**9
    table = found.tables["probe"]
    texts = pa.array(["ab " * 30_000] * table.num_rows)
    found.tables["probe"] = table.set_column(table.column_names.index("in.s"), "in.s", texts)
    found.write(folder)


# -- the cases ------------------------------------------------------------------------------------------------
BAD_JSON = "manifest.json is not JSON"
ALTERED = "manifest.json was altered"
NOT_OURS = "manifest.json is not that of a gpupipe artifact"
SHAPED = "manifest.json does not list its files as this format does"
MARKS = "commas, colons and brackets; the limits are"

JSON = {
    "brackets 100,000 deep": Case(f"nested 100,000 deep.*{MARKS} 200", text(b"[" * 100_000)),
    "objects 300 deep": Case("nested 300 deep", text(b'{"a":' * 300 + b"1" + b"}" * 300)),
    "a document 250 deep": Case("nested 251 deep", put_at("notes", _nest(249))),
    "a document as deep as can be": Case("statistics cannot be read", put_at("statistics", _nest(180))),
    "400,000 empty lists": Case(MARKS, text(b"[" + b"[]," * 600_000 + b"0]")),
    "a number of 5,000 digits": Case(BAD_JSON, edited(b'"version":1', b'"version":' + b"1" * 5_000)),
    "a number beyond floats": Case(ALTERED, edited(b'"document":{', b'"document":{"a":1e999,')),
    "a number beyond floats, as the version": Case("has no version", edited(b'"version":1', b'"version":1e999')),
    "NaN as a word": Case("NaN is not JSON", edited(b'"version":1', b'"version":NaN')),
    "an infinity as a word": Case("Infinity is not JSON", edited(b'"version":1', b'"version":Infinity')),
    "a minus infinity as a word": Case("-Infinity is not JSON", edited(b'"version":1', b'"version":-Infinity')),
    "a number that stands for none": Case("stands for no number", edited(b'"version":1', b'"version":{"$float":"1"}')),
    "a key twice": Case(ALTERED, edited(b'"version":1', b'"version":1,"version":1')),
    "a key twice in the document": Case(ALTERED, edited(b'"kind":', b'"kind":"other","kind":')),
    "the digest twice": Case(ALTERED, edited(b"{", b'{"digest":"",')),
    "a lone surrogate as bytes": Case("not ASCII", edited(b'"kind":', b'"k\xed\xa0\x80":0,"kind":')),
    "a lone surrogate as an escape": Case(ALTERED, edited(b'"kind":', b'"k\\ud800":0,"kind":')),
    "a lone surrogate in a column's name": Case("plan cannot be read", put_at("plan", "schema", 0, 0, "\ud800")),
    "UTF-8 where ASCII is written": Case("not ASCII", edited(b'"kind":', '"ü":0,"kind":'.encode())),
    "a mark of byte order": Case("not ASCII", edited(b"{", b"\xef\xbb\xbf{")),
    "UTF-16": Case(
        "not ASCII|not JSON", lambda f: (f / MANIFEST).write_bytes(plain(manifest_of(f)).decode().encode("utf-16"))
    ),
    "UTF-32": Case(
        "not ASCII|not JSON", lambda f: (f / MANIFEST).write_bytes(plain(manifest_of(f)).decode().encode("utf-32-le"))
    ),
    "a newline at the end": Case(ALTERED, lambda f: (f / MANIFEST).write_bytes(plain(manifest_of(f)) + b"\n")),
    "two documents": Case(f"{BAD_JSON}: Extra data", lambda f: (f / MANIFEST).write_bytes(plain(manifest_of(f)) * 2)),
    "white space": Case(ALTERED, edited(b",", b", ")),
    "a comment": Case(BAD_JSON, edited(b"{", b"{/* */")),
    "single quotes": Case(BAD_JSON, edited(b'"digest"', b"'digest'")),
    "a newline in a text": Case(BAD_JSON, edited(b'"kind":"', b'"kind":"\n')),
    "a letter as an escape": Case(ALTERED, edited(b'"kind"', b'"k\\u0069nd"')),
    "a float for a whole number": Case(ALTERED, edited(b'"size":', b'"size":1.50,"sizes":')),
    "a list": Case(NOT_OURS, text(b"[]")),
    "null": Case(NOT_OURS, text(b"null")),
    "no byte": Case(BAD_JSON, text(b"")),
    "a manifest of a terabyte": Case("holds 1,099,511,627,776 bytes", lambda f: os.truncate(f / MANIFEST, 2**40)),
    "another format's name": Case(NOT_OURS, manifest(format="GPUPIPE-ARTIFACT")),
}

VERSIONS = {
    "a newer version": Case(
        "format 2, written by gpupipe .*pip install --upgrade", manifest(version=2), error="ArtifactVersionError"
    ),
    "a version of 4,000 digits": Case(
        "format 1000+…, written", manifest(version=10**4000), error="ArtifactVersionError"
    ),
    "a newer version by a writer of a megabyte": Case(
        "written by gpupipe z+…;", manifest(version=2, gpupipe="z" * 2**20), error="ArtifactVersionError"
    ),
    "a newer version by a writer that colours the terminal": Case(
        r"written by gpupipe \\x1b\[31m;", manifest(version=2, gpupipe="\x1b[31m"), error="ArtifactVersionError"
    ),
    "a newer version by a list": Case(
        r"written by gpupipe \[1\];", manifest(version=2, gpupipe=[1]), error="ArtifactVersionError"
    ),
    "a version as text": Case("no version .found '1'", manifest(version="1")),
    "a version as true": Case("no version .found True", manifest(version=True)),
    "a version as a float": Case("no version .found 1.0", manifest(version=1.0)),
    "version 0": Case("no version .found 0", manifest(version=0)),
    "version -1": Case("no version .found -1", manifest(version=-1)),
    "a version of a megabyte": Case(r"no version .found 'zzz+\)", manifest(version="z" * 2**20)),
    "no version": Case("no version .found None", lambda f: forge(f, lambda m: m.pop("version"))),
}

NAMES = {
    "a name that leads above": Case(SHAPED, entry("../state.safetensors")),
    "a name that leads to the root": Case(SHAPED, entry("/etc/passwd.arrow")),
    "a name in a folder": Case(SHAPED, entry("a/b.arrow")),
    "a name with a backslash": Case(SHAPED, entry("a\\b.arrow")),
    "a name with a NUL": Case(SHAPED, entry("state.safetensors\0.arrow")),
    "a name with a newline": Case(SHAPED, entry("probe.arrow\n")),
    "a name in upper case": Case(SHAPED, entry("State.safetensors")),
    "a name with a long s": Case(SHAPED, entry("\u017ftate.safetensors")),
    "a name in full width": Case(SHAPED, entry("\uff50robe.arrow")),
    "a name that reads from the right": Case(SHAPED, entry("\u202eworra.arrow")),
    "a hidden name": Case(SHAPED, entry(".probe.arrow")),
    "a name of 65 letters": Case(SHAPED, entry("a" * 65 + ".arrow")),
    "an empty name": Case(SHAPED, entry("")),
    "a pickle": Case(SHAPED, entry("model.pkl")),
    "more JSON": Case(SHAPED, lambda f: put(f, "extra.json", b"{}")),
    "the manifest in the manifest": Case(SHAPED, entry(MANIFEST)),
    "strings of a file that has none": Case(SHAPED, manifest(strings={"probe.arrow": {"x": "string"}})),
    "a size below 0": Case("expected|cut short", entry("state.safetensors", size=-1)),
    "a size beyond int64": Case(r"lists 92233720368547\d+ bytes", entry("state.safetensors", size=2**63, sha256="")),
    "a size of 4,000 digits": Case("lists 1000+… bytes", entry("state.safetensors", size=10**4000)),
    "a size as true": Case(SHAPED, entry("state.safetensors", size=True)),
    "a size as text": Case(SHAPED, entry("state.safetensors", size="100")),
    "a digest in upper case": Case(
        "state.safetensors was altered",
        lambda f: forge(
            f,
            lambda m: m["files"]["state.safetensors"].update(sha256=m["files"]["state.safetensors"]["sha256"].upper()),
        ),
    ),
    "a digest of SHA-512": Case(
        "state.safetensors was altered",
        lambda f: forge(
            f,
            lambda m: m["files"]["state.safetensors"].update(
                sha256=hashlib.sha512((f / "state.safetensors").read_bytes()).hexdigest()
            ),
        ),
    ),
    "two digests": Case(SHAPED, entry("state.safetensors", sha1="")),
    "the manifest's digest by SHA-1": Case(
        ALTERED,
        lambda f: (f / MANIFEST).write_bytes(
            plain({**manifest_of(f), "digest": hashlib.sha1((f / MANIFEST).read_bytes()).hexdigest()})
        ),
    ),
    "the manifest's digest a number": Case(
        ALTERED, lambda f: (f / MANIFEST).write_bytes(plain({**manifest_of(f), "digest": 0}))
    ),
    "no digest": Case(
        "keys missing or too many: digest",
        lambda f: (f / MANIFEST).write_bytes(plain({k: v for k, v in manifest_of(f).items() if k != "digest"})),
    ),
    "a key too many, of a megabyte": Case(
        "keys missing or too many: z+…", lambda f: (f / MANIFEST).write_bytes(plain({**manifest_of(f), "z" * 2**20: 0}))
    ),
}

FOLDERS = {
    "a link to the same bytes": Case(
        "not a regular file", replaced(lambda p: p.symlink_to(f"../{p.parent.name}-beside"))
    ),
    "a link to a device": Case("not a regular file", replaced(lambda p: p.symlink_to("/dev/zero"))),
    "a link to itself": Case("not a regular file", replaced(lambda p: p.symlink_to(p.name))),
    "a link in the manifest's place": Case(
        "no manifest.json", replaced(lambda p: p.symlink_to(f"../{p.parent.name}-beside"), MANIFEST)
    ),
    "a hard link to other bytes": Case(
        "is cut short|at most|was altered", replaced(lambda p: os.link(p.parent / "probe.arrow", p))
    ),
    "a pipe": Case("not a regular file", replaced(os.mkfifo)),
    "a pipe in the manifest's place": Case("no manifest.json", replaced(os.mkfifo, MANIFEST)),
    "a device that never ends": Case("not a regular file", replaced(_device)),
    "a socket": Case("not a regular file", replaced(_socket)),
    "a folder": Case("not a regular file", replaced(Path.mkdir)),
    "a folder more": Case("sub is there", lambda f: (f / "sub").mkdir()),
    "a file more": Case("model.pkl is there", lambda f: (f / "model.pkl").write_bytes(b"cos\nsystem\n.")),
    "a file more, of a name that colours the terminal": Case(
        r"\\x1b\[31m is there", lambda f: (f / "\x1b[31m").touch()
    ),
    "a file more, of a name that is no UTF-8": Case(
        r"a\\udcff is there", lambda f: open(os.fsencode(f) + b"/a\xff", "w").close()
    ),
    "a file more, alike but for case": Case("State.safetensors is there", lambda f: (f / "State.safetensors").touch()),
    "65 files": Case("holds 67 files", _many),
    "10,000 files": Case("holds 10003 files", lambda f: [(f / f"a{n}").touch() for n in range(10_000)]),
    "a file missing": Case("probe.arrow is missing", lambda f: (f / "probe.arrow").unlink()),
    "four terabytes of holes": Case("lists 43980465.* this machine has", _sparse),
    "a file for an artifact": Case("is a file", _as_file),
    "an empty folder": Case("no manifest.json", _emptied),
    "a link in a circle": Case("Too many levels of symbolic links", _loop, error="StorageError"),
    "a link to nowhere": Case("Nothing stands at", _link_elsewhere, error="ArtifactNotFoundError"),
}

STATE = "state.safetensors is not a whole safetensors file"
TENSORS = {
    "a shape of 2**60 numbers": Case(STATE, header({"a": tensor([2**60], 0, 8)}, bytes(8))),
    "a shape beyond 64 bits": Case(STATE, header({"a": tensor([2**32, 2**32, 2], 0, 8)}, bytes(8))),
    "a shape of nothing times 2**62": Case("state.safetensors", header({"a": tensor([0, 2**62, 2**62], 0, 0)})),
    "a shape of 70 axes": Case("array 'a' has the shape", header({"a": tensor([1] * 70, 0, 8)}, bytes(8))),
    "a shape below 0": Case(STATE, header({"a": tensor([-1], 0, 8)}, bytes(8))),
    "a shape of floats": Case(STATE, header({"a": {"dtype": "F64", "shape": [1.0], "data_offsets": [0, 8]}}, bytes(8))),
    "offsets beyond the file": Case(STATE, header({"a": tensor([2], 0, 16)}, bytes(8))),
    "offsets beyond 64 bits": Case(STATE, header({"a": tensor([1], 2**64 - 8, 2**64)}, bytes(8))),
    "offsets backwards": Case(STATE, header({"a": tensor([1], 8, 0)}, bytes(8))),
    "arrays that overlap": Case(STATE, header({"a": tensor([2], 0, 16), "b": tensor([2], 8, 24)}, bytes(24))),
    "arrays with a gap": Case(STATE, header({"a": tensor([1], 0, 8), "b": tensor([1], 16, 24)}, bytes(24))),
    "arrays out of order, with a gap": Case(
        STATE, header({"a": tensor([1], 16, 24), "b": tensor([1], 0, 8)}, bytes(24))
    ),
    "bytes left over": Case(STATE, header({"a": tensor([1], 0, 8)}, bytes(16))),
    "a header longer than the file": Case(
        STATE, lambda f: put(f, "state.safetensors", (10**6).to_bytes(8, "little") + b"{}")
    ),
    "a header of 2**63 bytes": Case(
        STATE, lambda f: put(f, "state.safetensors", (2**63).to_bytes(8, "little") + b"{}")
    ),
    "a header of no bytes": Case(STATE, lambda f: put(f, "state.safetensors", bytes(8))),
    "no header": Case(STATE, lambda f: put(f, "state.safetensors", b"abc")),
    "a header 50,000 deep": Case(STATE, header(b"[" * 50_000)),
    "a header that is no UTF-8": Case(STATE, header(b'{"\xff":1}')),
    "a header that is a list": Case(STATE, header([1])),
    "an array twice": Case(
        "state.safetensors|statistics cannot",
        header(
            b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
            bytes(8),
        ),
    ),
    "an unknown dtype": Case(STATE, header({"a": tensor([1], 0, 8, "OBJECT")}, bytes(8))),
    "a dtype that is never written": Case("has dtype BF16", header({"a": tensor([4], 0, 8, "BF16")}, bytes(8))),
    "bools that are neither": Case("neither 0 nor 1", header({"a": tensor([8], 0, 8, "BOOL")}, bytes([2]) * 8)),
    "10,000 arrays of nothing": Case(
        "lacks the parts of the strings",
        lambda f: put(f, "state.safetensors", save_tensors({f"a{n}": np.zeros(0) for n in range(10_000)})),
    ),
    "an array of another type": Case("is no array of Float64", array("state", "0.0.value", lambda a: a.astype("f4"))),
    "an array too long": Case("has 2 values", array("state", "0.0.value", lambda a: np.append(a, 1.0))),
    "an array of two axes": Case("is no array of Float64", array("state", "0.0.value", lambda a: a[None])),
    "an array missing": Case("statistics cannot be read", parts(lambda p: p.arrays["state"].pop("0.0.value"))),
    "arrays of no use": Case("no use for: .'more'", parts(lambda p: p.arrays.update(more={"a": np.zeros(1)}))),
    "a model's arrays without a model": Case(
        "no use for: .'model'", parts(lambda p: p.arrays.update(model={"a": np.zeros(1)}))
    ),
    "texts with offsets backwards": Case("do not fit their bytes", strings([0, 3, 1, 3], b"abc"), "text"),
    "texts with offsets beyond": Case("do not fit their bytes", strings([0, 2**40], b"abc"), "text"),
    "texts that are no UTF-8": Case("are not UTF-8", strings([0, 2], b"\xff\xfe"), "text"),
    "texts that cut a letter": Case("are not UTF-8", strings([0, 1, 2], "ü".encode()), "text"),
}

WHOLE = "probe.arrow is not a whole Arrow file"
NEVER = "which is never written"
ARROW = {
    "a compressed table": Case(f"{WHOLE}: it is compressed", probe(lambda t: arrow(t, compression="zstd"))),
    "a bomb of zeros in zstd": Case(
        "it is compressed", probe(arrow(pa.table({"in.x": np.zeros(2**22)}), compression="zstd"))
    ),
    "a bomb of zeros in LZ4": Case(
        "it is compressed", probe(arrow(pa.table({"in.x": np.zeros(2**20)}), compression="lz4"))
    ),
    "a bomb of zeros in a dictionary": Case(
        "it is compressed",
        probe(
            arrow(
                pa.table({"in.x": pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["z" * 2**24]))}),
                compression="zstd",
            )
        ),
    ),
    "a list": Case(NEVER, column(lambda t: pa.array([[1.0]] * t.num_rows))),
    "a struct": Case(NEVER, column(lambda t: pa.array([{"a": 1.0}] * t.num_rows))),
    "a map": Case(NEVER, column(lambda t: pa.array([[("a", 1)]] * t.num_rows, pa.map_(pa.string(), pa.int64())))),
    "lists of nothing": Case(NEVER, column(lambda t: pa.array([[]] * t.num_rows, pa.list_(pa.int8(), 0)))),
    "a union": Case(
        NEVER,
        column(lambda t: pa.UnionArray.from_sparse(pa.array(np.zeros(t.num_rows, np.int8)), [pa.nulls(t.num_rows)])),
    ),
    "an extension type": Case(
        NEVER,
        column(lambda t: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16] * t.num_rows, pa.binary(16)))),
    ),
    "an extension type by its name alone": Case(
        NEVER,
        probe(
            lambda t: arrow(
                t.cast(t.schema.set(0, t.schema.field(0).with_metadata({"ARROW:extension:name": "os.system"})))
            )
        ),
    ),
    "runs of 2**31 - 1 rows": Case("2147483647 rows in", probe(lambda t: runs())),
    "bytes": Case(NEVER, column(lambda t: pa.array([b"\xff"] * t.num_rows))),
    "views of texts": Case(NEVER, column(lambda t: pa.array(["a"] * t.num_rows, pa.string_view()))),
    "decimals": Case(NEVER, column(lambda t: pa.array([1] * t.num_rows, pa.decimal128(38, 0)))),
    "a dictionary of numbers": Case(NEVER, column(lambda t: pa.array([1] * t.num_rows).dictionary_encode())),
    "2**40 rows of nothing": Case("it says it has|rows", probe(lying_rows)),
    "a footer that names a batch three times": Case("", probe(repeated_footer), error="accepted"),  # it is not asked
    "offsets of texts beyond the buffer": Case(WHOLE, column(bad_offsets)),
    "indices beyond a dictionary": Case(WHOLE, column(out_of_dictionary)),
    "one text of 4 MB for every row": Case("bytes of text in one column", column(long_dictionary, "in.s"), "text"),
    "a probe cut short": Case(WHOLE, probe(lambda t: arrow(t)[:-100])),
    "a probe cut at its start": Case(WHOLE, probe(lambda t: arrow(t)[100:])),
    "a probe without a footer": Case(WHOLE, probe(lambda t: arrow(t)[:-50] + arrow(t)[-10:])),
    "bytes between the batches and the footer": Case(
        "ends elsewhere", probe(lambda t: arrow(t)[:-10] + bytes(64) + arrow(t)[-10:])
    ),
    "Parquet": Case(WHOLE, probe(b"PAR1" + bytes(100) + b"PAR1")),
    "nothing but the marks": Case(WHOLE, probe(b"ARROW1\0\0" + bytes(8) + b"ARROW1")),
    "100,000 rows": Case(
        "probe has 11200 rows, and a few are written",
        probe(lambda t: arrow(pa.concat_tables([t] * 700).combine_chunks())),
    ),
    "a column twice": Case(
        "cannot be read",
        probe(lambda t: arrow(pa.Table.from_arrays([*t.columns, t.column("in.x")], [*t.column_names, "in.x"]))),
    ),
    "a column missing": Case("cannot be read", probe(lambda t: arrow(t.drop_columns(["in.x"])))),
    "an output missing": Case("cannot be read", probe(lambda t: arrow(t.drop_columns(["out.f0"])))),
    "texts for numbers": Case("cannot be read", column(lambda t: pa.array(["a"] * t.num_rows))),
    "other numbers": Case("score otherwise", column(lambda t: pa.array([1e9] * t.num_rows))),
    "times at the end of int64": Case(
        "score otherwise|cannot be read",
        column(lambda t: pa.array([2**63 - 1] * t.num_rows, pa.timestamp("us")), "in.t"),
        "times",
    ),
    "times in seconds, beyond microseconds": Case(
        "cannot be read", column(lambda t: pa.array([2**62] * t.num_rows, pa.timestamp("s")), "in.t"), "times"
    ),
    "dates beyond the calendar": Case(
        "score otherwise|cannot be read",
        column(lambda t: pa.array([2**31 - 1] * t.num_rows, pa.int32()).cast(pa.date32()), "in.d"),
        "times",
    ),
    "a time zone that leads elsewhere": Case(
        "score otherwise|cannot be read",
        column(lambda t: pa.array([0] * t.num_rows, pa.timestamp("us", "../../etc/passwd")), "in.z"),
        "times",
    ),
    "a table of no use": Case("no use for: .'more'", parts(lambda p: p.tables.update(more=pa.table({"a": [1]})))),
}

XGB = "XGBClassifier 3"
_LONG = struct.pack(">q", 2**62)
UBJ = {
    "objects 1,000 deep": Case("nested deeper than 32", blob(b"{i\x01a" * 1_000 + b"Z" + b"}" * 1_000), XGB),
    "lists 100,000 deep": Case("nested deeper than 32", blob(b"[" * 100_000), XGB),
    "a text of 2**62 bytes": Case("impossible length", blob(b"{i\x01aSL" + _LONG + b"a}"), XGB),
    "a key of 2**62 bytes": Case("impossible length", blob(b"{L" + _LONG + b"a}"), XGB),
    "an array of 2**62 numbers": Case("impossible length", blob(b"{i\x01a[$d#L" + _LONG + b"}"), XGB),
    "a list of 2**62 values": Case("impossible length", blob(b"{i\x01a[#L" + _LONG + b"}"), XGB),
    "a text of a length below 0": Case("impossible length", blob(b"{i\x01aSi\xffa}"), XGB),
    "an array of a length below 0": Case("impossible length", blob(b"{i\x01a[$d#i\xff}"), XGB),
    "a length as a float": Case("impossible length", blob(b"{i\x01aSd\x40\x00\x00\x00ab}"), XGB),
    "an array of objects": Case("malformed array", blob(b"{i\x01a[${#i\x05}"), XGB),
    "an array of nothing, 2**31 times": Case("malformed array", blob(b"{i\x01a[$Z#l\x7f\xff\xff\xff}"), XGB),
    "a number of any length": Case("unknown marker 'H'", blob(b"{i\x01aHi\x05123e9}"), XGB),
    "a text that is no UTF-8": Case("not UTF-8", blob(b"{i\x01aSi\x02\xff\xfe}"), XGB),
    "a member twice": Case("'a' twice", blob(b"{i\x01aZi\x01aZ}"), XGB),
    "bytes at the end": Case(
        "bytes too many", lambda f: put(f, "model.ubj", (f / "model.ubj").read_bytes() + b"Z"), XGB
    ),
    "a booster cut short": Case(
        "cut short|impossible length", lambda f: put(f, "model.ubj", (f / "model.ubj").read_bytes()[:-300]), XGB
    ),
    "no booster": Case("cut short", blob(b""), XGB),
    "an empty object": Case("has no 'learner'", blob(b"{}"), XGB),
    "a booster twice": Case("no use for: .'other.ubj'", _twice, XGB),
    "a booster as JSON": Case("UBJ", blob(b'{"learner":{}}'), XGB),
}

BOOSTERS = {
    "a tree in a circle": Case(
        "points outside|two parents|another parent", in_tree("left_children", lambda a: at(1, 0)(a)), XGB
    ),
    "a node that is its own child": Case(
        "two parents|another parent", in_tree("left_children", lambda a: at(1, 1)(a)), XGB
    ),
    "a child beyond the tree": Case("points outside", in_tree("right_children", lambda a: at(0, 10**6)(a)), XGB),
    "a child below 0": Case("one child|points outside", in_tree("right_children", lambda a: at(0, -5)(a)), XGB),
    "one child": Case("one child", in_tree("right_children", lambda a: at(0, -1)(a)), XGB),
    "a feature beyond the rows": Case("split_indices", in_tree("split_indices", lambda a: at(0, 2**31 - 1)(a)), XGB),
    "a split on categories": Case("splits on categories", in_tree("split_type", lambda a: at(0, 1)(a)), XGB),
    "arrays of different lengths": Case("differ in length", in_tree("split_conditions", lambda a: a[:-1]), XGB),
    "no node": Case(
        "differ in length|has no",
        in_booster("gradient_booster", "model", "trees", 1, "tree_param", "num_nodes", "0"),
        XGB,
    ),
    "nodes in other digits": Case(
        "is '٣'", in_booster("gradient_booster", "model", "trees", 1, "tree_param", "num_nodes", "٣"), XGB
    ),
    "nodes of 5,000 digits": Case(
        "its booster's 'num_nodes' is",
        in_booster("gradient_booster", "model", "trees", 1, "tree_param", "num_nodes", "1" * 5_000),
        XGB,
    ),
    "leaves that are vectors": Case(
        "vectors for leaves",
        in_booster("gradient_booster", "model", "trees", 1, "tree_param", "size_leaf_vector", "1000"),
        XGB,
    ),
    "a tree of no class": Case(
        "tree_info", in_booster("gradient_booster", "model", "tree_info", lambda a: at(0, 1000)(a)), XGB
    ),
    "rounds that go back": Case(
        "mixed up", in_booster("gradient_booster", "model", "iteration_indptr", lambda a: a[::-1].copy()), XGB
    ),
    "rounds beyond the trees": Case(
        "do not fit", in_booster("gradient_booster", "model", "iteration_indptr", lambda a: at(-1, 10**6)(a)), XGB
    ),
    "a linear booster": Case("of kind 'gblinear'", in_booster("gradient_booster", "name", "gblinear"), XGB),
    "more classes": Case("other outputs", in_booster("learner_model_param", "num_class", "1000"), XGB),
    "more features": Case(
        "another number of features", in_booster("learner_model_param", "num_feature", "1000000"), XGB
    ),
    "several targets": Case("several targets", in_booster("learner_model_param", "num_target", "3"), XGB),
    "an objective nobody knows": Case("objective", in_booster("objective", "name", "os.system"), XGB),
    "an objective for no class": Case(
        "objective is for other classes",
        in_booster("objective", "softmax_multiclass_param", "num_class", "0"),
        XGB,
    ),
    "an objective for more classes": Case(
        "objective is for other classes",
        in_booster("objective", "softmax_multiclass_param", "num_class", "100000"),
        XGB,
    ),
    "a base score that is none": Case(
        "base_scores?|base scores?|cannot read it", in_booster("learner_model_param", "base_score", "x"), XGB
    ),
    "base scores for more classes": Case(
        "base scores?|cannot read it",
        in_booster("learner_model_param", "base_score", "[" + "1E0," * 5000 + "1E0]"),
        XGB,
    ),
}

FOREST, LOGISTIC = "forest", "LogisticRegression 3"
TREES = {
    "a child before its parent": Case("'left' points outside", array("model", "left", at(2, 1)), FOREST),
    "a child that is its parent": Case("'right' points outside", array("model", "right", at(0, 0)), FOREST),
    "a child beyond the leaves": Case("'right' points outside", array("model", "right", at(0, 2**31 - 1)), FOREST),
    "a child below 0 in a forest": Case("'left' points outside", array("model", "left", at(0, -(2**31))), FOREST),
    "a root beyond the leaves": Case("'roots' points outside", array("model", "roots", at(0, 10**6)), FOREST),
    "a feature nobody gives": Case("'feature' points outside", array("model", "feature", at(0, 10**6)), FOREST),
    "a feature below 0": Case("'feature' points outside", array("model", "feature", at(0, -1)), FOREST),
    "thresholds of NaN": Case("'threshold' holds NaN", array("model", "threshold", at(0, np.nan)), FOREST),
    "leaves too wide": Case("wrong width", array("model", "value", lambda a: np.repeat(a, 3, 1)), FOREST),
    "no tree": Case("wrong number of trees", array("model", "roots", lambda a: a[:0]), FOREST),
    "a set of categories nobody has": Case(
        "category_set|categor", array("model", "category_set", lambda a: np.full_like(a, 99)), "categories in trees"
    ),
    "categories out of order": Case(
        "not ascending|categor", array("model", "category_values", lambda a: a[::-1].copy()), "categories in trees"
    ),
    "categories of every feature": Case(
        "categor", array("model", "category_offsets", lambda a: a[::-1].copy()), "categories in trees"
    ),
    "a branch of 20,000 nodes": Case("score otherwise", parts(lambda p: _chain(p.arrays["model"])), FOREST),
}

MODELS = {
    "weights of NaN": Case("'coefficients' holds NaN", array("model", "coefficients", at((0, 0), np.nan)), LOGISTIC),
    "weights of another type": Case(
        "holds float32", array("model", "coefficients", lambda a: a.astype("f4")), LOGISTIC
    ),
    "weights of another shape": Case("has shape", array("model", "coefficients", lambda a: a.T.copy()), LOGISTIC),
    "weights as texts": Case("not an array", array("model", "intercept", lambda a: pa.array(["a"] * len(a))), LOGISTIC),
    "a link for numbers": Case(
        "link 'identity' is not for a classifier", put_at("model", "link", "identity"), LOGISTIC
    ),
    "a link for two classes": Case("not for 3 outputs", put_at("model", "link", "sigmoid"), LOGISTIC),
    "a link nobody knows": Case("link 'os.system' is unknown", put_at("model", "link", "os.system"), LOGISTIC),
    "a link that is a list": Case(r"link \[\] is unknown", put_at("model", "link", []), LOGISTIC),
    "a form nobody knows": Case("form 'pickle' is unknown", put_at("model", "form", "pickle"), LOGISTIC),
    "another form": Case("damaged", put_at("model", "form", "trees"), LOGISTIC),
    "another kind": Case("not for a regressor", put_at("model", "kind", "regressor"), LOGISTIC),
    "classes out of order": Case("not sorted", put_at("model", "classes", ["b", "a", "ü"]), LOGISTIC),
    "a class twice": Case("not sorted", put_at("model", "classes", ["a", "a", "ü"]), LOGISTIC),
    "classes of two types": Case("no plain labels", put_at("model", "classes", ["a", 1, "ü"]), LOGISTIC),
    "classes of true and 1": Case("no plain labels", put_at("model", "classes", [False, True, 2]), LOGISTIC),
    "a class of NaN": Case(
        "not sorted|no plain labels", put_at("model", "classes", [1.0, 2.0, {"$float": "nan"}]), LOGISTIC
    ),
    "a class too few": Case("2 classes for 3 outputs", put_at("model", "classes", ["a", "b"]), LOGISTIC),
    "10,000 classes": Case(
        "10000 classes for 3 outputs", put_at("model", "classes", [f"{n:05}" for n in range(10_000)]), LOGISTIC
    ),
    "no classes": Case("classes", put_at("model", "classes", None), LOGISTIC),
    "features of other names": Case(
        "not one of its features", put_at("model", "feature_names", [f"z{n}" for n in range(7)]), LOGISTIC
    ),
    "features of one name": Case("feature names are wrong", put_at("model", "feature_names", ["f0"] * 7), LOGISTIC),
    "a model's version": Case("its version is not", put_at("model", "version", 99), LOGISTIC),
    "a model with more entries": Case("its entries are", put_at("model", "code", "import os"), LOGISTIC),
    "a model's parameters with more": Case(
        "its parameters are", put_at("model", "params", {"binarize": None, "x": 1}), LOGISTIC
    ),
    "a model that is a list": Case("its document is no object", put_at("model", []), LOGISTIC),
    "a blob beside the arrays": Case("blobs", lambda f: put(f, "model.ubj", b"{}"), LOGISTIC),
}

PLAN, READ = "plan cannot be read", "expressions cannot be read"
_ROWS = "record of the rows it was fitted on cannot be read"


def _seen(rows: Any = (), **changes: Any) -> dict[str, Any]:
    """A record of rows, with other entries."""
    whole = {"use": "fit", "files": [[1, "0" * 32, list(rows)]], "steps": [], "types": {"x": "Float64"}}
    return {**whole, **changes}


PLANS = {
    "a node of itself": Case(f"{READ}: an operand at 0 of 0", nodes(["add", [0, 0], {}])),
    "two nodes in a circle": Case(f"{READ}: an operand at 1 of 0", nodes(["abs", [1], {}], ["abs", [0], {}])),
    "an operand below 0": Case(f"{READ}: an operand at -1", nodes(["col", [], {"name": "x"}], ["abs", [-1], {}])),
    "an operand as a float": Case(f"{READ}: an operand at 0.0", nodes(["col", [], {"name": "x"}], ["abs", [0.0], {}])),
    "an operand as true": Case(f"{READ}: an operand at False", nodes(["col", [], {"name": "x"}], ["abs", [False], {}])),
    "a root beyond the nodes": Case(f"{READ}: an operand at 9", nodes(["col", [], {"name": "x"}], roots=[9])),
    "an operation nobody knows": Case("an unknown operation 'os.system'", nodes(["os.system", [], {}])),
    "an operation of the planner": Case("an unknown operation 'lookup'", nodes(["lookup", [], {}])),
    "an operation that is a list": Case("an operation \\[\\]", nodes([[], [], {}])),
    "a parameter nobody knows": Case("has a parameter code", nodes(["col", [], {"name": "x", "code": "import os"}])),
    "a parameter that is an object": Case("an odd parameter", nodes(["col", [], {"name": {"a": 1}}])),
    "a parameter missing": Case("lacks a parameter", nodes(["col", [], {}])),
    "a type nobody knows": Case(
        "'Object' is not a type",
        nodes(["col", [], {"name": "x"}], ["cast", [0], {"dtype": "Object", "strict": True}], roots=[1]),
    ),
    "a literal beyond int64": Case("do not go together", nodes(["lit", [], {"value": 2**63, "dtype": "Int64"}])),
    "a quantile of 2": Case(
        "cannot be '2.0'", nodes(["col", [], {"name": "x"}], ["quantile", [0], {"q": 2.0, "keys": 0}], roots=[1])
    ),
    "statistics by 2**62 keys": Case(
        "of 1 operands", nodes(["col", [], {"name": "x"}], ["mean", [0], {"keys": 2**62}], roots=[1])
    ),
    "no buckets": Case(
        "cannot be '0'", nodes(["col", [], {"name": "x"}], ["hash_bucket", [0], {"buckets": 0, "seed": 0}], roots=[1])
    ),
    "10**9 columns of words": Case(
        "one feature has 1000000000 columns", plan(col("s").str.word_ngrams(10**9, limit=10**9))
    ),
    "runs of 10**9 words of a long text": Case("counts runs of 1000000000 words", _long_runs, "text"),
    "a regular expression too large": Case(
        "do not go together",
        nodes(
            ["col", [], {"name": "s"}],
            ["contains", [0], {"pattern": "((a{900}){900}){900}", "literal": False}],
            roots=[1],
        ),
    ),
    "a regular expression that looks back": Case(
        "do not go together",
        nodes(["col", [], {"name": "s"}], ["contains", [0], {"pattern": "(a)\\1", "literal": False}], roots=[1]),
    ),
    "a regular expression 5,000 deep": Case(
        "not those that its plan gives",
        nodes(
            ["col", [], {"name": "s"}],
            ["contains", [0], {"pattern": "(" * 5_000 + "a" + ")" * 5_000, "literal": False}],
            roots=[1],
        ),
    ),
    "a format that never ends": Case(
        "The format '%d%d%d",
        nodes(["col", [], {"name": "s"}], ["to_date", [0], {"format": "%d" * 50_000, "strict": True}], roots=[1]),
    ),
    "doubling nodes, and a type error": Case("takes String", plan(_doubled(lambda e: (e + e) * 0.5).str.len_chars())),
    "a chain of nodes, and a type error": Case("takes String", plan(_doubled(lambda e: e + 1, 5_000).str.len_chars())),
    "groups by groups, and a type error": Case(
        "takes String", plan(_doubled(lambda e: e.mean().over(e), 60).str.len_chars())
    ),
    "two features of one name": Case("plan cannot be read", plan(col("x"), col("x") + 1)),
    "a column that is not there": Case("no column 'y'", plan(col("y"))),
    "a column twice in the schema": Case(
        "Two columns are named 'x'", put_at("plan", "schema", 1, ["x", "Float64", True])
    ),
    "a column of no type": Case("is not a type", put_at("plan", "schema", 0, 1, "Object")),
    "a column of a zone that leads elsewhere": Case(
        "There is no time zone", plan(col("t").dt.hour(), schema=[["t", "Datetime(../../etc/passwd)", True]])
    ),
    "a column named by a number": Case("a column 1 of type", put_at("plan", "schema", 0, 0, 1)),
    "the target among the features": Case(
        "plan cannot be read",
        lambda f: forge(
            f,
            lambda m: m["document"]["plan"]["expressions"].update(
                roots=m["document"]["plan"]["expressions"]["roots"][:-1] * 1
                + m["document"]["plan"]["expressions"]["roots"][-1:] * 2
            ),
        ),
        "linear",
    ),
    "a target that is not there": Case("cannot be read|refers|names|features", put_at("plan", "has_target", True)),
    "a task nobody knows": Case("task is none", put_at("plan", "task", "ranking by os.system")),
    "flags as numbers": Case("has_target", put_at("plan", "has_weights", 1)),
    "outputs of other names": Case("not those that its plan gives", put_at("outputs", ["z"])),
    "10,000 outputs": Case("not those that its plan gives", put_at("outputs", ["z"] * 10_000)),
    "notes that are a list": Case("notes no object", put_at("notes", [])),
    # The record of the rows that the fit has seen.
    "a record of rows that is text": Case(_ROWS, put_at("notes", "seen", "all of them")),
    "a record of rows with a path": Case(_ROWS, put_at("notes", "seen", [_seen(files=[[1, "/etc/passwd", []]])])),
    "a record of rows beyond all": Case(_ROWS, put_at("notes", "seen", [_seen(rows=[[0, 0, 2**70]])])),
    "a record of a step that runs": Case(_ROWS, put_at("notes", "seen", [_seen(steps=[{"run": "rm -r /"}])])),
    "a record of a filter that is no test": Case(
        _ROWS,
        put_at("notes", "seen", [_seen(steps=[{"filter": {"nodes": [["col", [], {"name": "x"}]], "roots": [0]}}])]),
    ),
    "a record of a split by no column": Case(
        _ROWS, put_at("notes", "seen", [_seen(steps=[{"split": [0.5, 0, "secret", True, 0]}])])
    ),
    "a record of a depth without end": Case(
        _ROWS, put_at("notes", "seen", [_seen(steps=[{"split": [0.5, 0, None, True, 2**60]}])])
    ),
    "a record of very many steps": Case(_ROWS, put_at("notes", "seen", [_seen(steps=[{}] * 10**5)])),
    "a record of very many rows, which nobody counts out": Case(
        "", put_at("notes", "seen", [_seen(rows=[[0, 0, 2**61]] * 1000)]), error="accepted"
    ),
    "another kind of artifact": Case("not of a gpupipe pipeline", put_at("kind", "gpupipe.report")),
    "statistics of nothing": Case("statistics cannot be read", put_at("statistics", [])),
    "statistics of another type": Case("holds 'Int64'", put_at("statistics", 0, 0, 0, 0, "Int64")),
    "statistics with no counts": Case("cannot be read", put_at("statistics", 0, 0, 1, False), "categories"),
}

# What is odd and does no harm: it loads, at once and in little memory.
ODD = {
    "a hard link to the same bytes": Case(
        "", replaced(lambda p: os.link(p.parent.parent / f"{p.parent.name}-beside", p))
    ),
    "files that others may read": Case("", lambda f: [os.chmod(f / name, 0o777) for name in os.listdir(f)]),
    "a billion buckets": Case(
        "",
        nodes(
            ["col", [], {"name": "s"}], ["hash_bucket", [0], {"buckets": 10**9, "seed": 0}], roots=[1], outputs=["s"]
        ),
    ),
    "two names that look alike": Case(
        "",
        plan(
            col("\u00e9"),
            col("e\u0301"),
            schema=[["\u00e9", "Float64", True], ["e\u0301", "Float64", True]],
            outputs=["\u00e9", "e\u0301"],
        ),
    ),
    "a name of control signs": Case(
        "", plan(col("\x1b[31m"), schema=[["\x1b[31m", "Float64", True]], outputs=["\x1b[31m"])
    ),
    "a regular expression that others go back over": Case(
        "", plan(col("s").str.contains("(a+)+$|(a|aa)+$|(.*a){25}b"), outputs=["s_contains"])
    ),
    "a literal of a megabyte": Case("", plan(col("s") == "z" * 2**20, outputs=["s"])),
    "no probe": Case("", parts(lambda p: p.tables.clear())),
}

GROUPS = {
    "json": JSON,
    "version": VERSIONS,
    "name": NAMES,
    "folder": FOLDERS,
    "tensors": TENSORS,
    "arrow": ARROW,
    "ubj": UBJ,
    "booster": BOOSTERS,
    "trees": TREES,
    "model": MODELS,
    "plan": PLANS,
    "odd": {name: Case("", case.change, case.base, "accepted") for name, case in ODD.items()},
}
CASES: dict[str, Case] = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
