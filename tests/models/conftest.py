"""Small models on a shared machine: OpenMP's threads would only wait for one another."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def pytest_configure(config: pytest.Config) -> None:
    for notice in (
        "Class PassiveAggressive:FutureWarning",  # gone in scikit-learn 1.10
        "The `probability` parameter:FutureWarning",  # of SVC; gone in 1.11
        "FastICA did not converge",
        "Stochastic Optimizer",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{notice}")
