"""`Pipeline`: declared once (`declared.py`), fitted, judged, saved, and scored with (`fitted.py`)."""

from dataclasses import replace
from typing import Any, Self

import numpy as np

from gpupipe.arguments import named_arguments
from gpupipe.artifact import pipeline as artifact
from gpupipe.backends.backend import backend_for
from gpupipe.declared import DeclaredPipeline
from gpupipe.errors import ParameterError
from gpupipe.models.contract import weighed_if_the_model_is
from gpupipe.runtime.fit import run_fit
from gpupipe.runtime.given import own_columns, scan_as, source_of, validation_of
from gpupipe.runtime.inputs import UNNAMED, Inputs, inputs_of
from gpupipe.runtime.journal.asked import Asked, asked
from gpupipe.runtime.out import Out
from gpupipe.runtime.progress import Shown, listening, stages_of
from gpupipe.runtime.quarantine import Quarantine, quarantine_for, scanned
from gpupipe.runtime.report import LastReport, Report
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.update import KeptState, keeping, kept_of, run_update
from gpupipe.sources.kinds import ARRAYS, labels_array
from gpupipe.sources.listing import is_paths
from gpupipe.sources.source import scan


class Pipeline(DeclaredPipeline):
    """Features, a target and a model, declared once.

    Args:
        features: expressions (lists of them nest); selectors expand against the data's schema.
        target: what the model learns; an expression, or a column's name. Or give ``fit(X, y)``. A list of them where
            the model learns several targets.
        model: an estimator object of scikit-learn, XGBoost, LightGBM or CatBoost (docs/estimators.md lists them), which
            is never changed; None only transforms.
        weights: row weights, for the model and the metrics; statistics are unweighted.
        groups: of a ranker: what each row is ranked in, such as its query; an expression, or a column's name. Without
            a key, rows of one group share folds.
        key: the column whose values say which rows belong together (folds, splits); else a row's position does.
        device: where it computes: ``"cpu"``; ``"gpu"``; ``"auto"``, the GPU where there is one that works, else the
            CPU (`explain` says which, and why); or ``"reference"``, the slow oracle. Features have the same bits on
            all.
        memory: how much a fit may take beside what the process holds: text such as ``"4GiB"``, or bytes. So many
            partitions are worked on at a time as half of it holds (at least one); columns that further trips over the
            rows need are kept in a quarter or more, and beyond it in temporary files (see TMPDIR). Results given back
            and a model's training matrix come on top. None: half of what is free.
        training: ``"partitions"`` trains the model in trips over the rows, without a matrix of all of them, to the same
            bits for any partitions and any number of workers (docs/estimators.md lists what can be trained so); an
            estimator that cannot be is refused. ``"gather"`` brings all rows into this process. None: linear regression
            and ridge from covariances where their features allow, the others on all rows of this process; on a cluster
            they are refused.

    Attributes (after the fit):
        features_: the fitted features as a pipeline without the model: it transforms, saves, and can be shared.
        model_: the trained model as data; None without one.
        classes_: a classifier's labels, sorted; of several targets a list of them.
        n_features_in_: how many columns the rows of the fit had, those of target, weights and key aside.
        feature_names_in_: their names; an array has none.
        report_: what the fit did.

    >>> import gpupipe as gp
    >>> pipeline = gp.Pipeline([gp.col("x").fill_null("mean").standardize()])
    >>> pipeline.fit_transform({"x": [1.0, None, 3.0]}).column("x").to_pylist()
    [-1.2247449159622192, 0.0, 1.2247449159622192]
    """

    report_: Report

    # -- fitting ------------------------------------------------------------------------------------------------
    @weighed_if_the_model_is
    @named_arguments
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        validation: Any = None,
        keep_state: bool | str = False,
        progress: Shown = False,
        run: Any = None,
        on_change: str = "refuse",
        on_bad_partition: str = "raise",
    ) -> Self:
        """Learn the features' statistics and train the model; gives the pipeline itself.

        Args:
            X: whatever `gpupipe.scan` takes.
            y: the target's values, where the pipeline declares no target; `X` must be in memory.
            sample_weight: weights, where the pipeline declares none.
            groups: a ranker's groups, where the pipeline declares none.
            validation: rows for a model that stops early: as `X`, or (X, y), or (X, y, sample_weight), or
                (X, y, sample_weight, groups).
            keep_state: True keeps what `update` goes on from: it may hold values of the data. ``save`` writes it beside
                the artifact, and a pickle of the pipeline has it too. ``"values"`` keeps all values of what quantiles
                are of, so that `update` need not read those columns again.
            progress: True shows what goes on, on stderr: a bar a stage in a terminal or a notebook, else lines for a
                log; None only in a terminal or a notebook; "lines" lines everywhere; or an object of your own with the
                methods ``begin(what, rows)``, ``advance(n_rows)`` (from any thread) and ``end()``.
            run: a folder in which what was done is kept as it is done, so that the same fit in another process goes on
                where this one was killed (docs/runs.md).
            on_change: ``"recompute"`` begins anew where the run in that folder is of another pipeline or of other rows,
                or was damaged; ``"refuse"`` says what has changed.
            on_bad_partition: ``"quarantine"`` leaves out a partition that cannot be read (a page that is corrupt, a
                disk that fails, rows that end the workers they are given to), as if its rows were not listed, and tells
                so in ``report_.quarantined``; a file too that cannot be listed, where `X` is paths (of a `gp.scan` that
                is its error). ``"raise"`` ends with the error.

        Raises:
            PlanError: what was declared does not fit the data's schema; nothing has been read.
            DataError: a value or file that the plan cannot take.
            ModelError: the estimator cannot be used, or refused.
            RunError: the run in that folder is of something else, finished, damaged, or another process is at it.

        >>> import gpupipe as gp
        >>> from sklearn.linear_model import LogisticRegression
        >>> pipeline = gp.Pipeline([gp.col("x").standardize()], target="bought", model=LogisticRegression())
        >>> pipeline.fit({"x": [1, 2, 8, 9], "bought": ["no", "no", "yes", "yes"]}).classes_
        array(['no', 'yes'], dtype=object)
        """
        wanted = asked(run, on_change)
        how: dict[str, Any] = {"run": wanted, "quarantine": quarantine_for(on_bad_partition)}
        self._run(X, y, sample_weight, groups, validation, progress, keep_state=keep_state, **how).close()
        return self

    @weighed_if_the_model_is
    @named_arguments
    def update(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        validation: Any = None,
        seen: Any = None,
        progress: Shown = False,
    ) -> Self:
        """Learn from new rows too: the same bits as a fit on all, reading the new ones; gives the pipeline itself.

        It goes on from what ``fit(…, keep_state=True)`` kept. Quantiles, statistics that need others first, and a
        model read earlier rows again; ``explain(data).update`` says which of their columns.

        Args:
            X: the new rows alone, which come after all others.
            y, sample_weight, groups, validation, progress: as for `fit`.
            seen: the earlier rows, listed as they were, where some must be read again and the pipeline was loaded.

        Raises:
            UnavailableError: no state was kept, or earlier rows must be read again and are not known.
            LeakageError: some of the rows were seen before.
            SchemaMismatchError: a column has another type than in the fit.

        >>> import gpupipe as gp
        >>> pipeline = gp.Pipeline([gp.col("x").standardize()]).fit({"x": [1.0, 2.0]}, keep_state=True)
        >>> full = gp.Pipeline([gp.col("x").standardize()]).fit({"x": [1.0, 2.0, 6.0]})
        >>> pipeline.update({"x": [6.0]}).state_digest() == full.state_digest()
        True
        """
        fit, plan = self._fitted(), self.plan_
        self._refuse_no_estimator()
        key = self.key or fit.notes.get("key")
        rows = self._inputs.by_name(X, plan.columns)
        if y is None and sample_weight is None and groups is None:
            rows = scan_as(rows, plan.schema.select(plan.fit_columns))
        new = source_of(rows, y, sample_weight, key, groups)
        known = None if seen is None else self._inputs.by_name(seen, plan.columns)
        earlier = None if seen is None else source_of(scan_as(known, plan.schema), None, None, key)
        held = None if validation is None else validation_of(validation, y, key, self._inputs)
        task = fit.task if self.model is None else None
        declared = replace(self._declared(y, sample_weight, groups), key=key, fitted_task=task)
        with listening(progress) as heard:
            how = (backend_for(self.device), heard, self.memory)
            outcome, state = run_update(declared, fit, self._kept_state, new, earlier, held, how)
            outcome.rows.close()
        self._keep(outcome.fit, self._inputs, state)
        self.report_ = self._last.report = replace(outcome.report, stages=stages_of(heard))
        return self

    def _run(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        validation: Any,
        progress: Shown,
        *,
        transform: str | None = None,
        keep_state: bool | str = False,
        run: Asked | None = None,
        quarantine: Quarantine | None = None,
    ) -> Rows:
        self._refuse_no_estimator()
        if self.model is None and sample_weight is not None:
            raise ParameterError(
                "sample_weight was given, and there is no model to weigh rows for: statistics are unweighted. "
                "Leave it out, or give Pipeline(model=…)."
            )
        declared = self._declared(y, sample_weight, groups)
        if quarantine is not None and is_paths(X):
            X = scanned(scan, X, quarantine)
        source = source_of(X, y, sample_weight, self.key, groups)
        inputs = inputs_of(X, own_columns(source), declared.apart)
        held = None if validation is None else validation_of(validation, y, self.key, inputs)
        carried = keeping(keep_state)
        with listening(progress) as heard:
            how = (backend_for(self.device), heard, self.memory)
            more: dict[str, Any] = {"transform": transform, "carried": carried, "run": run, "quarantine": quarantine}
            outcome = run_fit(declared, source, held, *how, **more)
        state = KeptState() if carried is None else kept_of(declared, carried, source, outcome)
        self._keep(outcome.fit, inputs, state)
        self.report_ = self._last.report = replace(outcome.report, stages=stages_of(heard))
        return outcome.rows

    @weighed_if_the_model_is
    @named_arguments
    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        output: str | None = None,
        out: Out | None = None,
        overwrite: bool = False,
        progress: Shown = False,
    ) -> Any:
        """Fit, and give the training rows' features: out-of-fold values where an operator keeps folds.

        `output`, `out` and `overwrite` are those of `transform`, `progress` that of `fit`; the rows are decoded once
        for both, where memory and disk allow.

        >>> import gpupipe as gp
        >>> gp.Pipeline([gp.col("x").fill_null("mean")]).fit_transform({"x": [1.0, None, 3.0]}, output="numpy").tolist()
        [[1.0], [2.0], [3.0]]
        """
        made = "matrix" if out is None and self._kind(X, output) in ARRAYS else "columns"
        with (
            listening(progress) as heard,
            self._run(X, y, sample_weight, groups, None, heard, transform=made) as rows,
        ):
            rows.last_trip()
            found = self._given_back(self._fitted().features.for_training(), rows, X, output, out, overwrite=overwrite)
            self.report_ = self._last.report = replace(self.report_.at_last(rows), stages=stages_of(heard))
            return found

    def _keep(self, fit: artifact.Fit, inputs: Inputs, state: KeptState | None = None) -> None:
        self._kept_state, self._last = state or KeptState(), LastReport()
        self._fit = fit if inputs.names is not None else replace(fit, notes={**fit.notes, UNNAMED: inputs.total})
        self._inputs = inputs
        self.features_: Pipeline = self
        if fit.model is not None:
            self.features_ = Pipeline(self.features, self.target, device=self.device, memory=self.memory)
            self.features_._keep(replace(fit, model=None), inputs, state)
        self.model_ = fit.model
        for stale in ("classes_", "feature_names_in_"):
            self.__dict__.pop(stale, None)
        if fit.model is not None and fit.model.classes is not None:
            classes = fit.model.classes
            several = fit.model.targets is not None
            self.classes_ = [labels_array(labels) for labels in classes] if several else labels_array(classes)
        self.n_features_in_ = inputs.count
        if inputs.named:
            self.feature_names_in_ = np.array(inputs.usable(), dtype=object)
