"""`explain()`: what a plan will do, as a page of text, before any row is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from gpupipe.compiler.bind import Binder
from gpupipe.compiler.fitted import Fitted
from gpupipe.compiler.folding import operands
from gpupipe.compiler.groups import Store, group, is_tile
from gpupipe.compiler.late import Late
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.reasons import Forced, forced
from gpupipe.compiler.scans import REFINED, TAILS, Gather
from gpupipe.errors import ParameterError, counted, nearest
from gpupipe.expr.node import Node, show, walk

_WIDTH, _END = 118, 40
STAGES = ("features", "typed", "scans", "groups")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page of text, and its facts as numbers.

    Attributes:
        device: which device computes: ``cpu``, ``gpu`` or ``reference``.
        source: the source in a line.
        rows: rows listed, or None.
        partitions: how many pieces.
        columns: the source columns that will be read.
        bytes: bytes that reading them decodes.
        scans: trips over the rows that statistics need.
        trips: those, and what others a fit makes, in words.
        plan: the plan itself.
        model: the model in a line, or None.
        kept: what becomes of the columns after the first trip, in words.
        update: the columns of earlier rows that an `update` of the fit reads again; none: it reads new rows alone.
        folds: of how many folds a cross-validation is explained; 0: a fit is.
        on_rows: why each fold's model is trained on a matrix of rows; None: covariances of the first scan give it.
        gpu: the GPU in words, or why none computes; empty where none was looked for.
        on_host: of a GPU: the steps that the host does, and why, by expression.
        predicted: bytes read, memory and seconds that the fit is expected to take; `report_.predicted` repeats it.
    """

    device: str
    source: str
    rows: int | None
    partitions: int
    columns: tuple[str, ...]
    bytes: int
    scans: int
    plan: Plan = field(repr=False)
    model: str | None = None
    kept: str = ""
    update: tuple[str, ...] = ()
    folds: int = 0
    on_rows: str | None = None
    gpu: str = ""
    on_host: Mapping[str, str] = field(default_factory=dict)
    predicted: object = None
    trips: str = ""

    def __str__(self) -> str:
        return "\n".join(_page(self))

    __repr__ = __str__

    def stage(self, name: str) -> str:
        """One stage of the compiler as text: "features", "typed", "scans" or "groups".

        Raises:
            ParameterError: there is no such stage.
        """
        if name not in _STAGES:
            raise ParameterError(f"There is no stage {name!r}. {nearest(str(name), _STAGES)}")
        if name not in STAGES:
            raise ParameterError(f"There is no stage {name!r}. {nearest(str(name), STAGES)}")
        return "\n".join(_STAGES[name](self.plan))

    @property
    def forced(self) -> tuple[Forced, ...]:
        """What forced scans beyond the first: in a cross-validation these run once for each fold, over kept columns."""
        return tuple(forced(self.plan))

    @property
    def fold_trips(self) -> int:
        """How many trips over the rows a cross-validation makes, those that settle quantiles aside: the first scan is
        one for all folds, each further one is one a fold; so are the features to train with, and to judge by."""
        if not self.folds:
            return 0
        training = 2 * self.folds if self.on_rows is not None else 0
        return self.folds * max(self.scans - 1, 0) + training + (self.scans > 0 or not training)

    @property
    def settled(self) -> tuple[str, ...]:
        """The expressions whose quantiles a trip over few rows settles after a scan."""
        gathers = (gather for scan in self.plan.scans for gather in scan.gathers)
        return tuple(show(gather.value) for gather in gathers if gather.state == REFINED)

    def _repr_html_(self) -> str:
        text = str(self).replace("&", "&amp;").replace("<", "&lt;")
        return f"<pre>{text}</pre>"


def _page(e: Explanation) -> Iterator[str]:
    rows = "rows unknown" if e.rows is None else counted(e.rows, "row")
    yield f"Source     {e.source}"
    size = f"{e.bytes / 1e6:,.1f} MB in {counted(len(e.columns), 'column')}"
    yield f"           {rows} in {counted(e.partitions, 'partition')}; {size}, {e.kept}"
    if e.predicted is not None:
        yield f"Expected   {e.predicted}{', training apart' if e.model else ''}"
    yield f"Columns    {_wrapped(e.columns)}"
    yield f"Scans      {e.trips or f'{e.scans} for statistics, then one for features'}"
    for line in _scans(e.plan):
        yield _short(f"  {line}")
    yield from map(_short, _folds(e)) if e.folds else ()
    yield f"Features   {counted(len(e.plan.features), 'expression')}"
    for line in _features(e.plan):
        yield _short(f"  {line}")
    shapes = counted(len(set(_shapes(e.plan))), "shape")
    by = "launch of a fused kernel" if e.device == "gpu" else "call of the tile interpreter"
    yield f"Groups     {shapes} of expression; one {by} a partition"
    again = f"{_wrapped(e.update)} of earlier rows again" if e.update else "new rows alone"
    yield f"Update     reads {again}"
    yield from _device(e)
    if e.model:
        yield f"Model      {e.model}"


def _device(e: Explanation) -> Iterator[str]:
    yield f"Device     {e.device} ({e.gpu})" if e.device == "gpu" else f"Device     {e.device}"
    told = [f"no GPU: {e.gpu}"] if e.gpu and e.device != "gpu" else []
    told += [f"on the host: {_short(what)}, since {why}" for what, why in e.on_host.items()]
    for line in told:
        yield from wrap(line, _WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 11)


