"""What rankers need beyond rows and targets: rows of one group standing together, and degrees of relevance."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpupipe.arrow_arrays import array_from, values_of
from gpupipe.errors import GroupsError, ParameterError, TargetError
from gpupipe.models.families.rows import Lesson, Row


def refuse_groups(row: Row, groups: Any) -> None:
    """Raise ParameterError for a ranker without groups, and for groups with an estimator that takes none."""
    if row.kind == "ranker" and groups is None:
        raise ParameterError(
            f"{row.name} ranks rows within groups, and none were given. Give Pipeline(groups=…), the column of what "
            "rows are ranked for, such as a query; or fit(X, y, groups=…)."
        )
    if row.kind != "ranker" and groups is not None:
        raise ParameterError(
            f"{row.name} takes no groups, and some were given. Leave them out, or use a ranker: XGBRanker, LGBMRanker, "
            "CatBoostRanker. To keep rows together in folds and splits there is Pipeline(key=…)."
        )


def group_codes(groups: Any) -> NDArray[np.int64]:
    """The number of each row's group, in order of first appearance, int64 (rows,).

    Args:
        groups: values of any plain type, (rows,): NumPy, Arrow or a list.

    Raises:
        DataError: a null group, or values of several types.

    >>> group_codes(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    try:
        values = groups if isinstance(groups, pa.Array | pa.ChunkedArray) else array_from(groups)
    except (pa.ArrowException, TypeError) as error:
        raise GroupsError(f"Groups are values of one type, such as numbers or text: {error}.") from error
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if values.null_count:
        raise GroupsError(
            f"The group is null in {values.null_count:,} of {len(values):,} rows. Fill it, or filter these rows out."
        )
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    codes: NDArray[Any] = values_of(values.dictionary_encode().indices)
    return codes.astype(np.int64)


def by_group(lesson: Lesson, groups: Any, who: str) -> Lesson:
    """The rows with those of one group together: groups by first appearance, their rows in the order given.

    Raises:
        DataError: a null group.
        ParameterError: another length, or groups of one row only, which teach no order.
    """
    codes = group_codes(groups)
    if len(codes) != len(lesson.X):
        raise ParameterError(f"There are {len(codes):,} groups for {len(lesson.X):,} rows. Give one a row.")
    if len(codes) and codes.max() == len(codes) - 1:
        raise ParameterError(
            f"{who} learns the order of rows within their groups, and each of the {len(codes):,} groups has one row. "
            "Give groups= the column of what rows are ranked for, such as a query."
        )
    order = np.argsort(codes, kind="stable")
    y, weights = (None if values is None else values[order] for values in (lesson.y, lesson.weights))
    return Lesson(lesson.X[order], y, weights, codes[order])


def sizes(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows each group has, for rows that stand by group."""
    return np.bincount(groups)


def refuse_fractions(lesson: Lesson, who: str) -> None:
    """Raise TargetError unless the target holds degrees of relevance: 0, 1, 2, …."""
    if lesson.y is None:
        return
    bad = lesson.y[(lesson.y < 0) | (lesson.y != np.floor(lesson.y))]
    if len(bad):
        raise TargetError(
            f"{who} learns from degrees of relevance, whole numbers from 0 on, and the target is {bad[0]:g} in one of "
            f"{len(bad):,} such rows. Cut it into degrees, or use a pairwise objective of XGBRanker."
        )


def group_weights(lesson: Lesson, who: str) -> NDArray[np.float64] | None:
    """One weight a group, where a library wants it so.

    Raises:
        ParameterError: the rows of a group have different weights.
    """
    if lesson.weights is None or lesson.groups is None:
        return None
    first = np.append(0, np.cumsum(sizes(lesson.groups)))[:-1]
    found = lesson.weights[first]
    if (found[lesson.groups] != lesson.weights).any():
        raise ParameterError(f"{who} takes one weight a group, and rows of one group have different weights.")
    return found
