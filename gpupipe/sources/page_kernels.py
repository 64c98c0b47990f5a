"""The kernels that decode pages: whether their machine code is kept, and compiling all of them at once."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from gpupipe.kernels.cpu import page_entries, page_strings, page_values, pages
from gpupipe.sources.pages import decoded

_KERNELS = (pages.KERNELS, page_values.KERNELS, page_entries.KERNELS, page_strings.KERNELS)


def are_ready() -> bool:
    """Whether no first call of any compiles."""
    return all(kernel.is_ready for kernels in _KERNELS for kernel in kernels)


def prepare() -> None:
    """Have all of them ready: a table is decoded that needs each."""
    few, many = ["a", "b"] * 20, [f"{number:09d}" for number in range(40)]
    both = few[:20] + many[20:]
    table = pa.table({"n": pa.array(range(40)), "yes": [True] * 40, "few": few, "many": many, "both": both})
    written = io.BytesIO()
    sizes = {"dictionary_pagesize_limit": 100, "data_page_size": 10, "write_batch_size": 5}
    pq.write_table(table, written, row_group_size=20, **sizes)
    metadata = pq.read_metadata(written)
    places = {name: at for at, name in enumerate(table.column_names)}
    for groups in ([0], [0, 1]):
        dict(decoded(written, metadata, groups, places))
