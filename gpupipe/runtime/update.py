"""A fit that goes on: new rows are read, and merged with the states that the rows before left."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpupipe.artifact import kept as artifact
from gpupipe.artifact.kept import SUFFIX, Kept
from gpupipe.artifact.pipeline import Fit
from gpupipe.backends.backend import Backend
from gpupipe.compiler.again import columns_again
from gpupipe.compiler.plan import Plan
from gpupipe.errors import (
    ArtifactExistsError,
    ArtifactNotFoundError,
    ParameterError,
    SchemaMismatchError,
    UnavailableError,
    counted,
)
from gpupipe.runtime.carried import Carried
from gpupipe.runtime.fit import Declared, Outcome, planned, run_fit
from gpupipe.runtime.given import GIVEN_GROUPS, GIVEN_TARGET, GIVEN_WEIGHT
from gpupipe.runtime.progress import Progress
from gpupipe.runtime.seen.provenance import merged, refuse_overlap
from gpupipe.schema import Field, Schema, require_columns
from gpupipe.sources.following import Chain, Following
from gpupipe.sources.source import Source
from gpupipe.sources.together import one_type

KEPT = (False, True, "values")
_GIVEN = {GIVEN_TARGET: "y", GIVEN_WEIGHT: "sample_weight", GIVEN_GROUPS: "groups"}


@dataclass(frozen=True, slots=True, eq=False)
class KeptState:
    """What a fitted pipeline can go on from.

    Attributes:
        kept: the states of all rows so far; None where they lie in a folder, or nowhere.
        source: those rows, where some of their columns must be read again; None where none must, or they are unknown.
        path: the artifact that the states may lie beside.
    """

    kept: Kept | None = None
    source: Source | None = None
    path: Path | None = None

    def states(self, state_digest: str) -> Kept:
        """The states, from memory or from beside the artifact.

        Raises:
            UnavailableError: there are none.
            ArtifactCorruptError: they belong to another fit, or are damaged.
        """
        if self.kept is not None:
            return self.kept
        if self.path is None:
            raise UnavailableError(
                "update goes on from the states of a fit, and this fit kept no states. Fit with keep_state=True."
            )
        try:
            return artifact.read(f"{self.path}{SUFFIX}", state_digest)
        except ArtifactNotFoundError as error:
            raise UnavailableError(
                f"update goes on from the states of a fit, and no states of its fit are kept beside {self.path}. Fit "
                "with keep_state=True, and save."
            ) from error

    def save(self, fit: Fit, path: str | os.PathLike[str], *, overwrite: bool) -> str:
        """Write the artifact, and beside it the states, if they are in memory; gives the artifact's digest."""
        if self.kept is not None and not overwrite and os.path.lexists(f"{Path(path)}{SUFFIX}"):
            raise ArtifactExistsError(
                f"States of another fit stand at {Path(path)}{SUFFIX}. Choose another path, or pass overwrite=True."
            )
        digest = fit.save(path, overwrite=overwrite)
        if self.kept is not None:
            artifact.write(f"{Path(path)}{SUFFIX}", self.kept, fit.digest(), overwrite=overwrite)
        return digest


def keeping(keep_state: Any) -> Carried | None:
    """Where a fit leaves its states, as ``keep_state=`` asks; None: nowhere.

    Raises:
        ParameterError: it asks for nothing that there is.
    """
    if keep_state not in KEPT:
        raise ParameterError(f"keep_state is False, True or 'values', not {keep_state!r}.")
    return Carried(exact=keep_state == "values") if keep_state else None


def kept_of(declared: Declared, carried: Carried, source: Source, outcome: Outcome) -> KeptState:
    """What to keep of a fit: its states, and the source where an update would read some of it again."""
    fit = outcome.fit
    again = read_again(planned(declared, fit.features.plan.schema, carried), trains=fit.model is not None)
    return KeptState(carried.kept(source.n_rows or 0, outcome.rows.rows_from(0)), source if again else None)


def run_update(
    declared: Declared,
    fit: Fit,
    state: KeptState,
    new: Source,
    earlier: Source | None,
    validation: Source | None,
    how: tuple[Backend, Progress, int | str | None],
) -> tuple[Outcome, KeptState]:
    """The fit on all rows, from the states of the earlier ones; the outcome's rows are open still.

    Args:
        new: the rows that come now.
        earlier: those of the fit so far, where it must read some of them again and does not know them.

    Raises:
        LeakageError: some of the new rows were seen before.
        UnavailableError: there are no states, or earlier rows must be read again and are not known.
        SchemaMismatchError: the new rows have other types.
    """
    kept = state.states(fit.digest())
    if fit.seen is not None:
        refuse_overlap(fit.seen, new)
    schema = _grown(fit.features.plan, new.schema)
    newest = Following(new, kept.listed)
    again = read_again(planned(declared, schema, Carried(kept)), trains=declared.model is not None)
    before = [_known(earlier or state.source, kept, again)] if again else []
    carried = Carried(kept, sum(len(source.partitions) for source in before), newest)
    rows = Chain([*before, newest], schema)
    outcome = run_fit(declared, rows, validation, *how, carried=carried)
    seen = outcome.fit.seen if fit.seen is None or outcome.fit.seen is None else merged(fit.seen, outcome.fit.seen)
    outcome = replace(outcome, fit=replace(outcome.fit, seen=seen, probe=fit.probe))
    now = carried.kept(new.n_rows or 0, outcome.rows.rows_from(carried.first))
    return outcome, KeptState(now, rows if again else None)


def read_again(plan: Plan, *, trains: bool) -> list[str]:
    """The columns of earlier rows that an update reads again; `trains`: it trains a model."""
    return plan.fit_columns if trains and not plan.scans else columns_again(plan, features=trains)


def _known(earlier: Source | None, kept: Kept, again: Sequence[str]) -> Source:
    named = ", ".join(repr(name) for name in again[:8]) + (", …" if len(again) > 8 else "")
    if earlier is None:
        raise UnavailableError(
            f"This update must read {named} of the earlier rows again. Give them as seen=… (--seen), listed as the fit "
            "listed them. (For quantiles, keep_state='values' (--keep-state values) keeps what they need.)"
        )
    for what, found, wanted in (("lists", earlier.n_rows or 0, kept.listed), ("holds", earlier.count(), kept.rows)):
        if found != wanted:
            raise ParameterError(
                f"seen= {what} {counted(found, 'row')}, and the fit saw {wanted:,}. Give all of the earlier rows, in "
                "the order of the fit, with its filters and splits, and no other."
            )
    return earlier


def _grown(plan: Plan, new: Schema) -> Schema:
    """The schema of the fit, nullable where the new rows may be."""
    for name, argument in _GIVEN.items():
        if any(column.startswith(name) and column not in new for column in plan.fit_columns):
            raise ParameterError(
                f"The fit was given {argument}, and these rows come without. Give update(X, {argument}=…), a value for "
                "each of the new rows."
            )
    require_columns(plan.fit_columns, new, "which the fit took in")
    fields = dict(plan.schema.items())
    for name in plan.fit_columns:
        old, found = fields[name], new[name]
        if one_type(old.dtype, found.dtype) != old.dtype:
            raise SchemaMismatchError(
                f"it is {found.dtype} here and was {old.dtype} in the fit, which all rows together would not be. Cast "
                "it at the source, or fit on all rows again."
            ).at(column=name)
        fields[name] = Field(old.dtype, old.nullable or found.nullable)
    return Schema(fields)
