"""Errors of what a pipeline runs on: disks, memory, GPUs, clusters, and runs; and the root of all errors.

The tree is drawn in `gpupipe.errors`, where all of them are found.
"""


class GpupipeError(Exception):
    """The root: catch this to catch everything gpupipe raises on purpose."""

    def __str__(self) -> str:  # KeyError would print the repr of its argument
        return " ".join(str(part) for part in self.args)


class StorageError(GpupipeError, OSError):
    """The disk is full, read-only, over quota, or failing; or the place is no place to write to.

    `errno` and `filename` are the system's, as of any OSError.

    >>> StorageError("The disk is full.", 28, "churn.gpp").errno
    28
    """

    def __init__(self, message: str, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno, self.filename = errno, filename

    def __reduce__(self) -> tuple[type, tuple[str, int | None, str | None]]:  # OSError's own would lose the two
        return type(self), (str(self), self.errno, self.filename)


class DeviceError(GpupipeError, RuntimeError):
    """The GPU was asked for and cannot be used here, or what was run on it failed."""


class DeviceMemoryError(DeviceError, MemoryError):
    """The GPU has not so much memory.

    Attributes (None where it is not known):
        asked: the bytes asked for.
        device: the GPU's name.

    >>> DeviceMemoryError("The GPU is full.", 4096, "NVIDIA H100").asked
    4096
    """

    def __init__(self, message: str, asked: int | None = None, device: str | None = None) -> None:
        super().__init__(message)
        self.asked, self.device = asked, device

    def __reduce__(self) -> tuple[type, tuple[str, int | None, str | None]]:
        return type(self), (str(self), self.asked, self.device)


class DeviceLostError(DeviceError):
    """A failure of the GPU after which every further call fails: the process has to be started again."""


class HostMemoryError(GpupipeError, MemoryError):
    """Rows that do not fit into the machine's memory."""


class ClusterError(GpupipeError, RuntimeError):
    """A cluster that cannot be used as asked, or that failed."""


class WorkerLostError(ClusterError):
    """Workers were lost, and none came back in time."""


class ClusterTimeoutError(ClusterError, TimeoutError):
    """Something of a cluster took longer than its deadline."""


class PoisonPartitionError(ClusterError):
    """A partition that ended each worker it was given to. The message names its file and row group."""


class RunError(GpupipeError):
    """A journal of a run that cannot be gone on with."""


class RunChangedError(RunError, ValueError):
    """The pipeline or the files of a run are not those that it began with."""


class RunBusyError(RunError, OSError):
    """Another process is at work on the same run."""


class RunFolderError(RunError, ValueError):
    """A folder in which no run can be kept, or gone on with: it holds a finished one, or something else, is another
    user's, or is not seen by a worker.
    """


class RunCorruptError(RunError, ValueError):
    """A journal, or what it lists, was altered."""


for _found in [found for found in vars().values() if isinstance(found, type)]:
    _found.__module__ = "gpupipe.errors"  # where users find them, and what a traceback shows
