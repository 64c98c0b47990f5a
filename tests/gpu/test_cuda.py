"""The real device against CUDA of our own making, in which nothing is done before somebody waits for it."""

import gc
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpupipe import optional
from gpupipe.errors import DeviceError, DeviceLostError, DeviceMemoryError, InternalError
from gpupipe.kernels.gpu import staging
from gpupipe.kernels.gpu.cuda import CudaDevice
from gpupipe.kernels.gpu.device import Device, Kernel
from gpupipe.kernels.gpu.kept import Kept, digest
from gpupipe.kernels.gpu.pool import set_up, share
from gpupipe.kernels.gpu.trial import trial

from .api.fakes import Fakes
from .fake_cuda import CUDADriverError, CUDARuntimeError, Machine, OutOfMemoryError, at

ADD = Kernel("add one;", "add")
CHUNK = 1 << 14
LARGE = 3 * CHUNK + 12340  # bytes: several pieces, the last one short


def add(x: Any, y: Any, n: Any) -> None:
    at(y, np.int64, int(n))[:] = at(x, np.int64, int(n)) + 1


def gpupipe_trial(x: Any, y: Any, out: Any, n: Any) -> None:
    with np.errstate(all="ignore"):
        at(out, np.float64, int(n))[:] = at(x, np.float32, int(n)).astype(np.float64) * at(y, np.float64, int(n)) - 1.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(staging, "CHUNK", CHUNK)
    made = Machine(kernels={"add": add, "gpupipe_trial": gpupipe_trial})
    made.fakes.install(monkeypatch, "cupy")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kernels"


@pytest.fixture
def device(machine: Machine, folder: Path) -> CudaDevice:
    return CudaDevice(Kept(folder))


def plus_one(device: Device, x: Any) -> Any:
    y = device.empty(x.shape, np.int64)
    device.launch(ADD, 4, 128, [x, y, np.int64(len(x))])
    return y


# -- memory and order -------------------------------------------------------------------------------------------
def test_it_says_what_it_is(device: CudaDevice) -> None:
    same: Device = device
    assert (same.name, device.capability, same.shared_bytes, same.n_processors) == ("NVIDIA Fake", 90, 232448, 132)
    assert device.memory == (1 << 30, 1 << 30)
    assert "compute capability 9.0" in repr(device)


@pytest.mark.parametrize("size", [0, 1, 5, CHUNK // 8, CHUNK // 8 + 1, LARGE // 8, LARGE // 2])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32, np.bool_])
def test_what_goes_up_comes_down(device: CudaDevice, size: int, dtype: Any) -> None:
    values = np.random.default_rng(size).integers(0, 2 if dtype is np.bool_ else 100, size).astype(dtype)
    array = device.upload(values)
    assert (array.shape, array.dtype, array.pointer % 256) == ((size,), values.dtype, 0)
    values_before = values.copy()
    values[:] = 0  # the caller's memory is the caller's again
    found = array.to_host()
    assert found.dtype == values.dtype and np.array_equal(found, values_before)


def test_two_dimensions_and_zeros(device: CudaDevice) -> None:
    table = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(device.upload(table).rows(1, 3).to_host(), table[1:])
    assert np.array_equal(device.upload(table.T).to_host(), table.T)
    assert device.zeros((3, 2), np.int32).to_host().tolist() == [[0, 0]] * 3
    assert device.zeros(0, np.int32).to_host().shape == (0,)


def test_kernels_run_in_the_order_they_were_asked_for(device: CudaDevice) -> None:
    x = device.upload(np.arange(100))
    for _ in range(5):
        x = plus_one(device, x)
    assert np.array_equal(x.to_host(), np.arange(5, 105)) and device.launches == 5


def test_a_copy_waits_for_a_mark_and_for_no_later_work(device: CudaDevice, machine: Machine) -> None:
    first = plus_one(device, device.upload(np.arange(100)))
    mark = device.mark()
    second = plus_one(device, first)
    assert np.array_equal(device.download(first, mark), np.arange(1, 101))
    assert machine.null._waiting, "the second kernel, which nobody waited for"
    assert np.array_equal(device.download(second), np.arange(2, 102)) and not machine.null._waiting


def test_an_empty_grid_launches_nothing(device: CudaDevice, machine: Machine) -> None:
    device.launch(ADD, 0, 128, [None, None, np.int64(0)])
    assert (device.launches, machine.launched) == (0, [])


def test_memory_that_is_free_again_is_not_written_while_a_kernel_reads_it(device: CudaDevice) -> None:
    results = []
    for turn in range(6):  # the upload is dropped before its kernel has run, and the next one gets the same memory
        results.append(plus_one(device, device.upload(np.full(1000, turn))))
    assert [result.to_host()[0] for result in results] == [1, 2, 3, 4, 5, 6]


def test_threads_share_a_device(device: CudaDevice) -> None:
    table = device.upload(np.arange(1000))

    def work(seed: int) -> bool:
        values = np.random.default_rng(seed).integers(0, 1000, 20_000)
        right = True
        for _ in range(5):
            mine, shared = plus_one(device, device.upload(values)), plus_one(device, table)
            right &= np.array_equal(mine.to_host(), values + 1) and shared.to_host()[999] == 1000
            values = values + 1
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(16)))
    assert device.launches == 160


