"""The same kernels in Numba: same names, same signatures, same bits."""
