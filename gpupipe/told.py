"""What the calls of a pipeline show while they go on, and tell afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from gpupipe.models.contract import SklearnContract
from gpupipe.runtime.progress import Heard, Shown, hearing, listening, progress_for
from gpupipe.runtime.report import LastReport, Report, report_of_stages


class ToldPipeline(SklearnContract):
    """What tells of a pipeline's calls."""

    _last: LastReport

    @property
    def last_report_(self) -> Report | None:
        """What the last call did that went over rows: fit, update, transform, predict, predict_proba, predictions,
        decision_function, score or evaluate; None where there was none yet. `report_` stays that of the fit.

        >>> import gpupipe as gp
        >>> fitted = gp.Pipeline([gp.col("x").fill_null("mean")]).fit({"x": [1.0, None, 3.0]})
        >>> table = fitted.transform({"x": [5.0, None]})
        >>> fitted.last_report_.rows, [stage.name for stage in fitted.last_report_.stages]
        (2, ['features'])
        """
        last: LastReport | None = self.__dict__.get("_last")
        return None if last is None else last.report

    @contextmanager
    def _heard(self, progress: Shown) -> Iterator[Heard]:
        """Who hears of what is done inside, as `progress` asks; it is reported afterwards."""
        with listening(progress) as heard:
            yield heard
        self._tell(heard)

    def _heard_later(self, progress: Shown, tables: Callable[[], Iterator[pa.Table]]) -> Iterator[pa.Table]:
        """The same of tables that are made one by one, as they are asked for."""
        heard = progress_for(progress)
        with hearing(heard):
            made = tables()

        def each() -> Iterator[pa.Table]:
            with heard:
                yield from made
            self._tell(heard)

        return each()

    def _tell(self, heard: Heard) -> None:
        if heard.stages:
            self.__dict__.get("_last", LastReport()).report = report_of_stages(heard.stages, heard.left_out)
