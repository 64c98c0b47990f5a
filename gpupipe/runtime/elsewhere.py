"""Rows that another process reads: what it has to know, and what its reading told."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gpupipe.backends.conform import as_planned
from gpupipe.columns import Frame, Values
from gpupipe.schema import Schema
from gpupipe.sources.partition import LoadReport, Partition

HEAD = 16  # rows kept for an artifact to be checked by


class Note(NamedTuple):
    """What reading a partition tells.

    Attributes:
        report: what it cost.
        height: its rows.
        head: those of them that an artifact may keep, or None.
        left_out: why it could not be read, and counts as one without rows; None: it was read.
    """

    report: LoadReport
    height: int
    head: Frame | None
    left_out: str | None = None


class HowRead(NamedTuple):
    """How the frames of some rows are read: the arguments of :class:`gpupipe.runtime.rows.Rows`.

    Attributes:
        columns, again: of the first trip, and of further ones; none: there are none.
        keeps: whether what is read now is kept for further ones.
        begins: the partition that the first trip begins with.
        schema, identity: as given.
        on_device: whether columns are decoded on the device.
    """

    columns: tuple[str, ...]
    again: tuple[str, ...]
    keeps: bool
    begins: int
    schema: Schema | None
    identity: Callable[[Frame], Values] | None
    on_device: bool


def as_asked(
    partition: Partition, frame: Frame, schema: Schema | None, identity: Callable[[Frame], Values] | None
) -> Frame:
    """The frame of a partition in the types of a schema, with identities of its rows."""
    if schema is not None:
        with partition.placed(frame):
            frame = as_planned(frame, schema)
    if identity is not None:
        with partition.placed(frame):
            frame = Frame(frame.columns, frame.n_rows, identity(frame), frame.positions)
    return frame


def first_rows(frame: Frame, size: int) -> Frame:
    """So many rows, copied, on the host."""
    first = frame.rows(0, size)
    return first.with_columns({name: first[name] for name in first.columns}).take(np.arange(size))
