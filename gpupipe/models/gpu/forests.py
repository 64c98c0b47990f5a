"""Forests scored by nvForest: faster on a GPU, and not the same bits.

A model's own evaluation gives the same bytes for one row, a batch and a file, on every machine. nvForest adds a row's
trees in another order and, in single precision, in float32: it is near, and never taken unasked.
"""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gpupipe import optional
from gpupipe.errors import UnavailableError, counted
from gpupipe.kernels.gpu.device import DeviceArray
from gpupipe.models.families.xgb import XGBoost
from gpupipe.models.fitted import Model
from gpupipe.models.forms.trees import Trees
from gpupipe.models.gpu import arrays


@dataclass(frozen=True, eq=False)
class OnNvForest:
    """A model's trees, evaluated by nvForest; saved as what they are.

    Attributes:
        body: the trees.
        forest: nvForest's object.
    """

    on_device: ClassVar[bool] = True
    body: Any
    forest: Any = field(repr=False)

    @property
    def form(self) -> str:
        return str(self.body.form)

    @property
    def n_outputs(self) -> int:
        return int(self.body.n_outputs)

    def raw(self, X: NDArray[np.float32] | DeviceArray) -> NDArray[np.float64]:
        """float64, (rows, outputs); a matrix on a device is read where it stands."""
        if not len(X):
            return np.empty((0, self.n_outputs))
        given = arrays.as_cupy(X) if isinstance(X, DeviceArray) else X
        values = self.forest.predict_proba(given) if self.forest.is_classifier else self.forest.predict(given)
        found = values if isinstance(values, np.ndarray) else arrays.to_host(values)
        return found.astype(np.float64).reshape(len(X), self.n_outputs)

    def to_parts(self) -> Any:
        return self.body.to_parts()


def on_nvforest(
    model: Model, *, device: Literal["auto", "gpu", "cpu"] = "auto", precision: Literal["single", "double"] = "single"
) -> Model:
    """The same model with its trees evaluated by nvForest: what it predicts is near to what `model` does.

    Args:
        model: of a forest, gradient boosted trees, or XGBoost; `predict` and the others then also take a matrix on the
            device.
        device: where to evaluate; "auto": on a GPU where there is one.
        precision: "single" compares and adds in float32; "double" adds in float64.

    Returns:
        A model for scoring in this process; saved, it is `model`.

    Raises:
        UnavailableError: its form is not of trees whose sum it is, or it splits on categories.
        MissingDependencyError: nvForest or Treelite is not installed.
    """
    trees = _treelite(model)
    forest = optional.load("nvforest").load_from_treelite_model(trees, device=device, precision=precision)
    body: Any = OnNvForest(model.body, forest)
    return replace(model, body=body)


def _treelite(model: Model) -> Any:
    body: Any = model.body
    if isinstance(body, XGBoost):
        return optional.load("treelite.frontend").from_xgboost_ubjson(bytearray(body.ubj))
    if isinstance(body, Trees):
        return _of_trees(body)
    raise UnavailableError(f"{model!r} is no sum or mean of trees, which nvForest evaluates. Score it as it is.")


def _of_trees(body: Trees) -> Any:
    """Treelite's model of our arrays: the same thresholds, the same leaves in float64."""
    if body.categories is not None:
        of = counted(int((np.diff(body.categories.offsets) > 0).sum()), "feature")
        raise UnavailableError(
            f"The trees split on categories of {of}, and these are not handed to nvForest. Score the model as it is."
        )
    nodes, outputs = body.nodes, body.n_outputs
    trees, width = len(nodes.roots), nodes.value.shape[1]
    builder = optional.load("treelite.model_builder")
    made = builder.ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=builder.Metadata(
            num_feature=body.n_features,
            task_type="kMultiClf" if outputs > 1 else "kRegressor",
            average_tree_output=body.average,
            num_target=1,
            num_class=[outputs],
            leaf_vector_shape=(1, width),
        ),
        tree_annotation=builder.TreeAnnotation(
            num_tree=trees,
            target_id=[0] * trees,
            class_id=[-1 if width > 1 else tree % outputs for tree in range(trees)],
        ),
        postprocessor=builder.PostProcessorFunc(name="identity_multiclass" if outputs > 1 else "identity"),
        base_scores=body.start.tolist(),
    )
    for root in nodes.roots.tolist():
        made.start_tree()
        _add_nodes(made, body, root)
        made.end_tree()
    return made.commit()


def _add_nodes(made: Any, body: Trees, root: int) -> None:
    """One tree, its nodes by the numbers they have among those of all trees."""
    table, thresholds = body.nodes.table, body.nodes.table.view(np.float32)[:, 1]
    waiting = [root]
    while waiting:
        node = waiting.pop()
        made.start_node(node)
        if node >= len(table):
            leaf = body.nodes.value[node - len(table)]
            made.leaf(float(leaf[0]) if len(leaf) == 1 else leaf.tolist())
        else:
            feature, _, right, left = table[node].tolist()
            made.numerical_test(
                feature_id=feature,
                threshold=float(thresholds[node]),
                default_left=bool(body.nodes.missing_left[node]),
                opname="<=",
                left_child_key=left,
                right_child_key=right,
            )
            waiting += [right, left]
        made.end_node()
