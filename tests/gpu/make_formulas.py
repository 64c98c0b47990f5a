"""Writes kernels/gpu/formulas.cuh, the formulas of kernels/reference as CUDA C++: ``python tests/gpu/make_formulas.py``

The formulas are written with a few primitives, operators and constants alone, so a walk over their syntax is enough: it
follows each from float64 arguments through every function it calls, knows the type of every value, and prints the same
operations in the same order. A test holds that the file is what the formulas say now.
"""

import ast
import inspect
import operator
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from gpupipe.kernels.reference import calendar, math, trigonometry

TARGET = Path(__file__).resolve().parents[2] / "kernels" / "gpu" / "formulas.cuh"
FLOATS = [
    "log", "log1p", "log1p_of_float32", "exp", "expm1", "sin", "cos", "tanh", "sigmoid", "arcsin", "arctan", "power",
]  # fmt: skip
DAYS = ["year", "month", "day"]

HEAD = """\
// Written by tests/gpu/make_formulas.py from kernels/reference: change the formulas there and run it.
// Every operation is one IEEE operation, in the order of the reference. Compile with --fmad=false.
"""
C_TYPES = {"d": "double", "i": "i64", "b": "bool"}
#: Primitive -> (its C++, the type it gives).
PRIMITIVES = {
    "bits_of": ("__double_as_longlong({})", "i"), "float_of": ("__longlong_as_double({})", "d"),
    "to_float": ("(double)({})", "d"), "floor": ("floor({})", "d"), "root": ("sqrt({})", "d"),
}  # fmt: skip
FLOAT_OPERATORS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
WHOLE_OPERATORS: dict[type, str] = {
    ast.Add: "(i64)((u64){} + (u64){})", ast.Sub: "(i64)((u64){} - (u64){})", ast.Mult: "(i64)((u64){} * (u64){})",
    ast.LShift: "(i64)((u64){} << {})", ast.RShift: "({} >> {})", ast.BitAnd: "({} & {})",
    ast.FloorDiv: "floor_divided({}, {})",
}  # fmt: skip
COMPARISONS: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
FOLDED: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.Div: operator.truediv,
}  # fmt: skip

#: What an expression is in C++, and its type: d, i or b, or one of these a member of a tuple.
Value = tuple[str, str]


def literal(value: Any) -> Value:
    """A number so that every bit arrives."""
    if isinstance(value, bool):
        return str(value).lower(), "b"
    if isinstance(value, int):
        return (f"{value}LL" if value >= 0 else f"({value}LL)"), "i"
    if value != value:
        return "__longlong_as_double(0x7FF8000000000000LL)", "d"
    if value in (float("inf"), float("-inf")):
        return f"__longlong_as_double(0x{'7' if value > 0 else 'F'}FF0000000000000LL)", "d"
    return (repr(value) if value >= 0 else f"({value!r})"), "d"


class Writer:
    """Functions as they are asked for, callees first."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {**vars(calendar), **vars(trigonometry), **vars(math)}
        self.done: dict[tuple[str, str], tuple[str, str]] = {}
        self.tuples: dict[str, None] = {}
        self.tables: dict[str, tuple[Any, ...]] = {}
        self.text: list[str] = []

    def function(self, name: str, types: str) -> tuple[str, str]:
        """The C++ name and the result's type of a function for arguments of these types; written once."""
        if (name, types) not in self.done:
            made: FunctionType = self.names[name]
            definition = ast.parse(textwrap.dedent(inspect.getsource(made))).body[0]
            assert isinstance(definition, ast.FunctionDef)
            called = "part" + name if name.startswith("_") else "f_" + name
            gives, body = Body(self, definition, types).written()
            arguments = zip(types, definition.args.args, strict=True)
            head = ", ".join(f"{C_TYPES[kind]} {argument.arg}" for kind, argument in arguments)
            self.text.append(f"INLINE {self.c_type(gives)} {called}({head}) {{\n{body}}}\n")
            self.done[name, types] = called, gives
        return self.done[name, types]

    def c_type(self, types: str) -> str:
        if len(types) == 1:
            return C_TYPES[types]
        self.tuples[types] = None
        return f"Tuple_{types}"

    def file(self) -> str:
        """The whole file."""
        structs = []
        for types in self.tuples:
            members = " ".join(f"{C_TYPES[kind]} v{number};" for number, kind in enumerate(types))
            structs.append(f"struct Tuple_{types} {{ {members} }};\n")
        tables = []
        for name, values in self.tables.items():
            kind = literal(values[0])[1]
            numbers = textwrap.fill(", ".join(literal(v)[0] for v in values), 118, break_on_hyphens=False)
            tables.append(f"__device__ const {C_TYPES[kind]} {name}[{len(values)}] = {{\n{numbers}}};\n")
        return HEAD + "\n" + "".join(structs) + "\n" + "".join(tables) + "\n".join(self.text)


