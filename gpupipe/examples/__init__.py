"""The demos: real data prepared, and the pipelines over it, each file written as a user would write it.

Each has ``prepare(folder)`` (raw tables as Parquet), ``source(tables)`` (the rows to learn from) and
``pipeline()``; and, to compare with, the same job in plain scikit-learn: ``reference()`` over the pandas rows
of ``frame(tables)``.
"""
