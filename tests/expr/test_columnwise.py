"""Every whole-column operation against Polars, Python or the XXH64 of its definition, with nulls, on both backends."""

import datetime as dt
import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from engine import DEVICES, FRAME, TABLE, Case, assert_alike, check, computed, each, value
from sklearn.feature_extraction.text import CountVectorizer
from xxh64 import xxh64

from gpupipe import col, lit
from gpupipe.errors import CastError, DataError
from gpupipe.expr.columnwise import COLUMNWISE

P = pl.col
NULL = 0x6E756C6C6E756C6C


def vocabulary(name, frame=FRAME, min_count=1):
    """Values by count descending, ties by value; text by its bytes."""
    counts = Counter(frame[name].drop_nulls().to_list())
    chosen = [value for value, count in counts.items() if count >= min_count]
    return sorted(chosen, key=lambda v: (-counts[v], v.encode() if isinstance(v, str) else v))


def codes_of(name, buckets=1, min_count=1):
    def oracle(frame):
        place = {value: at + 1 + buckets for at, value in enumerate(vocabulary(name, frame, min_count))}

        def code(value):
            if value is None:
                return 0
            return place[value] if value in place else 1 + xxh64(value.encode()) % buckets

        return [code(value) for value in frame[name].to_list()]

    return oracle


def integer_bytes(value):
    return int(value).to_bytes(8, "little", signed=True)


def hashed(to_bytes, buckets, seed=0):
    def bucket(value):
        return (NULL if value is None else xxh64(to_bytes(value), seed)) % buckets

    return lambda frame, name: [bucket(value) for value in frame[name].to_list()]


def crossed(frame):
    def parts(row):
        yield NULL if row["c"] is None else xxh64(row["c"].encode(), 3)
        yield NULL if row["i"] is None else xxh64(integer_bytes(row["i"]), 3)

    return [xxh64(b"".join(h.to_bytes(8, "little") for h in parts(row))) % 64 for row in frame.iter_rows(named=True)]


