"""From what a user writes (a path, a glob, a folder, a list of those) to files in row order, and a format."""

import difflib
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from gpupipe.errors import FileFormatError, ParameterError, SourceNotFoundError
from gpupipe.sources.listed import listed, opening

PARQUET, CSV, IPC = "Parquet", "CSV", "Arrow IPC"
_ENDINGS = {
    ".parquet": PARQUET, ".pq": PARQUET, ".parq": PARQUET,
    ".csv": CSV, ".csv.gz": CSV, ".csv.zip": CSV,
    ".arrow": IPC, ".feather": IPC, ".ipc": IPC,
}  # fmt: skip
# What other files are, by ending: what reads them, for scan to take the table.
_READERS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "polars.read_excel"),
    **dict.fromkeys((".jsonl", ".ndjson"), "polars.read_ndjson"),
    ".json": "polars.read_json",
    ".avro": "polars.read_avro",
    ".orc": "pyarrow.orc.read_table",
    **dict.fromkeys((".tsv", ".txt"), "polars.read_csv(…, separator='\\t')"),
    **dict.fromkeys((".sas7bdat", ".xpt"), "pandas.read_sas"),
    ".dta": "pandas.read_stata",
    ".sav": "pandas.read_spss",
    **dict.fromkeys((".h5", ".hdf5"), "pandas.read_hdf"),
}
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_MAGIC = {b"PAR1": PARQUET, b"ARRO": IPC}


def find_files(paths: object) -> list[str]:
    """The files that a path, glob or folder, or a list of those, stands for, in row order.

    A list keeps its order; what a glob matches or a folder holds (at any depth) is sorted by the bytes of the
    path. In a folder, and in one named as a file is (``x.parquet``) that a glob matches, only files with a known
    ending count, and names that begin with ``.`` or ``_`` do not.

    Raises:
        SourceNotFoundError: nothing there.
        SourceAccessError: a folder that may not be listed: no file in it is passed over.
        ParameterError: an empty list.
    """
    if isinstance(paths, str | os.PathLike):
        return list(_expand(os.fspath(paths)))
    if not isinstance(paths, Iterable):
        raise ParameterError(f"A list of paths is asked for, not {paths!r}.")
    found = [file for path in paths for file in _expand(os.fspath(path))]
    if not found:
        raise ParameterError("The list of paths is empty. Name at least one file.")
    return found


def _expand(path: str) -> Iterator[str]:
    if _REMOTE.match(path) and not os.path.exists(path):
        raise SourceNotFoundError(
            f"{path} is a URL: object stores and the web are not read. Download it, or mount the store, and give the "
            "path on this machine."
        )
    path = os.path.expanduser(path)
    kind = _kind_of(path)
    if kind == "folder":
        found = _in_folder(path)
        what = f"The folder {path} holds no file ending in {', '.join(_ENDINGS)}.{_beside(path)}"
    elif kind == "file":
        found, what = [path], ""
    elif glob.has_magic(path):
        found, what = _matched(path)
    else:
        what = f"There is no file {path}.{_close_to(path)}{_beside(os.path.dirname(path) or '.')}"
        found = []
    if not found:
        raise SourceNotFoundError(what)
    yield from sorted(set(found), key=os.fsencode)


def _kind_of(path: str) -> str | None:
    """What stands at a path: a "folder", a "file" or None. That it may not be looked at is no None."""
    try:
        found = os.stat(path)
    except PermissionError as error:
        _refuse_folder(error)
    except (OSError, ValueError):  # nothing there, or a name that is too long or holds a NUL
        return None
    return "folder" if stat.S_ISDIR(found.st_mode) else "file"


def _matched(pattern: str) -> tuple[list[str], str]:
    """The files that a glob matches (in a folder named as a file is, those inside), and what to say of none."""
    _refuse_unlisted(pattern)
    matches = glob.glob(pattern, recursive=True)
    folders = [match for match in matches if os.path.isdir(match)]
    found = [match for match in matches if not os.path.isdir(match)]
    found += [file for folder in folders if _is_known(folder) for file in _in_folder(folder)]
    fixed = _fixed_part(pattern)
    what = f"No file matches {pattern}. The folder looked at is {os.path.abspath(fixed)}."
    if not os.path.isdir(fixed):
        what = f"No file matches {pattern}: there is no folder {fixed}.{_close_to(fixed)}"
    if folders:
        what += f" It matches the folder {folders[0]}; for the files in it, add /*."
    return found, what


def _refuse_unlisted(pattern: str) -> None:
    """A folder on the way that may not be listed is an error: glob would pass over it, and rows be left out."""
    folder = pattern if "**" in pattern else os.path.dirname(pattern)
    while folder:
        for match in glob.glob(folder, recursive=True) if glob.has_magic(folder) else [folder]:
            if os.path.isdir(match):
                with opening(match):
                    os.scandir(match).close()
        folder = os.path.dirname(folder) if glob.has_magic(folder) else ""


def _refuse_folder(error: OSError) -> NoReturn:
    with opening(str(error.filename)):
        raise error
    raise error


def _in_folder(folder: str) -> list[str]:
    """The files at any depth, through links too, each folder once."""
    found, seen = [], set()
    for here, folders, files in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        if (real := os.path.realpath(here)) in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        found += [os.path.join(here, name) for name in files if not name.startswith((".", "_")) and _is_known(name)]
    return found


def _is_known(name: str) -> bool:
    return name.lower().endswith(tuple(_ENDINGS))


def _fixed_part(pattern: str) -> str:
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."


def _close_to(path: str) -> str:
    """What stands beside a path that does not exist, under nearly its name."""
    folder, name = os.path.split(path.rstrip(os.sep))
    if not os.path.isdir(folder or "."):
        return ""
    with opening(folder or "."):
        close = difflib.get_close_matches(name, sorted(os.listdir(folder or ".")), n=1)
    return f" Did you mean {os.path.join(folder, close[0])}?" if close else ""


def _beside(folder: str) -> str:
    if not os.path.isdir(folder):
        return f" Nor is there a folder {folder}."
    with opening(folder):
        names = sorted(os.listdir(folder))
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f" The folder {os.path.abspath(folder)} holds: {shown or 'nothing'}."


def format_of(paths: Sequence[str]) -> str:
    """The one format of all files, by ending, else by their first bytes.

    Raises:
        FileFormatError: a format that is not known, or two in one source.
    """
    formats = {path: _format(path) for path in paths}
    first = formats[paths[0]]
    for path, found in formats.items():
        if found != first:
            raise FileFormatError(
                f"{paths[0]} is {first} and {path} is {found}. One source has one format; scan them apart."
            )
    return first


def _format(path: str) -> str:
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if path.lower().endswith(ending):
            return _ENDINGS[ending]
    listed(path)
    with opening(path), open(path, "rb") as file:
        magic = file.read(4)
    if magic not in _MAGIC:
        raise FileFormatError(_unknown(path)).of(path)
    return _MAGIC[magic]


def _unknown(path: str) -> str:
    ending = next((ending for ending in _READERS if path.lower().endswith(ending)), None)
    read = f"Parquet, CSV and Arrow IPC are read, by the endings {', '.join(_ENDINGS)}."
    if ending is None:
        told = "it has no ending that tells its format, and its first bytes are not Parquet's or Arrow's. "
        return f"{told}{read} Rename it if it is one of these; else read it with Polars or pandas and scan the table."
    reader = _READERS[ending]
    call = reader.replace("…", "path") if "(" in reader else f"{reader}(path)"
    return f"{ending} is no format that scan reads. {read} Of this one give the table: gp.scan({call})."
