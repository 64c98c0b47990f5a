"""LightGBM models: read from LightGBM's own model text into the arrays of :class:`gpupipe.models.forms.trees.Trees`.

The text is what `Booster.model_to_string` gives, parsed where the model was trained; what is saved are arrays, so
scoring needs no LightGBM. Decisions as in LightGBM's `include/LightGBM/tree.h` (NumericalDecision,
CategoricalDecision): NaN counts as 0 where the feature had none in training, and an unknown category goes right.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.forms.trees import MAX_CODES, Categories, Trees, TreeTable, assemble

# The links of objectives, by the name that stands first in the model's `objective=`.
CLASSIFIER_LINKS = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "multiclassova": "one_vs_all",
}
REGRESSOR_LINKS = {
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), "identity"),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "exp"),
    "cross_entropy": "expit",
    "cross_entropy_lambda": "softplus",
}
RANKER_LINKS = {"lambdarank": "identity", "rank_xendcg": "identity"}

# What lies between is 0 to LightGBM when it predicts (kZeroThreshold in `include/LightGBM/meta.h`).
_ZERO = float(np.float32(1e-35))

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of decision_type; the two above them say how missing values are met
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2
_MAX_WORDS = 1 << 24  # of all category sets: 64 MiB


def classifier(estimator: Any) -> tuple[Trees, str]:
    """A fitted LGBMClassifier; raw scores are log odds (binary), or a score a class."""
    header, body = _read(estimator)
    link, scale = _link(header, CLASSIFIER_LINKS, "LGBMClassifier")
    if body.n_outputs != (1 if estimator.n_classes_ == 2 else estimator.n_classes_):
        raise UnsafeModelError(
            f"This LGBMClassifier has {body.n_outputs} scores for {estimator.n_classes_} classes. "
            "Leave objective unset: it then follows from the classes."
        )
    if scale != 1.0:  # probabilities are sigmoid(scale * sum): the sums are kept scaled, as log odds
        body.nodes.value[:] *= scale
    return body, link


def regressor(estimator: Any) -> tuple[Trees, str]:
    """A fitted LGBMRegressor, the link of its objective applied to the sum."""
    header, body = _read(estimator)
    link, _ = _link(header, REGRESSOR_LINKS, "LGBMRegressor")
    return body, "signed_square" if "sqrt" in header["objective"].split() else link


def ranker(estimator: Any) -> tuple[Trees, str]:
    """A fitted LGBMRanker: the sum of its trees."""
    header, body = _read(estimator)
    return body, _link(header, RANKER_LINKS, "LGBMRanker")[0]


def _link(header: Mapping[str, str], links: Mapping[str, str], who: str) -> tuple[str, float]:
    """The link of the objective, and what its sigmoid multiplies the sum by."""
    name, *options = header.get("objective", "").split()
    if name not in links:
        raise UnsafeModelError(
            f"{who} with the objective {name or 'of your own'!r} has no saved form. There are: {', '.join(links)}."
        )
    given = dict(option.partition(":")[::2] for option in options)
    return links[name], float(given.get("sigmoid", 1.0))


def _read(estimator: Any) -> tuple[dict[str, str], Trees]:
    booster = estimator.booster_
    best = booster.best_iteration
    blocks = _blocks(booster.model_to_string(num_iteration=best if best > 0 else -1))
    header = next(blocks)
    fields = list(blocks)
    sets = _Sets(fields)
    tables = [_table(tree, sets) for tree in fields]
    outputs = int(header["num_tree_per_iteration"])
    n_features = int(header["max_feature_idx"]) + 1
    categories, bits = sets.coded(n_features)
    average = "average_output" in header  # random forests
    return header, Trees(assemble(tables, bits), np.zeros(outputs), average, categories, n_features)


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """The header and then each tree as its fields by name: paragraphs of NAME=VALUE lines."""
    for paragraph in text.partition("\nend of trees")[0].split("\n\n"):
        lines = [line.partition("=") for line in paragraph.strip().splitlines()]
        if lines:
            yield {name: value for name, _, value in lines}


def _numbers(tree: Mapping[str, str], name: str, dtype: type) -> NDArray[Any]:
    return np.array(tree.get(name, "").split(), dtype=dtype)


def _table(tree: Mapping[str, str], sets: "_Sets") -> TreeTable:
    """One tree with its leaves behind its inner nodes; LightGBM numbers leaf i as the child -1 - i."""
    if tree.get("is_linear", "0") != "0":
        raise UnsafeModelError("LightGBM with linear_tree=True has no saved form. Leave linear_tree unset.")
    value = _numbers(tree, "leaf_value", float)
    inner = int(tree["num_leaves"]) - 1
    feature, threshold = _numbers(tree, "split_feature", int), _numbers(tree, "threshold", float)
    decision = _numbers(tree, "decision_type", int)
    categorical = (decision & _CATEGORICAL) != 0
    missing = decision >> 2
    if (missing[~categorical] == _MISSING_ZERO).any():
        raise _zero_as_missing()
    default_left = (decision & _DEFAULT_LEFT) != 0
    missing_left = np.where(missing == _MISSING_NAN, default_left, threshold >= 0.0) & ~categorical
    children = [_numbers(tree, name, int) for name in ("left_child", "right_child")]
    left, right = (np.where(child < 0, inner - 1 - child, child) for child in children)
    nothing = np.zeros(inner + 1, dtype=int)  # leaves have no split
    return TreeTable(
        leaf=np.arange(2 * inner + 1) >= inner,
        left=np.append(left, nothing),
        right=np.append(right, nothing),
        feature=np.append(feature, nothing),
        threshold=np.append(np.where(categorical, 0.0, _off_zero(threshold)), nothing),
        missing_left=np.append(missing_left, nothing),
        value=np.append(np.zeros(inner), value)[:, None],
        category_set=np.append(sets.of(tree, categorical, threshold), nothing) if sets.there else None,
    )


def _off_zero(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds so near to 0 that they part what LightGBM takes for one number, moved to the end of that."""
    below, above = np.nextafter(-_ZERO, -1.0), _ZERO
    return np.where(abs(threshold) > _ZERO, threshold, np.where(threshold < 0.0, below, above))


