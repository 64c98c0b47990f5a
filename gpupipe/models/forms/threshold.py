"""A classifier of two classes with a threshold of its own; its probabilities are those of the model inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.calibration import response_of
from gpupipe.models.forms.checks import Arrays
from gpupipe.models.forms.links import Floats
from gpupipe.models.forms.member import PROBABILITIES, SCORES, Member, Parts, member_parts


@dataclass(frozen=True, eq=False)
class Threshold:
    """Raw outputs are the member's. A row is of the positive class where its response is at least the threshold.

    Attributes:
        member: the classifier, trained on codes 0 and 1.
        threshold: of the response.
        positive: the code of the class that a high response speaks for.
        response: what is compared: "predict_proba", the probability of that class, or "decision_function".
        single: whether it is compared in float32, in which XGBoost responds.
    """

    form: ClassVar[str] = "threshold"
    member: Member
    threshold: float
    positive: int
    response: str
    single: bool = False

    @property
    def members(self) -> tuple[Member, ...]:
        """What it holds."""
        return (self.member,)

    @property
    def n_outputs(self) -> int:
        return int(self.member.body.n_outputs)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """The member's, float64 (rows, outputs)."""
        raw: Floats = self.member.body.raw(X)
        return raw

    def decide(self, raw: Floats) -> NDArray[np.intp]:
        """The code decided for in each row."""
        if self.response == PROBABILITIES:
            response = self.member.probabilities(raw)[:, self.positive]
        else:
            scores = self.member.scores(raw)[:, 0]
            response = scores if self.positive == 1 else -scores
        if self.single:
            response = response.astype(np.float32).astype(np.float64)
        return np.where(response >= self.threshold, self.positive, 1 - self.positive).astype(np.intp)

    def to_parts(self) -> Parts:
        documents, arrays = member_parts([self.member])
        params = {"threshold": self.threshold, "positive": self.positive, "response": self.response}
        return {**params, "single": self.single, "members": documents}, arrays, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its member read already.

        Raises:
            ArtifactCorruptError: anything that is not as it must be.
        """
        checks.only(params, ("threshold", "positive", "response", "single"), "parameters")
        checks.only(arrays, (), "arrays")
        threshold, positive = checks.number(params, "threshold"), checks.number(params, "positive")
        response = params["response"]
        checks.require(positive in (0, 1), "its positive class is neither of two")
        checks.require(response in (SCORES, PROBABILITIES), f"its response {response!r} is unknown")
        checks.require(len(members) == 1 and members[0].classes == (0, 1), "it chooses between other than two classes")
        (member,) = members
        checks.require(member.has_scores if response == SCORES else member.has_probabilities, "its model lacks scores")
        return cls(member, threshold, int(positive), response, checks.flag(params, "single"))


def read_fixed(estimator: Any, members: tuple[Member, ...]) -> tuple[Threshold, str]:
    """A fitted FixedThresholdClassifier, its pos_label a code or None."""
    response = _response(estimator, members[0])
    threshold = estimator.threshold
    if threshold == "auto":
        threshold = 0.5 if response == PROBABILITIES else 0.0
    return _body(estimator, members[0], float(threshold), estimator.pos_label, response)


def read_tuned(estimator: Any, members: tuple[Member, ...]) -> tuple[Threshold, str]:
    """A fitted TunedThresholdClassifierCV; its scoring told which class is the positive one, as a code."""
    positive = estimator._curve_scorer._get_pos_label()
    response = _response(estimator, members[0])
    return _body(estimator, members[0], float(estimator.best_threshold_), positive, response)


def _body(estimator: Any, member: Member, threshold: float, positive: Any, response: str) -> tuple[Threshold, str]:
    single = _single(estimator, response)
    if single:
        threshold = float(np.float32(threshold))  # as NumPy compares float32 with a number of Python's
    return Threshold(member, threshold, 1 if positive is None else int(positive), response, single), member.link


def _response(estimator: Any, member: Member) -> str:
    asked = estimator.response_method
    return response_of(estimator.estimator_, member, (PROBABILITIES, SCORES) if asked == "auto" else (asked,))


def _single(estimator: Any, response: str) -> bool:
    """Whether the model inside responds in float32, as XGBoost does."""
    probe = np.zeros((1, int(estimator.estimator_.n_features_in_)), np.float32)
    return bool(np.asarray(getattr(estimator.estimator_, response)(probe)).dtype == np.float32)
