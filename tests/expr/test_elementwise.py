"""Every scalar operation against Polars or NumPy, with nulls, on both backends."""

import datetime as dt

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from engine import DEVICES, FRAME, Case, assert_alike, check, computed, planned, rowwise, value
from scipy import special

import gpupipe as gp
from gpupipe import coalesce, col, lit, when
from gpupipe.errors import CastError, IntegerOverflowError, TypeMismatchError
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.schema import Datetime

P = pl.col
x, y, f, i, j, a, b, w = (col(name) for name in "xyfijabw")


def _text_order(op):
    """Polars compares text by its bytes too."""
    return getattr(P("s"), op)(P("c"))


CASES = [
    Case("add", x + y, P("x") + P("y")),
    Case("add", i + j, P("i") + P("j"), note="integers"),
    Case("add", i + y, P("i") + P("y"), note="mixed"),
    Case("add", a + b, P("a").cast(int) + P("b").cast(int), note="booleans"),
    Case("add", col("t") + col("u"), P("t") + P("u"), note="times"),
    Case("add", col("u") + col("u"), P("u") + P("u"), note="durations"),
    Case("sub", x - y, P("x") - P("y")),
    Case("sub", i - j, P("i") - P("j"), note="integers"),
    Case("sub", col("t") - col("t2"), P("t") - P("t2"), note="times"),
    Case("sub", col("d") - col("d2"), P("d") - P("d2"), note="dates"),
    Case("sub", col("t") - col("d"), P("t") - P("d").cast(pl.Datetime("us")), note="time and date"),
    Case("mul", x * y, P("x") * P("y")),
    Case("mul", i * j, P("i") * P("j"), note="integers"),
    Case("mul", f * i, P("f") * P("i"), note="infinities"),
    Case("div", x / y, P("x") / P("y")),
    Case("div", i / j, P("i") / P("j"), note="integers by zero"),
    Case("div", col("u") / col("u"), rowwise(lambda u: u / u, "u"), note="durations"),
    Case("floordiv", x // y, rowwise(np.floor_divide, "x", "y")),
    Case("floordiv", f // y, rowwise(np.floor_divide, "f", "y"), note="infinities"),
    Case("floordiv", i // j, P("i") // P("j"), note="integers: null by zero"),
    Case("mod", x % y, rowwise(np.remainder, "x", "y")),
    Case("mod", i % j, P("i") % P("j"), note="integers: null by zero"),
    Case("mod", i % -4, rowwise(lambda i: i % -4, "i"), note="negative divisor"),
    Case("neg", -x, -P("x")),
    Case("neg", -i, -P("i"), note="integers"),
    Case("abs", abs(f), P("f").abs()),
    Case("abs", abs(i), P("i").abs(), note="integers"),
    Case("max_horizontal", x.max_horizontal(y), rowwise(np.maximum, "x", "y")),
    Case("max_horizontal", f.max_horizontal(y), rowwise(np.maximum, "f", "y"), note="NaN wins"),
    Case("max_horizontal", y.max_horizontal(f), rowwise(np.maximum, "y", "f"), note="NaN wins from the right"),
    Case("max_horizontal", i.max_horizontal(j), rowwise(np.maximum, "i", "j"), note="integers"),
    Case("min_horizontal", f.min_horizontal(y), rowwise(np.minimum, "f", "y")),
    Case("min_horizontal", i.min_horizontal(j), rowwise(np.minimum, "i", "j"), note="integers"),
    Case("sign", f.sign(), P("f").sign()),
    Case("sign", i.sign(), P("i").sign(), note="integers"),
    *(
        Case(op, getattr(x, f"__{op}__")(y), rowwise(getattr(np, name), "x", "y"))
        for op, name in (
            ("eq", "equal"), ("ne", "not_equal"), ("lt", "less"),
            ("le", "less_equal"), ("gt", "greater"), ("ge", "greater_equal"),
        )
    ),
    *(
        Case(op, getattr(f, f"__{op}__")(i), rowwise(getattr(np, name), "f", "i"), note="NaN as in IEEE 754")
        for op, name in (("eq", "equal"), ("ne", "not_equal"), ("lt", "less"), ("ge", "greater_equal"))
    ),
    *(Case(op, getattr(i, f"__{op}__")(j), getattr(P("i"), op)(P("j")), note="integers")
      for op in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(Case(op, getattr(col("s"), f"__{op}__")(col("c")), _text_order(op), note="text")
      for op in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(Case(op, getattr(col("s"), f"__{op}__")("a"), getattr(P("s"), op)(pl.lit("a")), note="text and a constant")
      for op in ("eq", "lt", "ge")),
    *(Case(op, getattr(lit("a"), f"__{op}__")(col("s")), getattr(pl.lit("a"), op)(P("s")), note="a constant and text")
      for op in ("ne", "lt", "ge")),
    Case("eq", col("d") == col("d2"), P("d") == P("d2"), note="dates"),
    Case("lt", col("t") < col("d"), P("t") < P("d").cast(pl.Datetime("us")), note="time and date"),
    Case("eq", a == b, P("a") == P("b"), note="booleans"),
    Case("and", a & b, P("a") & P("b")),
    Case("and", a & (i > 0), P("a") & (P("i") > 0), note="computed"),
    Case("or", a | b, P("a") | P("b")),
    Case("or", a | lit(None), P("a") | pl.lit(None, pl.Boolean), note="null constant"),
    Case("xor", a ^ b, P("a") ^ P("b")),
    Case("not", ~a, ~P("a")),
    Case("select", when(a).then(x).otherwise(y), pl.when(P("a")).then(P("x")).otherwise(P("y"))),
    Case("select", when(a).then(i).otherwise(0.5), pl.when(P("a")).then(P("i")).otherwise(0.5), note="widening"),
    Case("select", when(a).then(x), pl.when(P("a")).then(P("x")), note="no otherwise"),
    Case("select", when(a).then(1).when(b).then(2).otherwise(3),
         pl.when(P("a")).then(1).when(P("b")).then(2).otherwise(3), note="chained"),
    Case("select", when(a).then(col("s")).otherwise(col("c")),
         pl.when(P("a")).then(P("s")).otherwise(P("c")), note="text"),
    Case("select", when(a).then("yes").otherwise(lit(None)),
         pl.when(P("a")).then(pl.lit("yes")).otherwise(None), note="text and null"),
    Case("select", when(lit(None)).then(x).otherwise(y), P("y"), note="null constant"),
    Case("select", x.where(a, y), pl.when(P("a")).then(P("x")).otherwise(P("y")), note="where"),
    Case("coalesce", coalesce(x, "y", 7), pl.coalesce("x", "y", 7)),
    Case("coalesce", x.coalesce(y), pl.coalesce("x", "y"), note="all null stays null"),
    Case("coalesce", coalesce("s", "c"), pl.coalesce("s", "c"), note="text"),
    Case("coalesce", coalesce("s", lit("none")), pl.coalesce("s", pl.lit("none")), note="text constant"),
    Case("coalesce", coalesce(lit(None), "a"), P("a"), note="null first"),
    Case("is_null", x.is_null(), P("x").is_null()),
    Case("is_null", (x + y).is_null(), (P("x") + P("y")).is_null(), note="computed"),
    Case("is_null", col("s").is_null(), P("s").is_null(), note="text"),
    Case("is_null", f.is_null(), P("f").is_null(), note="NaN is not null"),
    Case("is_not_null", x.is_not_null(), P("x").is_not_null()),
    Case("is_not_null", col("t").is_not_null(), P("t").is_not_null(), note="times"),
    Case("null_if", f.nan_to_null(), P("f").fill_nan(None)),
    Case("is_nan", f.is_nan(), P("f").is_nan()),
    Case("is_finite", f.is_finite(), P("f").is_finite()),
    Case("log", w.log(), P("w").log(), ulps=1),
    Case("log", f.log(), P("f").log(), ulps=1, note="odd values"),
    Case("log1p", w.log1p(), rowwise(np.log1p, "w"), ulps=2),
    Case("log1p", f.log1p(), rowwise(np.log1p, "f"), ulps=2, note="odd values"),
    Case("exp", x.exp(), P("x").exp(), ulps=1),
    Case("exp", f.exp(), P("f").exp(), ulps=1, note="odd values"),
    Case("expm1", x.expm1(), rowwise(np.expm1, "x"), ulps=2),
    Case("sqrt", f.sqrt(), P("f").sqrt()),
    Case("sin", x.sin(), P("x").sin(), ulps=4),
    Case("cos", x.cos(), P("x").cos(), ulps=4),
    Case("tanh", x.tanh(), P("x").tanh(), ulps=4),
    Case("sigmoid", x.sigmoid(), rowwise(special.expit, "x"), ulps=4),
    Case("sigmoid", f.sigmoid(), rowwise(special.expit, "f"), ulps=4, note="odd values"),
    Case("arcsin", x.sin().arcsin(), P("x").sin().arcsin(), ulps=64),
    Case("arctan", f.arctan(), P("f").arctan(), ulps=4),
    Case("power", w**2.5, rowwise(lambda w: w**2.5, "w"), ulps=4),
    Case("power", w**y, rowwise(np.power, "w", "y"), ulps=4, note="of two columns"),
    Case("power", 2**i, rowwise(lambda i: 2.0**i, "i"), ulps=1, note="of a constant"),
    Case("power", i**3, P("i") ** 3, note="whole"),
    Case("floor", f.floor(), P("f").floor()),
    Case("ceil", x.ceil(), P("x").ceil()),
    Case("trunc", x.trunc(), rowwise(np.trunc, "x")),
    Case("rint", x.round(), rowwise(np.rint, "x")),
    Case("year", col("d").dt.year(), P("d").dt.year()),
    Case("month", col("d").dt.month(), P("d").dt.month()),
    Case("day", col("d").dt.day(), P("d").dt.day()),
    Case("view", a.cast("Int64") + col("d").cast("Int64"), P("a").cast(int) + P("d").cast(pl.Int32)),
    Case("view", i.cast("Date"), P("i").cast(pl.Int32).cast(pl.Date), note="to a date"),
    Case("to_float", i.cast("Float64"), P("i").cast(float)),
    Case("to_integer", x.cast("Int64"), P("x").cast(int)),
    Case("to_integer", f.cast("Int64", strict=False), P("f").cast(int, strict=False), note="null where none"),
    Case("narrow", (i * 40).cast("Int8", strict=False), (P("i") * 40).cast(pl.Int8, strict=False)),
    Case("narrow", (x * 50).cast("UInt8", strict=False), (P("x") * 50).cast(pl.UInt8, strict=False), note="of floats"),
    Case("to_float32", y.cast("Float32").cast("Float64"), P("y").cast(pl.Float32).cast(float)),
]  # fmt: skip


def test_every_row_has_a_case():
    assert {case.name for case in CASES} == set(ELEMENTWISE)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, device):
    check(case, device)


def test_both_backends_give_the_same_bits():
    features = [case.ours.alias(f"{at}") for at, case in enumerate(CASES)]
    slow, fast = (computed(features, device) for device in DEVICES)
    assert slow.keys() == fast.keys()
    for name in slow:
        assert repr(slow[name]) == repr(fast[name]), str(CASES[int(name)])


@pytest.mark.parametrize("device", DEVICES)
def test_all_rows_null_and_no_row_at_all(device):
    schema = {"x": pa.float64(), "a": pa.bool_(), "s": pa.string()}
    features = [(x + 1).alias("sum"), (a & True).alias("and"), col("s").str.len_chars().alias("len"),
                coalesce("s", lit("?")).alias("text")]  # fmt: skip
    nothing = pa.table({name: pa.array([], kind) for name, kind in schema.items()})
    one = pa.table({"x": [1.0], "a": [True], "s": ["b"]})
    assert computed(features, device, nothing, fit_on=one) == {"sum": [], "and": [], "len": [], "text": []}
    nulls = pa.table({name: pa.nulls(2, kind) for name, kind in schema.items()})
    expected = {"sum": [None] * 2, "and": [None] * 2, "len": [None] * 2, "text": ["?"] * 2}
    assert computed(features, device, nulls) == expected


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("expression", "row"),
    [(i + 1, 2), (i * 2, 2), (-(i + 1) * 3, 2), (1 - i, None), (i - -1, 2), (abs(-i), None)],
    ids=str,
)
def test_integers_beyond_int64_are_an_error_that_names_the_row(expression, row, device):
    data = {"i": pa.array([1, None, 2**63 - 1])}
    if row is None:
        value(expression, device, data)
        return
    with pytest.raises(IntegerOverflowError, match=rf"Row {row}, column 'i': .*the result leaves int64.*Float64"):
        value(expression, device, data)


@pytest.mark.parametrize("device", DEVICES)
def test_what_stands_under_a_null_raises_nothing(device):
    data = {"i": pa.array([2**62, None]), "j": pa.array([None, 2**62])}
    assert value(i * j, device, data) == [None, None]
    assert value((col("j") * 1).cast("Int8", strict=True), device, {"j": pa.array([5, None])}) == [5, None]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("data", "dtype"), [([1.0, np.nan], "Int64"), ([1.0, 1e19], "Int64"), ([1.0, 300.0], "Int8"),
                                             ([1, -1], "UInt32"), ([1, 200], "Int8")])  # fmt: skip
def test_a_strict_cast_refuses_what_does_not_fit(data, dtype, device):
    with pytest.raises(CastError, match=r"Row 1, column .v.: .*does not fit the type of the cast.*strict=False"):
        value(col("v").cast(dtype), device, {"v": pa.array(data)})


@pytest.mark.parametrize("device", DEVICES)
def test_round_to_decimals(device):
    for decimals in (-1, 1, 2):
        got = value((y * 30).round(decimals), device)
        assert_alike(got, rowwise(lambda v, d=decimals: np.round(v * 30, d), "y")(FRAME), ulps=2)




@pytest.mark.parametrize("device", DEVICES)
def test_the_one_rounding_on_leaving(device):
    """A chain computes in float64: float32 only at the end."""
    data = {"x": pa.array([16777217.0, 0.1, None])}
    got = computed([((x + 1) - 1).alias("out")], device, data)["out"]
    assert got == [float(np.float32(16777217.0)), float(np.float32(0.1 + 1 - 1)), None]
    assert gp.Pipeline([x], device=device).fit(data).transform(data, output="arrow").column("x").type == pa.float32()


ROME, TOKYO = (pa.timestamp("us", zone) for zone in ("Europe/Rome", "Asia/Tokyo"))
INSTANTS = [dt.datetime(2021, 3, 28, hour, 30, tzinfo=dt.UTC) for hour in (0, 1, 2)]
ZONED = {"r": pa.array([*INSTANTS, None], ROME), "k": pa.array([*reversed(INSTANTS), None], TOKYO)}


@pytest.mark.parametrize("device", DEVICES)
def test_instants_compare_in_any_time_zone(device):
    """A literal or a column of another zone: the same instants; what comes out keeps the column's zone."""
    r, k, middle = col("r"), col("k"), INSTANTS[1]
    abroad = middle.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    for one in (middle, abroad):
        assert value(r >= one, device, ZONED) == [False, True, True, None]
        assert value(gp.lit(one) == k, device, ZONED) == [False, True, False, None]
    assert value(r < k, device, ZONED) == [True, False, False, None]
    hours = [(a - b) / dt.timedelta(hours=1) for a, b in zip(INSTANTS, reversed(INSTANTS), strict=True)]
    assert value((r - k).dt.total_hours(), device, ZONED) == [*hours, None]
    assert value((r - abroad).dt.total_hours(), device, ZONED) == [-1, 0, 1, None]
    for kept in (r.fill_null(middle), gp.when(r.is_null()).then(middle).otherwise(r), r.coalesce("k", middle)):
        assert planned([kept], ZONED).features[0].dtype == Datetime("Europe/Rome")
        assert value(kept, device, ZONED) == [*INSTANTS, middle]
        assert value(kept.dt.hour(), device, ZONED) == [1, 3, 4, 3]
    later = r + (k - k) + dt.timedelta(hours=1)
    assert planned([later], ZONED).features[0].dtype == Datetime("Europe/Rome")
    assert value(r.cast("Datetime(Asia/Tokyo)").dt.hour(), device, ZONED) == [9, 10, 11, None]
    assert gp.scan(ZONED).filter(r >= abroad).count() == 2


@pytest.mark.parametrize("other", [dt.datetime(2021, 1, 1), dt.date(2021, 1, 1)])
def test_an_instant_is_no_local_time(other):
    with pytest.raises(TypeMismatchError, match=r"^>= takes values of one type, not Datetime"):
        planned([col("r") >= other], ZONED)
    with pytest.raises(TypeMismatchError, match=r"^- takes"):
        planned([col("r") - other], ZONED)


MARKED = [(row, at) for row in ELEMENTWISE.values() for at in range(len(row.monotone)) if row.direction(at)]


def neighbouring(seed):
    """Runs of 40 neighbouring floats, ascending: anywhere, at powers of 2 and half ones, at multiples of log(2) / 2."""
    rng = np.random.default_rng(seed)
    powers = 2.0 ** rng.integers(-1020, 1020, 300)
    starts = np.concatenate([
        rng.normal(0, 3, 300), rng.integers(-(2**62), 2**62, 300).view(np.float64), np.exp(rng.normal(0, 20, 300)),
        powers, np.sqrt(0.5) * powers, powers - 1, np.sqrt(0.5) * 2.0 ** rng.integers(-60, 60, 300) - 1,
        rng.integers(-1400, 1400, 300) * np.log(2) / 2, rng.integers(-9, 9, 300) / 2, [0.0],
    ])  # fmt: skip
    starts = starts[np.isfinite(starts)] * rng.choice([-1, 1], np.isfinite(starts).sum())
    runs = starts.view(np.int64)[:, None] + np.arange(-20, 20)
    found = np.sort(runs.view(np.float64), axis=1)
    return found[np.isfinite(found).all(axis=1)]


@pytest.mark.parametrize(("row", "at"), MARKED, ids=lambda value: getattr(value, "name", value))
def test_what_is_marked_monotone_is_so_to_the_last_bit(row, at):
    """What lets a step be taken with the least, the greatest or the middle value instead of with all rows."""
    rng = np.random.default_rng(at)
    for seed in range(4):
        runs = neighbouring(seed)
        for other in [rng.normal(0, 3), -rng.exponential(), np.exp(rng.normal(0, 30)), -1.0, 2.0**-1060]:
            operands = [runs] if len(row.monotone) == 1 else [runs, np.float64(other)] if at == 0 else [other, runs]
            with np.errstate(all="ignore"):
                form = row.numpy or (lambda value: value.astype(np.float64))
                found = form(*operands)
                steps = np.diff(getattr(found, "values", found).astype(np.float64), axis=1)
            falls = row.direction(at) == "-" or (row.direction(at) == "*" and other < 0)
            assert not (steps > 0 if falls else steps < 0).any()
