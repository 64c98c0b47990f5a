"""What the table of estimators says of one: its columns. The rows stand beside the converters of each family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.forms.member import Kind


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows as an estimator's `fit` takes them.

    Attributes:
        X: (rows, features), in the dtype of the estimator's row.
        y: the target: codes of a classifier's labels, else numbers; None without one.
        weights: float64, (rows,), or None.
        groups: int64, (rows,): the number of each row's group, ascending, so that groups stand together; None
            unless it is for a ranker.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None


def plain_arguments(estimator: Any, lesson: Lesson, held: Lesson | None) -> dict[str, Any]:
    """What scikit-learn's `fit` takes besides X. No estimator that uses this takes validation rows."""
    found = {"y": lesson.y, "sample_weight": lesson.weights}
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Row:
    """What the seam knows of an estimator class.

    Attributes:
        name: the class.
        module: where it lives; classes of other modules are not this one, whatever their name.
        kind: what it learns.
        form: the name of the form its fitted state is kept in.
        convert: a fitted estimator to (body of that form, name of the link from raw outputs).
        dtype: of the matrix it trains on: float64, or float32 where the library would convert to it anyway.
        accepts_nan: whether a null, which reaches it as NaN, is allowed.
        accepts_weights: whether `fit` takes sample_weight.
        early_stopping: the parameter of `fit` that takes validation rows: "eval_set" (XGBoost, LightGBM, CatBoost),
            "X_val" (histogram gradient boosting), or None.
        arguments: the clone, training rows, and validation rows or None, to what `fit` is given besides X; refuses
            validation rows that would not matter, and early stopping without any.
        prepare: changes or refuses parameters of the clone before it is fitted; gets the feature names, and gives
            None, or an estimator to fit in the clone's place.
        copies: whether what `prepare` gives is the clone, as scikit-learn's `clone` refuses the class.
        refuses_nan: whether an estimator with such parameters takes no NaN, where its tags do not tell.
        compare: the method whose result is compared with ours after training, for forms read from private
            parts.
        targets: whether it learns "one" target, "several" (rows, targets) and nothing else, or "any" number.
        inner: of an estimator around another, the row of that.
        parts: it, fitted, to the fitted estimators inside, in the order of the members of the form.
        fits: the clone to the part of it that is fitted, where that is not the whole.
        depth: how deep estimators stand in it; 0 where none does.
        alone: refuses an estimator that stops early, where there are no validation rows to stop by.
    """

    name: str
    module: str
    kind: Kind
    form: str
    convert: Callable[[Any], tuple[Any, str]]
    dtype: Literal["float32", "float64"] = "float64"
    accepts_nan: bool = False
    accepts_weights: bool = True
    early_stopping: Literal["eval_set", "X_val"] | None = None
    arguments: Callable[[Any, Lesson, Lesson | None], dict[str, Any]] = plain_arguments
    prepare: Callable[[Any, list[str]], Any] | None = None
    copies: bool = False
    refuses_nan: Callable[[Any], bool] | None = None
    compare: str | None = None
    targets: Literal["one", "any", "several"] = "one"
    inner: "Row | None" = None
    parts: Callable[[Any], Sequence[Any]] | None = None
    fits: Callable[[Any], Any] | None = None
    depth: int = 0
    alone: Callable[[Any], None] | None = None

    @property
    def path(self) -> str:
        """Where users import it from: ``sklearn.linear_model.Ridge``."""
        return f"{self.module}.{self.name}"

    @property
    def supervised(self) -> bool:
        """Whether it needs a target."""
        return self.kind in ("classifier", "regressor", "ranker")
