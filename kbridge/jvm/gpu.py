"""Asks the NVIDIA driver for its GPUs, and tells whether ND4J's CUDA backend can run there.

Nothing of CUDA's own libraries is loaded and nothing started. The CUDA driver is asked for the
devices, because ``CUDA_VISIBLE_DEVICES`` hides devices from it only, and the driver's management
library (NVML) for its version.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from kbridge import errors

_NVML = "libnvidia-ml.so.1"
_CUDA = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # numbers of cuDeviceGetAttribute
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE, which cuInit gives where all devices are hidden, too

# What nd4j-cuda-11.6 1.0.0-M2.1 holds, read from the headers of its 228 fat binaries: machine code
# of these compute capabilities, and no PTX at all, from which a driver could make code for others.
CODE = ((3, 7), (5, 0), (5, 2), (6, 0), (6, 1), (7, 0), (7, 5), (8, 0), (8, 6))
# Any driver for CUDA 11 runs programs of CUDA 11.6: NVIDIA's minor version compatibility.
LEAST_CUDA = (11, 0)
# NB: an estimate that no GPU has confirmed: the context, 860 MB of machine code, cuBLAS's
# workspace, and some room for a model.
LEAST_MEMORY = 2 << 30


class Gpu(NamedTuple):
    """One GPU.

    Attributes:
        name: What its maker calls it.
        capability: Its compute capability.
        memory: Its bytes of memory.
    """

    name: str
    capability: tuple[int, int]
    memory: int

    def __str__(self) -> str:
        major, minor = self.capability
        gigabytes = self.memory / 1e9
        return f"{self.name}, compute capability {major}.{minor}, {gigabytes:.1f} GB"


class Driver(NamedTuple):
    """What the driver says.

    Attributes:
        gpus: The GPUs this process may use, in the order of their numbers.
        cuda: The newest CUDA it runs; None if there is no usable driver.
        detail: Its version, or why there are no GPUs.
    """

    gpus: tuple[Gpu, ...]
    cuda: tuple[int, int] | None
    detail: str


def probe() -> Driver:
    """Returns what the NVIDIA driver says of the GPUs that this process can use."""
    try:
        cuda = ctypes.CDLL(_CUDA)
    except OSError:
        return Driver((), None, f"there is no NVIDIA driver ({_CUDA} cannot be loaded)")
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    code = cuda.cuInit(0)
    if code == 0:
        code = cuda.cuDriverGetVersion(ctypes.byref(version))
    if code == 0:
        code = cuda.cuDeviceGetCount(ctypes.byref(count))
    driver = f"NVIDIA driver{_driver_version()}"
    if code == _NO_DEVICE:
        return Driver((), None, f"the {driver} sees no device{_hidden()}")
    if code != 0:
        return Driver((), None, f"the {driver} gives error {code} (cuInit)")
    newest = (version.value // 1000, version.value % 1000 // 10)
    if count.value == 0:
        return Driver((), newest, f"the {driver} sees no device{_hidden()}")
    gpus = tuple(_describe(cuda, index) for index in range(count.value))
    return Driver(gpus, newest, f"{driver} for CUDA {newest[0]}.{newest[1]}")


def refusal(driver: Driver, index: int = 0) -> str | None:
    """Tells why a GPU cannot be used, or returns None if it can.

    Args:
        driver: What the driver says.
        index: Number of the GPU.
    """
    if not driver.gpus:
        return driver.detail
    if index >= len(driver.gpus):
        known = "; ".join(f"gpu:{i} is {gpu}" for i, gpu in enumerate(driver.gpus))
        return f"there is no gpu:{index}: {known}"
    gpu = driver.gpus[index]
    if driver.cuda is None or driver.cuda < LEAST_CUDA:
        return f"{driver.detail}, and CUDA 11.6 needs a driver for CUDA 11 (450.80.02 or newer)"
    if not any(gpu.capability[0] == c[0] and gpu.capability[1] >= c[1] for c in CODE):
        built = ", ".join(f"{major}.{minor}" for major, minor in CODE)
        return (
            f"{gpu}; ND4J's CUDA backend holds machine code for {built} (each also runs later "
            "minors of its major) and nothing that the driver could compile for other ones"
        )
    if gpu.memory < LEAST_MEMORY:
        return f"{gpu}; the backend alone takes most of {LEAST_MEMORY / 1e9:.1f} GB"
    return None


def require(index: int = 0) -> None:
    """Raises DeviceUnavailableError where a GPU cannot be used; the message says why."""
    reason = refusal(probe(), index)
    if reason is not None:
        device = "gpu" if index == 0 else f"gpu:{index}"
        raise errors.DeviceUnavailableError(
            f"Expected a usable NVIDIA GPU for device={device!r}. Received: {reason}. "
            "Load with device='cpu', or see docs/gpu.md; `kbridge doctor` shows more."
        )


def _hidden() -> str:
    """Tells of the variable that hides devices, where it is set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})"


def _describe(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, value = ctypes.c_int(0), ctypes.c_int(0)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    capability = []
    for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        capability.append(value.value)
    text = name.value.decode("utf-8", "replace")
    return Gpu(text, (capability[0], capability[1]), memory.value)


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
