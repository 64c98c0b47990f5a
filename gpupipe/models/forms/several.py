"""Models of several targets: one for each, side by side or in a chain in which each sees what those before it said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays
from gpupipe.models.forms.links import Floats
from gpupipe.models.forms.member import PROBABILITIES, SCORES, Member, Parts, member_parts

# Forms that take float64 features as they are; trees see what a link hands on rounded to float32, as every other
# feature is.
_FLOAT64 = ("linear", "gaussian_bayes", "kernel_machine", "neighbours", "network")


@dataclass(frozen=True, eq=False)
class Several:
    """Raw outputs are those of the members, side by side.

    Attributes:
        members: a model a target, in their order.
    """

    form: ClassVar[str] = "several"
    members: tuple[Member, ...]

    @property
    def targets(self) -> tuple[Member, ...]:
        """A model a target."""
        return self.members

    @property
    def n_outputs(self) -> int:
        return sum(member.body.n_outputs for member in self.members)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs of all)."""
        return np.concatenate([member.body.raw(X) for member in self.members], axis=1)

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        return {"members": documents}, arrays, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, (), "parameters")
        checks.only(arrays, (), "arrays")
        _check(members)
        return cls(members)


@dataclass(frozen=True, eq=False)
class Chain:
    """Raw outputs are those of the members, side by side in the order of targets.

    Attributes:
        members: a model for each link, in the order of the chain; link i has i more features than X: what each link
            before it said of its target.
        order: int64, (links,): the target of each link.
        method: what a link hands on: "predict" (numbers, or codes of classes), "predict_proba" or
            "decision_function" (of the second of two classes).
    """

    form: ClassVar[str] = "chain"
    members: tuple[Member, ...]
    order: NDArray[np.int64]
    method: str

    @property
    def targets(self) -> tuple[Member, ...]:
        """A model a target."""
        return tuple(self.members[at] for at in np.argsort(self.order))

    @property
    def n_outputs(self) -> int:
        return sum(member.body.n_outputs for member in self.members)

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs of all)."""
        wide = np.empty((len(X), X.shape[1] + len(self.members)))
        wide[:, : X.shape[1]] = X
        found: list[Floats] = []
        for at, member in enumerate(self.members):
            seen = wide[:, : X.shape[1] + at]
            raw = member.body.raw(np.ascontiguousarray(seen, np.float64 if exact(member) else np.float32))
            wide[:, X.shape[1] + at] = self._said(member, raw)
            found.append(raw)
        return np.concatenate([found[at] for at in np.argsort(self.order)], axis=1)

    def _said(self, member: Member, raw: Floats) -> NDArray[Any]:
        return member.predict(raw) if self.method == "predict" else member.response(raw, self.method)[:, 0]

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        return {"method": self.method, "members": documents}, {"order": self.order, **arrays}, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, ("method",), "parameters")
        checks.only(arrays, ("order",), "arrays")
        order = checks.array(arrays, "order", "int64", (len(members),))
        checks.require(sorted(order.tolist()) == list(range(len(members))), "the order of its chain is none")
        method = params["method"]
        checks.require(method in _HANDED_ON, f"its method {method!r} is unknown")
        _check(members)
        for member in members:
            has = {SCORES: member.has_scores, PROBABILITIES: member.has_probabilities}.get(method, True)
            two = method == "predict" or member.classes == (0, 1)
            checks.require(has and two, f"a link of its chain has no {method} to hand on")
        return cls(members, order, method)


_HANDED_ON = ("predict", PROBABILITIES, SCORES)


def _check(members: tuple[Member, ...]) -> None:
    kinds = {member.kind for member in members}
    checks.require(kinds in ({"classifier"}, {"regressor"}), "its targets are of several kinds, or of none that is")
    for member in members:
        fits = member.classes is None or member.classes == tuple(range(len(member.classes)))
        checks.require(fits, "a target's classes are not counted from 0")


def exact(member: Member) -> bool:
    """Whether it takes float64 as it is: others were trained on float32."""
    inside = getattr(member.body, "members", ())
    return all(exact(part) for part in inside) if inside else member.body.form in _FLOAT64


def read_several(estimator: Any, members: tuple[Member, ...]) -> tuple[Several, str]:
    """A fitted MultiOutputClassifier or MultiOutputRegressor."""
    return Several(members), "several"


def read_chain(estimator: Any, members: tuple[Member, ...]) -> tuple[Chain, str]:
    """A fitted ClassifierChain or RegressorChain."""
    method = getattr(estimator, "chain_method_", "predict")
    if method not in _HANDED_ON:
        raise UnsafeModelError(f"chain_method={method!r} has no saved form. There are: {', '.join(_HANDED_ON)}.")
    return Chain(members, np.array(estimator.order_, np.int64), method), "several"
