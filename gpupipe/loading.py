"""`load`: a saved pipeline, ready to predict."""

import os
from pathlib import Path
from typing import Any

from gpupipe.arguments import named_arguments
from gpupipe.artifact import pipeline as artifact
from gpupipe.expr.expr import Expr
from gpupipe.expr.node import Node
from gpupipe.pipeline import Pipeline
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.inputs import inputs_noted
from gpupipe.runtime.update import KeptState


@named_arguments
def load(path: str | os.PathLike[str], *, device: str = "auto") -> Pipeline:
    """The pipeline saved at `path`, ready to predict; its estimator object is not kept, so it cannot be fitted again.

    Raises:
        ArtifactError: any of its kinds.
        StorageError: the disk fails, or the artifact may not be read.

    >>> load("churn.gpp").predict("new/*.parquet")  # doctest: +SKIP
    """
    fit = artifact.load(path, device)
    features = [Expr(feature.source) for feature in fit.features.plan.features]
    weights, groups = (None if node is None else Expr(node) for node in (fit.weights, fit.groups))
    target = _declared_as(fit.target)
    pipeline = Pipeline(features, target, weights=weights, groups=groups, device=device)
    key = fit.notes.get("key")
    key = key if isinstance(key, str) else None
    apart = Declared([], fit.target, fit.weights, None, key, groups=fit.groups).apart
    pipeline._keep(fit, inputs_noted(fit.notes, fit.features.plan, apart), KeptState(path=Path(path)))
    pipeline._loaded_model = None if fit.model is None else fit.model.estimator
    return pipeline


def _declared_as(target: Node | None) -> Any:
    if target is None:
        return None
    return [Expr(node) for node in target.args] if target.op == "columns" else Expr(target)
