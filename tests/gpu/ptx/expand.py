"""Calls of device functions that NVRTC left as calls, put in place."""

import re

from .parse import Function, Instruction, Module, PtxError, split


class Expanded:
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
        args = list(ins.args)
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
