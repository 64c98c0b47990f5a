"""Skops files: what is allowed goes there and back, and whatever else stands in one is refused before skops sees it."""

import copy
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge

import gpupipe as gp
from gpupipe.errors import ArtifactCorruptError, ArtifactVersionError, GpupipeError, UnsafeModelError
from gpupipe.models.families import skops_file
from gpupipe.models.families.skops_models import SCORES
from gpupipe.models.fitted import Model
from gpupipe.models.model import train

from .cases import NAMES, matrix, ours, target
from .skops_cases import CASES

X, Y2, Y3, Y = matrix(False, False), target(False, 2), target(False, 3), target(False, 0)
EACH = pytest.mark.parametrize("name", list(CASES))

WATCHED = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "pickle.find_class",
    "import",
    "exec",
)
events: list[str] = []
watching = False


def _hook(event: str, arguments: Any) -> None:
    if watching and event in WATCHED:
        events.append(f"{event} {arguments[:1]}")


sys.addaudithook(_hook)


def refused(document: Any, blob: bytes) -> str:
    """Reading the model must fail as a damaged one does, with nothing imported and nothing run."""
    global watching
    events.clear()
    watching = True
    try:
        with pytest.raises(ArtifactCorruptError, match="The saved model is damaged") as caught:
            Model.from_parts(document, {}, {"skops": blob})
    finally:
        watching = False
    assert events == []
    return str(caught.value)


def document(name: str = "KernelRidge") -> dict[str, Any]:
    return ours(name).to_parts()[0]


def taken_apart(name: str = "KernelRidge") -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(ours(name).blobs["skops"])) as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    return json.loads(files.pop("schema.json")), files