def test_an_array_made_in_one_thread_is_read_in_another(device: CudaDevice) -> None:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(plus_one(device, device.upload(np.arange(10)))))
    thread.start()
    thread.join()
    assert plus_one(device, made[0]).to_host().tolist() == list(range(2, 12))


def test_copies_in_turn_share_one_lane_and_copies_at_once_do_not(device: CudaDevice, machine: Machine) -> None:
    for _ in range(10):
        device.upload(np.arange(10)).to_host()
    assert len(machine.streams) == 2  # the default stream and one lane
    barrier = threading.Barrier(3)

    def hold() -> None:
        with device._lanes.one():
            barrier.wait(10)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: hold(), range(3)))
    assert len(machine.streams) == 4


def test_everything_is_freed(device: CudaDevice, machine: Machine) -> None:
    result = plus_one(device, device.upload(np.arange(1000)))
    assert machine.held >= 8000
    assert result.to_host()[0] == 1
    del result
    gc.collect()
    assert machine.held == 0


def test_the_interface_of_others(device: CudaDevice) -> None:
    told = device.upload(np.zeros((3, 2), np.float32)).__cuda_array_interface__
    assert told["stream"] == 1 and told["shape"] == (3, 2) and told["typestr"] == "<f4" and not told["data"][1]


def test_a_trial_of_the_device(device: CudaDevice, machine: Machine) -> None:
    trial(device)
    machine.kernels["gpupipe_trial"] = lambda x, y, out, n: gpupipe_trial(x, x, out, np.int64(0))
    with pytest.raises(DeviceError, match=r"NVIDIA Fake computed .* where .* is right"):
        trial(device)


@pytest.mark.parametrize("flaw", ["subnormals are 0", "products are fused"])
def test_the_trial_finds_other_arithmetic(device: CudaDevice, machine: Machine, flaw: str) -> None:
    def wrong(x: Any, y: Any, out: Any, n: Any) -> None:
        gpupipe_trial(x, y, out, n)
        found, wide = at(out, np.float64, int(n)), at(x, np.float32, int(n)).astype(np.longdouble)
        if flaw == "subnormals are 0":
            found[np.abs(wide) < np.finfo(np.float32).tiny] = -1.0
        else:
            with np.errstate(all="ignore"):
                found[:] = (wide * at(y, np.float64, int(n)).astype(np.longdouble) - 1).astype(np.float64)

    machine.kernels["gpupipe_trial"] = wrong
    with pytest.raises(DeviceError, match="is right"):
        trial(device)


# -- kernels ----------------------------------------------------------------------------------------------------
def test_a_source_is_compiled_once_and_neither_flushes_nor_fuses(device: CudaDevice, machine: Machine) -> None:
    x = device.upload(np.arange(3))
    for _ in range(3):
        plus_one(device, x)
    ((source, options),) = machine.compiled
    assert source == ADD.source
    assert options == ("--std=c++17", "--fmad=false", "--gpu-architecture=sm_90")


def test_many_threads_compile_a_source_once(device: CudaDevice, machine: Machine) -> None:
    x = device.upload(np.arange(3))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: plus_one(device, x), range(32)))
    assert len(machine.compiled) == len(machine.loaded) == 1


