"""When compiled kernels are worth their start. They give the bits of NumPy's forms, so that only time hangs on it.

NumPy's forms take 10 to 50 ns a value more. Where machine code is kept (`gpupipe.kernels.cpu.objects`) compiled ones
start in some .07 s of a processor, else in up to 20 s, once for an installation. What a trip over rows will compute
is told before it begins; what was not told is counted.
"""

from gpupipe import optional

#: So many values are worth loading what is kept, and so many are worth compiling; fewer in one call are not worth that.
READY, COLD, TINY = 2_000_000, 64_000_000, 10_000


class Work:
    """The values NumPy's forms have computed in this process. Threads may lose a count; nothing hangs on it."""

    values = 0
    expected = 0
    started = False


def expect(n_values: int) -> None:
    """Tell that so many values are about to be computed."""
    Work.expected = max(Work.expected, n_values)


def worth(n_values: int) -> bool:
    """Whether so many values, of one call, are to be computed by compiled kernels; else they are counted."""
    if n_values >= min(TINY, READY) and (Work.started or _worth_start(n_values)):
        Work.started = True
        return True
    Work.values += n_values
    return False


def _worth_start(n_values: int) -> bool:
    values = max(Work.expected, Work.values + n_values)
    if values < READY or not optional.available("numba"):
        return False
    return values >= COLD or bool(optional.load("gpupipe.kernels.cpu.interpreter").is_ready())
