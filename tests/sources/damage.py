"""Damages a file in ways that its number decides, and reads it: run in a process of its own, which may die.

    python damage.py FOLDER KIND FIRST COUNT
"""

import random
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from source_rows import random_table

import gpupipe as gp
from gpupipe.errors import GpupipeError

KINDS = ("arrow", "lz4.arrow", "parquet", "csv", "csv.gz")


def written(path: Path, kind: str) -> bytes:
    """A whole file of the kind, in several row groups or record batches; its bytes."""
    table = random_table(1, 60)
    plain = table.select(["position", "small", "float", "word", "day"])
    if kind.endswith("arrow"):
        options = pa.ipc.IpcWriteOptions(compression="lz4" if kind.startswith("lz4") else None)
        with pa.ipc.new_file(path, table.schema, options=options) as file:
            file.write_table(table, max_chunksize=20)
    elif kind == "parquet":
        pq.write_table(table, path, row_group_size=20)
    elif kind == "csv":
        pa_csv.write_csv(plain, path)
    else:
        with pa.CompressedOutputStream(str(path), "gzip") as file:
            pa_csv.write_csv(plain, file)
    return path.read_bytes()


def footer_of(content: bytes, kind: str) -> bytes:
    """What stays whole: Arrow ends the process over some footers of Parquet that contradict themselves."""
    return content[-8 - int.from_bytes(content[-8:-4], "little") :] if kind == "parquet" else b""


def damaged(content: bytes, number: int, footer: bytes) -> bytes:
    """The bytes with a bit flipped, a stretch replaced, or the end cut off, once or several times, and the footer."""
    chance, octets = random.Random(number), bytearray(content.removesuffix(footer))
    for _ in range(chance.choice([1, 1, 2, 8])):
        how, at = chance.random(), chance.randrange(max(len(octets), 1))
        if how < 0.6 and octets:
            octets[at] ^= 1 << chance.randrange(8)
        elif how < 0.8:
            octets[at : at + chance.randint(1, 16)] = chance.randbytes(chance.randint(0, 16))
        else:
            del octets[at:]
    return bytes(octets) + footer


def read_whole(path: Path) -> None:
    """Every value of every column, and features of them."""
    source = gp.scan(path, partitions=2)
    for index in range(len(source.partitions)):
        frame = source.load(index)
        for column in map(frame.__getitem__, frame.columns):
            column.values.tolist() if hasattr(column.values, "tolist") else column.values.to_pylist()
    gp.Pipeline([gp.numeric().is_null(), gp.strings().codes().suffix("_c")], device="cpu").fit_transform(source)


def main(folder: str, kind: str, first: str, count: str) -> None:
    path = Path(folder) / f"a.{kind}"
    whole = written(path, kind)
    outcomes: Counter[str] = Counter()
    for number in range(int(first), int(first) + int(count)):
        path.write_bytes(damaged(whole, number, footer_of(whole, kind)))
        try:
            read_whole(path)
            outcomes["read"] += 1
        except GpupipeError:
            outcomes["refused"] += 1
        except BaseException as error:
            print(f"number {number}: {error!r}")
            raise
    print(dict(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
