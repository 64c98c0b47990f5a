"""Dirty tables: what `strategies.make_table` gives, soiled, renamed, and written as every kind of source."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from strategies import FLOATS, INTEGERS, NUMBERS, TEXTS, make_table

from gpupipe import Expr
from gpupipe.expr.node import Node

Array = Any  # pa.ChunkedArray; pyarrow ships no types

_TEXTS = ["", " ", "\0", "a\0b", "x" * 40_000, "NaN", "null", "None", "'", '"', ",", "\n", "\r\n", "é", "e\u0301", "😀",
          "\u202etxet", "0", "-0", "1e999", "true", "2024-02-30", "İ", "ß", "ﬁ"]  # fmt: skip
_FLOATS = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e308, -1e308, 5e-324, 2.0**53 + 2, 1e-300]
_DAYS = [-(2**31), 2**31 - 1, -719_162, 2_932_896, -1, 0, -25_567]
_DAY = 86_400_000_000
_ZONES = ["UTC", "+05:30", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"]


# -- one column -----------------------------------------------------------------------------------------------
def _some(values: list[Any], array: Array, rng: Random, share: float = 0.2) -> Array:
    """The column with some of its values, nulls too, replaced."""
    kept = array.to_pylist()
    return pa.chunked_array([[rng.choice(values) if rng.random() < share else value for value in kept]], array.type)


def _all_null(array: Array, rng: Random) -> Array:
    return pa.chunked_array([pa.nulls(len(array), array.type)])


def _null_type(array: Array, rng: Random) -> Array:
    return pa.chunked_array([pa.nulls(len(array))])


def _constant(array: Array, rng: Random) -> Array:
    values = array.drop_null()
    return pa.chunked_array([[values[0].as_py()] * len(array)], array.type) if len(values) else array


def _no_nulls(array: Array, rng: Random) -> Array:
    values = array.drop_null()
    return array.fill_null(values[0]) if len(values) else array


def _odd_floats(array: Array, rng: Random) -> Array:
    return _some(_FLOATS, array.cast(pa.float64()), rng, rng.choice([0.02, 0.3])).cast(array.type, safe=False)


def _integers_at_ends(array: Array, rng: Random) -> Array:
    bounds = np.iinfo(array.type.to_pandas_dtype())
    far = [2**53 + 1, 2**53, -(2**53) - 1, 2**63 - 1, 2**63, 0]
    return _some([bounds.min, bounds.max, *(n for n in far if bounds.min <= n <= bounds.max)], array, rng, 0.1)


def _odd_texts(array: Array, rng: Random) -> Array:
    return _some(rng.sample(_TEXTS, 6), array.cast(pa.string()), rng)


def _ends_of_days(array: Array, rng: Random) -> Array:
    days = _some(_DAYS, array.cast(pa.int32()), rng, 0.1)
    return days.cast(pa.date32())


def _ends_of_times(array: Array, rng: Random) -> Array:
    far = [2**63 - 1, -(2**63) + 1, -1, 0, 253_402_300_799_999_999, -62_135_596_800_000_000, -_DAY]
    return _some(far, array.cast(pa.int64()), rng, 0.1).cast(array.type)


def _other_unit(array: Array, rng: Random) -> Array:
    unit, zone = rng.choice(["s", "ms", "ns"]), array.type.tz
    return array.cast(pa.timestamp(unit, zone), safe=False)


def _other_zone(array: Array, rng: Random) -> Array:
    return array.cast(pa.timestamp("us", rng.choice(_ZONES)))


def _decimals(array: Array, rng: Random) -> Array:
    scale = rng.choice([0, 2, 9])
    rounded = pa.chunked_array([[None if v is None else round(v, 2) for v in array.to_pylist()]], pa.float64())
    kind = rng.choice([pa.decimal128(38, scale), pa.decimal256(60, scale)])
    with contextlib.suppress(pa.ArrowInvalid):
        return rounded.cast(kind, safe=False)
    return array


def _dictionary(array: Array, rng: Random) -> Array:
    """A dictionary with entries no row uses, and the same text twice."""
    plain = array.cast(pa.string())
    entries = ["unused", *dict.fromkeys(v for v in plain.to_pylist() if v is not None), "never"]
    place = {value: at for at, value in enumerate(entries)}
    indices = pa.array([place.get(value) for value in plain.to_pylist()], pa.int32())
    return pa.chunked_array([pa.DictionaryArray.from_arrays(indices, pa.array(entries, pa.string()))])


def _other_text_type(array: Array, rng: Random) -> Array:
    plain = array.cast(pa.string())
    return plain.cast(rng.choice([pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]))


def _half(array: Array, rng: Random) -> Array:
    return pa.chunked_array([array.to_numpy().astype(np.float16)])


_DIRT: dict[str, tuple[tuple[str, ...], Callable[[Array, Random], Array]]] = {
    "all null": ((*NUMBERS, *TEXTS, "b", "day", "t", "yes", "amount", "label"), _all_null),
    "of the null type": ((*FLOATS, "s", "i32", "b"), _null_type),
    "constant": ((*NUMBERS, "s", "b", "day", "t", "yes", "amount", "label"), _constant),
    "no nulls": ((*NUMBERS, *TEXTS, "b", "day", "t", "tz"), _no_nulls),
    "odd floats": ((*FLOATS, "amount"), _odd_floats),
    "integers at the ends": (INTEGERS, _integers_at_ends),
    "odd texts": (("s", "words", "label"), _odd_texts),
    "the ends of days": (("day",), _ends_of_days),
    "the ends of times": (("t", "tz"), _ends_of_times),
    "another unit of time": (("t", "tz"), _other_unit),
    "another time zone": (("tz",), _other_zone),
    "decimals": (("f", "g"), _decimals),
    "a dictionary": (("s", "words", "label"), _dictionary),
    "another type of text": (("s", "words"), _other_text_type),
    "half floats": (("g",), _half),
}


# -- a table --------------------------------------------------------------------------------------------------
def soiled(table: pa.Table, rng: Random) -> tuple[pa.Table, list[str]]:
    """The table with some dirt, and what was done."""
    done = []
    for _ in range(rng.choice([0, 2, 4, 6])):
        what = rng.choice(sorted(_DIRT))
        names, change = _DIRT[what]
        name = rng.choice(names)
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):  # done already
            table = table.set_column(table.column_names.index(name), name, change(table[name], rng))
            done.append(f"{name}: {what}")
    rows = rng.choice([None] * 18 + [0, 1])
    return (table if rows is None else table.slice(0, rows)), done


def dirty_table(n: int, seed: int, nulls: float) -> tuple[pa.Table, list[str]]:
    """A random table of about `n` rows, soiled, in chunks of any lengths."""
    rng = Random(seed)
    table, done = soiled(make_table(n, seed, nulls, edges=rng.random() < 0.1), rng)
    cuts = sorted(rng.randint(0, table.num_rows) for _ in range(rng.choice([0, 0, 1, 4])))
    pieces = [table.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, table.num_rows], strict=True)]
    return pa.concat_tables(pieces), done


ODD_NAMES = {
    "f": "F", "g": "f", "p": "p.q", "s": 'quo"te', "d": "it's", "i8": "😀", "i16": "i8", "b": "B\tb", "t": "null",
    "k": "a b", "day": "x,y", "words": "__w__", "yes": "Yes", "amount": "amount ", "i32": "%s{0}", "wild": "\u202edliw",
}  # fmt: skip


def renamed_table(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    return table.rename_columns([names.get(name, name) for name in table.column_names])


def renamed(expression: Expr, names: Mapping[str, str]) -> Expr:
    """The expression over columns of other names."""
    made: dict[Node, Node] = {}

    def again(node: Node) -> Node:
        if node not in made:
            if node.op == "col":
                made[node] = Node("col", (), (("name", names.get(node["name"], node["name"])),))
            else:
                made[node] = node.with_args(tuple(again(arg) for arg in node.args))
        return made[node]

    return Expr(again(expression._node))


# -- a source -------------------------------------------------------------------------------------------------
def _pieces(table: pa.Table, rng: Random) -> list[pa.Table]:
    cuts = sorted(rng.randint(0, table.num_rows) for _ in range(rng.choice([0, 1, 3])))
    return [table.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, table.num_rows], strict=True)]


def _parquet(table: pa.Table, folder: Path, rng: Random) -> str:
    size = rng.choice([3, 17, 1000])
    for at, piece in enumerate(_pieces(table, rng)):
        pq.write_table(piece, folder / f"part-{at}.parquet", row_group_size=size)
    return str(folder / "*.parquet")


def _ipc(table: pa.Table, folder: Path, rng: Random) -> str:
    for at, piece in enumerate(_pieces(table, rng)):
        with pa.ipc.new_file(folder / f"part-{at}.arrow", piece.schema) as writer:
            writer.write_table(piece, max_chunksize=rng.choice([5, 1000]))
    return str(folder / "*.arrow")


def _csv(table: pa.Table, folder: Path, rng: Random) -> str:
    plain = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_duration(column.type) or pa.types.is_float16(column.type):
            column = column.cast(pa.int64() if pa.types.is_duration(column.type) else pa.float32())
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            column = column.cast(pa.string())
        plain[name] = column.cast(pa.string()) if pa.types.is_string_view(column.type) else column
    pacsv.write_csv(pa.table(plain), folder / "rows.csv")
    return str(folder / "rows.csv")


def _polars(table: pa.Table, folder: Path, rng: Random) -> pl.DataFrame:
    if any(pa.types.is_decimal256(kind) for kind in table.schema.types):
        raise ValueError("Polars has no decimals of 256 bits, and panics")
    return pl.DataFrame(pl.from_arrow(table))


def _pandas(table: pa.Table, folder: Path, rng: Random) -> pd.DataFrame:
    return table.to_pandas(types_mapper=rng.choice([None, pd.ArrowDtype]))


def _dict(table: pa.Table, folder: Path, rng: Random) -> dict[str, Any]:
    as_list = (pa.types.is_string, pa.types.is_boolean, pa.types.is_date)
    return {
        name: table[name].to_pylist()
        if any(test(table[name].type) for test in as_list) and table[name].null_count < table.num_rows
        else table[name].combine_chunks()
        for name in table.column_names
    }


_WRITERS: dict[str, Callable[[pa.Table, Path, Random], Any]] = {
    "arrow": lambda table, folder, rng: table,
    "parquet": _parquet,
    "ipc": _ipc,
    "polars": _polars,
    "csv": _csv,
    "pandas": _pandas,
    "dict": _dict,
}
# Those that keep every value and type of an Arrow table.
FAITHFUL = ("arrow", "parquet", "ipc", "polars")
KINDS = tuple(_WRITERS)
# What the writers themselves refuse: types that a library lacks, dates beyond its calendar.
_UNWRITABLE = (pa.ArrowException, pl.exceptions.PolarsError, OverflowError, ValueError)


def written(table: pa.Table, kind: str, folder: Path, seed: int) -> tuple[str, Any]:
    """(the kind, the table as that kind of source); as Arrow where a library cannot hold it."""
    folder.mkdir(parents=True)
    try:
        return kind, _WRITERS[kind](table, folder, Random(seed))
    except _UNWRITABLE:
        return "arrow", table


