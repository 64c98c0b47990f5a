"""Run by Dask in each worker of ours (a preload): what was imported is not looked through for garbage.

A look at all objects takes a worker 0.1 to 0.25 seconds, most of it at modules, and comes about once a fit.
"""

import gc
from typing import Any


def dask_setup(worker: Any) -> None:
    """What is there now, after the imports of all preloads, stays."""
    gc.collect()
    gc.freeze()
