"""The same work on the workers of a Dask cluster: making one, joining one, and leaving nothing behind."""
