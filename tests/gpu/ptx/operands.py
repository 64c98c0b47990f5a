"""Operands: how an instruction reads registers, constants and addresses, and where its result goes.

A register holds a NumPy array (a value a lane) or a NumPy scalar (all lanes have the same value). Arrays are never
written in place, so that registers may share them.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .parse import SIZES, Function, Instruction, PtxError, literal

if TYPE_CHECKING:
    from .batch import Batch

Value = Any  # an array or a NumPy scalar
Get = Callable[[list[Any]], Value]
Run = Callable[["Batch"], None]

DTYPES = {
    "pred": np.dtype(bool),
    **{f"{kind}{bits}": np.dtype(f"u{bits // 8}") for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    "f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"),
}  # fmt: skip
UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


class Scope:
    """The names of one function while its instructions are prepared."""

    def __init__(self, function: Function, symbols: dict[str, int]) -> None:
        self.function = function
        self.symbols = symbols  # addresses of variables
        self.numbers: dict[str, int] = {}  # registers, by name
        self.temporaries: set[str] = set()
        self.types: list[str] = []
        self.params: dict[str, int] = {}  # the kernel's own, by their place in the launch's bytes
        self.read_names: set[str] = set()
        self.temporary: set[int] = set()  # registers that no lane outside one basic block needs
        self.readers: dict[tuple[str, str], Get] = {}

    def slot(self, name: str, offset: int, size: int) -> str:
        """The register that stands for a part of a call's parameter."""
        slot = f"{name} at {offset}"
        self.function.registers[slot] = f"b{8 * size}"
        self.number(slot)
        return slot

    def number(self, name: str, kind: str | None = None) -> int:
        """Where a register stands; made when it is first seen."""
        if name not in self.numbers:
            self.numbers[name] = len(self.types)
            self.types.append(kind or self.declared(name))
            if name in self.temporaries:
                self.temporary.add(self.numbers[name])
        return self.numbers[name]

    def declared(self, name: str) -> str:
        kinds = self.function.registers
        stem = name if name in kinds else re.sub(r"\d+$", "", name)
        if stem in kinds:
            return kinds[stem]
        if name in ("%SP", "%SPL"):
            return "b64"
        if name.startswith("%"):
            return "u64" if name in ("%clock64", "%globaltimer") else "u32"
        raise PtxError(f"{name} is no register")

    def is_register(self, word: str) -> bool:
        """Whether a word names a register rather than a constant or a variable."""
        return word.startswith("%") or word in self.function.registers

    def reader(self, word: str, kind: str) -> Get:
        """What gives an operand's value as `kind`; one for all that read the same."""
        found = self.readers.get((word, kind))
        if found is None:
            found = self.readers[word, kind] = self.new_reader(word, kind)
        return found

    def new_reader(self, word: str, kind: str) -> Get:
        """The same, made anew."""
        dtype = DTYPES[kind]
        if kind == "pred" and word.startswith("!"):
            return _inverted(self.reader(word[1:], kind))
        if self.is_register(word):
            number = self.number(word)
            width = SIZES[self.types[number]]
            return _same_width(number, dtype) if width == dtype.itemsize else _low_bytes(number, width, dtype)
        return _constant(self.constant(word, dtype))

    def constant(self, word: str, dtype: np.dtype[Any]) -> Value:
        """A constant, or the address of a variable."""
        found = re.fullmatch(r"([A-Za-z_$][\w$]*)\s*(?:\+\s*(\d+))?", word)
        if found and found[1] in self.symbols:
            return dtype.type(self.symbols[found[1]] + int(found[2] or 0))
        if found:
            raise PtxError(f"no variable is called {found[1]}")
        bits = literal(word)
        if dtype.kind == "b":
            return np.bool_(bits)
        if word[:2] in ("0d", "0D") and dtype.itemsize == 4:
            return np.float32(np.uint64(bits).view(np.float64))
        return UNSIGNED[dtype.itemsize].type(bits & ((1 << 8 * dtype.itemsize) - 1)).view(dtype)

    def address(self, operand: str) -> Get:
        """The address in brackets, as uint64."""
        found = re.fullmatch(r"\[\s*([%\w$#.@ ]+?)\s*(?:\+\s*(-?\w+))?\s*\]", operand)
        if not found:
            raise PtxError(f"not an address: {operand}")
        offset = np.uint64(literal(found[2])) if found[2] else np.uint64(0)
        if not self.is_register(found[1]):
            return _constant(np.uint64(self.constant(found[1], np.dtype("u8"))) + offset)
        kind = "u64" if SIZES[self.types[self.number(found[1])]] == 8 else "u32"
        base = self.reader(found[1], kind)
        if kind == "u32":
            return lambda r: base(r).astype(np.uint64) + offset
        return base if not offset else lambda r: base(r) + offset

    def target(self, word: str) -> tuple[int, int]:
        """The number of the register that takes a result (-1 for ``_``), and its bytes."""
        if word == "_":
            return -1, 0
        number = self.number(word)
        return number, SIZES[self.types[number]]


def _constant(value: Value) -> Get:
    return lambda r: value


def _inverted(get: Get) -> Get:
    return lambda r: ~get(r)


def _same_width(number: int, dtype: np.dtype[Any]) -> Get:
    def get(r: list[Any]) -> Value:
        value = r[number]
        return value if value.dtype is dtype else value.view(dtype)

    return get


def _low_bytes(number: int, width: int, dtype: np.dtype[Any]) -> Get:
    held, kept = UNSIGNED[width], UNSIGNED[dtype.itemsize]
    if width < dtype.itemsize:
        raise PtxError(f"a register of {width} bytes is read as {dtype.itemsize}")
    return lambda r: r[number].view(held).astype(kept).view(dtype)


def widened(value: Value, width: int) -> Value:
    """A result in a register that is wider: the sign goes on, or zeros."""
    if value.dtype.itemsize == width:
        return value
    return value.astype(np.dtype(f"{'i' if value.dtype.kind == 'i' else 'u'}{width}"))


def words(operand: str) -> tuple[str, ...]:
    """The registers of ``{%r1, %r2}``, or the one register."""
    return tuple(part.strip() for part in operand.strip("{} ").split(","))


def pure(target: tuple[int, int], compute: Get) -> Run:
    """A result in one register, from registers alone."""
    number, width = target

    def run(batch: "Batch") -> None:
        value = compute(batch.r)
        if value.dtype.itemsize != width:
            value = widened(value, width)
        if batch.alone or number in batch.temporary:
            batch.r[number] = value
        else:
            batch.put(number, value)

    return run if number >= 0 else (lambda batch: None)


def guarded(run: Run, scope: Scope, ins: Instruction) -> Run:
    """An instruction that only the lanes run whose predicate holds."""
    if ins.guard is None:
        return run
    name, inverted = ins.guard
    get = scope.reader(name, "pred")

    def under(batch: "Batch") -> None:
        chosen = get(batch.r)
        batch.within(~chosen if inverted else chosen, run)

    return under
