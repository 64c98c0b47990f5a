"""Damage at random to the files of an artifact, digests left as they were."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

Data = bytearray


def _position(data: Data, rng: Random) -> int:
    return rng.randrange(max(1, len(data)))


def _flip_bit(data: Data, rng: Random) -> None:
    data[_position(data, rng)] ^= 1 << rng.randrange(8)


def _change_byte(data: Data, rng: Random) -> None:
    data[_position(data, rng)] = rng.randrange(256)


def _change_bytes(data: Data, rng: Random) -> None:
    for _ in range(rng.choice([2, 5, 40])):
        _change_byte(data, rng)


def _cut(data: Data, rng: Random) -> None:
    del data[_position(data, rng) :]


def _extend(data: Data, rng: Random) -> None:
    data += rng.choice([b"\0", b" ", b"\n", bytes(4096), rng.randbytes(rng.choice([1, 7, 999])), bytes(data)])


def _insert(data: Data, rng: Random) -> None:
    at = _position(data, rng)
    data[at:at] = rng.choice([b"\0", b" ", rng.randbytes(9), b'"x":1,', bytes(data[:at])[-20:]])


def _delete(data: Data, rng: Random) -> None:
    at = _position(data, rng)
    del data[at : at + rng.choice([1, 2, 8, 64])]


def _swap_blocks(data: Data, rng: Random) -> None:
    size = rng.choice([1, 4, 8, 64])
    one, other = _position(data, rng), _position(data, rng)
    if one + size <= other and other + size <= len(data):
        data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _zero(data: Data, rng: Random) -> None:
    at = _position(data, rng)
    size = min(rng.choice([1, 8, 512]), len(data) - at)
    data[at : at + size] = bytes(size)


def _edit_number(data: Data, rng: Random) -> None:
    """Another digit for one: in JSON, a change that still parses."""
    digits = [at for at, byte in enumerate(data) if byte in b"0123456789"]
    if digits:
        data[rng.choice(digits)] = rng.choice(b"0123456789")


BYTES: dict[str, Callable[[Data, Random], None]] = {
    "a bit flipped": _flip_bit,
    "a byte changed": _change_byte,
    "bytes changed": _change_bytes,
    "cut short": _cut,
    "extended": _extend,
    "bytes inserted": _insert,
    "bytes deleted": _delete,
    "blocks swapped": _swap_blocks,
    "a range zeroed": _zero,
    "a digit changed": _edit_number,
}


def _of_bytes(change: Callable[[Data, Random], None]) -> Callable[[Path, Random, Path], None]:
    def damage(folder: Path, rng: Random, other: Path) -> None:
        path = folder / rng.choice(sorted(os.listdir(folder)))
        data = bytearray(path.read_bytes())
        change(data, rng)
        path.write_bytes(data)

    return damage


def _exchange(folder: Path, rng: Random, other: Path) -> None:
    one, two = rng.sample(sorted(os.listdir(folder)), 2)
    os.rename(folder / one, folder / "aside")
    os.rename(folder / two, folder / one)
    os.rename(folder / "aside", folder / two)


_NAMES = ("extra.arrow", "STATE.safetensors", "state.safetensor", "manifest.json.bak", ".manifest.json", "model.pkl",
          "model.ubj ", "probe.arrow\n", "..state.safetensors", "ünï.arrow", "a" * 80 + ".arrow", "manifest.JSON",
          "probe2.arrow", "model.0.ubj", "__init__.py")  # fmt: skip


def _rename(folder: Path, rng: Random, other: Path) -> None:
    name = rng.choice(sorted(os.listdir(folder)))
    os.rename(folder / name, folder / rng.choice(_NAMES))


def _remove(folder: Path, rng: Random, other: Path) -> None:
    (folder / rng.choice(sorted(os.listdir(folder)))).unlink()


def _add(folder: Path, rng: Random, other: Path) -> None:
    data = (folder / rng.choice(sorted(os.listdir(folder)))).read_bytes()
    (folder / rng.choice(_NAMES)).write_bytes(rng.choice([b"", data, rng.randbytes(50)]))


def _from_another(folder: Path, rng: Random, other: Path) -> None:
    """A file of another artifact in place of the one of its name, or beside."""
    name = rng.choice(sorted(os.listdir(other)))
    shutil.copyfile(other / name, folder / name)


def _over_another(folder: Path, rng: Random, other: Path) -> None:
    one, two = rng.sample(sorted(os.listdir(folder)), 2)
    shutil.copyfile(folder / one, folder / two)


def _replace(folder: Path, rng: Random, other: Path) -> None:
    """Something that is no file, or a link to the very bytes, in place of a file."""
    name = rng.choice(sorted(os.listdir(folder)))
    path, beside = folder / name, folder.parent / "bytes"
    os.rename(path, beside)
    ways: list[Callable[[Path], object]] = [
        Path.mkdir, os.mkfifo, lambda p: p.symlink_to(beside), lambda p: p.symlink_to("nowhere")
    ]  # fmt: skip
    rng.choice(ways)(path)


DAMAGE: dict[str, Callable[[Path, Random, Path], None]] = {
    **{name: _of_bytes(change) for name, change in BYTES.items()},
    "two files exchanged": _exchange,
    "a file renamed": _rename,
    "a file removed": _remove,
    "a file added": _add,
    "a file of another artifact": _from_another,
    "a file over another": _over_another,
    "no file in a file's place": _replace,
}


def look(folder: Path) -> dict[str, object]:
    """What stands in the folder: the bytes of regular files, the kind of everything else."""
    return {
        entry.name: Path(entry.path).read_bytes() if entry.is_file(follow_symlinks=False) else entry.stat(
            follow_symlinks=False).st_mode
        for entry in os.scandir(folder)
    }  # fmt: skip


def damage(whole: Path, folder: Path, rng: Random, other: Path) -> str:
    """Make `folder` a copy of the artifact `whole` with one change; gives its kind. `other` is another artifact."""
    kind = rng.choice(sorted(DAMAGE))
    before = look(whole)
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / "bytes").unlink(missing_ok=True)
        shutil.copytree(whole, folder)
        DAMAGE[kind](folder, rng, other)
        if look(folder) != before:
            return kind
