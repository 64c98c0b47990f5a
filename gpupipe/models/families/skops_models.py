"""Models with no form of arrays, kept by skops: scored by scikit-learn itself, from a file checked node by node.

Unlike all other forms these need scikit-learn, of the minor version they were trained with, and skops to score; and as
scikit-learn multiplies matrices, the last bits of a row may hang on the rows scored with it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import ArtifactCorruptError, ArtifactVersionError, UnsafeModelError
from gpupipe.models.families import skops_file
from gpupipe.models.families.rows import Row
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays, Blobs, Params

Floats = NDArray[np.float64]

BLOB = "skops"
_PARAMS = ("outputs", "scikit_learn", "skops")
# What contents that make no sense raise within skops or scikit-learn.
_WRONG = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _shares_and_codes(estimator: Any, X: Floats) -> Floats:
    """Probabilities, and what it decides: an integral's rounding may put the larger share on the other class."""
    shares = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    return np.concatenate([shares, np.asarray(estimator.predict(X), dtype=np.float64)[:, None]], axis=1)


def _decision(estimator: Any, X: Floats) -> Any:
    return estimator.decision_function(X)


def _distances(estimator: Any, X: Floats) -> Any:
    """Scores of Mahalanobis's distance, whose compiled code reads as many numbers as X has columns squared, unasked."""
    found, width = estimator.get_precision(), X.shape[1]
    square = isinstance(found, np.ndarray) and found.shape == (width, width)
    checks.require(square, "its estimator's precision has another shape")
    return estimator.decision_function(X)


def _prediction(estimator: Any, X: Floats) -> Any:
    return estimator.predict(X)


def _transformed(estimator: Any, X: Floats) -> Any:
    return estimator.transform(X)


# Class to what makes its raw outputs.
SCORES: dict[str, Callable[[Any, Floats], Any]] = {
    "GaussianProcessClassifier": _shares_and_codes,
    "GaussianProcessRegressor": _prediction,
    "KernelRidge": _prediction,
    "QuadraticDiscriminantAnalysis": _decision,
    "EllipticEnvelope": _distances,
    "KernelPCA": _transformed,
    "Nystroem": _transformed,
    "RBFSampler": _transformed,
}


