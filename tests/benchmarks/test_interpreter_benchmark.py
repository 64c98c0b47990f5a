"""The chains that the interpreter is timed by compute what they say, in both forms."""

import numpy as np
import pytest

from benchmarks import interpreter
from gpupipe.kernels.cpu import interpreter as compiled
from gpupipe.kernels.reference import interpreter as plain


@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("matrix", [True, False])
def test_chains_are_those_of_clicks(dtype: str, matrix: bool) -> None:
    for name in interpreter.CHAINS:
        table, inputs, outputs = interpreter.chain(name, dtype, matrix=matrix)
        found = []
        for form in (compiled, plain):
            assert not form.run(table, inputs, outputs, 0, 2000)[:, 0].any()
            found.append(np.array([values[:2000] for values, _ in outputs]))
        assert found[0].view("u4").tolist() == found[1].view("u4").tolist()
        values = np.array([np.where(valid, column.astype("f8"), np.nan)[:2000] for column, valid in inputs])
        if "fill" in name:
            values = np.where(np.isnan(values), 0.5, values)
        if "clip" in name:
            values = np.maximum(values, 0.0)
        if "log1p" in name:
            values = np.log1p(values)
        if "standardize" in name:
            values = (values - 0.3) / 1.7
        np.testing.assert_allclose(found[0], values, rtol=2e-7, atol=1e-12)


def test_time_is_told_by_value() -> None:
    assert 0 < interpreter.taken(lambda: sum(range(10_000)), 10_000) < 1_000
    assert all(0 < ns < 100 for ns in interpreter.copied().values())
