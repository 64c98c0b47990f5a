"""A trained estimator as data, alone or inside another: its numbers, and what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import ModelError
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params
from gpupipe.models.forms.labels import Label, decode
from gpupipe.models.forms.links import LINKS, Floats, Link

Kind = Literal["classifier", "regressor", "ranker", "clusterer", "transformer", "outlier_detector"]
Parts = tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]

MAX_DEPTH = 3  # models in models in models
MAX_MEMBERS = 5000  # of one model: a hundred classes, each against each
PROBABILITIES, SCORES = "predict_proba", "decision_function"  # scikit-learn's names of what a classifier responds


class Body(Protocol):
    """A form models are kept in: numbers, and how raw outputs follow from them."""

    form: ClassVar[str]

    @property
    def n_outputs(self) -> int:
        """Raw outputs a row."""

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """Raw outputs, (rows, outputs), each row by itself."""

    def to_parts(self) -> Parts:
        """Parameters for JSON, arrays, blobs."""

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        """The reverse; raises ArtifactCorruptError unless every part is right."""


@dataclass(frozen=True, eq=False)
class Member:
    """A trained estimator without the names of its features. Its methods take raw outputs, float64 (rows, outputs).

    Inside another model a classifier's classes are the codes it was trained on: whole numbers from 0.

    Attributes:
        estimator, kind, classes, link, body: as in :class:`gpupipe.models.fitted.Model`.
    """

    estimator: str
    kind: Kind
    classes: tuple[Label, ...] | None
    link: str
    body: Any

    @property
    def meaning(self) -> Link:
        """What turns raw outputs into probabilities or predictions."""
        return LINKS[self.link]

    @property
    def has_probabilities(self) -> bool:
        """Whether :meth:`probabilities` means anything."""
        return self.meaning.probabilities is not None

    @property
    def has_scores(self) -> bool:
        """Whether :meth:`scores` means anything."""
        return self.meaning.scores and self.kind in ("classifier", "outlier_detector")

    def relabelled(self, classes: tuple[Label, ...] | None) -> "Member":
        """The same with other labels for its codes."""
        return replace(self, classes=classes)

    def codes(self, raw: Floats) -> NDArray[Any]:
        """The index of the class decided for in each row: by the body's own threshold, if it has one."""
        chosen: NDArray[Any] = self.body.decide(raw) if hasattr(self.body, "decide") else self.meaning.decide(raw)
        return chosen

    def predict(self, raw: Floats) -> NDArray[Any]:
        """Labels, numbers, cluster numbers, or 1 and -1 for inliers and outliers, of shape (rows,).

        Raises:
            ModelError: a transformer.
        """
        if self.classes is not None:
            return decode(self.codes(raw), self.classes)
        if self.meaning.mean is not None:
            return self.meaning.mean(raw)[:, 0]
        if self.kind == "clusterer":
            return raw.argmin(axis=1).astype(np.int64)
        if self.kind == "outlier_detector":
            return np.where(raw[:, 0] > self.meaning.threshold, 1, -1).astype(np.int64)
        raise self.lacks("predict", "transform")

    def probabilities(self, raw: Floats) -> Floats:
        """(rows, classes). Raises ModelError where there are none."""
        if self.meaning.probabilities is None:
            raise self.lacks(PROBABILITIES, SCORES if self.classes else "predict")
        return self.meaning.probabilities(raw)

    def scores(self, raw: Floats) -> Floats:
        """The decision function, (rows, columns): one column for two classes. Raises ModelError where there is none."""
        if not self.has_scores:
            raise self.lacks(SCORES, PROBABILITIES if self.classes else "predict")
        return raw if self.meaning.scored is None else self.meaning.scored(raw)

    def response(self, raw: Floats, method: str) -> Floats:
        """What a calibrator or a threshold looks at, (rows, columns): of two classes the second's column alone."""
        found = self.scores(raw) if method == SCORES else self.probabilities(raw)
        return found[:, 1:] if found.shape[1] == 2 and len(self.classes or ()) == 2 else found

    def lacks(self, asked: str, instead: str) -> ModelError:
        """The error for a method that means nothing here."""
        name = self.estimator.rpartition(".")[2]
        return ModelError(f"This {name} ({self.kind}, {self.link!r}) has no {asked}. Use {instead}.")


