"""Which GPU there is, or exactly why none: each failure planted with the class and text that libraries have for it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpupipe as gp
from gpupipe import doctor, optional
from gpupipe.backends import devices
from gpupipe.backends.backend import backend_for
from gpupipe.errors import DeviceError
from gpupipe.kernels.gpu import kept
from gpupipe.kernels.gpu.trial import trial

from .fake_cuda import CUDADriverError, CUDARuntimeError, Machine
from .nvrtc import why_not
from .simulated import SimulatedDevice
from .test_cuda import gpupipe_trial


class DynamicLibNotFoundError(RuntimeError):
    """Of cuda.pathfinder."""


class CudaSupportError(ImportError):
    """Of Numba's CUDA driver."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine(kernels={"gpupipe_trial": gpupipe_trial})
    made.fakes.install(monkeypatch, "cupy")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return made


@pytest.fixture(autouse=True)
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices._Look, "found", None)


def raising(error: BaseException) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


# -- a GPU that works -------------------------------------------------------------------------------------------
def test_a_gpu_that_works(machine: Machine, tmp_path: Path) -> None:
    found = devices.gpu()
    assert found.device is not None and found.device.name == "NVIDIA Fake"
    assert found.why == "NVIDIA Fake, compute capability 9.0"
    assert devices.gpu() is found and devices.in_use() is found.device is devices.required()
    assert machine.launched[0][0] == "gpupipe_trial" and len(machine.launched) == 1
    assert kept.default_folder() == tmp_path / "gpupipe" / "kernels"
    assert len(list(kept.default_folder().iterdir())) == 1


