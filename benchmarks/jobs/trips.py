"""J3 "trips": a city's taxi rides: times, coordinates, small integers and text, into a float32 matrix of 31 columns.

Columns of the matrix, row after row:
    hour, weekday (Monday 1), day of the month, month, day of the year of the pickup; whether it is at the weekend; the
        ride's seconds;
    the distance from pickup to dropoff in kilometres, by the haversine formula on a sphere of 6371 km (NaN where a
        coordinate is null);
    passengers, null as 1; the two zones as they are;
    the mean fare of all rides from that pickup zone in that hour of the day;
    of driver, pickup zone and dropoff zone the mean of `tipped`, by five folds: (sum + 20 · mean) / (count + 20) over
        the rides of the same value in the four folds where the ride is not, `mean` being that of these folds;
    vendor, payment and rate one-hot: a column for each text, in the order of their bytes, all 0 for null.

The folds are gpupipe's own, by a hash of the row's number. The column `fold` tells the peers; gpupipe does not read it.

Variants:
    matrix: in memory. Kept as ``matrix.npy``.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .data import GROUP, blocks, made, main, write_groups
from .matrices import same_matrix

NAME = "trips"
FILE = "rows.parquet"
VARIANTS = ("matrix",)
ONE_HOT = {
    "vendor": ["amber", "blue", "city"],
    "payment": ["account", "card", "cash", "dispute", "free", "voucher"],
    "rate": ["airport", "group", "harbour", "negotiated", "night", "standard", "suburb"],
}
COLUMNS = [
    *("hour", "weekday", "day", "month", "ordinal_day", "is_weekend", "seconds", "kilometres"),
    *("passengers", "pickup_zone", "dropoff_zone", "zone_hour_fare"),
    *("driver_target_mean", "pickup_zone_target_mean", "dropoff_zone_target_mean"),
    *(f"{name}_{value}" for name, values in ONE_HOT.items() for value in values),
]
TOLERANCE = 1e-5
ZONES, DRIVERS, FOLDS = 263, 40_000, 5
START = 1_704_067_200  # 2024-01-01
YEAR = 366 * 86_400
SEED = 7


def make(home: Path, rows: int) -> Path:
    """The folder with `rows` rows, made where it is not there; fewer rows are the first ones of more."""
    return made(home, NAME, rows, lambda folder, count: write_groups(folder / FILE, groups(count)))


def groups(rows: int) -> Iterator[pa.Table]:
    """The rows, a row group at a time, the same for the same number."""
    for first, count in blocks(rows):
        yield group(first // GROUP).slice(0, count)


def group(number: int) -> pa.Table:
    """The row group of that number, all rows of it."""
    rng = np.random.Generator(np.random.SFC64([SEED, number]))
    pickup_at, seconds = _times(rng)
    zones = [_skewed(rng, ZONES) + 1 for _ in range(2)]
    driver = _skewed(rng, DRIVERS)
    texts = {name: _text(rng, values) for name, values in ONE_HOT.items()}
    fare = np.round(3 + seconds / 60 * (0.5 + 0.2 * rng.random(GROUP)) + 2 * np.sin(zones[0]), 2)
    score = np.sin(driver * 1.0) + 0.5 * np.sin(zones[0] * 2.0) + 0.5 * np.cos(zones[1] * 3.0) + fare / 50
    return pa.table(
        {
            "pickup_at": pa.array(pickup_at * 1_000_000, pa.timestamp("us")),
            "dropoff_at": pa.array((pickup_at + seconds) * 1_000_000, pa.timestamp("us")),
            "pickup_zone": pa.array(zones[0].astype(np.int16)),
            "dropoff_zone": pa.array(zones[1].astype(np.int16)),
            **_places(rng, zones),
            "passengers": pa.array(
                np.minimum(1 + rng.poisson(0.6, GROUP), 6).astype(np.int8), mask=rng.random(GROUP) < 0.03
            ),
            "driver": _drivers(driver),
            **texts,
            "fare": pa.array(fare),
            "tipped": pa.array((rng.random(GROUP) < 1 / (1 + np.exp(-score))).astype(np.int8)),
            "fold": pa.array(folds(number * GROUP, GROUP)),
        }
    )


def _times(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Seconds of the pickup, more of them in the evening than at night, and of the ride."""
    day = rng.integers(0, YEAR // 86_400, GROUP) * 86_400
    of_day = np.minimum(86_399, 86_400 * rng.beta(2.2, 1.5, GROUP)).astype(np.int64)
    ride = np.minimum(7_200, 60 + rng.lognormal(6.4, 0.7, GROUP)).astype(np.int64)
    return START + day + of_day, ride


def _skewed(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Numbers below `size`, small ones more often: roughly Zipf's law of exponent a half."""
    return (size * rng.random(GROUP) ** 2).astype(np.int64)


def _places(rng: np.random.Generator, zones: list[NDArray[np.int64]]) -> dict[str, pa.Array]:
    """Degrees with six decimals, near the middle of their zone; 2 % of the rides lack one end."""
    places = {}
    for end, zone in zip(("pickup", "dropoff"), zones, strict=True):
        missing = rng.random(GROUP) < 0.02
        for axis, middle, at in (("lat", 40.75, zone % 16), ("lon", -73.95, zone // 16)):
            degrees = middle + (at - 8) * 0.012 + rng.normal(0, 0.004, GROUP)
            places[f"{end}_{axis}"] = pa.array(np.round(degrees, 6), mask=missing)
    return places


def _text(rng: np.random.Generator, values: list[str]) -> pa.Array:
    """The later a value, the rarer; 1 % null."""
    chosen = (len(values) * rng.random(GROUP) ** 2).astype(np.int32)
    return pa.array(values).take(pa.array(chosen, mask=rng.random(GROUP) < 0.01))


def _drivers(numbers: NDArray[np.int64]) -> pa.Array:
    return pa.array([f"D{number * 7919 % 1_000_003:06}" for number in range(DRIVERS)]).take(pa.array(numbers))


def folds(first: int, count: int) -> NDArray[np.int8]:
    """The folds of rows: XXH64, seed 0, of the 16 bytes of the purpose (1) and the row's number, modulo five."""
    with np.errstate(over="ignore"):
        state = np.full(count, 2870177450012600261 + 16, np.uint64)
        for lane in (np.uint64(_FOLDS), np.arange(first, first + count, dtype=np.uint64)):
            state = _rotated(state ^ (_rotated(lane * _PRIMES[1], 31) * _PRIMES[0]), 27) * _PRIMES[0] + _PRIMES[3]
        state = (state ^ (state >> np.uint64(33))) * _PRIMES[1]
        state = (state ^ (state >> np.uint64(29))) * _PRIMES[2]
        return ((state ^ (state >> np.uint64(32))) % np.uint64(FOLDS)).astype(np.int8)


_FOLDS = 1
_PRIMES = [
    np.uint64(prime)
    for prime in (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579)
]


def _rotated(bits: NDArray[np.uint64] | np.uint64, by: int) -> NDArray[np.uint64]:
    return np.asarray((bits << np.uint64(by)) | (bits >> np.uint64(64 - by)))


def agree(ours: Path, theirs: Path, variant: str) -> str:
    """Compare two folders with what one variant left; what was compared, in words.

    Raises:
        ValueError: they differ; the first column that does, and where.
    """
    return same_matrix(ours, theirs, COLUMNS, TOLERANCE)


if __name__ == "__main__":
    main(NAME, make)
