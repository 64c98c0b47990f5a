"""How much memory a fit may take: what the user says, else a share of what is free."""

import contextlib
import operator
import os
import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path, PurePosixPath

from gpupipe.errors import ParameterError

#: Of the memory that is free, where nothing is said.
SHARE = 0.5

_UNITS = {"b": 1} | {
    f"{letter}{form}": base ** (power + 1)
    for power, letter in enumerate("kmgt")
    for form, base in (("b", 1000), ("ib", 1024))
}
_AMOUNT = re.compile(r"\s*(\d{1,30}(?:\.\d{1,30})?)\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)
_TRY = "Give a number of bytes, or text such as '4GiB' or '500MB'."


def memory_bytes(memory: int | str | None) -> int:
    """The bytes that `memory` stands for: a number of them, text such as ``"4GiB"`` or ``"1.5 GB"``, or None.

    None is half of the memory that is free: the machine's, or what its control group (a container, a batch job) has
    left where that is less. KiB, MiB, GiB and TiB count by 1024, kB, MB, GB and TB by 1000; capitals do not matter.

    Raises:
        ParameterError: it is no amount, or below 0.

    >>> memory_bytes("4GiB"), memory_bytes("1.5 GB"), memory_bytes(0)
    (4294967296, 1500000000, 0)
    """
    if memory is None:
        return int(SHARE * memory_free())
    if isinstance(memory, str):
        return _parsed(memory)
    try:
        amount = -1 if isinstance(memory, bool) else operator.index(memory)
    except TypeError:
        amount = -1
    if amount < 0:
        raise ParameterError(f"memory={memory!r} is no amount of memory. {_TRY}")
    return amount


def _parsed(text: str) -> int:
    found = _AMOUNT.fullmatch(text)
    unit = None if found is None else _UNITS.get(found[2].lower())
    if found is None or unit is None:
        meant = "" if found is None or f"{found[2].lower()}ib" not in _UNITS else f"{found[1]}{found[2].upper()}iB"
        hint = f"Write '{meant}' (by 1024) or '{meant.replace('i', '')}' (by 1000)." if meant else _TRY
        raise ParameterError(f"memory={text!r} is no amount of memory. {hint}")
    return int(Fraction(found[1]) * unit)


def memory_free(root: Path = Path("/")) -> int:
    """The bytes of memory that this process may still take: the machine's that are available, or what is left to its
    control group where that is less.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    told = re.search(r"^MemAvailable:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    available = int(told[1]) * 1024 if told else _machine()
    return min([available, *(max(limit - used, 0) for limit, used in control_groups(root))])


def _machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def control_groups(root: Path = Path("/")) -> Iterator[tuple[int, int]]:
    """The limits on memory of this process's control group and those above it, of both versions, and what each uses
    (pages of files that can be dropped apart), in bytes.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, names, path = (*line.split(":", 2), "", "")[:3]
        controllers = names.split(",")
        if "memory" in controllers:
            place, name, used = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        elif number == "0" and not names:
            place, name, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))  # inside a container perhaps the host's, which is not there
        for folder in dict.fromkeys((group, *group.parents)):
            limit = _text(place / folder / name).strip()
            if limit.isdecimal():
                yield int(limit), _used(place / folder, used)


def _used(folder: Path, name: str) -> int:
    """What a control group uses and could not give back at once."""
    used = _text(folder / name).strip()
    files = re.findall(r"^(?:total_)?inactive_file (\d+)$", _text(folder / "memory.stat"), re.MULTILINE)
    # The last: where there are both, that of the groups beneath too.
    return max((int(used) if used.isdecimal() else 0) - (int(files[-1]) if files else 0), 0)


class Room:
    """An amount of memory that several share; from any thread.

    Args:
        size: its bytes.

    Attributes:
        used: those taken and not given back.

    >>> room = Room(10)
    >>> room.take(6), room.take(6), room.used
    (True, False, 6)
    """

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self.used = 0

    def take(self, size: int) -> bool:
        """Take so many bytes, if there are so many left."""
        with self._lock:
            fits = self.used + size <= self._size
            self.used += size if fits else 0
        return fits

    def give_back(self, size: int) -> None:
        """So many of those taken are needed no more."""
        with self._lock:
            self.used -= size

    def close(self) -> None:
        """Nothing can be taken from now on."""
        with self._lock:
            self._size = 0


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
