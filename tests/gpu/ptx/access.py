"""ld, st and cvta: what reaches memory."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .memory import GLOBAL, LOCAL, SHARED, WINDOW, Fault, Space
from .operands import DTYPES, Get, Run, Scope, Value, pure, widened, words
from .parse import Instruction, PtxError
from .races import Watch

if TYPE_CHECKING:
    from .batch import Batch

Place = tuple[Space, Watch | None, Value]


def space_of(ins: Instruction) -> str:
    """The state space that an instruction names; generic where it names none."""
    return next((one.split("::")[0] for one in ins.op[1:] if one.split("::")[0] in SPACES), "generic")


def to_global(batch: "Batch", address: Value) -> Place:
    """Global memory, of which constants are a part."""
    return batch.memory, batch.watch, address - np.uint64(GLOBAL)


def to_shared(batch: "Batch", address: Value) -> Place:
    """The shared memory of each lane's block."""
    stride = batch.shared_stride
    if (address >= stride).any():
        wrong = np.atleast_1d(address >= stride)
        at = int(np.atleast_1d(address)[wrong.argmax()])
        raise Fault(f"out of bounds: shared memory, {batch.program.layout.describe(at)}", int(wrong.argmax()))
    return batch.shared, batch.shared_watch, address + batch.active(batch.shared_base)


def to_local(batch: "Batch", address: Value) -> Place:
    """Each lane's own memory."""
    stride = batch.local_stride
    if (address >= stride).any():
        raise Fault("out of bounds: local memory", int(np.atleast_1d(address >= stride).argmax()))
    return batch.local, None, address + batch.active(batch.local_base)


SPACES = {"global": to_global, "const": to_global, "shared": to_shared, "local": to_local, "param": to_global}


def everywhere(batch: "Batch", space: str, get: Get, act: "Act") -> None:
    """Do `act` with the addresses of the lanes at work; generic ones part by the window that they lie in."""
    full = get(batch.r)
    if space != "generic":
        act(batch, *SPACES[space](batch, batch.active(full)))
        return
    address = batch.active(full)
    for low, high, name in WINDOWS:
        inside = (address >= low) & (address < high)
        if inside.all():
            act(batch, *SPACES[name](batch, address - np.uint64(0 if name == "global" else low)))
            return
        if inside.any():
            chosen = (full >= low) & (full < high)
            batch.within(chosen, lambda b, n=name: everywhere(b, n, _moved(get, n), act))  # type: ignore[misc]
    outside = np.atleast_1d((address < SHARED) | ((address >= LOCAL + WINDOW) & (address < GLOBAL)))
    if outside.any():
        at = int(np.atleast_1d(address)[outside.argmax()])
        raise Fault(f"out of bounds: address {at:#x}, in no memory", int(outside.argmax()))


WINDOWS = [
    (np.uint64(GLOBAL), np.uint64(2**64 - 1), "global"), (np.uint64(SHARED), np.uint64(SHARED + WINDOW), "shared"),
    (np.uint64(LOCAL), np.uint64(LOCAL + WINDOW), "local"),
]  # fmt: skip
BASES = {"shared": np.uint64(SHARED), "local": np.uint64(LOCAL), "global": np.uint64(0)}


def _moved(get: Get, name: str) -> Get:
    return lambda r: get(r) - BASES[name]


class Act:
    """What is done at the addresses."""

    def __init__(self, scope: Scope, ins: Instruction) -> None:
        self.kind = ins.op[-1]
        self.dtype = DTYPES[self.kind]
        self.size = self.dtype.itemsize
        self.count = next((int(one[1:]) for one in ins.op if one in ("v2", "v4", "v8")), 1)
        #: Strong operations meet atomics without a race.
        self.strong = bool({"volatile", "relaxed", "acquire", "release"} & set(ins.op))

    def __call__(self, batch: "Batch", space: Space, watch: Watch | None, address: Value) -> None:
        raise NotImplementedError


class Load(Act):
    """The values of ld into registers."""

    def __init__(self, scope: Scope, ins: Instruction) -> None:
        super().__init__(scope, ins)
        self.targets = [scope.target(word) for word in words(ins.args[0])]

    def __call__(self, batch: "Batch", space: Space, watch: Watch | None, address: Value) -> None:
        first = space.places(address, self.size, self.count)
        for k, (number, width) in enumerate(self.targets):
            place = first + k if k else first
            value = space.load(place, self.size)
            if watch is not None:
                watch.read(place, self.size, batch.marks(), self.strong)
            if number >= 0:
                batch.scatter(number, widened(value.view(self.dtype), width))


