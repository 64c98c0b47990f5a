"""Is a breast tumour malignant?

569 tumours, 30 measurements of their cells' nuclei each, nothing missing.

Data: breast_cancer of scikit-learn (UCI, Wisconsin diagnostic).
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import gpupipe as gp
from gpupipe import col
from gpupipe.examples.tables import keep


def prepare(folder: Path) -> dict[str, Path]:
    """The raw table ``tumours`` as Parquet in `folder`, made if it is not there."""
    return {"tumours": keep(folder, "tumours", _raw)}


def _raw() -> pa.Table:
    bunch = load_breast_cancer()
    columns = {str(name).replace(" ", "_"): bunch.data[:, at] for at, name in enumerate(bunch.feature_names)}
    return pa.table({**columns, "diagnosis": bunch.target_names[bunch.target].tolist()})


def source(tables: dict[str, Path]) -> gp.Source:
    """All tumours."""
    return gp.scan(tables["tumours"])


def pipeline() -> gp.Pipeline:
    """The whole job, from raw columns to probabilities."""
    return gp.Pipeline(
        features=[gp.numeric().standardize()],
        target=col("diagnosis") == "malignant",
        model=model(),
    )


def model() -> LogisticRegression:
    """Logistic regression with room to converge."""
    return LogisticRegression(max_iter=1000)


def reference() -> Pipeline:
    """The same features and the same model in plain scikit-learn, over the columns of :func:`frame`."""
    measurements = make_column_selector(dtype_include="number")
    return make_pipeline(make_column_transformer((StandardScaler(), measurements)), model())


def frame(tables: dict[str, Path]) -> tuple[Any, Any]:
    """(pandas frame, target): the rows of :func:`source`."""
    rows = pq.read_table(tables["tumours"]).to_pandas()
    return rows, (rows["diagnosis"] == "malignant").to_numpy()
