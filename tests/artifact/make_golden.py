"""Writes the golden artifacts of this version, which every later one must load and score to the same bytes.

    python tests/artifact/make_golden.py

Once a version is released its folder is never written again: run this when the version in pyproject.toml changes.
"""

import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import engine  # noqa: E402
from expr import test_columnwise, test_elementwise, test_reductions  # noqa: E402
from features import test_operators  # noqa: E402
from models import cases  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.model_selection import FixedThresholdClassifier  # noqa: E402
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier, RegressorChain  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402
from xgboost import XGBClassifier  # noqa: E402

import gpupipe as gp  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
N_SCORED, N_PREDICTED = 60, 24
SCORED = engine.TABLE.slice(0, N_SCORED)
LANGUAGES = {
    "elementwise": test_elementwise,
    "columnwise": test_columnwise,
    "reductions": test_reductions,
    "operators": test_operators,
}
WIDE = [
    gp.col("c").one_hot(limit=50), gp.col("s").str.word_ngrams(8, n=(1, 2)), gp.col("c").target_mean(smoothing=2),
    gp.col("x").fill_null(0).group_statistics("c"), gp.col("t").dt.hour().cyclic(24),
]  # fmt: skip
_SMALL = HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=7)
# Models made of models, by a file's name, with the number of classes (0: numbers) and of targets.
COMPOSITES = {
    "calibrated-isotonic": (CalibratedClassifierCV(_SMALL, method="isotonic", cv=2), 3, 1),
    "calibrated-sigmoid": (CalibratedClassifierCV(XGBClassifier(n_estimators=3, max_depth=2), cv=2), 2, 1),
    "threshold": (FixedThresholdClassifier(CalibratedClassifierCV(GaussianNB(), cv=2), threshold=0.3), 2, 1),
    "several-classifiers": (MultiOutputClassifier(LogisticRegression()), 3, 2),
    "several-trees": (RandomForestRegressor(3, max_depth=3), 0, 2),
    "chain": (RegressorChain(Ridge()), 0, 2),
    "against-rest": (OneVsRestClassifier(LogisticRegression()), 3, 1),
    "against-one": (OneVsOneClassifier(LinearSVC()), 3, 1),
    "voting": (VotingClassifier([("bayes", GaussianNB()), ("trees", _SMALL)], voting="soft"), 2, 1),
    "stacking": (StackingRegressor([("ridge", Ridge()), ("trees", RandomForestRegressor(2, max_depth=2))], cv=2), 0, 1),
}
# Their bytes are another library's: skops gives scikit-learn's objects, which change with its version.
NOT_KEPT = ("skops",)


def features_of(module) -> list[gp.Expr]:
    """Every case of a test module as one list, each under a name of its own."""
    return [case.ours.alias(f"{case.name}_{at}") for at, case in enumerate(module.CASES)]


def model_table(case) -> pa.Table:
    """The matrix a case's estimator learns from as columns; NaN is missing."""
    columns = {name: pa.array(case.X[:, at], from_pandas=True) for at, name in enumerate(cases.NAMES)}
    return pa.table(columns)


def models() -> dict[str, str]:
    """One case for each form and link that a model can be kept in, under a folder's name."""
    found: dict[tuple[str, ...], str] = {}
    for name in cases.CASES:
        model = cases.ours(name)
        if model.form not in NOT_KEPT:
            found.setdefault((model.form, model.link), name)
    return {"-".join(key): name for key, name in found.items()}


def write(folder: Path, pipeline: gp.Pipeline, rows: pa.Table) -> None:
    """The artifact, the rows, and what they give."""
    pipeline.save(folder / "artifact")
    loaded = gp.load(folder / "artifact")
    keep(folder / "rows.arrow", rows)
    if loaded.model_ is None or folder.name == "wide":  # the others' features are the columns as they are
        keep(folder / "features.arrow", loaded.transform(rows, output="arrow"))
    if loaded.model_ is not None:
        keep(folder / "predictions.arrow", pa.concat_tables(loaded.predictions(rows)))


def keep(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def main() -> None:
    top = GOLDEN / metadata.version("gpupipe")
    top.mkdir()
    for name, module in LANGUAGES.items():
        pipeline = gp.Pipeline(features_of(module)).fit(engine.TABLE)
        (top / name).mkdir()
        write(top / name, pipeline, SCORED)
    (top / "wide").mkdir()
    three = gp.col("a").cast("String").fill_null("unknown")
    of_classes = gp.Pipeline(WIDE, target=three, model=ExtraTreesClassifier(3, max_depth=2))
    write(top / "wide", of_classes.fit(engine.TABLE), SCORED)
    for name, case_name in models().items():
        case = cases.CASES[case_name]
        table = model_table(case)
        pipeline = gp.Pipeline([gp.col(column) for column in cases.NAMES], model=case.estimator)
        pipeline.fit(table, case.y, groups=case.groups) if case.target else pipeline.fit(table)
        (top / name).mkdir()
        write(top / name, pipeline, table.slice(0, N_PREDICTED))
    for name, (estimator, n_classes, n_targets) in COMPOSITES.items():
        case = cases.Case(estimator, n_classes)
        y = case.y if n_targets == 1 else np.stack([case.y, case.y[::-1]], axis=1)
        pipeline = gp.Pipeline([gp.col(column) for column in cases.NAMES], model=estimator)
        (top / name).mkdir()
        write(top / name, pipeline.fit(model_table(case), y), model_table(case).slice(0, N_PREDICTED))
    print(f"{len(list(top.iterdir()))} artifacts in {top}")


if __name__ == "__main__":
    main()
