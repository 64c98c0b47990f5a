"""What is held at a time does not grow with the rows: a few partitions' matrices, and sums."""

import threading
import weakref
from typing import Any

import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from xgboost import XGBClassifier

import gpupipe as gp
from gpupipe.runtime.reductions import lesson

from .rows import SCALED, table

ROWS = 200  # of a partition


class Held:
    """Rows of matrices that somebody refers to, and the most there were."""

    def __init__(self) -> None:
        self.now = self.most = self.made = 0
        self._lock = threading.RLock()

    def changed(self, rows: int) -> None:
        with self._lock:
            self.now += rows
            self.most = max(self.most, self.now)
            self.made += max(rows, 0)


@pytest.fixture
def held(monkeypatch: Any) -> Held:
    found, ready = Held(), lesson.Lesson.ready

    def watched(self: Any) -> Any:
        part = ready(self)

        def made(frame: Any) -> Any:
            whole = part(frame)
            found.changed(len(whole.X))
            weakref.finalize(whole.X, found.changed, -len(whole.X))
            return whole

        return made

    monkeypatch.setattr(lesson.Lesson, "ready", watched)
    return found


@pytest.mark.parametrize(
    ("model", "target", "weights"),
    [
        (LogisticRegression(), "two", "w"), (Ridge(), "number", "w"), (PCA(2), None, None), (GaussianNB(), "two", None),
        (KMeans(3, random_state=0, max_iter=3), None, None), (XGBClassifier(n_estimators=3), "two", None),
    ],
)  # fmt: skip
def test_few_partitions_are_held(model: Any, target: Any, weights: Any, held: Held) -> None:
    most = []
    for partitions in (5, 20):
        held.most = held.made = 0
        rows: pa.Table = table(partitions * ROWS)
        pipeline = gp.Pipeline(SCALED, target, model, weights=weights, training="partitions")
        pipeline.fit(gp.scan(rows, partitions=partitions))
        assert held.made >= 2 * len(rows)  # it made several trips
        most.append(held.most)
    assert max(most) <= 4 * ROWS  # one thread at work, one batch ahead
