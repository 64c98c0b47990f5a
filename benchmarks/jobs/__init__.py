"""One file a job: its data, its variants, and when two results are the same. Needs NumPy and pyarrow only."""
