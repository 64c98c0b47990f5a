"""Blocks of CSV text that a device may split: which columns, and what must not stand in the text."""

from collections.abc import Sequence

from gpupipe.backends.gpu.columns import DeviceColumn
from gpupipe.backends.gpu.decode_csv import Records, decoded, refusal
from gpupipe.backends.gpu.refused import NotOnDevice
from gpupipe.kernels.gpu.device import Device
from gpupipe.sources.border import normalise_type
from gpupipe.sources.csv import CsvPartition
from gpupipe.sources.csv_parse import NULLS
from gpupipe.sources.csv_records import is_plain
from gpupipe.sources.csv_text import BOM, is_compressed, read_block
from gpupipe.sources.inference import FALSE, TRUE


def refused(partition: CsvPartition, columns: Sequence[str]) -> dict[str, str]:
    """Why columns are read on the host whatever the text, by name."""
    dtypes = {name: normalise_type(partition.types[name]) for name in columns}
    found = {name: refusal(dtype, name in partition.given) for name, dtype in dtypes.items()}
    return {name: why for name, why in found.items() if why is not None}


def split(partition: CsvPartition, columns: Sequence[str], device: Device) -> tuple[dict[str, DeviceColumn], int]:
    """The columns in the device's memory, and the bytes that reading them read.

    Raises:
        NotOnDevice: the host reads them.
        FileFormatError, SourceNotFoundError: the file is not as it was when it was scanned.
    """
    path = partition.file.path
    with partition.file.unchanged():
        octets = read_block(path, partition.block)
    why = irregular(octets)
    if why is not None:
        raise NotOnDevice(why)
    ended = octets if octets.endswith(b"\n") else octets + b"\n"  # else cuDF leaves an empty last field as it was
    types = {name: normalise_type(partition.types[name]) for name in columns}
    records = Records(path, ended, partition.header, partition.n_rows, types, NULLS, (TRUE, FALSE))
    return decoded(device, records), partition.file.size if is_compressed(path) else len(octets)


def irregular(octets: bytes) -> str | None:
    """What keeps cuDF from splitting a text, which begins with a record, as the host does; None where nothing does.

    >>> irregular(b'1,"a, b"'), irregular(b'1,5" pipe')
    (None, 'quotes stand amid its fields')
    """
    if octets.startswith(BOM):
        return "it begins with what cuDF takes for a mark of UTF-8"
    if b"\0" in octets:
        return "it holds NUL bytes"
    if octets.count(b"\r") != octets.count(b"\r\n"):
        return "a carriage return alone ends no line for cuDF"
    if b'\n""' in octets:
        return "cuDF loses count of quotes that stand twice where a line begins"
    return None if is_plain(octets) else "quotes stand amid its fields"