def together(schema: Any, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in {**files, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, data)
    return out.getvalue()


def attributes(schema: dict[str, Any]) -> dict[str, Any]:
    return schema["content"]["content"]


@EACH
def test_the_same_fit_is_the_same_bytes_without_identities(name: str) -> None:
    case = CASES[name]
    model, again = (train(case.estimator, case.X, case.y, feature_names=NAMES) for _ in range(2))
    assert again.blobs["skops"] == model.blobs["skops"] and again.digest() == model.digest()
    schema = taken_apart(name)[0]
    text = json.dumps(schema)
    assert "__id__" not in text and "RandomState" not in text and "_skops_version" not in text
    assert together(*taken_apart(name)) and skops_file.read(model.blobs["skops"]).archive() == model.blobs["skops"]


def test_every_class_that_is_scored_may_be_built() -> None:
    assert set(SCORES) <= {name for _, name in skops_file.TYPES}
    assert {type(case.estimator).__name__ for case in CASES.values()} == set(SCORES)
    for module, name in skops_file.TYPES:
        __import__(module)
        assert isinstance(getattr(sys.modules[module], name), type)


def node(loader: str, module: str = "builtins", kind: str = "dict", **rest: Any) -> dict[str, Any]:
    return {"__loader__": loader, "__module__": module, "__class__": kind, **rest}


SYSTEM = node("FunctionNode", "os", "system")
TEXT = node("JsonNode", kind="str", content='"true"', is_json=True)
NAMES_NODE = node("ListNode", kind="list", content=[node("TypeNode", kind="str")])
STATE = node("DictNode", content={"gamma": TEXT}, key_types=NAMES_NODE)
HOSTILE: dict[str, dict[str, Any]] = {
    "a function": SYSTEM,
    "a function of NumPy": node("FunctionNode", "numpy", "exp"),
    "a type": node("TypeNode", "subprocess", "Popen"),
    "a type of ours": node("TypeNode", "builtins", "object"),
    "a method": node("MethodNode", "os", "system", content={"func": "system", "obj": TEXT}),
    "an operator": node(
        "OperatorFuncNode", "operator", "methodcaller", attrs=node("TupleNode", kind="tuple", content=[])
    ),
    "a partial": node("PartialNode", "functools", "partial", content={"func": SYSTEM}),
    "a constructor": node("ConstructorFromReduceNode", "subprocess", "Popen", content=TEXT),
    "an object of the system": node("ObjectNode", "os", "_wrap_close", content=STATE),
    "an estimator that is not listed": node("ObjectNode", "sklearn.svm._classes", "SVC", content=STATE),
    "a listed name of another module": node("ObjectNode", "os", "KernelRidge", content=STATE),
    "an object with a state of its own": node(
        "ObjectNode", "sklearn.kernel_ridge", "KernelRidge", content=node("TupleNode", kind="tuple", content=[])
    ),
    "a tree": node("TreeNode", "sklearn.tree._tree", "Tree", content={}),
    "a search tree": node("ReduceNode", "sklearn.neighbors._kd_tree", "KDTree", content={}),
    "a loss": node("SGDLossNode", "sklearn.linear_model._sgd_fast", "Hinge", content={}),
    "a set": node("SetNode", kind="set", content=[]),
    "a default dict": node("DefaultDictNode", "collections", "defaultdict", content={}),
    "another dict": node("DictNode", "collections", "OrderedDict", content={}, key_types=NAMES_NODE),
    "another list": node("ListNode", "subprocess", "Popen", content=[TEXT]),
    "another tuple": node("TupleNode", "os", "terminal_size", content=[]),
    "bytes": node("BytesNode", kind="bytes", file="0.npy"),
    "a slice": node("SliceNode", kind="slice", content={}),
    "a sparse matrix": node("SparseMatrixNode", "scipy.sparse", "csr_matrix", type="scipy", file="0.npy"),
    "a random state": node("RandomStateNode", "numpy.random", "RandomState", content=STATE),
    "a generator": node("RandomGeneratorNode", "numpy.random", "Generator", content={}),
    "a dtype": node("DTypeNode", "numpy", "dtype", content={}),
    "a cached node": node("CachedNode", __id__=1),
    "objects in an array": node("NdArrayNode", "numpy", "ndarray", type="json", content=[SYSTEM], shape=TEXT),
    "objects in an array as if numbers": node("NdArrayNode", "numpy", "ndarray", type="json", file="0.npy"),
    "an array of another class": node("NdArrayNode", "numpy", "memmap", type="numpy", file="0.npy"),
    "an array by a function": node("NdArrayNode", "numpy", "load", type="numpy", file="0.npy"),
    "an array of another module": node("NdArrayNode", "os", "ndarray", type="numpy", file="0.npy"),
    "an array that is not there": node("NdArrayNode", "numpy", "ndarray", type="numpy", file="9.npy"),
    "an array outside": node("NdArrayNode", "numpy", "ndarray", type="numpy", file="../0.npy"),
    "an array of no name": node("NdArrayNode", "numpy", "ndarray", type="numpy", file=["0.npy"]),
    "a loader there is not": node("PickleNode", content="x"),
    "a loader that is no text": node(["JsonNode"], content="1"),  # type: ignore[arg-type]
    "a node with more keys": {**TEXT, "extra": 1},
    "a node with an identity": {**TEXT, "__id__": 1},
    "a literal of a list": {**TEXT, "content": "[1]"},
    "a literal of a list behind a space": {**TEXT, "content": " [1]"},
    "a literal that is none": {**TEXT, "content": "import os"},
    "a literal too long": {**TEXT, "content": '"' + "x" * 5000 + '"'},
    "a literal of too many digits": {**TEXT, "content": "9" * 4400},
    "a literal that is no text": {**TEXT, "content": 1},
    "no node": "os.system",  # type: ignore[dict-item]
    "nothing": None,  # type: ignore[dict-item]
    "attributes of odd names": node("DictNode", content={"__class__": TEXT}, key_types=NAMES_NODE),
    "attributes without types": node("DictNode", content={"a": TEXT}, key_types=TEXT),
    "attributes of other types": node(
        "DictNode",
        content={"a": TEXT},
        key_types=node("ListNode", kind="list", content=[node("TypeNode", "os", "system")]),
    ),
    "attributes with too few types": node("DictNode", content={"a": TEXT, "b": TEXT}, key_types=NAMES_NODE),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_node_is_refused_before_skops_sees_it(attack: str) -> None:
    for place in ("kernel_params", "gamma"):
        schema, files = taken_apart()
        attributes(schema)[place] = HOSTILE[attack]
        refused(document(), together(schema, files))


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_root_is_refused(attack: str) -> None:
    root = HOSTILE[attack]
    refused(document(), together({**root, "protocol": 2} if isinstance(root, dict) else root, taken_apart()[1]))


def test_an_object_that_is_listed_but_not_scored_is_refused() -> None:
    schema, files = taken_apart()
    schema.update(__module__="sklearn.preprocessing._data", __class__="KernelCenterer")
    assert "holds a sklearn.preprocessing._data.KernelCenterer" in refused(document(), together(schema, files))


def test_arrays_are_named_once_so_that_a_small_file_stays_small() -> None:
    schema, files = taken_apart()
    array = attributes(schema)["X_fit_"]
    attributes(schema)["kernel_params"] = node("ListNode", kind="list", content=[array] * 1000)
    assert "shared" in refused(document(), together(schema, files))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_data_frames_are_refused_and_left_out(kind: str) -> None:
    schema, files = taken_apart("KernelPCA")
    asked = node("DictNode", content={"transform": {**TEXT, "content": f'"{kind}"'}}, key_types=NAMES_NODE)
    attributes(schema)["_sklearn_output_config"] = asked
    schema["content"]["key_types"]["content"].append(node("TypeNode", kind="str"))
    assert "data frames" in refused(document("KernelPCA"), together(schema, files))
    case = CASES["KernelPCA"]
    framed = train(clone(case.estimator).set_output(transform=kind), case.X, case.y, feature_names=NAMES)
    with zipfile.ZipFile(io.BytesIO(framed.blobs["skops"])) as archive:
        assert b"_sklearn_output_config" not in archive.read("schema.json")
    assert isinstance(framed.transform(X[:2]), np.ndarray)


@pytest.mark.parametrize("shape", [(1, 1), (0, 0), (4,), ()])
@pytest.mark.parametrize("stored", ["true", "false"])
def test_a_precision_of_another_shape_never_reaches_compiled_code(shape: tuple[int, ...], stored: str) -> None:
    """SciPy's cdist reads (features, features) numbers of it, however many there are."""
    schema, files = taken_apart("EllipticEnvelope")
    where = attributes(schema)
    where["store_precision"] = {**TEXT, "content": stored}
    for name in ("precision_", "covariance_"):
        files[where[name]["file"]] = npy(np.ones(shape))
    model = Model.from_parts(document("EllipticEnvelope"), {}, {"skops": together(schema, files)})
    with pytest.raises(ArtifactCorruptError, match="The saved model is damaged"):
        model.predict(X[:5])


def test_jobs_are_refused() -> None:
    schema, files = taken_apart("KernelPCA")
    attributes(schema)["n_jobs"] = {**TEXT, "content": "64"}
    assert "jobs" in refused(document("KernelPCA"), together(schema, files))


class Exploit:
    def __reduce__(self) -> Any:
        return print, ("never printed",)


def npy(array: Any, **rest: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), **rest)
    return out.getvalue()


def header(text: str, data: bytes = b"") -> bytes:
    line = text.encode() + b" " * 8 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + data


ARRAYS: dict[str, bytes] = {
    "a pickle": npy(np.array([Exploit()], dtype=object)),
    "a bare pickle": pickle.dumps(Exploit()),
    "text": npy(np.array(["a"])),
    "fields": npy(np.zeros(2, dtype=[("a", "f8")])),
    "complex numbers": npy(np.zeros(2, complex)),
    "dates": npy(np.zeros(2, "M8[s]")),
    "version 2": npy(np.zeros(2), version=(2, 0)),
    "version 3": npy(np.zeros(2), version=(3, 0)),
    "cut short": npy(np.zeros(9))[:-1],
    "too long": npy(np.zeros(9)) + b"x",
    "nothing": b"",
    "no header": b"\x93NUMPY\x01\x00",
    "code in the header": header("{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': ()}"),
    "a huge shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000)}"),
    "a shape that wraps": header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
    "a shape below 0": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)}", b"x" * 64),
    "a deep header": header("(" * 3000),
    "a long header": header("{'descr': '<f8', 'fortran_order': False, 'shape': ()" + " " * 5000 + "}", b"x" * 8),
    "no object": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", pickle.dumps(Exploit())),
}


