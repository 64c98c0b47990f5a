"""Hostile artifacts whose digests are right: each is refused for what is wrong with it, at once and in little memory.

All are read by three readers in one process of their own, under the watch of `watched.py`.
"""

import re
import shutil
from collections import defaultdict

import pytest

from .crafted import CASES
from .test_mutations import MEMORY, watched

SECONDS = 1.0  # of processor time


@pytest.fixture(scope="module")
def found(whole, tmp_path_factory):
    """What each reader made of each case."""
    work, bases = tmp_path_factory.mktemp("crafted"), tmp_path_factory.mktemp("bases")
    for base in {case.base for case in CASES.values()}:  # loaded first, so that what loads lazily has
        shutil.copytree(whole / base, bases / base)
    paths = {}
    for number, (name, case) in enumerate(CASES.items()):
        paths[name] = work / str(number)
        shutil.copytree(whole / case.base, paths[name])
        case.change(paths[name])
    told = defaultdict(dict)
    names = {str(path): name for name, path in paths.items()}
    for line in watched("load", bases, *paths.values()):
        told[names[line["path"]]][line["reader"]] = line
    return told


@pytest.mark.parametrize("name", CASES)
def test_hostile_artifacts_are_refused_for_what_is_wrong(found, name):
    case = CASES[name]
    for reader in ("load", "scorer"):
        one = found[name][reader]
        assert one["error"] == (None if case.error == "accepted" else case.error), one["message"]
        assert re.search(case.says, one["message"], re.DOTALL), one["message"]
    inspected = found[name]["inspect"]  # which reads the artifact, and does not restore its pipeline
    assert inspected["error"] is None or {"ArtifactError", "StorageError"} & {*inspected["kinds"]}
    for one in found[name].values():
        assert one["refused"] == []
        assert len(one["message"]) < 5_000 and one["message"].isprintable()
        assert one["busy"] < SECONDS and one["grown"] < MEMORY, one


def test_there_are_a_hundred():
    assert len(CASES) >= 100
