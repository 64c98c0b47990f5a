"""The kernels in CUDA C++: the names and signatures of `reference` and `cpu`, over arrays in a device's memory."""
