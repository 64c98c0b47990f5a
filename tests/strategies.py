"""Shared hypothesis strategies: tables with every awkward value there is, and random features over their columns.

A table is drawn by its size, seed and oddities, so that a failing one is told in a line: its `.table` makes it again.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import Expr, col

FLOATS = ("f", "g", "p", "k", "v")
INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
NUMBERS = (*FLOATS, *INTEGERS)
WILD = ("wild", "wild32")
TEXTS = ("s", "d", "words")
MOMENTS = ("day", "t", "tz")
KEYS = ("s", "d", "b", "i8", "day", "k", "v", "wild", "g", "tz", "u64")
TARGETS = ("yes", "label", "amount", "rank")

# Sizes of which no usual fraction is whole, so that quantiles interpolate.
SIZES = (1, 2, 3, 7, 11, 18, 23, 38, 54, 83, 142, 347)
_WORDS = np.array(
    ["", "a", "Rome", "rome", "Ålesund", "naïve café", "a b a", "x\ty", "日本 語", "null", "true", "07", "z" * 40]
)
_TEXT = np.array(["the quick brown fox", "Quick  fox!", "", "un été à l'île", "a aa aaa", "fox fox fox", "12 to 34"])


@dataclass(frozen=True)
class Drawn:
    """What a random table is made of."""

    n: int
    seed: int
    nulls: float = 0.2
    edges: bool = False
    chunked: bool = False

    @property
    def table(self) -> pa.Table:
        """The table itself, the same each time."""
        return make_table(self.n, self.seed, self.nulls, self.edges, self.chunked)


def drawn_tables(sizes=SIZES) -> st.SearchStrategy[Drawn]:
    """Random tables; every eighth or so with values at the edges of their types."""
    return st.builds(
        Drawn,
        n=st.sampled_from(sizes),
        seed=st.integers(0, 2**31),
        nulls=st.sampled_from([0.0, 0.05, 0.2, 0.7]),
        edges=st.integers(0, 7).map(lambda number: number == 7),
        chunked=st.booleans(),
    )


def make_table(n: int, seed: int, nulls: float = 0.2, edges: bool = False, chunked: bool = False) -> pa.Table:
    """A table of `n` rows with every type, nulls in about the given share of rows of most columns."""
    rng = np.random.default_rng(seed)
    arrays = {**_floats(rng, n, nulls), **_integers(rng, n, nulls, edges), **_others(rng, n, nulls, edges)}
    arrays.update(_targets(rng, n))
    table = pa.table(arrays)
    if not chunked or n < 2:
        return table
    cut = int(rng.integers(1, n))
    return pa.concat_tables([table.slice(0, cut), table.slice(cut)])


def _array(rng, values, nulls, kind=None) -> pa.Array:
    mask = rng.random(len(values)) < nulls
    return pa.array(values, type=kind, mask=mask if mask.any() else None)


def _floats(rng, n: int, nulls: float) -> dict[str, pa.Array]:
    usual = np.where(rng.random(n) < 0.3, rng.choice([0.0, -0.0, 0.1, 2.5, -7.0], n), rng.normal(3, 40, n))
    odd = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e300, -1e-310, 0.5, 3e38], n)
    wild = np.where(rng.random(n) < 0.5, rng.normal(0, 3, n), odd)
    one = np.zeros(n)
    at = int(rng.integers(0, n))
    one[at] = rng.normal()
    with np.errstate(over="ignore"):
        wild32 = wild.astype(np.float32)
    return {
        "f": _array(rng, usual, nulls),
        "g": _array(rng, np.round(rng.normal(0, 2, n), 1).astype(np.float32), nulls),
        "p": _array(rng, np.exp(rng.normal(0, 3, n)), nulls),
        "k": _array(rng, np.full(n, 0.1), nulls if n > 1 else 0),
        "v": pa.array(one, mask=np.arange(n) != at),
        "wild": _array(rng, wild, nulls),
        "wild32": _array(rng, wild32, nulls),
    }


def _integers(rng, n: int, nulls: float, edges: bool) -> dict[str, pa.Array]:
    columns = {}
    for name in INTEGERS:
        dtype = np.dtype(("int" if name[0] == "i" else "uint") + name[1:])
        bounds = np.iinfo(dtype)
        values = rng.integers(max(bounds.min, -30), 30 if name.endswith("8") else 120, n).astype(dtype)
        if edges:
            extremes = np.array([bounds.min, bounds.max], dtype)
            values = np.where(rng.random(n) < 0.1, rng.choice(extremes, n), values)
        columns[name] = _array(rng, values, nulls)
    return columns


def _others(rng, n: int, nulls: float, edges: bool) -> dict[str, pa.Array]:
    words = _array(rng, rng.choice(_WORDS, n).astype(object), nulls, pa.string())
    entries = pa.array([*_WORDS.tolist(), "never used"])
    indices = _array(rng, rng.integers(0, 6, n).astype(np.int32), nulls)
    span = 200_000 if edges else 30_000
    ticks = rng.integers(-(10**15), 2 * 10**15, n)
    return {
        "b": _array(rng, rng.random(n) < 0.4, nulls),
        "s": words,
        "d": pa.DictionaryArray.from_arrays(indices, entries),
        "words": _array(rng, rng.choice(_TEXT, n).astype(object), nulls, pa.string()),
        "day": _array(rng, rng.integers(-span, span, n).astype(np.int32), nulls).cast(pa.date32()),
        "t": _array(rng, ticks, nulls).cast(pa.timestamp("us")),
        "tz": _array(rng, ticks // 3_600_000_000 * 3_600_000_000, nulls).cast(pa.timestamp("us", "Europe/Paris")),
        "gap": _array(rng, rng.integers(-(10**12), 10**12, n), nulls).cast(pa.duration("us")),
        "none": pa.nulls(n),
    }


def _targets(rng, n: int) -> dict[str, pa.Array]:
    return {
        "yes": pa.array(rng.random(n) < 0.4),
        "label": pa.array(rng.choice(["no", "maybe", "yes"], n).tolist()),
        "amount": pa.array(rng.normal(10, 5, n)),
        "rank": pa.array(rng.integers(0, 4, n)),
        "weight": pa.array(rng.random(n) + 0.5),
    }


# -- expressions ----------------------------------------------------------------------------------------------
def finite(x: Expr) -> Expr:
    """`x` as moments can take it: neither NaN nor infinite."""
    return x.cast("Float64").nan_to_null().clip(-1e9, 1e9)


_FUNCTIONS = ("log", "log1p", "exp", "expm1", "sqrt", "sin", "cos", "tanh", "sigmoid", "arcsin", "arctan", "floor",
              "ceil", "trunc", "abs", "sign", "nonzero")  # fmt: skip
_ARITHMETIC = ("__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__")
_COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_PARTS = ("year", "month", "day", "weekday", "quarter", "ordinal_day", "week", "timestamp")
_LITERALS = (0, 1, -1, 3, 0.5, -0.0, 2.0, 1e-3, 100)


def leaf_numbers(names=(*NUMBERS, *WILD)) -> st.SearchStrategy[Expr]:
    """A numeric column, or now and then a constant."""
    return st.one_of(
        st.sampled_from(names).map(col), st.sampled_from(names).map(col), st.sampled_from(_LITERALS).map(gp.lit)
    )


@st.composite
def numbers(draw, depth: int = 2) -> Expr:
    """A random expression that gives numbers."""
    if depth == 0:
        return draw(leaf_numbers())
    return draw(draw(st.sampled_from(_NUMBER_FORMS))(depth - 1))


@st.composite
def _arithmetic(draw, depth: int) -> Expr:
    left, right = draw(numbers(depth)), draw(numbers(depth))
    return getattr(left, draw(st.sampled_from(_ARITHMETIC)))(right)


@st.composite
def _function(draw, depth: int) -> Expr:
    return getattr(draw(numbers(depth)), draw(st.sampled_from(_FUNCTIONS)))()


@st.composite
def _with_arguments(draw, depth: int) -> Expr:
    x = draw(numbers(depth))
    return draw(
        st.sampled_from(
            [
                lambda: x.clip(-2, 3.5),
                lambda: x.clip(lower_bound=0),
                lambda: x.round(1),
                lambda: x**2,
                lambda: x**0.5,
                lambda: x.fill_null(0),
                lambda: -x,
                lambda: x.nan_to_null(),
                lambda: x.bucketize([-1.0, 0.0, 2.5]),
                lambda: x.max_horizontal(1.5),
                lambda: x.min_horizontal(col("f")),
                lambda: x.cast("Int64", strict=False),
                lambda: x.cast("Int8", strict=False),
                lambda: x.cast("Float32"),
                lambda: x.cast("Boolean").cast("Int32"),
                lambda: x.where(col("b"), 1),
                lambda: x.map(lambda v: np.where(v > 1, np.sqrt(v), v * 2)),
            ]
        )
    )()


@st.composite
def _choice(draw, depth: int) -> Expr:
    return gp.when(draw(booleans(depth))).then(draw(numbers(depth))).otherwise(draw(numbers(depth)))


@st.composite
def _coalesced(draw, depth: int) -> Expr:
    return gp.coalesce(draw(numbers(depth)), draw(numbers(depth)))


@st.composite
def _date_part(draw, depth: int) -> Expr:
    moment = draw(moments())
    return getattr(moment.dt, draw(st.sampled_from(_PARTS)))()


@st.composite
def _time_part(draw, depth: int) -> Expr:
    if draw(st.booleans()):
        return getattr(
            col(draw(st.sampled_from(["t", "tz"]))).dt, draw(st.sampled_from(["hour", "minute", "second"]))
        )()
    return draw(
        st.sampled_from(
            [
                col("t").dt.elapsed("day"),
                col("tz").dt.elapsed("tz", unit="hours"),
                col("gap").dt.total_seconds(),
                col("gap").dt.total_hours() / 3,
                (col("t") - col("day")).dt.total_days(),
                (col("t") + col("gap")).dt.month(),
            ]
        )
    )


@st.composite
def _of_text(draw, depth: int) -> Expr:
    x = draw(texts())
    return draw(st.sampled_from([lambda: x.str.len_chars(), lambda: x.str.len_bytes(), lambda: x.codes()]))()


@st.composite
def _category(draw, depth: int) -> Expr:
    x = col(draw(st.sampled_from([key for key in KEYS if key != "tz"])))
    return draw(
        st.sampled_from(
            [
                lambda: x.codes(),
                lambda: x.codes(min_count=2, other_buckets=3),
                lambda: x.codes(max_size=2),
                lambda: x.frequency(),
                lambda: x.hash_buckets(7),
                lambda: x.cross("s", "i8", 13),
                lambda: x.target_mean(smoothing=2.0),
                lambda: x.fill_null("mode").codes(),
                lambda: x.missing_flag(),
            ]
        )
    )()


@st.composite
def _scaled(draw, depth: int) -> Expr:
    x = finite(draw(numbers(depth))) if draw(st.booleans()) else col(draw(st.sampled_from(NUMBERS)))
    return draw(
        st.sampled_from(
            [
                lambda: x.standardize(),
                lambda: x.min_max(),
                lambda: x.robust(),
                lambda: x.max_abs(),
                lambda: x.qcut(3),
                lambda: x.fill_null("mean"),
                lambda: x.fill_null("median"),
                lambda: x.fill_null("mode"),
                lambda: x.fill_null(strategy="min"),
            ]
        )
    )()


@st.composite
def reductions(draw, depth: int) -> Expr:
    """A reduction, of the whole column or over keys."""
    x = finite(draw(numbers(depth))) if draw(st.booleans()) else col(draw(st.sampled_from(NUMBERS)))
    reduced = draw(
        st.sampled_from(
            [
                lambda: x.mean(),
                lambda: x.std(),
                lambda: x.var(ddof=1),
                lambda: x.min(),
                lambda: x.max(),
                lambda: x.median(),
                lambda: x.quantile(0.3),
                lambda: x.sum(),
                lambda: x.count(),
                lambda: x.null_count(),
                lambda: x.n_unique(),
                lambda: x.mode(),
            ]
        )
    )()
    keys = draw(st.lists(st.sampled_from(KEYS), max_size=2, unique=True))
    return reduced.over(*keys) if keys else reduced


_NUMBER_FORMS = (_arithmetic, _arithmetic, _function, _with_arguments, _choice, _coalesced, _date_part, _time_part,
                 _of_text, _category, _category, _scaled, _scaled, reductions, reductions)  # fmt: skip


@st.composite
def booleans(draw, depth: int = 1) -> Expr:
    """A random condition."""
    kind = draw(st.integers(0, 6 if depth else 2))
    if kind == 0:
        return col("b")
    if kind == 1:
        return getattr(col(draw(st.sampled_from(NUMBERS))), draw(st.sampled_from(_COMPARISONS)))(draw(leaf_numbers()))
    if kind == 2:
        x = col(draw(st.sampled_from([*NUMBERS, *WILD, *TEXTS, *MOMENTS, "b", "none"])))
        return x.is_null() if draw(st.booleans()) else x.is_not_null()
    if kind == 3:
        left, right = draw(booleans(depth - 1)), draw(booleans(depth - 1))
        return draw(
            st.sampled_from([lambda: left & right, lambda: left | right, lambda: left ^ right, lambda: ~left])
        )()
    if kind == 4:
        return getattr(draw(numbers(depth - 1)), draw(st.sampled_from(_COMPARISONS)))(draw(numbers(depth - 1)))
    if kind == 5:
        return draw(_text_conditions())
    return draw(numbers(depth - 1)).is_finite()


@st.composite
def _text_conditions(draw) -> Expr:
    x = draw(texts())
    return draw(
        st.sampled_from(
            [
                lambda: x.str.contains("a"),
                lambda: x.str.contains(".", literal=True),
                lambda: x.str.starts_with("R"),
                lambda: x.str.ends_with("e"),
                lambda: x == "Rome",
                lambda: x < "b",
                lambda: x != col("d"),
                lambda: x.is_in(["a", "Rome", "absent"]),
                lambda: x >= x.mode(),
            ]
        )
    )()


@st.composite
def texts(draw) -> Expr:
    """A random expression that gives text."""
    x = col(draw(st.sampled_from(TEXTS)))
    return draw(
        st.sampled_from(
            [
                lambda: x,
                lambda: x.str.to_lowercase(),
                lambda: x.str.to_uppercase(),
                lambda: x.str.strip_chars(),
                lambda: x.str.slice(0, 2),
                lambda: x.str.slice(-3),
                lambda: x.fill_null("none"),
                lambda: x.fill_null("mode"),
                lambda: gp.coalesce(x, "d"),
                lambda: gp.when(col("b")).then(x).otherwise("other"),
                lambda: gp.when(col("i8") > 3).then(x).otherwise(col("s")),
            ]
        )
    )()


@st.composite
def moments(draw) -> Expr:
    """A date or a timestamp."""
    x = col(draw(st.sampled_from(MOMENTS)))
    return draw(st.sampled_from([lambda: x, lambda: x, lambda: x.fill_null(x.max()), lambda: x.cast("Date")]))()


@st.composite
def wide(draw) -> Expr:
    """A feature of several columns."""
    x, text = col(draw(st.sampled_from(["s", "d", "b", "i8", "day"]))), draw(texts())
    return draw(
        st.sampled_from(
            [
                lambda: x.one_hot(),
                lambda: x.one_hot(min_count=2, null=True),
                lambda: text.one_hot(max_size=3),
                lambda: text.str.word_ngrams(5),
                lambda: text.str.word_ngrams(4, n=(1, 2), lowercase=False),
                lambda: text.str.word_ngrams(3).log1p().standardize(),
                lambda: x.one_hot() * col("f"),
                lambda: x.one_hot().cast("Float64").standardize(),
                lambda: x.target_mean(smoothing=1.0),
                lambda: x.target_mean(folds=3).standardize(),
                lambda: gp.target().mean().over(draw(st.sampled_from(KEYS))) - 1,
            ]
        )
    )()


def features(depth: int = 2) -> st.SearchStrategy[Expr]:
    """One random feature of any kind."""
    return st.one_of(numbers(depth), numbers(depth), numbers(depth), booleans(depth), texts(), moments(), wide())


@st.composite
def feature_lists(draw, most: int = 4, depth: int = 2, kinds=features) -> list[Expr]:
    """Some features under names of their own."""
    drawn = draw(st.lists(kinds(depth), min_size=1, max_size=most))
    return [feature.alias(f"x{at}") for at, feature in enumerate(drawn)]


def matrix_features(depth: int = 2) -> st.SearchStrategy[Expr]:
    """One random feature a matrix can hold."""
    return st.one_of(numbers(depth), numbers(depth), booleans(depth), wide())