def _zero_as_missing() -> UnsafeModelError:
    return UnsafeModelError(
        "LightGBM with zero_as_missing=True has no saved form. Leave it unset, and use null_if(0) in the features."
    )


class _Sets:
    """The category sets of all trees: of each categorical node, the categories that go left."""

    def __init__(self, trees: list[dict[str, str]]) -> None:
        self.there = any(int(tree.get("num_cat", "0")) for tree in trees)
        self._features: list[int] = []
        self._members: list[NDArray[np.int64]] = []

    def of(self, tree: Mapping[str, str], categorical: NDArray[np.bool_], threshold: Any) -> NDArray[np.int64]:
        """The number of each node's set among all, -1 for a node that compares."""
        numbers = np.full(len(categorical), -1, np.int64)
        words = _numbers(tree, "cat_threshold", np.uint32).astype("<u4")
        bounds, features = _numbers(tree, "cat_boundaries", int), _numbers(tree, "split_feature", int)
        for node in np.flatnonzero(categorical):
            at = int(threshold[node])  # of a categorical node: which of the tree's sets
            raw = words[bounds[at] : bounds[at + 1]].view(np.uint8)
            numbers[node] = len(self._members)
            self._members.append(np.flatnonzero(np.unpackbits(raw, bitorder="little")))
            self._features.append(int(features[node]))
        return numbers

    def coded(self, n_features: int) -> tuple[Categories | None, NDArray[np.uint32] | None]:
        """The categories that any set names, and the sets as bits over their positions."""
        if not self.there:
            return None, None
        known = [np.zeros(0, np.int64)] * n_features
        for feature in set(self._features):
            named = [m for f, m in zip(self._features, self._members, strict=True) if f == feature]
            known[feature] = np.unique(np.concatenate(named))
        most = max(map(len, known))
        words = -(-most // 32)
        if most > MAX_CODES or len(self._members) * words > _MAX_WORDS or any((v >= 2**24).any() for v in known):
            raise UnsafeModelError(
                f"LightGBM made {len(self._members):,} splits on up to {most:,} categories, or on codes above "
                "16,777,215, which is more than a saved form holds. Use codes(min_count=…), hash_buckets or "
                "target_mean in the features."
            )
        packed = np.zeros((len(self._members), words), np.uint32)
        for row, (feature, members) in enumerate(zip(self._features, self._members, strict=True)):
            bits = np.zeros(words * 32, np.uint8)
            bits[np.searchsorted(known[feature], members)] = 1
            packed[row] = np.packbits(bits, bitorder="little").view("<u4")
        offsets = np.concatenate([[0], np.cumsum([len(values) for values in known])])
        return Categories(np.concatenate(known).astype(np.float32), offsets, truncate=True), packed
