"""What goes into an artifact comes out of it, and whatever is wrong with one is told by name."""

import hashlib
import json
import math
import os
import stat
import string
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpupipe import artifact
from gpupipe.artifact import canonical, tables, tensors
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    ParameterError,
    UnsafeModelError,
)

DTYPES = ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
NAMES = st.text(min_size=1, max_size=8).filter(lambda s: s != "__metadata__" and s.isprintable())
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
TEXTS = st.lists(st.none() | st.text(max_size=5).filter(lambda s: s.isprintable()), max_size=6)
STRINGS = st.tuples(TEXTS, st.sampled_from([pa.string(), pa.large_string()])).map(lambda t: pa.array(*t))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def same(one, other):
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    else:
        assert one.type == other.type and one.equals(other)


def save(tmp_path, **changes):
    path = tmp_path / "model.gpp"
    parts = {
        "document": {"target": "churned", "big": 10**30, "inf": math.inf},
        "arrays": {
            "state": {"mean": np.array([1.5, math.nan]), "cities": pa.array(["Oslo", None, "Åre"])},
            "model": {"weights": np.zeros((3, 2), np.float32)},
        },
        "blobs": {"model.ubj": b"{}" * 50},
        "tables": {"probe": pa.table({"a": [1, None], "b": ["x", "y"]})},
    }
    return path, artifact.write(path, **{**parts, **changes})


@given(arrays=st.dictionaries(NAMES.filter(lambda n: "." not in n), ARRAYS | STRINGS, max_size=4))
@settings(max_examples=150, deadline=None)
def test_arrays_round_trip(arrays):
    data, kinds = tensors.encode(arrays)
    found = tensors.decode(data, kinds, "state.safetensors")
    assert found.keys() == arrays.keys()
    for name in arrays:
        same(arrays[name], found[name])


@given(document=JSON)
@settings(max_examples=200, deadline=None)
def test_json_round_trips_in_one_form(document):
    try:
        data = canonical.dumps(document)
    except ParameterError as error:
        assert "$float" in str(error)
        return
    found = canonical.loads(data, "x")
    assert canonical.dumps(found) == data
    assert (
        json.loads(data, parse_float=float) == json.loads(json.dumps(document)) or "$float" in data.decode()
    )
    assert data.isascii()


def test_numbers_json_lacks_are_kept():
    found = canonical.loads(canonical.dumps([math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1]), "x")
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, 0.0, 5e-324, 0.1]
    assert math.copysign(1, found[3]) == -1


def test_nesting_looks_past_strings():
    assert canonical.nesting(rb'{"a\"[[": ["[[[\\", [[]]]}') == 4


def test_everything_round_trips(tmp_path):
    path, digest = save(tmp_path)
    contents = artifact.read(path)
    assert contents.document == {"target": "churned", "big": 10**30, "inf": math.inf}
    assert contents.digest == digest and len(digest) == 64
    same(contents.arrays["state"]["mean"], np.array([1.5, math.nan]))
    same(contents.arrays["state"]["cities"], pa.array(["Oslo", None, "Åre"]))
    same(contents.arrays["model"]["weights"], np.zeros((3, 2), np.float32))
    assert contents.blobs == {"model.ubj": b"{}" * 50}
    assert contents.tables["probe"].equals(pa.table({"a": [1, None], "b": ["x", "y"]}))


def test_nothing_but_a_document(tmp_path):
    artifact.write(tmp_path / "a", document={}, arrays={"state": {}})
    contents = artifact.read(tmp_path / "a")
    assert (contents.document, contents.arrays, contents.blobs, contents.tables) == (
        {},
        {"state": {}},
        {},
        {},
    )


def test_equal_contents_have_equal_digests(tmp_path):
    strings = pa.array(["x", "Oslo", None, "Åre"])
    parts = [
        {"b": np.array([1, 2], ">i4"), "s": strings.slice(1), "f": np.asfortranarray(np.eye(2, 3))},
        {"f": np.eye(2, 3), "s": pa.array(["Oslo", None, "Åre"]), "b": np.array([1, 2], "<i4")},
    ]
    tables_ = [pa.table({"a": pa.chunked_array([[1], [2, 3]])}), pa.table({"a": [1, 2, 3]})]
    digests = {
        artifact.write(tmp_path / str(i), document={"k": i * 0, "a": 1}, arrays={"state": p}, tables={"t": t})
        for i, (p, t) in enumerate(zip(parts, tables_, strict=True))
    }
    assert len(digests) == 1


