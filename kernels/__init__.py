"""Arrays in, arrays out: the hand-written kernels. They know no column, plan or task.

`reference` is the specification in plain NumPy; `cpu` has the same names, signatures and bits in Numba.
"""

if __name__ != "gpupipe.kernels":
    raise ImportError(f"This folder is installed as 'gpupipe.kernels'; it was imported as {__name__!r}.")
