"""A target given beside the rows: what its values become, and what is refused in words of the user's."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import gpupipe as gp
from gpupipe.errors import GpupipeError, IntegerOverflowError, TargetError

X = np.random.default_rng(0).normal(size=(8, 2))


def fitted(y: Any) -> gp.Pipeline:
    return gp.Pipeline([gp.numeric()], model=KNeighborsClassifier(1)).fit(X, y)


def test_numbers_beside_text_stay_numbers() -> None:
    pipeline = fitted([[at % 2, "ab"[at % 2]] for at in range(8)])
    assert [labels.tolist() for labels in pipeline.classes_] == [[0, 1], ["a", "b"]]
    assert pipeline.predict(X)[:2].tolist() == [[0, "a"], [1, "b"]]


@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_rows_of_one_value_are_one_target() -> None:
    assert fitted([[at % 2] for at in range(8)]).predict(X).tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("y", "error", "says"),
    [
        ([[1], [1, 2]] * 4, TargetError, "of different lengths"),
        ([(1,)] * 7 + [2], TargetError, "cannot mix list"),
        ([[1], ["a"]] * 4, TargetError, "of one type"),
        ([2**70, 1] * 4, TargetError, "too large"),
        (np.array([2**63, 1] * 4, np.uint64), IntegerOverflowError, "9223372036854775808 is 2.63 or more"),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_what_is_no_target_is_told(y: Any, error: type[GpupipeError], says: str) -> None:
    with pytest.raises(error, match=says):
        fitted(y)
