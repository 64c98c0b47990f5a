"""Rows that come after others, as if both had been listed together."""

from dataclasses import replace

from gpupipe.sources.source import Source


def following(source: Source, n_rows: int) -> Source:
    """The same rows, standing after `n_rows` others: their positions, and so folds and splits, go on from there.

    >>> from gpupipe.sources.source import scan
    >>> following(scan({"x": [5, 6]}), 10).load(0).row_ids
    array([10, 11], dtype=uint64)
    """
    listing = source._listing
    moved = tuple(replace(partition, first_row=partition.first_row + n_rows) for partition in listing.partitions)
    return Source(replace(listing, partitions=moved), source._steps)
