"""Artifacts of this version and of every released one still load, and score to the bytes they scored to then.

`python tests/artifact/make_golden.py` wrote them; a failure here means that a change breaks what users have saved.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import gpupipe as gp
from gpupipe import artifact
from gpupipe.expr.columnwise import COLUMNWISE
from gpupipe.expr.elementwise import ELEMENTWISE
from gpupipe.expr.reductions import REDUCTIONS
from gpupipe.models.bodies import FORMS, NESTING

from .make_golden import GOLDEN, NOT_KEPT

CASES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.glob("*/*"))
SCORED_ALONE = 7
# Operations that only stand in bound programs, never in a saved plan.
BOUND = {"narrow", "to_float", "to_float32", "to_integer", "view", "convert", "lookup", "to_local", "place",
         "class_indicator"}  # fmt: skip


def kept(case: str, name: str) -> pa.Table:
    with pa.memory_map(str(GOLDEN / case / f"{name}.arrow")) as file:
        return pa.ipc.open_file(file).read_all()


def plain_bytes(values: pa.Array) -> bytes:
    """The bytes of floats that are there; of the many NaN one, since machines differ in the sign they give it."""
    found = values.drop_null().to_numpy()
    return np.where(np.isnan(found), np.nan, found).astype(found.dtype).tobytes()


def assert_same_bytes(got: pa.Table, expected: pa.Table) -> None:
    assert got.schema.names == expected.schema.names
    for name in expected.schema.names:
        assert got.schema.field(name).type == expected.schema.field(name).type, name
        one, other = (table[name].combine_chunks() for table in (got, expected))
        assert one.is_null().equals(other.is_null()), name
        if pa.types.is_floating(one.type):
            assert plain_bytes(one) == plain_bytes(other), name
        else:
            assert one.equals(other), name


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("case", CASES)
def test_it_scores_to_the_same_bytes(case, device):
    rows, loaded = kept(case, "rows"), gp.load(GOLDEN / case / "artifact", device=device)
    if (GOLDEN / case / "features.arrow").exists():
        assert_same_bytes(loaded.transform(rows, output="arrow"), kept(case, "features"))
    if loaded.model_ is None:
        return
    expected = kept(case, "predictions")
    assert_same_bytes(pa.concat_tables(loaded.predictions(rows)), expected)
    alone = [pa.concat_tables(loaded.predictions(rows.slice(at, 1))) for at in range(SCORED_ALONE)]
    assert_same_bytes(pa.concat_tables(alone), expected.slice(0, SCORED_ALONE))


def test_every_form_and_operation_of_this_version_is_among_them():
    newest = sorted({Path(case).parts[0] for case in CASES})[-1]
    forms, operations = set(), set()
    for case in (case for case in CASES if Path(case).parts[0] == newest):
        contents = artifact.read(GOLDEN / case / "artifact")
        operations |= {node[0] for node in contents.document["plan"]["expressions"]["nodes"]}
        if contents.document["model"] is not None:
            forms.add(contents.document["model"]["form"])
    assert forms == (set(FORMS) | set(NESTING)) - set(NOT_KEPT)
    assert operations >= (set(ELEMENTWISE) | set(COLUMNWISE) | set(REDUCTIONS)) - BOUND


def test_what_was_kept_is_not_trivial():
    tables = [kept(path.parent.relative_to(GOLDEN).as_posix(), path.stem) for path in sorted(
        [*GOLDEN.glob("*/*/features.arrow"), *GOLDEN.glob("*/*/predictions.arrow")])]  # fmt: skip
    columns = [table.column(at).to_pylist() for table in tables for at in range(table.num_columns)]
    assert len(tables) > len(CASES) > 40 and len(columns) > 300
    assert np.mean([len(set(map(str, column))) > 1 for column in columns]) > 0.9
