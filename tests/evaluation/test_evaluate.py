"""What may be given, what is refused and how, slices, baselines, and the report."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from gpupipe.errors import NonFiniteError, ParameterError, TargetError
from gpupipe.evaluation import Evaluation, evaluate_arrays

RNG = np.random.default_rng(0)
N = 400
TRUTH = RNG.integers(0, 2, N)
SCORES = np.clip(0.5 * RNG.random(N) + 0.4 * TRUTH, 0, 1)


def evaluate(**changes):
    given = {"y_true": TRUTH, "outputs": SCORES, "classes": [0, 1], **changes}
    return evaluate_arrays("classifier", **given)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["no", "yes"])[TRUTH], ["no", "yes"]),
        (np.array(["no", "yes"], object)[TRUTH], ["no", "yes"]),
        (pa.array(np.array(["no", "yes"])[TRUTH]), ["no", "yes"]),
        (pa.array(np.array(["no", "yes"])[TRUTH]).dictionary_encode(), ["no", "yes"]),
        (
            pa.chunked_array([np.array(["no", "yes"])[TRUTH][:99], np.array(["no", "yes"])[TRUTH][99:]]),
            ["no", "yes"],
        ),
        (TRUTH.astype(bool), [False, True]),
        (TRUTH.astype(float), [0, 1]),
        (TRUTH.astype(np.uint8), [0.0, 1.0]),
        (TRUTH.astype(np.int8) - 100, [-100, -99]),
        ((TRUTH * 10**12).tolist(), [0, 10**12]),
        (1 - TRUTH, [1, 0]),
    ],
)
def test_labels_of_any_kind(labels, classes):
    plain = evaluate().to_dict()["metrics"]
    assert evaluate(y_true=labels, classes=classes).to_dict()["metrics"] == plain


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (["a", None, "b", None], ["a", "b"], "null in 2 of 4 rows"),
        (np.array(["a", None, "b", None], object), ["a", "b"], "null in 2 of 4 rows"),
        (np.array([0, np.nan, 1, 1]), [0, 1], "null in 1 of 4 rows"),
        (["a", "c", "c", "d"], ["a", "b"], r"'c' \(2 rows\), 'd' \(1 row\).*learned 'a', 'b'"),
        ([0, 1, 2, 300], np.array([0, 1], np.int8).tolist(), r"2 \(1 row\), 300 \(1 row\)"),
        ([0.5, 0, 1, 1], [0, 1], r"0\.5 \(1 row\)"),
        ([True, False, True, True], [0, 1], "is bool, but the model's classes are int64"),
        (["0", "1", "1", "1"], [0, 1], "is string"),
        ([0, "a", 1, 1], [0, 1], "several kinds"),
    ],
)
def test_targets_the_model_cannot_know(labels, classes, said):
    with pytest.raises(TargetError, match=said):
        evaluate(y_true=labels, classes=classes, outputs=np.full(4, 0.5))


@pytest.mark.parametrize("target", [[1.0, None], [1.0, np.nan], [1.0, np.inf]])
def test_numbers_that_are_none(target):
    with pytest.raises(TargetError, match="in 1 of 2 rows"):
        evaluate_arrays("regressor", target, [1.0, 2.0])


def test_a_regression_of_words():
    with pytest.raises(TargetError, match="numeric"):
        evaluate_arrays("regressor", ["a"], [1.0])


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"outputs": np.full(N, np.nan)}, NonFiniteError, "outputs are NaN or infinite 400 times"),
        ({"outputs": SCORES[:-1]}, ParameterError, r"shape \(399, 2\); 400 rows and 2"),
        ({"outputs": np.ones((N, 3)) / 3}, ParameterError, "2 classes"),
        ({"outputs": SCORES * 3}, ParameterError, "probabilities=False"),
        ({"outputs": np.column_stack([SCORES, SCORES])}, ParameterError, "not probabilities"),
        ({"weights": -np.ones(N)}, ParameterError, "negative"),
        ({"weights": np.zeros(N)}, ParameterError, "all of them 0"),
        ({"weights": np.ones(3)}, ParameterError, r"\(400,\) was expected"),
        ({"weights": np.full(N, np.inf)}, NonFiniteError, "weights"),
        ({"row_ids": np.arange(3)}, ParameterError, "400 integers"),
        ({"row_ids": np.arange(N) * 1.0}, ParameterError, "float64"),
        ({"classes": [0]}, ParameterError, "two classes"),
        ({"classes": None}, ParameterError, "two classes"),
        ({"baseline": [1.0]}, ParameterError, "2 classes"),
        ({"slices": {"city": ["a"]}}, ParameterError, "'city' has 1 labels for 400"),
        ({"y_true": [], "outputs": []}, TargetError, "null|is|no rows"),
    ],
)
def test_what_is_refused(changes, error, said):
    with pytest.raises(error, match=said):
        evaluate(**changes)


def test_other_kinds_are_refused():
    with pytest.raises(ParameterError, match="'clusterer'"):
        evaluate_arrays("clusterer", TRUTH, SCORES)


def test_too_many_slices():
    ids = np.arange(1500)
    with pytest.raises(ParameterError, match="'id' has 1,500 distinct"):
        evaluate_arrays("regressor", ids, ids, slices={"id": ids})


def test_a_slice_is_an_evaluation_of_its_rows():
    city = RNG.choice(["x", "y"], N).astype(object)
    city[:50] = None
    weights, ids = RNG.uniform(1, 2, N), np.arange(N) + 1000
    found = evaluate(slices={"city": city}, weights=weights, row_ids=ids)
    assert list(found.slices["city"]) == ["x", "y", None]
    for label, part in found.slices["city"].items():
        rows = np.array([value == label for value in city])
        alone = evaluate(y_true=TRUTH[rows], outputs=SCORES[rows], weights=weights[rows], row_ids=ids[rows])
        assert part.metrics == alone.metrics
        assert part.n_rows == rows.sum()


def test_small_and_one_sided_slices_say_why():
    group = np.where(TRUTH == 1, "late", "early").astype(object)
    group[:5] = "few"
    found = evaluate(slices={"group": group}).slices["group"]
    assert {metric.reason for metric in found["few"].metrics.values()} == {"fewer than 30 rows"}
    assert {metric.value for metric in found["few"].metrics.values()} == {None}
    early = found["early"].metrics
    assert early["roc_auc"].reason == "not every class occurs"
    assert early["recall"].reason == "no row is 1"
    assert early["accuracy"].value is not None and early["log_loss"].value is not None
    assert early.keys() == found["few"].metrics.keys()
    none = evaluate(slices={"g": group}, weights=np.where(group == "late", 0.0, 1.0)).slices["g"]["late"]
    assert none.metrics["accuracy"].reason == "all weights are 0"


def test_the_baseline_knows_no_feature():
    found = evaluate().baseline
    share = TRUTH.mean()
    assert found["accuracy"].value == pytest.approx(max(share, 1 - share))
    assert found["brier"].value == pytest.approx(share * (1 - share))
    assert found["log_loss"].value == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    assert (found["roc_auc"].value, found["pr_auc"].value) == (0.5, pytest.approx(share))
    given = evaluate(baseline=[0.25, 0.75]).baseline
    assert given["accuracy"].value == pytest.approx(share)
    assert given["brier"].value == pytest.approx(np.mean((TRUTH - 0.75) ** 2))
    numbers = evaluate_arrays("regressor", SCORES, SCORES)
    assert numbers.baseline["rmse"].value == pytest.approx(SCORES.std())
    assert numbers.baseline["r2"].value == pytest.approx(0, abs=1e-12)
    assert evaluate_arrays("regressor", SCORES, SCORES, baseline=0.0).baseline["mae"].value == pytest.approx(
        SCORES.mean()
    )


def test_to_dict_is_json_of_the_promised_shape():
    found = evaluate(slices={"big": TRUTH.astype(bool)}).to_dict()
    assert found["metrics"]["roc_auc"].keys() == {"value", "low", "high"}
    assert (
        found["metrics"]["roc_auc"]["low"]
        < found["metrics"]["roc_auc"]["value"]
        < found["metrics"]["roc_auc"]["high"]
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(map(sum, found["confusion_matrix"]["rows"])) == N
    assert [part["label"] for part in found["slices"]["big"]] == [False, True]
    assert found["slices"]["big"][0]["metrics"]["roc_auc"].keys() == {"value", "low", "high", "reason"}


def test_the_report_reads_well():
    found = evaluate(slices={"<city>": np.where(TRUTH == 1, "<b>", "Ål")})
    text = repr(found)
    lines = text.split("\n")
    assert lines[0] == "Evaluation of a classifier on 400 rows, positive class 1"
    auc = found.metrics["roc_auc"]
    row = next(line for line in lines if line.startswith("roc_auc"))
    assert row.split() == ["roc_auc", f"{auc.value:.4f}", f"{auc.low:.4f}", "…", f"{auc.high:.4f}", "0.5000"]
    table = lines[2:12]
    assert len({len(line) for line in table}) == 1
    assert "by <city>" in text and "not every class occurs" in text
    html = found._repr_html_()
    assert "<city>" not in html and "&lt;city&gt;" in html and "&lt;b&gt;" in html
    assert html.count("<table>") == html.count("</table>") == 3
    assert isinstance(found, Evaluation)


def test_the_report_of_a_regression():
    text = repr(evaluate_arrays("regressor", [1e6, 2e6, 4e6], [1e6, 2e6, 3e6]))
    assert "rmse  5.7735e+05" in text and "true (rows)" not in text


def test_one_row():
    found = evaluate_arrays("classifier", [1], [0.9], [0, 1])
    assert found.metrics["accuracy"].value == 1.0
    assert found.metrics["roc_auc"].reason == "not every class occurs"
    assert evaluate_arrays("regressor", [1.0], [2.0]).metrics["mae"].value == 1.0


def test_scikit_learn_is_not_needed():
    code = (
        "import sys; from gpupipe.evaluation import evaluate_arrays as e; e('classifier', [0, 1], [.1, "
        ".9], [0, 1]);"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
