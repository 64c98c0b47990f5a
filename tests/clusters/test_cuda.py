"""gp.cluster("cuda"), without a GPU: what Dask-CUDA's class is given, by the parameters that its release has."""

import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import distributed
import pytest
from gpu.api.fakes import check_call

import gpupipe as gp
from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.errors import ArgumentError, DeviceError, MissingDependencyError, ParameterError

NAME = "dask_cuda.LocalCUDACluster"
ITS_OWN = ("rmm_allocator_external_lib_list", "protocol")


class LocalCUDACluster(distributed.LocalCluster):
    """As Dask-CUDA's: the parameters of the manifest, and those of a LocalCluster; its workers have no GPU."""

    given: dict[str, Any]

    def __init__(
        self,
        CUDA_VISIBLE_DEVICES: Any = None,
        enable_cudf_spill: bool = False,
        rmm_pool_size: Any = None,
        rmm_async: bool = False,
        **given: Any,
    ) -> None:
        memory = {"rmm_pool_size": rmm_pool_size, "rmm_async": rmm_async, "enable_cudf_spill": enable_cudf_spill}
        LocalCUDACluster.given = {**given, **{name: value for name, value in memory.items() if value}}
        check_call(NAME, (), LocalCUDACluster.given)
        super().__init__(**{name: value for name, value in given.items() if name not in ITS_OWN})


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A machine on which so many GPUs work."""
    count = [1]
    cupy, cuda = ModuleType("cupy"), ModuleType("dask_cuda")
    runtime = type("runtime", (), {"getDeviceCount": staticmethod(lambda: count[0])})
    cupy.cuda = type("cuda", (), {"runtime": runtime})  # type: ignore[attr-defined]
    cuda.LocalCUDACluster = LocalCUDACluster  # type: ignore[attr-defined]
    monkeypatch.setattr(devices, "required", lambda *told: object())
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "dask_cuda", cuda)
    yield count


def test_a_worker_for_each_gpu_with_memory_that_spills(gpus: list[int]) -> None:
    with gp.cluster("cuda", memory_limit="512MiB") as made:
        assert made.kind == "cuda" and made.n_workers == 1
        pids = set(made.client.run(os.getpid).values())
    given = LocalCUDACluster.given
    assert given["n_workers"] == given["threads_per_worker"] == 1 and given["host"] == "127.0.0.1"
    assert given["enable_cudf_spill"] and given["rmm_async"] and "rmm_pool_size" not in given
    assert given["rmm_allocator_external_lib_list"] == ["cupy"] and "protocol" not in given
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_what_is_asked_for_is_what_it_gets(gpus: list[int]) -> None:
    with gp.cluster("cuda", memory_limit="512MiB", rmm_pool_size="4GB", enable_cudf_spill=False):
        pass
    assert LocalCUDACluster.given["rmm_pool_size"] == "4GB" and "rmm_async" not in LocalCUDACluster.given
    assert "enable_cudf_spill" not in LocalCUDACluster.given


def test_several_gpus_talk_by_ucx_where_that_is(gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus[0] = 2
    seen = []
    monkeypatch.setattr(distributed.LocalCluster, "__init__", lambda self, **given: seen.append(given) or fail())
    monkeypatch.setattr(optional, "available", lambda name: name == "distributed_ucxx")
    with pytest.raises(gp.GpupipeError, match="no further"):
        gp.cluster("cuda", memory_limit="512MiB")
    assert LocalCUDACluster.given["protocol"] == "ucx" and seen[0]["n_workers"] == 2


def fail() -> None:
    raise RuntimeError("no further")


def test_refused(gpus: list[int]) -> None:
    with pytest.raises(ParameterError, match="n_workers=3: a GPU gets one worker, and this machine has 1 GPU"):
        gp.cluster("cuda", n_workers=3)
    with pytest.raises(ArgumentError, match=r"GPUs has no option 'rmm_poolsize'\. Did you mean 'rmm_pool_size'\?"):
        gp.cluster("cuda", rmm_poolsize="1GB")
    sys.modules["dask_cuda"] = None  # type: ignore[assignment]
    with pytest.raises(MissingDependencyError, match=r"gpupipe\[cuda13\]"):
        gp.cluster("cuda")


def test_no_gpu_is_told_with_what_does_without_one() -> None:
    with pytest.raises(DeviceError) as told:
        gp.cluster("cuda")
    assert str(told.value).startswith("A cluster of GPUs was asked for, and there is no GPU to compute on. ")
    assert "device=" not in str(told.value) and "gp.cluster('processes')" in str(told.value)