@pytest.mark.parametrize("attack", ARRAYS)
def test_a_hostile_array_is_refused(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema, files = taken_apart()
    refused(document(), together(schema, {**files, "0.npy": ARRAYS[attack]}))
    assert "never" not in capsys.readouterr().out


def _bomb(size: int) -> bytes:
    schema, files = taken_apart()
    return together(schema, {**files, "0.npy": npy(np.zeros(size))}, zipfile.ZIP_DEFLATED)


def _with_entry(name: str, data: bytes = b"") -> bytes:
    schema, files = taken_apart()
    return together(schema, {**files, name: data})


def _doubled() -> bytes:
    out = io.BytesIO(together(*taken_apart()))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("schema.json", json.dumps(SYSTEM))
    return out.getvalue()


def _overlapping() -> bytes:
    """Two entries in the directory that point at the same bytes (the idea of Fifield's bomb)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("0.npy", b"0" * 400)
        archive.writestr("schema.json", b"{}")
        first = archive.infolist()[0]
        for at in range(1, 9):
            twin = copy.copy(first)
            twin.filename = f"{at}.npy"
            archive.filelist.append(twin)
    return out.getvalue()


def _encrypted() -> bytes:
    data = bytearray(together(*taken_apart()))
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def _raw_schema(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**taken_apart()[1], "schema.json": text}.items():
            archive.writestr(name, data)
    return out.getvalue()


def _changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    schema, files = taken_apart()
    change(schema)
    return together(schema, files)


def _deep() -> bytes:
    inner: Any = TEXT
    for _ in range(60):
        inner = node("ListNode", kind="list", content=[inner])
    return _changed(lambda schema: attributes(schema).update(gamma=inner))


def _out_of_order() -> bytes:
    schema, files = taken_apart()
    swapped = json.loads(json.dumps(schema).replace("0.npy", "#").replace("1.npy", "0.npy").replace("#", "1.npy"))
    return together(swapped, {**files, "0.npy": files["1.npy"], "1.npy": files["0.npy"]})


FILES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no zip": lambda: b"PK\x03\x04 not really",
    "a pickle": lambda: pickle.dumps(Exploit()),
    "cut short": lambda: together(*taken_apart())[:-30],
    "compressed": lambda: together(*taken_apart(), zipfile.ZIP_DEFLATED),
    "a bomb": lambda: _bomb(4_000_000),
    "encrypted": _encrypted,
    "a name outside": lambda: _with_entry("../../0.npy"),
    "an absolute name": lambda: _with_entry("/0.npy"),
    "a name with a backslash": lambda: _with_entry("..\\0.npy"),
    "a name of another kind": lambda: _with_entry("model.pkl"),
    "a folder": lambda: _with_entry("0/"),
    "an array that nothing names": lambda: _with_entry("77.npy", npy(np.zeros(1))),
    "a schema twice": _doubled,
    "overlapping entries": _overlapping,
    "too many entries": lambda: together({}, {f"{at}.npy": b"" for at in range(skops_file.MAX_ENTRIES + 1)}),
    "no schema": lambda: together({}, {}),
    "a schema that is no object": lambda: together([], {}),
    "a schema that is no JSON": lambda: _raw_schema(b"import os"),
    "a schema that is no text": lambda: _raw_schema(b"\xff\xfe\x00"),
    "a schema that ends in the depths": lambda: _raw_schema(b"[" * 100_000),
    "a schema too large": lambda: _raw_schema(b'"' + b"x" * skops_file.MAX_SCHEMA + b'"'),
    "a key twice": lambda: _raw_schema(
        json.dumps(taken_apart()[0]).replace('"protocol"', '"__class__": "a", "protocol"').encode()
    ),
    "no protocol": lambda: _changed(lambda schema: schema.pop("protocol")),
    "a protocol of true": lambda: _changed(lambda schema: schema.update(protocol=True)),
    "a protocol far off": lambda: _changed(lambda schema: schema.update(protocol=10**6)),
    "a deep tree": _deep,
    "a wide tree": lambda: _changed(
        lambda schema: attributes(schema).update(gamma=node("ListNode", kind="list", content=[TEXT] * 50_001))
    ),
    "arrays out of order": _out_of_order,
}


def test_too_many_entries_are_counted_before_objects_are_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = FILES["too many entries"]()
    monkeypatch.delattr(zipfile, "ZipFile")
    assert f"{skops_file.MAX_ENTRIES + 2} entries" in refused(document(), blob)


@pytest.mark.parametrize("attack", FILES)
def test_a_hostile_file_is_refused(attack: str) -> None:
    blob = FILES[attack]()
    refused(document(), blob)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"outputs": 0},
        {"outputs": 1.5},
        {"outputs": 10**12},
        {"outputs": "1"},
        {"scikit_learn": 1.9},
        {"skops": ""},
        {"scikit_learn": "1" * 99},
        {"code": "os.system"},
    ],
)
def test_parameters_that_cannot_be(params: dict[str, Any]) -> None:
    whole = document()
    changed = {**whole["params"], **params} if params else {}
    refused({**whole, "params": changed}, ours("KernelRidge").blobs["skops"])


SMALL = ["KernelRidge", "QuadraticDiscriminantAnalysis 3", "EllipticEnvelope", "Nystroem", "RBFSampler"]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_changed_it_predicts_or_is_refused(data: st.DataObject) -> None:
    """Allowed nodes in places where they make no sense: another prediction or an error of ours, and nothing else."""
    name = data.draw(st.sampled_from(SMALL))
    schema, files = taken_apart(name)
    where = attributes(schema)
    key = data.draw(st.sampled_from(sorted(where)))
    kind = data.draw(st.sampled_from(["literal", "swap", "bytes"]))
    if kind == "literal":
        content = data.draw(st.sampled_from(["null", "true", "-1", "1e308", '"x"', "NaN", "3", '"precomputed"']))
        where[key] = {**TEXT, "content": content}
    elif kind == "swap":
        where[key] = copy.deepcopy(where[data.draw(st.sampled_from(sorted(where)))])
    else:
        file = data.draw(st.sampled_from(sorted(files)))
        raw = bytearray(files[file])
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
        files[file] = bytes(raw)
    try:
        model = Model.from_parts(document(name), {}, {"skops": together(schema, files)})
        with np.errstate(all="ignore"):
            (model.transform if model.kind == "transformer" else model.predict)(X[:5])
    except GpupipeError:
        pass


class OwnKernel(RBF):
    """A kernel that is code of its own."""


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (GaussianProcessRegressor(OwnKernel(), optimizer=None), r"build a ObjectNode .*OwnKernel|build a .*OwnKernel"),
        (GaussianProcessRegressor(RBF(), optimizer=lambda *a: a), "optimizer that is a function"),
        (KernelRidge(kernel=lambda a, b: 0.0), "kernel that is a function"),
        (KernelRidge(kernel="precomputed"), "precomputed"),
        (QuadraticDiscriminantAnalysis(solver="eigen", covariance_estimator=LedoitWolf()), "LedoitWolf"),
        (GaussianProcessClassifier(multi_class="one_vs_one"), "one_vs_one"),
    ],
)
def test_what_would_need_more_than_the_list_is_refused_when_trained(estimator: Any, says: str) -> None:
    y = Y2 if hasattr(estimator, "predict_proba") else Y
    with pytest.raises(UnsafeModelError, match=says):
        train(estimator, X, y, feature_names=NAMES)


def test_another_minor_version_of_scikit_learn_is_refused() -> None:
    whole, _, blobs = ours("KernelRidge").to_parts()
    old = Model.from_parts({**whole, "params": {**whole["params"], "scikit_learn": "1.2.3"}}, {}, blobs)
    with pytest.raises(ArtifactVersionError, match=r"trained with version 1\.2\.3.*pip install 'scikit-learn==1\.2"):
        old.predict(X)


def test_an_artifact_there_and_back(tmp_path: Path) -> None:
    table = {**dict(zip(NAMES, X.T, strict=True)), "y": Y}
    pipeline = gp.Pipeline([gp.col(name).fill_null(0.0) for name in NAMES], target="y", model=KernelRidge(kernel="rbf"))
    pipeline.fit(table)
    pipeline.save(tmp_path / "a.gpp")
    assert (tmp_path / "a.gpp" / "model.skops").stat().st_mode & 0o777 == 0o600
    again = gp.load(tmp_path / "a.gpp")
    np.testing.assert_allclose(again.predict(table, output="numpy"), pipeline.predict(table, output="numpy"), rtol=1e-9)
    one = gp.Scorer.load(tmp_path / "a.gpp").predict({name: float(X[0, at]) for at, name in enumerate(NAMES)})
    np.testing.assert_allclose(one, pipeline.predict(table, output="numpy")[:1], rtol=1e-9)
