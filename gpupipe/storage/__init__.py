from gpupipe.storage.calls import (
    NO_LOCKS,
    UNSUPPORTED,
    Output,
    Storage,
    disk,
    pwrite_all,
    read_all,
    sync_folder,
    write_all,
)
from gpupipe.storage.failure import failing, place
from gpupipe.storage.rename import exchange, publish_absent, rename_absent
from gpupipe.storage.scratch import nameless, scratch_folder
from gpupipe.storage.temporary import ONE_FILE, Kind, beside, made_folders, stands, stands_aside, sweep, temporary

__all__ = [
    "NO_LOCKS", "ONE_FILE", "UNSUPPORTED", "Kind", "Output", "Storage", "beside", "disk", "exchange", "failing",
    "made_folders", "nameless", "place", "publish_absent", "pwrite_all", "read_all", "rename_absent", "scratch_folder",
    "stands", "stands_aside", "sweep", "sync_folder", "temporary", "write_all",
]  # fmt: skip
