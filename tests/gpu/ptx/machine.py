"""Launches: blocks in batches, all lanes of a batch in lock step, and what went wrong in words."""

from collections.abc import Callable

import numpy as np

from .assigned import names
from .batch import Batch
from .memory import Fault, GlobalMemory
from .operands import Value
from .parse import PtxError
from .program import Program
from .races import ATOMIC, Watch


class Launch:
    """One launch of a program.

    Args:
        number: of the launch, 1 to 2,047.
        parameters: the bytes of all parameters.
        watch: the marks of global memory.
        may_race: whether races are let pass in global memory.
        lanes: about how many lanes run together.
        backwards: the last block first, and of atomics the last lane: what may not show in a result.
    """

    def __init__(
        self, program: Program, grid: int, block: int, parameters: Value, memory: GlobalMemory, watch: Watch,
        number: int, may_race: bool = False, lanes: int = 1 << 13, step_limit: int = 2_000_000,
        backwards: bool = False,
    ) -> None:  # fmt: skip
        self.program, self.grid, self.block, self.parameters = program, grid, block, parameters
        self.memory, self.watch, self.number, self.may_race = memory, watch, number, may_race
        self.width = -(-block // 32) * 32
        self.lanes, self.step_limit, self.backwards = lanes, step_limit, backwards
        if grid * self.width >= 1 << ATOMIC:
            raise PtxError(f"{grid} blocks of {block} threads are more than the simulation counts")
        watch.width, watch.describe = np.uint64(self.width), self.describe
        watch.begin(number)

    def describe(self, thread: int) -> str:
        """A thread by its number, padding included."""
        return f"block {thread // self.width} thread {thread % self.width}"

    def run(self) -> int:
        """All blocks; how many instructions ran, of all batches."""
        own = self.program.layout.stride + self.width * self.program.local.stride
        together = max(1, min(self.lanes // self.width, (1 << 26) // own))
        steps = 0
        with np.errstate(all="ignore"):
            starts = range(0, self.grid, together)
            for first in reversed(starts) if self.backwards else starts:
                batch = Batch(self, first, min(together, self.grid - first))
                self.guarded(batch, batch.run)
                self.guarded(batch, batch.shared_watch.settle)
                steps += batch.steps
            self.guarded(batch, self.watch.settle)
        return steps

    def guarded(self, batch: Batch, act: Callable[[], None]) -> None:
        """Say of what goes wrong where it did."""
        try:
            act()
        except Fault as wrong:
            self.watch.reads = []
            lane = int(batch.lanes()[wrong.lane]) if 0 <= wrong.lane < batch.count else -1
            who = f", {self.describe(int(batch.threads[lane]))}" if lane >= 0 else ""
            text = f": {batch.at.text}" if batch.at and lane >= 0 else ""
            raise PtxError(f"{self.program.name}{who}: {wrong}{text}") from None
        except (AttributeError, TypeError) as wrong:
            unset = self.unset(batch)
            if not unset:
                raise
            text = batch.at.text if batch.at else ""
            raise PtxError(f"{self.program.name}: {unset} is read and was never set: {text}") from wrong
        except PtxError as wrong:
            text = f": {batch.at.text}" if batch.at else ""
            raise PtxError(f"{self.program.name}: {wrong}{text}") from None

    def unset(self, batch: Batch) -> str | None:
        """A register that the instruction at hand reads, and that has no value."""
        if batch.at is None:
            return None
        numbers = self.program.scope.numbers
        read = names(batch.at)[1]
        return next((name for name in read if name in numbers and batch.r[numbers[name]] is None), None)
