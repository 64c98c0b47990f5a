"""What importing late leaves as it was."""

import gc
import subprocess
import sys

import gpupipe as gp
from gpupipe import optional


def test_garbage_is_collected_after_the_first_use_as_before() -> None:
    before = gc.isenabled()
    try:
        for wanted in (True, False):
            (gc.enable if wanted else gc.disable)()
            assert optional.first_use("Pipeline") is gp.Pipeline
            assert gc.isenabled() == wanted
    finally:
        (gc.enable if before else gc.disable)()


def test_versions_are_those_of_the_metadata() -> None:
    ask = (
        "from gpupipe import optional; found = [optional.version_of(name) for name in ('numba', 'llvmlite')]\n"
        "import sys; assert 'numba' not in sys.modules\n"
        "from importlib.metadata import version; assert found == [version('numba'), version('llvmlite')], found"
    )
    subprocess.run([sys.executable, "-c", ask], timeout=60, check=True)
