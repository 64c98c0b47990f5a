"""How a fitted pipeline is judged: by one number, or by all that there is to say."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gpupipe.arguments import named_arguments
from gpupipe.artifact import pipeline as artifact
from gpupipe.errors import TargetError
from gpupipe.models.contract import if_the_model_does
from gpupipe.optional import later
from gpupipe.runtime.given import source_of
from gpupipe.runtime.inputs import Inputs
from gpupipe.runtime.progress import Shown
from gpupipe.told import ToldPipeline

if TYPE_CHECKING:
    from gpupipe.evaluation.judge import judged
    from gpupipe.evaluation.report import Evaluation
    from gpupipe.evaluation.several import SeveralEvaluations
else:
    (judged,) = later("gpupipe.evaluation.judge", "judged")


class JudgedPipeline(ToldPipeline):
    """What judges a pipeline that is fitted."""

    key: str | None
    _inputs: Inputs

    @abstractmethod
    def _fitted(self) -> artifact.Fit:
        """What was fitted."""

    @if_the_model_does
    @named_arguments
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R² of a regressor, NDCG of a ranker whose groups are columns of `X`; of several
        targets the share of rows in which all are right, or the mean R².

        Raises:
            TargetError: it has no value, as R² has none of a constant target.
        """
        found = self._judged(X, y, sample_weight, None, ())
        name = {"classifier": "accuracy", "ranker": "ndcg"}.get(found.kind, "r2")
        metric = found.metrics[name]
        if metric.value is None:
            raise TargetError(f"There is no {name} of these rows: {metric.reason}. Others are in .evaluate().")
        return float(metric.value)

    @named_arguments
    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        by: str | Iterable[str] = (),
        sample_weight: Any = None,
        groups: Any = None,
        allow_overlap: bool = False,
        progress: Shown = False,
    ) -> "Evaluation | SeveralEvaluations":
        """Metrics with 95 % intervals beside a trivial baseline, on the whole and by slices; of several targets each.

        Args:
            data: rows with the target, not those of the fit.
            by: columns to slice by.
            groups: a ranker's groups, where the fit was given them so.
            allow_overlap: judge by rows that the fit has seen, and by others of their keys, too; the report says how
                many rows are known to be.
            progress: as for `fit`.

        Raises:
            LeakageError: rows that the fit is known to have seen, or whose key it has.

        >>> fitted.evaluate("holdout/*.parquet", by="contract").to_dict()["metrics"]["roc_auc"]  # doctest: +SKIP
        {'value': 0.91, 'low': 0.89, 'high': 0.93}
        """
        names = [by] if isinstance(by, str) else list(by)
        return self._judged(data, y, sample_weight, groups, names, bool(allow_overlap), progress)

    def _judged(
        self,
        data: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        by: Sequence[str],
        overlap: bool | None = None,
        progress: Shown = False,
    ) -> "Evaluation | SeveralEvaluations":
        rows = self._inputs.by_name(data, self._fitted().features.plan.columns)
        with self._heard(progress):
            return judged(self._fitted(), source_of(rows, y, sample_weight, self.key, groups), by, overlap=overlap)
