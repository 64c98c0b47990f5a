"""A first small computation on a device, compared with NumPy's."""

import numpy as np

from ...errors import DeviceError
from .device import Device, Kernel
from .source import text


def trial(device: Device) -> None:
    """Allocate, copy, launch and copy back; a subnormal float32, and a product that a fused multiply-add would change.

    Raises:
        DeviceError: what came back is not what NumPy computes, or the device failed.
    """
    x = np.array([3.0, -2.5, 1e-42, np.inf], np.float32)
    y = np.array([1.0 / 3.0, 7.0, 2.0**140, -1.0])
    out = device.zeros(len(x), np.float64)
    kernel = Kernel(text("trial.cu"), "gpupipe_trial")
    device.launch(kernel, 1, 32, [device.upload(x), device.upload(y), out, np.int64(len(x))])
    found, expected = out.to_host(), x.astype(np.float64) * y - 1.0
    if found.tobytes() != expected.tobytes():
        raise DeviceError(
            f"{device.name} computed {found.tolist()} where {expected.tolist()} is right. "
            "Try a newer driver; if that does not help, use device='cpu' and report it."
        )
