from gpupipe.crossval.result import CrossValidation, FoldResult, Path
from gpupipe.crossval.validate import cross_validate

__all__ = ["CrossValidation", "FoldResult", "Path", "cross_validate"]