def test_what_the_doctor_says_of_it(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_xgboost", lambda: "")
    page = "\n".join(doctor._gpu())
    for line in (
        "device        NVIDIA Fake, compute capability 9.0",
        "memory        1.0 of 1.0 GiB free, from CuPy's pool",
        "CUDA          the driver supports 13.0; runtime 13.0, compiler (NVRTC) 13.0",
        f"kernels       kept in {tmp_path / 'gpupipe' / 'kernels'}",
        "cudf          missing",
        "device='auto' computes on the GPU.",
    ):
        assert line in page


def test_the_doctor_speaks_of_a_lost_device(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_xgboost", lambda: "")
    assert devices.gpu().device is not None
    text = "cudaErrorIllegalAddress: an illegal memory access was encountered"
    machine.fakes.behaviour["cupy.cuda.runtime.memGetInfo"] = raising(RuntimeError(text))
    for _ in range(2):  # the second time nothing is asked of it
        page = doctor.report()
        assert "device        NVIDIA Fake" in page and "memory        unknown: " in page and "process" in page
        assert "the driver supports 13.0" in page


def test_looking_does_not_start_by_asking(machine: Machine) -> None:
    assert devices.in_use() is None and machine.fakes.calls == []


# -- and all the ways in which it does not ----------------------------------------------------------------------
def told(machine: Machine | None = None) -> str:
    found = devices.look()
    assert found.device is None
    assert found.why.endswith(".") and " Try: " in found.why
    return found.why


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "available", lambda package: False)
    monkeypatch.setattr(optional, "load", raising(AssertionError("nothing is imported")))
    assert told().startswith("CuPy is not installed. Try: pip install 'gpupipe[cuda13]'")


@pytest.mark.parametrize("value", ["", " ", "-1"])
def test_hidden_gpus(machine: Machine, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert f"CUDA_VISIBLE_DEVICES={value!r} hides every GPU. Try: unset it" in told()
    assert machine.fakes.calls == []


@pytest.mark.parametrize(
    "error",
    [
        ImportError("CuPy is not correctly installed. … libnvrtc.so.13: cannot open shared object file"),
        ImportError("libcudart.so.12: cannot open shared object file: No such file or directory"),
        AttributeError("module 'numpy' has no attribute 'row_stack'"),
        ValueError("numpy.dtype size changed, may indicate binary incompatibility"),
        OSError("libcuda.so.1: file too short"),
    ],
    ids=lambda error: str(error)[:30],
)
def test_a_cupy_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(optional, "available", lambda package: True)
    monkeypatch.setattr(optional, "load", raising(error))
    assert told().startswith(f"CuPy is installed and cannot be imported ({type(error).__name__}: {str(error)[:20]}")


def test_no_driver(machine: Machine) -> None:
    machine.fakes.behaviour |= {
        "cupy.cuda.is_available": lambda: False, "cupy.cuda.runtime.driverGetVersion": lambda: 0,
        "cupy.cuda.runtime.getDeviceCount": raising(CUDARuntimeError(35)),
    }  # fmt: skip
    assert told() == "There is no NVIDIA driver. Try: install the driver of your GPU."


def test_an_old_driver(machine: Machine) -> None:
    machine.fakes.behaviour |= {
        "cupy.cuda.is_available": lambda: False, "cupy.cuda.runtime.driverGetVersion": lambda: 12020,
        "cupy.cuda.runtime.getDeviceCount": raising(CUDARuntimeError(35)),
    }  # fmt: skip
    assert told().startswith("The NVIDIA driver supports CUDA 12.2, and CuPy here is built for CUDA 13.0. Try: a newer")


def test_a_driver_that_finds_nothing(machine: Machine) -> None:
    machine.fakes.behaviour |= {
        "cupy.cuda.is_available": lambda: False,
        "cupy.cuda.runtime.getDeviceCount": raising(CUDARuntimeError(100)),
    }
    assert "cudaErrorNoDevice: no CUDA-capable device is detected" in told()
    machine.fakes.behaviour["cupy.cuda.runtime.getDeviceCount"] = lambda: 0
    assert told().startswith("The NVIDIA driver finds no GPU. Try: `nvidia-smi`")


def test_an_old_gpu(machine: Machine) -> None:
    machine.capability = "70"
    assert told().startswith("The GPU has compute capability 7.0; RAPIDS and CUDA 13 support none below 7.5")
    assert machine.launched == []


# What calls raise where something is broken: RAPIDS 26.10, read off the packages.
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cupy.cuda.Device", CUDARuntimeError(35)),
        ("cupy.cuda.runtime.getDevice", CUDARuntimeError(999)),
        ("cupy.cuda.runtime.getDeviceProperties", CUDARuntimeError(999)),
        ("cupy.cuda.runtime.memGetInfo", CUDARuntimeError(2)),
        ("cupy.cuda.alloc", CUDARuntimeError(2)),
        ("cupy.cuda.alloc", MemoryError("std::bad_alloc: out_of_memory: RMM failure at: … Maximum pool size exceeded")),
        ("cupy.cuda.alloc", RuntimeError("RMM failure at: … cudaMallocAsync not supported with this CUDA driver")),
        ("cupy.cuda.nvrtc.getVersion", DynamicLibNotFoundError("Failure finding libnvrtc.so")),
        ("cupy.cuda.nvrtc.compileProgram", DynamicLibNotFoundError("Failure finding libnvrtc-builtins.so")),
        ("cupy.cuda.Module", CUDADriverError(200)),
        ("cupy.cuda.runtime.memcpyAsync", CUDARuntimeError(700)),
        ("cupy.cuda.Stream", CUDARuntimeError(2)),
        ("cupy.cuda.get_allocator", CudaSupportError("Error at driver init: CUDA_ERROR_NO_DEVICE")),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_gpu_that_fails_as_it_is_tried(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    monkeypatch.setattr(optional, "available", lambda package: package in ("cupy", "rmm"))
    machine.fakes.install(monkeypatch, "rmm")
    machine.fakes.behaviour["rmm.mr.get_current_device_resource"] = object
    machine.fakes.behaviour[name] = raising(error)
    why = told()
    assert why.startswith(("The GPU cannot be used (", "The first computation on the GPU failed ("))
    assert str(error)[:40] in why
    assert "`gpupipe doctor`" in why


def test_rmm_that_fails(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class CUDARuntimeError(RuntimeError):
        """Of rmm._cuda.gpu."""

    monkeypatch.setattr(optional, "available", lambda package: package in ("cupy", "rmm"))
    machine.fakes.install(monkeypatch, "rmm")
    error = CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for …")
    machine.fakes.behaviour["rmm.mr.get_current_device_resource"] = raising(error)
    assert "setting up its memory: cudaErrorInsufficientDriver" in told()


@pytest.mark.parametrize("error", [AttributeError("no load_library"), ImportError("librmm.so"), OSError("too short")])
def test_an_rmm_that_does_not_load(machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = optional.load
    monkeypatch.setattr(optional, "available", lambda package: package in ("cupy", "rmm"))
    monkeypatch.setattr(optional, "load", lambda name: raising(error)() if name.startswith("rmm") else real(name))
    assert f"RMM is installed and does not load ({type(error).__name__}: {error})" in told()


def test_a_gpu_that_computes_something_else(machine: Machine) -> None:
    machine.kernels.clear()
    assert told().startswith("The first computation on the GPU failed (NVIDIA Fake computed [0.0, 0.0, 0.0, 0.0] where")


@pytest.mark.parametrize("error", [AttributeError("a typo"), TypeError("and another"), KeyError("MultiProcessor")])
def test_a_mistake_of_ours_does_not_read_as_no_gpu(machine: Machine, error: BaseException) -> None:
    machine.fakes.behaviour["cupy.cuda.alloc"] = raising(error)
    with pytest.raises(type(error)):
        devices.look()


# -- the computation itself -------------------------------------------------------------------------------------
def test_the_trial_computes_what_numpy_does() -> None:
    """The kernel as it is compiled: on the machine that the others run on."""
    if why_not():
        pytest.skip(why_not())
    device = SimulatedDevice()
    trial(device)
    assert device.launches == 1


# -- what follows from it ---------------------------------------------------------------------------------------
def test_auto_takes_the_cpu_and_gpu_is_refused(machine: Machine) -> None:
    machine.capability = "70"
    assert backend_for("auto").name == "cpu"
    with pytest.raises(DeviceError, match=r"device='gpu' was asked for.*compute capability 7\.0.*'cpu'") as refused:
        backend_for("gpu")
    assert isinstance(refused.value, RuntimeError)
    assert devices.gpu().why in "\n".join(doctor._gpu())


BROKEN = """
print("CuPy is imported")
raise ImportError("libcudart.so.12: cannot open shared object file")
"""
USED = """
import sys, time
started = time.perf_counter()
import gpupipe as gp
assert "cupy" not in sys.modules and not any(name.startswith("gpupipe.kernels.gpu") for name in sys.modules)
pipeline = gp.Pipeline([gp.col("x").standardize()]).fit({"x": [1.0, 2.0, 4.0]})
print(pipeline.state_digest())
try:
    gp.Pipeline([gp.col("x").standardize()], device="gpu").fit({"x": [1.0, 2.0, 4.0]})
except gp.errors.DeviceError as error:
    print(error)
"""


def test_a_broken_cupy_costs_an_import_nothing_and_a_fit_its_reason(tmp_path: Path) -> None:
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(BROKEN)
    (tmp_path / "use.py").write_text(USED)
    paths = filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    ran = subprocess.run([sys.executable, tmp_path / "use.py"], env=there, capture_output=True, text=True, timeout=120)
    lines = ran.stdout.splitlines()
    digest = gp.Pipeline([gp.col("x").standardize()], device="cpu").fit({"x": np.array([1.0, 2.0, 4.0])}).state_digest()
    assert lines[:2] == ["CuPy is imported", digest], ran.stderr
    assert lines[2].startswith("device='gpu' was asked for") and "libcudart.so.12" in lines[2] and len(lines) == 3