def _folds(e: Explanation) -> Iterator[str]:
    later = [str(scan.level) for scan in e.plan.scans[1:]]
    once = f", {'scan' if len(later) == 1 else 'scans'} {', '.join(later)} once for each" if later else ""
    yield f"Folds      {e.folds}: " + (f"scan 1 once for all{once}" if e.scans else "no statistics")
    solved = "models solved from covariances of one scan, without a matrix of rows"
    yield f"           {solved if e.on_rows is None else f'a matrix of rows for each: {e.on_rows}'}"


def _wrapped(names: tuple[str, ...], width: int = 100) -> str:
    lines, line = [], ""
    for name in names:
        if line and len(line) + len(name) + 2 > width:
            lines.append(line + ",")
            line = name
        else:
            line = f"{line}, {name}" if line else name
    return ("\n" + " " * 11).join([*lines, line])


def _features(plan: Plan) -> Iterator[str]:
    for feature in plan.features:
        wide = "_* (known after the fit)" if feature.info.wide is not None else ""
        null = "?" if feature.info.nullable else ""
        yield f"{feature.name}{wide}: {feature.dtype}{null} = {show(feature.source)}"


def _short(line: str) -> str:
    """A line of the page, without its middle where it is long: `stage("features")` has it whole."""
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - _END - 3]} … {line[-_END:]}"


def _typed(plan: Plan) -> Iterator[str]:
    for feature in plan.features:
        yield f"{feature.name} = {show(feature.node, core=True)}"


def _scans(plan: Plan) -> Iterator[str]:
    reasons = list(forced(plan))
    for scan in plan.scans:
        here = [reason for reason in reasons if reason.scan == scan.level]
        states = f"scan {scan.level}: {counted(len(scan.gathers), 'state')}"
        yield f"{states}, since {here[0].what}" if here else states
        for number, reason in enumerate(here):
            if number:
                yield f"  and since {reason.what}"
            yield f"    ({reason.why})"
        for gather in scan.gathers:
            yield from (f"  {line}" for line in _states(gather))
        if open_ended := [show(gather.value) for gather in scan.gathers if gather.state == REFINED]:
            yield f"  then a trip over few rows settles the quantiles of {', '.join(open_ended)}"
            if cut := [show(gather.value) for gather in scan.gathers if gather.state == TAILS]:
                yield f"  and sums what lies beyond those that clip, of {', '.join(cut)}"


def _states(gather: Gather) -> Iterator[str]:
    """A line for the statistics of each expression that is gathered in one state."""
    if not gather.slots:
        yield f"nulls of {show(gather.value)}{_over(gather.keys)}"
    of: dict[tuple[Node, tuple[Node, ...], Late], list[str]] = {}
    for slot in gather.slots:
        of.setdefault((*operands(slot.node), slot.late), []).append(slot.node.op)
    folds = f", by {gather.folds} folds" if gather.folds else ""
    for (value, keys, late), names in of.items():
        shown = f"{', '.join(dict.fromkeys(names))} of {show(value)}{_over(keys)}{folds}"
        yield "; ".join([shown, *_afterwards(late, gather)])


def _over(keys: Sequence[Node]) -> str:
    return f" over {', '.join(show(key) for key in keys)}" if keys else ""


def _afterwards(late: Late, gather: Gather) -> Iterator[str]:
    """What is done after the scan, once the values that are waited for are known."""
    for constant in late.constants:
        yield f"nulls of {show(constant.absent)} become {show(constant.value)}"
    for key, value in zip(gather.keys, late.keys, strict=False):
        if value is not None:
            yield f"the group of null {show(key)} joins that of {show(value)}"
    if late.clip is not None:
        yield f"from {show(gather.value)} by {show(late.clip)}"
        if late.suffix is not None:
            yield f"then by {show(late.suffix)}"
    elif late.suffix is not None:
        yield f"from {show(gather.value)} by {show(late.suffix)}"


def _shapes(plan: Plan) -> Iterator[object]:
    """The shape of every feature whose width is known, as tile programs where they are such."""
    binder = Binder(plan.slots, Fitted(), plan.info)
    for feature in plan.features:
        if feature.info.wide is None:
            node = binder.bind(feature.node)
            yield _shape(node, binder)
        else:
            yield ("wide", feature.info.wide.op)


def _shape(node: Node, binder: Binder) -> object:
    info = binder.info
    leaves = {
        part: "float64"
        for part in walk(node)
        if part.op != "table"
        and not is_tile(part, info)
        and not info[part].scalar
        and info[part].dtype.name != "String"
    }
    if node in leaves or info[node].dtype.name == "String":
        return ("column", node.op)
    return group([Store(node, "float32")], leaves, info).shapes[0]


def _groups(plan: Plan) -> Iterator[str]:
    shapes: dict[object, list[str]] = {}
    for feature, shape in zip(plan.features, _shapes(plan), strict=True):
        shapes.setdefault(shape, []).append(feature.name)
    for number, names in enumerate(shapes.values()):
        yield f"shape {number}: {', '.join(names)}"


_STAGES = {"features": _features, "typed": _typed, "scans": _scans, "groups": _groups}
