"""What a call did: trips over the data, bytes, time, memory, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from typing import Any

from gpupipe.errors import counted
from gpupipe.runtime.prediction import Prediction
from gpupipe.runtime.progress.stages import Stage, stage_table
from gpupipe.runtime.quarantine import LeftOut
from gpupipe.runtime.resident import held_memory, peak_memory, taken_since
from gpupipe.runtime.rows import Rows
from gpupipe.runtime.tables import html_table, text_table

__all__ = ["Report", "held_memory", "report_of", "taken_since"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a fit did, or another call: as text and HTML with a table of its stages, as numbers, and as a dict.

    Attributes:
        scans: every trip over all rows, from the source or from memory, features and training matrix included.
        source_reads: how often the source was read; more than once only as `read_again` says.
        refinements: further trips over the columns of medians and quantiles alone; no scans. A scan counts their values
            in bins; a trip takes in what lies in the bins that hold a wanted rank, usually a few rows in a hundred. One
            trip serves all columns; a few more follow where very many rows lie close together; none where every bin
            holds one value (small whole numbers).
        bytes_read: bytes of the columns read, as stored.
        peak_bytes: the process's peak resident memory.
        seconds: wall seconds of each stage, and their ``total``.
        retries: how many times a partition, or part of one, was tried again for want of memory: the device's or the
            machine's. First as it was, then in halves, and so on; the result has the same bits.
        rows: rows the fit learned from.
        rows_filtered: rows each filter dropped, by the filter's text.
        rows_without_key: rows whose key is null or NaN, which match nothing, by the join's text.
        constant: features whose divisor was exactly 0 and counted as 1.
        kept_bytes: bytes of decoded columns kept in memory for further trips.
        spilled_bytes: bytes of them written to temporary files.
        read_again: why some partitions were read from the source again; None: none was.
        trained_on_rows: why a linear regression or ridge was trained on a matrix of rows rather than from covariances;
            None: it was not, or the model is another.
        training: how the model was trained; None: on a matrix of all rows, or there is none.
        device: what computed: ``cpu``, ``reference``, or ``gpu`` with the GPU's name.
        on_host: what was done on the host while the GPU computed, and why, by expression.
        predicted: what `explain` predicted: bytes read, memory, seconds.
        stages: what each stage did: trips over the rows, and training.
        memory: bytes taken beside what the process held when the fit began; 0 where it had held as much before, so that
            its peak does not tell.
        io_retries: how many times a read was tried again after a failure that may pass.
        done_here: stages that no worker of the current cluster could do, and this process did.
        quarantined: what could not be read and was left out: file, row group, rows (None: of a file that does not
            tell), and why.
        resumed: results of partitions, of all stages, that an earlier process had kept in the run and were read back.
    """

    scans: int
    source_reads: int
    bytes_read: int
    seconds: Mapping[str, float]
    rows: int
    rows_filtered: Mapping[str, int] = field(default_factory=dict)
    rows_without_key: Mapping[str, int] = field(default_factory=dict)
    constant: tuple[str, ...] = ()
    refinements: int = 0
    retries: int = 0
    peak_bytes: int = field(default_factory=peak_memory)
    kept_bytes: int = 0
    spilled_bytes: int = 0
    read_again: str | None = None
    trained_on_rows: str | None = None
    training: str | None = None
    device: str = "cpu"
    on_host: Mapping[str, str] = field(default_factory=dict)
    predicted: Prediction | None = None
    memory: int = 0
    stages: tuple[Stage, ...] = ()
    resumed: int = 0
    io_retries: int = 0
    done_here: tuple[str, ...] = ()
    quarantined: tuple[LeftOut, ...] = ()

    @property
    def errors(self) -> Mapping[str, float]:
        """What was, as a multiple of what `explain` predicts: ``bytes_read``, ``memory`` and ``seconds``, training
        apart; of what was expected to be next to nothing no multiple is told.
        """
        if self.predicted is None:
            return {}
        was = {"bytes_read": self.bytes_read, "memory": self.memory, "seconds": self._seconds}
        least = {"bytes_read": 1.0, "memory": 100e6, "seconds": 1.0}
        expected = {name: getattr(self.predicted, name) for name in was}
        return {name: was[name] / value for name, value in expected.items() if value >= least[name] and was[name]}

    def at_last(self, rows: Rows) -> "Report":
        """The report after another trip over the rows, which does not count as one of the fit."""
        return replace(self, bytes_read=rows.bytes_read, source_reads=rows.source_reads, read_again=rows.read_again)

    def __repr__(self) -> str:
        times = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        settled = f"quantiles settled in {counted(self.refinements, 'trip')}; " if self.refinements else ""
        lines = [
            f"{counted(self.rows, 'row')}, {counted(self.scans, 'scan')} of them, {self.source_reads} from the source; "
            f"{settled}{self.bytes_read / 1e6:,.1f} MB read",
            f"{times}; peak memory {self.peak_bytes / 1e6:,.0f} MB",
        ]
        if self.spilled_bytes or self.read_again:
            kept, spilled = self.kept_bytes / 1e6, self.spilled_bytes / 1e6
            lines.append(f"for further trips {kept:,.1f} MB kept in memory, {spilled:,.1f} MB in temporary files")
        lines += [self.read_again] if self.read_again else []
        lines += [f"for want of memory tried again {counted(self.retries, 'time')}"] if self.retries else []
        lines += [f"{counted(self.resumed, 'result')} of partitions read back from the run"] if self.resumed else []
        lines += [f"filtered {counted(count, 'row')}: not {text}" for text, count in self.rows_filtered.items()]
        without = self.rows_without_key.items()
        lines += [f"{counted(count, 'row')} with no key (null or NaN), of {text}" for text, count in without if count]
        lines += [f"constant column, divided by 1: {name}" for name in self.constant]
        lines += [f"trained on a matrix of rows: {self.trained_on_rows}"] if self.trained_on_rows else []
        lines += [f"trained {self.training}"] if self.training else []
        told = ", ".join(f"{name.replace('_', ' ')} {times:.2f}" for name, times in self.errors.items())
        lines += [f"expected: {self.predicted}; it took, in multiples of it: {told}"] if told else []
        lines += [f"computed on {self.device}"] if self.device.startswith("gpu") else []
        lines += [f"on the host: {what}, since {why}" for what, why in self.on_host.items()]
        lines += [f"a read was tried again {counted(self.io_retries, 'time')}"] if self.io_retries else []
        lines += [f"left out: {_told(one)}" for one in self.quarantined]
        lines += [f"in this process, not on the cluster: {', '.join(self.done_here)}"] if self.done_here else []
        lines += [text_table("", stage_table(self.stages))] if self.stages else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        told = replace(self, stages=()).__repr__()
        parts = [f"<p>{escape(line)}</p>" for line in told.splitlines()]
        parts += [html_table("stages", stage_table(self.stages))] if self.stages else []
        parts += [html_table("expected", self._expected())] if self.predicted is not None else []
        return "\n".join(parts)

    def _expected(self) -> list[list[str]]:
        assert self.predicted is not None
        low, high = self.predicted.seconds_range
        taken = f"{self.memory / 1e6:,.0f} MB" if self.memory else "not known"
        rows = [
            ["bytes read", f"{self.bytes_read / 1e6:,.1f} MB", f"{self.predicted.bytes_read / 1e6:,.1f} MB"],
            ["memory", taken, f"{self.predicted.memory / 1e6:,.0f} MB"],
            ["seconds", f"{self._seconds:.2f}", f"{low:.2f} to {high:.2f}"],
        ]
        times = {name.replace("_", " "): f"{value:.2f}" for name, value in self.errors.items()}
        return [["", "was", "expected", "times"], *([*row, times.get(row[0], "")] for row in rows)]

    @property
    def _seconds(self) -> float:
        """Those that are predicted: training is not."""
        return self.seconds.get("statistics", 0.0) + self.seconds.get("features", 0.0)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values, with `errors`."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found = {name: dict(value) if isinstance(value, Mapping) else value for name, value in found.items()}
        found |= {name: list(value) for name, value in found.items() if isinstance(value, tuple)}
        found["predicted"] = None if self.predicted is None else asdict(self.predicted)
        found["quarantined"] = [one._asdict() for one in self.quarantined]
        return found | {"stages": [stage.to_dict() for stage in self.stages], "errors": dict(self.errors)}


