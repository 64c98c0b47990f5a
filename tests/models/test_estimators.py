"""The table: found by name and module, in step with the libraries, and clear about what is not in it."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils import get_tags

from gpupipe import optional
from gpupipe.errors import UnsupportedEstimatorError
from gpupipe.models.bodies import FORMS
from gpupipe.models.estimators import _NEAREST, ROWS, describe

from .cases import CASES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_what_the_library_says(row: Any) -> None:
    kind = getattr(optional.load(row.module), row.name)
    estimator = kind()
    assert describe(estimator) == row
    tags = get_tags(estimator)
    if row.kind != "ranker":  # scikit-learn has no such type; the libraries disagree
        assert tags.estimator_type == (row.kind if row.kind != "transformer" else None)
        assert tags.target_tags.required == row.supervised or row.name == "PLSRegression"  # its y may be left out
    assert tags.input_tags.allow_nan == row.accepts_nan
    arguments = inspect.signature(kind.fit).parameters
    assert ("sample_weight" in arguments) == row.accepts_weights
    assert (row.early_stopping or "X") in arguments
    assert row.form in FORMS and row.path == f"{row.module}.{row.name}"


def test_every_row_has_a_case() -> None:
    of_one_target = {row.name for row in ROWS if row.targets != "several"}  # the others: test_multi_output.py
    assert {type(case.estimator).__name__ for case in CASES.values()} == of_one_target


class MyRegression(LinearRegression):
    def predict(self, X: Any) -> Any:
        return super().predict(X) + 1


class Ridge2:
    pass


Ridge2.__name__ = "Ridge"


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (LabelSpreading(), "The nearest there is: KNeighborsClassifier"),
        (SplineTransformer(), r"keep as data\. docs/estimators.md lists the 1\d\d"),
        (MyRegression(), "It extends LinearRegression"),
        (Ridge2(), "no estimator gpupipe can keep"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "the steps before the model as features"),
        (GridSearchCV(Ridge(), {"alpha": [1.0]}), "Put the gpupipe Pipeline into the search"),
        (OutputCodeClassifier(LogisticRegression()), "wraps other estimators"),
        (LogisticRegression, r"Give an object: LogisticRegression\(\)"),
        (None, "supported"),
        ("LogisticRegression", "supported"),
    ],
)
def test_what_is_not_in_the_table_is_refused_with_a_hint(estimator: Any, says: str) -> None:
    with pytest.raises(UnsupportedEstimatorError, match=says) as caught:
        describe(estimator)
    assert isinstance(caught.value, TypeError)


def test_the_nearest_estimators_are_in_the_table() -> None:
    names = {row.name for row in ROWS}
    assert {nearest.partition(" ")[0] for nearest in _NEAREST.values()} <= names and not set(_NEAREST) & names


def test_nan_depends_on_what_the_estimator_says(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = RandomForestRegressor()
    assert describe(forest).accepts_nan
    tags = forest.__sklearn_tags__()
    tags.input_tags.allow_nan = False
    monkeypatch.setattr(RandomForestRegressor, "__sklearn_tags__", lambda self: tags)
    assert not describe(forest).accepts_nan


def test_the_table_imports_no_library() -> None:
    code = (
        "import sys, gpupipe.models.estimators, gpupipe.models.model;"
        "assert not {'sklearn', 'scipy', 'xgboost', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
