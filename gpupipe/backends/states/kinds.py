"""The kinds of state, by the names that the table of reductions uses."""

from gpupipe.backends.states.counts import COUNT, EXTREMES
from gpupipe.backends.states.ends import ENDS
from gpupipe.backends.states.moments import MOMENTS, SUM, TAILS
from gpupipe.backends.states.orders import ORDER
from gpupipe.backends.states.state import StateKind
from gpupipe.backends.states.values import VALUES

KINDS: dict[str, StateKind] = {kind.name: kind for kind in (COUNT, SUM, MOMENTS, TAILS, EXTREMES, VALUES, ORDER)}
#: Those that are merged: what a scan keeps in the place of bins besides.
MERGED: dict[str, StateKind] = {**KINDS, ENDS.name: ENDS}
