"""Functions of text over a dictionary that stays on the device: what cuDF gives against the CPU's functions."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.categories import Tables
from gpupipe.backends.devices import required
from gpupipe.backends.gpu import texts
from gpupipe.backends.gpu.libcudf import Texts
from gpupipe.backends.reference import columnwise
from gpupipe.compiler.fitted import Fitted
from gpupipe.expr.expr import Expr
from gpupipe.sources import on_device

from .border import wrong
from .parity import different
from .report import Record, wall_seconds

ROWS = 300_000
_TEXT = col("text")
FUNCTIONS: dict[str, Expr] = {
    "lower case": _TEXT.str.to_lowercase(),
    "upper case": _TEXT.str.to_uppercase(),
    "characters": _TEXT.str.len_chars(),
    "bytes": _TEXT.str.len_bytes(),
    "white space off": _TEXT.str.strip_chars(),
    "characters off": _TEXT.str.strip_chars(" 0-aZ"),
    "slice": _TEXT.str.slice(2, 7),
    "slice from the end": _TEXT.str.slice(-9, 4),
    "the end": _TEXT.str.slice(-3),
    "contains": _TEXT.str.contains("9-1", literal=True),
    "starts with": _TEXT.str.starts_with("Item"),
    "ends with": _TEXT.str.ends_with("7"),
    "replace": _TEXT.str.replace("1", "one", literal=True),
    "replace all": _TEXT.str.replace_all("11", "", literal=True),
}
FEATURES = [
    _TEXT.fill_null("none").str.strip_chars().str.to_lowercase().str.slice(0, 6).codes().alias("code"),
    _TEXT.str.replace_all("-", " ", literal=True).str.len_chars().fill_null(0).alias("length"),
    (_TEXT < "item").alias("before"), _TEXT.is_null().alias("missing"),
]  # fmt: skip


def run(record: Record, rows: int) -> None:
    """Record what differs, function by function and in whole pipelines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.parquet"
        pq.write_table(pa.table({"text": distinct(min(rows, ROWS))}), path)
        held = record.attempt("texts stay on the device", lambda: _told(_held(path)))
        for name, made in FUNCTIONS.items() if held is not None else ():
            record.attempt(name, lambda made=made: function(made, _held(path)))  # type: ignore[misc]
        record.attempt("pipelines", lambda: pipelines(path))


def distinct(n: int) -> pa.Array:
    """Texts of ASCII, short, long and empty, some within white space, and a null."""
    tails = ["", " ", "\t", "-" + 40 * "long ", "7"]
    heads = ["Item ", "  item-", "", "\n", "ITEM_"]
    made = [f"{heads[at % 5]}{at * 7919:x}-{at}{tails[at // 5 % 5]}" for at in range(n - 2)]
    return pa.array(["", None, *made], pa.string())


def _held(path: Path) -> Texts:
    (part,) = gp.scan(path, partitions=1).partitions
    column: Any = on_device.read(part, ["text"], required())[0].frame.resident("text")
    if not isinstance(column.entries, Texts):
        raise RuntimeError("they were copied to the host")
    return column.entries


def _told(held: Texts) -> dict[str, Any]:
    return {"texts": len(held), "bytes": held.device_bytes}


def function(made: Expr, held: Texts) -> dict[str, Any]:
    """One function, there and here."""
    node = made._node if made._node.op != "suffix" else made._node.args[0]
    here = held.to_host()
    found = texts.applied(node, held, [None])
    return {
        "wrong values": wrong(columnwise(node, [here], Tables(Fitted())), found.to_host()),
        "device, ms": wall_seconds(lambda: texts.applied(node, held, [None])) * 1e3,
        "host, ms": wall_seconds(lambda: columnwise(node, [here], Tables(Fitted()))) * 1e3,
    }


def pipelines(path: Path) -> dict[str, Any]:
    """Chains of functions from a file to features."""
    here, there = (gp.Pipeline(FEATURES, device=device).fit(path) for device in ("cpu", "gpu"))
    tables = [made.transform(path, output="arrow") for made in (here, there)]
    return {
        "equal digests": here.state_digest() == there.state_digest(),
        "wrong values": different(*tables),
        "on the host": dict(there.report_.on_host),
    }
