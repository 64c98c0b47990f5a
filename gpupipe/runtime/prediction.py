"""What a fit will read, how much memory it will take and how long it will be, told from metadata alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpupipe.compiler.plan import Plan
from gpupipe.runtime.beneath import known_width
from gpupipe.runtime.machine import crowding, slowness
from gpupipe.runtime.rows import Rows

if TYPE_CHECKING:
    from gpupipe.models.estimators import Row

# Nanoseconds of one thread for a value, measured on a server's core (docs/performance.md): decoding it and gathering
# what is learned of it, by what it is; computing a feature of it.
_NUMBER, _TEXT, _FEATURE = 15, 15, 5
_START = 0.3  # seconds until the first partition is read: planning, kernels
_SMALL = 2_000_000  # values up to which NumPy computes, and nothing is started
_SPREAD = 2.0  # times and parts of what is expected that other columns, pages and caches make of it


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a fit is expected to cost, training by the model's own library apart.

    Attributes:
        bytes_read: bytes of the columns read, as stored.
        memory: bytes taken at most beside what the process holds when it begins.
        seconds: wall seconds of statistics and features on this machine, with what was at work on it just before.
    """

    bytes_read: int
    memory: int
    seconds: float

    @property
    def seconds_range(self) -> tuple[float, float]:
        """Within which the seconds are likely to be."""
        return self.seconds / _SPREAD, self.seconds * _SPREAD

    def __str__(self) -> str:
        memory = "under 100 MB" if self.memory < 100e6 else f"about {self.memory / 1e6:,.0f} MB"
        low, high = self.seconds_range
        seconds = "under a second" if self.seconds < 1 else f"{_rounded(low)} to {_rounded(high)} s"
        return f"{self.bytes_read / 1e6:,.1f} MB read, {memory} of memory beside what is held, {seconds}"


def predicted(plan: Plan, rows: Rows, again: Sequence[str], model: "Row | None" = None) -> Prediction:
    """What a fit of `plan` over `rows` is expected to cost.

    Args:
        again: the columns that are kept for further trips.
        model: the row of the model in the table of estimators.
    """
    source, columns = rows.source, plan.fit_columns
    n_rows = sum(part.n_rows for part in source.partitions)
    texts = sum(plan.schema[name].dtype.name == "String" for name in columns if name in plan.schema)
    # The matrix that it trains on, float32, and a copy where the library computes in float64.
    matrix = 0 if model is None else n_rows * len(plan.features) * (12 if model.dtype == "float64" else 4)
    # Columns wait where the float32 matrix will stand, if its size is known.
    width = None if rows.heights is None else known_width(plan, None, model is not None)
    beneath = 4 * n_rows * (width or 0)
    kept = min(max(rows.decoded_bytes(again) - beneath, 0), rows.budget.kept)
    features = len(plan.features) if matrix else 0
    each = _TEXT * texts + _NUMBER * (len(columns) - texts) + _FEATURE * features
    started = 0.0 if n_rows * len(columns) < _SMALL else _START
    threads = rows.n_workers
    slower = slowness(threads) * crowding(threads) if started else 1.0  # measured where it matters
    seconds = started + slower * n_rows * each / 1e9 / rows.n_workers
    return Prediction(source.nbytes(columns, stored=True), rows.budget.at_work + kept + matrix, seconds)


def _rounded(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:,.0f}"
