"""scikit-learn's contract, by duck typing: parameters, clones, tags, and a repr that tells them."""

import inspect
from typing import Any, Self

from gpupipe import optional
from gpupipe.errors import ParameterError, nearest
from gpupipe.models.estimators import describe


class SklearnContract:
    """What scikit-learn asks of an estimator. The constructor's arguments are kept untouched, under their names."""

    model: Any

    @classmethod
    def _parameters(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name; with `deep`, the model's too, as model__NAME."""
        params = {name: getattr(self, name) for name in self._parameters()}
        if deep and hasattr(self.model, "get_params"):
            params.update({f"model__{name}": value for name, value in self.model.get_params().items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set arguments by name; ``model__NAME`` sets one of the model's.

        Raises:
            ParameterError: there is no such argument.
        """
        nested = {}
        for name, value in params.items():
            head, _, tail = name.partition("__")
            if head not in self._parameters():
                raise ParameterError(f"Pipeline has no parameter {name!r}. {nearest(head, self._parameters())}")
            if tail and head == "model":
                nested[tail] = value
            else:
                setattr(self, head, value)
        if nested:
            self.model.set_params(**nested)
        return self

    @property
    def _estimator_type(self) -> str | None:
        kind = None if self.model is None else describe(self.model).kind
        return kind if kind in ("classifier", "regressor", "clusterer") else None

    def __sklearn_tags__(self) -> Any:
        utils = optional.load("sklearn.utils")
        kind = None if self.model is None else describe(self.model).kind
        supervised = kind in ("classifier", "regressor")
        tags = utils.Tags(
            estimator_type=self._estimator_type,
            target_tags=utils.TargetTags(required=supervised),
            transformer_tags=utils.TransformerTags() if kind in (None, "transformer") else None,
            classifier_tags=utils.ClassifierTags() if kind == "classifier" else None,
            regressor_tags=utils.RegressorTags() if kind == "regressor" else None,
        )
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self._parameters() if getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(shown)})"
