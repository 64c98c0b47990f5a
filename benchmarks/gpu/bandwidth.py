"""Ceilings of the device: copies, reads, transfers over the bus, float64 instructions."""

from typing import Any

from .kernels import OPTIONS, exact_source
from .report import Record, device_seconds, load, wall_seconds

BYTES = 4 << 30
HOST_BYTES = 1 << 30


def run(record: Record, rows: int) -> None:
    """Record the ceilings."""
    record.attempt("copy device to device, GB/s (read + written)", copy_rate)
    record.attempt("copy kernel of 16-byte accesses, GB/s", lambda: kernel_rate("copy16", 2))
    record.attempt("read kernel of 16-byte accesses, GB/s", lambda: kernel_rate("read16", 1))
    record.attempt("fill device memory, GB/s", fill_rate)
    record.attempt("float64 add or multiply, T instructions/s", float64_rate)
    record.attempt("bus", bus)


def copy_rate() -> float:
    """GB/s of cudaMemcpyAsync on the device, bytes read plus bytes written, random data."""
    cp = load("cupy")
    source = cp.random.randint(0, 1 << 30, BYTES // 4, dtype=cp.int32)
    target = cp.empty_like(source)
    stream = cp.cuda.get_current_stream().ptr
    kind = cp.cuda.runtime.memcpyDeviceToDevice

    def work() -> None:
        cp.cuda.runtime.memcpyAsync(target.data.ptr, source.data.ptr, source.nbytes, kind, stream)

    seconds = device_seconds(work, 15)
    assert bool((source[-1000:] == target[-1000:]).all())
    return float(2 * source.nbytes / seconds / 1e9)


def kernel_rate(name: str, passes: int) -> float:
    """GB/s of a plain kernel of ours over 4 GiB."""
    cp = load("cupy")
    kernel = cp.RawModule(code=exact_source(), options=OPTIONS).get_function(name)
    source = cp.random.random(BYTES // 4, dtype=cp.float32)
    target = cp.empty_like(source)
    count = cp.int64(source.size // 4)
    seconds = device_seconds(lambda: kernel((132 * 32,), (256,), (source, target, count)), 15)
    return float(passes * source.nbytes / seconds / 1e9)


def fill_rate() -> float:
    """GB/s of cudaMemsetAsync."""
    cp = load("cupy")
    target = cp.empty(BYTES // 4, cp.float32)
    return float(target.nbytes / device_seconds(lambda: target.data.memset_async(7, target.nbytes)) / 1e9)


def float64_rate() -> float:
    """10^12 separate float64 additions or multiplications a second, over all lanes."""
    cp = load("cupy")
    kernel = cp.RawModule(code=exact_source(), options=OPTIONS).get_function("float64_rate")
    target = cp.zeros(1)
    count, blocks = 4096, 132 * 16
    args = (target, cp.float64(1.0000001), cp.int32(count))
    seconds = device_seconds(lambda: kernel((blocks,), (256,), args), 5)
    return float(blocks * 256 * 8 * count / seconds / 1e12)


def bus() -> dict[str, float]:
    """GB/s host to device and back, pinned and pageable."""
    cp, np = load("cupy"), load("numpy")
    device = cp.empty(HOST_BYTES, cp.uint8)
    pageable = np.random.default_rng(0).integers(0, 255, HOST_BYTES, dtype=np.uint8)
    pinned = np.frombuffer(cp.cuda.alloc_pinned_memory(HOST_BYTES), np.uint8, HOST_BYTES)
    pinned[:] = pageable
    result: dict[str, Any] = {}
    for name, host in (("pinned", pinned), ("pageable", pageable)):
        result[f"to device, {name}"] = HOST_BYTES / wall_seconds(lambda: device.set(host)) / 1e9  # noqa: B023
        result[f"to host, {name}"] = HOST_BYTES / wall_seconds(lambda: device.get(out=host)) / 1e9  # noqa: B023
    return result
