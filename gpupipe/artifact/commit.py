"""Publishing a folder of files in one step, so that a reader sees all of it or nothing of it.

The files are written into a temporary folder beside the target and forced to the disk, and the folder is
renamed. A temporary folder is alive while its writer holds the lock (flock) of its manifest, which is the
first file made and the last one removed; the kernel drops the lock of a process that dies. `recover`, called
by every write and every read in the same parent folder, removes what is not alive, and puts back what a dead
writer had moved aside.

Replacing (`overwrite`): the two folders change places in one step, and the old one is removed. On a file
system that cannot exchange (NFS), the old one is first renamed aside, then the new one takes its place.
Between the two renames nothing stands at the target; whoever comes then, reader or writer, puts the old one
back, and the writer starts again. So there, too, the old or the new one is found, always whole.
"""

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from gpupipe.artifact.folder import MANIFEST, fill, is_flat, remove, sync
from gpupipe.artifact.rename import exchange, rename_absent
from gpupipe.errors import ArtifactExistsError, ParameterError

_LEFTOVER = re.compile(r"\.(?P<target>.+)\.gpupipe-(?P<role>temp|aside)-[0-9a-f]{16}", re.DOTALL)
_ATTEMPTS, _LOOKS = 100, 5


def publish(target: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Make `files`, which has a manifest, stand at `target` as a folder; missing parents are made.

    Raises:
        ArtifactExistsError: something stands there; with `overwrite`, something that is not an artifact.
        ParameterError: `target` has no name of its own ("/").
        OSError: the disk is full or may not be written to; nothing is left behind.
    """
    target = Path(os.path.abspath(target))
    if not target.name:
        raise ParameterError(
            f"An artifact cannot be saved as {str(target)!r}. Give the path of a new folder."
        )
    _make_parents(target.parent)
    recover(target.parent)
    # said before the work of writing; that it still holds is checked by the rename
    if os.path.lexists(target):
        _check_replaceable(target, overwrite)
    with _temporary(target) as (temporary, manifest):
        fill(temporary, files, manifest)
        _place(temporary, target, overwrite)
        sync(target.parent)


def recover(parent: Path) -> None:
    """Remove what dead writers left in `parent`, and put back what they had moved aside. Never raises
    OSError: where it may not write, there is nothing of ours to remove.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            if found := _LEFTOVER.fullmatch(name):
                with contextlib.suppress(OSError):
                    _recover_one(parent / name, parent / found["target"], found["role"])


def _recover_one(path: Path, target: Path, role: str) -> None:
    if os.lstat(path).st_uid != os.geteuid() or not is_flat(path):
        return
    if role == "temp":
        _remove_abandoned(path)
    elif not rename_absent(path, target):
        # a later version stands: half removed, this one must not return
        path = path.rename(_beside(target, "temp"))
        _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    try:
        manifest = os.open(path / MANIFEST, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        os.rmdir(path)  # its writer had not begun, or is about to and will take another name
        return
    try:
        fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    finally:
        os.close(manifest)


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, int]]:
    """A new folder beside `target` and its locked manifest; what stands there at the end is removed."""
    path, manifest = _claim(target)
    try:
        yield path, manifest
    finally:
        remove(path)
        os.close(manifest)


def _claim(target: Path) -> tuple[Path, int]:
    for _ in range(_ATTEMPTS):
        path = _beside(target, "temp")
        os.mkdir(path, 0o700)
        with contextlib.suppress(FileNotFoundError):  # swept before the lock was held: take another name
            manifest = os.open(path / MANIFEST, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if _lock(path, manifest):
                return path, manifest
            os.close(manifest)
    raise ArtifactExistsError(
        f"No temporary folder beside {target} could be kept: others sweep it away. Try again."
    )


def _lock(path: Path, manifest: int) -> bool:
    try:
        fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody can sweep there either
        return True
    try:
        return os.path.samestat(os.stat(path / MANIFEST), os.fstat(manifest))
    except FileNotFoundError:
        return False


def _beside(target: Path, role: str) -> Path:
    return target.with_name(f".{target.name}.gpupipe-{role}-{secrets.token_hex(8)}")


def _place(temporary: Path, target: Path, overwrite: bool) -> None:
    for _ in range(_ATTEMPTS):
        if rename_absent(temporary, target):
            return
        with contextlib.suppress(FileNotFoundError):  # it went away meanwhile: try again
            _check_replaceable(target, overwrite)
            if exchange(temporary, target) or _replace_by_moving_aside(temporary, target):
                return
    raise ArtifactExistsError(f"{target} was changed by others {_ATTEMPTS} times meanwhile. Try again.")


def _replace_by_moving_aside(temporary: Path, target: Path) -> bool:
    aside = _beside(target, "aside")
    os.rename(target, aside)
    placed = rename_absent(temporary, target)
    with contextlib.suppress(FileNotFoundError):  # put back by someone else
        old = aside.rename(temporary if placed else _beside(target, "temp"))
        remove(old)
    return placed


def _check_replaceable(target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ArtifactExistsError(
            f"Something stands at {target}. Choose another path, or pass overwrite=True."
        )
    for _ in range(_LOOKS):
        if not target.is_symlink() and is_flat(target) and _has_manifest(target):
            return
        time.sleep(0.001)  # it may be standing aside just now, for another writer
    raise ArtifactExistsError(
        f"What stands at {target} is not an artifact, so it is not replaced. Remove it, or choose another path."
    )


def _has_manifest(target: Path) -> bool:
    return (target / MANIFEST).exists() or not os.listdir(target)


def _make_parents(parent: Path) -> None:
    if parent.is_dir():
        return
    _make_parents(parent.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(parent)
        sync(parent.parent)
