"""NVIDIA's libraries of CUDA 11, which ND4J's CUDA backend is linked with.

They come from the wheels of the extra ``kbridge[cuda]`` (751 MB; the same libraries from Maven, the
jar ``cuda-11.6-8.3-1.5.7-linux-x86_64-redist``, are 1827 MB), or from a CUDA 11 toolkit. Their
sonames stand for all of CUDA 11.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from kbridge import errors

# Each library with the wheel's package, in the order in which they need each other.
LIBRARIES = {
    "libcudart.so.11.0": "nvidia.cuda_runtime",
    "libcublasLt.so.11": "nvidia.cublas",
    "libcublas.so.11": "nvidia.cublas",
    "libcusparse.so.11": "nvidia.cusparse",
    "libcusolver.so.11": "nvidia.cusolver",
}
_FOLDERS = (
    *(f"/usr/local/cuda{version}/lib64" for version in ("-11.8", "-11.7", "-11.6", "-11", "")),
    "/usr/lib/x86_64-linux-gnu",
)
WHEELS_MB = 751


def find() -> dict[str, Path]:
    """Returns where each library is; those not found are left out."""
    searched = [*os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep), *_FOLDERS]
    folders = [Path(folder) for folder in searched if folder]
    found = {}
    for name, package in LIBRARIES.items():
        places = [*_wheel_folders(package), *folders]
        path = next((folder / name for folder in places if (folder / name).is_file()), None)
        if path is not None:
            found[name] = path
    return found


def require() -> dict[str, Path]:
    """Returns where each library is.

    Raises:
        DeviceUnavailableError: Some are nowhere.
    """
    found = find()
    missing = [name for name in LIBRARIES if name not in found]
    if missing:
        raise errors.DeviceUnavailableError(
            f"Expected NVIDIA's libraries of CUDA 11. Received: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} nowhere. Install them (about {WHEELS_MB} MB): "
            "pip install 'kbridge[cuda]'; or install the CUDA 11.6 toolkit."
        )
    return found


def preload(libraries: Mapping[str, Path]) -> None:
    """Loads the libraries into this process, where the JVM then finds them by their sonames."""
    for name in LIBRARIES:
        ctypes.CDLL(str(libraries[name]), mode=ctypes.RTLD_GLOBAL)


def environment(libraries: Mapping[str, Path]) -> dict[str, str]:
    """Returns the environment variables by which another process finds the libraries."""
    folders = dict.fromkeys(str(path.parent) for path in libraries.values())
    before = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": os.pathsep.join([*folders, *([before] if before else [])])}


def _wheel_folders(package: str) -> list[Path]:
    # NB: find_spec imports the parent, and without any of the wheels there is no `nvidia`.
    if importlib.util.find_spec(package.partition(".")[0]) is None:
        return []
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec is not None else None
    return [Path(location) / "lib" for location in locations or ()]
