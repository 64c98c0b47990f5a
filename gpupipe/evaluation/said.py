"""What a model says of rows whose target is known, and what it is worth; of several folds' models side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.columns import Values
from gpupipe.errors import ParameterError
from gpupipe.evaluation.evaluate import evaluate_arrays
from gpupipe.evaluation.report import Evaluation
from gpupipe.models.fitted import Model, threshold_of
from gpupipe.models.forms.member import Member
from gpupipe.models.scoring import numbers_of
from gpupipe.runtime.fitting import Examples


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a model says of one target of some rows.

    Attributes:
        kind: "classifier", "regressor" or "ranker".
        target: labels or numbers, (rows,).
        values: float64 (rows, outputs): probabilities or decision values, or predictions.
        row_ids, positions: uint64 (rows,): identities, and places in the source.
        classes: a classifier's labels, else None.
        codes: a classifier's decisions, int64 (rows,): positions among `classes`; else None.
        shares: whether the values are probabilities.
        weights, groups: (rows,), or None.
        threshold: that of a classifier that has one of its own.
    """

    kind: str
    target: Values
    values: Values
    row_ids: Values
    positions: Values
    classes: tuple[Any, ...] | None = None
    codes: Values | None = None
    shares: bool = False
    weights: Values | None = None
    groups: Values | None = None
    threshold: dict[str, Any] | None = None

    def evaluation(
        self, baseline: Any = None, slices: Mapping[str, Values] | None = None, *, intervals: bool = True
    ) -> Evaluation:
        """Metrics beside a baseline; see `evaluate_arrays`."""
        return evaluate_arrays(
            self.kind,
            self.target,
            self.values[:, 0] if self.values.shape[1] == 1 else self.values,
            self.classes,
            self.weights,
            self.row_ids,
            slices,
            groups=self.groups,
            probabilities=self.shares,
            decided=self.codes,
            threshold=self.threshold,
            baseline=baseline,
            intervals=intervals,
        )

    @property
    def predicted(self) -> Values:
        """Labels as objects, or numbers, (rows,)."""
        if self.classes is None or self.codes is None:
            return self.values[:, 0]
        return np.array(self.classes, object)[self.codes]


def said_by(model: Model, found: Examples) -> list[Said]:
    """What a model says of each target of `found`."""
    targets = [found.target] if model.targets is None else found.target
    return [_of(output, raw, target, found)
            for (output, raw), target in zip(model.raw_each(found.matrix), targets, strict=True)]  # fmt: skip


def _of(output: Member, raw: Values, target: Values, found: Examples) -> Said:
    classified = output.kind == "classifier"
    return Said(
        output.kind,
        target,
        numbers_of(output, raw),
        found.row_ids,
        np.concatenate(found.positions) if found.positions else found.row_ids,
        output.classes,
        output.codes(raw).astype(np.int64) if classified else None,
        output.has_probabilities and output.meaning.shares,
        found.weights,
        found.groups,
        threshold_of(output),
    )


def side_by_side(parts: Sequence[Said]) -> Said:
    """What several models said of rows of their own, as of one: classes are those that any of them knows, and a model
    gives a class that it does not know the probability 0. A threshold, each model's own, is in none.

    Raises:
        ParameterError: decision values of models that know different classes.
    """
    first = parts[0]
    known = {label for part in parts for label in part.classes or ()}
    classes = None if first.classes is None else tuple(sorted(known))
    widened = [part if part.classes == classes else _widened(part, classes or ()) for part in parts]
    weights, groups, codes = (_stacked([getattr(part, name) for part in widened])
                              for name in ("weights", "groups", "codes"))  # fmt: skip
    target, values, row_ids, positions = (np.concatenate([getattr(part, name) for part in widened])
                                          for name in ("target", "values", "row_ids", "positions"))  # fmt: skip
    return Said(first.kind, target, values, row_ids, positions, classes, codes, first.shares, weights, groups)


def _stacked(arrays: Sequence[Values | None]) -> Values | None:
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if known else None


def _widened(part: Said, classes: tuple[Any, ...]) -> Said:
    if not part.shares:
        raise ParameterError(
            f"The folds' models know different classes, {len(classes)} in all, and decision values of such models "
            "cannot stand side by side. Deal equal shares of each class: stratify=True."
        )
    place = np.array([classes.index(label) for label in part.classes or ()])
    values = np.zeros((len(part.target), len(classes)))
    values[:, place] = part.values
    codes = None if part.codes is None else place[part.codes]
    return Said(part.kind, part.target, values, part.row_ids, part.positions, classes, codes, True, part.weights,
                part.groups)  # fmt: skip
