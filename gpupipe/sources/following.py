"""Rows that come after others, as if both had been listed together."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from gpupipe.columns import Frame
from gpupipe.kernels.gpu.device import Device
from gpupipe.schema import Schema
from gpupipe.sources.partition import Listing, LoadReport
from gpupipe.sources.source import Source


class Following(Source):
    """The same rows, standing after `n_rows` others: their positions, and so folds, go on from there.

    Its own splits are not made anew: they stay what they were by the positions the rows were given with.

    Attributes:
        given: the rows as they were given.

    >>> from gpupipe.sources.source import scan
    >>> Following(scan({"x": [5, 6]}), 10).load(0).row_ids
    array([10, 11], dtype=uint64)
    """

    def __init__(self, given: Source, n_rows: int) -> None:
        self.given, self._after = given, np.uint64(n_rows)
        listing = given._listing
        moved = tuple(replace(partition, first_row=partition.first_row + n_rows) for partition in listing.partitions)
        super().__init__(replace(listing, partitions=moved), given._steps)

    def load_with_report(
        self, partition: int, columns: Iterable[str] | None = None, device: Device | None = None
    ) -> tuple[Frame, LoadReport]:
        """The frame of one partition as it was given, its positions moved, and what it cost."""
        frame, report = self.given.load_with_report(partition, columns, device)
        positions = frame.positions + self._after
        hashed = frame.places is not None
        return Frame(
            frame.columns, frame.n_rows, frame.row_ids if hashed else positions, positions if hashed else None
        ), report


class Chain(Source):
    """Sources one after the other, each with steps of its own, in the types of one schema.

    Args:
        sources: one or more, each :class:`Following` those before it.
        schema: the columns that can be asked for.

    >>> from gpupipe.sources.source import scan
    >>> old = scan({"x": [1, 2]})
    >>> chain = Chain([old, Following(scan({"x": [3]}), 2)], old.schema)
    >>> chain.n_rows, chain.load(1)["x"].values, chain.load(1).row_ids
    (3, array([3]), array([2], dtype=uint64))
    """

    def __init__(self, sources: Iterable[Source], schema: Schema) -> None:
        self._sources = tuple(sources)
        self._places = [(source, at) for source in self._sources for at in range(len(source.partitions))]
        listed = tuple(partition for source in self._sources for partition in source.partitions)
        super().__init__(Listing(schema, listed, {}, self._sources[-1].label))

    @property
    def drops_rows(self) -> bool:
        """Whether a step of any of them drops rows."""
        return any(source.drops_rows for source in self._sources)

    def nbytes(self, columns: Iterable[str] | None = None, *, stored: bool = False) -> int:
        """Bytes that loading the columns decodes, or with `stored` reads, as far as metadata tell."""
        names = list(self.schema if columns is None else columns)
        return sum(source.nbytes(names, stored=stored) for source in self._sources)

    def load_with_report(
        self, partition: int, columns: Iterable[str] | None = None, device: Device | None = None
    ) -> tuple[Frame, LoadReport]:
        """The frame of one partition after the steps of its own source, and what it cost."""
        source, at = self._places[partition]
        return source.load_with_report(at, list(self.schema if columns is None else columns), device)
