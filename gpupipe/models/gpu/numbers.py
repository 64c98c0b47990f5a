"""What is known of the numbers that a forest learns, of some rows or of all."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.gpu.twin import Params


@dataclass(frozen=True, slots=True)
class Targets:
    """Numbers, without themselves: those of several parts add up.

    Attributes:
        n: how many.
        mean, squares: their mean, and the sum of squared differences from it.
        least: of them.
        lost: the largest difference that float32 makes of one.
        are_zero: whether all of them are.
    """

    n: int
    mean: float
    squares: float
    least: float
    lost: float
    are_zero: bool

    @classmethod
    def of(cls, target: NDArray[Any]) -> Self:
        """Of an array.

        >>> Targets.of(np.array([1.0, 3.0])).squares
        2.0
        """
        y = np.asarray(target, np.float64)
        lost = np.abs(y - y.astype(np.float32).astype(np.float64)).max(initial=0.0)
        mean = y.mean() if y.size else 0.0
        return cls(y.size, float(mean), float(((y - mean) ** 2).sum()), float(y.min(initial=np.inf)), float(lost),
                   not y.any())  # fmt: skip

    def __add__(self, other: "Targets") -> "Targets":
        n = self.n + other.n
        apart = other.mean - self.mean
        mean = self.mean + (apart * other.n / n if n else 0.0)
        squares = self.squares + other.squares + (apart * apart * self.n * other.n / n if n else 0.0)
        least, lost = min(self.least, other.least), max(self.lost, other.lost)
        return Targets(n, mean, squares, least, lost, self.are_zero and other.are_zero)

    def unsuited(self, params: Params) -> str | None:
        """Why cuML's forests, which learn targets in the matrix's float32, cannot learn them; None: they can."""
        if params["criterion"] == "poisson" and (self.least < 0 or self.are_zero):
            return "scikit-learn has no criterion='poisson' of such targets"
        if self.lost > 1e-5 * (self.squares / max(self.n, 1)) ** 0.5:
            return "the targets differ by less than float32, in which cuML's forests learn them, can tell"
        return None
