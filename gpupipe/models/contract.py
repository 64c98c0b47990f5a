"""scikit-learn's contract, by duck typing: parameters, clones, tags, methods that are there only where they work.

scikit-learn itself is imported only where it asks first; what it calls by its own classes (an error, a warning) is
both ours and its own once it is loaded.
"""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from gpupipe import optional
from gpupipe.errors import NotFittedError, ParameterError, UnavailableError, UnsupportedEstimatorError, nearest
from gpupipe.models.fitted import Model
from gpupipe.optional import later
from gpupipe.sources.kinds import checked_kind

if TYPE_CHECKING:
    from gpupipe.models.estimators import describe
else:
    (describe,) = later("gpupipe.models.estimators", "describe")

Method = TypeVar("Method", bound=Callable[..., Any])
_SUPERVISED = ("classifier", "regressor", "ranker")  # those that have a score
_COMPONENTS = ("transformer", "clusterer")  # whose transform gives something else than the features
_TYPES = ("classifier", "regressor", "clusterer", "outlier_detector")  # of scikit-learn's


class SklearnContract:
    """What scikit-learn asks of an estimator. The constructor's arguments are kept untouched, under their names."""

    model: Any
    target: Any

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
            ParameterError: there is no such argument; nothing of the pipeline itself is set then.
        """
        nested = {name.removeprefix("model__"): params[name] for name in params if name.startswith("model__")}
        own = {name: value for name, value in params.items() if not name.startswith("model__")}
        for name in own:
            if name not in self._parameters():
                raise ParameterError(f"Pipeline has no parameter {name!r}. {nearest(name, self._parameters())}")
        for name, value in own.items():
            setattr(self, name, value)
        if nested:
            self._set_of_model(nested)
        return self

    def _set_of_model(self, params: dict[str, Any]) -> None:
        if not hasattr(self.model, "set_params"):
            shown = ", ".join(f"model__{name}" for name in params)
            raise ParameterError(f"{shown} cannot be set: the pipeline's model is {self.model!r}. Set model first.")
        try:
            self.model.set_params(**params)
        except ValueError as error:  # the library's own words list what there is
            raise ParameterError(f"The pipeline's model, a {type(self.model).__name__}, refused: {error}") from error

    def set_output(self, *, transform: str | None = None, predict: str | None = None) -> Self:
        """The kind of results from now on: "arrow", "numpy", "pandas", "polars", "cudf", "cupy", or "default".

        Args:
            transform: what `transform` gives.
            predict: what `predict` gives: "numpy" for those of scikit-learn's that reshape predictions, as
                StackingRegressor does, where rows are data frames.
        """
        wanted = {name: kind for name, kind in (("transform", transform), ("predict", predict)) if kind is not None}
        for kind in wanted.values():
            checked_kind(kind, "default")
        # Under this name scikit-learn's clone takes it along.
        self._sklearn_output_config = {**self.__dict__.get("_sklearn_output_config", {}), **wanted}
        return self

    def _kind_of_model(self) -> str | None:
        trained: Model | None = self.__dict__.get("model_")
        if trained is not None:
            return trained.kind
        return None if self.model is None else describe(self.model).kind

    @property
    def _estimator_type(self) -> str | None:
        kind = self._kind_of_model()
        return kind if kind in _TYPES else None

    def __sklearn_tags__(self) -> Any:
        utils = optional.load("sklearn.utils")
        kind = self._kind_of_model()
        tags = utils.Tags(
            estimator_type=self._estimator_type,
            target_tags=utils.TargetTags(
                required=kind in _SUPERVISED and self.target is None,
                multi_output=self._targets() != "one",
                single_output=self._targets() != "several",
            ),
            transformer_tags=utils.TransformerTags(self._preserved()),
            classifier_tags=utils.ClassifierTags() if kind == "classifier" else None,
            regressor_tags=utils.RegressorTags() if kind == "regressor" else None,
        )
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    def _targets(self) -> str:
        """Whether the model learns "one" target, "several", or "any" number."""
        trained: Model | None = self.__dict__.get("model_")
        if self.model is not None:
            return describe(self.model).targets
        return "one" if trained is None or trained.targets is None else "several"

    def _preserved(self) -> list[str]:
        """The types that leave transform as they came: features are float32 unless cast, components float64."""
        return ["float64" if self._kind_of_model() in _COMPONENTS else "float32"]

    def _takes_weights(self) -> bool:
        try:
            return self.model is not None and describe(self.model).accepts_weights
        except UnsupportedEstimatorError:  # the fit says so
            return True

    def _has(self, method: str) -> bool:
        """Whether there is such a method. Before the fit the estimator object is asked, then the trained model."""
        trained: Model | None = self.__dict__.get("model_")
        kind = self._kind_of_model()
        if method == "score" or kind is None:
            return kind in _SUPERVISED
        return hasattr(self.model, method) if trained is None else _does(trained, method)

    def _lacking(self, method: str) -> str:
        """Why there is no such method, and which there are."""
        trained: Model | None = self.__dict__.get("model_")
        if trained is None and self.model is None:
            return f"This pipeline has no model, so it has no {method}. Use transform, or give Pipeline(model=…)."
        name = trained.estimator.rpartition(".")[2] if trained is not None else type(self.model).__name__
        others = [other for other in _METHODS if self._has(other)]
        return f"The pipeline's model, a {name}, has no {method}. There is: {', '.join([*others, 'transform'])}."

    def __repr__(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self._parameters() if getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(shown)})"


_METHODS = ("predict", "predict_proba", "decision_function")


def _does(model: Model, method: str) -> bool:
    if method == "decision_function":
        return model.has_scores and _as_scorers_take_them(model)
    return model.has_probabilities if method == "predict_proba" else model.kind != "transformer"


def _as_scorers_take_them(model: Model) -> bool:
    """Whether of two classes there is one score a row. Naive Bayes has two; its probabilities serve instead."""
    if model.classes is None or len(model.classes) != 2:
        return True
    return model.outputs[0].scores(np.zeros((1, model.body.n_outputs))).shape[1] == 1


class _Method:
    """A method that :meth:`of` binds to a pipeline as its model has it; the class itself gives it plain."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.__name__, self.__doc__, self.__wrapped__ = method.__name__, method.__doc__, method

    def __get__(self, pipeline: SklearnContract | None, owner: type | None = None) -> Any:
        return self._method if pipeline is None else self.of(pipeline)

    def of(self, pipeline: SklearnContract) -> Any:
        """The method, bound."""
        return MethodType(self._method, pipeline)


