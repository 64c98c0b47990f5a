"""What an estimator is tried on: a few hundred rows it can learn from."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_ROWS, N_FEATURES = 400, 7
NAMES = [f"f{index}" for index in range(N_FEATURES)]
LABELS = {2: np.array(["no", "yes"]), 3: np.array(["a", "b", "ü"])}


@dataclass(frozen=True)
class Case:
    """An estimator, and what it is trained on."""

    estimator: Any
    n_classes: int = 0  # 0: no classifier
    missing: bool = False
    counts: bool = False
    target: bool = True
    ranks: bool = False  # degrees of relevance, in groups

    @property
    def X(self) -> NDArray[np.float32]:
        return matrix(self.missing, self.counts)

    @property
    def codes(self) -> Any:
        if not self.target:
            return None
        found = target(self.counts, self.n_classes)
        return np.clip(np.round(found), 0, 4).astype(np.int64) if self.ranks else found

    @property
    def groups(self) -> Any:
        """Of a ranker: 40 groups of ten rows, mixed."""
        return np.arange(N_ROWS) * 7 % 40 if self.ranks else None

    @property
    def y(self) -> Any:
        return LABELS[self.n_classes][self.codes] if self.n_classes else self.codes


@functools.cache
def matrix(missing: bool, counts: bool) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    if counts:
        return rng.poisson(1.5, (N_ROWS, N_FEATURES)).astype(np.float32)
    X = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    X[:, 3] = np.round(X[:, 3] * 2)  # ties and thresholds on values that occur
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X


@functools.cache
def target(counts: bool, n_classes: int) -> NDArray[Any]:
    X = matrix(False, counts).astype(np.float64)
    score = X[:, 0] + X[:, 1] * X[:, 2] + np.abs(X[:, 3]) + np.random.default_rng(4).normal(size=N_ROWS) / 3
    if not n_classes:
        return np.abs(score) + 0.1
    return np.searchsorted(np.quantile(score, np.arange(1, n_classes) / n_classes), score)