def test_arrays_read_cannot_be_written(tmp_path):
    path, _ = save(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        artifact.read(path).arrays["state"]["mean"][0] = 1


def test_files_are_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        path, _ = save(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.iterdir()} == {0o600}
    assert len(list(path.iterdir())) == 5


def test_read_through_a_link_to_the_folder(tmp_path):
    _, digest = save(tmp_path)
    (tmp_path / "current").symlink_to("model.gpp")
    assert artifact.read(tmp_path / "current").digest == digest


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array(["a"], object), "object.*pa.array"),
        (np.array(["a"]), "<U1.*pa.array"),
        (np.array([1j]), "complex128"),
        (np.array(["2020"], "M8[D]"), "datetime64"),
        (pa.array([1]), "int64"),
        (pa.array(["a"]).dictionary_encode(), "dictionary"),
        (pa.chunked_array([["a"]]), "string"),
        ([1.0], "list"),
    ],
)
def test_arrays_with_no_safe_form_are_refused(tmp_path, array, said):
    with pytest.raises(UnsafeModelError, match=f"'x'.*{said}"):
        save(tmp_path, arrays={"state": {"x": array}})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"document": {"a": [1, {"b": np.int64(1)}]}}, r"document\.a\[1\]\.b is a int64"),
        ({"document": {1: 2}}, "key 1"),
        ({"document": {"a": {"$float": "inf"}}}, "Rename"),
        ({"document": {"a": 10**5000}}, "digits"),
        ({"arrays": {"State": {}}}, "'State.safetensors'"),
        ({"arrays": {"../state": {}}}, "lower-case"),
        ({"arrays": {"state": {"": np.zeros(1)}}}, "reserved"),
        ({"arrays": {"state": {"__metadata__": np.zeros(1)}}}, "reserved"),
        ({"arrays": {"state": {"a": pa.array(["x"]), "a.utf8": np.zeros(1)}}}, "'a.utf8'"),
        ({"blobs": {"model.pkl": b""}}, r"\.ubj"),
        ({"blobs": {"a b.ubj": b""}}, "'a b.ubj'"),
        ({"arrays": {f"a{i}": {} for i in range(70)}}, "70 files|72 files"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, changes, said):
    with pytest.raises(ParameterError, match=said):
        save(tmp_path, **changes)
    assert os.listdir(tmp_path) == []


def test_a_document_that_holds_itself_is_refused(tmp_path):
    document = {}
    document["a"] = document
    with pytest.raises(ParameterError, match="nested deeper than 200"):
        save(tmp_path, document=document)


def test_the_deepest_document_that_can_be_written_can_be_read(tmp_path):
    document = {}
    for _ in range(canonical.MAX_DEPTH - 2):  # the document and the manifest are the other two
        document = {"a": document}
    path, _ = save(tmp_path, document=document)
    assert artifact.read(path).document == document
    with pytest.raises(ParameterError, match="nested deeper than 200"):
        save(tmp_path, document={"a": document})


def test_extension_types_are_refused(tmp_path):
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16)))
    with pytest.raises(UnsafeModelError, match="'id'"):
        save(tmp_path, tables={"probe": pa.table({"id": column})})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, pa.table({"id": column}).schema) as writer:
        writer.write_table(pa.table({"id": column}))
    with pytest.raises(ArtifactCorruptError, match=r"probe.arrow.*'id'"):
        tables.decode(sink.getvalue().to_pybytes(), "probe.arrow")


def test_nothing_there(tmp_path):
    path, _ = save(tmp_path)
    with pytest.raises(ArtifactNotFoundError, match=r"Did you mean 'model.gpp'"):
        artifact.read(tmp_path / "modle.gpp")
    with pytest.raises(FileNotFoundError, match="no folder"):
        artifact.read(tmp_path / "none" / "model.gpp")
    with pytest.raises(ArtifactCorruptError, match="is a file"):
        artifact.read(path / "manifest.json")


