from gpupipe.evaluation.evaluate import MIN_ROWS, evaluate_arrays
from gpupipe.evaluation.report import Evaluation, Metric, Slice

__all__ = ["MIN_ROWS", "Evaluation", "Metric", "Slice", "evaluate_arrays"]
