"""Outputs of a model and the truth in, an evaluation out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpupipe.errors import NonFiniteError, ParameterError, TargetError
from gpupipe.evaluation.grouped import Ranked
from gpupipe.evaluation.measure import Sample, measure, reasons_for
from gpupipe.evaluation.metrics import Classification, Regression
from gpupipe.evaluation.report import Evaluation, Metric, Slice
from gpupipe.evaluation.slices import split
from gpupipe.evaluation.target import encode_labels, encode_numbers
from gpupipe.models.families.ranking import group_codes

Values = np.ndarray[Any, Any]

MIN_ROWS = 30


def evaluate_arrays(
    kind: str,
    y_true: Any,
    outputs: Any,
    classes: Sequence[Any] | None = None,
    weights: Any | None = None,
    row_ids: Any | None = None,
    slices: Mapping[str, Any] | None = None,
    *,
    groups: Any | None = None,
    probabilities: bool = True,
    decided: Any | None = None,
    threshold: Mapping[str, Any] | None = None,
    baseline: Any | None = None,
    seed: int = 0,
    intervals: bool = True,
) -> Evaluation:
    """Every measure of `outputs` against `y_true`, with 95 % intervals, a baseline, and by slice.

    Nothing depends on the order of the rows: they are taken by ascending identity.

    Args:
        kind: "classifier", "regressor" or "ranker".
        y_true: (rows,) labels of `classes` (bools, numbers, strings; NumPy, list or Arrow), or numbers; for a
            ranker degrees of relevance, from 0 on.
        outputs: of a classifier (rows, classes), or (rows,) for the second of two classes; of a regressor or
            ranker (rows,).
        classes: the plain labels in the order of the columns of `outputs`; None for a regressor.
        weights: (rows,) finite and not negative; None: all 1.
        row_ids: uint64 (rows,), the rows' identities; None: their positions.
        slices: column name to labels (rows,). Of slices under `MIN_ROWS` rows nothing is measured.
        groups: (rows,) of a ranker: what each row is ranked in, any plain values.
        probabilities: whether a classifier's outputs are probabilities, not decision values; then there is a
            log loss and a Brier score.
        decided: int (rows,): the position in `classes` of what a classifier decided for; None: of the highest output.
        threshold: of a classifier that has one of its own: {"value", "label", "response"}; it is told in the report.
        baseline: what the trivial model learned in training: the classes' shares (classes,), or the mean;
            None: those of `y_true`.
        seed: of the bootstrap.
        intervals: whether there are to be any: they cost far more than the values.

    Raises:
        TargetError: no rows; a target that is null, not finite, below 0 for a ranker, or no known class.
        DataError: a null group.
        NonFiniteError: outputs or weights that are not finite.
        ParameterError: lengths that differ, negative weights, outputs that are no probabilities.

    >>> found = evaluate_arrays("regressor", [1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    >>> found.metrics["mae"].value
    0.3333333333333333
    """
    sample = _sample(kind, y_true, outputs, classes, groups, probabilities, decided)
    weight = _weights(weights, len(sample.true))
    ids = _identities(row_ids, len(sample.true))
    order = np.argsort(ids, kind="stable")
    sample, weight, ids = sample.take(order), weight[order], ids[order]
    labels = list(classes) if kind == "classifier" and classes is not None else None
    trivial = _trivial(sample, weight, baseline)
    parts = {
        name: _slices(name, given, order, sample, weight, ids, labels, seed)
        for name, given in (slices or {}).items()
    }
    return Evaluation(
        kind=kind,
        n_rows=len(ids),
        metrics=measure(sample, weight, ids if intervals else None, labels, seed),
        baseline=measure(trivial, weight, None, labels, seed),
        slices=parts,
        classes=labels,
        confusion_matrix=sample.confusion(weight[None])[0] if isinstance(sample, Classification) else None,
        n_groups=len(sample.sizes) if isinstance(sample, Ranked) else None,
        threshold=None if threshold is None else dict(threshold),
    )


def _sample(
    kind: str,
    y_true: Any,
    outputs: Any,
    classes: Sequence[Any] | None,
    groups: Any,
    probabilities: bool,
    decided: Any,
) -> Sample:
    if kind == "classifier":
        return _classified(y_true, outputs, classes, probabilities, decided)
    if kind == "regressor":
        return _regressed(y_true, outputs)
    if kind == "ranker":
        return _ranked(y_true, outputs, groups)
    raise ParameterError(f"A {kind!r} cannot be evaluated; there are 'classifier', 'regressor' and 'ranker'.")


def _classified(
    y_true: Any, outputs: Any, classes: Sequence[Any] | None, probabilities: bool, decided: Any
) -> Classification:
    if classes is None or len(classes) < 2:
        raise ParameterError(f"A classifier has at least two classes; given were {classes!r}.")
    scores = _finite("outputs", outputs)
    if scores.ndim == 1 and len(classes) == 2:
        scores = np.column_stack([1 - scores if probabilities else -scores, scores])
    true = encode_labels(y_true, classes)
    if scores.shape != (len(true), len(classes)):
        raise ParameterError(
            f"The outputs have shape {scores.shape}; {len(true):,} rows and {len(classes)} classes were "
            "expected."
        )
    if not len(true):
        raise TargetError("There are no rows to evaluate.")
    if probabilities and (
        scores.min() < 0 or scores.max() > 1 or np.abs(scores.sum(axis=1) - 1).max() > 1e-4
    ):
        raise ParameterError(
            "The outputs are not probabilities. For decision values pass probabilities=False."
        )
    if decided is None:
        return Classification(true, scores, probabilities)
    codes = np.asarray(decided)
    if codes.shape != true.shape or codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= len(classes):
        raise ParameterError(f"decided is a position among {len(classes)} classes, for each of {len(true):,} rows.")
    return Classification(true, scores, probabilities, codes.astype(np.int64))


def _regressed(y_true: Any, outputs: Any) -> Regression:
    true, predicted = encode_numbers(y_true), _finite("outputs", outputs)
    if predicted.shape != true.shape:
        raise ParameterError(f"The outputs have shape {predicted.shape}; ({len(true)},) was expected.")
    if not len(true):
        raise TargetError("There are no rows to evaluate.")
    return Regression(true, predicted)


def _ranked(y_true: Any, outputs: Any, groups: Any) -> Ranked:
    if groups is None:
        raise ParameterError("A ranker is judged within groups, and none were given. Give groups=.")
    given, codes = _regressed(y_true, outputs), group_codes(groups)
    true = given.true
    if len(codes) != len(true):
        raise ParameterError(f"There are {len(codes):,} groups for {len(true):,} rows. Give one a row.")
    if (true < 0).any():
        raise TargetError(
            f"The target is {true.min():g} in one row; a ranking is judged by degrees of relevance, from 0 on. "
            "Give the target as such."
        )
    return Ranked(true, given.predicted, codes)


def _finite(name: str, given: Any) -> Values:
    values = np.asarray(given, dtype=np.float64)
    if lost := values.size - int(np.count_nonzero(np.isfinite(values))):
        raise NonFiniteError(f"The {name} are NaN or infinite {lost:,} times among {values.size:,} values.")
    return values


def _weights(given: Any | None, n_rows: int) -> Values:
    if given is None:
        return np.ones(n_rows)
    weights = _finite("weights", given)
    if weights.shape != (n_rows,):
        raise ParameterError(f"The weights have shape {weights.shape}; ({n_rows},) was expected.")
    if (weights < 0).any() or not weights.any():
        raise ParameterError("Weights must not be negative, and not all of them 0.")
    return weights


def _identities(given: Any | None, n_rows: int) -> Values:
    ids = np.arange(n_rows, dtype=np.uint64) if given is None else np.asarray(given)
    if ids.shape != (n_rows,) or ids.dtype.kind not in "iu":
        raise ParameterError(f"row_ids are {n_rows:,} integers; given were {ids.dtype} of shape {ids.shape}.")
    return ids.astype(np.uint64, copy=False)


def _trivial(sample: Sample, weights: Values, given: Any | None) -> Sample:
    """What a model that knows no feature would have said of the same rows."""
    if isinstance(sample, Ranked):
        return Ranked(sample.true, np.zeros(len(weights)), sample.groups)
    if isinstance(sample, Regression):
        mean = np.average(sample.true, weights=weights) if given is None else float(given)
        return Regression(sample.true, np.full(len(weights), mean))
    shares = (
        np.bincount(sample.true, weights, sample.n_classes) if given is None else _finite("baseline", given)
    )
    if shares.shape != (sample.n_classes,) or shares.min() < 0 or not shares.any():
        raise ParameterError(
            f"The baseline is a share for each of {sample.n_classes} classes; given was {given!r}."
        )
    rows = np.broadcast_to(shares / shares.sum(), sample.scores.shape)
    return Classification(sample.true, rows, True)


def _slices(
    name: str,
    given: Any,
    order: Values,
    sample: Sample,
    weights: Values,
    ids: Values,
    labels: list[Any] | None,
    seed: int,
) -> dict[Any, Slice]:
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    found: dict[Any, Slice] = {}
    for label, rows in split(name, given, len(order)):
        chosen = np.sort(place[rows])
        if len(chosen) < MIN_ROWS:
            few = f"fewer than {MIN_ROWS} rows"
            metrics = {metric: Metric(None, reason=few) for metric in reasons_for(sample, labels)}
        else:
            metrics = measure(sample.take(chosen), weights[chosen], ids[chosen], labels, seed)
        found[label] = Slice(len(chosen), metrics)
    return found
