"""What every peer's matrix is trained on: logistic regression and XGBoost, by the same two libraries."""

import json
from typing import Any

import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .command import Task


def train(task: Task, matrix: Any, label: Any) -> None:
    """Two models on the first four fifths of the rows; their AUC on the rest is noted, and left in ``models.json``."""
    cut = len(matrix) * 4 // 5
    found = {}
    for name, model in (
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))),
        ("xgboost", xgboost.XGBClassifier(n_estimators=100, max_depth=6, tree_method="hist", n_jobs=0)),
    ):
        model.fit(matrix[:cut], label[:cut])
        found[name] = float(roc_auc_score(label[cut:], model.predict_proba(matrix[cut:])[:, 1]))
        task.lap(name)
        task.note(f"{name} auc", found[name])
    (task.out / "models.json").write_text(json.dumps(found))
