"""The compiler that all tests of GPU code need."""

import sys

import pytest

from .nvrtc import why_not


@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC comes with the test packages on Linux alone")
def test_it_is_here() -> None:
    """Where it is not, those tests are skipped one by one: this one says aloud that nothing was proven."""
    assert why_not() == "", "pip install -e '.[test]' installs it"
