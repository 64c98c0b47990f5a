"""PTX text to functions, instructions and variables; nothing is worked out here."""

import re
from dataclasses import dataclass, field

#: Bytes of a value of each PTX type; a predicate is kept as one byte.
SIZES = {"pred": 1} | {f"{kind}{bits}": bits // 8 for kind in "busf" for bits in (8, 16, 32, 64)}


class PtxError(Exception):
    """What a kernel did wrong, or an instruction that the machine does not know."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One statement: ``ld``, ``global``, ``f32`` with its operands, as they are written."""

    op: tuple[str, ...]
    args: tuple[str, ...]
    guard: tuple[str, bool] | None
    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """Memory with a name. `data`: (offset, bytes) or (offset, symbol, addend); None where it has no initial value."""

    name: str
    space: str
    align: int
    size: int
    data: tuple[tuple[int, bytes] | tuple[int, str, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of an entry or a function; `pointer` where the compiler says so."""

    name: str
    type: str
    size: int
    align: int
    pointer: bool


@dataclass(slots=True)
class Function:
    """The body of an entry or of a device function."""

    name: str
    params: list[Param]
    returns: list[Param]
    registers: dict[str, str] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Module:
    """All of a PTX text."""

    entries: dict[str, Function] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)


_HEAD = re.compile(
    r"(?:\.visible|\.weak|\.extern)?\s*\.(entry|func)\s*(?:\((?P<returns>[^)]*)\)\s*)?"
    r"(?P<name>[\w$]+)\s*(?:\((?P<params>[^)]*)\))?(?P<rest>[^{;]*)[{;]",
    re.S,
)
_PARAM = re.compile(
    r"\.param\s+(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>\w+)\s*(?P<ptr>\.ptr[^,\[]*?)?\s*"
    r"(?P<name>[\w$]+)\s*(?:\[(?P<count>\d+)\])?\s*$"
)
_VARIABLE = re.compile(
    r"(?:\.visible\s+|\.extern\s+|\.weak\s+)*\.(?P<space>global|const|shared|local)\s+(?:\.attribute\([^)]*\)\s*)?"
    r"(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>\w+)\s+(?P<name>[\w$]+)\s*(?P<dims>(?:\[\d*\])*)\s*"
    r"(?:=\s*(?P<data>.*))?$",
    re.S,
)
_REGISTER = re.compile(r"\.reg\s+\.(\w+)\s+(.*)$", re.S)
_INSTRUCTION = re.compile(r"(?:@(!?)([%\w$.]+)\s+)?([\w.:]+)\s*(.*)$", re.S)
_LABEL = re.compile(r"([\w$]+):(?!:)\s*")


def parse(text: str) -> Module:
    """The functions and variables of a PTX text."""
    text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    module = Module()
    at = 0
    while head := _HEAD.search(text, at):
        _declare(module, text[at : head.start()])
        function = Function(head["name"], _params(head["params"]), _params(head["returns"]))
        at = head.end()
        if text[at - 1] == "{":
            at = _Body(function, text, at).end
            (module.entries if head[1] == "entry" else module.functions)[function.name] = function
    _declare(module, text[at:])
    return module


def _declare(module: Module, text: str) -> None:
    for statement in text.split(";"):
        if found := _VARIABLE.search(statement.strip()):
            module.variables.append(_variable(found))


def _params(text: str | None) -> list[Param]:
    found = [_PARAM.match(part.strip()) for part in (text or "").split(",") if part.strip()]
    return [_param(one) for one in found if one]


def _param(found: re.Match[str]) -> Param:
    size = SIZES[found["type"]]
    align = int(found["align"] or size) if not found["ptr"] else size
    return Param(found["name"], found["type"], size * int(found["count"] or 1), align, bool(found["ptr"]))


def _variable(found: re.Match[str]) -> Variable:
    size = SIZES[found["type"]]
    total = size
    for count in re.findall(r"\[(\d*)\]", found["dims"]):
        total *= int(count or 0)
    data = None if found["data"] is None else tuple(_data(found["data"], size, found["type"]))
    return Variable(found["name"], found["space"], int(found["align"] or size), total, data)


def _data(text: str, size: int, kind: str) -> list[tuple[int, bytes] | tuple[int, str, int]]:
    found: list[tuple[int, bytes] | tuple[int, str, int]] = []
    for number, word in enumerate(text.replace("{", " ").replace("}", " ").replace("\n", " ").split(",")):
        word = word.strip().rstrip(";")
        symbol = re.match(r"(?:generic\()?([A-Za-z_$][\w$]*)\)?\s*(?:\+\s*(\d+))?$", word)
        if symbol:
            found.append((number * size, symbol[1], int(symbol[2] or 0)))
        elif word:
            found.append((number * size, literal(word).to_bytes(8, "little")[:size]))
    return found


def literal(word: str) -> int:
    """The bits of a constant: an integer, ``0f3F800000`` or ``0d3FF0000000000000``; negative ones in 64 bits."""
    if word[:2] in ("0f", "0F", "0d", "0D"):
        return int(word[2:], 16)
    word = word.rstrip("U")
    value = int(word, 8) if re.fullmatch(r"0[0-7]+", word) else int(word, 0)
    return value & 0xFFFFFFFFFFFFFFFF


def split(text: str) -> tuple[str, ...]:
    """Operands: commas within brackets of any kind do not part them."""
    parts, depth, last = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and not depth:
            parts.append(text[last:at].strip())
            last = at + 1
    parts.append(text[last:].strip())
    return tuple(part for part in parts if part)


class _Body:
    """The statements of one function; registers declared in an inner block get a name of their own."""

    def __init__(self, function: Function, text: str, at: int) -> None:
        self.function = function
        self.scopes: list[dict[str, str]] = [{}]
        self.n_scopes = 0
        while self.scopes:
            at = self.statement(text, at)
        self.end = at

    def statement(self, text: str, at: int) -> int:
        while text[at].isspace():
            at += 1
        if text[at] in "{}":
            self.brace(text[at])
            return at + 1
        if label := _LABEL.match(text, at):
            self.label(label[1])
            return label.end()
        end = text.index(";", at)
        self.take(" ".join(text[at:end].split()))
        return end + 1

    def label(self, name: str) -> None:
        self.function.labels[name] = len(self.function.code)

    def brace(self, letter: str) -> None:
        if letter == "}":
            self.scopes.pop()
        else:
            self.scopes.append({})
            self.n_scopes += 1

    def take(self, text: str) -> None:
        if text.startswith(".branchtargets"):
            name = next(label for label, at in self.function.labels.items() if at == len(self.function.code))
            self.function.tables[name] = split(text.removeprefix(".branchtargets"))
        elif found := _REGISTER.match(text):
            self.declare(found[1], split(found[2]))
        elif variable := _VARIABLE.match(text):
            self.function.variables.append(_variable(variable))
        elif text and not text.startswith("."):
            self.function.code.append(self.instruction(text))

    def declare(self, kind: str, names: tuple[str, ...]) -> None:
        for name in names:
            stem = name.split("<")[0]
            own = stem if len(self.scopes) == 1 else f"{stem}#{self.n_scopes}"
            self.scopes[-1][stem] = own
            self.function.registers[own] = kind

    def instruction(self, text: str) -> Instruction:
        found = _INSTRUCTION.match(text)
        if not found:
            raise PtxError(f"not an instruction: {text}")
        guard = (self.renamed(found[2]), bool(found[1])) if found[2] else None
        args = tuple(self.renamed(part) for part in split(found[4]))
        return Instruction(tuple(found[3].split(".")), args, guard, text)

    def renamed(self, operand: str) -> str:
        if len(self.scopes) == 1:
            return operand
        return re.sub(r"[%\w$]+", lambda word: self.own(word[0]), operand)

    def own(self, word: str) -> str:
        return next((scope[word] for scope in reversed(self.scopes) if word in scope), word)
