"""The compiler that all tests of GPU code need."""

import sys

import pytest

from .nvrtc import _compiled, why_not


@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC comes with the test packages on Linux alone")
def test_it_is_here() -> None:
    """Where it is not, those tests are skipped one by one: this one says aloud that nothing was proven."""
    assert why_not() == "", "pip install -e '.[test]' installs it"


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "NVRTC is here")
def test_what_it_says_is_written_into_memory_of_its_own() -> None:
    """An empty log is one byte, and Python's bytes of length 1 are shared by all who have that byte."""
    compiled, log = _compiled('extern "C" __global__ void nothing() {}', ("--gpu-architecture=compute_90",), "PTX")
    assert b".entry nothing" in compiled and log == ""
    assert [bytes([value])[0] for value in range(256)] == list(range(256))