CASES = [
    Case("codes", col("c").codes(), codes_of("c")),
    Case("codes", col("c").codes(min_count=20, other_buckets=3), codes_of("c", 3, 20), note="rare ones in buckets"),
    Case("codes", col("i").codes(), codes_of("i"), note="integers"),
    Case("codes", col("b").codes(), codes_of("b"), note="booleans"),
    Case("codes", col("d").codes(), codes_of("d"), note="dates"),
    Case("lookup", col("x").mean().over("c"), P("x").mean().over("c"), ulps=8),
    Case("lookup", col("x").max().over("c", "i"), P("x").max().over("c", "i"), note="two keys"),
    Case("lookup", col("i").mode().over("a"), lambda f: f.select(P("i").drop_nulls().mode().min().over("a"))["i"],
         note="a null key is a group"),
    Case("is_in", col("i").is_in([1, 2, -3]), P("i").is_in([1, 2, -3])),
    Case("is_in", col("i").is_in([1, 2.5]), P("i").is_in([1]), note="integers among floats"),
    Case("is_in", col("f").is_in([0, 1.5]), P("f").is_in([0.0, 1.5]), note="signed zeros"),
    Case("is_in", col("x").is_in([0, 1, 2]), P("x").is_in([0.0, 1.0, 2.0]), note="floats among integers"),
    Case("is_in", col("s").is_in(["a", ""]), P("s").is_in(["a", ""]), note="text"),
    Case("is_in", col("a").is_in([True]), P("a").is_in([True]), note="booleans"),
    Case("hash_bucket", col("s").hash_buckets(97), lambda f: hashed(str.encode, 97)(f, "s")),
    Case("hash_bucket", col("s").hash_buckets(97, seed=5), lambda f: hashed(str.encode, 97, 5)(f, "s"), note="seed"),
    Case("hash_bucket", col("i").hash_buckets(97), lambda f: hashed(integer_bytes, 97)(f, "i"), note="integers"),
    Case("hash_bucket", col("a").hash_buckets(97), lambda f: hashed(integer_bytes, 97)(f, "a"), note="booleans"),
    Case("hash_bucket", col("d").hash_buckets(97),
         lambda f: hashed(lambda d: integer_bytes((d - dt.date(1970, 1, 1)).days), 97)(f, "d"), note="dates"),
    Case("hash_bucket", col("x").hash_buckets(97),
         lambda f: hashed(lambda x: np.float64(x + 0.0).tobytes(), 97)(f, "x"), note="floats"),
    Case("hash_bucket", col("c").cross("i", 64, seed=3), crossed, note="cross"),
    Case("ordinal", col("c").ordinal([f"c{at}" for at in range(30)]), each(lambda c: int(c[1:]), "c")),
    Case("ordinal", col("c").ordinal(["c2", "c1"], unknown="null"),
         lambda f: [{"c2": 0, "c1": 1}.get(c) for c in f["c"].to_list()], note="unknown"),
    Case("ordinal", col("i").ordinal(list(range(-9, 10))), P("i") + 9, note="integers"),
    Case("convert", col("i").cast("String"), P("i").cast(str)),
    Case("convert", col("d").cast("String"), P("d").cast(str), note="of dates"),
    Case("convert", col("z").cast("String"),
         each(lambda z: f"{z:%Y-%m-%d %H:%M:%S.%f%z}", "z"), note="of local times"),
    Case("convert", col("t").cast("String").cast("Datetime"), P("t"), note="of times and back"),
    Case("convert", col("z").cast("String").cast("Datetime(Europe/Paris)"), P("z"), note="of local times and back"),
    Case("convert", col("a").cast("String"), P("a").cast(str), note="of booleans"),
    Case("convert", col("i").cast("String").cast("Int64"), P("i"), note="and back"),
    Case("convert", col("s").cast("Float64", strict=False), P("s").cast(float, strict=False), note="null where none"),
    Case("bins", col("i").bucketize([-3, 0, 4.5]),
         lambda f: [None if v is None else int(np.digitize(v, [-3, 0, 4.5])) for v in f["i"]]),
    Case("to_local", col("z").dt.hour(), P("z").dt.hour()),
    Case("to_local", col("z").cast("Date"), P("z").dt.date(), note="as a date"),
    Case("to_datetime", col("d").cast("String").str.to_datetime("%Y-%m-%d"), P("d").cast(pl.Datetime("us"))),
    Case("to_datetime", col("s").str.to_datetime(strict=False),
         P("s").str.to_datetime("%Y-%m-%d", strict=False), note="null where none"),
    Case("to_date", col("d").cast("String").str.to_date(), P("d")),
    Case("to_date", col("d").cast("String").str.to_date("%Y-%m-%d"), P("d"), note="by a format"),
    Case("len_chars", col("s").str.len_chars(), P("s").str.len_chars()),
    Case("len_bytes", col("s").str.len_bytes(), P("s").str.len_bytes()),
    Case("to_lowercase", col("s").str.to_lowercase(), P("s").str.to_lowercase()),
    Case("to_uppercase", col("s").str.to_uppercase(), P("s").str.to_uppercase()),
    Case("strip_chars", col("s").str.strip_chars(), P("s").str.strip_chars()),
    Case("strip_chars", col("s").str.strip_chars("aZ"), P("s").str.strip_chars("aZ"), note="given ones"),
    Case("contains", col("s").str.contains("[aé].*k?"), P("s").str.contains("[aé].*k?")),
    Case("contains", col("s").str.contains("a.", literal=True),
         P("s").str.contains("a.", literal=True), note="literal"),
    *(Case(name, getattr(col("s").str, name)(*args), getattr(P("s").str, name)(*args), note=str(args))
      for name in ("replace", "replace_all")
      for args in (("a", "-"), ("[a-zé]+", "<$0>"), ("([a-z])([a-z])", "${2}$1"), ("é", r"\1$$"), ("^", "x"),
                   ("", "y"))),
    *(Case(name, getattr(col("s").str, name)(*args, literal=True),
           getattr(P("s").str, name)(*args, literal=True), note=f"literal {args}")
      for name in ("replace", "replace_all") for args in (("a", "$1"), ("", "$1"), ("", r"\1\\"))),
    Case("starts_with", col("s").str.starts_with("z"), P("s").str.starts_with("z")),
    Case("ends_with", col("s").str.ends_with("é"), P("s").str.ends_with("é")),
    *(Case("slice", col("s").str.slice(*cut), P("s").str.slice(*cut), note=str(cut))
      for cut in ((0, 2), (2, None), (-3, None), (-3, 2), (-3, 3), (-2, 9), (-99, 4), (3, 0), (50, 2))),
]  # fmt: skip
# Below, in the tests of the target, and in tests/features/test_bins.py.
ELSEWHERE = {"one_hot", "class_indicator", "word_ngrams", "bins"}


def test_the_hash_is_xxh64():
    vectors = json.loads((Path(__file__).parents[1] / "kernels" / "xxh64.json").read_text())["lengths"]
    data = bytes((i * 131 + i // 7 * 17 + 5) % 256 for i in range(101))
    for seed, hashes in vectors.items():
        assert [f"{xxh64(data[:n], int(seed)):016x}" for n in range(101)] == hashes


def test_every_row_has_a_case():
    assert {case.name for case in CASES} | ELSEWHERE >= set(COLUMNWISE)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, device):
    check(case, device)


def test_both_backends_give_the_same():
    features = [case.ours.alias(f"{at}") for at, case in enumerate(CASES)]
    slow, fast = (computed(features, device) for device in DEVICES)
    assert repr(slow) == repr(fast)


@pytest.mark.parametrize("device", DEVICES)
def test_codes_of_one_group_are_codes(device):
    """Over a key that all rows share, other buckets too."""
    options = {"min_count": 20, "other_buckets": 3}
    alone = value(col("c").codes(**options).over(lit(1)), device)
    assert alone == codes_of("c", 3, 20)(FRAME)


@pytest.mark.parametrize("device", DEVICES)
def test_one_hot_is_one_where_the_value_stands(device):
    got = computed([col("c").one_hot(min_count=2, null=True)], device)
    values = sorted(vocabulary("c", min_count=2))
    assert list(got) == [f"c_{name}" for name in values] + ["c_null"]
    for name in values:
        assert got[f"c_{name}"] == [float(c == name) for c in FRAME["c"].to_list()]
    assert got["c_null"] == [float(c is None) for c in FRAME["c"].to_list()]


@pytest.mark.parametrize("device", DEVICES)
def test_a_target_of_several_classes_becomes_an_indicator_a_class(device):
    data = pl.DataFrame({"k": ["p", "q"] * 30, "goal": ["low", "mid", "high"] * 20}).to_arrow()
    got = computed([col("k").target_mean(smoothing=0)], device, data, target="goal")
    assert list(got) == ["k_target_mean_high", "k_target_mean_low", "k_target_mean_mid"]
    assert all(abs(share - 1 / 3) < 1e-6 for column in got.values() for share in column)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [1, 2, (1, 3)])
