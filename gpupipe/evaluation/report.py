"""What an evaluation found, as numbers, as text and as HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from gpupipe.errors import counted
from gpupipe.runtime.tables import html_table, text_table

# The measures a table of slices shows; all of them are in the slice itself.
_SHOWN = {
    "classifier": ("accuracy", "log_loss", "roc_auc", "pr_auc"),
    "regressor": ("rmse", "mae", "r2"),
    "ranker": ("ndcg_at_10", "ndcg", "map", "mrr"),
}
_MANY = 12


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure with its 95 % interval.

    Attributes:
        value: the measure; None where it is undefined, and then `reason` says why.
        low, high: the interval; None where there is none (a baseline, or an undefined measure).
        reason: why there is no value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """{"value", "low", "high"}, and "reason" if there is no value."""
        found: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return found if self.reason is None else {**found, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Slice:
    """The measures of the rows that share a label."""

    n_rows: int
    metrics: dict[str, Metric]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Evaluation:
    """What a model's outputs are worth on some rows.

    Attributes:
        kind: "classifier", "regressor" or "ranker"; of a cross-validated PCA "transformer".
        n_rows: the rows evaluated.
        metrics: name to measure with interval.
        baseline: the same measures, without intervals, of a model that knows no feature: it always gives the
            shares of the classes, or the mean; of a ranker, the same score, whose value is that of chance.
        slices: column to label to :class:`Slice`; the label of null is None.
        classes: the labels, or None.
        confusion_matrix: float64 (classes, classes), weight by true (row) and predicted (column) class, or
            None.
        n_groups: the groups a ranker was judged in; None of other kinds.
        threshold: {"value", "label", "response"} of a classifier that decides for the label where its response
            ("predict_proba" or "decision_function") is at least that; None of others.
        rows_seen: how many of the rows the fit is known to have seen, where they were allowed; else None.
    """

    kind: str
    n_rows: int
    metrics: dict[str, Metric]
    baseline: dict[str, Metric]
    slices: dict[str, dict[Any, Slice]] = field(default_factory=dict)
    classes: list[Any] | None = None
    confusion_matrix: np.ndarray[Any, Any] | None = None
    n_groups: int | None = None
    threshold: dict[str, Any] | None = None
    rows_seen: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; ``["metrics"]["roc_auc"]`` is ``{"value", "low", "high"}``."""
        found: dict[str, Any] = {
            "kind": self.kind,
            "n_rows": self.n_rows,
            "metrics": _dicts(self.metrics),
            "baseline": _dicts(self.baseline),
            "slices": {name: _slice_dicts(group) for name, group in self.slices.items()},
        }
        if self.n_groups is not None:
            found["n_groups"] = self.n_groups
        if self.threshold is not None:
            found["threshold"] = self.threshold
        if self.rows_seen is not None:
            found["rows_seen"] = self.rows_seen
        if self.confusion_matrix is not None:
            found["confusion_matrix"] = {"classes": self.classes, "rows": self.confusion_matrix.tolist()}
        return found

    def __repr__(self) -> str:
        parts = [self._title(), *(text_table(caption, table) for caption, table in self._tables())]
        return "\n\n".join([*parts, *self._notes()])

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(self._title())}</b></p>"]
        parts += [html_table(caption, table) for caption, table in self._tables()]
        return "\n".join([*parts, *(f"<p>{escape(note)}</p>" for note in self._notes())])

    def _title(self) -> str:
        positive = f", positive class {self.classes[1]!r}" if self.classes and len(self.classes) == 2 else ""
        groups = "" if self.n_groups is None else f" in {counted(self.n_groups, 'group')}"
        chosen = "" if self.threshold is None else f", threshold {self.threshold['value']:.4g}"
        if chosen and self.threshold and self.classes and self.threshold["label"] != self.classes[1]:
            chosen += f" for {self.threshold['label']!r}"
        rows = counted(self.n_rows, "row") + seen_too(self.rows_seen)
        return f"Evaluation of a {self.kind} on {rows}{groups}{positive}{chosen}"

    def _tables(self) -> list[tuple[str, list[list[str]]]]:
        tables = [("", self._metric_table())]
        if self.confusion_matrix is not None and self.classes and len(self.classes) <= _MANY:
            tables.append(("true (rows) by predicted", self._confusion_table()))
        return tables + [(f"by {name}", self._slice_table(group)) for name, group in self.slices.items()]

    def _metric_table(self) -> list[list[str]]:
        rows = [["", "value", "95 % interval", "baseline"]]
        for name, metric in self.metrics.items():
            rows.append([name, number(metric.value), _interval(metric), number(self.baseline[name].value)])
        return rows

    def _confusion_table(self) -> list[list[str]]:
        assert self.classes is not None and self.confusion_matrix is not None
        rows = [["", *map(str, self.classes)]]
        for label, counts in zip(self.classes, self.confusion_matrix.tolist(), strict=True):
            rows.append([str(label), *(f"{count:,.10g}" for count in counts)])
        return rows

    def _slice_table(self, group: Mapping[Any, Slice]) -> list[list[str]]:
        shown = _SHOWN[self.kind]
        rows = [["", "rows", *shown]]
        for label, part in group.items():
            values = [number(part.metrics[name].value) for name in shown]
            rows.append(["(null)" if label is None else str(label), f"{part.n_rows:,}", *values])
        return rows

    def _notes(self) -> list[str]:
        notes = [f"{name}: {metric.reason}" for name, metric in self.metrics.items() if metric.reason]
        for name, group in self.slices.items():
            reasons = {m.reason for part in group.values() for m in part.metrics.values() if m.reason}
            notes += [f"– by {name}: {'; '.join(sorted(reasons))}"] if reasons else []
        return ["\n".join(notes)] if notes else []


def seen_too(rows: int | None) -> str:
    """What a title says of rows that the fit has seen."""
    return f" ({rows:,} of them seen by the fit)" if rows else ""


def _dicts(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    return {name: metric.to_dict() for name, metric in metrics.items()}


def _slice_dicts(group: Mapping[Any, Slice]) -> list[dict[str, Any]]:
    return [
        {"label": label, "n_rows": part.n_rows, "metrics": _dicts(part.metrics)}
        for label, part in group.items()
    ]


def number(value: float | None) -> str:
    """A measure as a table shows it."""
    return "–" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.5g}"


def _interval(metric: Metric) -> str:
    return "–" if metric.low is None else f"{number(metric.low)} … {number(metric.high)}"