@dataclass(frozen=True, eq=False)
class Skops:
    """A fitted scikit-learn estimator of the list of ours (:data:`skops_file.TYPES`).

    Attributes:
        file: its archive, checked.
        n_outputs: numbers it gives for a row.
        n_features: columns of X.
        scikit_learn, skops: the versions that trained and wrote it.
    """

    form: ClassVar[str] = "skops"
    file: skops_file.Checked
    n_outputs: int
    n_features: int
    scikit_learn: str
    skops: str

    @cached_property
    def _estimator(self) -> Any:
        found = optional.load("sklearn").__version__
        if _minor(found) != _minor(self.scikit_learn):
            raise ArtifactVersionError(
                f"This {self.file.root[1]} is scored by scikit-learn itself, was trained with version "
                f"{self.scikit_learn}, and this is {found}. Try: pip install "
                f"'scikit-learn=={_minor(self.scikit_learn)}.*', or train it anew."
            )
        library = optional.load("skops.io")
        try:
            estimator = library.loads(self.file.archive(), trusted=self.file.types())
        except _WRONG as error:
            version = optional.load("skops").__version__
            raise checks.corrupt(f"skops {version} cannot build it ({type(error).__name__}: {error})") from error
        width = getattr(estimator, "n_features_in_", None)
        checks.require(type(width) is int and width == self.n_features, "its estimator has another number of features")
        return estimator

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs). Needs scikit-learn and skops.

        Raises:
            ArtifactVersionError: scikit-learn is of another minor version than the one that trained it.
        """
        estimator, score = self._estimator, SCORES[self.file.root[1]]
        if not len(X):
            return np.empty((0, self.n_outputs))
        try:
            found = np.asarray(score(estimator, X.astype(np.float64)), dtype=np.float64).reshape(len(X), -1)
        except _WRONG as error:
            raise checks.corrupt(f"its estimator cannot score ({type(error).__name__}: {error})") from error
        checks.require(found.shape[1] == self.n_outputs, "its estimator has other outputs")
        return found

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, bytes]]:
        versions = {"scikit_learn": self.scikit_learn, "skops": self.skops}
        return {"outputs": self.n_outputs, **versions}, {}, {BLOB: self.file.archive()}

    @classmethod
    def from_parts(cls, params: Params, arrays: Arrays, blobs: Blobs, n_features: int) -> Self:
        checks.only(params, _PARAMS, "parameters")
        checks.only(arrays, (), "arrays")
        checks.only(blobs, (BLOB,), "blobs")
        outputs = checks.number(params, "outputs")
        checks.require(1 <= outputs <= 2**31 and outputs.is_integer(), "parameter 'outputs' is no number of them")
        versions = [params[name] for name in ("scikit_learn", "skops")]
        plain = [isinstance(v, str) and _VERSION.fullmatch(v) for v in versions]  # a message says what to install
        checks.require(all(plain), "its versions are none")
        file = skops_file.read(bytes(blobs[BLOB]))
        checks.require(file.root[1] in SCORES, f"its skops file holds a {'.'.join(file.root)}")
        return cls(file, int(outputs), n_features, *versions)


_VERSION = re.compile(r"[0-9]{1,5}\.[0-9]{1,5}[0-9A-Za-z.+]{0,30}")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _kept(estimator: Any) -> Skops:
    library = optional.load("skops.io")
    name = type(estimator).__name__
    try:
        file = skops_file.cleaned(library.dumps(estimator))
        file = skops_file.read(file.archive())  # as it will be read
    except ArtifactCorruptError as error:
        raise UnsafeModelError(f"This {name} has no safe form: {_reason(error)}. Leave such parameters out.") from error
    except _WRONG as error:
        raise UnsafeModelError(f"This {name} has no safe form: skops refuses it ({error}).") from error
    versions = optional.load("sklearn").__version__, optional.load("skops").__version__
    body = Skops(file, 1, int(estimator.n_features_in_), *versions)
    sample = np.zeros((1, body.n_features))
    outputs = np.asarray(SCORES[name](estimator, sample)).reshape(1, -1).shape[1]
    return Skops(file, outputs, body.n_features, *versions)


def _reason(error: ArtifactCorruptError) -> str:
    return str(error).removeprefix("The saved model is damaged: ").partition(". Load it from")[0]


def decider(estimator: Any) -> tuple[Skops, str]:
    """A fitted QuadraticDiscriminantAnalysis: its scores are log likelihoods."""
    body = _kept(estimator)
    return body, "sigmoid" if body.n_outputs == 1 else "softmax"


def process_classifier(estimator: Any) -> tuple[Skops, str]:
    """A fitted GaussianProcessClassifier."""
    return _kept(estimator), "shares_and_code"


def regressor(estimator: Any) -> tuple[Skops, str]:
    """A fitted GaussianProcessRegressor or KernelRidge."""
    return _kept(estimator), "identity"


def transformer(estimator: Any) -> tuple[Skops, str]:
    """A fitted KernelPCA, Nystroem or RBFSampler."""
    return _kept(estimator), "none"


def detector(estimator: Any) -> tuple[Skops, str]:
    """A fitted EllipticEnvelope."""
    return _kept(estimator), "inlier"


def refuse_code(estimator: Any, feature_names: list[str]) -> None:
    """Refuse, before training, parameters that are code, or a way to vote that gives no probabilities."""
    optional.load("skops")
    name = type(estimator).__name__
    for parameter, value in estimator.get_params(deep=False).items():
        if callable(value) and not hasattr(value, "get_params"):
            raise UnsafeModelError(f"{name} with a {parameter} that is a function has no safe form.")
    if getattr(estimator, "kernel", None) == "precomputed":
        raise UnsafeModelError(f"{name}(kernel='precomputed') has no rows to score. Use another kernel.")
    if getattr(estimator, "multi_class", None) == "one_vs_one":
        raise UnsafeModelError(f"{name}(multi_class='one_vs_one') gives no probabilities. Leave multi_class unset.")


def _row(name: str, module: str, kind: Any, convert: Any, compare: str, weights: bool = False) -> Row:
    how: dict[str, Any] = {"accepts_weights": weights, "prepare": refuse_code, "compare": compare}
    return Row(name, module, kind, "skops", convert, **how)


_PROCESS, _APPROXIMATION = "sklearn.gaussian_process", "sklearn.kernel_approximation"
ROWS: tuple[Row, ...] = (
    _row("GaussianProcessClassifier", _PROCESS, "classifier", process_classifier, "predict_proba"),
    _row("GaussianProcessRegressor", _PROCESS, "regressor", regressor, "predict"),
    _row("KernelRidge", "sklearn.kernel_ridge", "regressor", regressor, "predict", weights=True),
    _row("QuadraticDiscriminantAnalysis", "sklearn.discriminant_analysis", "classifier", decider, "predict_proba"),
    _row("EllipticEnvelope", "sklearn.covariance", "outlier_detector", detector, "decision_function"),
    _row("KernelPCA", "sklearn.decomposition", "transformer", transformer, "transform"),
    _row("Nystroem", _APPROXIMATION, "transformer", transformer, "transform"),
    _row("RBFSampler", _APPROXIMATION, "transformer", transformer, "transform"),
)
