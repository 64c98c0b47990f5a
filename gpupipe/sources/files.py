"""From what a user writes (a path, a glob, a folder, a list of those) to files in row order, and a format."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence

from gpupipe.errors import FileFormatError, ParameterError, SourceNotFoundError

PARQUET, CSV, IPC = "Parquet", "CSV", "Arrow IPC"
_ENDINGS = {
    ".parquet": PARQUET, ".pq": PARQUET, ".parq": PARQUET,
    ".csv": CSV, ".csv.gz": CSV, ".csv.zip": CSV,
    ".arrow": IPC, ".feather": IPC, ".ipc": IPC,
}  # fmt: skip
_MAGIC = {b"PAR1": PARQUET, b"ARRO": IPC}


def find_files(paths: object) -> list[str]:
    """The files that a path, glob or folder, or a list of those, stands for, in row order.

    A list keeps its order; what a glob matches or a folder holds (at any depth) is sorted by the bytes of the
    path. In a folder only files with a known ending count, and names that begin with ``.`` or ``_`` do not.

    Raises:
        SourceNotFoundError: nothing there.
        ParameterError: an empty list.
    """
    if isinstance(paths, str | os.PathLike):
        return list(_expand(os.fspath(paths)))
    if not isinstance(paths, Iterable):
        raise ParameterError(f"A list of paths is asked for, not {paths!r}.")
    listed = [file for path in paths for file in _expand(os.fspath(path))]
    if not listed:
        raise ParameterError("The list of paths is empty. Name at least one file.")
    return listed


def _expand(path: str) -> Iterator[str]:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        found = _in_folder(path)
        what = f"The folder {path} holds no file ending in {', '.join(_ENDINGS)}."
    elif os.path.exists(path):
        found, what = [path], ""
    elif glob.has_magic(path):
        found = [file for file in glob.glob(path, recursive=True) if os.path.isfile(file)]
        what = f"No file matches {path}. The folder looked at is {os.path.abspath(_fixed_part(path))}."
    else:
        found, what = [], f"There is no file {path}.{_beside(path)}"
    if not found:
        raise SourceNotFoundError(what)
    yield from sorted(found, key=os.fsencode)


def _in_folder(folder: str) -> list[str]:
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        found += [
            os.path.join(here, name)
            for name in files
            if not name.startswith((".", "_")) and name.lower().endswith(tuple(_ENDINGS))
        ]
    return found


def _fixed_part(pattern: str) -> str:
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."


def _beside(path: str) -> str:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        return f" Nor is there a folder {folder}."
    names = sorted(os.listdir(folder))[:8]
    return f" The folder {os.path.abspath(folder)} holds: {', '.join(names) or 'nothing'}."


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
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be opened: {error.strerror}.") from error
    if magic not in _MAGIC:
        raise FileFormatError(
            f"{path} has no ending that tells its format, and its first bytes are not Parquet's or Arrow's. "
            f"Rename it to end in one of {', '.join(_ENDINGS)}."
        )
    return _MAGIC[magic]