# One change to a whole artifact, and what is said of it.

FILES = ["manifest.json", "state.safetensors", "model.safetensors", "model.ubj", "probe.arrow"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("at", [0, 0.5, -1])
def test_any_changed_byte(tmp_path, name, at):
    path, _ = save(tmp_path)
    data = bytearray((path / name).read_bytes())
    data[int(at * len(data)) if at >= 0 else -1] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(ArtifactCorruptError, match=name):
        artifact.read(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [0, 10, -1])
def test_cut_short(tmp_path, name, size):
    path, _ = save(tmp_path)
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[:size])
    with pytest.raises(
        ArtifactCorruptError, match=name if name == "manifest.json" else f"{name} is cut short"
    ):
        artifact.read(path)


@pytest.mark.parametrize("name", FILES)
def test_lengthened(tmp_path, name):
    path, _ = save(tmp_path)
    with open(path / name, "ab") as file:
        file.write(b" ")
    with pytest.raises(ArtifactCorruptError, match=name):
        artifact.read(path)


@pytest.mark.parametrize("name", FILES)
def test_missing(tmp_path, name):
    path, _ = save(tmp_path)
    (path / name).unlink()
    with pytest.raises(
        ArtifactCorruptError, match=f"no {name}" if name == "manifest.json" else f"{name} is missing"
    ):
        artifact.read(path)


@pytest.mark.parametrize("name", FILES)
def test_links_folders_and_pipes_in_place_of_files(tmp_path, name):
    path, _ = save(tmp_path)
    (path / name).rename(tmp_path / "elsewhere")
    for make in (lambda p: p.symlink_to(tmp_path / "elsewhere"), lambda p: p.mkdir(), os.mkfifo):
        make(path / name)
        with pytest.raises(ArtifactCorruptError, match=name):
            artifact.read(path)
        (path / name).rmdir() if (path / name).is_dir() else (path / name).unlink()


@pytest.mark.parametrize("name", ["extra.arrow", ".hidden", "state.safetensors~", "ünï"])
def test_extra_entries(tmp_path, name):
    path, _ = save(tmp_path)
    (path / name).write_bytes(b"")
    with pytest.raises(ArtifactCorruptError, match=f"{name} is there"):
        artifact.read(path)
    (path / name).unlink()
    (path / name).mkdir()
    with pytest.raises(ArtifactCorruptError, match=f"{name} is there"):
        artifact.read(path)


def test_thousands_of_entries(tmp_path):
    path, _ = save(tmp_path)
    for i in range(100):
        (path / f"{i}.arrow").touch()
    with pytest.raises(ArtifactCorruptError, match="105 files"):
        artifact.read(path)


def test_every_message_is_for_people(tmp_path):
    path, _ = save(tmp_path)
    (path / "model.ubj").write_bytes(b"[]" * 50)
    with pytest.raises(ArtifactCorruptError) as error:
        artifact.read(path)
    said = "model.ubj was altered: its bytes do not match the digest in the manifest.json."
    advice = "If it was one, it is damaged: restore a copy, or save it again."
    assert str(error.value) == f"{path} is no whole artifact: {said} {advice}"


# A forger can make the digests fit; what the files say is still checked.


