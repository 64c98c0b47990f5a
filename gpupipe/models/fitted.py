"""A trained model as data: what is saved, scored and compared. Nothing of its library stays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import ModelError, SchemaMismatchError
from gpupipe.models import checks
from gpupipe.models.checks import Arrays, Blobs
from gpupipe.models.forms import FORMS, Body, Parts
from gpupipe.models.labels import Label, decode
from gpupipe.models.links import LINKS, Link
from gpupipe.models.rows import Kind

VERSION = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model as data. One row, a batch and a file give the same bytes.

    Every method takes X, float32 of shape (rows, features), null as NaN, columns as `feature_names`; another
    dtype, shape or container raises SchemaMismatchError.

    Attributes:
        estimator: the class it was trained as, for people to read; nothing is imported by it.
        kind: "classifier", "regressor", "clusterer", "transformer" or "outlier_detector".
        classes: the labels, sorted; None unless a classifier.
        feature_names: the columns of X in order.
        link: the name of what turns raw outputs into probabilities or predictions (:data:`links.LINKS`).
        body: the numbers, in one of :data:`forms.FORMS`.
    """

    estimator: str
    kind: Kind
    classes: tuple[Label, ...] | None
    feature_names: tuple[str, ...]
    link: str
    body: Body

    @property
    def form(self) -> str:
        """The name of the form it is kept in."""
        return self.body.form

    @property
    def has_probabilities(self) -> bool:
        """Whether :meth:`predict_proba` means anything."""
        return self._link.probabilities is not None

    @property
    def has_scores(self) -> bool:
        """Whether :meth:`decision_function` means anything."""
        return self._link.scores and self.kind in ("classifier", "outlier_detector")

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
        training rows and -1 for what does not (outlier_detector, int64), of shape (rows,).

        Raises:
            ModelError: a transformer.
        """
        raw = self._raw(X)
        if self.classes is not None:
            return decode(self._link.decide(raw), self.classes)
        if self._link.mean is not None:
            return self._link.mean(raw)[:, 0]
        if self.kind == "clusterer":
            return raw.argmin(axis=1).astype(np.int64)
        if self.kind == "outlier_detector":
            return np.where(raw[:, 0] >= 0.0, 1, -1).astype(np.int64)
        raise self._lacks("predict", "transform")

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Class probabilities, float64 of shape (rows, classes), columns as `classes`.

        Raises:
            ModelError: no classifier, or one without probabilities (SGDClassifier with a hinge loss).
        """
        probabilities = self._link.probabilities
        if probabilities is None:
            raise self._lacks("predict_proba", "decision_function" if self.classes else "predict")
        return probabilities(self._raw(X))

    def decision_function(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw scores: float64 of shape (rows,) with one output (above 0: second class), else (rows, classes).

        Naive Bayes gives joint log likelihoods, SVC(decision_function_shape="ovo") a column for each pair of classes.
        Of an outlier detector: below 0 for outliers.

        Raises:
            ModelError: no classifier, or one whose raw outputs are probabilities (forests, XGBoost).
        """
        if not self.has_scores:
            raise self._lacks("decision_function", "predict_proba" if self.classes else "predict")
        raw, scored = self._raw(X), self._link.scored
        scores = raw if scored is None else scored(raw)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Components (PCA) or distances to the centres (k-means), float64 of shape (rows, outputs).

        Raises:
            ModelError: a classifier or regressor.
        """
        if self.kind not in ("clusterer", "transformer"):
            raise self._lacks("transform", "predict")
        return self._raw(X)

    def to_parts(self) -> Parts:
        """A JSON document, arrays and blobs that :meth:`from_parts` makes the same model of."""
        params, arrays, blobs = self._parts
        document = {
            "version": VERSION,
            "estimator": self.estimator,
            "kind": self.kind,
            "classes": None if self.classes is None else list(self.classes),
            "feature_names": list(self.feature_names),
            "link": self.link,
            "form": self.form,
            "params": dict(params),
        }
        return document, dict(arrays), dict(blobs)

    @classmethod
    def from_parts(cls, document: Mapping[str, Any], arrays: Arrays, blobs: Blobs) -> Self:
        """The model of :meth:`to_parts`, every shape, dtype and index checked.

        Raises:
            ArtifactCorruptError: anything that is not as it must be.
        """
        checks.require(isinstance(document, Mapping), "its document is no object")
        checks.only(document, _KEYS, "entries")
        checks.require(document["version"] == VERSION, f"its version is not {VERSION}")
        names, form, kind = document["feature_names"], document["form"], document["kind"]
        checks.require(_all(names, str) and len(set(names)) == len(names), "its feature names are wrong")
        checks.require(isinstance(form, str) and form in FORMS, f"its form {form!r} is unknown")
        checks.require(kind in get_args(Kind), f"its kind {kind!r} is unknown")
        checks.require(isinstance(document["estimator"], str), "its estimator is no text")
        checks.require(isinstance(document["params"], Mapping), "its parameters are no object")
        body = FORMS[form].from_parts(document["params"], arrays, blobs, len(names))
        _check_outputs(kind, document["classes"], document["link"], body.n_outputs)
        classes = None if document["classes"] is None else tuple(document["classes"])
        return cls(document["estimator"], kind, classes, tuple(names), document["link"], body)

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

    @property
    def _link(self) -> Link:
        return LINKS[self.link]

    def _raw(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.body.raw(matrix(X, len(self.feature_names)))

    def _lacks(self, asked: str, instead: str) -> ModelError:
        name = self.estimator.rpartition(".")[2]
        return ModelError(f"This {name} ({self.kind}, {self.link!r}) has no {asked}. Use {instead}.")


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


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(type(value) is kind for value in values)


def _check_outputs(kind: str, classes: Any, link: Any, n_outputs: int) -> None:
    checks.require(isinstance(link, str) and link in LINKS, f"its link {link!r} is unknown")
    fewest, most = LINKS[link].outputs
    checks.require(kind in LINKS[link].kinds, f"its link {link!r} is not for a {kind}")
    fits = fewest <= n_outputs and (most == 0 or n_outputs <= most)
    checks.require(fits, f"its link {link!r} is not for {n_outputs} outputs")
    if kind != "classifier":
        checks.require(classes is None, f"a {kind} has no classes")
        return
    checks.require(any(_all(classes, plain) for plain in get_args(Label)), "its classes are no plain labels")
    wanted = LINKS[link].n_classes(n_outputs)
    checks.require(len(classes) == wanted, f"it has {len(classes)} classes for {n_outputs} outputs")
    checks.require(all(low < high for low, high in pairwise(classes)), "its classes are not sorted")


def _canonical(value: dict[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
