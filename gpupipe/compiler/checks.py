"""Parameters that only the engine which runs them can judge, tried on nothing while planning."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpupipe.arrow_arrays import array_of
from gpupipe.errors import ParameterError
from gpupipe.expr.node import Node
from gpupipe.expr.re2 import why_unreadable
from gpupipe.expr.times import zone_of


@lru_cache(maxsize=256)
def check_zone(zone: str) -> None:
    """Refuse a time zone that is not known.

    >>> check_zone("Europe/Rom")
    Traceback (most recent call last):
    gpupipe.errors.ParameterError: There is no time zone 'Europe/Rom'. Names are like 'Europe/Rome', 'UTC', '+02:00'.
    """
    try:
        pc.local_timestamp(array_of(np.zeros(1, np.int64), None, pa.timestamp("us", zone)))
    except pa.ArrowInvalid:
        raise ParameterError(
            f"There is no time zone {zone!r}. Names are like 'Europe/Rome', 'UTC', '+02:00'."
        ) from None


@lru_cache(maxsize=256)
def _check_pattern(op: str, pattern: str, value: str | None) -> None:
    why = why_unreadable(pattern, value)
    if why is not None:
        raise ParameterError(
            f"{op} cannot read the pattern {pattern!r}{'' if value is None else f' with {value!r}'}: {why}. "
            "Its syntax is that of RE2. literal=True?"
        )


def _pattern(node: Node) -> None:
    if not node["literal"]:
        _check_pattern(node.op, node["pattern"], node.get("value"))


def _to_datetime(node: Node) -> None:
    zone = zone_of(node["format"], node["time_zone"])
    if zone is not None:
        check_zone(zone)


CHECKS: dict[str, Callable[[Node], None]] = {
    "contains": _pattern,
    "replace": _pattern,
    "replace_all": _pattern,
    "to_datetime": _to_datetime,
}
