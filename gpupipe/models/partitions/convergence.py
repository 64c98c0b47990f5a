"""What is told of a model that is not the best there is."""

import warnings

from gpupipe import optional


def warn_unconverged(message: str) -> None:
    """Warn as scikit-learn does, by its own class, so that filters of it hold."""
    warnings.warn(message, optional.load("sklearn.exceptions").ConvergenceWarning, stacklevel=2)
