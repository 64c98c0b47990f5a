"""Trees: single, averaged, boosted, and those that set rows apart."""

from typing import Any

from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from .case import Case

FEW: dict[str, Any] = {"n_estimators": 12, "random_state": 0}
HIST: dict[str, Any] = {"max_iter": 15, "random_state": 0, "min_samples_leaf": 5}

CASES: dict[str, Case] = {
    "DecisionTreeClassifier": Case(DecisionTreeClassifier(random_state=0, min_samples_leaf=3), 2, missing=True),
    "DecisionTreeClassifier 3": Case(DecisionTreeClassifier(random_state=0, max_leaf_nodes=20), 3),
    "DecisionTreeRegressor": Case(DecisionTreeRegressor(random_state=0, max_depth=6), missing=True),
    "ExtraTreeClassifier": Case(ExtraTreeClassifier(random_state=0, max_depth=6), 3, missing=True),
    "ExtraTreeRegressor": Case(ExtraTreeRegressor(random_state=0, max_depth=6), missing=True),
    "RandomForestClassifier": Case(RandomForestClassifier(**FEW), 2, missing=True),
    "RandomForestClassifier 3": Case(RandomForestClassifier(**FEW, max_leaf_nodes=20), 3),
    "RandomForestRegressor": Case(RandomForestRegressor(**FEW), missing=True),
    "ExtraTreesClassifier": Case(ExtraTreesClassifier(**FEW), 3, missing=True),
    "ExtraTreesRegressor": Case(ExtraTreesRegressor(**FEW), missing=True),
    "BaggingClassifier": Case(BaggingClassifier(**FEW), 2, missing=True),
    "BaggingClassifier subspaces": Case(BaggingClassifier(**FEW, max_features=3, max_samples=0.3), 3),
    "BaggingRegressor": Case(BaggingRegressor(ExtraTreeRegressor(), **FEW, max_features=4)),
    "GradientBoostingClassifier": Case(GradientBoostingClassifier(**FEW), 2),
    "GradientBoostingClassifier 3": Case(GradientBoostingClassifier(**FEW, subsample=0.7), 3),
    "GradientBoostingClassifier exponential": Case(GradientBoostingClassifier(**FEW, loss="exponential"), 2),
    "GradientBoostingClassifier zero": Case(GradientBoostingClassifier(**FEW, init="zero"), 3),
    "GradientBoostingRegressor": Case(GradientBoostingRegressor(**FEW)),
    "GradientBoostingRegressor huber": Case(GradientBoostingRegressor(**FEW, loss="huber", n_iter_no_change=2)),
    "GradientBoostingRegressor quantile": Case(GradientBoostingRegressor(**FEW, loss="quantile", init="zero")),
    "AdaBoostClassifier": Case(AdaBoostClassifier(**FEW), 2),
    "AdaBoostClassifier 3": Case(AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), **FEW), 3),
    "AdaBoostRegressor": Case(AdaBoostRegressor(**FEW)),
    "IsolationForest": Case(IsolationForest(**FEW), missing=True, target=False),
    "IsolationForest subspaces": Case(IsolationForest(**FEW, max_features=3, contamination=0.1), target=False),
    "HistGradientBoostingClassifier": Case(HistGradientBoostingClassifier(**HIST), 2, missing=True),
    "HistGradientBoostingClassifier 3": Case(HistGradientBoostingClassifier(**HIST), 3, missing=True),
    "HistGradientBoostingRegressor": Case(HistGradientBoostingRegressor(**HIST), missing=True),
    "HistGradientBoostingRegressor gamma": Case(HistGradientBoostingRegressor(**HIST, loss="gamma")),
}
