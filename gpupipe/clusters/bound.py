"""Orders bound in this process, a worker: once for all its tasks."""

import threading
from collections import OrderedDict
from typing import Any

from gpupipe.runtime.orders import Order, Work

_READY = 16  # orders that stay bound


class _Bound:
    """An order that is bound, or being bound, in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.work: Work[Any] | None = None


_bound: OrderedDict[str, _Bound] = OrderedDict()
_lock = threading.Lock()


def bound(token: str, order: Order[Any]) -> Work[Any]:
    """The order of this token bound, once a process."""
    with _lock:
        found = _bound.setdefault(token, _Bound())
        _bound.move_to_end(token)
        while len(_bound) > _READY:
            _bound.popitem(last=False)
    with found.lock:
        if found.work is None:
            found.work = order.ready()
        return found.work
