"""The same pipelines on the GPU and on the CPU: statistics, features and codes must be equal in every bit."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpupipe as gp
from gpupipe import col

from . import clicks
from .report import Record

SMALL = 40_000


def run(record: Record, rows: int) -> None:
    """Record, for every case, what differs."""
    with tempfile.TemporaryDirectory() as folder:
        path = clicks.written(Path(folder), min(rows, SMALL))
        for name, make in CASES.items():
            record.attempt(name, lambda make=make: compared(make, path))  # type: ignore[misc]


def compared(make: Callable[[str], gp.Pipeline], path: Path, device: str = "gpu") -> dict[str, Any]:
    """How many values of two fits' features differ in a bit, and whether the digests of their states are equal."""
    here, there = make("cpu"), make(device)
    first = here.fit_transform(gp.scan(path), output="arrow")
    second = there.fit_transform(gp.scan(path, partitions=3), output="arrow")
    again = there.transform(gp.scan(path, partitions=2), output="arrow")
    expected = here.transform(path, output="arrow")
    return {
        "equal digests": here.state_digest() == there.state_digest(),
        "values": first.num_rows * first.num_columns,
        "wrong bits, training": different(first, second),
        "wrong bits, later": different(expected, again),
    }


def different(one: Any, other: Any) -> int:
    """The values of two Arrow tables whose bits or nulls differ."""
    if one.schema != other.schema:
        raise AssertionError(f"{one.schema} is not {other.schema}")
    return sum(differing(one.column(name), other.column(name)) for name in one.column_names)


def differing(one: Any, other: Any) -> int:
    """The same of two columns."""
    nulls = np.asarray(one.is_null()) != np.asarray(other.is_null())
    if one.type.bit_width not in (8, 16, 32, 64):
        return int(nulls.sum()) + sum(a != b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True))
    pair = [one_nan(np.asarray(column.combine_chunks().fill_null(0))) for column in (one, other)]
    bits = [np.ascontiguousarray(values).view(f"u{values.itemsize}") for values in pair]
    return int((nulls | (bits[0] != bits[1])).sum())


def one_nan(values: Any) -> Any:
    """The values with every NaN the same: its sign and payload are nobody's promise."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values) if values.dtype.kind == "f" else values


def _of(*features: Any, **options: Any) -> Callable[[str], gp.Pipeline]:
    return lambda device: gp.Pipeline(list(features), device=device, **options)


_X, _Y, _FEW, _MANY = col("n1"), col("n2"), col("c1"), col("c20")
CASES: dict[str, Callable[[str], gp.Pipeline]] = {
    "clicks": _of(*clicks.features()),
    "moments and extremes": _of(
        gp.cols(*clicks.NUMBERS).fill_null("mean").standardize(),
        gp.cols(*clicks.NUMBERS).fill_null(0).min_max().suffix("_01"),
    ),
    "quantiles": _of(
        gp.cols(*clicks.NUMBERS).fill_null("median").robust(),
        _X.fill_null(0).clip(_X.quantile(0.01), _X.quantile(0.99)).alias("clipped"),
    ),
    "codes, hashes, one-hot, frequencies": _of(
        gp.cols("c0", "c3", "c9").codes(min_count=3), _MANY.hash_buckets(1_000), _FEW.one_hot(), col("c5").frequency()
    ),
    "statistics by group": _of(
        _X.mean().over("c4").fill_null(0).alias("mean"), (_X - _X.mean().over("c2", "c3")).fill_null(0).alias("centred")
    ),
    "target means, out of fold": _of(
        gp.cols("c4", "c12").target_mean(smoothing=20), target=col("label") == 1
    ),
    "functions": _of(
        *(getattr(_X.fill_null(0).abs(), name)().alias(name) for name in ("log1p", "sqrt", "exp", "tanh", "sin")),
        (_X / _Y).fill_null(-1).alias("ratio"), (_X > _Y).alias("more"), _X.is_null().alias("missing"),
    ),
}  # fmt: skip
