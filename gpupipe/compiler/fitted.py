"""What the scans learned: for every slot, values by key. Data only; the compiler reads widths and names off it."""

from dataclasses import dataclass, field

import numpy as np

from gpupipe.columns import Column, Values


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """One reduction's finished values.

    Attributes:
        value: without keys, a column of one row; with keys, a row for each group; for a vocabulary, its entries.
        keys: the groups' keys, columns as long as `value`, sorted; none without keys.
        counts: for a vocabulary, how often each entry occurred; else None.
        by_fold: for each fold a value for each row of `value`, of the rows outside that fold, null where there are
            none; one fold below the other. None where not kept.
    """

    value: Column
    keys: tuple[Column, ...] = ()
    counts: Values | None = None
    by_fold: Column | None = None


@dataclass(slots=True)
class Fitted:
    """The learned values of every slot; a list a slot, one entry for each component of a wide value."""

    slots: dict[int, list[Learned]] = field(default_factory=dict)

    def labels(self, slot: int) -> list[str]:
        """The entries of a vocabulary, as text.

        Floats show as Python shows them; dates as ISO 8601.
        """
        return [_label(value) for value in plain_values(self.slots[slot][0].value)]


def _label(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def plain_values(column: Column) -> list[object]:
    """The column as Python values, None where null; dates as datetime objects."""
    if not isinstance(column.values, np.ndarray):
        plain = column.values.to_pylist()
    elif column.dtype.is_temporal:
        unit = {"Date": "datetime64[D]", "Datetime": "datetime64[us]", "Duration": "timedelta64[us]"}
        plain = column.values.astype(np.int64).view(unit[column.dtype.name]).tolist()
    else:
        plain = column.values.tolist()
    if column.valid is None:
        return list(plain)
    return [value if ok else None for value, ok in zip(plain, column.valid, strict=True)]
