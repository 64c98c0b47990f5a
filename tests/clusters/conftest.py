"""One cluster of two processes for all tests of this folder that leave it as it was: starting one takes seconds."""

import signal
from collections.abc import Iterator

import pytest

import gpupipe as gp
from gpupipe.clusters.current import entered, left

# A shell script ignores Ctrl-C for what it starts in the background, which processes inherit: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _two() -> Iterator[gp.Cluster]:
    with gp.cluster("processes", n_workers=2, memory_limit="1GiB") as made:
        left(made)  # current where a test asks for it, and not in tests of other folders
        yield made


@pytest.fixture
def two(_two: gp.Cluster) -> Iterator[gp.Cluster]:
    """Two workers, which are what fits run on."""
    entered(_two)
    yield _two
    left(_two)
