"""The whole-column function of bins, by the name of its row in ``expr/columnwise.py``."""

import numpy as np

from gpupipe.backends.registers import height, spread_valid
from gpupipe.columns import Column
from gpupipe.schema import Int32


def bins(x: Column, *bounds: Column) -> Column:
    """How many of `bounds`, which increase, are at or below the value; NaN is beyond all. Null stays null."""
    size = height((x, *bounds))
    values = np.broadcast_to(x.values.astype(np.float64), size)
    valid = spread_valid((x, *bounds), size)
    limits = [bound.values.astype(np.float64) for bound in bounds]
    if all(len(limit) == 1 for limit in limits) and not np.isnan(limits).any():
        return Column(Int32, np.searchsorted(np.concatenate(limits), values, "right").astype(np.int32), valid)
    count = np.zeros(size, np.int32)
    for limit in limits:  # those of each row's group; or NaN, since there is nothing between infinities
        count += (values >= limit) | np.isnan(values)
    return Column(Int32, count, valid)
