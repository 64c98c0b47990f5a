"""Saving where it cannot be, and artifacts that are not as they were written."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest
from artifact.crafted import forge
from sklearn.linear_model import LogisticRegression

import gpupipe as gp
from gpupipe import cli, col
from gpupipe.errors import (
    ArtifactCorruptError,
    ArtifactExistsError,
    ArtifactNotFoundError,
    ArtifactVersionError,
    NotFittedError,
    StorageError,
    UsageError,
)
from gpupipe.own_file import load_pipeline
from gpupipe.storage import disk

from .case import bad_input, check, runs

DATA = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]})


def fitted(device="cpu"):
    features = [col("x").standardize()]
    return gp.Pipeline(features, "y", LogisticRegression(), device=device).fit(DATA)


def saved(folder):
    """An artifact, to be spoilt."""
    fitted().save(folder / "model.gpp")
    return folder / "model.gpp"


# -- saving -------------------------------------------------------------------------------------------------------
@bad_input(
    "output exists",
    "`save` where an artifact stands",
    told="saving",
    error=ArtifactExistsError,
    message="Something stands at FOLDER/model.gpp. Choose another path, or pass overwrite=True.",
    backends=False,
)
def exists(device, folder):
    fitted().save(saved(folder))


@bad_input(
    "output exists",
    "`save(overwrite=True)` where something stands that is no artifact",
    told="saving",
    error=ArtifactExistsError,
    message="What stands at FOLDER/notes is not an artifact, so it is not replaced. Remove it, or choose another path.",
    backends=False,
)
def something_else(device, folder):
    (folder / "notes").mkdir()
    (folder / "notes" / "diary.txt").write_text("dear diary", encoding="utf-8")
    fitted().save(folder / "notes", overwrite=True)


@bad_input(
    "output exists",
    "`gpupipe fit --out` where something stands",
    told="command line",
    error=ArtifactExistsError,
    message="FOLDER/model.gpp is there already. Choose another --out, or add --overwrite.",
    backends=False,
)
def exists_on_the_command_line(device, folder):
    file = folder / "mine.py"
    file.write_text("import gpupipe as gp\npipeline = gp.Pipeline([gp.col('x')])\n", encoding="utf-8")
    arguments = cli.parser().parse_args(["fit", str(file), "--data", "no.parquet", "--out", str(saved(folder))])
    arguments.run(arguments)


@bad_input(
    "output is read-only",
    "`save` into a file system that is mounted read-only",
    told="saving",
    error=StorageError,
    message="The artifact FOLDER/model.gpp was not saved: Read-only file system. The file system is read-only: "
    "choose another place.",
    backends=False,
)
def read_only(device, folder):
    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(args[0]))

    pipeline = fitted()
    with mock.patch.object(type(disk), "mkdir", staticmethod(refuse)):  # root may write to any folder
        pipeline.save(folder / "model.gpp")


@bad_input(
    "output is read-only",
    "`save` to a path that leads through a file",
    told="saving",
    error=StorageError,
    message="The artifact FOLDER/models/model.gpp was not saved: Not a directory, at FOLDER/models. A part of the "
    "path is a file and no folder: correct the path.",
    backends=False,
)
def through_a_file(device, folder):
    (folder / "models").write_text("a file", encoding="utf-8")
    fitted().save(folder / "models" / "model.gpp")


SAVE_IN_LITTLE_SPACE = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from bad_input.test_artifacts import fitted
pipeline = fitted()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    pipeline.save({path!r})
except Exception as error:
    print(type(error).__name__, error, sep="\\n", end="")
"""


@bad_input(
    "disk full while saving",
    "no space for the files of the artifact",
    told="saving",
    error=StorageError,
    message="The artifact FOLDER/model.gpp was not saved: No space left on device. N bytes are to be written and N "
    "bytes are free. The disk is full: free some space, or choose a place on another disk.",
    backends=False,
)
def disk_full(device, folder):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pipeline = fitted()
    try:
        with mock.patch.object(type(disk), "write", staticmethod(refuse)):
            pipeline.save(folder / "model.gpp")
    finally:
        assert list(folder.iterdir()) == [], "something half-written is left"


@bad_input(
    "a pipeline that cannot be saved",
    "`save` before `fit`",
    told="saving",
    error=NotFittedError,
    message="This pipeline is not fitted yet. Call fit(data), or gpupipe.load(path) a saved one.",
    backends=False,
)
def not_fitted(device, folder):
    gp.Pipeline([col("x")]).save(folder / "model.gpp")


# -- loading ------------------------------------------------------------------------------------------------------
@bad_input(
    "an artifact that is not there",
    "`gp.load` of a path where nothing stands",
    told="loading",
    error=ArtifactNotFoundError,
    message="Nothing stands at FOLDER/model.gpp. The folder FOLDER is empty.",
    backends=False,
)
def nothing_there(device, folder):
    gp.load(folder / "model.gpp")


