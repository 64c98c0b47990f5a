"""Where a device's memory comes from: RMM, which cuDF and cuML take theirs from too, else CuPy's own pool."""

from typing import Any

from ... import optional
from ...errors import DeviceError

_KEPT = 0.5  # of the memory that was free: what is kept for later arrays, though nobody holds it
_MOST = 0.9  # where a pool has to be made at once
_UNIT = 256


def share(free: int, part: float) -> int:
    """A part of so many bytes, as a size that RMM takes.

    >>> share(1000, 0.9)
    768
    """
    return int(free * part) // _UNIT * _UNIT


def set_up(cupy: Any, device: Any, free: int) -> str:
    """Make RMM give the memory, from a pool, where it is installed; what was chosen before us stays. What is so then.

    ``import cudf`` makes RMM CuPy's allocator, but of plain ``cudaMalloc``, which waits for the device every time.

    Args:
        cupy: the package.
        device: a ``cupy.cuda.Device``, which is current.
        free: its free bytes.

    Raises:
        DeviceError: RMM is installed and does not load.
    """
    if not optional.available("rmm"):
        return "CuPy's pool"
    rmm, allocators = _packages()
    current = rmm.get_current_device_resource()
    if isinstance(current, rmm.CudaMemoryResource):
        current = _pool(rmm, device, free)
        rmm.set_current_device_resource(current)
    if cupy.cuda.get_allocator() == cupy.get_default_memory_pool().malloc:
        cupy.cuda.set_allocator(allocators.rmm_cupy_allocator)
    return f"RMM's {type(current).__name__}"


def _packages() -> tuple[Any, Any]:
    try:
        return optional.load("rmm.mr"), optional.load("rmm.allocators.cupy")
    except Exception as error:  # its compiled parts, and CUDA's under them, raise anything
        raise DeviceError(f"RMM is installed and does not load ({type(error).__name__}: {error})") from error


def _pool(rmm: Any, device: Any, free: int) -> Any:
    """The driver's own pool, which gives back what it keeps beyond a share; where there is none, RMM's."""
    if device.attributes.get("MemoryPoolsSupported"):
        return rmm.CudaAsyncMemoryResource(release_threshold=share(free, _KEPT))
    upstream = rmm.CudaMemoryResource()
    return rmm.PoolMemoryResource(upstream, initial_pool_size=share(free, _KEPT), maximum_pool_size=share(free, _MOST))
