"""Floor division by one number, and dates, which compiled kernels take through float64: whole numbers to the last."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpupipe.kernels.cpu import interpreter as cpu
from gpupipe.kernels.opcodes import Op
from gpupipe.kernels.reference import interpreter as reference
from gpupipe.kernels.table import Program, Table

TWINS = pytest.mark.parametrize("run", [reference.run, cpu.run], ids=["reference", "cpu"])
DATES = {Op.YEAR: "year", Op.MONTH: "month", Op.DAY: "day"}
EDGE = 2**53


def result(run: Any, steps: list[Any], numbers: list[int], divisor: int) -> list[int]:
    """What the steps make of register 0, the numbers, and 1, the divisor."""
    load = [(Op.LOAD_I8, 0, 0, 0, 0), (Op.CONST_I, 1, 0, 0, 0)]
    program = Program(np.array([*load, *steps, (Op.STORE_I8, 0, 2, 0, 0)]), 3)
    table = Table.build([program], [(0, [0], [divisor], [0])])
    out, valid = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), bool)
    status = run(table, [(np.array(numbers, np.int64), None)], [(out, valid)], 0, len(numbers))
    assert not status[:, 0].any() and valid.all()
    return out.tolist()


@TWINS
@settings(max_examples=100, deadline=None)
@given(
    divisor=st.one_of(st.integers(1, 10**12), st.integers(-EDGE - 9, EDGE + 9).filter(lambda by: by not in (0, -1))),
    seeds=st.lists(st.integers(-EDGE - 9, EDGE + 9), min_size=1, max_size=20),
)
def test_quotients_and_rests_are_those_of_whole_numbers(run: Any, divisor: int, seeds: list[int]) -> None:
    near = [seed // divisor * divisor + by for seed in seeds for by in (-1, 0, 1)]
    numbers = [*seeds, *near, EDGE - 1, 1 - EDGE]
    assert result(run, [(Op.FLOORDIV_I, 2, 0, 1, 0)], numbers, divisor) == [number // divisor for number in numbers]
    assert result(run, [(Op.MOD_I, 2, 0, 1, 0)], numbers, divisor) == [number % divisor for number in numbers]


@TWINS
@pytest.mark.parametrize("op", DATES, ids=lambda op: op.name.lower())
def test_every_day_of_python_has_its_date(run: Any, op: Any) -> None:
    first, last = (day.toordinal() - 719_163 for day in (date.min, date.max))
    days = list(range(first, last + 1, 97)) + list(range(-1000, 50_000))
    wanted = [getattr(date(1970, 1, 1) + timedelta(day), DATES[op]) for day in days]
    assert result(run, [(op, 2, 0, 0, 0)], days, 1) == wanted


@pytest.mark.parametrize("op", DATES, ids=lambda op: op.name.lower())
@settings(max_examples=100, deadline=None)
@given(cycles=st.integers(-(2**24), 2**24), rests=st.lists(st.integers(0, 146_096), min_size=1, max_size=30))
def test_days_far_away_repeat_every_400_years(op: Any, cycles: int, rests: list[int]) -> None:
    """The Gregorian calendar does, every 146,097 days; here up to where float64 no longer serves, and beyond."""
    here = [rest - 719_162 for rest in [*rests, 0, 146_096]]
    wanted = result(reference.run, [(op, 2, 0, 0, 0)], here, 1)
    later = [number + 400 * cycles for number in wanted] if op == Op.YEAR else wanted
    assert result(cpu.run, [(op, 2, 0, 0, 0)], [day + 146_097 * cycles for day in here], 1) == later
