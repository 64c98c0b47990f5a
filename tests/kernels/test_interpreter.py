"""Both interpreters against a row-by-row evaluation, and against each other in every bit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import INNER, TRANSCENDENTAL, column, naive_row, random_case, run_case

from gpupipe.errors import ParameterError
from gpupipe.kernels.cpu import interpreter as cpu
from gpupipe.kernels.opcodes import CODES, SIGNATURES, Op, load_of, store_of
from gpupipe.kernels.reference import interpreter as reference
from gpupipe.kernels.reference import math as functions
from gpupipe.kernels.table import (
    CAST_FAILED,
    INT_OVERFLOW,
    NULL_IN_OUTPUT,
    Program,
    Table,
    merge_status,
)

TWINS = pytest.mark.parametrize("run", [reference.run, cpu.run], ids=["reference", "cpu"])
CALENDAR = [Op.YEAR, Op.MONTH, Op.DAY]


def scalar_functions() -> Any:
    """The transcendental steps of one number; their accuracy has tests of its own."""

    def one(name: Any) -> Any:
        def function(*operands: Any) -> Any:
            with np.errstate(all="ignore"):
                return float(getattr(functions, name)(*(np.array([x], dtype="f8") for x in operands))[0])

        return function

    return {op.name.lower(): one(op.name.lower()) for op in TRANSCENDENTAL}


def bits(values: Any) -> Any:
    return values.view(f"u{values.itemsize}").tolist()


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.sampled_from([0, 1, 2, 9, 511, 512, 513, 1100]), masked=st.booleans())
def test_random_programs_give_the_same_bits_in_both(seed: Any, n: Any, masked: Any) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, int(rng.integers(1, 14)))
    columns = [column(rng, kind, n, rng.choice([0, 0.1, 0.9])) for kind in case.column_types]
    ours, status = run_case(reference.run, case, columns, n, masked)
    theirs, other_status = run_case(cpu.run, case, columns, n, masked)
    assert status.tolist() == other_status.tolist()
    for (a, valid_a), (b, valid_b) in zip(ours, theirs, strict=True):
        assert bits(a) == bits(b)
        assert valid_a is None or valid_a.tolist() == valid_b.tolist()


@pytest.mark.parametrize("op", INNER, ids=lambda op: op.name.lower())
def test_each_step_against_python_numbers(op: Any) -> None:
    rng = np.random.default_rng(int(op))
    functions_of_one = scalar_functions()
    for _ in range(20):
        case = random_case(rng, 1, [op])
        n = 40
        columns = [column(rng, kind, n, 0.2) for kind in case.column_types]
        if op in CALENDAR:  # numpy's dates reach int64 days only with wrap-around
            columns = [(np.clip(v, -100, 127) if v.dtype.kind in "iu" else v, ok) for v, ok in columns]
            case.parameters[1] = 19_000
        outputs, status = run_case(reference.run, case, columns, n, masked=True)
        failures = []
        for row in range(n):
            wanted, failure = naive_row(case, columns, row, functions_of_one)
            if failure:
                failures.append((failure, row))
            for (values, valid), value in zip(outputs, wanted, strict=True):
                assert valid[row] == (value is not None)
                if value is not None and not failure:
                    with np.errstate(all="ignore"):
                        got, value = values[row], np.array(value).astype(values.dtype)
                    assert bits(np.array([got])) == bits(np.array([value])) or (got != got and value != value)
        assert status[0].tolist() == list(failures[0] if failures else (0, -1))


def store_table(dtype: Any, loaded: Any = "int64", **more: Any) -> Any:
    steps = [(load_of(loaded), 0, 0, 0, 0), (store_of(dtype), 0, 0, 0, 0)]
    return Table.build([Program(np.array(steps), 1)], [(0, [0], [], [0])], **more)


@TWINS
def test_a_failure_names_the_first_valid_row_whatever_the_tile(run: Any) -> None:
    values, valid = np.zeros(3000, "i8"), np.ones(3000, bool)
    values[[700, 1500, 2000]], valid[700] = 1000, False
    out = np.zeros(3000, "i1"), np.zeros(3000, bool)
    table = store_table("int8")
    assert run(table, [(values, valid)], [out], 0, 3000).tolist() == [[CAST_FAILED, 1500]]
    assert run(table, [(values, valid)], [out], 1600, 3000).tolist() == [[CAST_FAILED, 2000]]
    assert run(table, [(values, valid)], [out], 0, 1500).tolist() == [[0, -1]]
    parts = [run(table, [(values, valid)], [out], a, a + 1000) for a in (2000, 1000, 0)]
    assert merge_status(parts).tolist() == [[CAST_FAILED, 1500]]


@TWINS
def test_nulls_without_a_mask_are_nan_or_an_error(run: Any) -> None:
    source = np.array([1, 2, 3], "i8"), np.array([True, False, True])
    out = np.zeros(3, "i4")
    assert run(store_table("int32"), [source], [(out, None)], 0, 3).tolist() == [[NULL_IN_OUTPUT, 1]]
    assert out.tolist() == [1, 0, 3]
    floats = np.array([1, 2, 3], "f4"), source[1]
    out = np.zeros(3, "f8")
    assert run(store_table("float64", "float32"), [floats], [(out, None)], 0, 3).tolist() == [[0, -1]]
    assert np.array_equal(out, [1, np.nan, 3], equal_nan=True)
    valid = np.zeros(3, bool)
    run(store_table("float64", "float32"), [floats], [(out, valid)], 0, 3)
    assert out.tolist() == [1, 0, 3] and valid.tolist() == [True, False, True]


@TWINS
@pytest.mark.parametrize("width", [1, 15, 16, 17, 40])
def test_strided_columns_of_matrices(run: Any, width: Any) -> None:
    rng = np.random.default_rng(width)
    n = 1030
    source = rng.normal(size=(n, width)).astype("f4")
    wide = np.full((n, 2 * width + 3), -1.0, "f4")
    order = rng.permutation(width)
    outputs = [(wide[:, 2 + j], None) for j in order]
    steps = [
        (Op.LOAD_F4, 0, 0, 0, 0), (Op.CONST_F, 1, 0, 0, 0), (Op.MUL_F, 0, 0, 1, 0), (Op.STORE_F4, 0, 0, 0, 0),
    ]  # fmt: skip
    table = Table.build([Program(np.array(steps), 2)], [(0, [j], [j + 0.5], [j]) for j in range(width)])
    valid = np.asfortranarray(rng.random((n, width)) > 0.1)
    inputs = [(source[::-1, j], valid[::-1, j]) for j in range(width)]
    assert not run(table, inputs, outputs, 3, n)[:, 0].any()
    factors = np.arange(width) + 0.5
    wanted = np.where(valid[::-1], (source[::-1].astype("f8") * factors).astype("f4"), np.float32(np.nan))
    expected = np.full((n, 2 * width + 3), -1.0, "f4")
    expected[3:, 2 + order] = wanted[3:]
    assert np.array_equal(wide, expected, equal_nan=True)


@TWINS
def test_a_ragged_table_of_several_programs_and_outputs(run: Any) -> None:
    doubled = Program(np.array([(Op.LOAD_I4, 0, 0, 0, 0), (Op.ADD_I, 0, 0, 0, 0), (Op.STORE_I8, 0, 0, 0, 0)]), 1)
    split = [
        (Op.LOAD_F8, 0, 0, 0, 0), (Op.LOAD_I4, 1, 1, 0, 0), (Op.CONST_I, 2, 0, 0, 0), (Op.LT_I, 2, 1, 2, 0),
        (Op.CONST_F, 3, 1, 0, 0), (Op.SELECT, 3, 2, 0, 3), (Op.STORE_F8, 1, 3, 0, 0), (Op.STORE_BOOL, 0, 2, 0, 0),
    ]  # fmt: skip
    table = Table.build(
        [doubled, Program(np.array(split), 4)],
        [(1, [1, 0], [2, 9.5], [0, 1]), (0, [0], [], [2]), (1, [1, 0], [0, None], [3, 4])],
    )
    n = 700
    whole, real = np.arange(n, dtype="i4") % 5, np.linspace(0, 1, n)
    outputs = [(np.zeros(n, kind), np.zeros(n, bool)) for kind in ("?", "f8", "i8", "?", "f8")]
    assert not run(table, [(whole, None), (real, None)], outputs, 0, n)[:, 0].any()
    assert np.array_equal(outputs[0][0], whole < 2)
    assert np.array_equal(outputs[1][0], np.where(whole < 2, real, 9.5))
    assert np.array_equal(outputs[2][0], 2 * whole.astype("i8"))
    assert np.array_equal(outputs[4][1], whole < 0)


@TWINS
def test_int_overflow_is_told_and_only_of_valid_rows(run: Any) -> None:
    steps = [(Op.LOAD_I8, 0, 0, 0, 0), (Op.LOAD_I8, 1, 1, 0, 0), (Op.MUL_I, 0, 0, 1, 0), (Op.STORE_I8, 0, 0, 0, 0)]
    table = Table.build([Program(np.array(steps), 2)], [(0, [0, 1], [], [0])])
    big = np.array([2**32, 3_037_000_499, 3_037_000_500, 2**31], "i8")
    for valid, expected in (
        ([1, 1, 1, 1], [INT_OVERFLOW, 0]),
        ([0, 1, 1, 1], [INT_OVERFLOW, 2]),
        ([0, 1, 0, 1], [0, -1]),
    ):
        out = np.zeros(4, "i8"), np.zeros(4, bool)
        inputs = [(big, np.array(valid, bool)), (big, None)]
        assert run(table, inputs, [out], 0, 4).tolist() == [expected]


def test_dates_agree_with_numpy_over_two_to_the_31_days() -> None:
    rng = np.random.default_rng(0)
    days = np.concatenate([rng.integers(-(2**31), 2**31, 20_000), np.arange(-150_000, 150_000, 7), [-(2**31), 2**31]])
    dates = np.datetime64("1970-01-01", "D") + days
    years, months = dates.astype("M8[Y]"), dates.astype("M8[M]")
    wanted = [
        years.astype("i8") + 1970,
        (months - years.astype("M8[M]")).astype("i8") + 1,
        (dates - months.astype("M8[D]")).astype("i8") + 1,
    ]
    steps = [(Op.LOAD_I8, 0, 0, 0, 0)]
    for slot, op in enumerate(CALENDAR):
        steps += [(op, 1, 0, 0, 0), (Op.STORE_I8, slot, 1, 0, 0)]
    table = Table.build([Program(np.array(steps), 2)], [(0, [0], [], [0, 1, 2])])
    for run in (reference.run, cpu.run):
        outputs = [(np.zeros(len(days), "i8"), None) for _ in range(3)]
        run(table, [(days, None)], outputs, 0, len(days))
        assert all(np.array_equal(out, want) for (out, _), want in zip(outputs, wanted, strict=True))


@TWINS
def test_wrong_buffers_are_refused(run: Any) -> None:
    table = store_table("int32", "int64")
    good, out = (np.zeros(5, "i8"), None), (np.zeros(5, "i4"), None)
    for inputs, outputs, stop in (
        ([], [out], 5),
        ([(np.zeros(5, "i4"), None)], [out], 5),
        ([(np.zeros((5, 2), "i8"), None)], [out], 5),
        ([(np.zeros(5, "i8"), np.ones(4, bool))], [out], 5),
        ([good], [(np.zeros(5, "i8"), None)], 5),
        ([good], [out], 6),
    ):
        with pytest.raises(ParameterError):
            run(table, inputs, outputs, 0, stop)


def test_fields_of_packed_records_are_read_and_not_written() -> None:
    records = np.zeros(600, [("flag", "u1"), ("value", "i8")])
    records["value"] = np.arange(600)
    table, out = store_table("int64"), np.zeros(600, "i8")
    cpu.run(table, [(records["value"], None)], [(out, None)], 0, 600)
    assert np.array_equal(out, np.arange(600))
    with pytest.raises(ParameterError):
        cpu.run(table, [(out, None)], [(records["value"], None)], 0, 600)


def test_programs_and_rows_are_checked_when_built() -> None:
    load, store = (Op.LOAD_F4, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)
    for steps, registers in (
        ([(99, 0, 0, 0, 0)], 1),
        ([load, (Op.ADD_F, 0, 0, 1, 0)], 2),
        ([load, (Op.ABS_F, 1, 0, 0, 0)], 1),
        ([(Op.LOAD_F4, 0, -1, 0, 0)], 1),
        ([load, (Op.STORE_F4, -1, 0, 0, 0)], 1),
    ):
        with pytest.raises(ParameterError):
            Program(np.array(steps), registers)
    program = Program(np.array([load, (Op.CONST_I, 1, 0, 0, 0), store]), 2)
    for row in (
        (1, [0], [1], [0]), (0, [], [1], [0]), (0, [0], [], [0]), (0, [0], [1.5], [0]), (0, [0], [math.nan], [0]),
        (0, [0], [2**63], [0]), (0, [-1], [1], [0]),
    ):  # fmt: skip
        with pytest.raises(ParameterError):
            Table.build([program], [row])


def test_names_and_signatures_cover_every_step() -> None:
    assert list(SIGNATURES) and set(SIGNATURES) == set(Op)
    assert CODES["coalesce"] == Op.COALESCE and [int(op) for op in Op] == list(range(len(Op)))
