"""A partition's rows, read and taken through the source's steps; on a device, as far as that is wanted and possible."""

from collections.abc import Iterable, Mapping, Sequence

from gpupipe import optional
from gpupipe.columns import Frame
from gpupipe.kernels.gpu.device import Device
from gpupipe.schema import Schema
from gpupipe.sources.partition import LoadReport, Partition, Reading, added
from gpupipe.sources.steps import Step, answerable

_JOINED = "it is looked up on the host, in the table that is joined"


def loaded(
    recipe: Partition,
    number: int,
    needed: Sequence[Sequence[str]],
    steps: Sequence[Step],
    schema: Schema,
    device: Device | None,
) -> tuple[Frame, LoadReport]:
    """The frame of a partition after all steps, and what it cost.

    Args:
        number: the partition's.
        needed: the columns needed from the reader, then after each step.
        schema: of what is read.
        device: in whose memory columns are decoded that can be; None: all are decoded on the host.

    Raises:
        DataError: a value or a file that cannot be read.
        DeviceMemoryError: the device has not so much memory.
    """
    with recipe.placed():
        reading, on_host = _read(recipe, needed[0], steps, schema, device)
    frame = reading.frame
    dropped: dict[str, int] = {}
    without_key: dict[str, int] = {}
    pruned = recipe.n_rows - frame.n_rows
    for step, keep in zip(steps, needed[1:], strict=True):
        before = frame.n_rows + (pruned if step.drops_rows else 0)
        with recipe.placed(frame):
            without_key = added(without_key, step.without_key(frame, keep))
            frame = step.apply(frame, number, keep)
        if step.drops_rows:
            pruned = 0
        if step.counted_as is not None:
            dropped = added(dropped, {step.counted_as: before - frame.n_rows})
    joined = _joined(steps, frame.columns)
    rows = (recipe.n_rows, reading.frame.n_rows, frame.n_rows)
    told = {**on_host, **joined} if device is not None else {}
    return frame, LoadReport(*rows, reading.bytes_read, dropped, without_key, told)


def _read(
    recipe: Partition, columns: Sequence[str], steps: Sequence[Step], schema: Schema, device: Device | None
) -> tuple[Reading, Mapping[str, str]]:
    """The rows before the steps, and why columns are not on the device where they were wanted."""
    where = answerable(steps, schema)
    if device is None:
        return recipe.read(columns, where), {}
    there = optional.load("gpupipe.sources.on_device")
    found: tuple[Reading, Mapping[str, str]] = there.read(recipe, columns, device, where)
    return found


def undecodable(
    recipe: Partition, columns: Sequence[str], steps: Sequence[Step], wanted: Sequence[str]
) -> Mapping[str, str]:
    """Why columns of a partition will not be decoded in a device's memory, by column; from metadata alone.

    Args:
        columns: those needed from the reader.
        wanted: those wanted after the steps.
    """
    found: Mapping[str, str] = optional.load("gpupipe.sources.on_device").decodable(recipe, columns)
    return {**found, **_joined(steps, wanted)}


def _joined(steps: Sequence[Step], wanted: Iterable[str]) -> dict[str, str]:
    added = {name for step in steps for name in step.adds}
    return {name: _JOINED for name in sorted(wanted) if name in added}
