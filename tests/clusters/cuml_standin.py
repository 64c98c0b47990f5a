"""Stand-ins for CuPy and cuml.dask on workers, bound to the API manifest: scikit-learn grows the forests.

As cuml.dask 26.10 does it: the blocks of X and y are brought together, each pair on one worker; a task on each worker
that has rows learns from those of all; all come to the same forest, of which one is given back. Where the real ones
add up what each knows (by NCCL), and wait for each other without end, these pass their rows around.

A worker unpickles the plugin, and so imports this, in the thread that gives its signs of life: what is heavy is
imported by tasks.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import distributed
import numpy as np
from gpu.api.fakes import Fakes, Stand, check_call
from numpy.typing import NDArray

from gpupipe.backends import devices

if TYPE_CHECKING:
    from models.gpu_fakes import Treelite

KINDS = ("Classifier", "Regressor")
_CRITERIA = {"gini": "gini", "entropy": "entropy", "mse": "squared_error", "poisson": "poisson"}

#: What each training had in this worker: (rows, dtypes of X and y); and how it was called there.
SEEN: list[Any] = []
HOW: dict[str, Any] = {}


class OnGpu(np.ndarray):
    """CuPy's array."""


def _asarray(values: Any) -> OnGpu:
    return np.array(values).view(OnGpu)


class Device:
    """A GPU, as far as training asks for it."""

    name = "a GPU that there is not"

    def upload(self, values: NDArray[Any]) -> NDArray[Any]:
        return values


class Fitted:
    """cuML's forest, as `get_combined_model` gives it: it is sent from worker to worker."""

    def __init__(self, path: str, forest: Any) -> None:
        self._path, self._forest = path, forest
        if hasattr(forest, "classes_"):
            self.classes_ = forest.classes_

    def predict(self, X: Any) -> OnGpu:
        return self._said("predict", X)

    def predict_proba(self, X: Any) -> OnGpu:
        return self._said("predict_proba", X)

    def _said(self, method: str, X: Any) -> OnGpu:
        check_call(f"{self._path}.{method}", (X,), {})
        assert isinstance(X, OnGpu)
        return _asarray(getattr(self._forest, method)(np.asarray(X)) + HOW.get("off", 0.0))

    def as_treelite(self) -> "Treelite":
        from models.gpu_fakes import Treelite  # noqa: PLC0415

        check_call(f"{self._path}.as_treelite", (), {})
        return Treelite(self._forest)


class Together:
    """A class of cuml.dask."""

    def __init__(self, name: str, *, workers: list[str], client: Any, **params: Any) -> None:
        self._path, self._name = f"cuml.ensemble.RandomForest{name}", name
        check_call(self._path, (), params)  # a worker makes this class with them
        assert "n_streams" not in params, "n_streams has no effect on distributed training"
        self._client, self._workers, self._params = client, workers, params
        self._forest: Any = None

    def fit(self, X: Any, y: Any) -> "Together":
        check_call(f"cuml.dask.ensemble.RandomForest{self._name}.fit", (X, y), {})
        if self._params["bootstrap"] and self._params.get("class_weight") is not None:
            raise NotImplementedError("Weighted bootstrapping is not yet supported for distributed random forests.")
        client, pairs = self._client, zip(X.to_delayed().ravel(), y.to_delayed().ravel(), strict=True)
        parts = client.compute(list(pairs))
        distributed.wait(parts)
        where = client.who_has(parts)
        owned: dict[str, list[Any]] = {}
        for part in parts:
            owned.setdefault(next(iter(where[part.key])), []).append(part)
        assert set(owned) <= set(self._workers)
        rows = [client.submit(_rows, own, workers=[worker], pure=False) for worker, own in owned.items()]
        ranks = [
            client.submit(_grown, self._path, self._params, rank, rows, workers=[worker], pure=False)
            for rank, worker in enumerate(owned)
        ]
        distributed.wait(ranks)
        failed = [future.exception() for future in ranks if future.status == "error"]
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(ranks)} worker jobs failed: {failed[0]}")
        self._forest = ranks[0]
        return self

    def get_combined_model(self) -> Any:
        check_call(f"cuml.dask.ensemble.RandomForest{self._name}.get_combined_model", (), {})
        return self._forest.result()


