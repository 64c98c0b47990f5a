"""What a fit would do, from declarations and a source's metadata."""

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.backends.backend import Backend, backend_for
from gpupipe.compiler.again import columns_again
from gpupipe.compiler.bind import Binder
from gpupipe.compiler.explain import Explanation
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.plan import Plan
from gpupipe.models.partitions.table import way_of
from gpupipe.runtime.fit import Declared
from gpupipe.runtime.folds.dealing import Dealing
from gpupipe.runtime.linear.components import path_from_covariances
from gpupipe.runtime.linear.path import linear_path
from gpupipe.runtime.prediction import predicted
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.seen.twins import refuse_target_elsewhere
from gpupipe.runtime.teaching import FROM_COVARIANCES, reading_on_host, training_device
from gpupipe.runtime.update import read_again
from gpupipe.sources.source import Source


def explained(
    declared: Declared, source: Source, device: str, memory: int | str | None = None, folds: int = 0
) -> Explanation:
    """The plan of `declared` against `source`, and what it costs. No row is read.

    Raises:
        PlanError: what was declared does not fit the source's schema; no such number of folds.
    """
    if folds:
        Dealing(folds)
    plan, row = declared.plan(source.schema), declared.row
    refuse_target_elsewhere(plan, declared.target, source)
    again = columns_again(plan, features=row is not None, given_back=declared.training == "partitions")
    backend = backend_for(device)
    path = path_from_covariances(plan, [declared.model]) if folds and row is not None else "there is no model"
    on_host = _on_host(declared, source, plan, backend)
    there = row is not None and backend.device is not None and f"training {row.name}" not in on_host
    by = f" by {optional.load('gpupipe.models.gpu.places').trainer(row)}" if there else ""
    rows = Rows(source, plan.fit_columns, needed_again=again, memory=memory)
    on_a_matrix = None if declared.training == "partitions" or _from_covariances(declared, plan) else row
    return Explanation(
        device=backend.name,
        source=repr(source).splitlines()[0],
        rows=source.n_rows,
        partitions=len(source.partitions),
        columns=tuple(plan.fit_columns),
        bytes=source.nbytes(plan.fit_columns),
        scans=len(plan.scans),
        plan=plan,
        model=None if row is None else f"{row.path}, trained{by} {_trained(declared, plan)}, saved as {row.form}",
        update=tuple(read_again(plan, trains=row is not None)),
        kept=rows.kept,
        folds=folds,
        on_rows=path if isinstance(path, str) else None,
        gpu=devices.gpu().why if device in ("auto", "gpu") else "",
        on_host=on_host,
        predicted=None if folds else predicted(plan, rows, again, on_a_matrix),
        trips=_trips(declared, plan),
    )


def _trained(declared: Declared, plan: Plan) -> str:
    row = declared.row
    assert row is not None
    if _from_covariances(declared, plan):
        return "from covariances"
    if declared.training == "partitions":
        return f"on partitions ({way_of(declared.model)[1].by})"
    return f"on a {row.dtype} matrix" + (" of all rows" if declared.training == "gather" else "")


def _trips(declared: Declared, plan: Plan) -> str:
    """The trips over the rows that a fit makes."""
    scans = len(plan.scans)
    if declared.row is None:
        return f"{scans} for statistics, then one for features"
    if _from_covariances(declared, plan):
        return f"{scans} for statistics and training" if scans else "one for training"
    steps = "one for each step of training" if declared.training == "partitions" else "one for features and training"
    return f"{scans} for statistics, then {steps}"


def _from_covariances(declared: Declared, plan: Plan) -> bool:
    """Whether covariances that the scans gather, or one trip of its own, give the model."""
    return declared.training != "gather" and not isinstance(_path(declared, plan), str)


def _path(declared: Declared, plan: Plan) -> object:
    """How covariances of the first scan give the model, or as text why they do not."""
    return linear_path(plan, [declared.model]) if declared.row is not None else "there is no model"


def _on_host(declared: Declared, source: Source, plan: Plan, backend: Backend) -> dict[str, str]:
    """What the host does while the GPU computes; of features whose width is not known yet, what they are made of."""
    if backend.device is None:
        return {}
    binder = Binder(plan.slots, Fitted(), plan.info)
    wanted = [feature.node for feature in plan.features]
    wanted += [node for scan in plan.scans for gather in scan.gathers for node in (gather.value, *gather.keys)]
    known = [node if (wide := plan.info[node].wide) is None else wide.args[0] for node in wanted]
    found = reading_on_host(source.undecodable(plan.fit_columns))
    found |= backend.hosted([binder.bind(node) for node in known], binder.info)
    if declared.row is not None:
        why = FROM_COVARIANCES if _from_covariances(declared, plan) else training_device(backend, declared.model)[1]
        found |= {} if why is None else {f"training {declared.row.name}": why}
    return found
