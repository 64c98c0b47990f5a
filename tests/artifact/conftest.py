"""One artifact of each kind, saved once for all tests of hostile ones."""

import pytest

from gpupipe import artifact

from .kinds import save_all


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A folder that holds an artifact of each kind, under the kind's name. Nothing may change it."""
    folder = tmp_path_factory.mktemp("whole")
    save_all(folder)
    return folder


@pytest.fixture(scope="session")
def saved(whole):
    """The contents of each, by kind."""
    return {path.name: artifact.read(path) for path in whole.iterdir()}
