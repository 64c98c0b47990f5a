"""Frames that several share: their arrays cannot be written to."""

from dataclasses import replace

import numpy as np

from gpupipe.columns import AnyColumn, Column, Frame, Values


def read_only(frame: Frame) -> Frame:
    """The frame with arrays that nobody can write to, as others may hold the same ones."""
    columns = {name: _fixed_column(column) for name, column in frame.columns.items()}
    places = None if frame.places is None else _fixed(frame.places)
    return Frame(columns, frame.n_rows, _fixed(frame.row_ids), places)


def _fixed_column(column: AnyColumn) -> AnyColumn:
    if not isinstance(column, Column):  # what is on a device is written once
        return column
    valid = None if column.valid is None else _fixed(column.valid)
    return replace(column, values=_fixed(column.values), valid=valid)


def _fixed(values: Values) -> Values:
    if not isinstance(values, np.ndarray):
        return values
    fixed = values.view()
    fixed.flags.writeable = False
    return fixed
