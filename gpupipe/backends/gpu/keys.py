"""Keys of device columns: rows into groups, as ``gpupipe.backends.keys`` has them on the host, to the bit."""

from dataclasses import dataclass

from gpupipe.columns import Column, Values
from gpupipe.kernels.gpu.device import DeviceArray


@dataclass(frozen=True, slots=True, eq=False)
class DeviceGroups:
    """Rows of a partition by group: ``gpupipe.backends.states.state.Groups`` with the rows' groups on a device.

    Attributes:
        of_row: int32 group of each row, -1 where a key is NaN; None: all rows are one group.
        keys: the groups' keys on the host, sorted, nulls last; none for one group.
        rows: int64 on the host, how many rows each group has.
    """

    of_row: DeviceArray | None
    keys: list[Column]
    rows: Values
