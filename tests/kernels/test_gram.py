"""Tiles of digits: both forms against whole numbers of Python."""

from typing import Any

import numpy as np
import pytest

from gpupipe.kernels.cpu import gram as compiled
from gpupipe.kernels.reference import gram as reference

FORMS = (reference, compiled)


def example(n_rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 50)) * np.array([[1.0], [2.0**40], [2.0**-30]])
    return {
        "x": x,
        "valid": rng.random((2, 50)) < 0.7,
        "rows": rng.permutation(50)[:n_rows].astype(np.int64),
        "order": np.array([2, 0, 1]),
        "scale": np.ldexp(1.0, 21 - np.frexp(np.abs(x[[2, 0, 1]]).max(axis=1))[1]),
        "counts": np.array([5, 4, 4]),
    }


def tiled(form: Any, given: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    out, under = np.empty((len(given["rows"]), 1 + 2 + 13)), np.zeros(3)
    form.tile(*given.values(), out, under)
    return out, under


@pytest.mark.parametrize("n_rows", [0, 1, 15, 16, 17, 50])
def test_both_forms_cut_the_same_digits(n_rows: int) -> None:
    given = example(n_rows)
    (a, under_a), (b, under_b) = (tiled(form, given) for form in FORMS)
    assert a.tobytes() == b.tobytes()
    assert (under_a == 0).all() and (under_b == 0).all()


def test_digits_are_the_value_and_small() -> None:
    given = example(50)
    out, _ = tiled(compiled, given)
    digits = out[:, 3:]
    assert (digits == np.rint(digits)).all() and np.abs(digits).max() <= 2**21
    places = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12]]  # all first ones, all second ones, …
    for at, column in enumerate(given["order"]):
        mine = [place[at] for place in places if at < len(place)]
        top = 2.0 ** (21 * (len(mine) - 1))
        whole = [sum(int(d) * int(top / 2.0 ** (21 * p)) for p, d in enumerate(row[mine])) for row in digits]
        told = [int(value * given["scale"][at] * top) for value in given["x"][column, given["rows"]]]
        assert whole == told
    assert (out[:, 0] == 1).all() and (out[:, 1:3] == given["valid"][:, given["rows"]].T).all()


def test_what_is_left_below_the_last_digit_is_told() -> None:
    given = example(50) | {"counts": np.array([1, 1, 1])}
    for form in FORMS:
        out, under = np.empty((50, 6)), np.zeros(3)
        form.tile(*given.values(), out, under)
        assert (under > 0).all()


def test_both_forms_sum_by_code_and_count_pairs() -> None:
    rng = np.random.default_rng(1)
    digits, rows = np.rint(rng.normal(size=(40, 7)) * 1e6), rng.permutation(90)[:40].astype(np.int64)
    codes = rng.integers(0, 4, (3, 90)).astype(np.int32)
    widths = np.array([4, 6, 5])
    starts = (np.cumsum(widths) - widths).astype(np.int32)
    tables, pairs = [], []
    for form in FORMS:
        table, counts = np.zeros((15, 7)), np.zeros(4 * 6 + 4 * 5 + 6 * 5, np.int64)
        form.sums_by_code(digits, codes + starts[:, None], rows, table)
        form.pairs_of_codes(codes, rows, widths, counts)
        tables.append(table)
        pairs.append(counts)
    assert tables[0].tobytes() == tables[1].tobytes() and pairs[0].tobytes() == pairs[1].tobytes()
    for key, code in ((0, 2), (2, 1)):
        assert (tables[0][starts[key] + code] == digits[codes[key, rows] == code].sum(axis=0)).all()
    met = pairs[0][24:44].reshape(4, 5)  # of keys 0 and 2
    assert met[2, 3] == ((codes[0, rows] == 2) & (codes[2, rows] == 3)).sum()