class Store(Act):
    """The values of st from registers."""

    def __init__(self, scope: Scope, ins: Instruction) -> None:
        super().__init__(scope, ins)
        self.sources = [scope.reader(word, f"b{8 * self.size}") for word in words(ins.args[1])]

    def __call__(self, batch: "Batch", space: Space, watch: Watch | None, address: Value) -> None:
        first = space.places(address, self.size, self.count)
        if first.ndim == 0:
            first = np.broadcast_to(first, (batch.count,))
        for k, get in enumerate(self.sources):
            place = first + k if k else first
            space.check_store(place, self.size)
            if watch is not None and not (self.strong or batch.may_race):
                watch.write(place, self.size, batch.marks())
            elif watch is not None and not batch.may_race:
                watch.atomic(np.atleast_1d(place), self.size, np.atleast_1d(batch.marks()))
            value = batch.active(get(batch.r))
            space.store(place, self.size, value)


def load(scope: Scope, ins: Instruction) -> Run:
    """ld from any memory."""
    space = space_of(ins)
    if space == "param":
        return load_parameter(scope, ins)
    get, act = scope.address(ins.args[1]), Load(scope, ins)
    return lambda batch: everywhere(batch, space, get, act)


def store(scope: Scope, ins: Instruction) -> Run:
    """st to any memory."""
    space = space_of(ins)
    if space == "param":
        return store_parameter(scope, ins)
    get, act = scope.address(ins.args[0]), Store(scope, ins)
    return lambda batch: everywhere(batch, space, get, act)


def _slot(operand: str) -> tuple[str, int]:
    name, _, offset = operand.strip("[] ").partition("+")
    return name.strip(), int(offset or 0)


def load_parameter(scope: Scope, ins: Instruction) -> Run:
    """ld.param: of the kernel, from the launch; of a function, from where its caller put it."""
    name, offset = _slot(ins.args[1])
    dtype = DTYPES[ins.op[-1]]
    if name.startswith("%"):
        raise PtxError(f"unsupported: a parameter's address in a register: {ins.text}")
    runs = []
    for k, word in enumerate(words(ins.args[0])):
        at = offset + k * dtype.itemsize
        get = _kernel_parameter(scope.params[name] + at, dtype) if name in scope.params else None
        if get is None:
            get = scope.reader(scope.slot(name, at, dtype.itemsize), f"{ins.op[-1]}")
        runs.append(pure(scope.target(word), get))
    return all_of(runs)


def _kernel_parameter(at: int, dtype: np.dtype[Any]) -> Get:
    return lambda r: r[0][at : at + dtype.itemsize].view(dtype)[0]


def all_of(runs: list[Run]) -> Run:
    """One after the other."""
    if len(runs) == 1:
        return runs[0]

    def run(batch: "Batch") -> None:
        for one in runs:
            one(batch)

    return run


def store_parameter(scope: Scope, ins: Instruction) -> Run:
    """st.param: what a call hands over, or a function gives back."""
    name, offset = _slot(ins.args[0])
    size = DTYPES[ins.op[-1]].itemsize
    runs = []
    for k, word in enumerate(words(ins.args[1])):
        slot = scope.slot(name, offset + k * size, size)
        runs.append(pure(scope.target(slot), scope.reader(word, f"b{8 * size}")))
    return all_of(runs)


def to_generic(scope: Scope, ins: Instruction) -> Run:
    """cvta, from a window to generic addresses or, with .to, back."""
    base = BASES.get(space_of(ins), np.uint64(0))
    get = scope.reader(ins.args[1], "u64")
    if "to" in ins.op:
        return pure(scope.target(ins.args[0]), lambda r: get(r) - base)
    return pure(scope.target(ins.args[0]), lambda r: get(r) + base)


def is_space(scope: Scope, ins: Instruction) -> Run:
    """isspacep."""
    low, high = next((low, high) for low, high, name in WINDOWS if name == space_of(ins))
    get = scope.reader(ins.args[1], "u64")
    return pure(scope.target(ins.args[0]), lambda r: (get(r) >= low) & (get(r) < high))
