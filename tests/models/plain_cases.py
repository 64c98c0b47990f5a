"""Models that say the same of every row, and robust regression."""

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import RANSACRegressor, Ridge

from .case import Case

CASES: dict[str, Case] = {
    "DummyClassifier": Case(DummyClassifier(), 2),
    "DummyClassifier 3": Case(DummyClassifier(strategy="most_frequent"), 3),
    "DummyRegressor": Case(DummyRegressor()),
    "DummyRegressor quantile": Case(DummyRegressor(strategy="quantile", quantile=0.3)),
    "RANSACRegressor": Case(RANSACRegressor(random_state=0)),
    "RANSACRegressor of Ridge": Case(RANSACRegressor(Ridge(), random_state=0, min_samples=9)),
}
