"""Publishing a folder of files in one step, so that a reader sees all of it or nothing of it.

The files are written into a temporary folder beside the target (`gpupipe.storage.temporary`) and forced to the disk,
and the folder is renamed. Where forcing fails, nothing is published: the data may be lost already, whatever a second
try says.

Replacing (`overwrite`): the two folders change places in one step, and the old one is removed. On a file
system that cannot exchange (NFS), the old one is first renamed aside, then the new one takes its place.
Between the two renames nothing stands at the target; whoever comes then, reader or writer, puts the old one
back, and the writer starts again. So there, too, the old or the new one is found, always whole.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from gpupipe.artifact.folder import FLAT_FOLDER, MANIFEST, fill, flat_names, remove
from gpupipe.errors import ArtifactExistsError, ParameterError
from gpupipe.storage import (
    beside,
    disk,
    exchange,
    failing,
    made_folders,
    rename_absent,
    stands,
    sweep,
    sync_folder,
    temporary,
)

_ATTEMPTS, _LOOKS = 100, 20


def publish(target: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Make `files`, which has a manifest, stand at `target` as a folder; missing parents are made.

    Raises:
        ArtifactExistsError: something stands there; with `overwrite`, something that is not an artifact.
        ParameterError: `target` has no name of its own ("/"), or NUL in it.
        StorageError: the disk is full, failing, or may not be written to; nothing is left behind, and what stood
            there stands. The one exception says so: the artifact stands, but perhaps not after a power failure.
    """
    target = Path(os.path.abspath(target))
    if not target.name or "\0" in str(target):
        raise ParameterError(
            f"An artifact cannot be saved as {str(target)!r}. Give the path of a new folder, without NUL."
        )
    needed = sum(map(len, files.values()))
    with failing(f"The artifact {target} was not saved", target, needed), made_folders(target.parent):
        recover(target.parent)
        # said before the work of writing; that it still holds is checked by the rename
        _check_replaceable(target, overwrite)
        with temporary(target, FLAT_FOLDER) as (folder, manifest):
            fill(folder, files, manifest)
            _place(folder, target, overwrite)
            with failing(f"The artifact {target} is saved, whole, but may be lost if the power fails", target):
                sync_folder(target.parent)  # before the old one is removed


def recover(parent: Path) -> None:
    """Remove what dead writers of artifacts left in `parent`, and put back what they had moved aside."""
    sweep(parent, FLAT_FOLDER)


def _place(folder: Path, target: Path, overwrite: bool) -> None:
    for _ in range(_ATTEMPTS):
        if rename_absent(folder, target):
            return
        with contextlib.suppress(FileNotFoundError):  # it went away meanwhile: try again
            _check_replaceable(target, overwrite)
            if exchange(folder, target) or _replace_by_moving_aside(folder, target):
                return
    raise ArtifactExistsError(f"{target} was changed by others {_ATTEMPTS} times meanwhile. Try again.")


def _replace_by_moving_aside(folder: Path, target: Path) -> bool:
    aside = beside(target, "aside")
    disk.rename(target, aside)
    try:
        placed = rename_absent(folder, target)
    except BaseException:
        with contextlib.suppress(OSError):  # else the next reader or writer puts it back
            rename_absent(aside, target)
        raise
    with contextlib.suppress(OSError):  # put back by someone else; or it stays, to be swept
        old = folder if placed else beside(target)
        disk.rename(aside, old)
        remove(old)
    return placed


def _check_replaceable(target: Path, overwrite: bool) -> None:
    for _ in range(_LOOKS):
        if not stands(target):
            return
        if not overwrite:
            raise ArtifactExistsError(
                f"Something stands at {target}. Choose another path, or pass overwrite=True."
            )
        if _is_artifact(target):
            return
        time.sleep(0.001)  # another writer may be replacing it just now
    raise ArtifactExistsError(
        f"What stands at {target} is not an artifact, so it is not replaced. Remove it, or choose another path."
    )


def _is_artifact(target: Path) -> bool:
    """Whether it is a folder that an artifact may be, or an empty one."""
    names = flat_names(target)
    return names is not None and (MANIFEST in names or not names)
