"""A kernel made ready to run: calls put in place, each instruction a closure, basic blocks."""

import re
from dataclasses import dataclass, field

from .access import is_space, load, store, to_generic
from .atomics import atomic
from .convert import convert
from .floats import FLOATS, set_predicate, set_value
from .integers import INTEGERS, Build
from .operands import Run, Scope, guarded
from .parse import Function, Instruction, Module, Param, PtxError, Variable, split
from .warps import active_mask, match, reduce, shuffle, vote, warp_barrier

FLOW = {"bra", "brx", "ret", "exit", "bar", "barrier", "trap"}
OTHERS: dict[str, Build] = {
    "ld": load, "ldu": load, "st": store, "cvt": convert, "cvta": to_generic, "isspacep": is_space,
    "setp": set_predicate, "set": set_value, "shfl": shuffle, "vote": vote, "match": match, "redux": reduce,
    "activemask": active_mask,
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

    steps: list[Step]
    end: Instruction | None
    at: int
    next: int


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
        whole = _Expanded(module, self.entry)
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
        self.scope.read_names = _read_names(self.code)
        self.blocks = self.prepare()

    def prepare(self) -> dict[int, Block]:
        """Basic blocks by where they begin."""
        starts = {0, *self.function.labels.values()}
        starts |= {at + 1 for at, ins in enumerate(self.code) if self.ends(ins)}
        ordered = sorted(at for at in starts if at < len(self.code))
        blocks = {}
        for at, stop in zip(ordered, [*ordered[1:], len(self.code)], strict=True):
            last = self.code[stop - 1]
            end = last if self.ends(last) else None
            inner = self.code[at : stop - 1] if end else self.code[at:stop]
            blocks[at] = Block([Step(self.closure(ins), ins) for ins in inner], end, at, stop)
            self.number_end(end)
        return blocks

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
            return guarded(atomic(self.scope, ins), self.scope, ins)
        if name == "bar":
            return guarded(warp_barrier(self.scope, ins), self.scope, ins)
        table = OTHERS if name in OTHERS else FLOATS if kind in ("f32", "f64") else INTEGERS
        if name not in table or kind in ("f16", "f16x2", "bf16"):
            raise PtxError(f"unsupported: {ins.text}")
        return guarded(table[name](self.scope, ins), self.scope, ins)


def _offsets(params: list[Param]) -> tuple[dict[str, int], int]:
    found, at = {}, 0
    for param in params:
        at = -(-at // param.align) * param.align
        found[param.name] = at
        at += param.size
    return found, at


def _read_names(code: list[Instruction]) -> set[str]:
    """Registers that some instruction reads: results that nobody reads need not be found."""
    found = set()
    for ins in code:
        read = ins.args if ins.op[0] in ("st", "red", "call") else ins.args[1:]
        text = " ".join((*read, ins.guard[0] if ins.guard else ""))
        found |= set(re.findall(r"%[\w$#@.]+|[A-Za-z_$][\w$#@]*", text))
    return found


class _Expanded:
    """An entry with the functions that it calls in place of the calls, each with registers and labels of its own."""

    def __init__(self, module: Module, entry: Function) -> None:
        self.module = module
        self.function = Function(entry.name, entry.params, [], dict(entry.registers), list(entry.variables))
        self.function.tables = dict(entry.tables)
        self.calls = 0
        self.seen: set[str] = set()
        self.append(entry, {}, "", 0)

    def append(self, function: Function, renames: dict[str, str], suffix: str, depth: int) -> None:
        """The instructions of one function; `renames`: its parameters as its caller calls them."""
        if depth > 16:
            raise PtxError(f"unsupported: {function.name} calls itself, or calls are nested deeper than 16")
        to = self.function
        by_place: dict[int, list[str]] = {}
        for label, place in function.labels.items():
            by_place.setdefault(place, []).append(label)
        for at, ins in enumerate((*function.code, None)):
            for label in by_place.get(at, ()):
                to.labels[label + suffix] = len(to.code)
            if ins is None:
                break
            if ins.op[0] == "call":
                self.call(ins, renames, suffix, depth)
            else:
                to.code.append(self.own(ins, renames, suffix, depth))
        to.labels[f"end of {function.name}{suffix}"] = len(to.code)
        for table, labels in function.tables.items():
            to.tables[table + suffix] = tuple(label + suffix for label in labels)

    def own(self, ins: Instruction, renames: dict[str, str], suffix: str, depth: int) -> Instruction:
        """An instruction in the names of the whole."""
        if not depth:
            return ins
        guard = (self.word(ins.guard[0], renames, suffix), ins.guard[1]) if ins.guard else None
        if ins.op[0] == "ret":
            return Instruction(("bra",), (f"end of {suffix.split('@')[2]}{suffix}",), guard, ins.text)
        args = tuple(re.sub(r"[%\w$#.]+", lambda w: self.word(w[0], renames, suffix), arg) for arg in ins.args)
        return Instruction(ins.op, args, guard, ins.text)

    def word(self, word: str, renames: dict[str, str], suffix: str) -> str:
        """One name of a function as the whole calls it."""
        if word in renames:
            return renames[word]
        called = self.current
        stem = re.sub(r"\d+$", "", word)
        kind = called.registers.get(word) or (called.registers.get(stem) if word.startswith("%") else None)
        if kind:
            self.function.registers[word + suffix] = kind
            return word + suffix
        return word + suffix if word in called.labels or word in called.tables else word

    def call(self, ins: Instruction, renames: dict[str, str], suffix: str, depth: int) -> None:
        """A call's callee in its place."""
        args = [arg for arg in ins.args]
        returns = split(args.pop(0).strip("() ")) if args[0].startswith("(") else ()
        name = args.pop(0)
        given = split(args.pop(0).strip("() ")) if args and args[0].startswith("(") else ()
        if name not in self.module.functions or ins.guard:
            raise PtxError(f"unsupported: {ins.text} (no such function in the module)")
        callee = self.module.functions[name]
        self.calls += 1
        own = f"@{self.calls}@{name}"
        if depth:
            given = tuple(self.word(word, renames, suffix) for word in given)
            returns = tuple(self.word(word, renames, suffix) for word in returns)
        handed = {param.name: word for param, word in zip(callee.params, given, strict=True)}
        handed |= {param.name: word for param, word in zip(callee.returns, returns, strict=True)}
        if name not in self.seen:
            self.seen.add(name)
            self.function.variables += callee.variables
        before = getattr(self, "current", None)
        self.current = callee
        self.append(callee, handed, own, depth + 1)
        if before is not None:
            self.current = before
