"""What an evaluation found of several targets: that of each, and what is right of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from gpupipe.errors import counted
from gpupipe.evaluation.report import Evaluation, Metric, seen_too


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class SeveralEvaluations:
    """What a model of several targets is worth on some rows.

    Attributes:
        kind: "classifier" or "regressor".
        n_rows: the rows evaluated.
        metrics: of all targets together: ``accuracy``, the share of rows in which every target is right, or ``r2``,
            the plain mean of the targets'; without intervals.
        targets: the evaluation of each target by its name.
        rows_seen: how many of the rows the fit is known to have seen, where they were allowed; else None.
    """

    kind: str
    n_rows: int
    metrics: Mapping[str, Metric]
    targets: Mapping[str, Evaluation]
    rows_seen: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; ``["targets"]["price"]["metrics"]["r2"]`` is ``{"value", "low", "high"}``."""
        return {
            "kind": self.kind,
            "n_rows": self.n_rows,
            "metrics": {name: metric.to_dict() for name, metric in self.metrics.items()},
            "targets": {name: found.to_dict() for name, found in self.targets.items()},
            **({} if self.rows_seen is None else {"rows_seen": self.rows_seen}),
        }

    def __repr__(self) -> str:
        return "\n\n".join([self._title(), *(f"{name}: {found!r}" for name, found in self.targets.items())])

    def _repr_html_(self) -> str:
        parts = [f"<h4>{escape(name)}</h4>\n{found._repr_html_()}" for name, found in self.targets.items()]
        return "\n".join([f"<p><b>{escape(self._title())}</b></p>", *parts])

    def _title(self) -> str:
        what = {"accuracy": "accuracy of all together", "r2": "mean r2"}
        told = ", ".join(
            f"{what[name]} {'–' if metric.value is None else format(metric.value, '.4f')}"
            for name, metric in self.metrics.items()
        )
        rows = counted(self.n_rows, "row") + seen_too(self.rows_seen)
        return f"Evaluation of {counted(len(self.targets), 'target')} on {rows}: {told}"
