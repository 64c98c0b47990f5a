"""Which register holds which value: a register is free again after its value's last use."""

from collections.abc import Callable, Sequence

from gpupipe.expr.node import Node


class Registers:
    """Registers for nodes evaluated in `order`, operands before what uses them.

    >>> from gpupipe.expr.node import make
    >>> a, b = make("col", name="a"), make("col", name="b")
    >>> total = make("add", a, b)
    >>> registers = Registers([a, b, total], lambda node: node.args)
    >>> [registers.place(node) for node in (a, b, total)], registers.count
    ([0, 1, 0], 2)
    """

    def __init__(self, order: Sequence[Node], operands: Callable[[Node], tuple[Node, ...]]) -> None:
        self._operands = operands
        self._last: dict[Node, int] = {}
        for position, node in enumerate(order):
            for arg in operands(node):
                self._last[arg] = max(position, self._last.get(arg, 0))
        self._position = {node: position for position, node in enumerate(order)}
        self._register: dict[Node, int] = {}
        self._free: list[int] = []
        self.count = 0

    def of(self, node: Node) -> int:
        """The register a node was placed in."""
        return self._register[node]

    def place(self, node: Node) -> int:
        """A register for a node, which may be one of an operand used here for the last time."""
        for arg in dict.fromkeys(self._operands(node)):
            if self._last[arg] == self._position[node]:
                self._free.append(self._register[arg])
        if not self._free:
            self._free.append(self.count)
            self.count += 1
        self._free.sort(reverse=True)
        self._register[node] = self._free.pop()
        return self._register[node]

    def release(self, node: Node) -> None:
        """Free the register of a node that nothing uses any more, now that it is stored."""
        if node not in self._last:
            self._free.append(self._register[node])