class _Conditional(_Method):
    """A method that exists where the pipeline's model has it: `hasattr` is how scikit-learn's scorers choose."""

    def of(self, pipeline: SklearnContract) -> Any:
        """The method, bound. Raises UnavailableError where the model has none."""
        try:
            there = pipeline._has(self._method.__name__)
        except UnsupportedEstimatorError as error:
            raise UnavailableError(str(error)) from error
        if not there:
            raise UnavailableError(pipeline._lacking(self._method.__name__))
        return super().of(pipeline)


def if_the_model_does(method: Method) -> Method:
    """Marks a method that is there only where the pipeline's model has it; asking otherwise is an UnavailableError."""
    return cast(Method, _Conditional(method))


class _Weighed(_Method):
    """A method whose signature has sample_weight where the model takes weights: scikit-learn looks there for it.

    Bagging, for one, draws rows by weights if it may, and by their numbers if it may not. Given anyway, weights are
    refused with the reason.
    """

    def of(self, pipeline: SklearnContract) -> Any:
        """The method, bound, its signature the model's."""
        bound = super().of(pipeline)
        if pipeline._takes_weights():
            return bound

        @functools.wraps(bound)
        def unweighed(*args: Any, **kwargs: Any) -> Any:
            return bound(*args, **kwargs)

        whole = inspect.signature(bound)
        kept = [parameter for name, parameter in whole.parameters.items() if name != "sample_weight"]
        unweighed.__signature__ = whole.replace(parameters=kept)  # type: ignore[attr-defined]
        return unweighed


def weighed_if_the_model_is(method: Method) -> Method:
    """Marks a method that shows its sample_weight only where the pipeline's model takes weights."""
    return cast(Method, _Weighed(method))


def not_fitted(message: str) -> NotFittedError:
    """Our error, which is scikit-learn's own too where that is loaded: its users catch theirs."""
    module = sys.modules.get("sklearn.exceptions")
    return NotFittedError(message) if module is None else _also(module.NotFittedError)(message)


@functools.cache
def _also(theirs: type[Exception]) -> type[NotFittedError]:
    names = {"__module__": NotFittedError.__module__, "__doc__": NotFittedError.__doc__, "__reduce__": _as_ours}
    return cast(type[NotFittedError], type("NotFittedError", (NotFittedError, theirs), names))


def _as_ours(error: NotFittedError) -> tuple[Any, ...]:
    return not_fitted, error.args  # a class made here has no name that another process could find


def warn_of_column_vector(shape: tuple[int, ...]) -> None:
    """Warn, in scikit-learn's words and class, that y has two dimensions of which the second is 1."""
    module = sys.modules.get("sklearn.exceptions")
    warnings.warn(
        f"A column-vector y was passed when a 1d array was expected. It has shape {shape}; give y.ravel().",
        UserWarning if module is None else module.DataConversionWarning,
        stacklevel=2,
    )


def configured_output() -> str | None:
    """What ``sklearn.set_config(transform_output=…)`` asks of every transformer; None where nothing is."""
    module = sys.modules.get("sklearn")
    chosen = None if module is None else module.get_config()["transform_output"]
    return None if chosen == "default" else chosen
