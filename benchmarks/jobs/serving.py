"""J4 "serving": rows through a loaded artifact: J1's features of 13 numbers and 26 texts, and a logistic regression.

Both sides are fitted on all rows, which is not what is measured. One row and a hundred are Python values, as a service
has them: a dict of values, a dict of lists. Ten thousand and a million are a table in memory, each side in its own
kind, and made beforehand. The million is all there is where there are fewer rows.

Variants:
    logistic: phases ``1 row`` … ``1000000 rows`` with ``median_ms``, ``p99_ms`` and ``cpu_ms`` a call. Kept are the
        features of the first 10,000 rows as ``matrix.npy``, and the AUC as ``models.json``.
"""

from pathlib import Path

from . import clicks
from .data import main

NAME = "serving"
FILE = clicks.FILE
VARIANTS = ("logistic",)


def make(home: Path, rows: int) -> Path:
    """The rows of J1."""
    return clicks.make(home, rows)


def agree(ours: Path, theirs: Path, variant: str) -> str:
    """Compare the features as J1 does, and the AUC.

    Raises:
        ValueError: they differ.
    """
    return f"{clicks.agree(ours, theirs, 'matrix')}; {clicks.agree(ours, theirs, 'models')}"


if __name__ == "__main__":
    main(NAME, make)
