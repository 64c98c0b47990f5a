"""Support vector machines: every kernel, of two classes and of more, with and without probabilities."""

from typing import Any

from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from .case import Case

PLATT: dict[str, Any] = {"probability": True, "random_state": 0}

CASES: dict[str, Case] = {
    "SVC": Case(SVC(), 2),
    "SVC 3": Case(SVC(C=10.0), 3),
    "SVC poly": Case(SVC(kernel="poly", coef0=1.0, gamma=0.1), 3),
    "SVC sigmoid": Case(SVC(kernel="sigmoid", gamma=0.05, coef0=0.5), 2),
    "SVC linear": Case(SVC(kernel="linear"), 2),
    "SVC linear 3": Case(SVC(kernel="linear"), 3),
    "SVC weighted": Case(SVC(class_weight="balanced"), 3),
    "SVC pairs": Case(SVC(decision_function_shape="ovo"), 3),
    "SVC broken ties": Case(SVC(break_ties=True, gamma=3.0), 3),
    "SVC Platt": Case(SVC(**PLATT), 2),
    "SVC Platt 3": Case(SVC(**PLATT), 3),
    "SVC Platt pairs": Case(SVC(**PLATT, decision_function_shape="ovo", kernel="linear"), 3),
    "SVC Platt broken ties": Case(SVC(**PLATT, break_ties=True, kernel="poly", degree=2), 3),
    "NuSVC": Case(NuSVC(nu=0.3), 3),
    "NuSVC Platt": Case(NuSVC(**PLATT, nu=0.3), 2),
    "SVR": Case(SVR()),
    "SVR poly": Case(SVR(kernel="poly", degree=2, coef0=0.5)),
    "SVR linear": Case(SVR(kernel="linear")),
    "NuSVR": Case(NuSVR(kernel="sigmoid", gamma=0.01)),
    "OneClassSVM": Case(OneClassSVM(nu=0.2), target=False),
}
