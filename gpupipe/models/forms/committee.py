"""Committees: models that vote, and a model that learns from what others say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms import checks
from gpupipe.models.forms.checks import Arrays
from gpupipe.models.forms.links import Floats
from gpupipe.models.forms.member import PROBABILITIES, SCORES, Member, Parts, member_parts
from gpupipe.models.forms.several import exact

METHODS = (PROBABILITIES, SCORES, "predict")


@dataclass(frozen=True, eq=False)
class Voting:
    """Raw outputs are the weighted mean of the members' probabilities or predictions, or the weight of their votes.

    Attributes:
        members: classifiers of the same classes, or regressors.
        weights: float64, (members,).
        soft: whether classifiers give probabilities, or each a vote for one class.
    """

    form: ClassVar[str] = "voting"
    members: tuple[Member, ...]
    weights: Floats
    soft: bool

    @property
    def n_outputs(self) -> int:
        return len(self.members[0].classes or (0,))

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, classes), or (rows, 1)."""
        total = np.zeros((len(X), self.n_outputs))
        for member, weight in zip(self.members, self.weights.tolist(), strict=True):
            total += weight * self._said(member, member.body.raw(X))
        return total if self.members[0].classes is not None and not self.soft else total / self._whole()

    def _said(self, member: Member, raw: Floats) -> Any:
        if member.classes is None:
            return member.predict(raw)[:, None]
        if self.soft:
            return member.probabilities(raw)
        return member.codes(raw)[:, None] == np.arange(self.n_outputs)

    def _whole(self) -> float:
        return float(np.add.accumulate(self.weights)[-1])

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        return {"soft": self.soft, "members": documents}, {"weights": self.weights, **arrays}, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, ("soft",), "parameters")
        checks.only(arrays, ("weights",), "arrays")
        weights = checks.array(arrays, "weights", "float64", (len(members),))
        soft = checks.flag(params, "soft")
        alike = {(member.kind, member.classes) for member in members}
        kind, classes = next(iter(alike))
        checks.require(len(alike) == 1 and kind in ("classifier", "regressor"), "its models learned different things")
        checks.require(classes is None or classes == tuple(range(len(classes))), "its classes are not counted from 0")
        asked = soft and classes is not None
        has = all(member.has_probabilities for member in members)
        checks.require(has or not asked, "a model that votes has no probabilities")
        return cls(members, weights, soft)


@dataclass(frozen=True, eq=False)
class Stacking:
    """Raw outputs are those of the last member, which sees what the others say, and the features too if asked.

    Attributes:
        members: the models that see the features, and the last one.
        methods: what each of the former says: its probabilities (of two classes the second's), scores or prediction.
        passthrough: whether the last one sees the features behind these.
        columns: the number of columns that it sees.
    """

    form: ClassVar[str] = "stacking"
    members: tuple[Member, ...]
    methods: tuple[str, ...]
    passthrough: bool
    columns: int

    @property
    def seeing(self) -> tuple[Member, ...]:
        """Those that see the features."""
        return self.members if self.passthrough else self.members[:-1]

    @property
    def n_outputs(self) -> int:
        found: int = self.members[-1].body.n_outputs
        return found

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64, (rows, outputs of the last model)."""
        *first, last = self.members
        said = [_said(member, X, method) for member, method in zip(first, self.methods, strict=True)]
        seen = np.concatenate([*said, X] if self.passthrough else said, axis=1)
        checks.require(seen.shape[1] == self.columns, "its models say more or less than its last one sees")
        found: Floats = last.body.raw(np.ascontiguousarray(seen, np.float64 if exact(last) else np.float32))
        return found

    def to_parts(self) -> Parts:
        documents, arrays = member_parts(self.members)
        own = {"methods": list(self.methods), "passthrough": self.passthrough, "columns": self.columns}
        return {**own, "members": documents}, arrays, {}

    @classmethod
    def from_members(
        cls, params: Mapping[str, Any], arrays: Arrays, members: tuple[Member, ...], n_features: int
    ) -> Self:
        """The reverse of :meth:`to_parts`, its members read already. Raises ArtifactCorruptError."""
        checks.only(params, ("methods", "passthrough", "columns"), "parameters")
        checks.only(arrays, (), "arrays")
        methods = params["methods"]
        known = isinstance(methods, list) and len(methods) == len(members) - 1 > 0
        checks.require(known and all(method in METHODS for method in methods), "its methods are unknown")
        for member, method in zip(members, methods, strict=False):
            has = {SCORES: member.has_scores, PROBABILITIES: member.has_probabilities}.get(method, True)
            fits = member.kind in ("classifier", "regressor") and has
            checks.require(fits, f"one of its models has no {method}")
        body = cls(members, tuple(methods), checks.flag(params, "passthrough"), columns_seen(params))
        body.raw(np.zeros((0, n_features), np.float32))
        return body


def columns_seen(params: Mapping[str, Any]) -> int:
    """The columns that the last model of a :class:`Stacking` sees. Raises ArtifactCorruptError."""
    columns = checks.number(params, "columns")
    checks.require(1 <= columns < 2**31 and columns.is_integer(), "parameter 'columns' is no number of them")
    return int(columns)


def _said(member: Member, X: NDArray[np.float32], method: str) -> NDArray[Any]:
    raw = member.body.raw(X)
    if method == "predict":
        return member.predict(raw)[:, None]
    return member.response(raw, method)
