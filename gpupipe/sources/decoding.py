"""Whether kernels of ours decode columns of a Parquet file, and those that they do."""

from collections.abc import Sequence

import pyarrow.parquet as pq

from gpupipe import optional
from gpupipe.backends import compiled
from gpupipe.columns import Column
from gpupipe.sources.listed import opening

# Kernels of ours save some 10 to 20 ns a value; machine code that is kept takes .05 s of a processor to start, and
# compiling it 7, once for an installation.
_READY, _COLD = compiled.READY, compiled.COLD


class _Tally:
    """How many values Arrow has decoded in this process. Threads may lose a count; nothing hangs on it."""

    values = 0
    started = False


def decoded_here(
    path: str, metadata: pq.FileMetaData, groups: Sequence[int], leaves: Sequence[str], columns: Sequence[str]
) -> dict[str, Column]:
    """Those of the named columns that kernels of ours decode; Arrow reads the others, or refuses them.

    Args:
        groups: the row groups wanted.
        leaves: the path of each leaf column of the file.

    Raises:
        CastError: a value that is none of ours.
        SourceNotFoundError, SourceAccessError, FileFormatError: the file cannot be opened or read.
    """
    places = {name: leaves.index(name) for name in columns if leaves.count(name) == 1}
    n_values = len(places) * sum(metadata.row_group(group).num_rows for group in groups)
    if not n_values or not _are_worth(n_values):
        return {}
    with opening(path), open(path, "rb", buffering=0) as file:
        return dict(optional.load("gpupipe.sources.pages").decoded(file, metadata, groups, places))


def _are_worth(n_values: int) -> bool:
    """Whether the kernels are at work already, or are worth their start by now."""
    if _Tally.started or _starts(max(compiled.Work.expected, _Tally.values + n_values)):
        _Tally.started = True
        return True
    _Tally.values += n_values
    return False


def _starts(n_values: int) -> bool:
    if n_values < min(_READY, _COLD) or not optional.available("numba"):
        return False
    kernels = optional.load("gpupipe.sources.page_kernels")
    if kernels.are_ready():
        return True
    if n_values >= _COLD:
        kernels.prepare()
        return True
    return False
