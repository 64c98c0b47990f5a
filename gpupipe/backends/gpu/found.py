"""What is asked of a partition's columns on a device, worked out for all of them in a few launches."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.keys import DeviceGroups
from gpupipe.backends.gpu.sums import Pass, Summed, once_more
from gpupipe.columns import Values
from gpupipe.kernels.gpu import exact, extremes, histogram, sampled
from gpupipe.kernels.gpu.batch import Column, Job, Launched
from gpupipe.kernels.gpu.device import Device
from gpupipe.kernels.gpu.rows import pointer_of

_PART = 1 << 27  # values that a device sums in the time in which the host gets some columns ready
_PARTS = 4


@dataclass(eq=False, slots=True)
class Asked:
    """What is asked of a column without a dictionary, by group, and what was found.

    Attributes:
        column: its rows and their groups.
        by: the groups.
        sums: of its values as float64; None: not asked for.
        integers: of integers; None: not asked for.
        ends: finds the least and the greatest values, and the first NaN.
        order: how many values lie in each bin.
        counts: how many values each group has; None: all its rows, or a sum tells.
        wants_order, wants_counts: whether these are asked for.
    """

    column: Column
    by: DeviceGroups
    sums: Summed | None = None
    integers: Job | None = None
    ends: Job | None = None
    order: histogram.Found | None = None
    counts: "Counted | None" = None
    wants_order: bool = False
    wants_counts: bool = False

    def want(self, kind: str, is_float: bool) -> None:
        """Ask for what a kind of state is made of."""
        self.wants_order |= kind == "order"
        self.wants_counts |= kind != "order"
        squares = kind in ("moments", "tails")
        if kind == "tails" or (kind in ("sum", "moments") and is_float):
            known = self.sums is not None and self.sums.squares
            rows = None if self.column.groups is None else self.by.rows
            self.sums = Summed(self.column, squares or known, rows)
        elif kind in ("sum", "moments"):
            known = self.integers is not None and self.integers.words > 2 * self.column.n_groups
            self.integers = exact.integers_job(self.column, squares or known)
        elif kind == "extremes" or (kind == "count" and is_float):
            self.ends = extremes.extremes_job(self.column)

    @property
    def n(self) -> Values:
        """int64: how many values each group has."""
        if self.sums is not None and self.sums.n_valid is not None:
            return np.array([self.sums.n_valid])
        if self.counts is not None:
            return self.counts.found
        return self.by.rows.copy() if self.column.groups is not None else np.array([len(self.column)])


@dataclass(eq=False, slots=True)
class Counted:
    """How many rows with a value each group has, and of an encoded column each entry.

    Attributes:
        job: what counts them.
        shape: (groups, entries).
    """

    job: Job
    shape: tuple[int, int]
    _found: Values | None = field(default=None, repr=False)

    @property
    def table(self) -> Values:
        """int64 of that shape."""
        if self._found is None:
            self._found = extremes.counts_found(self.job, *self.shape)
        return self._found

    @property
    def found(self) -> Values:
        """int64 of shape (groups,), of a column without entries: a copy."""
        return self.table[:, 0].copy()


def counted(column: DeviceColumn, by: DeviceGroups) -> Counted:
    """How often each entry of an encoded column occurs in each group, to be counted."""
    assert column.ids is not None and column.entries is not None
    shape = len(by.rows), len(column.entries)
    job = extremes.counts_job(column.n_rows, by.of_row, shape[0], column.valid, column.ids, shape[1])
    return Counted(job, shape)


def find(device: Device, asked: Sequence[Asked], entries: Sequence[Counted]) -> None:
    """Work all of it out: a launch a type (and number of slices) for each thing that is asked for. Copies: one of
    what columns look like, two of histograms, one of all else (of much data some more). The host seldom waits for what
    it does not need next.

    Raises:
        DeviceMemoryError: the device has not so much memory.
    """
    ordered = [each for each in asked if each.wants_order]
    summed = [each for each in asked if each.sums is not None]
    jobs = {id(each): sampled.look_job(each.column, histogram.width_for(each.column.n_groups)) for each in ordered}
    for each in summed:
        if id(each) not in jobs:
            jobs[id(each)] = sampled.look_job(each.column)
    looks = Launched(device, list(jobs.values()))
    runs = [sampled.runs_there(looks, number) for number in range(len(ordered))]
    binned = histogram.Histograms(device, [each.column for each in ordered], runs)
    ends = _ends(looks, [jobs[id(each)] for each in summed])  # and sums get their grids while histograms are made,
    under_way = _summing(device, asked, entries, list(zip(summed, ends, strict=True)))
    for each, found in zip(ordered, binned.fetch(), strict=True):  # which are taken in while sums are made
        each.order = found
    for one, launched in under_way:
        launched.fetch()
        one.take()
    once_more([each.sums for each in summed if each.sums is not None])


def _ends(looks: Launched, jobs: Sequence[Job]) -> list[tuple[float, float]]:
    """How large and how fine the values of columns are."""
    if not jobs:
        return []
    looks.fetch()
    largest, finest = sampled.sizes(jobs)
    return list(zip(largest.tolist(), finest.tolist(), strict=True))


def _summing(
    device: Device,
    asked: Sequence[Asked],
    entries: Sequence[Counted],
    summed: Sequence[tuple[Asked, tuple[float, float]]],
) -> list[tuple[Pass, Launched]]:
    """Sums under way, of much data in parts: grids of one are picked while another is summed. The last has the rest."""
    values = sum(len(each.column) for each, _ in summed)
    size = max(-(-len(summed) // min(max(values // _PART, 1), _PARTS)), 1)
    under_way, known = [], set[int]()
    for first in range(0, max(len(summed), 1), size):
        part = summed[first : first + size]
        one = Pass((each.sums, each.sums.on_grid(*ends)) for each, ends in part if each.sums is not None)
        known |= {id(sums) for sums, _ in one.asked}
        jobs = list(one.jobs)
        if first + size >= len(summed):
            jobs += [job for each in asked for job in (each.ends, each.integers) if job is not None]
            jobs += [each.job for each in (*_counting(asked, known), *entries)]
        under_way.append((one, Launched(device, jobs)))
    return under_way


def _counting(asked: Sequence[Asked], known: Container[int]) -> list[Counted]:
    """Counts of values, once for all columns of the same rows with a value; none where a sum tells (`known`)."""
    made: dict[tuple[int, int, int], Counted] = {}
    for each in asked:
        column = each.column
        told = each.sums is not None and each.sums.rows is None and id(each.sums) in known
        if column.valid is None or told or not each.wants_counts:
            continue
        key = column.valid.pointer, pointer_of(column.groups), len(column)
        if key not in made:
            job = extremes.counts_job(len(column), column.groups, column.n_groups, column.valid)
            made[key] = Counted(job, (column.n_groups, 1))
        each.counts = made[key]
    return list(made.values())
