"""CatBoost models: read from CatBoost's own JSON into arrays, so that scoring needs no CatBoost.

Symmetric trees become :class:`gpupipe.models.forms.oblivious.Oblivious`; trees grown by depth or by leaf become
:class:`gpupipe.models.forms.trees.Trees`. A split asks ``x > border`` in float32; a feature's `nan_value_treatment`
(`AsTrue`, `AsFalse`, and `AsIs`, where training saw no NaN) says whether NaN is above every border or above none.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpupipe.errors import UnsafeModelError
from gpupipe.models.forms.oblivious import Oblivious
from gpupipe.models.forms.trees import Trees, TreeTable, assemble

# The links of loss functions, by name.
CLASSIFIER_LINKS = {
    **dict.fromkeys(("Logloss", "CrossEntropy", "Focal"), "sigmoid"),
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "one_vs_all",
}
REGRESSOR_LINKS = {
    **dict.fromkeys(("RMSE", "MAE", "Quantile", "MAPE", "Lq", "Huber", "Expectile", "LogCosh"), "identity"),
    **dict.fromkeys(("Poisson", "Tweedie"), "exp"),
}
RANKER_LINKS = dict.fromkeys(
    ("YetiRank", "YetiRankPairwise", "QueryRMSE", "QuerySoftMax", "StochasticRank", "PairLogit", "PairLogitPairwise"),
    "identity",
)


def classifier(estimator: Any) -> tuple[Oblivious | Trees, str]:
    """A fitted CatBoostClassifier; raw scores are log odds (two classes), or a score a class."""
    body, link = _read(estimator, CLASSIFIER_LINKS)
    return body, "sigmoid" if body.n_outputs == 1 else link


def regressor(estimator: Any) -> tuple[Oblivious | Trees, str]:
    """A fitted CatBoostRegressor, the link of its loss applied to the sum."""
    return _read(estimator, REGRESSOR_LINKS)


def ranker(estimator: Any) -> tuple[Oblivious | Trees, str]:
    """A fitted CatBoostRanker: the sum of its trees."""
    return _read(estimator, RANKER_LINKS)


def known_loss(loss: Any, links: Mapping[str, str], who: str) -> str:
    """The name of a loss without its options. Raises UnsafeModelError unless its link is known."""
    name = loss.partition(":")[0] if isinstance(loss, str) else "of your own"
    if name not in links:
        raise UnsafeModelError(f"{who} with the loss {name!r} has no saved form. There are: {', '.join(links)}.")
    return name


def _read(estimator: Any, links: Mapping[str, str]) -> tuple[Oblivious | Trees, str]:
    who = type(estimator).__name__
    document = _document(estimator)
    loss = known_loss(document["model_info"]["params"]["loss_function"]["type"], links, who)
    scale, start = document["scale_and_bias"]
    features = document["features_info"]
    if set(features) != {"float_features"}:
        raise UnsafeModelError(f"{who} with features that are not numbers has no saved form.")
    above = np.zeros(int(estimator.n_features_in_), np.uint8)
    for feature in features["float_features"]:
        above[feature["flat_feature_index"]] = feature["nan_value_treatment"] == "AsTrue"
    read = _oblivious if "oblivious_trees" in document else _trees
    return read(document, float(scale), np.array(start, np.float64), above), links[loss]


def _document(estimator: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:  # CatBoost writes to paths alone
        path = Path(folder, "model.json")
        estimator.save_model(str(path), format="json")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _oblivious(document: Any, scale: float, start: NDArray[np.float64], above: NDArray[np.uint8]) -> Oblivious:
    trees = document["oblivious_trees"]
    splits = [split for tree in trees for split in tree["splits"] or ()]
    return Oblivious(
        np.array([split["float_feature_index"] for split in splits], np.int32),
        np.array([split["border"] for split in splits], np.float32),
        np.array([len(tree["splits"] or ()) for tree in trees], np.uint8),
        np.array([value for tree in trees for value in tree["leaf_values"]], np.float64).reshape(-1, len(start)),
        np.array([scale]),
        start,
        above,
    )


def _trees(document: Any, scale: float, start: NDArray[np.float64], above: NDArray[np.uint8]) -> Trees:
    outputs = len(start)
    tables = [_table(tree, scale, outputs, above) for tree in document["trees"]]
    # CatBoost adds the bias last; as one more tree, a leaf alone, it is added in the same order here
    tables.append(_table({"value": start.tolist()}, 1.0, outputs, above))
    return Trees(assemble(tables), np.zeros(outputs), False, None, len(above))


def _table(tree: Any, scale: float, outputs: int, above: NDArray[np.uint8]) -> TreeTable:
    """One tree, numbered so that children stand behind their parents."""
    nodes = list(_numbered(tree))
    split = [node.get("split", _LEAF) for node, _, _ in nodes]
    leaf = np.array(["split" not in node for node, _, _ in nodes])
    feature = np.array([question["float_feature_index"] for question in split])
    value = np.zeros((len(nodes), outputs))
    for at in np.flatnonzero(leaf):
        value[at] = nodes[at][0]["value"]
    return TreeTable(
        leaf=leaf,
        left=np.array([left for _, left, _ in nodes]),
        right=np.array([right for _, _, right in nodes]),
        feature=feature,
        threshold=np.array([question["border"] for question in split], np.float32).astype(np.float64),
        missing_left=above[feature] == 0,
        value=value * scale,
    )


_LEAF = {"float_feature_index": 0, "border": 0.0}


def _numbered(tree: Any) -> Iterator[tuple[Any, int, int]]:
    """The nodes level by level, each with the numbers of its children; 0 for those of a leaf."""
    level, following = [tree], 1
    while level:
        below: list[Any] = []
        for node in level:
            inner = "split" in node
            yield node, following if inner else 0, following + 1 if inner else 0
            if inner:
                below += [node["left"], node["right"]]
                following += 2
        level = below