def _rows(own: list[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    assert all(isinstance(each, OnGpu) for pair in own for each in pair)
    X, y = (np.concatenate([np.asarray(pair[at]) for pair in own]) for at in (0, 1))
    assert np.isfinite(X).all()
    SEEN.append((len(X), str(X.dtype), str(y.dtype)))
    return X, y


def _grown(path: str, params: Mapping[str, Any], rank: int, rows: list[Any]) -> Fitted:
    if "does" in HOW:
        DOES[HOW["does"]](Path(HOW["folder"]), rank)
    from sklearn import ensemble  # noqa: PLC0415

    names = ("n_estimators", "max_depth", "max_features", "min_samples_leaf", "min_samples_split", "bootstrap")
    known = {name: params[name] for name in (*names, "random_state", "class_weight", "max_samples") if name in params}
    kind = getattr(ensemble, path.rpartition(".")[2])(**known, criterion=_CRITERIA[params["split_criterion"]])
    X, y = (np.concatenate([pair[at] for pair in rows]) for at in (0, 1))
    return Fitted(path, kind.fit(X, y))


# -- what may go wrong in a rank, while the others wait for it -----------------------------------------------------
def _kill_once(folder: Path, rank: int) -> None:
    mark = folder / "killed"
    if not mark.exists():
        if rank == 0:
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)


def _fill(folder: Path, rank: int) -> None:
    if rank == 0:
        raise MemoryError("std::bad_alloc: out_of_memory: CUDA error at: cuda_memory_resource.hpp: 2")
    time.sleep(600)


def _hang(folder: Path, rank: int) -> None:
    time.sleep(600)


def _refuse(folder: Path, rank: int) -> None:
    raise ValueError("max_batch_size is odd")


DOES = {"kill once": _kill_once, "fill": _fill, "hang": _hang, "refuse": _refuse}


class Gpus(distributed.WorkerPlugin):
    """Each worker, one that comes later too, has a GPU and RAPIDS; until it is taken away.

    Args:
        place: of their GPUs; None: each has its own.
        how: what is different: `does`, in `folder`; `off`, which is added to what cuML predicts.
    """

    name = "cuml-standin"

    def __init__(self, place: str | None = None, **how: Any) -> None:
        self.place, self.how = place, how

    def setup(self, worker: Any) -> None:
        self._before = dict(sys.modules)
        place, device = self.place or f"0000:{os.getpid()}", Device()
        fakes = Fakes({
            "cupy.asarray": _asarray, "cupy.asnumpy": np.asarray, "cupy.concatenate": np.concatenate,
            "cupy.empty": lambda shape, dtype: np.empty(shape, dtype).view(OnGpu),
            "cupy.cuda.Device": lambda *_: SimpleNamespace(pci_bus_id=place),
            **{f"cuml.dask.ensemble.RandomForest{name}": lambda name=name, **p: Together(name, **p) for name in KINDS},
        })  # fmt: skip
        fakes.behaviour["cupy.cuda.get_current_stream"] = lambda: Stand(fakes, "cupy.cuda.Stream")
        fakes.install(SimpleNamespace(setitem=dict.__setitem__), "cupy", "cuml")
        talks = ModuleType("raft_dask")
        talks.__spec__ = ModuleSpec("raft_dask", None)
        sys.modules["raft_dask"] = talks
        devices._Look.found = devices.Found(device, "a GPU that there is not")  # type: ignore[arg-type]
        SEEN.clear()
        HOW.clear()
        HOW.update(self.how)

    def teardown(self, worker: Any) -> None:
        devices._Look.found = None
        for name in set(sys.modules) - set(self._before):
            if name.partition(".")[0] in ("cupy", "cuml", "raft_dask"):
                del sys.modules[name]
