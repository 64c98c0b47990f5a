"""A trained model as data: what is saved, scored and compared. Nothing of its library stays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import SchemaMismatchError, counted
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs
from gpupipe.models.forms.labels import side_by_side
from gpupipe.models.forms.member import Body, Kind, Member, Parts, all_of, check_document, check_outputs
from gpupipe.optional import later

if TYPE_CHECKING:
    from gpupipe.models.bodies import read_body
else:
    (read_body,) = later("gpupipe.models.bodies", "read_body")

VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model as data. One row, a batch and a file give the same bytes.

    Every method takes X, float32 of shape (rows, features), null as NaN, columns as `feature_names`; another
    dtype, shape or container raises SchemaMismatchError.

    Attributes:
        estimator: the class it was trained as, for people to read; nothing is imported by it.
        kind: "classifier", "regressor", "clusterer", "transformer" or "outlier_detector".
        classes: the labels, sorted; of several targets those of each; None unless a classifier.
        feature_names: the columns of X in order.
        link: the name of what turns raw outputs into probabilities or predictions (:data:`links.LINKS`).
        body: the numbers, in one of :data:`forms.FORMS` or :data:`forms.NESTING`.
        targets: the names of the targets, where the model was given several; None for one.
        widths: the number of raw outputs of each of several targets.
    """

    estimator: str
    kind: Kind
    classes: tuple[Any, ...] | None
    feature_names: tuple[str, ...]
    link: str
    body: Body
    targets: tuple[str, ...] | None = None
    widths: tuple[int, ...] = ()

    @property
    def form(self) -> str:
        """The name of the form it is kept in."""
        return self.body.form

    @cached_property
    def outputs(self) -> tuple[Member, ...]:
        """For each target, what its raw outputs mean: one of a model of one target."""
        if self.targets is None:
            return (Member(self.estimator, self.kind, self.classes, self.link, self.body),)
        labels = self.classes or (None,) * len(self.targets)
        inside = getattr(self.body, "targets", None)  # a model for each
        if inside is not None:
            return tuple(member.relabelled(classes) for member, classes in zip(inside, labels, strict=True))
        return tuple(Member(self.estimator, self.kind, classes, self.link, self.body) for classes in labels)

    @property
    def has_probabilities(self) -> bool:
        """Whether :meth:`predict_proba` means anything."""
        return all(output.has_probabilities for output in self.outputs)

    @property
    def has_scores(self) -> bool:
        """Whether :meth:`decision_function` means anything."""
        return self.targets is None and self.outputs[0].has_scores

    @property
    def threshold(self) -> dict[str, Any] | None:
        """{"value", "label", "response"} of a classifier that decides by a threshold of its own; else None."""
        return None if self.targets is not None else threshold_of(self.outputs[0])

    @property
    def params(self) -> dict[str, Any]:
        """The form's parameters, plain JSON."""
        return self._parts[0]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The form's arrays by name."""
        return self._parts[1]

    @property
    def blobs(self) -> dict[str, bytes]:
        """The form's opaque files by name (XGBoost: "ubj")."""
        return self._parts[2]

    @cached_property
    def _parts(self) -> Parts:
        return self.body.to_parts()

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Labels (classifier), float64 (regressor), cluster numbers (clusterer, int64), or 1 for what looks like the
        training rows and -1 for what does not (outlier_detector, int64), of shape (rows,); with several targets
        (rows, targets), as objects where their types differ.

        Raises:
            ModelError: a transformer.
        """
        found = self.each(X)
        return found[0] if self.targets is None else side_by_side(found)

    def each(self, X: NDArray[np.float32]) -> list[NDArray[Any]]:
        """What :meth:`predict` says of each target, (rows,), in its own type."""
        return [output.predict(raw) for output, raw in self.raw_each(X)]

    def predict_proba(self, X: NDArray[np.float32]) -> Any:
        """Class probabilities, float64 of shape (rows, classes), columns as `classes`; a list of them, one for each,
        with several targets.

        Raises:
            ModelError: no classifier, or one without probabilities (SGDClassifier with a hinge loss).
        """
        found = self.proba_each(X)
        return found[0] if self.targets is None else found

    def proba_each(self, X: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """The class probabilities of each target."""
        return [output.probabilities(raw) for output, raw in self.raw_each(X)]

    def decision_function(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw scores: float64 of shape (rows,) with one output (above 0: second class), else (rows, classes).

        Naive Bayes gives joint log likelihoods, SVC(decision_function_shape="ovo") a column for each pair of classes.
        Of an outlier detector: below 0 for outliers.

        Raises:
            ModelError: no classifier, one whose raw outputs are probabilities (forests, XGBoost), or several targets.
        """
        (output, *others) = self.outputs
        if others:
            raise output.lacks("decision_function of several targets", "predict_proba or predict")
        scores = output.scores(self._raw(X))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Components (PCA) or distances to the centres (k-means), float64 of shape (rows, outputs).

        Raises:
            ModelError: a classifier or regressor.
        """
        if self.kind not in ("clusterer", "transformer"):
            raise self.outputs[0].lacks("transform", "predict")
        return self._raw(X)

    def to_parts(self) -> Parts:
        """A JSON document, arrays and blobs that :meth:`from_parts` makes the same model of."""
        params, arrays, blobs = self._parts
        classes = None if self.classes is None else [_plain(labels) for labels in self.classes]
        document = {
            "version": VERSION,
            "estimator": self.estimator,
            "kind": self.kind,
            "classes": classes,
            "feature_names": list(self.feature_names),
            "link": self.link,
            "form": self.form,
            "params": dict(params),
        }
        if self.targets is not None:
            document["targets"], document["widths"] = list(self.targets), list(self.widths)
        return document, dict(arrays), dict(blobs)

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Arrays, blobs: Blobs) -> Self:
        """The model of :meth:`to_parts`, every shape, dtype and index checked.

        Raises:
            ArtifactCorruptError: anything that is not as it must be.
        """
        several = isinstance(document, Mapping) and "targets" in document
        document = check_document(document, (*_KEYS, "targets", "widths") if several else _KEYS)
        checks.require(document["version"] == VERSION, f"its version is not {VERSION}")
        names, kind, link = document["feature_names"], document["kind"], document["link"]
        checks.require(_distinct(names), "its feature names are wrong")
        body = read_body(document["form"], document["params"], arrays, blobs, len(names))
        classes = document["classes"]
        if several:
            return cls(document["estimator"], kind, *_read_targets(document, body, tuple(names)))
        checks.require(not hasattr(body, "targets"), "it is of several targets, and does not name them")
        check_outputs(kind, classes, link, body.n_outputs)
        return cls(document["estimator"], kind, None if classes is None else tuple(classes), tuple(names), link, body)

    def digest(self) -> str:
        """SHA-256 over all parts, in hexadecimal: equal models have equal digests on every machine.

        Names, dtypes and shapes are hashed with the bytes; arrays in C order, little-endian.
        """
        document, arrays, blobs = self.to_parts()
        whole = hashlib.sha256(_canonical(document))
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name], dtype=arrays[name].dtype.newbyteorder("<"))
            whole.update(_canonical(["array", name, array.dtype.str, list(array.shape)]))
            whole.update(array.tobytes())
        for name in sorted(blobs):
            whole.update(_canonical(["blob", name, len(blobs[name])]))
            whole.update(blobs[name])
        return whole.hexdigest()

    def __repr__(self) -> str:
        return (
            f"Model({self.estimator}, {self.kind}, {counted(len(self.feature_names), 'feature')}, kept as {self.form}, "
            f"digest {self.digest()[:12]})"
        )

    def _raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        there = isinstance(X, DeviceArray) and getattr(self.body, "on_device", False)
        return self.body.raw(X if there else matrix(X, len(self.feature_names)))

    def raw_each(self, X: NDArray[np.float32]) -> list[tuple[Member, NDArray[np.float64]]]:
        """For each target, what its raw outputs mean, and they, (rows, outputs)."""
        raw = self._raw(X)
        if self.targets is None:
            return [(self.outputs[0], raw)]
        edges = pairwise(accumulate(self.widths, initial=0))
        return [(output, raw[:, a:b]) for output, (a, b) in zip(self.outputs, edges, strict=True)]


def threshold_of(output: Member) -> dict[str, Any] | None:
    """The threshold by which a classifier decides for a label, if it has one of its own."""
    chosen = output.body
    if chosen.form != "threshold" or output.classes is None:
        return None
    return {"value": chosen.threshold, "label": output.classes[chosen.positive], "response": chosen.response}


_KEYS = ("version", "estimator", "kind", "classes", "feature_names", "link", "form", "params")


def matrix(X: Any, n_features: int) -> NDArray[np.float32]:
    """`X` if it is a float32 matrix of `n_features` columns, made C-ordered. Raises SchemaMismatchError."""
    if not isinstance(X, np.ndarray) or X.dtype != np.float32 or X.ndim != 2 or X.shape[1] != n_features:
        found = f"{X.dtype} of shape {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        raise SchemaMismatchError(
            f"The model takes a float32 array of shape (rows, {n_features}), and got {found}. "
            "Transform the rows with the pipeline the model was trained in."
        )
    return np.ascontiguousarray(X)


def _plain(labels: Any) -> Any:
    return list(labels) if isinstance(labels, tuple) else labels


def _distinct(names: Any) -> bool:
    return all_of(names, str) and len(set(names)) == len(names)


def _read_targets(document: Mapping[str, Any], body: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Classes, feature names, link, body, targets and widths of a model of several targets."""
    targets, widths, classes = document["targets"], document["widths"], document["classes"]
    checks.require(_distinct(targets) and len(targets) > 0, "the names of its targets are wrong")
    whole = all_of(widths, int) and len(widths) == len(targets) and min(widths) > 0
    checks.require(whole and sum(widths) == body.n_outputs, "its outputs are not those of its targets")
    classified = document["kind"] == "classifier"
    checks.require(isinstance(classes, list) if classified else classes is None, "its classes are of another kind")
    labels: list[Any] = classes if classified else [None] * len(targets)
    checks.require(len(labels) == len(targets), "it has the classes of other targets")
    inside = getattr(body, "targets", None)
    checks.require((document["link"] == "several") == (inside is not None), "its link is not of its form")
    for at, (found, width) in enumerate(zip(labels, widths, strict=True)):
        link = document["link"] if inside is None else inside[at].link
        outputs = width if inside is None else inside[at].body.n_outputs
        check_outputs(document["kind"], found, link, outputs)
        checks.require(outputs == width, "a target has other outputs than its model")
    given = None if classes is None else tuple(tuple(found) for found in labels)
    return given, names, document["link"], body, tuple(targets), tuple(widths)


def _canonical(value: dict[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