# -- as parts of another ------------------------------------------------------------------------------------------
def member_parts(members: Sequence[Member]) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """A document for each member, and their arrays under prefixes (``0.coefficients``); a blob is one of bytes."""
    documents: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for at, member in enumerate(members):
        params, own, blobs = member.body.to_parts()
        document = {
            "estimator": member.estimator,
            "kind": member.kind,
            "classes": None if member.classes is None else list(member.classes),
            "link": member.link,
            "form": member.body.form,
            "params": dict(params),
            "blobs": sorted(blobs),
        }
        documents.append(document)
        arrays.update({f"{at}.{name}": array for name, array in own.items()})
        arrays.update({f"{at}.{name}": np.frombuffer(data, np.uint8) for name, data in blobs.items()})
    return documents, arrays


MEMBER_KEYS = ("estimator", "kind", "classes", "link", "form", "params", "blobs")


def split_arrays(arrays: Arrays, n_members: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The arrays without a prefix, and those of each member, prefixes taken off.

    >>> split_arrays({"beta": 1, "0.roots": 2}, 1)
    ({'beta': 1}, [{'roots': 2}])
    """
    own: dict[str, Any] = {}
    each: list[dict[str, Any]] = [{} for _ in range(n_members)]
    places = {str(at): part for at, part in enumerate(each)}
    for name, array in arrays.items():
        head, dot, rest = name.partition(".")
        if dot and head in places:
            places[head][rest] = array
        else:
            own[name] = array
    return own, each


def blobs_among(arrays: dict[str, Any], names: Any) -> dict[str, bytes]:
    """The blobs of a member, taken out of its arrays."""
    checks.require(all_of(names, str), "the names of its blobs are no list")
    return {name: checks.array({name: arrays.pop(name, None)}, name, "uint8", (None,)).tobytes() for name in names}


def check_outputs(kind: str, classes: Any, link: Any, n_outputs: int) -> None:
    """Raise ArtifactCorruptError unless kind, classes, link and the number of raw outputs fit together."""
    checks.require(isinstance(link, str) and link in LINKS, f"its link {link!r} is unknown")
    fewest, most = LINKS[link].outputs
    checks.require(kind in LINKS[link].kinds, f"its link {link!r} is not for a {kind}")
    fits = fewest <= n_outputs and (most == 0 or n_outputs <= most)
    checks.require(fits, f"its link {link!r} is not for {n_outputs} outputs")
    if kind != "classifier":
        checks.require(classes is None, f"a {kind} has no classes")
        return
    checks.require(any(all_of(classes, plain) for plain in get_args(Label)), "its classes are no plain labels")
    wanted = LINKS[link].n_classes(n_outputs)
    checks.require(len(classes) == wanted, f"it has {len(classes)} classes for {n_outputs} outputs")
    checks.require(all(low < high for low, high in pairwise(classes)), "its classes are not sorted")


def check_document(document: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
    """The document if it has these keys, a known kind, and text and objects where they belong."""
    checks.require(isinstance(document, Mapping), "its document is no object")
    checks.only(document, keys, "entries")
    kind = document["kind"]
    checks.require(isinstance(kind, str) and kind in get_args(Kind), f"its kind {kind!r} is unknown")
    checks.require(isinstance(document["estimator"], str), "its estimator is no text")
    checks.require(isinstance(document["params"], Mapping), "its parameters are no object")
    found: Mapping[str, Any] = document
    return found


def all_of(values: Any, kind: type) -> bool:
    """Whether `values` is a list of nothing but `kind`."""
    return isinstance(values, list) and all(type(value) is kind for value in values)
