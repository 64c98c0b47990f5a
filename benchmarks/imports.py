"""How long ``import gpupipe`` takes, against what it cannot do without: numpy and pyarrow. A new process each time."""

from collections.abc import Iterator

from .measure import Row, rows_of, run_statement

STATEMENTS = {"gpupipe": "import gpupipe", "numpy, pyarrow": "import numpy, pyarrow", "nothing": "pass"}


def measure(repeats: int) -> Iterator[Row]:
    """Alternating; at least fifteen of each, since one takes a fraction of a second."""
    for repeat in range(-1, max(15, 3 * repeats)):
        for side, statement in STATEMENTS.items():
            found = run_statement(statement)
            if repeat >= 0:
                yield from rows_of("import", "a new process", side, repeat, found)
