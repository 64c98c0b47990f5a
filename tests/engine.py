"""What the tests of the language share: a sample table, one call that computes, one that compares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

import gpupipe as gp
from gpupipe.expr.expr import Expr

DEVICES = ("reference", "cpu")
N = 211
_SECOND, _DAY = 10**6, 86_400 * 10**6


def sample(seed: int = 0, n: int = N) -> pa.Table:
    """Columns of every type, each with nulls of its own; `n` is not special, so that quantiles interpolate.

    x, y, w: floats (w above 0); f: with NaN, infinities and signed zeros; i, j: integers (j with zeros);
    a, b: booleans; s, c: text (c few values); d, d2: dates; t, t2: times; z: times in Europe/Paris; u: durations.
    """
    rng = np.random.default_rng(seed)

    def column(values: Any, kind: Any = None, share: float = 0.15) -> pa.Array:
        return pa.array(values, kind, mask=rng.random(n) < share)

    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5, 0.5])
    words = ["Zoë", "zebra crossing", "", " Übermut \t", "a", "A", "été 2024", "naïve café", "漢字 kanji", "😀 ok"]
    days = rng.integers(-30_000, 40_000, (2, n))
    ticks = rng.integers(-30_000 * _DAY, 40_000 * _DAY, (2, n))
    return pa.table(
        {
            "x": column(np.round(rng.normal(0, 3, n), 2)),
            "y": column(rng.normal(1, 2, n)),
            "w": column(np.exp(rng.normal(0, 2, n))),
            "f": column(rng.choice(odd, n)),
            "i": column(rng.integers(-9, 10, n)),
            "j": column(rng.integers(-3, 4, n)),
            "a": column(rng.random(n) < 0.5),
            "b": column(rng.random(n) < 0.5),
            "s": column([words[at] for at in rng.integers(0, len(words), n)], pa.string()),
            "c": column([f"c{at}" for at in rng.geometric(0.4, n)], pa.string()),
            "d": column(days[0].astype("i4"), pa.int32()).cast(pa.date32()),
            "d2": column(days[1].astype("i4"), pa.int32()).cast(pa.date32()),
            "t": column(ticks[0], pa.timestamp("us")),
            "t2": column(ticks[1], pa.timestamp("us")),
            "z": column(rng.integers(0, 20_000 * _DAY, n), pa.timestamp("us", "Europe/Paris")),
            "u": column(rng.integers(-9 * _DAY, 9 * _DAY, n), pa.duration("us")),
        }
    )


TABLE = sample()
FRAME = pl.DataFrame(pl.from_arrow(TABLE))


def computed(features: Any, device: str, data: Any = TABLE, fit_on: Any = None, **options: Any) -> dict[str, list[Any]]:
    """The features of `data` as Python values by name, fitted on `fit_on` (else on `data`)."""
    pipeline = gp.Pipeline(features, device=device, **options).fit(data if fit_on is None else fit_on)
    found = pipeline.transform(data, output="arrow")
    return {name: found.column(name).to_pylist() for name in found.column_names}


def value(feature: Expr, device: str, data: Any = TABLE, fit_on: Any = None) -> list[Any]:
    """The one column of a feature, in float64 where it is a float."""
    (column,) = computed([unrounded(feature, data)], device, data, fit_on).values()
    return column


def unrounded(feature: Expr, data: Any = TABLE) -> Expr:
    """The feature cast to the type it is computed in, so that nothing is rounded on leaving."""
    plan = planned([feature], data)
    dtype = str(plan.features[0].info.dtype)
    wide = {"Float32": "Float64", "Int8": "Int64", "Int16": "Int64"}
    return feature if plan.features[0].info.wide is not None else feature.cast(wide.get(dtype, dtype))


def planned(features: Sequence[Expr], data: Any = TABLE, target: str | None = None) -> Any:
    """The plan of features over the sample table."""
    source = gp.scan(data)
    return gp.Pipeline(list(features), target=target).explain(source).plan


@dataclass(frozen=True)
class Case:
    """One operation and what an oracle says of it.

    Attributes:
        name: the row or operator under test.
        ours: the expression.
        oracle: a Polars expression over the same columns, or a function from the Polars frame to values.
        ulps: how many units in the last place of float64 a float may be off.
        slack: how much it may be off besides, where values of this size have cancelled.
        note: tells cases of one name apart.
    """

    name: str
    ours: Expr
    oracle: pl.Expr | Callable[[pl.DataFrame], Any]
    ulps: float = 0
    slack: float = 0
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name}-{self.note}" if self.note else self.name

    def expected(self, frame: pl.DataFrame = FRAME) -> list[Any]:
        """What the oracle gives."""
        if isinstance(self.oracle, pl.Expr):
            found = frame.select(self.oracle.alias("out"))["out"].to_list()
            return found * frame.height if len(found) == 1 else found
        return as_list(self.oracle(frame))


def check(case: Case, device: str) -> None:
    """The case holds on the device."""
    assert_alike(value(case.ours, device), case.expected(), case.ulps, case.slack)


def as_list(values: Any) -> list[Any]:
    """Python values; null as None."""
    return list(values.tolist() if isinstance(values, np.ndarray) else values)


def assert_alike(got: Sequence[Any], expected: Sequence[Any], ulps: float = 0, slack: float = 0) -> None:
    """Equal values: nulls in the same rows, NaN equal to NaN, 1 to True, floats within `ulps`."""
    assert len(got) == len(expected)
    for row, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert _alike(a, b, ulps, slack), f"row {row}: {a!r} is not {b!r}"


def _alike(a: Any, b: Any, ulps: float, slack: float) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, float) or isinstance(b, float):
        if np.isnan(b) or np.isnan(a):
            return bool(np.isnan(a) and np.isnan(b))
        return bool(a == b or abs(a - b) <= ulps * np.spacing(abs(b)) + slack)
    return bool(a == b)


def rowwise(function: Callable[..., Any], *names: str) -> Callable[[pl.DataFrame], list[Any]]:
    """A NumPy function of float64 columns, null where any of them is."""

    def oracle(frame: pl.DataFrame) -> list[Any]:
        columns = [frame[name] for name in names]
        arrays = [column.to_physical().fill_null(0).to_numpy() for column in columns]
        with np.errstate(all="ignore"):
            found = as_list(np.asarray(function(*arrays)))
        missing = np.logical_or.reduce([column.is_null().to_numpy() for column in columns])
        return [None if gone else v for v, gone in zip(found, missing, strict=True)]

    return oracle


def each(function: Callable[..., Any], *names: str) -> Callable[[pl.DataFrame], list[Any]]:
    """A Python function of single values, null where any of them is."""

    def oracle(frame: pl.DataFrame) -> list[Any]:
        rows: Mapping[str, list[Any]] = {name: frame[name].to_list() for name in names}
        return [None if None in row else function(*row) for row in zip(*rows.values(), strict=True)]

    return oracle
