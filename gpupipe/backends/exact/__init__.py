"""Exact numbers: sums of values, what they are, and how they are rounded once."""