class Body:
    """The statements of one function."""

    def __init__(self, writer: Writer, definition: ast.FunctionDef, types: str) -> None:
        self.writer = writer
        self.definition = definition
        self.local = {argument.arg: kind for argument, kind in zip(definition.args.args, types, strict=True)}
        self.versions: dict[str, int] = dict.fromkeys(self.local, 0)
        self.lines: list[str] = []
        self.calls = 0

    def written(self) -> tuple[str, str]:
        """The result's type and the lines."""
        gives = ""
        for statement in self.definition.body:
            if isinstance(statement, ast.Assign):
                self.assign(statement.targets[0], statement.value)
            elif isinstance(statement, ast.Return):
                assert statement.value is not None
                gives = self.returned(statement.value)
            else:
                assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        return gives, "".join(f"    {line}\n" for line in self.lines)

    def returned(self, node: ast.expr) -> str:
        if isinstance(node, ast.Tuple):
            parts = [self.value(part) for part in node.elts]
            types = "".join(kind for _, kind in parts)
            self.writer.c_type(types)
            self.lines.append(f"return {{{', '.join(text for text, _ in parts)}}};")
            return types
        text, kind = self.value(node)
        self.lines.append(f"return {bare(text)};")
        return kind

    def assign(self, target: ast.expr, node: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.named(target.id, *self.value(node))
            return
        assert isinstance(target, ast.Tuple)
        values = [self.value(part) for part in node.elts] if isinstance(node, ast.Tuple) else self.members(node)
        for name, (text, kind) in zip(target.elts, values, strict=True):
            assert isinstance(name, ast.Name)
            self.named(name.id, text, kind)

    def members(self, node: ast.expr) -> list[Value]:
        """The members of what a call gives, each called once."""
        text, types = self.value(node)
        self.calls += 1
        self.lines.append(f"const {self.writer.c_type(types)} t{self.calls} = {text};")
        return [(f"t{self.calls}.v{number}", kind) for number, kind in enumerate(types)]

    def named(self, name: str, text: str, kind: str) -> None:
        """A name that is given again is another variable."""
        self.versions[name] = self.versions.get(name, -1) + 1
        self.local[name] = kind
        self.lines.append(f"const {C_TYPES[kind]} {self.variable(name)} = {bare(text)};")

    def variable(self, name: str) -> str:
        version = self.versions[name]
        return f"{name}_{version + 1}" if version else name

    def constant(self, node: ast.expr) -> Any:
        """The value of what holds no local name, else None."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id not in self.local:
            return self.writer.names.get(node.id)
        if isinstance(node, ast.UnaryOp) and type(node.op) in FOLDED:
            inner = self.constant(node.operand)
            return None if inner is None else FOLDED[type(node.op)](inner)
        if isinstance(node, ast.BinOp) and type(node.op) in FOLDED:
            left, right = self.constant(node.left), self.constant(node.right)
            return None if left is None or right is None else FOLDED[type(node.op)](left, right)
        return None

    def value(self, node: ast.expr) -> Value:
        known = self.constant(node)
        if isinstance(known, bool | int | float):
            return literal(known)
        if isinstance(node, ast.Name):
            return self.variable(node.id), self.local[node.id]
        if isinstance(node, ast.BinOp):
            return self.binary(node)
        if isinstance(node, ast.UnaryOp):
            text, kind = self.value(node.operand)
            return ("(!" if isinstance(node.op, ast.Invert) else "(-") + f"{text})", kind
        if isinstance(node, ast.Compare):
            left, right = self.value(node.left), self.value(node.comparators[0])
            return f"({left[0]} {COMPARISONS[type(node.ops[0])]} {right[0]})", "b"
        if isinstance(node, ast.Subscript):
            assert isinstance(node.slice, ast.Constant)
            return self.members(node.value)[int(node.slice.value)]  # type: ignore[arg-type]
        assert isinstance(node, ast.Call), ast.dump(node)
        return self.call(node)

    def binary(self, node: ast.BinOp) -> Value:
        (left, kind), (right, other) = self.value(node.left), self.value(node.right)
        if kind == other == "b":
            return f"({left} {'&&' if isinstance(node.op, ast.BitAnd) else '||'} {right})", "b"
        if "d" in (kind, other):
            assert kind == other == "d", ast.unparse(node)
            return f"({left} {FLOAT_OPERATORS[type(node.op)]} {right})", "d"
        return WHOLE_OPERATORS[type(node.op)].format(left, right), "i"

    def call(self, node: ast.Call) -> Value:
        function = node.func
        assert isinstance(function, ast.Name | ast.Attribute)
        name = function.id if isinstance(function, ast.Name) else function.attr  # np.where is where
        if name == "where":
            (condition, _), (first, kind), (second, other) = (self.value(part) for part in node.args)
            assert kind == other, ast.unparse(node)
            return f"({condition} ? {first} : {second})", kind
        if name == "horner":
            return self.horner(*node.args)
        if name == "entry":
            return self.entry(*node.args)
        arguments = [self.value(part) for part in node.args]
        if name in PRIMITIVES:
            form, kind = PRIMITIVES[name]
            return form.format(bare(arguments[0][0])), kind
        called, gives = self.writer.function(name, "".join(kind for _, kind in arguments))
        return f"{called}({', '.join(bare(text) for text, _ in arguments)})", gives

    def horner(self, x: ast.expr, coefficients_: ast.expr) -> Value:
        variable, numbers = self.value(x)[0], self.constant(coefficients_)
        text = f"{variable} * {literal(numbers[-1])[0]}"
        for number in numbers[-2:0:-1]:
            text = f"({literal(number)[0]} + {text}) * {variable}"
        return f"({literal(numbers[0])[0]} + {text})", "d"

    def entry(self, table: ast.expr, index: ast.expr) -> Value:
        assert isinstance(table, ast.Name)
        values = self.constant(table)
        self.writer.tables[table.id] = values
        return f"__ldg({table.id} + {self.value(index)[0]})", literal(values[0])[1]


def bare(text: str) -> str:
    """Without the brackets that hold all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 else text
    return text


def formulas() -> str:
    """The text of formulas.cuh."""
    writer = Writer()
    for name in FLOATS:
        writer.function(name, "dd" if name == "power" else "d")
    for name in DAYS:
        writer.function(name, "i")
    return writer.file()


if __name__ == "__main__":
    TARGET.write_text(formulas(), encoding="utf-8")
    print(f"{TARGET}: written")
