"""A run that this process is at work on: what was finished of it before, and what is from now on."""

import secrets
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gpupipe.errors import RunCorruptError
from gpupipe.runtime.journal.packing import packed, unpacked
from gpupipe.runtime.journal.records import Place, Records
from gpupipe.runtime.journal.results import RESULTS, Results, reading, remove_results, writing
from gpupipe.storage import disk


class Run:
    """A run that this process is at work on; :func:`begun` gives it. Close it.

    Attributes:
        folder: where it is kept.
        resumed: how many results of partitions were read back.
        token: what this process's work on it is known by.
        results: where this process, and those at work for it, keep what comes of partitions.
    """

    def __init__(self, folder: Path, journal: Records) -> None:
        self.folder, self.resumed = folder, 0
        self._journal = journal
        self.token = secrets.token_hex(8)
        self.results = Results(folder, self.token)
        self._kept: dict[str, dict[int, tuple[Records, Place]]] = {}
        self._once: dict[str, Place] = {}
        self._read: list[Records] = []
        self._lock = threading.Lock()

    # -- partitions ---------------------------------------------------------------------------------------
    def done(self, stage: str) -> Collection[int]:
        """The numbers of the partitions that earlier processes finished in a stage."""
        return self._kept.get(stage, {}).keys()

    def read(self, stage: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was kept of one of them, and the arrays that it names; from any thread.

        Raises:
            RunCorruptError: it is not what was written.
        """
        records, place = self._kept[stage][number]
        with self._lock:
            self.resumed += 1
        with reading(self.folder):
            return unpacked(records.read(place))

    # -- what is made once --------------------------------------------------------------------------------
    def recall(self, name: str) -> tuple[Any, dict[str, Any]] | None:
        """What an earlier process has remembered by that name; None: nothing."""
        if name not in self._once:
            return None
        with reading(self.folder):
            document, arrays = unpacked(self._journal.read(self._once[name]))
        return document["result"], arrays

    def remember(self, name: str, document: Any, arrays: Mapping[str, Any] | None = None) -> None:
        """Remember something that was made once, such as what an iteration came to."""
        self.note({"once": name, "result": document}, arrays)

    def note(self, document: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> None:
        """Add a record to the journal, and force it to the disk, and before it the results so far."""
        self.results.sync()
        parts = packed(document, arrays)
        with writing(self.folder, sum(map(len, parts))):
            self._journal.append(parts)
            self._journal.sync()

    # -- beginning and end --------------------------------------------------------------------------------
    def finish(self, **document: Any) -> None:
        """Mark the run as finished, and remove what was kept of partitions."""
        self._close_results()  # not forced to the disk first: they go
        self.note({"finished": document})
        with writing(self.folder):
            remove_results(self.folder)

    def close(self) -> None:
        """Leave it to whoever goes on with it."""
        self._close_results()
        self._journal.close()

    def _close_results(self) -> None:
        self.results.close()
        for records in self._read:
            records.close()
        self._read, self._kept = [], {}

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self) -> dict[str, Any] | None:
        """What stands in the journal: what the run is of, by what tokens those who were at it are known, what was made
        once, whether it is finished; None: nothing.

        Raises:
            RunCorruptError: it was altered.
        """
        known: dict[str, Any] = {"once": {}, "tokens": set()}
        for place, data in self._journal.whole():
            document, _ = unpacked(data)
            if "once" in document:
                known["once"][document["once"]] = place
            elif "at work" in document:
                known["tokens"].add(document["at work"]["token"])
            else:
                known |= {name: value for name, value in document.items() if name in ("identity", "finished")}
        return known if "identity" in known else None

    def take_stock(self, once: Mapping[str, Place], tokens: Collection[str]) -> None:
        """Go on with what earlier processes left.

        Args:
            tokens: by which these are known. What others left, such as a worker of a run that was begun anew, is none.

        Raises:
            RunCorruptError: a file of results was altered.
        """
        self._journal.cut()
        self._once = dict(once)
        for name in sorted(disk.listdir(self.folder)):
            if name.startswith(RESULTS) and name.removeprefix(RESULTS).partition("-")[0] in tokens:
                self._list(Records.at(self.folder / name))

    def _list(self, records: Records) -> None:
        self._read.append(records)
        for place, data in records.whole():
            document, _ = unpacked(data)
            stage, number = document.get("stage"), document.get("number")
            if not isinstance(stage, str) or type(number) is not int or type(document.get("rows")) is not int:
                raise RunCorruptError(f"{records.path} was altered: the record at its byte {place.start:,} is of no "
                                      "partition.")
            self._kept.setdefault(stage, {})[number] = records, place

    def begin_anew(self, identity: Mapping[str, Any]) -> None:
        """Remove what stands in the folder, and begin a run of this."""
        self._close_results()
        self._journal.clear()  # first: then nothing of what is left counts, whatever ends this process
        remove_results(self.folder)
        self.note({"identity": identity})