def test_much_shared_memory_is_asked_for_and_never_taken_back(device: CudaDevice, machine: Machine) -> None:
    for shared in (0, 48 << 10, 100 << 10, 60 << 10, 200 << 10):
        device.launch(ADD, 1, 32, [np.uint64(0), np.uint64(0), np.int64(0)], shared)
    assert list(machine.shared.values()) == [200 << 10]
    assert [launched[3] for launched in machine.launched] == [0, 48 << 10, 100 << 10, 60 << 10, 200 << 10]


def test_parameters(device: CudaDevice, machine: Machine) -> None:
    seen: list[Any] = []
    machine.kernels["add"] = lambda *args: seen.extend(args)
    array = device.upload(np.arange(3))
    device.launch(ADD, 1, 32, [array, None, np.int32(7), np.float64(0.5), np.bool_(True)])
    array.to_host()
    assert seen == [array.pointer, 0, 7, 0.5, True]
    assert [value.dtype.str for value in seen] == ["<u8", "<u8", "<i4", "<f8", "|b1"]


def test_what_does_not_compile_is_our_mistake(device: CudaDevice) -> None:
    with pytest.raises(InternalError, match=r"does not compile for sm_90.*\nline 1: error"):
        device.launch(Kernel("no C++", "k"), 1, 1, [])
    assert plus_one(device, device.upload(np.arange(3))).to_host().tolist() == [1, 2, 3]


# -- kernels on disk --------------------------------------------------------------------------------------------
def another(folder: Path) -> CudaDevice:
    """A device in what stands for the next process."""
    device = CudaDevice(Kept(folder))
    plus_one(device, device.upload(np.arange(3)))
    return device


def test_the_next_process_compiles_nothing(machine: Machine, folder: Path) -> None:
    another(folder)
    assert another(folder).compiler.n_compiled == 0 and len(machine.compiled) == 1
    (file,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700 and file.stat().st_mode & 0o777 == 0o600


def test_another_device_or_compiler_has_kernels_of_its_own(machine: Machine, folder: Path) -> None:
    another(folder)
    machine.capability = "80"
    another(folder)
    machine.fakes.behaviour["cupy.cuda.nvrtc.getVersion"] = lambda: (13, 5)
    another(folder)
    assert [options[-1] for _, options in machine.compiled] == [f"--gpu-architecture=sm_{n}" for n in (90, 80, 80)]
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes() + b"x"),
        lambda file: file.write_bytes(file.read_bytes().replace(b"add", b"bad")),
        lambda file: file.write_bytes(b""),
        lambda file: file.chmod(0o622),
        lambda file: (file.rename(file.parent / "real"), file.symlink_to(file.parent / "real")),
        lambda file: (file.unlink(), os.mkfifo(file, 0o600)),
        lambda file: (file.unlink(), file.mkdir(mode=0o700)),
    ],
    ids=["short", "long", "changed", "empty", "writable by others", "a link", "a pipe", "a folder"],
)
def test_a_file_that_cannot_be_trusted_is_not_run(machine: Machine, folder: Path, damage: Any) -> None:
    another(folder)
    (file,) = folder.iterdir()
    damage(file)
    assert another(folder).compiler.n_compiled == 1
    assert machine.loaded == [machine.loaded[0]] * 2, "both times what was just compiled"


def test_a_kernel_under_another_s_name_is_not_run(machine: Machine, folder: Path) -> None:
    another(folder)
    (file,) = folder.iterdir()
    other = Kept(folder)
    other.put(digest("other"), b"\x7fELF other add")
    (folder / digest("other")).replace(file)
    assert another(folder).compiler.n_compiled == 1 and b"\x7fELF other add" not in machine.loaded


def test_a_kernel_that_the_driver_refuses_is_compiled_again(machine: Machine, folder: Path) -> None:
    another(folder)
    (file,) = folder.iterdir()
    Kept(folder).put(file.name, b"of another kind")
    assert another(folder).compiler.n_compiled == 1
    assert another(folder).compiler.n_compiled == 0, "and kept in its place"


