"""Bad input that a plan refuses, before any row is read."""

import pytest

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import DuplicateNameError

from .case import bad_input, check, runs


@bad_input(
    "two features of one name",
    "two features of one name: `[col('x'), col('x') + 1]`",
    told="planning",
    error=DuplicateNameError,
    message="Two features are named 'x': x and (x + 1). Give one an .alias(…), or remove it.",
)
def two_features(device, folder):
    gp.Pipeline([col("x"), col("x") + 1], device=device).fit({"x": [1.0]})


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
