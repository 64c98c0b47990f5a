"""What a pipeline is told when it is declared, and what can be said of it before anything is read."""

from typing import TYPE_CHECKING, Any

from gpupipe.arguments import named_arguments
from gpupipe.compiler.expand import flatten
from gpupipe.errors import ParameterError
from gpupipe.fitted import FittedPipeline
from gpupipe.models.partitions.table import check_training
from gpupipe.optional import later
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.given import GIVEN_GROUPS, GIVEN_TARGET, GIVEN_WEIGHT, name_of, one_of, source_of

if TYPE_CHECKING:
    from gpupipe.compiler.explain import Explanation
    from gpupipe.runtime.explained import explained
else:
    (explained,) = later("gpupipe.runtime.explained", "explained")


class DeclaredPipeline(FittedPipeline):
    """A pipeline's declarations, and its plan. `gpupipe.Pipeline` says what they are, and adds the fit."""

    _loaded_model: str | None = None

    @named_arguments
    def __init__(
        self,
        features: Any,
        target: Any = None,
        model: Any = None,
        *,
        weights: Any = None,
        groups: Any = None,
        key: str | None = None,
        device: str = "auto",
        memory: int | str | None = None,
        training: str | None = None,
    ) -> None:
        self.features = features
        self.target = target
        self.model = model
        self.weights = weights
        self.groups = groups
        self.key = key
        self.device = device
        self.memory = memory
        self.training = training

    # -- planning -----------------------------------------------------------------------------------------------
    @named_arguments
    def explain(self, data: Any, *, folds: int = 0) -> "Explanation":
        """What a fit on `data` would do: scans, columns, bytes, groups, device. Only metadata are read.

        Args:
            folds: of how many folds `gpupipe.cross_validate` is to be explained too; 0: of none.

        Raises:
            PlanError: what was declared does not fit the schema.

        >>> import gpupipe as gp
        >>> print(gp.Pipeline([gp.col("x").fill_null("mean")]).explain({"x": [1.0, None]}).stage("scans"))
        scan 1: 1 state
          mean of x
        """
        source = source_of(data, None, None, self.key)
        return explained(self._declared(None, None, None), source, self.device, self.memory, folds)

    # -- inside -------------------------------------------------------------------------------------------------
    def _declared(self, y: Any, sample_weight: Any, groups: Any) -> Declared:
        target = one_of("target", self.target, y, GIVEN_TARGET)
        weights = one_of("weights", self.weights, sample_weight, GIVEN_WEIGHT)
        grouped = one_of("groups", self.groups, groups, GIVEN_GROUPS)
        check_training(self.training)
        given = flatten(self.features), target, weights, self.model, self.key, name_of(y), grouped
        return Declared(*given, training=self.training)

    def _refuse_no_estimator(self) -> None:
        if self._loaded_model is not None and self.model is None:
            raise ParameterError(
                f"This pipeline was loaded: it holds what its {self._loaded_model.rpartition('.')[2]} learned, and no "
                "estimator to train. To fit it again, declare it again with model=."
            )
