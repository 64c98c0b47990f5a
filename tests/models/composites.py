"""Data for models made of models, and the same thing trained by scikit-learn alone."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from gpupipe.models.fitted import Model
from gpupipe.models.model import train

N_ROWS, N_FEATURES = 300, 6
NAMES = [f"f{at}" for at in range(N_FEATURES)]
_RNG = np.random.default_rng(11)
X = _RNG.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
X64 = X.astype(np.float64)
SCORES = np.stack(
    [X[:, 0] + _RNG.normal(size=N_ROWS), X[:, 1] * X[:, 2] + _RNG.normal(size=N_ROWS), X[:, 3] - X[:, 4]], axis=1
).astype(np.float64)
WEIGHTS = _RNG.uniform(0.2, 3.0, N_ROWS)
LABELS = {2: np.array(["no", "yes"], object), 3: np.array(["a", "b", "ü"], object), 4: np.array([10, 20, 30, 40])}
FEW: dict[str, Any] = {"n_estimators": 6, "random_state": 0}


def codes(n_classes: int) -> NDArray[Any]:
    return np.searchsorted(np.quantile(SCORES[:, 0], np.arange(1, n_classes) / n_classes), SCORES[:, 0])


@dataclass(frozen=True)
class Pair:
    """Ours, trained on labels, and scikit-learn's own, trained on codes (all that XGBoost takes)."""

    ours: Model
    theirs: Any
    labels: NDArray[Any]


def trained(
    estimator: Any, n_classes: int = 2, *, weights: bool = False, rows: Any = slice(None), **by_code: Any
) -> Pair:
    """Both. `by_code`: parameters that name labels, as scikit-learn is told them."""
    labels, y = LABELS[n_classes], codes(n_classes)[rows]
    given = WEIGHTS[rows] if weights else None
    ours = train(estimator, X[rows], labels[y], weights=given, feature_names=NAMES)
    theirs = clone(estimator).set_params(**by_code)
    theirs.fit(X64[rows], y, **({"sample_weight": given} if weights else {}))
    return Pair(ours, theirs, labels)


def agree(pair: Pair, atol: float = 1e-12) -> None:
    """Equal labels, equal probabilities, the same bytes one by one and after a round trip."""
    ours, theirs = pair.ours, pair.theirs
    assert (ours.predict(X) == pair.labels[theirs.predict(X64)]).all()
    assert ours.has_probabilities == hasattr(theirs, "predict_proba")
    if ours.has_probabilities:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X64), rtol=0, atol=atol)
    same_bytes(ours)


def same_bytes(model: Model) -> None:
    again = reloaded(model)
    assert again.digest() == model.digest() and again.params == model.params
    for of in (model, again):
        assert of.predict(X).tolist() == model.predict(X).tolist()
        one_by_one = np.concatenate([of.predict(X[at : at + 1]) for at in range(20)])
        assert one_by_one.tolist() == model.predict(X[:20]).tolist()
        if not model.has_probabilities:
            continue
        whole = model.proba_each(X)
        assert [part.tobytes() for part in of.proba_each(X)] == [part.tobytes() for part in whole]
        for target, part in enumerate(whole):
            rows = np.concatenate([of.proba_each(X[at : at + 1])[target] for at in range(20)])
            assert rows.tobytes() == part[:20].tobytes()


def reloaded(model: Model) -> Model:
    document, arrays, blobs = model.to_parts()
    return Model.from_parts(json.loads(json.dumps(document)), arrays, blobs)
