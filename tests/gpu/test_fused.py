"""The fused kernels, compiled and run, against the reference interpreter: every bit of values, validity and status."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import FLOATS, INNER, Case, column, random_case

from gpupipe.backends.gpu.columns import packed, unpacked
from gpupipe.errors import DeviceMemoryError, ParameterError
from gpupipe.kernels.gpu import interpreter, records
from gpupipe.kernels.gpu.interpreter import Input
from gpupipe.kernels.gpu.variants import Variant
from gpupipe.kernels.opcodes import STORAGE, Op, load_of, store_of
from gpupipe.kernels.reference import interpreter as reference
from gpupipe.kernels.table import CAST_FAILED, NULL_IN_OUTPUT, Program, Table

from .nvrtc import usage
from .printed import CODES, HEAVY, PROGRAMS, TYPES, chain, kernels, single_steps, slim, table_of
from .simulated import SimulatedDevice

SIZES = [0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1003]


@dataclass
class Given:
    """A column on the device, and the same column as the reference takes it."""

    input: Input
    host: tuple[Any, Any]


def sliced(device: Any, values: Any, before: int) -> Any:
    """The values somewhere inside an allocation that ends with them."""
    return device.upload(np.concatenate([np.zeros(before, values.dtype), values])).rows(before, before + len(values))


def given_column(device: Any, rng: Any, kind: str, n: int, encoded: float = 0.3) -> Given:
    """A random column: with nulls or without, plain or by entries, at any offset."""
    nulls, before = rng.choice([0, 0.1, 0.9]), int(rng.integers(0, 6))
    if n and rng.random() < encoded:
        entries, known = column(rng, kind, int(rng.integers(1, 40)), rng.choice([0, 0.3]))
        ids = rng.integers(0, len(entries), n).astype(np.int32)
        rows = None if not nulls else rng.random(n) > nulls
        if rng.random() < 0.5:
            ids[rng.random(n) < 0.2] = -1
        absent = int(rng.integers(-1, len(entries)))
        told = ids if rows is None else np.where(rows, ids, absent)
        has = (told >= 0) & (True if known is None else known[told])
        held = sliced(device, entries, before), sliced(device, ids, before)
        given_ = Input(held[0], bitmap(device, rows), held[1], bitmap(device, known), absent)
        return Given(given_, (entries[told], has))
    values, valid = column(rng, kind, n, nulls)
    return Given(Input(sliced(device, values, before), bitmap(device, valid)), (values, valid))


def bitmap(device: Any, valid: Any) -> Any:
    return None if valid is None else device.upload(packed(valid))


def bits(values: Any) -> Any:
    return values.view(f"u{values.itemsize}")


def compare(device: Any, table: Any, columns: list, kinds: list, masked: list, n: int, start: int = 0) -> None:
    """Run both over the rows from start to n and hold them together."""
    wanted = [(np.full(n, 77).astype(kind), np.zeros(n, bool) if mask else None)
              for kind, mask in zip(kinds, masked, strict=True)]  # fmt: skip
    outputs = [(sliced(device, np.full(n, 77).astype(kind), k % 5), bitmap(device, np.zeros(n, bool)) if mask else None)
               for k, (kind, mask) in enumerate(zip(kinds, masked, strict=True))]  # fmt: skip
    launches = device.launches
    status = interpreter.run(table, [c.input for c in columns], outputs, start, n)
    assert device.launches - launches == (1 if n > start else 0)
    assert status.tolist() == reference.run(table, [c.host for c in columns], wanted, start, n).tolist()
    for (got, got_valid), (want, want_valid) in zip(outputs, wanted, strict=True):
        assert np.array_equal(bits(got.to_host()), bits(want))
        if want_valid is not None:
            assert got_valid is not None
            assert np.array_equal(unpacked(got_valid.to_host(), n)[start:], want_valid[start:])


def random_table(rng: Any, count: int, light: bool) -> tuple[Any, list, list]:
    ops = [op for op in INNER if not light or op not in HEAVY]
    cases = [random_case(rng, int(rng.integers(1, 14)), ops) for _ in range(count)]
    return table_of([slim(case) for case in cases] if light else cases)


def check_random(device: Any, seed: int, n: int, light: bool, count: int = 4) -> None:
    rng = np.random.default_rng(seed)
    table, kinds, outputs = random_table(rng, count, light)
    columns = [given_column(device, rng, kind, n) for kind in kinds]
    masked = (rng.random(len(outputs)) < rng.choice([0.0, 0.5, 1.0])).tolist()
    start = 0 if rng.random() < 0.5 else int(rng.integers(0, n + 1))
    start -= start % 32 if any(masked) else 0
    compare(device, table, columns, outputs, masked, n, start)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.sampled_from(SIZES), light=st.booleans())
def test_random_programs_give_the_references_bits(seed: int, n: int, light: bool) -> None:
    check_random(SimulatedDevice(), seed, n, light)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.sampled_from([*SIZES, 4000]), light=st.booleans())
def test_many_random_programs_give_the_references_bits(seed: int, n: int, light: bool) -> None:
    check_random(SimulatedDevice(), seed, n, light, 6)


def test_every_step_gives_the_references_bits(device: Any) -> None:
    cases = single_steps()
    used = {Op(step[0]) for case in cases for step in case.program.steps.tolist()}
    assert used >= set(INNER)
    rng = np.random.default_rng(6)
    table, kinds, outputs = table_of(cases)
    columns = [given_column(device, rng, kind, 70) for kind in kinds]
    compare(device, table, columns, outputs, [k % 3 > 0 for k in range(len(outputs))], 70)


@pytest.mark.parametrize("n", [0, 1, 33, 64, 1003])
def test_every_storage_in_and_out(device: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    cases: list[Case] = []
    for kind in STORAGE:
        target = {"f": "float32", "b": "bool"}.get(np.dtype(kind).kind, "int16")
        for store in (kind, target):
            steps = [(load_of(kind), 0, 0, 0, 0), (store_of(store), 0, 0, 0, 0)]
            cases.append(Case(Program(np.array(steps), 1), [kind], [], [store]))
    table, kinds, outputs = table_of(cases)
    columns = [given_column(device, rng, kind, n, 0.0) for kind in kinds]
    compare(device, table, columns, outputs, [k % 2 == 0 for k in range(len(outputs))], n)


SOME = st.sets(st.integers(0, 5), min_size=1)


def clip_program(rng: Any) -> Program:
    """A float32 column filled or not, held on one side or both in either order, then some of what is done to it."""
    steps: list = [(Op.LOAD_F4, 0, 0, 0, 0)]
    slots = 0
    for op in rng.permutation([Op.COALESCE, Op.MAX_F, Op.MIN_F])[: int(rng.integers(1, 4))].tolist():
        steps += [(Op.CONST_F, 1, slots, 0, 0), (op, 0, 0, 1, 0)]
        slots += 1
    after = [Op.LOG1P, Op.EXP, Op.ABS_F, Op.SIGN_F, Op.NEG_F, Op.FLOOR]
    steps += [(int(op), 0, 0, 0, 0) for op in rng.choice(after, int(rng.integers(0, 3)))]
    if rng.random() < 0.2:
        steps += [(Op.IS_NAN, 2, 0, 0, 0), (Op.CONST_F, 1, slots, 0, 0), (Op.SELECT, 0, 2, 1, 0)]
    return Program(np.array([*steps, (Op.STORE_F4 if rng.random() < 0.7 else Op.STORE_F8, 0, 0, 0, 0)]), 3)


def near(rng: Any, values: Any) -> float:
    """A bound: a value of the column, one a float64 beside it, or any awkward number."""
    value = float(rng.choice(values)) if len(values) else 0.0
    with np.errstate(all="ignore"):
        beside = [value, np.nextafter(value, -np.inf), np.nextafter(value, np.inf), float(rng.choice(FLOATS)), -value]
    return float(rng.choice(beside))


def check_clips(device: Any, seed: int, n: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    programs = [clip_program(rng) for _ in range(4)]
    columns = [given_column(device, rng, "float32", n) for _ in range(count)]
    rows = []
    for at in range(count):
        p = int(rng.integers(len(programs)))
        held = columns[at].host[0]
        rows.append((p, [at], [near(rng, held) for _ in range(programs[p].n_parameters)], [at]))
    kinds = ["float32" if Op.STORE_F4 in programs[row[0]].output_stores[0] else "float64" for row in rows]
    compare(device, Table.build(programs, rows), columns, kinds, (rng.random(count) < 0.5).tolist(), n)


@pytest.mark.parametrize("n", [1, 70])
def test_clips_give_the_references_bits_at_every_bound(device: Any, n: int) -> None:
    check_clips(device, n, n, 60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_many_clips_give_the_references_bits(device: Any, seed: int) -> None:
    check_clips(device, seed, 129, 100)


def test_what_is_clipped_is_seen() -> None:
    wanted = [(c.steps != (), c.low, c.high) for c in (records.Variant(
        tuple(map(tuple, program.steps.tolist())), (False,) * program.n_columns, (False,) * program.n_parameters, 1
    ).clip for program in PROGRAMS)]  # fmt: skip
    assert wanted == [(True, 1, 2), (True, 1, 2), (False, -1, -1), (False, -1, -1), (False, -1, -1), (False, -1, -1)]


def matrix_table(rng: Any, width: int, programs: list) -> tuple[Any, list]:
    kinds: list = []
    rows = []
    for at in range(width):
        p = int(rng.choice(programs))
        n_parameters = PROGRAMS[p].n_parameters
        parameters: list = [0.5, -1.0, 2.0, 0.25, 3.0] if n_parameters == 5 else [7 if p == 5 else 2.5][:n_parameters]
        if p == 5 and rng.random() < 0.2:
            parameters[0] = None
        rows.append((p, range(len(kinds), len(kinds) + len(TYPES[p])), parameters, [at]))
        kinds += TYPES[p]
    return Table.build(PROGRAMS, rows), kinds


def check_matrix(device: Any, seed: int, n: int, width: int, spare: int, programs: list) -> None:
    """An expression a column, in any order, `spare` columns left alone."""
    rng = np.random.default_rng(seed)
    table, kinds = matrix_table(rng, width, programs)
    columns = [given_column(device, rng, kind, n, 0.5 if kind.startswith("int") else 0.0) for kind in kinds]
    places = rng.permutation(width + spare)[:width]
    host = np.full((n, width + spare), 55.0, np.float32)
    matrix = device.upload(host)
    launches = device.launches
    status = interpreter.run_matrix(table, [c.input for c in columns], matrix, places.tolist(), n)
    assert device.launches - launches == (1 if n else 0)
    wanted = reference.run(table, [c.host for c in columns], [(host[:, place], None) for place in places], 0, n)
    assert status.tolist() == wanted.tolist()
    assert np.array_equal(bits(matrix.to_host()), bits(host))


SHAPES = [(0, 3), (1, 1), (31, 4), (33, 5), (63, 100), (64, 33), (65, 126), (200, 300)]


@pytest.mark.parametrize(("n", "width"), SHAPES)
def test_matrices_of_any_shape(device: Any, n: int, width: int) -> None:
    check_matrix(device, n + width, n, width, spare=width % 4, programs=list(range(len(PROGRAMS))))


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(SIZES), st.integers(1, 40), st.integers(0, 2), SOME)
def test_random_matrices(seed: int, n: int, width: int, spare: int, programs: set) -> None:
    check_matrix(SimulatedDevice(), seed, n, width, spare, sorted(programs))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(SIZES), st.integers(1, 300), st.integers(0, 9), SOME)
def test_many_random_matrices(seed: int, n: int, width: int, spare: int, programs: set) -> None:
    check_matrix(SimulatedDevice(), seed, n, width, spare, sorted(programs))


def test_little_shared_memory_takes_more_chunks_and_the_same_launch(device: Any) -> None:
    device.shared_bytes = 48 << 10
    check_matrix(device, 8, 70, 130, 1, [0, 2])


def test_expressions_of_one_shape_share_a_kernel(device: Any) -> None:
    parameters = ([0.5, -1.0, 2.0, 0.25, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    values, found = np.linspace(-3, 3, 8, dtype="f4"), set()
    for given_ in parameters:
        table = Table.build([chain()], [(0, [0], given_, [0])])
        matrix, wanted = device.empty((8, 1), "f4"), np.zeros(8, "f4")
        interpreter.run_matrix(table, [Input(device.upload(values))], matrix, [0], 8)
        reference.run(table, [(values, None)], [(wanted, None)], 0, 8)
        assert np.array_equal(matrix.to_host()[:, 0], wanted)
        found.add(records.matrix_records(table, (False,), (0,), 64).kernel)
    assert len(found) == 1


def test_the_order_of_shapes_does_not_matter_to_the_kernel() -> None:
    rows = [(0, [0], [1.0, 2.0, 3.0, 4.0, 5.0], [0]), (2, [1], [], [1])]
    tables = [Table.build(PROGRAMS, order) for order in (rows, rows[::-1], [*rows, *rows[:1]])]
    kernels_ = {records.matrix_records(t, (False,) * 2, tuple(range(len(t))), 64).kernel for t in tables}
    assert len(kernels_) == 1


def test_the_first_failing_row_is_told_with_its_earliest_step(device: Any) -> None:
    n = 3000
    values = np.zeros(n, "i8")
    values[[700, 1500, 2000]] = 1000, 2**63 - 1, 1000
    steps = [(Op.LOAD_I8, 0, 0, 0, 0), (Op.CONST_I, 1, 0, 0, 0), (Op.ADD_I, 0, 0, 1, 0), (Op.STORE_I1, 0, 0, 0, 0)]
    table = Table.build([Program(np.array(steps), 2)], [(0, [0], [1], [0]), (0, [1], [1], [1])])
    valid = np.ones(n, bool)
    valid[700] = False
    columns = [Given(Input(device.upload(values), bitmap(device, ok)), (values, ok)) for ok in (None, valid)]
    compare(device, table, columns, ["int8", "int8"], [True, True], n)
    outputs = [(device.empty(n, "i1"), device.empty(94, "u4")) for _ in range(2)]
    status = interpreter.run(table, [c.input for c in columns], outputs, 0, n)
    assert status.tolist() == [[CAST_FAILED, 700], [1, 1500]]


def test_a_status_that_is_not_read_has_nothing_to_tell(device: Any) -> None:
    """Of whatever program: where the reference sees a row fail, its status is one that is read."""
    read, failed, n = 0, 0, 40
    for seed in range(400):
        rng = np.random.default_rng(seed)
        table, kinds, outputs = random_table(rng, 1, light=True)
        held = [column(rng, kind, n, rng.choice([0, 0.3])) for kind in kinds]
        bare = tuple((rng.random(len(outputs)) < 0.5).tolist())
        stored = [(np.zeros(n, kind), None if b else np.zeros(n, bool)) for kind, b in zip(outputs, bare, strict=True)]
        made = records.columns_records(table, (False,) * len(held), bare)
        looks = made.fails or any(held[i][1] is not None for i in made.fails_on_null)
        fails = bool(reference.run(table, held, stored, 0, n)[0, 0])
        assert looks or not fails, seed
        read, failed = read + looks, failed + fails
    assert 50 < failed <= read < 350
    plain, masked = Input(device.zeros(n, "i4")), Input(device.zeros(n, "i4"), device.zeros(2, "u4"))
    steps = [(Op.LOAD_I4, 0, 0, 0, 0), (Op.STORE_I8, 0, 0, 0, 0)]
    table = Table.build([Program(np.array(steps), 1)], [(0, [0], [], [0])])
    for source, waits in ((plain, 0), (masked, 1)):  # a null has no place there
        before = device.downloads
        interpreter.run(table, [source], [(device.empty(n, "i8"), None)], 0, n)
        assert device.downloads - before == waits


@pytest.mark.parametrize("n", [33, 64])
def test_rows_beyond_the_last_fail_nothing(device: Any, n: int) -> None:
    """0, which stands in for what is not read, fails here; no row has it."""
    steps = [(Op.LOAD_F4, 0, 0, 0, 0), (Op.CONST_F, 1, 0, 0, 0), (Op.DIV_F, 0, 1, 0, 0), (Op.F_TO_I_STRICT, 0, 0, 0, 0),
             (Op.I_TO_F, 0, 0, 0, 0), (Op.STORE_F4, 0, 0, 0, 0)]  # fmt: skip
    table = Table.build([Program(np.array(steps), 2)], [(0, [0], [1.0], [0])])
    values = np.full(n + 1, 2.0, "f4")
    values[n] = 0.0
    source = Input(device.upload(values))
    assert interpreter.run_matrix(table, [source], device.empty((n, 1), "f4"), [0], n).tolist() == [[0, -1]]
    assert interpreter.run(table, [source], [(device.empty(n, "f4"), None)], 0, n).tolist() == [[0, -1]]
    longer = interpreter.run(table, [source], [(device.empty(n + 1, "f4"), None)], 0, n + 1)
    assert longer.tolist() == [[CAST_FAILED, n]]


@pytest.mark.parametrize("width", [1, 6, 7, 64, 65, 176, 177])
def test_rows_of_a_tile_are_an_odd_number_of_floats_apart(width: int) -> None:
    """So that the lanes of a warp, at rows one below the other, write to different banks of shared memory."""
    table = Table.build([CODES], [(0, [0], [], [at]) for at in range(width)])
    made = records.matrix_records(table, (False,), tuple(range(width)), 176)
    assert made.pitch % 2 == 1 and made.chunks == -(-width // 176) and made.pitch * made.chunks >= width


def test_a_null_without_a_bitmap_is_nan_or_told(device: Any) -> None:
    source = Input(device.upload(np.array([1, 2, 3], "i8")), bitmap(device, np.array([True, False, True])))
    for kind, wanted, told in (("int32", [1, 0, 3], [NULL_IN_OUTPUT, 1]), ("float32", [1, np.nan, 3], [0, -1])):
        steps: list = [(Op.LOAD_I8, 0, 0, 0, 0)] + [(Op.I_TO_F, 0, 0, 0, 0)] * (kind == "float32")
        table = Table.build([Program(np.array([*steps, (store_of(kind), 0, 0, 0, 0)]), 1)], [(0, [0], [], [0])])
        out = device.empty(3, kind)
        assert interpreter.run(table, [source], [(out, None)], 0, 3).tolist() == [told]
        assert np.array_equal(out.to_host(), wanted, equal_nan=kind == "float32")


def test_wrong_buffers_are_refused(device: Any) -> None:
    table = Table.build([CODES], [(0, [0], [], [0])])
    good, out = Input(device.zeros(40, "i4")), (device.empty(40, "f4"), None)
    words = device.zeros(1, "u4")
    wrong: list = [
        ([], [out], 0, 40), ([good], [], 0, 40), ([Input(device.zeros(40, "i8"))], [out], 0, 40),
        ([good], [out], 0, 41), ([good], [out], 5, 4), ([good], [(device.empty(40, "f8"), None)], 0, 40),
        ([Input(good.values, words)], [out], 0, 40), ([good], [(out[0], device.zeros(2, "u4"))], 5, 40),
        ([Input(good.values, ids=device.zeros(39, "i4"))], [out], 0, 40),
        ([Input(good.values, ids=device.zeros(40, "i8"))], [out], 0, 40),
        ([Input(good.values, ids=good.values, entry_valid=words)], [out], 0, 40),
        ([Input(good.values, ids=good.values, absent=-2)], [out], 0, 40),
        ([Input(good.values, ids=good.values, absent=40)], [out], 0, 40),
    ]  # fmt: skip
    for inputs, outputs, start, stop in wrong:
        with pytest.raises(ParameterError):
            interpreter.run(table, inputs, outputs, start, stop)
    copied = Program(np.array([(Op.LOAD_I4, 0, 0, 0, 0), (Op.STORE_I4, 0, 0, 0, 0)]), 1)
    whole = Table.build([copied], [(0, [0], [], [0])])
    matrix = device.empty((40, 2), "f4")
    for tried, place, columns, rows in (
        (table, matrix, [2], 40), (table, matrix, [-1], 40), (table, matrix, [0, 1], 40), (table, matrix, [0], 41),
        (table, device.empty((40, 2), "f8"), [0], 40), (whole, matrix, [0], 40),
    ):  # fmt: skip
        with pytest.raises(ParameterError):
            interpreter.run_matrix(tried, [good], place, columns, rows)
    assert device.launches == 0


def test_no_memory_for_the_records_is_said(device: Any) -> None:
    table = Table.build([CODES], [(0, [0], [], [0])])
    inputs, out = [Input(device.zeros(40, "i4"))], [(device.empty(40, "f4"), None)]
    device.fail_at = set(range(100))
    with pytest.raises(DeviceMemoryError):
        interpreter.run(table, inputs, out, 0, 40)


def test_how_many_rows_at_once() -> None:
    one = Variant(((0, 0, 0, 0, 0),), (False,), (), 1)
    assert one.at_once == 4 and Variant(((int(Op.POWER), 0, 0, 0, 0),), (False,), (), 1).at_once == 1


BENCHMARK = [(name, kernel) for name, kernel in kernels() if name.partition(",")[0] in ("clip", "log1p and codes")]


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90"])
def test_the_benchmarks_chains_fit_their_registers(device: Any, arch: str) -> None:
    for name, kernel in BENCHMARK:
        used = usage(kernel.source, arch)[kernel.entry]
        assert used.stack == used.spill_stores == used.spill_loads == 0, name
        assert used.registers <= 64, name


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"])
def test_nothing_spills(device: Any, arch: str) -> None:
    for name, kernel in kernels():
        used = usage(kernel.source, arch)[kernel.entry]
        assert used.stack == used.spill_stores == used.spill_loads == 0, name


@pytest.mark.parametrize("kind", [kind for kind in STORAGE if kind[0] in "iu"])
def test_a_store_fails_just_outside_its_range(device: Any, kind: str) -> None:
    limits = np.iinfo(kind)
    low, high = int(limits.min), min(int(limits.max), 2**63 - 1)
    near = [low - 1, low, low + 1, high - 1, high, high + 1]
    values = np.array([value for value in near if -(2**63) <= value < 2**63])
    steps = [(load_of("int64"), 0, 0, 0, 0), (store_of(kind), 0, 0, 0, 0)]
    table = Table.build([Program(np.array(steps), 1)], [(0, [0], [], [0])])
    for rows in (np.arange(len(values)), *np.arange(len(values))[:, None]):
        given = Given(Input(device.upload(values[rows])), (values[rows], None))
        compare(device, table, [given], [kind], [False], len(rows))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_log1p_corrects_what_its_type_needs(device: Any, kind: str) -> None:
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.lognormal(-9, 9, 400), -rng.random(200), 1 / 3 * 2.0 ** -np.arange(60)]).astype(kind)
    steps = [(load_of(kind), 0, 0, 0, 0), (Op.LOG1P, 0, 0, 0, 0), (store_of("float64"), 0, 0, 0, 0)]
    table = Table.build([Program(np.array(steps), 1)], [(0, [0], [], [0])])
    compare(device, table, [Given(Input(device.upload(values)), (values, None))], ["float64"], [False], len(values))
