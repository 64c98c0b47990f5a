"""What the table of estimators says of one: its columns. The rows stand beside the converters of each family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["classifier", "regressor", "clusterer", "transformer", "outlier_detector"]


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
        early_stopping: how `fit` takes validation rows: "eval_set" (XGBoost), "X_val" (histogram gradient
            boosting), or None.
        prepare: changes or refuses parameters of the clone before it is fitted; gets the feature names.
        compare: the method whose result is compared with ours after training, for forms read from private
            parts.
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
    prepare: Callable[[Any, list[str]], None] | None = None
    compare: str | None = None

    @property
    def path(self) -> str:
        """Where users import it from: ``sklearn.linear_model.Ridge``."""
        return f"{self.module}.{self.name}"

    @property
    def supervised(self) -> bool:
        """Whether it needs a target."""
        return self.kind in ("classifier", "regressor")
