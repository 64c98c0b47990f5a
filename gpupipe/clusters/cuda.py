"""A cluster of this machine's GPUs: a worker for each, with RMM's memory, cuDF that spills, and UCXX between them."""

from typing import Any

from gpupipe import optional
from gpupipe.backends import devices
from gpupipe.clusters.local import Wanted, options_of, refuse_in_worker, started
from gpupipe.clusters.settings import memory_of_worker, refuse_options
from gpupipe.errors import ParameterError, counted


def gpus(wanted: Wanted) -> Any:
    """A ``dask_cuda.LocalCUDACluster``, at ports of the loopback interface alone.

    Unless options say otherwise: device memory comes from RMM's asynchronous allocator (with ``rmm_pool_size``, from
    its pool), for CuPy too; where it becomes scarce, cuDF's columns go to the host, and at 80 % what Dask keeps there.

    Raises:
        DeviceError: no GPU that works.
        MissingDependencyError: Dask-CUDA is not installed.
        ParameterError: more workers than GPUs, or more memory than there is.
        ArgumentError: an option that it does not take.
        ClusterError: it does not start.
    """
    refuse_in_worker()
    devices.required("A cluster of GPUs", "gp.cluster('processes') starts workers that compute the same on the CPU.")
    cuda = optional.load("dask_cuda")
    refuse_options("GPUs", wanted.options, options_of(cuda.LocalCUDACluster))
    there = int(optional.load("cupy").cuda.runtime.getDeviceCount())
    count = wanted.n_workers or there
    if count > there:
        raise ParameterError(f"n_workers={count}: a GPU gets one worker, and this machine has {counted(there, 'GPU')}.")
    limit = memory_of_worker(wanted.memory_limit, count)
    return started(cuda.LocalCUDACluster, wanted, n_workers=count, memory_limit=limit, **_memory(wanted, count))


def _memory(wanted: Wanted, count: int) -> dict[str, Any]:
    """What is chosen where the options do not say."""
    chosen: dict[str, Any] = {"enable_cudf_spill": True, "rmm_allocator_external_lib_list": ["cupy"]}
    if not {"rmm_pool_size", "rmm_managed_memory", "rmm_async"} & set(wanted.options):
        chosen["rmm_async"] = True
    if count > 1 and optional.available("distributed_ucxx"):
        chosen["protocol"] = "ucx"
    return {name: value for name, value in chosen.items() if name not in wanted.options}
