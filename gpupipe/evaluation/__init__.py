from gpupipe.evaluation.evaluate import MIN_ROWS, evaluate_arrays
from gpupipe.evaluation.report import Evaluation, Metric, Slice
from gpupipe.evaluation.several import SeveralEvaluations

__all__ = ["MIN_ROWS", "Evaluation", "Metric", "SeveralEvaluations", "Slice", "evaluate_arrays"]
