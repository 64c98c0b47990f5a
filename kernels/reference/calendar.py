"""Days since 1970-01-01 to year, month and day of the proleptic Gregorian calendar. Exact for +-2^31 days and far
beyond; int64 in, int64 out.

The year is taken to begin on 1 March, so that the leap day is its last day: then a day's number within the 400-year
cycle of 146,097 days gives year and month by integer division alone.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: Days from 0000-03-01 to 1970-01-01.
EPOCH = 719_468


def _march_year(days: Array) -> tuple[Array, Array]:
    """The year beginning in March, and the day within it, from 0."""
    shifted = days + EPOCH
    cycle = shifted // 146_097
    day = shifted - cycle * 146_097
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    return year + 400 * cycle, day - (365 * year + year // 4 - year // 100)


def year(days: Array) -> Array:
    """The year.

    >>> year(np.array([-1, 0, 19_782])).tolist()
    [1969, 1970, 2024]
    """
    march_year, day = _march_year(days)
    return march_year + (day >= 306)


def month(days: Array) -> Array:
    """The month, 1 to 12.

    >>> month(np.array([-1, 0, 19_782])).tolist()
    [12, 1, 2]
    """
    index = (5 * _march_year(days)[1] + 2) // 153
    return index + np.where(index < 10, 3, -9)


def day(days: Array) -> Array:
    """The day of the month, 1 to 31.

    >>> day(np.array([-1, 0, 19_782])).tolist()
    [31, 1, 29]
    """
    day_of_year = _march_year(days)[1]
    index = (5 * day_of_year + 2) // 153
    return day_of_year - (153 * index + 2) // 5 + 1