def test_word_ngrams_count_what_scikit_learn_counts(n, device):
    low, high = (n, n) if isinstance(n, int) else n
    texts = ["the cat and the dog", None, "", "a I", "Zoë saw été été 漢字", "the the the"]
    got = computed([col("s").str.word_ngrams(16, n=n, seed=2)], device, {"s": pa.array(texts)})
    split = CountVectorizer(ngram_range=(low, high)).build_analyzer()
    expected = np.zeros((len(texts), 16))
    for row, text in enumerate(texts):
        for gram in split(text or ""):
            expected[row, xxh64(gram.encode(), 2) % 16] += 1
    assert list(got) == [f"s_ngrams_{at}" for at in range(16)]
    assert np.array_equal(np.array(list(got.values())).T, expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "dictionary"])
@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (col("v").str.to_datetime("%Y-%m-%d"), "'nope' cannot be read as %Y-%m-%d. strict=False"),
        (col("v").str.to_date(), "'nope' cannot be read as ISO 8601. strict=False"),
        (col("v").cast("Int64"), "'nope' cannot be read as Int64. strict=False"),
    ],
    ids=str,
)
def test_text_that_cannot_be_read_is_named(expression, message, plain, device):
    values = pa.array(["2024-02-29", None, "nope"] if "cast" not in str(expression) else ["5", None, "nope"])
    data = {"v": values if plain else values.dictionary_encode()}
    with pytest.raises(CastError, match=message):
        value(expression, device, data)


@pytest.mark.parametrize("device", DEVICES)
def test_entries_that_no_row_uses_are_never_evaluated(device):
    """A dictionary may hold text that no row, or only a null row, points to."""
    values = pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int32()), pa.array(["7", "nope"]))
    assert value(col("v").cast("Int64"), device, {"v": values}) == [7, None, 7]
    assert computed([col("v").codes(), col("v").one_hot()], device, {"v": values}) == {
        "v": [2, 0, 2],
        "v_7": [1, 0, 1],
    }


@pytest.mark.parametrize("device", DEVICES)
def test_unseen_values(device):
    fit_on = {"c": pa.array(["p", "q", "p", None]), "x": pa.array([1.0, 2.0, 3.0, 4.0])}
    data = {"c": pa.array(["q", "new", None]), "x": pa.array([0.0, 0.0, 0.0])}
    got = computed(
        [col("c").codes().alias("codes"), col("c").one_hot(), col("c").frequency(), col("x").sum().over("c")],
        device, data, fit_on,
    )  # fmt: skip
    assert got == {
        "codes": [3, 1, 0], "c_p": [0, 0, 0], "c_q": [1, 0, 0], "c_frequency": [0.25, 0, 0.25], "x": [2, None, 4],
    }  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
def test_a_value_that_ordinal_does_not_list(device):
    with pytest.raises(DataError, match=r"Row 1, column 'v': .*'c9' is not among the 1 values.*unknown='null'"):
        value(col("v").ordinal(["c1"]), device, {"v": pa.array([None, "c9"])})


@pytest.mark.parametrize("device", DEVICES)
def test_zeros_of_both_signs_are_one_key_and_nan_is_none(device):
    data = {"f": pa.array([0.0, -0.0, 1.0, None]), "x": pa.array([1.0, 2.0, 3.0, 4.0])}
    assert value(col("x").sum().over("f"), device, data) == [3, 3, 3, 4]
    assert value(col("f").codes(), device, data) == [2, 2, 3, 0]
    fresh = {"f": pa.array([-0.0, np.nan]), "x": pa.array([1.0, 2.0])}
    assert_alike(value(col("x").sum().over("f"), device, fresh, data), [3, None])
    assert len(set(value(col("f").hash_buckets(1000), device, {"f": pa.array([0.0, -0.0])}))) == 1


def test_the_sample_has_nulls_everywhere():
    assert all(column.null_count for column in TABLE.columns)
