"""A kernel made ready to run: calls put in place, each instruction a closure, basic blocks."""

from dataclasses import dataclass

from .access import is_space, load, store, to_generic
from .assigned import Assigned, watched
from .atomics import atomic
from .convert import convert
from .expand import Expanded
from .floats import FLOATS, set_predicate, set_value
from .integers import INTEGERS, Build
from .layout import Layout
from .operands import Run, Scope, guarded
from .parse import Instruction, Module, Param, PtxError
from .warps import active_mask, match, reduce, shuffle, vote, warp_barrier

FLOW = {"bra", "brx", "ret", "exit", "bar", "barrier", "trap"}
OTHERS: dict[str, Build] = {
    "ld": load, "ldu": load, "st": store, "cvt": convert, "cvta": to_generic, "isspacep": is_space,
    "setp": set_predicate, "set": set_value, "shfl": shuffle, "vote": vote, "match": match, "redux": reduce,
    "activemask": active_mask,
}  # fmt: skip
#: Registers that are set before the first instruction.
KNOWN = {
    "%laneid", "%warpid", "%nwarpid", "%clock64", "%clock", "%globaltimer", "%smid", "WARP_SZ",
    *(f"%lanemask_{name}" for name in ("lt", "le", "eq", "ge", "gt")),
    *(f"%{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyz"),
}  # fmt: skip
SILENT = {"membar", "fence", "prefetch", "prefetchu", "nanosleep", "discard", "applypriority", "pmevent"}


@dataclass(slots=True)
class Step:
    """One instruction, ready."""

    run: Run
    ins: Instruction


@dataclass(slots=True)
class Block:
    """Steps that run one after the other; `end` says where lanes go then."""

    steps: list[Step] | None
    end: Instruction | None
    at: int
    next: int


class Program:
    """One entry of a module.

    Args:
        symbols: addresses of the module's variables in global memory.
        dynamic: bytes of dynamic shared memory of a block.
    """

    def __init__(self, module: Module, entry: str, symbols: dict[str, int], dynamic: int) -> None:
        if entry not in module.entries:
            raise PtxError(f"no entry is called {entry}; there are: {', '.join(module.entries)}")
        self.entry = module.entries[entry]
        self.name = entry
        self.layout, self.local = Layout(64), Layout(16)
        whole = Expanded(module, self.entry)
        self.function, self.code = whole.function, whole.function.code
        places = dict(symbols)
        shared = [v for v in (*module.variables, *self.function.variables) if v.space == "shared"]
        for variable in sorted(shared, key=lambda v: v.size == 0):
            places[variable.name] = self.layout.add(variable, variable.size or dynamic)
        for variable in self.function.variables:
            if variable.space == "local":
                places[variable.name] = self.local.add(variable)
        self.scope = Scope(self.function, places)
        self.scope.number("kernel parameters", "b64")
        self.scope.params, self.parameter_bytes = _offsets(self.entry.params)
        self.blocks, ways = self.divided()
        self.assigned = Assigned(self.code, ways, KNOWN)
        self.scope.read_names = self.assigned.read
        self.scope.temporaries = self.assigned.temporaries(ways)

    def divided(self) -> tuple[dict[int, Block], dict[int, tuple[int, list[int]]]]:
        """Basic blocks by where they begin, and the ways between them."""
        starts = {0, *self.function.labels.values()}
        starts |= {at + 1 for at, ins in enumerate(self.code) if self.ends(ins)}
        ordered = sorted(at for at in starts if at < len(self.code))
        blocks, ways = {}, {}
        for at, stop in zip(ordered, [*ordered[1:], len(self.code)], strict=True):
            end = self.code[stop - 1] if self.ends(self.code[stop - 1]) else None
            blocks[at] = Block(None, end, at, stop)
            ways[at] = (stop, self.after(stop))
        return blocks, ways

    def after(self, stop: int) -> list[int]:
        """Where lanes may go from the instruction before `stop`."""
        end = self.code[stop - 1]
        labels = self.function.labels
        found = [] if end.op[0] in ("bra", "ret", "exit", "brx", "trap") and end.guard is None else [stop]
        if end.op[0] == "bra":
            found.append(labels[end.args[0]])
        elif end.op[0] == "brx":
            found += [labels[label] for label in self.function.tables[end.args[1]]]
        return found

    def prepare(self, block: Block) -> list[Step]:
        """The steps of a block, made when lanes first come to it: large kernels have many that no test enters."""
        stop = block.next - (block.end is not None)
        self.number_end(block.end)
        steps = [Step(self.ready(at), self.code[at]) for at in range(block.at, stop)]
        block.steps = steps
        return steps

    def prepare_all(self) -> None:
        """Raise for any instruction that the machine does not know.

        Raises:
            PtxError: there is one.
        """
        for block in self.blocks.values():
            self.prepare(block)

    def ready(self, at: int) -> Run:
        """What runs one instruction, under its predicate."""
        ins, assigned = self.code[at], self.assigned
        run = self.closure(ins)
        reads = assigned.doubtful.get(at, set())
        writes = assigned.noted.intersection(assigned.names[at][0])
        if reads or writes:
            run = watched(run, reads - {ins.guard[0] if ins.guard else ""}, writes, self.scope)
        return guarded(run, self.scope, ins)

    def number_end(self, end: Instruction | None) -> None:
        """Make the registers that the end of a block needs."""
        names = [end.guard[0]] if end and end.guard else []
        names += [end.args[0]] if end and end.op[0] == "brx" else []
        names += [end.args[0], end.args[-1].strip("!")] if end and "red" in end.op else []
        for name in names:
            self.scope.number(name)

    @staticmethod
    def ends(ins: Instruction) -> bool:
        """Whether lanes may part, stop or wait at an instruction."""
        return ins.op[0] in FLOW and ins.op[:2] != ("bar", "warp")

    def closure(self, ins: Instruction) -> Run:
        """What runs one instruction."""
        name, kind = ins.op[0], ins.op[-1]
        if name in SILENT:
            return lambda batch: None
        if name in ("atom", "red"):
            return atomic(self.scope, ins)
        if name == "bar":
            return warp_barrier(self.scope, ins)
        table = OTHERS if name in OTHERS else FLOATS if kind in ("f32", "f64") else INTEGERS
        if name not in table or kind in ("f16", "f16x2", "bf16"):
            raise PtxError(f"unsupported: {ins.text}")
        return table[name](self.scope, ins)


def _offsets(params: list[Param]) -> tuple[dict[str, int], int]:
    found, at = {}, 0
    for param in params:
        at = -(-at // param.align) * param.align
        found[param.name] = at
        at += param.size
    return found, at
