"""Where variables stand in a memory of which each block, or each lane, has its own."""

from dataclasses import dataclass, field

from .parse import Variable


@dataclass(slots=True)
class Layout:
    """Where variables stand in a memory that each block, or lane, has for itself; gaps catch what runs over."""

    gap: int
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 0
    used: int = 0

    def add(self, variable: Variable, n_bytes: int | None = None) -> int:
        """The offset of a variable."""
        n_bytes = variable.size if n_bytes is None else n_bytes
        align = max(variable.align, 16)
        start = -(-(self.size + self.gap) // align) * align
        self.places[variable.name] = (start, n_bytes)
        self.size = start + n_bytes
        self.used = -(-self.used // variable.align) * variable.align + n_bytes
        return start

    @property
    def stride(self) -> int:
        """Bytes from one block's, or lane's, to the next one's."""
        return -(-(self.size + self.gap) // 16) * 16

    def describe(self, at: int) -> str:
        """An offset in words."""
        for name, (start, size) in self.places.items():
            if start <= at < start + size:
                return f"byte {at - start} of {name}, {size} bytes"
        below = [(start, size, name) for name, (start, size) in self.places.items() if start + size <= at]
        if not below:
            return f"offset {at}, before any variable"
        start, size, name = max(below)
        return f"{at - start - size} bytes behind the end of {name}, {size} bytes"
