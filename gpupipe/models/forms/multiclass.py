"""Many classes by classifiers of two: each class against the rest, or each pair of classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.calibration import response_of
from gpupipe.models.forms.checks import Arrays
from gpupipe.models.forms.links import Floats
from gpupipe.models.forms.member import PROBABILITIES, SCORES, Member, Parts, member_parts


@dataclass(frozen=True, eq=False)
class AgainstRest:
    """Raw outputs are the members' decision values, then their probabilities, each (rows, members), as far as there
    are both: a member for each class, trained on that class (code 1) against all others; one for two classes.

    Attributes:
        members: classifiers of two classes.
        scores, shares: whether there are decision values, and probabilities.
    """

    form: ClassVar[str] = "against_rest"
    members: tuple[Member, ...]
    scores: bool
    shares: bool

    @property
    def n_outputs(self) -> int:
        return len(self.members) * (self.scores + self.shares)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs)."""
        each = [(member, member.body.raw(X)) for member in self.members]
        methods = [SCORES] * self.scores + [PROBABILITIES] * self.shares
        return np.concatenate([member.response(raw, method) for method in methods for member, raw in each], axis=1)

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        return {"scores": self.scores, "shares": self.shares, "members": documents}, arrays, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, ("scores", "shares"), "parameters")
        checks.only(arrays, (), "arrays")
        scores, shares = checks.flag(params, "scores"), checks.flag(params, "shares")
        checks.require(scores or shares, "its models have neither scores nor probabilities")
        checks.require(len(members) != 2, "two models stand for two classes")
        for member in members:
            has = member.classes == (0, 1) and member.has_scores >= scores and member.has_probabilities >= shares
            checks.require(has, "a model of a class has other classes, or no scores")
        return cls(members, scores, shares)


@dataclass(frozen=True, eq=False)
class AgainstOne:
    """Raw outputs are votes, with the sums of the members' decisions to break ties, (rows, classes); of two classes
    those of the second, (rows, 1).

    Attributes:
        members: a classifier for each pair of classes (0, 1), (0, 2), …, (1, 2), …; its code 1 is the second.
        response: what of the members breaks ties: "decision_function" or "predict_proba".
        n_classes: the number of classes.
    """

    form: ClassVar[str] = "against_one"
    members: tuple[Member, ...]
    response: str
    n_classes: int

    @property
    def n_outputs(self) -> int:
        return 1 if self.n_classes == 2 else self.n_classes

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs)."""
        votes, sums = np.zeros((2, len(X), self.n_classes))
        for member, (first, second) in zip(self.members, combinations(range(self.n_classes), 2), strict=True):
            raw = member.body.raw(X)
            won = member.codes(raw) == 1
            votes[:, first] += ~won
            votes[:, second] += won
            sure = member.response(raw, self.response)[:, 0]
            sums[:, first] -= sure
            sums[:, second] += sure
        found = votes + sums / (3 * (np.abs(sums) + 1))
        return found[:, 1:] if self.n_classes == 2 else found

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        return {"response": self.response, "classes": self.n_classes, "members": documents}, arrays, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, ("response", "classes"), "parameters")
        checks.only(arrays, (), "arrays")
        response, classes = params["response"], checks.number(params, "classes")
        checks.require(response in (SCORES, PROBABILITIES), f"its response {response!r} is unknown")
        checks.require(classes >= 2 and classes * (classes - 1) == 2 * len(members), "it has other pairs than models")
        for member in members:
            has = member.has_scores if response == SCORES else member.has_probabilities
            checks.require(has and member.classes == (0, 1), "a model of a pair has other classes, or no scores")
        return cls(members, response, int(classes))


def read_against_rest(estimator: Any, members: tuple[Member, ...]) -> tuple[AgainstRest, str]:
    """A fitted OneVsRestClassifier."""
    parts = [estimator.estimators_[0]]
    has = {name: all(hasattr(part, name) for part in parts) for name in (SCORES, PROBABILITIES)}
    for name in [name for name, there in has.items() if there]:
        response_of(parts[0], members[0], (name,))  # refuses what is not kept
    link = "rest_both" if all(has.values()) else "margin" if has[SCORES] else "rest_shares"
    return AgainstRest(members, has[SCORES], has[PROBABILITIES]), link


def read_against_one(estimator: Any, members: tuple[Member, ...]) -> tuple[AgainstOne, str]:
    """A fitted OneVsOneClassifier."""
    response = response_of(estimator.estimators_[0], members[0], (SCORES, PROBABILITIES))
    n_classes = len(estimator.classes_)
    link = "pair_votes" if n_classes == 2 and response == PROBABILITIES else "margin"
    return AgainstOne(members, response, n_classes), link
