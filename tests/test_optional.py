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


def test_what_was_imported_is_old_and_what_was_frozen_stays_so() -> None:
    """Else the first search for garbage after an import looks through all that it made."""
    ask = (
        "import gc, gpupipe, numpy; gpupipe.Pipeline; young = len(gc.get_objects(0)) + len(gc.get_objects(1))\n"
        "print(young < 1000, gc.get_freeze_count()); gc.freeze(); kept = gc.get_freeze_count()\n"
        "gpupipe.scan; print(gc.get_freeze_count() == kept > 10_000)"
    )
    told = subprocess.run([sys.executable, "-c", ask], timeout=60, check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["True", "0", "True"]


def test_what_is_young_stays_so_where_nothing_is_imported() -> None:
    """Else cycles that a loop leaves behind grow old at each turn, and wait for a full search."""
    assert gp.Pipeline is not None
    before = gc.isenabled()
    gc.disable()  # but for what is tested
    try:
        young = [object()]
        gc.enable()
        assert gp.Pipeline is not None
        gc.disable()
        assert any(one is young for one in gc.get_objects(0))
    finally:
        (gc.enable if before else gc.disable)()


def test_a_fit_imports_neither_masked_arrays_nor_models() -> None:
    """Of NumPy, which takes .02 s to import them, and asks for them in a plain `numpy.unique`."""
    ask = (
        "import gpupipe as gp, sys; x = gp.col('x')\n"
        "y, clipped = x.fill_null('median').alias('y'), x.clip(x.quantile(0.1), x.quantile(0.9))\n"
        "features = [y.standardize(), clipped.standardize()]\n"
        "gp.Pipeline(features).fit_transform({'x': [1.5, None, 3.5, 2.0] * 9}, output='numpy')\n"
        "print([name for name in ('numpy.ma', 'sklearn', 'numba', 'pandas') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", ask], timeout=60, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_versions_are_those_of_the_metadata() -> None:
    ask = (
        "from gpupipe import optional; found = [optional.version_of(name) for name in ('numba', 'llvmlite')]\n"
        "import sys; assert 'numba' not in sys.modules\n"
        "from importlib.metadata import version; assert found == [version('numba'), version('llvmlite')], found"
    )
    subprocess.run([sys.executable, "-c", ask], timeout=60, check=True)
