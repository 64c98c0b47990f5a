"""Features as a cuDF frame: numbers as they stand in the GPU's memory, the rest from the host."""

from collections.abc import Sequence
from typing import Any

from gpupipe import optional
from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.libcudf import library_column
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.columns import AnyColumn, concat, on_host
from gpupipe.sources.border import to_arrow
from gpupipe.sources.kinds import plain


def frame_of(names: Sequence[str], parts: Sequence[Sequence[AnyColumn]], index: Any = None) -> Any:
    """The parts' rows one below the other as a ``cudf.DataFrame``.

    Numbers that are one part are not copied; text, and what stands for text, goes through the host.

    Args:
        parts: of each part the columns, in the order of the names.
        index: which the frame is given; None: cuDF's own.

    Raises:
        MissingDependencyError: cuDF is not installed.
    """
    columns = {name: _series([part[at] for part in parts]) for at, name in enumerate(names)}
    frame = optional.load("cudf").DataFrame(columns)
    if index is not None:
        frame.index = index
    return frame


def _series(parts: Sequence[AnyColumn]) -> Any:
    series = optional.load("cudf").Series
    try:
        return series.from_pylibcudf(_together([_there(part) for part in parts]))
    except NotOnDevice:
        return series.from_arrow(plain(to_arrow(concat([on_host(part) for part in parts]))))


def _there(column: AnyColumn) -> Any:
    if not isinstance(column, DeviceColumn) or column.values is None or not len(column) or column.dtype.time_zone:
        raise NotOnDevice("it is made on the host")
    return library_column(column)


def _together(pieces: Sequence[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else optional.load("pylibcudf").concatenate.concatenate(pieces)
