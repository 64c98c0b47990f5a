"""Spark ML on two threads of one machine.

Medians, means and deviations are SQL's: its Imputer's medians are approximate, and its StandardScaler takes vectors,
which are dear to make and take apart. StringIndexer has no least count, so the vocabularies come from a grouped count a
column, and go into its model as labels.
"""

import os
import shutil

import numpy as np
import pyarrow.parquet as pq
from pyspark.ml.feature import StringIndexerModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from .command import Task, main
from .family import note_family

NUMBERS = [f"n{at}" for at in range(1, 14)]
WORDS = [f"c{at}" for at in range(1, 27)]


def clicks(task: Task) -> None:
    """J1."""
    _clicks(task)
    note_family(task)


def _clicks(task: Task) -> None:
    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count()}]")
        .config("spark.driver.memory", task.settings.get("memory", "8g"))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.driver.maxResultSize", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    task.lap("session")
    rows = spark.read.parquet(str(task.data / "rows.parquet")).select(NUMBERS + WORDS)
    done = _numbers(_words(rows), task.variant)
    if task.variant == "parquet":
        done.coalesce(1).write.parquet(str(task.out / "features"), mode="overwrite")
        (part,) = (task.out / "features").glob("part-*.parquet")
        part.rename(task.out / "features.parquet")
        shutil.rmtree(task.out / "features")
        task.lap("job")
        return
    table = done.toArrow()
    matrix = np.empty((table.num_rows, len(NUMBERS + WORDS)), np.float32)
    for at, name in enumerate(NUMBERS + WORDS):
        matrix[:, at] = table[name].to_numpy()
    task.lap("job")
    if task.variant == "models":
        task.train(matrix, pq.read_table(task.data / "rows.parquet", columns=["label"])["label"].to_numpy())
    elif task.keep:
        np.save(task.out / "matrix.npy", matrix)


def _words(rows: DataFrame) -> DataFrame:
    labels = []
    for name in WORDS:
        counts = rows.where(F.col(name).isNotNull()).groupBy(name).count().where("count >= 15")
        found = counts.toArrow().sort_by([("count", "descending"), (name, "ascending")])
        labels.append(found[name].to_pylist())
    coded = rows
    for name, known in zip(WORDS, labels, strict=True):
        place = f"{name}_place"
        coded = StringIndexerModel.from_labels(known, name, place, handleInvalid="keep").transform(coded)
        code = F.when(F.col(name).isNull(), 0).when(F.col(place) == len(known), 1).otherwise(F.col(place) + 2)
        coded = coded.withColumn(name, code.cast("int"))
    return coded.select(NUMBERS + WORDS)


def _numbers(rows: DataFrame, variant: str) -> DataFrame:
    rows = rows.select(*(F.col(name).cast("double").alias(name) for name in NUMBERS), *WORDS)
    if variant == "matrix_zero":
        rows = rows.fillna(0.0, NUMBERS)
    else:
        (medians,) = rows.agg(*(F.median(name).alias(name) for name in NUMBERS)).collect()
        rows = rows.fillna(medians.asDict())
    logs = rows.select(*(F.log1p(F.greatest(F.col(name), F.lit(0.0))).alias(name) for name in NUMBERS), *WORDS)
    (found,) = logs.agg(
        *(F.mean(name).alias(f"{name}_mean") for name in NUMBERS),
        *(F.stddev_pop(name).alias(f"{name}_std") for name in NUMBERS),
    ).collect()
    scaled = (((F.col(n) - found[f"{n}_mean"]) / found[f"{n}_std"]).cast("float").alias(n) for n in NUMBERS)
    return logs.select(*scaled, *WORDS)


if __name__ == "__main__":
    main({"clicks": clicks})
