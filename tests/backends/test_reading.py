"""What states are gathered of: plain columns uncopied and safe from writing, all others computed."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.backends.backend import backend_for
from gpupipe.backends.categories import Tables
from gpupipe.backends.reading import Reading
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import bind_scan
from gpupipe.schema import Float64

TABLE = pa.table(
    {"x": [1.5, None, 3.0], "f": pa.array([1, 2, None], pa.float32()), "i": [1, 2, 3], "s": ["a", "b", "a"]}
)


def reading(features: Any, device: str) -> tuple[Reading, Any]:
    plan = gp.Pipeline(features).explain(TABLE).plan
    binder = Binder(plan.slots, Fitted(), plan.info, training=True)
    outputs = bind_scan(plan.scans[0], binder).outputs
    backend = backend_for(device)
    return Reading(outputs, binder.info, Tables(Fitted()), backend), backend.prepare(
        outputs, binder.info, Tables(Fitted())
    )


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_columns_are_what_the_backend_gives(device: str) -> None:
    features = [col(name).median().alias(f"{name}1") for name in "xfi"]
    features += [
        (col("x") * 2).mean().alias("double"),
        col("s").n_unique().alias("n"),
        col("x").mean().over("s").alias("o"),
    ]
    found, whole = reading(features, device)
    frame = gp.scan(TABLE).load(0, TABLE.column_names)
    mine, theirs = found.columns(frame), whole.columns(frame)
    assert len(mine) == len(theirs) == 5
    for one, other in zip(mine, theirs, strict=True):
        assert one.dtype == other.dtype
        assert (one.valid is None) == (other.valid is None)
        valid = slice(None) if one.valid is None else one.valid
        assert np.asarray(one.values)[valid].tolist() == np.asarray(other.values)[valid].tolist()


def test_plain_columns_are_not_copied_nor_written_to() -> None:
    found, _ = reading([col("x").median().alias("a"), col("f").median().alias("b")], "cpu")
    frame = gp.scan(TABLE).load(0, ["x", "f"])
    plain, converted = found.columns(frame)
    assert np.shares_memory(plain.values, frame["x"].values) and not plain.values.flags.writeable
    assert converted.dtype == Float64 and not np.shares_memory(converted.values, frame["f"].values)
    with pytest.raises(ValueError, match="read-only"):
        plain.values[0] = 0