def test_a_folder_of_others_or_none_is_not_used(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir(mode=0o700)
    for name, why in (("open", "another user"), ("file", "Not a directory|File exists"), ("link", "")):
        kept = Kept(tmp_path / name)
        assert kept.failure is not None and kept.failure.startswith(str(tmp_path / name))
        assert re.search(why, kept.failure)
        device = CudaDevice(kept)
        assert plus_one(device, device.upload(np.arange(3))).to_host().tolist() == [1, 2, 3]
    assert not list((tmp_path / "real").iterdir()) and Kept(None).get(digest("x")) is None


def test_a_full_disk_keeps_nothing_and_ends_nothing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    kept = Kept(folder)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    kept.put(digest("x"), b"content")
    assert kept.failure == f"{folder}: No space left on device" and not list(folder.iterdir())


def test_old_kernels_go(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("gpupipe.kernels.gpu.kept._MOST_FILES", 10)
    kept = Kept(folder)
    for number in range(11):
        kept.put(digest(number), b"x")
        os.utime(folder / digest(number), (number, number))
        if number < 10:
            assert len(list(folder.iterdir())) == number + 1
    assert len(list(folder.iterdir())) == 6
    assert kept.get(digest(10)) == b"x" and kept.get(digest(0)) is None


# -- where memory comes from ------------------------------------------------------------------------------------
def test_the_pool_of_rmm(machine: Machine, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    rmm: dict[str, Any] = {}
    fakes = machine.fakes
    plain = type("CudaMemoryResource", (), {})
    pool = type("CudaAsyncMemoryResource", (), {"__init__": lambda self, **sizes: rmm.update(sizes)})
    fakes.behaviour |= {
        "rmm.mr.get_current_device_resource": lambda: rmm.get("current", plain()),
        "rmm.mr.set_current_device_resource": lambda mr: rmm.update(current=mr),
        "rmm.mr.CudaMemoryResource": plain,
        "rmm.mr.CudaAsyncMemoryResource": pool,
        "cupy.cuda.get_allocator": lambda: rmm.get("allocator", "CuPy's own"),
        "cupy.cuda.set_allocator": lambda allocator: rmm.update(allocator=allocator),
        "cupy.get_default_memory_pool": lambda: type("Pool", (), {"malloc": "CuPy's own"})(),
    }
    fakes.install(monkeypatch, "rmm")
    device = CudaDevice(Kept(folder))
    assert device.allocator == "RMM's CudaAsyncMemoryResource"
    assert rmm["release_threshold"] == share(1 << 30, 0.5) == 1 << 29
    assert rmm["allocator"].__name__ == "rmm_cupy_allocator"
    given, rmm["current"] = rmm["current"], pool()
    assert CudaDevice(Kept(folder)).allocator == "RMM's CudaAsyncMemoryResource" and rmm["current"] is not given


def test_a_driver_without_pools_gets_one_of_rmm(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    class PoolMemoryResource:
        def __init__(self, upstream_mr: Any, **sizes: int) -> None:
            made.update(sizes, upstream=upstream_mr)

    plain = type("CudaMemoryResource", (), {})
    fakes = Fakes({
        "rmm.mr.get_current_device_resource": plain,
        "rmm.mr.set_current_device_resource": lambda mr: made.update(current=mr),
        "rmm.mr.CudaMemoryResource": plain,
        "rmm.mr.PoolMemoryResource": PoolMemoryResource,
        "cupy.cuda.get_allocator": lambda: "chosen by the user",
        "cupy.get_default_memory_pool": lambda: type("Pool", (), {"malloc": "CuPy's own"})(),
    })  # fmt: skip
    fakes.install(monkeypatch, "cupy", "rmm")
    device = type("Device", (), {"attributes": {"MemoryPoolsSupported": 0}})()
    assert set_up(optional.load("cupy"), device, 10_000) == "RMM's PoolMemoryResource"
    assert (made["initial_pool_size"], made["maximum_pool_size"]) == (share(10_000, 0.5), share(10_000, 0.9))
    assert isinstance(made["upstream"], plain) and isinstance(made["current"], PoolMemoryResource)


# -- what fails -------------------------------------------------------------------------------------------------
def test_no_memory_names_what_was_asked_and_passes(device: CudaDevice, machine: Machine) -> None:
    machine.memory = 10 << 20
    held = device.empty(9 << 20, np.uint8)
    with pytest.raises(DeviceMemoryError, match=r"NVIDIA Fake has not enough memory.* 2,097,152 bytes") as told:
        device.empty(2 << 20, np.uint8)
    assert (told.value.asked, told.value.device) == (2 << 20, "NVIDIA Fake")
    assert isinstance(told.value, MemoryError) and isinstance(told.value.__cause__, OutOfMemoryError)
    with pytest.raises(DeviceMemoryError):
        device.upload(np.zeros(2 << 20, np.uint8))
    del held
    assert device.empty(2 << 20, np.uint8).nbytes == 2 << 20


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError(1, 2),
        MemoryError("std::bad_alloc: out_of_memory: CUDA error at: cuda_memory_resource.hpp:62: cudaErrorMemory…"),
        MemoryError("std::bad_alloc: out_of_memory: RMM failure at: pool.cpp:73: Maximum pool size exceeded"),
        CUDARuntimeError(2),
        CUDADriverError(2),
        RuntimeError("CUDA error encountered at: column.cu:80: 2 cudaErrorMemoryAllocation out of memory"),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:50],
)
def test_the_faces_of_no_memory(device: CudaDevice, error: BaseException) -> None:
    with pytest.raises(DeviceMemoryError), device.guarded("decoding"):
        raise error
    assert device.health.lost is None


@pytest.mark.parametrize(
    "error",
    [
        CUDARuntimeError(700),
        CUDARuntimeError(710),
        CUDARuntimeError(719),
        CUDADriverError(700),
        RuntimeError("Fatal CUDA error encountered at: reader.cu:12: 700 cudaErrorIllegalAddress an illegal …"),
        RuntimeError("exception occurred! CUDA error: cudaErrorLaunchFailure unspecified launch failure"),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:50],
)
def test_a_lost_device_refuses_all_that_comes_after(device: CudaDevice, machine: Machine, error: BaseException) -> None:
    array = device.upload(np.arange(3))
    machine.fails["launch"] = error
    with pytest.raises(DeviceLostError, match=r"the kernel add failed .* Start the process again"):
        plus_one(device, array)
    del machine.fails["launch"]
    calls = len(machine.fakes.calls)
    for use in (
        lambda: device.empty(1, np.int8), lambda: device.zeros(1, np.int8), lambda: device.upload(np.arange(3)),
        array.to_host, lambda: device.launch(ADD, 1, 1, []), device.release, lambda: device.memory,
    ):  # fmt: skip
        with pytest.raises(DeviceLostError, match="cannot be used any more by this process: the kernel add failed"):
            use()
    assert len(machine.fakes.calls) == calls, "CUDA is not asked again"


def test_an_error_of_a_kernel_that_shows_later_is_told_so(device: CudaDevice, machine: Machine) -> None:
    result = plus_one(device, device.upload(np.arange(3)))
    machine.fails["synchronize"] = CUDARuntimeError(700)
    with pytest.raises(DeviceLostError, match=r"copying 24 bytes from it failed .* or something before it"):
        result.to_host()
    del machine.fails["synchronize"]


def test_other_errors_of_cuda_are_no_end(device: CudaDevice, machine: Machine) -> None:
    machine.fails["launch"] = CUDARuntimeError(701)
    with pytest.raises(DeviceError, match=r"the kernel add.*LaunchOutOfResources") as told:
        plus_one(device, device.upload(np.arange(3)))
    assert not isinstance(told.value, DeviceLostError | DeviceMemoryError)
    del machine.fails["launch"]
    assert plus_one(device, device.upload(np.arange(3))).to_host().tolist() == [1, 2, 3]


@pytest.mark.parametrize("error", [RuntimeError("other"), MemoryError(), ValueError("x"), KeyError("cudaErrorAssert")])
def test_errors_of_others_pass_as_they_are(device: CudaDevice, error: BaseException) -> None:
    with pytest.raises(type(error)) as told, device.guarded("decoding"):
        raise error
    assert told.value is error and device.health.lost is None


def test_a_machine_that_pins_no_more_copies_slowly(device: CudaDevice, machine: Machine) -> None:
    def none(size: int) -> Any:
        raise CUDARuntimeError(2)

    machine.fakes.behaviour["cupy.cuda.alloc_pinned_memory"] = none
    values = np.arange(LARGE)
    assert np.array_equal(plus_one(device, device.upload(values)).to_host(), values + 1)


def test_release_gives_back_what_nobody_holds(device: CudaDevice, machine: Machine) -> None:
    x = device.upload(np.arange(1000))
    y = plus_one(device, x)
    del x
    assert any(machine.arenas.values())
    device.release()
    assert not any(machine.arenas.values()) and y.to_host()[0] == 1
