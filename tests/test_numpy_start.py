"""What the environment says as NumPy is loaded, in processes of their own."""

import os
import subprocess
import sys

_NAME = "OPENBLAS_THREAD_TIMEOUT"
_WATCHED = f"""
import os, sys
class Watching:
    def find_spec(self, name, *_):
        if name == "numpy":
            print(os.environ.get({_NAME!r}))
sys.meta_path.insert(0, Watching())
{{before}}
import gpupipe, numpy
print(os.environ.get({_NAME!r}))
"""


def _told(before: str = "", **more: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != _NAME} | more
    told = subprocess.run(
        [sys.executable, "-c", _WATCHED.format(before=before)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split()


def test_threads_of_numpy_sleep_soon_and_nobody_else_is_told() -> None:
    assert _told() == ["20", "None"]


def test_what_the_user_said_or_imported_stays() -> None:
    assert _told(**{_NAME: "9"}) == ["9", "9"]
    assert _told("import numpy") == ["None", "None"]
