"""The formulas in CUDA C++: written from the reference, and the same bits, compiled and run."""

from typing import Any

import numpy as np
import pytest

from gpupipe.kernels.gpu import printer
from gpupipe.kernels.gpu.device import Kernel
from gpupipe.kernels.gpu.source import text
from gpupipe.kernels.reference import calendar, math, steps

from . import make_formulas

FUNCTIONS = make_formulas.FLOATS
EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -2.0, 5e-324, -5e-324, 1e-310, -1e-310, 2.0**-1022, 2.0**-54,
    -(2.0**-54), 2.0**-27, 1e-20, -1e-20, 0.53, -0.53, 0.3, 0.41421356237309503, 2.414213562373095, 0.7071067811865476,
    22.0, -22.0, 709.782712893384, 710.0, -745.1332191019412, -746.0, 2.0**20, 2.0**30, -(2.0**30), 2.0**52 + 1,
    2.0**53, 1e300, 1.7976931348623157e308, -1.7976931348623157e308, np.inf, -np.inf, np.nan, -np.nan,
]  # fmt: skip

ALL = (
    'extern "C" __global__ void '
    "all(const double* x, const double* y, const i64* days, double* out, i64* whole, i64 n) {\n"
    "    const i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i >= n) return;\n"
    + "".join(
        f"    out[{k} * n + i] = f_{name}(x[i]{', y[i]' if name == 'power' else ''});\n"
        for k, name in enumerate(FUNCTIONS)
    )
    + f"    out[{len(FUNCTIONS)} * n + i] = floor_divided(x[i], y[i]);\n"
    f"    out[{len(FUNCTIONS) + 1} * n + i] = remainder_of(x[i], y[i]);\n"
    + "".join(f"    whole[{k} * n + i] = f_{name}(days[i]);\n" for k, name in enumerate(make_formulas.DAYS))
    + "}\n"
)


def arguments(n: int, seed: int) -> tuple[Any, Any, Any]:
    """Awkward numbers against awkward numbers, then random ones of every size; days far beyond any calendar."""
    rng = np.random.default_rng(seed)
    x, y = (grid.ravel() for grid in np.meshgrid(EDGES, EDGES[::2]))
    sizes = [rng.integers(-(2**63), 2**63 - 1, n).view("f8"), rng.normal(size=n) * 5, rng.uniform(-750, 750, n),
             rng.uniform(-1.2, 1.2, n), rng.normal(size=n) * 1e-310]  # fmt: skip
    x = np.concatenate([x, *sizes])
    y = np.concatenate([y, *(rng.permutation(part) for part in sizes[1:]), rng.integers(-9, 9, n) / 2])
    days = rng.integers(-(2**63), 2**63 - 1, len(x))
    days[: 2 * n] = rng.integers(-800_000, 800_000, 2 * n)
    days[:4] = -1, 0, 2**63 - 1, -(2**63)
    return x, y, days


def check(device: Any, n: int, seed: int) -> None:
    x, y, days = arguments(n, seed)
    out, whole = device.empty((len(FUNCTIONS) + 2, len(x)), np.float64), device.empty((3, len(x)), np.int64)
    kernel = Kernel(text("words.cuh", "fused_steps.cuh", "formulas.cuh") + ALL, "all")
    args = [device.upload(x), device.upload(y), device.upload(days), out, whole, np.int64(len(x))]
    device.launch(kernel, -(-len(x) // 128), 128, args)
    with np.errstate(all="ignore"):
        wanted = [getattr(math, name)(*((x, y) if name == "power" else (x,))) for name in FUNCTIONS]
        wanted += [np.floor_divide(x, y), np.remainder(x, y)]
    for name, got, want in zip([*FUNCTIONS, "floor_divide", "remainder"], out.to_host(), wanted, strict=True):
        real = want == want
        assert np.array_equal(np.isnan(got), ~real), name
        assert np.array_equal(got[real].view(np.int64), want[real].view(np.int64)), name
    for name, got in zip(make_formulas.DAYS, whole.to_host(), strict=True):
        assert np.array_equal(got, getattr(calendar, name)(days)), name


def test_the_file_is_what_the_formulas_say() -> None:
    assert make_formulas.TARGET.read_text(encoding="utf-8") == make_formulas.formulas()


def test_every_formula_gives_the_references_bits(device: Any) -> None:
    check(device, 400, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_formula_gives_the_references_bits_on_many_numbers(device: Any, seed: int) -> None:
    check(device, 20_000, seed)


def test_every_step_of_the_reference_is_printed() -> None:
    assert set(printer._FORMS) | set(printer._SPECIAL) == set(steps.STEPS)
