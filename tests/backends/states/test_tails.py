"""Statistics of columns clipped by their own quantiles: one scan, and what a second pass over clipped rows gives."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folds import only
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import Layout, drawn, source_of, worked_as

import gpupipe as gp
from gpupipe import col
from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import backend_for
from gpupipe.backends.features import FittedFeatures
from gpupipe.compiler import folding
from gpupipe.compiler.expand import flatten
from gpupipe.errors import DataError
from gpupipe.expr.expr import Expr
from gpupipe.kernels.reference.hashing import counter_uniform
from gpupipe.runtime.crew import threads
from gpupipe.runtime.fit import Declared, run_fit
from gpupipe.runtime.folds.dealing import Dealing, deal
from gpupipe.runtime.folds.rows import DEALT
from gpupipe.runtime.folds.scans import ScansByFold
from gpupipe.runtime.progress import Silent
from gpupipe.runtime.rows import Rows

x = col("x")
ENDS = ("sum", "mean", "var", "std")
CPU = backend_for("cpu")
LARGE = 150_000  # more rows than a trip takes one by one


def features(clipped: Expr, ends: tuple[str, ...] = ENDS) -> list[Expr]:
    return [getattr(clipped, end)().cast("Float64").alias(end) for end in ends]


def learned(clipped: Expr, table: pa.Table, ends: tuple[str, ...] = ENDS, partitions: int = 3) -> Any:
    """(each statistic, the report); or the kind of error."""
    pipeline = gp.Pipeline(features(clipped, ends))
    try:
        pipeline.fit(gp.scan(table, partitions=partitions))
    except DataError as error:
        return type(error), None
    found = pipeline.transform(table.slice(0, 1), output="arrow")
    return {end: repr(found[end][0].as_py()) for end in ends}, pipeline.report_


def by_passes(monkeypatch: pytest.MonkeyPatch, clipped: Expr, table: pa.Table, ends: tuple[str, ...] = ENDS) -> Any:
    """The same by a scan for each level: the rows are clipped, and then taken in."""
    with monkeypatch.context() as patch:
        patch.setattr(folding, "FOLDS", False)
        found, report = learned(clipped, table, ends)
    assert report is None or report.scans > 1
    return found


def by_numpy(values: Any, low: float | None, high: float | None) -> dict[str, str]:
    """The exact statistics of the clipped values, rounded once."""
    bounds: Any = [
        -np.inf if low is None else np.quantile(values, low),
        np.inf if high is None else np.quantile(values, high),
    ]
    rows = [Fraction(value) for value in np.clip(values, *bounds).tolist()]
    mean = sum(rows, Fraction()) / len(rows)
    var = sum(((row - mean) ** 2 for row in rows), Fraction()) / len(rows)
    with mpmath.workprec(400):
        std = float(mpmath.sqrt(mpmath.mpf(var.numerator) / var.denominator))
    return {"sum": repr(float(sum(rows))), "mean": repr(float(mean)), "var": repr(float(var)), "std": repr(std)}


@pytest.mark.parametrize("bounds", [(0.01, 0.99), (0.1, None), (None, 0.75), (0.5, 0.5), (0, 1), (0.3, 0.301)])
@pytest.mark.parametrize("partitions", [1, 5])
def test_exact_statistics_of_clipped_values(bounds, partitions):
    rng = np.random.default_rng(5)
    values, known = rng.standard_cauchy(3001), rng.random(3001) < 0.9
    low, high = (None if q is None else x.quantile(q) for q in bounds)
    table = pa.table({"x": pa.array(values, mask=~known)})
    found, report = learned(x.clip(low, high), table, partitions=partitions)
    assert (report.scans, report.source_reads, report.refinements) == (1, 1, 1)
    assert report.bytes_read == gp.scan(table, partitions=partitions).nbytes(["x"])
    assert found == by_numpy(values[known], *bounds)


# The value filled in is a bound of the clip, lies beyond one, between both, or where the two values of a quantile lie.
@pytest.mark.parametrize("bounds", [(0.5, 0.5), (0.45, 0.8), (0.2, 0.55), (0.01, 0.99), (0.6, None), (None, 0.6)])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
@pytest.mark.parametrize("partitions", [1, 4])
def test_exact_statistics_of_clipped_values_that_were_filled(bounds, share, partitions):
    rng = np.random.default_rng(7)
    values, known = rng.normal(size=901) ** 3, rng.random(901) >= share
    filled = x.fill_null("mean")
    low, high = (None if q is None else filled.quantile(q) for q in bounds)
    table = pa.table({"x": pa.array(values, mask=~known)})
    found, report = learned(filled.clip(low, high), table, partitions=partitions)
    assert (report.scans, report.source_reads) == (1, 1)
    mean = float(sum(map(Fraction, values[known].tolist()), Fraction()) / int(known.sum()))
    assert found == by_numpy(np.where(known, values, mean), *bounds)


def test_only_a_fill_amid_rows_takes_a_further_trip():
    values = np.random.default_rng(7).normal(size=3001)
    table = pa.table({"x": pa.array(values, mask=np.arange(3001) % 5 == 0)})
    trips = {}
    for fill in ("mean", "median"):
        filled = x.fill_null(fill)
        for q in (0.02, 0.5):
            trips[fill, q] = learned(filled.clip(filled.quantile(q)), table)[1].refinements
    assert trips == {("mean", 0.02): 1, ("mean", 0.5): 2, ("median", 0.02): 1, ("median", 0.5): 1}


def test_columns_that_wait_for_each_other_are_divided_one_after_the_other(monkeypatch):
    rng = np.random.default_rng(8)
    x, y = (pa.array(rng.normal(size=500), mask=rng.random(500) < 0.4) for _ in "xy")
    table = pa.table({"x": x, "y": y})
    one = col("x").fill_null("mean")
    one = one.clip(one.median(), one.quantile(0.9))
    two = col("y").fill_null(one.mean())
    two = two.clip(two.quantile(0.6))
    both = [getattr(v, end)().cast("Float64").alias(f"{n} {end}") for n, v in enumerate((one, two)) for end in ENDS]
    fitted = gp.Pipeline(both).fit(table)
    assert fitted.report_.scans == 1
    monkeypatch.setattr(folding, "FOLDS", False)
    assert gp.Pipeline(both).fit(table).transform(table).equals(fitted.transform(table))


RNG = np.random.default_rng(2)
COLUMNS = {
    "close together": 1 + RNG.integers(0, LARGE, LARGE) * 2.0**-52,
    "times": RNG.integers(1_700_000_000_000_000, 1_700_600_000_000_000, LARGE),
    "large integers": 2**60 + RNG.integers(0, 3000, LARGE),
    "few values": RNG.integers(-3, 4, LARGE),
    "most are equal": np.where(RNG.random(LARGE) < 0.8, 7.25, RNG.normal(7, 1, LARGE)),
    "tiny": RNG.normal(size=2000) * 5e-324 * 100,
    "infinite tails": np.where(RNG.random(2000) < 0.02, RNG.choice([-np.inf, np.inf], 2000), RNG.normal(size=2000)),
    "zeros": np.where(RNG.random(2000) < 0.5, -0.0, RNG.choice([0.0, 1.0], 2000)),
    "one": np.array([4.5]),
    "none": np.array([], np.float64),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_gives_what_two_passes_give(monkeypatch, name):
    table = pa.table({"x": COLUMNS[name]})
    clipped = x.clip(x.quantile(0.05), x.quantile(0.95))
    found, report = learned(clipped, table)
    assert report is None or report.scans == 1
    assert found == by_passes(monkeypatch, clipped, table)


FILLS = {
    "none": lambda v: v,
    "mean": lambda v: v.fill_null("mean"),
    "beyond": lambda v: v.fill_null(v.max() + 1),
    "quantile": lambda v: v.fill_null(v.quantile(0.2)),
    "two": lambda v: v.fill_null("max").fill_null(0),
    "infinite": lambda v: v.fill_null(v.count() + np.inf),
}
CLIPS = {
    "both": lambda v, a, b: v.clip(x.quantile(a), x.quantile(b)),
    "low": lambda v, a, b: v.clip(x.quantile(a)),
    "high": lambda v, a, b: v.clip(None, x.quantile(b)),
    "twice": lambda v, a, b: v.clip(x.median(), x.quantile(b)).clip(x.quantile(a)),
    "crossed": lambda v, a, b: v.clip(x.quantile(max(a, b)), x.quantile(min(a, b))),
    "filled": lambda v, a, b: v.clip(v.quantile(a), v.quantile(b)),
    "filled, low": lambda v, a, b: v.clip(v.quantile(a)),
    "filled, high": lambda v, a, b: v.clip(None, v.quantile(b)),
    "filled, crossed": lambda v, a, b: v.clip(v.quantile(max(a, b)), v.quantile(min(a, b))),
}
NUMBERS = st.floats(-1e3, 1e3) | st.sampled_from([0.0, -0.0, np.inf, -np.inf, 5e-324, 1e300]) | st.integers(-3, 3)
SHARES = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.none() | NUMBERS, min_size=1, max_size=30),
    fill=st.sampled_from(sorted(FILLS)),
    clip=st.sampled_from(sorted(CLIPS)),
    shares=st.tuples(SHARES, SHARES),
    end=st.sampled_from(ENDS),
)
def test_any_rows_give_what_two_passes_give(values, fill, clip, shares, end):
    table = pa.table({"x": pa.array([None if value is None else float(value) for value in values], pa.float64())})
    clipped = CLIPS[clip](FILLS[fill](x), *shares)
    found, report = learned(clipped, table, (end,))
    assert report is None or report.scans == 1
    with pytest.MonkeyPatch.context() as patch:
        assert found == by_passes(patch, clipped, table, (end,))


# -- layouts ----------------------------------------------------------------------------------------------------------
ROWS = 600
SPREAD = np.random.default_rng(1)
MIXED = pa.table(
    {
        "wide": SPREAD.normal(size=ROWS) * 2.0 ** SPREAD.integers(-400, 400, ROWS),
        "f32": pa.array(SPREAD.normal(size=ROWS).astype("f4"), mask=SPREAD.random(ROWS) < 0.1),
        "whole": SPREAD.integers(-(2**40), 2**40, ROWS),
        "small": pa.array(SPREAD.integers(-3, 4, ROWS).astype("i1"), mask=SPREAD.random(ROWS) < 0.1),
    }
)


def digest(layout: Layout, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder.mkdir(exist_ok=True)
    source = source_of(MIXED, layout, folder)
    clipped = [
        v.fill_null("mean").clip(v.quantile(0.05), v.quantile(0.9)).standardize() for v in map(col, MIXED.column_names)
    ]
    for v in map(col, MIXED.column_names):
        filled = v.fill_null("mean")
        clipped.append(filled.clip(filled.quantile(0.45), filled.quantile(0.9)).standardize().alias(f"{v} filled"))
    with worked_as(layout, monkeypatch):
        fitted = gp.Pipeline(clipped, memory=layout.memory).fit(source)
    assert fitted.report_.scans == 1
    return fitted.state_digest()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    layout = Layout(0, "memory", (), (ROWS,), 1, False, True, 1, 0.0, 0.0, "1GiB", False)
    with pytest.MonkeyPatch.context() as patch:
        return digest(layout, tmp_path_factory.mktemp("plain"), patch)


@pytest.mark.parametrize("seed", range(12))
def test_no_layout_shows(plain, seed, tmp_path, monkeypatch):
    assert digest(drawn(seed, ROWS), tmp_path, monkeypatch) == plain


@pytest.mark.slow
def test_500_layouts_do_not_show(plain, tmp_path, monkeypatch):
    for seed in range(100, 600):
        assert digest(drawn(seed, ROWS), tmp_path / str(seed), monkeypatch) == plain, seed


# -- folds ------------------------------------------------------------------------------------------------------------
FOLDS = 3


def by_folds(declared: Declared, source: gp.Source) -> tuple[list[str], int]:
    """(the digest of what each fold learns, how many trips over all rows that took)."""
    plan = declared.plan(source.schema)
    with Rows(source, plan.fit_columns) as rows, threads(2) as crew:
        folds = deal(Dealing(FOLDS), rows, None, "", crew, Silent())
        scans = ScansByFold(plan, rows, CPU, crew, Silent())
        fitted, _ = scans.learned(folds)
    each = [FittedFeatures(plan, one, CPU) for one in fitted]
    return [Fit(one, None, None, None, None, None, {}).digest() for one in each], scans.trips


@pytest.mark.parametrize("name", ["normal", "close together", "few values", "many nulls", "four rows"])
@pytest.mark.parametrize("fill", ["none", "mean"])
def test_each_fold_is_clipped_by_its_own_quantiles(name, fill):
    rng = np.random.default_rng(9)
    n = {"close together": 100_000, "four rows": 4}.get(name, 900)
    values = {
        "close together": lambda: 3 + rng.integers(0, n, n) * 2.0**-51,
        "few values": lambda: rng.integers(0, 4, n).astype(np.float64),
    }.get(name, lambda: rng.standard_cauchy(n))()
    table = pa.table({"x": pa.array(values, mask=rng.random(n) < (0.97 if name == "many nulls" else 0.1))})
    filled = FILLS[fill](x)
    clipped = filled.clip(filled.quantile(0.05), filled.quantile(0.5 if fill == "mean" else 0.9))
    declared = Declared(flatten([*features(clipped), clipped.standardize().alias("z")]), None, None, None, None)
    source = gp.scan(table, partitions=4)
    found, trips = by_folds(declared, source)
    fold = counter_uniform(0, DEALT, np.arange(n)) % np.uint64(FOLDS)
    assert trips == 1
    for number in range(FOLDS):
        alone = run_fit(declared, only(source, np.flatnonzero(fold != number)), None, CPU, Silent())
        assert found[number] == alone.fit.digest()


# -- rows that come later ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("keep", [True, "values"])
@pytest.mark.parametrize("low", [x.quantile(0.1), x.fill_null("mean").quantile(0.52)])
def test_an_update_is_a_fit_on_all(tmp_path, keep, low):
    rng = np.random.default_rng(4)
    table = pa.table({"x": pa.array(rng.normal(size=3000), mask=rng.random(3000) < 0.1)})
    for part in range(3):
        pq.write_table(table.slice(part * 1000, 1000), tmp_path / f"{part}.parquet")
    files = [str(tmp_path / f"{part}.parquet") for part in range(3)]
    pipeline = gp.Pipeline([x.fill_null("mean").clip(low).standardize()])
    whole = pipeline.fit(files).state_digest()
    updated = pipeline.fit(files[:2], keep_state=keep).update(files[2])
    assert updated.state_digest() == whole
