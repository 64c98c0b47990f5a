"""The CUDA C++ of this package as text. It includes nothing: what several files share is put before them."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def text(*names: str) -> str:
    """The named files of this folder, one after the other.

    >>> text("trial.cu").count("__global__")
    1
    """
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)