@bad_input(
    "an artifact that is not there",
    "`gp.load` of a folder that is no artifact",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER is no whole artifact: There is no manifest.json: not an artifact, or one that lost this file. If "
    "it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def no_artifact(device, folder):
    gp.load(folder)


@bad_input(
    "artifact with a flipped bit",
    "one bit of the model's numbers is another",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: model.safetensors was altered: its bytes do not match the digest "
    "in the manifest.json. If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def flipped(device, folder):
    path = saved(folder)
    data = bytearray((path / "model.safetensors").read_bytes())
    data[-3] ^= 4
    (path / "model.safetensors").write_bytes(bytes(data))
    gp.load(path)


@bad_input(
    "artifact with a flipped bit",
    "one bit of the manifest is another",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: manifest.json was altered: its digest is not that of its "
    "contents. If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def flipped_manifest(device, folder):
    path = saved(folder)
    data = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_bytes(data.replace(b'"mean"', b'"meao"', 1))
    gp.load(path)


@bad_input(
    "artifact with a missing file",
    "the model's numbers are gone",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: model.safetensors is missing, though the manifest.json lists it. "
    "If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def missing_file(device, folder):
    path = saved(folder)
    (path / "model.safetensors").unlink()
    gp.load(path)


@bad_input(
    "artifact with a missing file",
    "the manifest is gone",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: There is no manifest.json: not an artifact, or one that lost "
    "this file. If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def missing_manifest(device, folder):
    path = saved(folder)
    (path / "manifest.json").unlink()
    gp.load(path)


@bad_input(
    "artifact with an extra file",
    "a file beside its own",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: notes.txt is there, though the manifest.json does not list it. "
    "If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def extra_file(device, folder):
    path = saved(folder)
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    gp.load(path)


@bad_input(
    "artifact with links in it",
    "a file that is a link to another",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: model.safetensors is not a regular file. Was it replaced by a "
    "link? If it was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def link(device, folder):
    path = saved(folder)
    (path / "model.safetensors").rename(folder / "elsewhere")
    (path / "model.safetensors").symlink_to(folder / "elsewhere")
    gp.load(path)


@bad_input(
    "artifact with odd names in it",
    "a file of the manifest that is outside the folder: `../diary.txt`, all digests right",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: manifest.json does not list its files as this format does. If it "
    "was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def outside(device, folder):
    path = saved(folder)
    forge(path, lambda manifest: manifest["files"].update({"../diary.txt": manifest["files"]["model.safetensors"]}))
    gp.load(path)


@bad_input(
    "artifact with odd names in it",
    "a folder inside",
    told="loading",
    error=ArtifactCorruptError,
    message="FOLDER/model.gpp is no whole artifact: more is there, though the manifest.json does not list it. If it "
    "was one, it is damaged: restore a copy, or save it again.",
    backends=False,
)
def folder_inside(device, folder):
    path = saved(folder)
    (path / "more").mkdir()
    gp.load(path)


@bad_input(
    "artifact of a newer version",
    "a format that a later gpupipe wrote",
    told="loading",
    error=ArtifactVersionError,
    message="The artifact is in format 99, written by gpupipe 0.1.0; this is gpupipe 0.1.0, which reads formats up "
    "to 1. Try: pip install --upgrade gpupipe",
    backends=False,
)
def newer(device, folder):
    path = saved(folder)
    forge(path, lambda manifest: manifest.update(version=99))
    gp.load(path)


# -- the command line ---------------------------------------------------------------------------------------------
@bad_input(
    "a file of one's own that has no pipeline",
    "`gpupipe fit FILE.py`, which assigns another name",
    told="command line",
    error=UsageError,
    message="FOLDER/mine.py has no Pipeline called 'pipeline'. Did you mean 'pipelin'?",
    backends=False,
)
def no_pipeline(device, folder):
    (folder / "mine.py").write_text("import gpupipe as gp\npipelin = gp.Pipeline([gp.col('x')])\n", encoding="utf-8")
    load_pipeline(str(folder / "mine.py"))


@bad_input(
    "a file of one's own that fails",
    "an expression of it that is wrong",
    told="command line",
    error=gp.errors.UserCodeError,
    message="FOLDER/mine.py, line 3, \"age = col('age').fillna(0)\": Expressions have no method 'fillna'. Here it is "
    "called 'fill_null'.",
    backends=False,
)
def wrong_expression(device, folder):
    (folder / "mine.py").write_text("from gpupipe import col\n\nage = col('age').fillna(0)\n", encoding="utf-8")
    load_pipeline(str(folder / "mine.py"))


@bad_input(
    "a file of one's own that fails",
    "Python of it that is wrong",
    told="command line",
    error=gp.errors.UserCodeError,
    message="FOLDER/mine.py failed:\n  File \"FOLDER/mine.py\", line 2, in <module>\n    rows['x']\nKeyError: 'x'",
    backends=False,
)
def wrong_python(device, folder):
    (folder / "mine.py").write_text("rows = {}\nrows['x']\n", encoding="utf-8")
    load_pipeline(str(folder / "mine.py"))


@bad_input(
    "unknown options",
    "`gpupipe fit --splitt 0.2`",
    told="command line",
    error=UsageError,
    message="There is no option '--splitt'. Did you mean --split? Try: gpupipe --help",
    backends=False,
)
def option(device, folder):
    cli.parser().parse_args(["fit", "mine.py", "--data", "d", "--out", "o", "--splitt", "0.2"])


@bad_input(
    "unknown options",
    "`gpupipe evalute`",
    told="command line",
    error=UsageError,
    message="There is no command 'evalute'. Did you mean evaluate? Try: gpupipe --help",
    backends=False,
)
def command(device, folder):
    cli.parser().parse_args(["evalute", "model.gpp"])


def test_a_full_disk_leaves_nothing_and_the_artifact_that_stood_there(tmp_path):
    """The same with a limit of the system in a process of its own, where nothing is put in its place."""
    path = saved(tmp_path)
    before = gp.load(path).state_digest()
    tests = str(Path(__file__).parents[1])
    script = SAVE_IN_LITTLE_SPACE.format(tests=tests, path=str(tmp_path / "other.gpp"))
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.stdout.startswith("StorageError\n") and str(tmp_path) in ran.stdout, ran.stdout + ran.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["model.gpp"]
    assert gp.load(path).state_digest() == before


@pytest.mark.parametrize(("case", "device"), runs(__name__))
def test_what_is_said(case, device, tmp_path):
    check(case, device, tmp_path)
