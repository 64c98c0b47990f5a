"""From what cuML has fitted to forms of ours: through scikit-learn's attributes, or Treelite's trees.

Each function takes the fitted object of cuML, the row of the estimator it stands for, and the estimator's parameters.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.models.families.forests import averaged
from gpupipe.models.families.rows import Row
from gpupipe.models.forms.trees import TreeTable
from gpupipe.models.gpu.arrays import to_host

Params = Mapping[str, Any]
Found = tuple[Any, str]
_AT_MOST = 3  # Treelite's number of `<=`


def as_sklearn(fitted: Any, row: Row, params: Params) -> Found:
    """What cuML itself makes a scikit-learn object of."""
    return row.convert(fitted.as_sklearn())


def with_signs(fitted: Any, row: Row, params: Params) -> Found:
    """Components, each with its largest entry positive, as scikit-learn's have: cuML does not promise their signs."""
    copied = fitted.as_sklearn()
    components = np.array(copied.components_)
    largest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    copied.components_ = components * np.where(largest < 0, -1.0, 1.0)[:, None]
    return row.convert(copied)


def gaussian_bayes(fitted: Any, row: Row, params: Params) -> Found:
    """GaussianNB, whose variances are called `sigma_` in cuML."""
    return row.convert(
        SimpleNamespace(
            theta_=to_host(fitted.theta_), var_=to_host(fitted.sigma_), class_prior_=to_host(fitted.class_prior_)
        )
    )


def counted_bayes(fitted: Any, row: Row, params: Params) -> Found:
    """The naive Bayes of counts, which cuML has no scikit-learn object for."""
    found = {name: to_host(getattr(fitted, name)) for name in ("feature_log_prob_", "class_log_prior_")}
    return row.convert(SimpleNamespace(**found, binarize=params.get("binarize")))


def categorical_bayes(fitted: Any, row: Row, params: Params) -> Found:
    """CategoricalNB: cuML's table is as wide for every feature as for the one of most categories."""
    log_probability, counts = to_host(fitted.feature_log_prob_), to_host(fitted.category_count_)
    seen = np.asarray(counts.any(axis=1))  # (features, categories)
    widths = seen.shape[1] - seen[:, ::-1].argmax(axis=1)
    tables = [table[:, :width] for table, width in zip(log_probability, widths, strict=True)]
    return row.convert(SimpleNamespace(feature_log_prob_=tables, class_log_prior_=to_host(fitted.class_log_prior_)))


def treelite_forest(fitted: Any, row: Row, params: Params) -> Found:
    """A forest through Treelite: scikit-learn's trees could not be made of it without their private parts."""
    model = fitted.as_treelite()
    header = model.get_header_accessor()
    if not int(header.get_field("average_tree_output")[0]) or np.any(header.get_field("base_scores")):
        raise AttributeError("a forest that is no average")
    width = int(header.get_field("leaf_vector_shape")[1])
    trees = range(int(header.get_field("num_tree")[0]))
    tables = [_tree(model.get_tree_accessor(tree).get_field, width) for tree in trees]
    link = "given" if row.kind == "classifier" else "identity"
    return averaged(tables, int(header.get_field("num_feature")[0])), link


def _tree(field: Any, width: int) -> TreeTable:
    left, right = np.array(field("cleft")), np.array(field("cright"))
    leaf = np.asarray(left == -1)
    asked = np.asarray(field("cmp"))[~leaf]
    if not np.all(asked == _AT_MOST) or int(field("has_categorical_split")[0]):
        raise AttributeError("a tree of other questions than x <= threshold")
    order, place = _parents_first(leaf, left, right)
    return TreeTable(
        leaf=leaf[order],
        left=np.where(leaf, 0, place[left])[order],
        right=np.where(leaf, 0, place[right])[order],
        feature=np.where(leaf, 0, np.asarray(field("split_index")))[order],
        threshold=np.asarray(field("threshold"), np.float64)[order],
        missing_left=np.asarray(field("default_left"), np.bool_)[order],
        value=_values(field, leaf, width)[order],
    )


def _values(field: Any, leaf: NDArray[np.bool_], width: int) -> NDArray[np.float64]:
    if width == 1:
        return np.array(field("leaf_value"), np.float64)[:, None]
    values = np.zeros((len(leaf), width))
    starts = np.asarray(field("leaf_vector_begin"))[leaf].astype(np.intp)
    values[leaf] = np.asarray(field("leaf_vector"), np.float64)[starts[:, None] + np.arange(width)]
    return values


def _parents_first(
    leaf: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The nodes level by level, and where each one then stands: our form has children behind their parents."""
    levels, level = [], np.zeros(1, np.intp)
    while len(level):
        levels.append(level)
        inner = level[~leaf[level]]
        level = np.stack([left[inner], right[inner]], axis=1).ravel().astype(np.intp)
        if sum(map(len, levels)) > len(leaf):
            raise AttributeError("a tree that goes in a circle")
    order = np.concatenate(levels)
    place = np.zeros(len(leaf), np.intp)
    place[order] = np.arange(len(order))
    return order, place
