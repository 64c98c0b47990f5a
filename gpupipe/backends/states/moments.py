"""The states of sums and of moments: exact numbers, so that parts may come in any order and be taken out again."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from gpupipe.backends.exact import number as exact
from gpupipe.backends.exact.number import Exact
from gpupipe.backends.exact.sums import sums
from gpupipe.backends.exact.totals import Sums
from gpupipe.backends.states.integers import counts, total
from gpupipe.backends.states.state import Arrays, StateKind
from gpupipe.columns import Column, Values
from gpupipe.errors import NonFiniteError

INFINITE = "an infinite value has no place in a mean, a variance or a standard deviation. Clip it, or filter it out."
_SCALE = "_scale"  # beside the digits of "sum" stands "sum_scale"; `gpupipe.backends.exact.number` says what both are


def _update_moments(
    column: Column,
    groups: Values,
    n_groups: int,
    times: Values | None,
    n: Values | None = None,
    *,
    squares: bool = True,
) -> Arrays:
    found = _sums(column.values, groups, n_groups, times, squares=squares)
    if found is None:
        raise NonFiniteError(INFINITE).at(int(np.flatnonzero(~np.isfinite(column.values))[0]))
    return {"n": counts(groups, n_groups, times, n), **arrays_of(found)}


def _update_sum(column: Column, groups: Values, n_groups: int, times: Values | None, n: Values | None = None) -> Arrays:
    """Infinities are counted beside the sum of the others: ``infinite`` has a column for each sign."""
    return _finite_sums(column.values, groups, n_groups, times, n, squares=False)


def _update_tails(
    column: Column, groups: Values, n_groups: int, times: Values | None, n: Values | None = None
) -> Arrays:
    """As of moments, but infinities are counted: clipping may take them away."""
    return _finite_sums(column.values.astype(np.float64), groups, n_groups, times, n, squares=True)


def _finite_sums(
    values: Values, groups: Values, n_groups: int, times: Values | None, n: Values | None, *, squares: bool
) -> Arrays:
    n = counts(groups, n_groups, times, n)
    found = _sums(values, groups, n_groups, times, squares=squares)
    infinite = np.zeros((n_groups, 2), np.int64)
    if found is None:
        for sign, of_sign in enumerate((values == np.inf, values == -np.inf)):
            infinite[:, sign] = counts(groups[of_sign], n_groups, None if times is None else times[of_sign])
        finite = np.isfinite(values)
        times = None if times is None else times[finite]
        found = _sums(values[finite], groups[finite], n_groups, times, squares=squares)
    assert found is not None  # what is left is finite
    return {"n": n, **arrays_of(found), **({"infinite": infinite} if values.dtype.kind == "f" else {})}


def _sums(values: Values, groups: Values, n_groups: int, times: Values | None, *, squares: bool) -> Sums | None:
    return sums(values, None if n_groups == 1 else groups, n_groups, times, squares=squares)


def arrays_of(found: Sums) -> Arrays:
    """The arrays of sums, and of squares where there are some."""
    arrays = {"sum": found.total.digits, "sum" + _SCALE: found.total.scale}
    if found.squares is not None:
        arrays |= {"squares": found.squares.digits, "squares" + _SCALE: found.squares.scale}
    return arrays


def _stack(parts: Sequence[Arrays]) -> Arrays:
    arrays = {"n": np.concatenate([part["n"] for part in parts])}
    for name in filter(_has_digits, parts[0]):
        numbers = exact.stacked([Exact(part[name], part[name + _SCALE]) for part in parts])
        arrays |= {name: numbers.digits, name + _SCALE: numbers.scale}
    if any("infinite" in part for part in parts):  # floats, and whole numbers that stand in for some of them
        none = [np.zeros((len(part["n"]), 2), np.int64) for part in parts]
        counted = [part.get("infinite", zeros) for part, zeros in zip(parts, none, strict=True)]
        arrays["infinite"] = np.concatenate(counted)
    return arrays


def _combine(arrays: Arrays, groups: Values, n_groups: int) -> Arrays:
    result = {"n": total(arrays["n"], groups, n_groups)}
    for name in filter(_has_digits, arrays):
        numbers = exact.combined(Exact(arrays[name], arrays[name + _SCALE]), groups, n_groups)
        result |= {name: numbers.digits, name + _SCALE: numbers.scale}
    if "infinite" in arrays:
        columns = [total(arrays["infinite"][:, sign], groups, n_groups) for sign in (0, 1)]
        result["infinite"] = np.stack(columns, axis=1)
    return result


def each(arrays: Arrays) -> list[Arrays]:
    """The arrays of every group by itself, as if no others had been beside it."""
    size = len(arrays["n"])
    found: list[Arrays] = [
        {name: array[at : at + 1] for name, array in arrays.items() if not _is_exact(name)} for at in range(size)
    ]
    for name in filter(_has_digits, arrays):
        for part, number in zip(found, exact.each(Exact(arrays[name], arrays[name + _SCALE])), strict=True):
            part |= {name: number.digits, name + _SCALE: number.scale}
    return found


def negated(arrays: Arrays) -> Arrays:
    """The arrays of a state of sums or moments that take its rows out again where they are combined with others."""
    result = {name: -array for name, array in arrays.items() if not _is_exact(name)}
    for name in filter(_has_digits, arrays):
        numbers = exact.negated(Exact(arrays[name], arrays[name + _SCALE]))
        result |= {name: numbers.digits, name + _SCALE: numbers.scale}
    return result


def _has_digits(name: str) -> bool:
    return name in ("sum", "squares")


def _is_exact(name: str) -> bool:
    return _has_digits(name.removesuffix(_SCALE))


SUM = StateKind("sum", _update_sum, _combine, invertible=True, stack=_stack)
MOMENTS = StateKind("moments", _update_moments, _combine, invertible=True, stack=_stack)
#: Moments without squares: all that a mean asks for. Such states are merged with none that have squares.
MEANS = replace(MOMENTS, update=partial(_update_moments, squares=False))
TAILS = StateKind("tails", _update_tails, _combine, invertible=True, stack=_stack)
