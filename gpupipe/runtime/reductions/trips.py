"""Trips over the rows of a fit: orders given to the crew, their results brought together as they come."""

import threading
from dataclasses import dataclass
from typing import Any

from gpupipe.backends.features import FittedFeatures
from gpupipe.runtime.crew import Crew, Remembers
from gpupipe.runtime.finishing import no_rows
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows


@dataclass(slots=True, eq=False)
class Trips:
    """Rows, who goes over them, and how often that was.

    Attributes:
        features: of these rows.
        made: how many trips there were.
    """

    features: FittedFeatures
    rows: Rows
    crew: Crew
    progress: Progress
    made: int = 0

    def ask(self, order: Any) -> Any:
        """The one result that all results of an order were merged into.

        Raises:
            EmptyDataError: there are no rows.
        """
        self.begin(order.stage)
        crew = self.crew
        known = crew.recall(self.rows, order) if isinstance(crew, Remembers) else None
        if known is not None:
            return known
        adding = _Adding(order)
        crew.take_in(self.rows, order, adding.add, self.progress)
        if not self.rows.report.rows_kept:
            raise no_rows(self.rows)
        (whole,) = order.merged([adding.total])
        if isinstance(crew, Remembers):
            crew.remember(order, whole)
        return whole

    def begin(self, stage: str) -> None:
        """A trip begins."""
        self.made += 1
        self.progress.begin(stage, self.rows)


class _Adding:
    """Results merged as they come, from any thread."""

    def __init__(self, order: Any) -> None:
        self._order, self._lock = order, threading.Lock()
        self.total: list[Any] = []

    def add(self, result: list[Any]) -> None:
        with self._lock:
            self.total = self._order.merged([self.total, result])
