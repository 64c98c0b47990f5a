"""What a fit carries over to the rows that come next: the states of its first scan."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from gpupipe.artifact.kept import Kept
from gpupipe.backends.named import named
from gpupipe.backends.states.gathering import merge
from gpupipe.backends.states.state import State
from gpupipe.compiler.gathering import BoundScan, Intake
from gpupipe.compiler.plan import Plan
from gpupipe.compiler.scans import REFINED, TAILS, Scan
from gpupipe.errors import ArtifactCorruptError, GpupipeError, InternalError, ParameterError
from gpupipe.expr.node import show
from gpupipe.sources.following import Following


class Carried:
    """The states of the first scan, kept for the rows that come next.

    Args:
        kept: the states of the rows before; None: there were none.
        first: the first partition that those states have not seen.
        newest: the rows that they have not seen; None: all there are.
        exact: whether quantiles keep all values, so that no row is read again for them.
    """

    def __init__(
        self, kept: Kept | None = None, first: int = 0, newest: Following | None = None, *, exact: bool = False
    ) -> None:
        self.first, self.newest = first, newest
        self.exact = exact if kept is None else kept.exact
        self._before = kept
        self._states: Sequence[State] = ()
        self._labels: Sequence[str] = ()

    def merged(self, bound: BoundScan, states: Sequence[State]) -> list[State]:
        """The states of all rows, from those of the new ones.

        Raises:
            ArtifactCorruptError: what was kept is of other statistics.
        """
        self._labels = [_label(intake) for intake in bound.intakes]
        self._states = list(states) if self._before is None else self._with(self._before, bound, states)
        return list(self._states)

    def _with(self, before: Kept, bound: BoundScan, states: Sequence[State]) -> list[State]:
        if list(before.labels) != self._labels:
            raise ArtifactCorruptError(
                "The states that were kept are of other statistics than those of this pipeline. Fit again with "
                "keep_state=True."
            )
        both = []
        for intake, old, new in zip(bound.intakes, before.states, states, strict=True):
            with named(intake.gather.node), self.believed():
                if _form(old) != _form(new):
                    raise ArtifactCorruptError("The states that were kept are of another form than its rows' now.")
                both.append(merge([old, new]))
        return both

    @contextmanager
    def believed(self) -> Iterator[None]:
        """What is done inside believes the states that were kept: where numbers contradict each other, they are wrong.

        Raises:
            ArtifactCorruptError: they do.
            ParameterError: the earlier rows that were read again contradict them.
        """
        try:
            yield
        except InternalError as error:
            if self._before is None:
                raise
            raise ParameterError(
                "The earlier rows, read again, are not those that the states were kept of: other rows were given as "
                "seen=…, or theirs were changed in place. Give them as they were, or fit on all rows again."
            ) from error
        except GpupipeError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            if self._before is None:
                raise
            raise ArtifactCorruptError(
                f"The states that were kept are damaged: {error}. Fit again with keep_state=True."
            ) from error

    def kept(self, listed: int, rows: int) -> Kept:
        """What to keep for the next rows; `listed` is how many there were now, `rows` how many were taken in."""
        before = (0, 0) if self._before is None else (self._before.listed, self._before.rows)
        return Kept(self._states, self._labels, before[0] + listed, before[1] + rows, self.exact)


def _form(state: State) -> tuple[object, ...]:
    """The types of all that a state is made of."""
    entries = None if state.entries is None else state.entries.values.dtype
    arrays = {name: (array.dtype, array.ndim) for name, array in state.arrays.items()}
    return state.kind, [key.dtype for key in state.keys], entries, arrays


def _label(intake: Intake) -> str:
    gather = intake.gather
    over = ", ".join(show(key, core=True) for key in gather.keys)
    return f"{gather.state} of {show(gather.value, core=True)} [{intake.component}] over [{over}] by {gather.folds}"


def with_all_values(plan: Plan) -> Plan:
    """The plan with states of quantiles that hold all values, so that no row is read again to settle them."""
    return replace(plan, scans=tuple(_valued(scan) for scan in plan.scans))


def _valued(scan: Scan) -> Scan:
    gathers = (replace(each, state="values") if each.state in (REFINED, TAILS) else each for each in scan.gathers)
    return replace(scan, gathers=tuple(gathers))
