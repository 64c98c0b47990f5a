"""What a GPU does with the ideas the GPU backend will stand on: run ``python -m benchmarks.gpu``."""
