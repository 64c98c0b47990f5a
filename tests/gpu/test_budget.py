"""Every source of kernels/gpu compiles for every architecture, spills next to nothing, and stays within its registers.

What is printed for a table of features is held by test_fused.py.
"""

import importlib
import pkgutil

import pytest

from gpupipe.kernels import gpu

from .nvrtc import ptx, usage, why_not
from .ptx import GLOBAL, Program, parse
from .simulated import SimulatedDevice

#: Registers a thread: 64 leave 1,024 threads a multiprocessor room for four blocks of 256.
REGISTERS = 64
#: (part of a source's name, entry): registers, and why it needs more.
EXCEPTIONS = {
    ("exact", "tile_sums"): (128, "the sums of all slices of a tile, in float64, stand in registers"),
    ("exact", "group_sums"): (112, "the sums of a run of one group's rows stand in registers"),
}
#: Bytes a thread may spill, and load again: ptxas does so now and then to let one more block run beside.
SPILLED = 32
#: Static shared memory a block, bytes: what every device gives without being asked.
SHARED = 48 << 10


def sources() -> dict[str, str]:
    """What the modules of kernels/gpu offer by name."""
    names = [module.name for module in pkgutil.iter_modules(gpu.__path__)]
    modules = [importlib.import_module(f"{gpu.__name__}.{name}") for name in names]
    return {name: text for module in modules for name, text in getattr(module, "SOURCES", {}).items()}


def budget(source: str, entry: str) -> int:
    """The registers that an entry may take."""
    known = [n for (part, name), (n, _) in EXCEPTIONS.items() if part in source and name == entry]
    return max(known, default=REGISTERS)


@pytest.fixture(autouse=True)
def compiler() -> None:
    """Nothing here runs without NVRTC."""
    if why_not():
        pytest.skip(why_not())


NEW = [pytest.param(arch, marks=pytest.mark.slow) for arch in ("sm_100", "sm_120")]


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90", *NEW])
def test_registers_spills_and_shared_memory(arch: str) -> None:
    wrong = []
    for name, source in sources().items():
        for entry, used in usage(source, arch).items():
            if max(used.stack, used.spill_stores, used.spill_loads) > SPILLED:
                wrong.append(f"{name}, {entry}: {used.stack} bytes of stack, {used.spill_stores} spilled")
            if used.registers > budget(name, entry):
                wrong.append(f"{name}, {entry}: {used.registers} registers, {budget(name, entry)} allowed")
            if used.shared > SHARED:
                wrong.append(f"{name}, {entry}: {used.shared} bytes of shared memory")
    assert wrong == []


def test_there_are_sources_and_exceptions_are_needed() -> None:
    names = sources()
    assert len(names) > 20 and {"bits", "keys", "lookup", "hashing", "counting"} <= set(names)
    for (part, entry), (registers, _) in EXCEPTIONS.items():
        used = [usage(text, "sm_80")[entry].registers for name, text in names.items()
                if part in name and entry in usage(text, "sm_80")]  # fmt: skip
        assert REGISTERS < max(used) <= registers


def test_the_machine_knows_every_instruction() -> None:
    """Also those of branches that no test enters."""
    for source in sources().values():
        module = parse(ptx(source))
        symbols = {v.name: GLOBAL for v in module.variables if v.space in ("global", "const")}
        assert module.entries
        for entry in module.entries:
            Program(module, entry, symbols, 16).prepare_all()


def test_what_a_source_that_does_too_much_is_found_by() -> None:
    source = r"""extern "C" __global__ void __launch_bounds__(1024, 2) greedy(const double* x, double* y, int n) {
        double held[64];
        for (int k = 0; k < 64; k++) held[k] = x[k * 1024 + threadIdx.x];
        for (int r = 0; r < n; r++) for (int k = 0; k < 64; k++) held[k] = held[(k + 7) % 64] * held[k] + y[k];
        for (int k = 0; k < 64; k++) y[k * 1024 + threadIdx.x] = held[k];
    }
    extern "C" __global__ void shares(int* y) {
        __shared__ int own[1000];
        own[threadIdx.x] = 1;
        __syncthreads();
        y[threadIdx.x] = own[999 - threadIdx.x];
    }"""
    used = usage(source, "sm_80")
    assert used["greedy"].spill_stores > 0 and used["greedy"].spill_loads > 0 and used["greedy"].registers <= 32
    assert used["shares"].shared == 4000 and used["shares"].spill_stores == 0 and used["shares"].registers > 0


def test_the_simulated_device_is_what_kernels_ask_for() -> None:
    assert SimulatedDevice().shared_bytes >= SHARED and SimulatedDevice().stream is None
