"""What the table says of a cuML class that can train in an estimator's place: its columns, and how they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.families.rows import Row
from gpupipe.models.gpu.read import as_sklearn

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """Values of a parameter that are told by more than a list.

    Attributes:
        words: what they are.
        holds: whether a value is one.
    """

    words: str
    holds: Callable[[Any], bool]


Allowed = tuple[Any, ...] | Rule


@dataclass(frozen=True, eq=False)
class Case:
    """What is known once the rows are there.

    Attributes:
        params: of the estimator.
        rows, features: the matrix's.
        classes: how many, of a classifier.
        target: as `fit` takes it, or None.
        weights: of the rows, or None.
        unfinite: looks through the matrix for NaN and infinities.
    """

    params: Params
    rows: int
    features: int
    classes: int | None
    target: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    unfinite: Callable[[], bool]


def _nothing(params: Params, case: Case) -> dict[str, Any]:
    return {}


def _suits(case: Case) -> str | None:
    return None


def _as_it_is(case: Case) -> Case:
    return case


@dataclass(frozen=True, eq=False)
class Twin:
    """A class of cuML that learns what an estimator learns.

    Every parameter of the estimator is named in one of `same`, `only`, `free` or `read_by`; one that none of them
    names, as a newer release of the library may have, counts as `only` its default.

    Attributes:
        path: the class: ``cuml.linear_model.Ridge``.
        same: parameters that are called and mean the same.
        only: parameters that cuML has not, or not so, and the values of them that it computes all the same: a tuple of
            these, or a rule. Any other is refused by name.
        free: parameters that change no result, such as numbers of jobs, or that choose among ways to one.
        read_by: parameters that `makes` reads.
        makes: the estimator's parameters, and the case, to further parameters of cuML's.
        always: parameters of cuML's that are given in every case.
        order: of the matrix that is made where cuML trains in float64: "F" by columns, as its solvers work.
        dtype: what it trains in.
        weights: whether its `fit` takes sample_weight.
        several: whether it learns several targets at once.
        says: the case to one that tells cuML the same by other weights and parameters.
        suits: the case to why it cannot be trained here after all, or None.
        needs: what `suits` asks, in words.
        compare: the method whose result is compared with ours once it is trained; None where nothing but the rows
            themselves is learned.
        tolerance: how far the two may be apart, as a share of the largest.
        read: the fitted object, the estimator's row and its parameters to (body, link), as the row's `convert`.
    """

    path: str
    same: tuple[str, ...] = ()
    only: Mapping[str, Allowed] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()
    makes: Callable[[Params, Case], dict[str, Any]] = _nothing
    always: Mapping[str, Any] = field(default_factory=dict)
    order: Literal["C", "F"] = "F"
    dtype: Literal["float32", "float64"] = "float64"
    weights: bool = True
    several: bool = False
    says: Callable[[Case], Case] = _as_it_is
    suits: Callable[[Case], str | None] = _suits
    needs: str = ""
    compare: Literal["predict", "predict_proba", "decision_function", "transform"] | None = "predict"
    tolerance: float = 1e-6
    read: Callable[[Any, Row, Params], tuple[Any, str]] = as_sklearn

    @property
    def name(self) -> str:
        """How people call it: ``cuML's Ridge``."""
        return f"cuML's {self.path.rpartition('.')[2]}"

    @property
    def known(self) -> set[str]:
        """Every parameter of the estimator that the table speaks of."""
        return {*self.same, *self.only, *self.free, *self.read_by}

    def refused(self, params: Params, defaults: Params) -> list[str]:
        """The parameters, written as in a call, that cuML has not, or not with these values."""
        wrong = [name for name, allowed in self.only.items() if name in params and not _is(params[name], allowed)]
        unknown = [name for name in params if name not in self.known and not _is(params[name], (defaults.get(name),))]
        return [f"{name}={_shown(params[name])}" for name in (*wrong, *unknown)]

    def translated(self, case: Case) -> dict[str, Any]:
        """The parameters that cuML's class is made with."""
        carried = {name: case.params[name] for name in self.same if name in case.params}
        found = {**carried, **self.makes(case.params, case), **self.always, "output_type": "cupy"}
        return {name: _plain(value) for name, value in found.items()}

    def unsuited(self, case: Case) -> str | None:
        """Why it cannot be trained on these rows; None: it can."""
        if case.weights is not None and not self.weights:
            return f"{self.name} takes no weights"
        if case.target is not None and case.target.ndim > 1 and not (self.several and case.classes is None):
            return f"{self.name} learns a single target"
        return self.suits(case)


def _is(value: Any, allowed: Allowed) -> bool:
    if isinstance(allowed, Rule):
        return allowed.holds(value)
    plain = value is None or isinstance(value, str | bool | int | float | np.generic)
    return any(value is one or (plain and type(one) is not type(None) and value == one) for one in allowed)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: cuML asks whether they are."""
    return value.item() if isinstance(value, np.generic) else value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)  # which True is too, to Python


ONE_NUMBER = Rule("one number", lambda given: isinstance(given, float | np.floating) or _is_whole(given))
COUNT_OR_NONE = Rule("a whole number, None", lambda given: given is None or (_is_whole(given) and given > 0))
