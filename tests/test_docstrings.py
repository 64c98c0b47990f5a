"""Every example in the docstrings of the package runs and gives what stands below it."""

import doctest
import importlib
import pkgutil
import warnings

import numpy as np
import pytest

import gpupipe

_ALL = (module.name for module in pkgutil.walk_packages(gpupipe.__path__, "gpupipe."))
MODULES = [name for name in _ALL if not name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert not result.failed


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 100
