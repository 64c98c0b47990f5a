"""What a model that draws lots, or is made of others, is told."""

from typing import Any

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import RANSACRegressor
from sklearn.svm import SVR

from gpupipe.errors import UnsafeModelError
from gpupipe.models.model import train

from .cases import NAMES, matrix, target


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (DummyClassifier(strategy="stratified"), r"strategy='stratified'\) has no saved form. Use one of: prior"),
        (DummyClassifier(strategy="uniform"), "uniform"),
        (DummyClassifier(strategy="constant", constant="a"), "constant"),
        (RANSACRegressor(SVR()), r"RANSACRegressor of SVR.*LinearRegression"),
        (RANSACRegressor(loss=lambda a, b: abs(a - b)), "loss that is a function"),
    ],
)
def test_what_has_no_form_is_refused_with_what_to_do(estimator: Any, says: str) -> None:
    y = target(False, 2 if isinstance(estimator, DummyClassifier) else 0)
    with pytest.raises(UnsafeModelError, match=says):
        train(estimator, matrix(False, False), y, feature_names=NAMES)
