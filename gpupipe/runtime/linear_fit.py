"""A fit of linear regression or ridge from covariances: one trip over columns in memory, and no matrix of features."""

from concurrent.futures import Executor

import numpy as np

from gpupipe.backends.categories import Tables
from gpupipe.backends.features import FittedFeatures
from gpupipe.columns import Frame, Values
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.gathering import BoundScan
from gpupipe.errors import CovarianceError
from gpupipe.runtime.execute import no_rows, over_partitions
from gpupipe.runtime.linear_path import LinearPath, Solved
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.rows import Rows


def linear_fit(
    path: LinearPath, features: FittedFeatures, rows: Rows, pool: Executor, progress: Progress
) -> tuple[Solved, Values] | str:
    """The model of all rows, to the bit that of any order of them, and their identities; or why rows must train it.

    Raises:
        DataError: no rows, or a null target.
    """
    plan = features.plan
    binder = Binder(plan.slots, Fitted(), plan.info)
    bound = path.joined(BoundScan((), ()), binder)
    prepared = features.backend.prepare(bound.outputs, binder.info, Tables(Fitted()))

    def work(_: int, frame: Frame) -> Values:
        path.update(prepared.columns(frame), np.zeros(frame.n_rows, np.int8))
        return frame.row_ids

    progress.begin("covariances", rows)
    try:
        row_ids = over_partitions(rows, work, pool, progress)
        if not rows.report.rows_kept:
            raise no_rows(rows)
        return path.solved([0], [0], features.fitted, features.names), np.concatenate(row_ids)
    except CovarianceError as error:
        return str(error)
