"""PTX written by hand for tests: one instruction over arrays."""

import numpy as np

from gpupipe.kernels.gpu.device import Kernel

from .simulated import SimulatedDevice

HEAD = ".version 9.0\n.target sm_90\n.address_size 64\n"
KINDS = {"f4": "f32", "f8": "f64", "i1": "s8", "i2": "s16", "i4": "s32", "i8": "s64",
         "u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64"}  # fmt: skip


def kind_of(dtype) -> str:
    """The PTX type of a NumPy dtype."""
    return KINDS[np.dtype(dtype).str[1:]]


def entry(params: int, body: str) -> str:
    """An entry ``k`` of pointers p0, p1, ... that are in %rd0, %rd1, ...; %rd31 is the number of the thread."""
    declared = ",\n".join(f".param .u64 p{i}" for i in range(params))
    loads = "".join(f"ld.param.u64 %rd{i}, [p{i}];\n" for i in range(params))
    kinds = {"rs": "b16", "r": "b32", "rd": "b64", "f": "f32", "fd": "f64", "p": "pred"}
    registers = "".join(f".reg .{kind} %{name}<32>;\n" for name, kind in kinds.items())
    return (
        f"{HEAD}.visible .entry k({declared})\n{{\n{registers}"
        f"{loads}mov.u32 %r31, %tid.x;\ncvt.u64.u32 %rd31, %r31;\n{body}\nret;\n}}\n"
    )


def register(dtype, number: int) -> str:
    """A register that holds values of a dtype."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return f"%{'f' if kind.itemsize == 4 else 'fd'}{number}"
    return f"%{ {1: 'rs', 2: 'rs', 4: 'r', 8: 'rd'}[kind.itemsize] }{number + 8}"


def place(number: int, dtype) -> str:
    """Statements that put the address of this thread's value of array `number` into %rd30."""
    return f"mad.lo.u64 %rd30, %rd31, {np.dtype(dtype).itemsize}, %rd{number};\n"


def run_instruction(device: SimulatedDevice, op: str, result, *arrays) -> np.ndarray:
    """What ``op result, operand, ...`` gives for each row of the arrays, all of one length up to 1,024."""
    result = np.dtype(result)
    body = ""
    for i, array in enumerate(arrays):
        body += place(i, array.dtype) + f"ld.global.{kind_of(array.dtype)} {register(array.dtype, i)}, [%rd30];\n"
    operands = ", ".join(register(array.dtype, i) for i, array in enumerate(arrays))
    to = register(result, 7)
    body += f"{op} {to}, {operands};\n{place(len(arrays), result)}st.global.{kind_of(result)} [%rd30], {to};"
    out = device.empty(len(arrays[0]), result)
    device.launch(Kernel(entry(len(arrays) + 1, body), "k"), 1, len(arrays[0]), [*map(device.upload, arrays), out])
    return out.to_host()


def run_body(device: SimulatedDevice, body: str, threads: int, result, *arrays) -> np.ndarray:
    """What a body leaves in %r7 (of other types: the register 7 of that type) for each thread."""
    result = np.dtype(result)
    body += "\n" + place(len(arrays), result) + f"st.global.{kind_of(result)} [%rd30], {register(result, 7)};"
    out = device.empty(threads, result)
    device.launch(Kernel(entry(len(arrays) + 1, body), "k"), 1, threads, [*map(device.upload, arrays), out])
    return out.to_host()
