"""Who hears of the trips that a call of the user's makes, wherever in it they are made."""

from contextvars import ContextVar
from typing import Any

#: A `progress.Heard`, which rows keep as they begin to be read; None: nobody.
HEARD: ContextVar[Any] = ContextVar("gpupipe_heard", default=None)
