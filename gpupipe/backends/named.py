"""Errors of data that say which expression they stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

from gpupipe.compiler.expand import only_column
from gpupipe.errors import DataError
from gpupipe.expr.node import Node, show


@contextmanager
def named(node: Node, value: Node | None = None) -> Iterator[None]:
    """Errors of data inside say which expression they stopped, and its column; `value`: what of it is at fault."""
    try:
        yield
    except DataError as error:
        raise error.within(show(node)).at(column=only_column(node if value is None else value)) from None
