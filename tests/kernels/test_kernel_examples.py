"""Every example in the kernels' docstrings."""

import doctest
from typing import Any

import numpy as np
import pytest

import gpupipe.kernels.opcodes
import gpupipe.kernels.reference.calendar
import gpupipe.kernels.reference.hashing
import gpupipe.kernels.reference.interpreter
import gpupipe.kernels.reference.math
import gpupipe.kernels.reference.trigonometry
import gpupipe.kernels.table

MODULES = [
    gpupipe.kernels.opcodes, gpupipe.kernels.table, gpupipe.kernels.reference.calendar,
    gpupipe.kernels.reference.hashing, gpupipe.kernels.reference.interpreter,
    gpupipe.kernels.reference.math, gpupipe.kernels.reference.trigonometry,
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module: Any) -> None:
    with np.errstate(all="ignore"):
        failed, tried = doctest.testmod(module)
    assert tried and not failed