@dataclass(slots=True, eq=False)
class LastReport:
    """What the last call did; None: there was none."""

    report: Report | None = None


def report_of_stages(stages: Sequence[Stage], left_out: Sequence[LeftOut] = ()) -> Report:
    """What a call did that learned nothing."""
    seconds = {stage.name: 0.0 for stage in stages}
    for stage in stages:
        seconds[stage.name] += stage.seconds
    return Report(
        scans=sum(stage.partitions > 0 for stage in stages),
        source_reads=sum(stage.bytes_read > 0 for stage in stages),
        bytes_read=sum(stage.bytes_read for stage in stages),
        seconds={**seconds, "total": sum(seconds.values())},
        rows=max((stage.rows for stage in stages), default=0),
        retries=sum(stage.retries for stage in stages),
        io_retries=sum(stage.io_retries for stage in stages),
        quarantined=tuple(left_out),
        stages=tuple(stages),
    )


def report_of(
    rows: Rows, scans: int, seconds: Mapping[str, float], constant: tuple[str, ...], on_rows: str | None = None
) -> Report:
    """What a fit did that made so many trips over `rows`; `on_rows`: see `Report.trained_on_rows`."""
    return Report(
        scans=scans,
        source_reads=rows.source_reads,
        bytes_read=rows.bytes_read,
        seconds=seconds,
        rows=rows.report.rows_kept,
        rows_filtered=rows.report.rows_filtered,
        rows_without_key=rows.report.rows_without_key,
        constant=constant,
        refinements=rows.refinements,
        retries=rows.retries,
        io_retries=rows.io_retries,
        done_here=tuple(rows.done_here),
        quarantined=() if rows.quarantine is None else rows.quarantine.found,
        kept_bytes=rows.kept_bytes,
        spilled_bytes=rows.spilled_bytes,
        read_again=rows.read_again,
        trained_on_rows=on_rows,
    )


def _told(one: LeftOut) -> str:
    group = "" if one.row_group is None else f", row group {one.row_group}"
    rows = "all rows" if one.rows is None else counted(one.rows, "row")
    return f"{rows} of {one.file or 'the data'}{group}: {one.why}"
