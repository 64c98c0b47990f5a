"""Random programs over random columns, and their evaluation node by node with nothing of ours: the oracle."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe.kernels.opcodes import SIGNATURES, STORAGE, Op
from gpupipe.kernels.table import Program, Table

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
TRANSCENDENTAL = [op for op in Op if Op.LOG <= op <= Op.ARCTAN] + [Op.POWER]
INNER = [op for op in Op if op > Op.STORE_F8]

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.5, 1e300, -1e-310, np.inf, -np.inf, np.nan, 2.0**63, 7.0, 1e10, 3e38]
INTS = [0, 1, -1, 2, 7, -7, 127, 128, -129, 40_000, 2**31, -(2**31) - 1, 2**62, INT_MAX, INT_MIN, 3_037_000_500]


def column(rng: Any, dtype: Any, n: Any, nulls: Any) -> Any:
    """Values of `dtype`, awkward ones among them, and validity."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        values = rng.random(n) < 0.5
    elif dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = np.where(rng.random(n) < 0.5, rng.normal(size=n) * 5, rng.choice(FLOATS, n)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        usual = rng.integers(max(limits.min, -9), 10, n)
        edge = np.array([v for v in INTS if limits.min <= v <= limits.max] + [limits.max], dtype=dtype)
        values = np.where(rng.random(n) < 0.8, usual.astype(dtype), rng.choice(edge, n)).astype(dtype)
    return values, (None if not nulls else rng.random(n) > nulls)


@dataclass
class Case:
    """A program with the storage of its columns and outputs, and its parameters."""

    program: Program
    column_types: list
    parameters: list
    output_types: list


def random_case(rng: Any, n_steps: Any, ops: Any = INNER) -> Any:
    """A well-typed program: loads and constants, `n_steps` inner steps in place or not, then stores."""
    steps: list[Any] = []
    types: list[str] = []
    columns: list[str] = []
    parameters: list[Any] = []
    for kind in [*map(str, rng.choice(STORAGE, 2)), "bool", "bool", str(rng.choice(["int64", "float32", "float64"]))]:
        steps.append((Op.LOAD_BOOL + STORAGE.index(kind), len(types), len(columns), 0, 0))
        types.append("f" if kind.startswith("f") else "b" if kind == "bool" else "i")
        columns.append(kind)
    for kind in "fib":
        value = {"f": float(rng.choice(FLOATS)), "i": int(rng.choice(INTS)), "b": bool(rng.random() < 0.5)}[kind]
        parameters.append(None if rng.random() < 0.1 else value)
        steps.append((Op.CONST_F if kind == "f" else Op.CONST_I, len(types), len(parameters) - 1, 0, 0))
        types.append(kind)
    out = 0
    for _ in range(n_steps):
        op = Op(rng.choice(ops))
        reads, gives = SIGNATURES[op]
        raw = str(rng.choice(list("fib")))
        reads, gives = reads.replace("*", raw), gives.replace("*", raw)
        operands = [int(rng.choice([r for r, t in enumerate(types) if t == wanted])) for wanted in reads]
        spare = [r for r, t in enumerate(types) if types.count(t) > 1]
        out = int(rng.choice(spare)) if spare and rng.random() < 0.4 else len(types)
        types[out : out + 1] = [gives]
        steps.append((op, out, *operands, *[0] * (3 - len(operands))))
    outputs: list[str] = []
    for register in [out, *rng.permutation(len(types))[:2]]:
        fitting = {"f": ["float32", "float64"], "b": ["bool"], "i": [k for k in STORAGE if "int" in k]}[types[register]]
        kind = str(rng.choice(fitting))
        steps.append((Op.STORE_BOOL + STORAGE.index(kind), len(outputs), int(register), 0, 0))
        outputs.append(kind)
    return Case(Program(np.array(steps), len(types)), columns, parameters, outputs)


def run_case(run: Any, case: Any, columns: Any, n: Any, masked: Any, start: Any = 0, stop: Any = None) -> Any:
    """Outputs (values, valid) and status of a case; `masked` outputs have validity."""
    table = Table.build(
        [case.program],
        [(0, range(len(columns)), case.parameters, range(len(case.output_types)))],
    )
    outputs = [(np.full(n, 77).astype(kind), np.zeros(n, bool) if masked else None) for kind in case.output_types]
    status = run(table, columns, outputs, start, n if stop is None else stop)
    return outputs, status


def naive_row(case: Any, columns: Any, row: Any, functions: Any) -> Any:
    """One row, step by step, in Python numbers: the stored values (None for null) and the first failure's code."""
    registers, failure, stored = {}, 0, {}
    for code, out, a, b, c in case.program.steps.tolist():
        op = Op(code)
        if op <= Op.LOAD_F8:
            values, valid = columns[a]
            value = None if valid is not None and not valid[row] else values[row].item()
            if value is not None and op == Op.LOAD_U8 and value > INT_MAX:
                failure, value = failure or 1, value - 2**64
            registers[out] = value
        elif op <= Op.CONST_I:
            value = case.parameters[a]
            registers[out] = value if value is None else float(value) if op == Op.CONST_F else int(value)
        elif op <= Op.STORE_F8:
            value, limits = registers[a], STORAGE[op - Op.STORE_BOOL]
            if value is not None and "int" in limits:
                info = np.iinfo(limits)
                if not info.min <= value <= info.max:
                    failure, value = failure or 2, int(np.array(value).astype(limits))
            stored[out] = value
        else:
            reads = SIGNATURES[op][0]
            operands = [registers[r] for r in (a, b, c)[: len(reads)]]
            registers[out], fails = naive_step(op, operands, functions)
            failure = failure or fails
    return [stored[slot] for slot in sorted(stored)], failure


def naive_step(op: Any, v: Any, functions: Any) -> Any:
    """What one step does to one row: the result and the code of its failure."""
    name = op.name.lower()
    if name == "select":
        return (v[1] if v[0] else v[2]), 0
    if name == "coalesce":
        return (v[1] if v[0] is None else v[0]), 0
    if name in ("is_null", "is_not_null"):
        return (v[0] is None) == (name == "is_null"), 0
    if name == "null_if":
        return (None if v[1] else v[0]), 0
    if name == "and_b":
        known = [bool(x) for x in v if x is not None]
        return (False if False in known else None if len(known) < 2 else True), 0
    if name == "or_b":
        known = [bool(x) for x in v if x is not None]
        return (True if True in known else None if len(known) < 2 else False), 0
    if any(x is None for x in v):
        return None, 0
    if name in functions:
        return functions[name](*v), 0
    return _naive_number(name, v)


def _naive_number(name: Any, v: Any) -> Any:
    if name in ("floordiv_i", "mod_i") and v[1] == 0:
        return None, 0
    if name.startswith("f_to_i"):
        fits = math.isfinite(v[0]) and INT_MIN <= v[0] <= INT_MAX and v[0] < 2.0**63
        return (int(v[0]), 0) if fits else (0, 2) if name.endswith("strict") else (None, 0)
    if name.startswith("narrow"):
        fits = v[1] <= v[0] <= v[2]
        return (v[0], 0) if fits else (v[0], 2) if "strict" in name else (None, 0)
    python: dict[str, Any] = {
        "neg_i": lambda a: -a, "abs_i": abs, "sign_i": lambda a: (a > 0) - (a < 0), "add_i": lambda a, b: a + b,
        "sub_i": lambda a, b: a - b, "mul_i": lambda a, b: a * b, "floordiv_i": lambda a, b: a // b,
        "mod_i": lambda a, b: a % b, "max_i": max, "min_i": min, "i_to_f": float,
        "xor_b": lambda a, b: bool(a) != bool(b), "not_b": lambda a: not a, "is_nan": math.isnan,
        "is_finite": math.isfinite,
        "max_f": lambda a, b: a if a > b or a != a else b, "min_f": lambda a, b: a if a < b or a != a else b,
    }  # fmt: skip
    comparisons = {"eq": "__eq__", "ne": "__ne__", "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}
    if name[:2] in comparisons and name[2] == "_":
        kind = float if name.endswith("f") else int
        return getattr(kind(v[0]), comparisons[name[:2]])(kind(v[1])), 0
    if name in python:
        result = python[name](*v)
        if name.endswith("_i") and not INT_MIN <= result <= INT_MAX:
            return (result + 2**63) % 2**64 - 2**63, 1
        return result, 0
    ufuncs: dict[str, Any] = {
        "neg_f": np.negative, "abs_f": np.abs, "sign_f": np.sign, "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil,
        "trunc": np.trunc, "rint": np.rint, "f_to_f32": lambda a: np.float64(np.float32(a)), "add_f": np.add,
        "sub_f": np.subtract, "mul_f": np.multiply, "div_f": np.divide, "floordiv_f": np.floor_divide,
        "mod_f": np.remainder,
    }  # fmt: skip
    if name in ufuncs:
        with np.errstate(all="ignore"):
            return float(ufuncs[name](*(np.float64(x) for x in v))), 0
    day = np.datetime64("1970-01-01", "D") + np.int64(v[0])
    year = int(day.astype("M8[Y]").astype(int)) + 1970
    month = int((day.astype("M8[M]") - day.astype("M8[Y]").astype("M8[M]")).astype(int)) + 1
    return {"year": year, "month": month, "day": int((day - day.astype("M8[M]")).astype(int)) + 1}[name], 0
