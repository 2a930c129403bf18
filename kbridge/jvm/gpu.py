"""Asks the NVIDIA driver whether a GPU can be used, without loading CUDA or starting anything."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

_NVML = "libnvidia-ml.so.1"
_CUDA = "libcuda.so.1"


class Gpus(NamedTuple):
    """What the driver says.

    Attributes:
        count: Number of GPUs this process may use.
        detail: Driver version, or why there are none.
    """

    count: int
    detail: str


def probe() -> Gpus:
    """Returns how many NVIDIA GPUs this process can use, and why if there are none.

    The driver's management library is asked for its version and the CUDA driver for the devices,
    because ``CUDA_VISIBLE_DEVICES`` hides devices from the second only.
    """
    try:
        cuda = ctypes.CDLL(_CUDA)
    except OSError:
        return Gpus(0, f"there is no NVIDIA driver ({_CUDA} cannot be loaded)")
    code = cuda.cuInit(0)
    count = ctypes.c_int(0)
    if code == 0:
        code = cuda.cuDeviceGetCount(ctypes.byref(count))
    if code != 0:
        return Gpus(0, f"the NVIDIA driver{_driver_version()} gives error {code} (cuInit)")
    if count.value == 0:
        return Gpus(0, f"the NVIDIA driver{_driver_version()} sees no device")
    return Gpus(count.value, f"NVIDIA driver{_driver_version()}")


def _driver_version() -> str:
    """Returns `` 535.1`` (with the space), or nothing where NVML is absent."""
    try:
        nvml = ctypes.CDLL(_NVML)
    except OSError:
        return ""
    text = ctypes.create_string_buffer(96)
    if nvml.nvmlInit_v2() != 0:
        return ""
    found = nvml.nvmlSystemGetDriverVersion(text, ctypes.c_uint(len(text))) == 0
    nvml.nvmlShutdown()
    return f" {text.value.decode('ascii', 'replace')}" if found else ""