def forge(path, change):
    """Change the manifest and make its digest right again."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["digest"]
    manifest = change(manifest) or manifest
    manifest["digest"] = hashlib.sha256(plain(manifest)).hexdigest()
    (path / "manifest.json").write_bytes(plain(manifest))


def plain(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def replace(path, name, data):
    (path / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    forge(path, lambda manifest: manifest["files"].update({name: entry}))


def test_forging_works_at_all(tmp_path):
    path, _ = save(tmp_path)
    forge(path, lambda manifest: manifest["document"].update(target="other"))
    assert artifact.read(path).document["target"] == "other"


def test_a_newer_format_is_told_before_anything_else(tmp_path):
    path, _ = save(tmp_path)
    (path / "manifest.json").write_bytes(
        b'{"format":"gpupipe-artifact","version":2,"gpupipe":"9.1.0","new":[]}'
    )
    (path / "new-part").mkdir()
    with pytest.raises(
        ArtifactVersionError, match=r"format 2, written by gpupipe 9.1.0.*up to 1.*pip install --upgrade"
    ):
        artifact.read(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"format":"zip"}',
        b'{"format":"gpupipe-artifact"}',
        b'{"format":"gpupipe-artifact","version":true}',
        b'{"format":"gpupipe-artifact","version":0}',
        b'{"format":"gpupipe-artifact","version":1}',
        b'{"format":"gpupipe-artifact","version":NaN}',
        b'{"format":"gpupipe-artifact","version":{"$float":"zero"}}',
        b'{"format":"gpupipe-artifact","version":' + b"1" * 9999 + b"}",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
    ],
)
def test_odd_manifests(tmp_path, text):
    path, _ = save(tmp_path)
    (path / "manifest.json").write_bytes(text)
    with pytest.raises(ArtifactCorruptError, match=r"manifest.json"):
        artifact.read(path)


def test_a_huge_manifest_is_not_read(tmp_path):
    path, _ = save(tmp_path)
    with open(path / "manifest.json", "r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ArtifactCorruptError, match=r"manifest.json holds 1,099,511,627,776 bytes"):
        artifact.read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(extra=1),
        lambda m: {key: value for key, value in m.items() if key != "strings"},
        lambda m: m.update(document=[]),
        lambda m: m.update(gpupipe=1),
        lambda m: m.update(files=[]),
        lambda m: m["files"].update({"../x.arrow": {"size": 0, "sha256": ""}}),
        lambda m: m["files"].update({"manifest.json": {"size": 0, "sha256": ""}}),
        lambda m: m["files"]["model.ubj"].update(size="100"),
        lambda m: m["files"]["model.ubj"].update(size=True),
        lambda m: m["files"].update({"model.ubj": {"size": 100}}),
        lambda m: m["strings"].update({"none.safetensors": {}}),
        lambda m: m["strings"].update({"state.safetensors": {"cities": 5}}),
    ],
)
def test_manifests_of_another_shape(tmp_path, change):
    path, _ = save(tmp_path)
    forge(path, change)
    with pytest.raises(ArtifactCorruptError, match=r"manifest.json"):
        artifact.read(path)


def test_a_manifest_that_is_not_canonical(tmp_path):
    path, _ = save(tmp_path)
    data = (path / "manifest.json").read_bytes()
    for other in (data + b"\n", data.replace(b",", b", ", 1), data.replace(b"{", b'{"digest":"",', 1)):
        (path / "manifest.json").write_bytes(other)
        with pytest.raises(ArtifactCorruptError, match=r"manifest.json was altered"):
            artifact.read(path)


def safetensors_file(header, data=b""):
    text = header if isinstance(header, bytes) else plain(header)
    return len(text).to_bytes(8, "little") + text + data


LYING = {
    "longer than the file": {"mean": {"dtype": "F64", "shape": [3], "data_offsets": [0, 24]}},
    "shorter than the file": {"mean": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}},
    "shape and bytes differ": {"mean": {"dtype": "F64", "shape": [5], "data_offsets": [0, 16]}},
    "shape overflows": {"mean": {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 16]}},
    "overlap": {
        "mean": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
        "more": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
    },
    "unknown dtype": {"mean": {"dtype": "PY", "shape": [2], "data_offsets": [0, 16]}},
    "unwanted dtype": {"mean": {"dtype": "BF16", "shape": [8], "data_offsets": [0, 16]}},
    "bools that are not": {"mean": {"dtype": "BOOL", "shape": [16], "data_offsets": [0, 16]}},
    "not JSON": b"mean",
    "deep JSON": b"[" * 50_000,
}


@pytest.mark.parametrize("why", LYING)
def test_lying_safetensors_headers(tmp_path, why):
    path, _ = save(tmp_path, arrays={"model": {"mean": np.ones(2)}})
    replace(path, "model.safetensors", safetensors_file(LYING[why], np.ones(2).tobytes()))
    with pytest.raises(ArtifactCorruptError, match=r"model.safetensors"):
        artifact.read(path)


@pytest.mark.parametrize(
    ("utf8", "offsets", "valid"),
    [
        (b"abc", [0, 2, 1, 3], None),
        (b"abc", [1, 3], None),
        (b"abc", [0, 2], None),
        (b"abc", [0, 2**40], None),
        (b"abc", [], None),
        (b"\xff\xfe\xfd", [0, 3], None),
        ("å".encode(), [0, 1, 2], None),
        (b"abc", [0, 3], [True, False]),
    ],
)
def test_strings_that_do_not_fit(utf8, offsets, valid):
    parts = {"s.utf8": np.frombuffer(utf8, np.uint8), "s.offsets": np.array(offsets, np.int64)}
    if valid is not None:
        parts["s.valid"] = np.array(valid)
    data, _ = tensors.encode(parts)
    for kind in ("string", "large_string"):
        with pytest.raises(ArtifactCorruptError, match="'s'"):
            tensors.decode(data, {"s": kind}, "state.safetensors")


def test_strings_that_are_not_there():
    data, _ = tensors.encode({"a": np.zeros(1), "s": pa.array(["x"])})
    for kinds in ({"a": "string"}, {"s": "binary"}, {"t": "string"}):
        with pytest.raises(ArtifactCorruptError, match="lacks the parts"):
            tensors.decode(data, kinds, "state.safetensors")


def test_arrow_files_that_are_not(tmp_path):
    path, _ = save(tmp_path)
    good = (path / "probe.arrow").read_bytes()
    outside = pa.DictionaryArray.from_arrays(pa.array([7], pa.int32()), pa.array(["a"]), safe=False)
    for data in (
        b"",
        b"PAR1",
        good[: len(good) // 2],
        good[100:],
        tables.encode(pa.table({"a": outside}), "t"),
    ):
        replace(path, "probe.arrow", data)
        with pytest.raises(ArtifactCorruptError, match=r"probe.arrow is not a whole Arrow file"):
            artifact.read(path)


@given(noise=st.binary(max_size=300), where=st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_noise_in_verified_files_never_crashes(noise, where):
    table = pa.table({"a": [1.5, None], "b": ["x", "yy"], "c": pa.array(["u", "v"]).dictionary_encode()})
    arrays, kinds = tensors.encode({"m": np.ones(3), "s": pa.array(["Oslo", None])})
    for data, decode in (
        (arrays, lambda data: tensors.decode(data, kinds, "a.safetensors")),
        (tables.encode(table, "t"), lambda data: tables.decode(data, "t.arrow")),
    ):
        at = where % len(data)
        try:
            decode(data[:at] + noise + data[at + len(noise) :])
        except ArtifactCorruptError as error:
            assert str(error).startswith(("a.safetensors", "t.arrow"))


def test_names_of_arrays_may_be_anything(tmp_path):
    names = [*string.punctuation, "ü/é", "a" * 1000, "\x00", "data"]
    path, _ = save(tmp_path, arrays={"state": {name: np.array([i]) for i, name in enumerate(names)}})
    found = artifact.read(path).arrays["state"]
    assert {name: int(value[0]) for name, value in found.items()} == {name: i for i, name in enumerate(names)}


def test_overwriting_gives_the_new_one(tmp_path):
    path, first = save(tmp_path)
    with pytest.raises(ArtifactExistsError, match="overwrite=True"):
        save(tmp_path, document={})
    assert artifact.read(path).digest == first
    _, second = save(tmp_path, document={}, overwrite=True)
    assert artifact.read(path).digest == second != first
    assert os.listdir(tmp_path) == ["model.gpp"]


def test_loading_imports_little(tmp_path):
    path, _ = save(tmp_path)
    code = (
        "import sys; from gpupipe import artifact; before = set(sys.modules); artifact.read(sys.argv[1]);"
        "print(sorted({'pandas', 'sklearn', 'numba', 'xgboost'} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
