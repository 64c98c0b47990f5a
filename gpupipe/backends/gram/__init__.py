"""Exact sums of products of every two columns: gathered, merged, centred."""
