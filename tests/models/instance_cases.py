"""Neighbours, centroids, and neural networks."""

from typing import Any

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor

from .case import Case

MLP: dict[str, Any] = {"hidden_layer_sizes": (9, 5), "random_state": 0, "max_iter": 30}

CASES: dict[str, Case] = {
    "KNeighborsClassifier": Case(KNeighborsClassifier(), 2),
    "KNeighborsClassifier 3": Case(KNeighborsClassifier(9, weights="distance"), 3),
    "KNeighborsClassifier manhattan": Case(KNeighborsClassifier(4, metric="manhattan"), 3),
    "KNeighborsClassifier chebyshev": Case(KNeighborsClassifier(metric="chebyshev", weights="distance"), 3),
    "KNeighborsClassifier cubic": Case(KNeighborsClassifier(p=3, weights="distance"), 2),
    "KNeighborsRegressor": Case(KNeighborsRegressor()),
    "KNeighborsRegressor distance": Case(KNeighborsRegressor(1000 // 9, weights="distance", p=1)),
    "NearestCentroid": Case(NearestCentroid(), 2),
    "NearestCentroid 3": Case(NearestCentroid(shrink_threshold=0.4), 3),
    "NearestCentroid priors": Case(NearestCentroid(priors=[0.2, 0.5, 0.3]), 3),
    "NearestCentroid manhattan": Case(NearestCentroid(metric="manhattan"), 3),
    "NearestCentroid manhattan priors": Case(NearestCentroid(metric="manhattan", priors=[0.2, 0.8]), 2),
    "MLPClassifier": Case(MLPClassifier(**MLP), 2),
    "MLPClassifier 3": Case(MLPClassifier(**MLP, activation="tanh"), 3),
    "MLPClassifier logistic": Case(MLPClassifier(**MLP, activation="logistic", early_stopping=True), 3),
    "MLPRegressor": Case(MLPRegressor(**MLP)),
    "MLPRegressor poisson": Case(MLPRegressor(**MLP, loss="poisson", activation="identity")),
}
