"""The operators: functions from expressions to expressions. Importing this package registers them."""

from gpupipe.features import bins, dates, encode, groups, impute, scalar, scale, text

__all__ = ["bins", "dates", "encode", "groups", "impute", "scalar", "scale", "text"]
