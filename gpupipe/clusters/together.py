"""What workers with a GPU do where cuml.dask trains on all of them together."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.clusters import tasks
from gpupipe.clusters.recipes import Asked, Recipes
from gpupipe.columns import Values
from gpupipe.models.agreement import COMPARED_ROWS
from gpupipe.models.gpu.numbers import Targets
from gpupipe.models.gpu.together import Wanted, empty, learned_together, one, refusal, standing

_LOOK, _PATIENCE = 0.5, 10.0  # seconds between looks, and for the others once one has failed


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a worker has.

    Attributes:
        place: its machine and bus, which no other GPU has; empty: there is none that it can use.
        why: that; else the GPU in words.
    """

    place: str
    why: str


def gpu_here(host: str) -> Gpu:
    """The GPU of this process, and whether cuml.dask can train on it."""
    found = devices.gpu()
    if found.device is None:
        return Gpu("", found.why)
    missing = devices.unusable("cuml", "cuML") or devices.unusable("raft_dask", "raft-dask, by which GPUs talk,")
    if missing is not None:
        return Gpu("", f"{missing[0].upper()}{missing[1:]}.")
    return Gpu(f"{host} {optional.load('cupy').cuda.Device().pci_bus_id}", found.why)


@dataclass(frozen=True, eq=False)
class Standing:
    """A partition on a worker's GPU.

    Attributes:
        X: CuPy's, float32 of shape (rows, features).
        y: CuPy's: codes in int32, or numbers in float32.
        targets: what is known of numbers.
    """

    X: Any
    y: Any
    targets: Targets | None

    def __sizeof__(self) -> int:  # by which Dask knows what a worker holds
        return 1_000 + int(self.X.nbytes) + int(self.y.nbytes)


@dataclass(frozen=True, slots=True)
class About:
    """What is told of one: how many rows it has, and its targets."""

    rows: int
    targets: Targets | None


def stood(recipes: Recipes, sent: tasks.Sent, asked: tuple[Asked, ...], batch: tasks.Batch) -> Standing:
    """Compute a partition's features, and see that they stand on this worker's GPU."""
    parts = tasks.worked(recipes, sent, asked, batch).result
    device = devices.required("Training on the GPUs of a cluster", "A worker had one before.")
    y = np.concatenate([part.y for part in parts])
    codes = np.issubdtype(y.dtype, np.integer)
    X = one([standing(part.X, device) for part in parts])
    return Standing(X, standing(y.astype(np.int32 if codes else np.float32), device), None if codes else Targets.of(y))


def about(part: Standing) -> About:
    """What is told of it."""
    return About(len(part.X), part.targets)


def of(part: Standing, name: str) -> Any:
    """One of its arrays."""
    return getattr(part, name)


def few(part: Standing) -> Values:
    """Its first rows, on the host."""
    return np.asarray(optional.load("cupy").asnumpy(part.X[:COMPARED_ROWS]))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one worker is sent that calls cuml.dask, for all of them.

    Attributes:
        wanted: what is to be learned.
        workers: their addresses.
        parts: of each partition with rows how many it has, and what Dask calls its X and its y.
        few: rows to compare with.
    """

    wanted: Wanted
    workers: tuple[str, ...]
    parts: Sequence[tuple[int, str, str]]
    few: Values


@dataclass(frozen=True, eq=False)
class Ended:
    """How it ended.

    Attributes:
        learned: what was learned; None: nothing.
        error: why not.
        hangs: whether other workers may wait for each other still.
    """

    learned: Any = None
    error: BaseException | None = None
    hangs: bool = False


def learn(lesson: Lesson) -> Ended:
    """Call cuml.dask from here, on all workers; this one takes tasks besides."""
    distributed = optional.load("distributed")
    with distributed.worker_client() as client:
        kind = np.int32 if lesson.wanted.classes is not None else np.float32
        X = _array(client, [(rows, name) for rows, name, _ in lesson.parts], np.float32, lesson.wanted.features)
        y = _array(client, [(rows, name) for rows, _, name in lesson.parts], kind)
        before = set(client.futures)
        train = lambda: learned_together(lesson.wanted, client, list(lesson.workers), X, y, lesson.few)  # noqa: E731
        return _watched(client, before, train, lesson.wanted)


def _array(client: Any, parts: Sequence[tuple[int, str]], dtype: Any, *more: int) -> Any:
    """Dask's array of what stands on the workers, whose futures somebody else keeps."""
    array, future = optional.load("dask.array"), optional.load("distributed").Future
    meta = empty(1 + len(more), dtype)
    blocks = [
        array.from_delayed(future(name, client), shape=(rows, *more), dtype=dtype, meta=meta) for rows, name in parts
    ]
    return array.concatenate(blocks)


def _watched(client: Any, before: set[Any], train: Callable[[], Any], wanted: Wanted) -> Ended:
    """Train in a thread of its own: where one worker fails the others wait for it, and cuml.dask for them."""
    came: list[Ended] = []

    def run() -> None:
        try:
            with client.as_current():
                came.append(Ended(train()))
        except Exception as error:
            came.append(Ended(error=_alone(error)))

    thread = threading.Thread(target=run, name="gpupipe-cuml-dask", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK)
        failed = _failed(client, before)
        if failed is not None and thread.is_alive():
            thread.join(_PATIENCE)
            if thread.is_alive():
                return Ended(error=_alone(refusal(wanted, failed)), hangs=True)
    return came[0]


def _alone(error: BaseException) -> BaseException:
    """An error without what it came of, which may hold anything: it is sent to another process."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _failed(client: Any, before: set[Any]) -> BaseException | None:
    """The error of a task that was begun since, where one failed."""
    for name, state in list(client.futures.items()):
        if name not in before and state.status == "error":
            return state.exception
    return None
