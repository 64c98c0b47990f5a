"""What a fit has seen, row by row, against the rows themselves: every row has an id of its own, which none looks at."""

import gc
import json
import os
import pickle
import shutil
import time
import weakref
from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpupipe as gp
from gpupipe import col
from gpupipe.artifact.seen import NOTHING_SEEN, VALIDATION, FileRows, Provenance, Seen, kept_keys, load_seen
from gpupipe.errors import ArtifactCorruptError, LeakageError
from gpupipe.runtime.seen.overlap import overlap
from gpupipe.runtime.seen.provenance import merged, provenance, provenance_at, refuse_overlap
from gpupipe.sources.addresses import located
from gpupipe.sources.identity import key_hash
from gpupipe.sources.listed import listed
from gpupipe.sources.origin import Stretch, fingerprint, shared, together

N = 240
rng = np.random.default_rng(0)
TABLE = pa.table(
    {
        "id": np.arange(N),
        "x": rng.normal(size=N),
        "g": rng.integers(0, 6, N),
        "s": rng.choice(np.array(["a", "b", "c", None], object), N).tolist(),
        "y": rng.integers(0, 2, N),
    }
)
DIMENSION = pa.table({"g": [0, 1, 2, 3], "size": [10, 20, 30, None]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One table as one file of each format, and as three Parquet files."""
    folder = tmp_path_factory.mktemp("files")
    pq.write_table(TABLE, folder / "all.parquet", row_group_size=17)
    pa.feather.write_feather(TABLE, folder / "all.arrow", chunksize=31)
    pa.csv.write_csv(TABLE, folder / "all.csv")
    for number in range(3):
        pq.write_table(TABLE.slice(80 * number, 80), folder / f"{number}.parquet", row_group_size=23)
    return folder


# -- against the rows themselves ------------------------------------------------------------------------------
def ids_of(source):
    return np.concatenate([source.load(at, ["id"])["id"].values for at in range(len(source.partitions))])


def seen_of(source, validation=None):
    return provenance(source, validation, ["x", "g", "s", "y"])


def check(seen, source, known):
    """`known`: the ids that were seen."""
    ids = ids_of(source)
    found = overlap(seen, source)
    assert found.n_rows == np.isin(ids, known).sum()


FILTERS = {
    "g>2": lambda s: s.filter(col("g") > 2),
    "x<0": lambda s: s.filter(col("x") < 0, col("s").is_not_null()),
    "s=a": lambda s: s.filter(col("s").is_in(["a", "b"])),
    "late id": lambda s: s.filter(col("id") % 3 == 0),
    "inner": lambda s: s if "size" in s.schema else s.join(DIMENSION, on="g", how="inner"),
    "joined": lambda s: s if "size" in s.schema else s.join(DIMENSION, on="g").filter(col("size") > 10),
    "left": lambda s: s if "size" in s.schema else s.join(DIMENSION, on="g"),
    "with_key": lambda s: s.with_key("g"),
    "select": lambda s: s.select("id", "g", "s", "x", "y"),
    "head": lambda s: s.head(57),
    "few": lambda s: s.head(5),
}
SPLITS = list(product((0.3, 0.5), (0, 1), (None, "g", "s"), (0, 1)))  # share, seed, key, side


def step(name):
    def apply(source):
        if isinstance(name, tuple):
            share, seed, key, side = name
            return source.split(test=share, seed=seed, key=key)[side]
        return FILTERS[name](source)

    return apply


STEPS = st.lists(st.one_of(st.sampled_from(list(FILTERS)), st.sampled_from(SPLITS)), max_size=4)
LISTS = st.lists(st.sampled_from(["all.parquet", "0.parquet", "1.parquet", "2.parquet"]), min_size=1, max_size=4)
PARTITIONS = st.integers(1, 9)


def stepped(source, names):
    for name in names:
        source = step(name)(source)
    return source


@given(LISTS, LISTS, PARTITIONS, PARTITIONS, STEPS, STEPS)
@settings(max_examples=25, deadline=None)
def test_rows_of_files_are_known_one_by_one(folder, mine, theirs, cut, cut_again, steps, others):
    """`all` and its three parts are other files, though of the same rows: those two are never one."""
    fitted = stepped(gp.scan([folder / name for name in mine], partitions=cut), steps)
    asked = stepped(gp.scan([folder / name for name in theirs], partitions=cut_again), others)
    check_files(seen_of(fitted), fitted, asked, mine, theirs)
    check_files(pickle.loads(pickle.dumps(seen_of(fitted))), fitted, asked, mine, theirs, joins(fitted))
    saved = load_seen(json.loads(json.dumps(seen_of(fitted).noted())))
    check_files(saved, fitted, asked, mine, theirs, joins(fitted))


def joins(source):
    """Whether a join has a say in which rows there are, which is known in one process alone."""
    return "inner join" in repr(source) or "filter (size > 10)" in repr(source)


def check_files(seen, fitted, asked, mine, theirs, unknown=False):
    known = {(whole, one) for whole, one in rows_of(fitted, mine)}
    expected = sum(row in known for row in rows_of(asked, theirs))
    found = overlap(seen, asked).n_rows
    assert found == (0 if unknown else expected)


def rows_of(source, names):
    """(whether of the whole file, id) of each row."""
    ends = np.cumsum([N if name == "all.parquet" else 80 for name in names])
    for at in range(len(source.partitions)):
        frame = source.load(at, ["id"])
        for position, one in zip(frame.positions.tolist(), frame["id"].values.tolist(), strict=True):
            yield names[int(np.searchsorted(ends, position, side="right"))] == "all.parquet", one


@given(st.sampled_from(["all.csv", "all.arrow", "all.parquet"]), PARTITIONS, PARTITIONS, STEPS, STEPS)
@settings(max_examples=30, deadline=None)
def test_so_of_every_format(folder, name, cut, cut_again, steps, others):
    fitted, asked = (stepped(gp.scan(folder / name, partitions=n), s) for n, s in ((cut, steps), (cut_again, others)))
    check(seen_of(fitted), asked, ids_of(fitted))


KINDS = {
    "arrow": lambda t: t,
    "pandas": lambda t: t.to_pandas(),
    "polars": lambda t: pl.from_arrow(t),
    "arrays": lambda t: {name: t[name].to_numpy() for name in t.column_names},
}


@given(st.sampled_from(list(KINDS)), PARTITIONS, PARTITIONS, STEPS, STEPS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_in_memory_are_known_one_by_one(kind, cut, cut_again, steps, others, again):
    data = KINDS[kind](TABLE)
    whole = gp.scan(data, partitions=cut)
    other = gp.scan(data, partitions=cut_again) if again else whole
    fitted, asked = stepped(whole, steps), stepped(other, others)
    check(seen_of(fitted), asked, ids_of(fitted))


VIEWS = st.tuples(st.integers(0, N - 1), st.integers(1, N), st.sampled_from([1, 2, 3, -1, -2]))


@given(st.sampled_from(["arrow", "pandas", "polars", "arrays", "matrix"]), VIEWS, VIEWS, PARTITIONS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_views_of_one_table_are_known_by_where_they_stand(parent, mine, theirs, cut, held):
    pieces = [view(PARENTS[parent], *piece, steps=parent not in ("arrow", "polars")) for piece in (mine, theirs)]
    fitted, asked = gp.scan(pieces[0]), gp.scan(pieces[1], partitions=cut)
    if not held:  # what was given is gone, and its memory is not
        del pieces
    ids = [view(np.arange(N), *piece, steps=parent not in ("arrow", "polars")) for piece in (mine, theirs)]
    seen = provenance(fitted, None, list(fitted.schema))
    if held or parent not in ("matrix", "pandas", "arrays"):
        assert overlap(seen, asked).n_rows == np.isin(ids[1], ids[0]).sum()
    else:  # columns that were copied are known no more
        assert overlap(seen, asked).n_rows in (0, np.isin(ids[1], ids[0]).sum())


def view(data, start, stop, step, *, steps):
    start, stop = sorted((start, stop))
    if hasattr(data, "slice"):
        return data.slice(start, stop - start)
    if isinstance(data, dict):
        return {name: view(values, start, stop, step, steps=steps) for name, values in data.items()}
    return data[start:stop][:: step if steps else 1]


MATRIX = rng.normal(size=(N, 3))
PARENTS = {
    "arrow": TABLE,
    "pandas": TABLE.to_pandas(),
    "polars": pl.from_arrow(TABLE),
    "arrays": {name: TABLE[name].to_numpy() for name in ("id", "x", "g", "y")},
    "matrix": MATRIX,
}


# -- what memory is -------------------------------------------------------------------------------------------
def test_data_that_are_gone_are_known_no_more_whatever_stands_in_their_place():
    for _ in range(20):  # an allocator gives the same addresses again
        fitted = gp.scan({"x": np.arange(4000.0), "y": np.arange(4000) % 2})
        seen = provenance(fitted, None, ["x", "y"])
        del fitted
        assert overlap(seen, gp.scan({"x": np.arange(4000.0), "y": np.arange(4000) % 2})).n_rows == 0


def test_a_record_keeps_no_data_alive():
    x = np.arange(1000.0)
    table = pa.table({"x": x})
    seen = provenance(gp.scan(table).filter(col("x") > 3), None, ["x"])
    alive = weakref.ref(x), weakref.ref(table)
    del x, table
    gc.collect()
    assert [reference() for reference in alive] == [None, None] and len(seen.parts) == 1


def test_rows_are_the_same_only_where_all_columns_are():
    ones, x, other = np.ones(N), np.arange(float(N)), np.arange(float(N))
    seen = provenance(gp.scan(given := {"x": x, "bias": ones}), None, ["x", "bias"])
    assert overlap(seen, gp.scan({"x": x, "bias": ones, "more": other})).n_rows == N
    assert overlap(seen, gp.scan({"x": other, "bias": ones})).n_rows == 0
    assert overlap(seen, gp.scan({"bias": ones})).n_rows == 0
    assert overlap(seen, gp.scan({"x": ones, "bias": x})).n_rows == 0
    assert len(given) == 2


def test_copies_are_unknown():
    frame = TABLE.to_pandas()
    seen = seen_of(gp.scan(frame))
    assert overlap(seen, gp.scan(frame)).n_rows == N
    for copy in (frame.copy(), frame.sample(frac=1, random_state=0), frame[frame["x"] > 0]):
        assert overlap(seen, gp.scan(copy)).n_rows == 0
    lists = {"x": [1.0, 2.0], "y": [0, 1]}
    assert overlap(provenance(gp.scan(lists), None, ["x", "y"]), gp.scan(lists)).n_rows == 0  # converted each time
    source = gp.scan(lists)
    assert overlap(provenance(source, None, ["x", "y"]), source.head(1)).n_rows == 1


def test_values_without_a_place_of_their_own():
    assert located([1, 2]) is None and located(np.broadcast_to(1.0, 5)) is None
    assert located(pa.array([[1], [2]])) is None and located(pa.nulls(3)) is None
    for values in (["a", "b"], [True, None], [1.5], ["a", "a"]):
        array = pa.array(values)
        for made in (array, array.dictionary_encode(), pa.chunked_array([array, array])):
            place: Any = located(made)
            assert place.is_that_of(located(made)) and not place.is_that_of(located(pa.array(values)))


@given(st.lists(st.integers(-40, 40), min_size=4, max_size=4), st.sampled_from([1, 2, 3, 4, 6, -1, -2, -3]),
       st.sampled_from([1, 2, 3, 4, 6, -1, -2, -3]))  # fmt: skip
def test_what_two_stretches_share(ends, step, other):
    a, b = range(ends[0], ends[1], step), range(ends[2], ends[3], other)
    found = shared(Stretch(a, range(len(a))), Stretch(b, range(100, 100 + len(b))))
    pairs = [] if found is None else list(zip(found.rows, found.positions, strict=True))
    assert sorted(pairs) == sorted((a.index(value), 100 + b.index(value)) for value in a if value in b)


# -- what files are -------------------------------------------------------------------------------------------
def test_a_file_is_known_under_other_names_and_as_a_copy(folder, tmp_path):
    seen = seen_of(gp.scan(folder / "all.parquet"))
    os.link(folder / "all.parquet", tmp_path / "link.parquet")
    os.symlink(folder / "all.parquet", tmp_path / "symlink.parquet")
    shutil.copy(folder / "all.parquet", tmp_path / "copy.parquet")
    for name in ("link", "symlink", "copy"):
        assert overlap(seen, gp.scan(tmp_path / f"{name}.parquet")).n_rows == N
    pq.write_table(TABLE.set_column(1, "x", pa.array(-TABLE["x"].to_numpy())), tmp_path / "copy.parquet")
    assert overlap(seen, gp.scan(tmp_path / "copy.parquet")).n_rows == 0


def test_a_file_of_the_same_size_is_another(tmp_path):
    values = rng.normal(size=50_000)
    for name, made in (("a", values), ("b", values[::-1])):  # same footer, but for what statistics would tell
        pq.write_table(pa.table({"x": made}), tmp_path / f"{name}.parquet", compression="none", use_dictionary=False,
                       write_statistics=False)  # fmt: skip
    sizes = {os.path.getsize(tmp_path / f"{name}.parquet") for name in "ab"}
    seen = provenance(gp.scan(tmp_path / "a.parquet"), None, ["x"])
    assert len(sizes) == 1 and overlap(seen, gp.scan(tmp_path / "b.parquet")).n_rows == 0


def test_what_is_read_of_a_file_that_is_gone_or_changed(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path)
    seen, was = seen_of(gp.scan(path)), listed(os.fspath(path))
    os.remove(path)
    assert fingerprint(was) is None and seen.noted() == []
    assert overlap(seen, gp.scan(TABLE)).n_rows == 0


def test_a_record_of_ten_thousand_partitions_is_cheap(tmp_path):
    """Processor seconds: of the record, and of asking about as many partitions of another source."""
    table = pa.table({"x": np.arange(100_000.0)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10, compression="none", use_dictionary=False)
    pq.write_table(table.slice(1), tmp_path / "b.parquet", row_group_size=10, compression="none", use_dictionary=False)
    one, other = (gp.scan(tmp_path / f"{name}.parquet", partition_bytes=1) for name in "ab")
    assert len(one.partitions) == 10_000
    started = time.process_time()
    seen = provenance(one, None, ["x"])
    assert overlap(seen, other).n_rows == 0
    train, test = one.split(test=0.2)
    assert overlap(provenance(train, None, ["x"]), test).n_rows == 0  # by the split alone: nothing is read
    assert time.process_time() - started < 2
    assert len(json.dumps(seen.noted())) < 300


# -- keys -----------------------------------------------------------------------------------------------------
def test_of_very_many_keys_the_lowest_are_kept():
    hashes = key_hash(gp.scan(TABLE).load(0)["g"])
    assert kept_keys("g", hashes, 6).whole and not kept_keys("g", hashes, 3).whole
    assert kept_keys("g", hashes, 3).hashes.tolist() == sorted(set(hashes.tolist()))[:3]


def test_two_records_in_one(folder):
    first, second = (gp.scan(folder / f"{number}.parquet") for number in (0, 1))
    hashes = [key_hash(source.load(0)["g"]) for source in (first, second)]
    each = zip((first, second), hashes, strict=True)
    seen: Any = merged(*(provenance(source, None, ["x"], ("g", keys)) for source, keys in each))
    assert overlap(seen, gp.scan([folder / f"{number}.parquet" for number in (2, 1, 0)])).n_rows == 160
    assert set(seen.keys.hashes.tolist()) == set(np.concatenate(hashes).tolist()) and seen.keys.whole
    with pytest.raises(LeakageError, match=r"All 80 rows were in the fit, .* and would count twice"):
        refuse_overlap(seen, second)
    refuse_overlap(seen, gp.scan(folder / "2.parquet"))


def test_rows_known_one_by_one(folder):
    source = gp.scan(folder / "all.parquet", partitions=5)
    seen = provenance_at(source, ["x"], [np.array([0, 7, 239], np.uint64)], (None, np.zeros(0, np.uint64)))
    assert overlap(seen, source).n_rows == 3 and overlap(seen, source.filter(col("id") == 7)).n_rows == 1
    assert overlap(seen, source.filter(col("id") == 8)).n_rows == 0 and seen.noted() == []


# -- in an artifact -------------------------------------------------------------------------------------------
def test_what_an_artifact_says_names_no_path(folder):
    source = gp.scan([folder / "0.parquet", folder / "all.parquet"]).filter(col("x") > 0)
    train = source.split(test=0.25, seed=3, key="g")[0]
    (part,) = seen_of(train, train).noted()[:1]
    assert sorted(part) == ["files", "steps", "types", "use"]
    assert {rows[0][2] for *_, rows in part["files"]} == {80, N}
    assert part["steps"][1] == {"split": [0.25, 3, "g", False, 0]} and part["types"] == {"g": "Int64", "x": "Float64"}
    assert "parquet" not in json.dumps(part) and os.fspath(folder) not in json.dumps(part)
    assert [found["use"] for found in seen_of(train, train).noted()] == ["fit", VALIDATION]


def test_copies_of_a_record(folder):
    whole = gp.scan(folder / "all.parquet")
    seen = seen_of(whole.split(test=0.5)[0], gp.scan(TABLE))
    assert deepcopy(seen.parts[1]) is seen.parts[1]
    again = pickle.loads(pickle.dumps(seen))
    assert overlap(again, whole).n_rows == overlap(seen, whole).n_rows
    assert overlap(again, gp.scan(TABLE)).n_rows == 0 < overlap(seen, gp.scan(TABLE)).n_rows


GOOD = {
    "use": "fit", "files": [[10, "0" * 32, [[0, 0, 5]]]], "steps": [{"split": [0.5, 0, "k", True, 0]}, {"key": "k"}],
    "types": {"k": "Int64"},
}  # fmt: skip
K = [["col", [], {"name": "k"}]]
ODD = {
    "no list": {"a": 1},
    "no part": [1],
    "another entry": [{**GOOD, "more": 1}],
    "an entry less": [{name: value for name, value in GOOD.items() if name != "use"}],
    "another use": [{**GOOD, "use": "testing"}],
    "a negative size": [{**GOOD, "files": [[-1, "0" * 32, []]]}],
    "a size that is true": [{**GOOD, "files": [[True, "0" * 32, []]]}],
    "a short digest": [{**GOOD, "files": [[1, "0" * 31, []]]}],
    "a digest of other signs": [{**GOOD, "files": [[1, "/etc/passwd" + "0" * 21, []]]}],
    "rows that are none": [{**GOOD, "files": [[1, "0" * 32, [[0, 0]]]]}],
    "rows by text": [{**GOOD, "files": [[1, "0" * 32, [["0", 0, 1]]]]}],
    "rows beyond all": [{**GOOD, "files": [[1, "0" * 32, [[0, 0, 2**80]]]]}],
    "a step that is none": [{**GOOD, "steps": [{"run": "rm"}]}],
    "two steps in one": [{**GOOD, "steps": [{"key": "k", "filter": {}}]}],
    "a share of 2": [{**GOOD, "steps": [{"split": [2.0, 0, None, True, 0]}]}],
    "a share of NaN": [{**GOOD, "steps": [{"split": [float("nan"), 0, None, True, 0]}]}],
    "a seed too large": [{**GOOD, "steps": [{"split": [0.5, 2**64, None, True, 0]}]}],
    "a depth too large": [{**GOOD, "steps": [{"split": [0.5, 0, None, True, 10**9]}]}],
    "a side that is 1": [{**GOOD, "steps": [{"split": [0.5, 0, None, 1, 0]}]}],
    "a key of no type": [{**GOOD, "steps": [{"key": "q"}]}],
    "a type that is none": [{**GOOD, "types": {"k": "Object"}}],
    "a filter that is no expression": [{**GOOD, "steps": [{"filter": [1]}]}],
    "a filter of two roots": [{**GOOD, "steps": [{"filter": {"nodes": K, "roots": [0, 0]}}]}],
    "a filter that is no test": [{**GOOD, "steps": [{"filter": {"nodes": K, "roots": [0]}}]}],
    "many parts": [GOOD] * 2000,
    "many files": [{**GOOD, "files": [[1, "0" * 32, []]] * 60_000}],
}


@pytest.mark.parametrize("name", ODD)
def test_a_record_that_was_never_written_is_refused(name):
    with pytest.raises(ArtifactCorruptError, match="record of the rows it was fitted on cannot be read"):
        load_seen(ODD[name])


def test_a_record_as_it_is_written():
    assert load_seen(None) is NOTHING_SEEN and len(load_seen([GOOD]).parts[0].steps) == 2
    assert Provenance((Seen(files=FileRows({})),)).noted() == []
    assert together([]) == []
